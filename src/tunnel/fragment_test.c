/* Reassembly: all orders, overlaps (what came first wins), forged sizes, bounded memory; and
 * random fragments against a model that keeps one byte and one flag for each byte. */
#include "net/frames.h"

#include "tunnel/fragment.h"

struct kit {
    struct pool *pool;
    struct fragments *fragments;
    struct packet packet; /* of the last fragment */
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    const uint8_t *bytes;
    uint32_t size;
    int64_t now;
    uint32_t vni;
};

static struct kit kit_make(size_t max_size)
{
    struct kit k = {.pool = pool_new(64u << 20)};
    k.fragments = fragments_new(k.pool, max_size);
    assert_non_null(k.fragments);
    return k;
}

static void kit_done(struct kit *k)
{
    fragments_free(k->fragments);
    assert_int_equal(pool_used(k->pool), 0);
    pool_free(k->pool);
}

/* The decoded fragment, from a block of its exact size. */
static enum fragment_result add_block(struct kit *k, const struct bytes *b)
{
    uint8_t *block = bytes_block(b->at, b->size);
    memset(&k->packet, 0, sizeof k->packet);
    k->packet.weirds = k->weirds;
    k->packet.ts = k->now;
    if (k->vni) {
        k->packet.n_layers = 1;
        k->packet.layers[0].has_id = true;
        k->packet.layers[0].id = k->vni;
    }
    struct reader r = rd_make(block, b->size);
    struct ip_fragment f;
    assert_int_equal(ip_decode(&r, (uint32_t)b->size, false, &k->packet, &f), PACKET_FRAGMENT);
    k->bytes = NULL;
    enum fragment_result result = fragments_add(k->fragments, &k->packet, &f, &k->bytes, &k->size);
    free(block);
    k->packet.ip = k->packet.payload = NULL;
    return result;
}

static struct bytes make4(uint16_t id, uint32_t offset, bool more, const uint8_t *bytes,
                          size_t size)
{
    struct bytes b = bytes_of("45000000 00000000 40110000 0a000001 0a000002");
    b.at[2] = (uint8_t)((20 + size) >> 8);
    b.at[3] = (uint8_t)(20 + size);
    b.at[4] = (uint8_t)(id >> 8);
    b.at[5] = (uint8_t)id;
    b.at[6] = (uint8_t)((more ? 0x20 : 0) | offset / 8 >> 8);
    b.at[7] = (uint8_t)(offset / 8);
    memcpy(b.at + 20, bytes, size);
    b.size += size;
    return b;
}

static enum fragment_result add(struct kit *k, uint16_t id, uint32_t offset, bool more,
                                const uint8_t *bytes, size_t size)
{
    struct bytes b = make4(id, offset, more, bytes, size);
    return add_block(k, &b);
}

static bool has_weird(const struct kit *k, const char *name)
{
    for (size_t i = 0; i < k->packet.n_weirds; i++)
        if (strcmp(k->weirds[i].name, name) == 0)
            return true;
    return false;
}

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256 + seed);
}

static void all_orders(void **state)
{
    (void)state;
    static const uint32_t cut[] = {0, 1480, 2960, 3968, 9001};
    uint8_t data[9001];
    fill(data, sizeof data, 1);
    for (int order = 0; order < 256; order++) {
        int at[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
        unsigned seen = 0;
        for (int i = 0; i < 4; i++)
            seen |= 1u << at[i];
        if (seen != 15)
            continue;
        struct kit k = kit_make(1u << 20);
        for (int i = 0; i < 4; i++) {
            uint32_t from = cut[at[i]], to = cut[at[i] + 1];
            enum fragment_result r = FRAGMENT_KEPT;
            if (to - from <= FRAMES_MAX - 20)
                r = add(&k, 1, from, at[i] < 3, data + from, to - from);
            else { /* in two: 3968 to 9001 */
                r = add(&k, 1, from, true, data + from, 2000);
                assert_int_equal(r, FRAGMENT_KEPT);
                r = add(&k, 1, from + 2000, false, data + from + 2000, to - from - 2000);
            }
            assert_int_equal(r, i == 3 ? FRAGMENT_WHOLE : FRAGMENT_KEPT);
            assert_int_equal(k.packet.n_weirds, 0);
        }
        assert_int_equal(k.size, 20 + sizeof data);
        assert_memory_equal(k.bytes + 20, data, sizeof data);

        /* The header is one of a whole packet, with a right checksum. */
        struct packet p;
        struct packet_weird weirds[PACKET_MAX_WEIRDS];
        assert_int_equal(decode_block(k.bytes, k.size, k.size, LINK_RAW, &p, weirds), PACKET_IP);
        assert_int_equal(p.payload_len, sizeof data);
        uint32_t sum = 0;
        for (int i = 0; i < 20; i += 2)
            sum += (uint32_t)(k.bytes[i] << 8 | k.bytes[i + 1]);
        assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
        kit_done(&k);
    }
}

static void version_6(void **state)
{
    (void)state;
    static const char head[] = "60000000 00003c40 20010db8000000000000000000000001"
                               "20010db8000000000000000000000002 2c00010400000000";
    struct kit k = kit_make(1u << 20);
    /* The last comes first, and names another protocol: the first one's counts. */
    struct bytes b = bytes_of(head);
    bytes_add(&b, "3a000010 00000009 6970");
    b.at[5] = (uint8_t)(b.size - 40);
    assert_int_equal(add_block(&k, &b), FRAGMENT_KEPT);
    b = bytes_of(head);
    bytes_add(&b, "11000001 00000009 30393039 0012 0000 6162636465666768");
    b.at[5] = (uint8_t)(b.size - 40);
    assert_int_equal(add_block(&k, &b), FRAGMENT_WHOLE);
    assert_true(has_weird(&k, "fragment_protocol_inconsistency"));

    struct packet p;
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    assert_int_equal(decode_block(k.bytes, k.size, k.size, LINK_RAW, &p, weirds), PACKET_IP);
    assert_int_equal(p.ip_proto, 17);
    assert_int_equal(p.payload_len, 18);
    assert_memory_equal(p.payload + 8, "abcdefghip", 10);

    /* One that is all there is: whole at once. */
    b = bytes_of(head);
    bytes_add(&b, "11000000 0000000a 30393039 0008 0000");
    b.at[5] = (uint8_t)(b.size - 40);
    assert_int_equal(add_block(&k, &b), FRAGMENT_WHOLE);
    kit_done(&k);
}

static void first_wins(void **state)
{
    (void)state;
    uint8_t ones[64], twos[64];
    memset(ones, 1, sizeof ones);
    memset(twos, 2, sizeof twos);
    struct kit k = kit_make(1u << 20);
    assert_int_equal(add(&k, 1, 16, true, ones, 16), FRAGMENT_KEPT);
    assert_int_equal(add(&k, 1, 0, true, twos, 24), FRAGMENT_KEPT);
    assert_true(has_weird(&k, "fragment_inconsistency"));
    assert_int_equal(add(&k, 1, 16, true, ones, 16), FRAGMENT_KEPT);
    assert_true(has_weird(&k, "fragment_overlap"));
    assert_int_equal(add(&k, 1, 24, false, twos, 24), FRAGMENT_WHOLE);
    assert_int_equal(k.size, 20 + 48);
    for (int i = 0; i < 48; i++)
        assert_int_equal(k.bytes[20 + i], i < 16 || i >= 32 ? 2 : 1);
    kit_done(&k);
}

/* A last fragment that is not last: what has no hole is handed out. */
static void sizes_that_do_not_agree(void **state)
{
    (void)state;
    uint8_t data[256];
    fill(data, sizeof data, 3);
    struct kit k = kit_make(1u << 20);
    assert_int_equal(add(&k, 1, 0, true, data, 18), FRAGMENT_KEPT);
    assert_true(has_weird(&k, "excessively_small_fragment"));
    assert_int_equal(add(&k, 1, 48, false, data, 116), FRAGMENT_KEPT);
    assert_int_equal(add(&k, 1, 0, true, data, 240), FRAGMENT_WHOLE);
    assert_true(has_weird(&k, "fragment_size_inconsistency"));
    assert_int_equal(k.size, 260);

    assert_int_equal(add(&k, 2, 80, true, data, 64), FRAGMENT_KEPT); /* of an older one */
    assert_int_equal(add(&k, 2, 0, true, data, 64), FRAGMENT_KEPT);
    assert_int_equal(add(&k, 2, 64, false, data, 8), FRAGMENT_WHOLE);
    assert_true(has_weird(&k, "fragment_size_inconsistency"));
    assert_int_equal(k.size, 20 + 72);

    /* Longer than a datagram can be. */
    assert_int_equal(add(&k, 3, 65528, false, data, 100), FRAGMENT_REFUSED);
    assert_true(has_weird(&k, "excessively_large_fragment"));
    assert_int_equal(add(&k, 3, 65000, false, data, 100), FRAGMENT_KEPT);
    assert_true(has_weird(&k, "excessively_large_fragment"));
    kit_done(&k);
}

static void tenants_do_not_mix(void **state)
{
    (void)state;
    uint8_t data[64];
    fill(data, sizeof data, 4);
    struct kit k = kit_make(1u << 20);
    k.vni = 7;
    assert_int_equal(add(&k, 1, 0, true, data, 48), FRAGMENT_KEPT);
    k.vni = 8;
    assert_int_equal(add(&k, 1, 48, false, data, 16), FRAGMENT_KEPT);
    k.vni = 0;
    assert_int_equal(add(&k, 1, 48, false, data, 16), FRAGMENT_KEPT);
    k.vni = 7;
    assert_int_equal(add(&k, 2, 48, false, data, 16), FRAGMENT_KEPT);
    assert_int_equal(add(&k, 1, 48, false, data, 16), FRAGMENT_WHOLE);
    kit_done(&k);
}

static void time_and_memory_are_bounded(void **state)
{
    (void)state;
    uint8_t data[64] = {0};
    struct kit k = kit_make(256u << 10);
    for (unsigned i = 0; i < 3000; i++) {
        k.now = i * 1000000000ll;
        assert_int_equal(add(&k, (uint16_t)i, 8 * (i % 5000), true, data, 64), FRAGMENT_KEPT);
        assert_true(pool_used(k.pool) <= (256u << 10) + (48u << 10));
    }
    assert_true(fragments_evicted(k.fragments) > 2000);
    uint64_t left = 3000 - fragments_evicted(k.fragments);
    assert_int_equal(fragments_expire(k.fragments, k.now), 0);
    assert_int_equal(fragments_expire(k.fragments, k.now + FRAGMENT_TIMEOUT - 1000000000ll),
                     left - 2);
    assert_int_equal(fragments_expire(k.fragments, k.now + FRAGMENT_TIMEOUT + 1), 2);
    kit_done(&k);

    k = kit_make(64u << 20);
    for (unsigned i = 0; i < FRAGMENT_MAX_PENDING + 10; i++)
        assert_int_equal(add(&k, (uint16_t)i, 0, true, data, 8), FRAGMENT_KEPT);
    assert_int_equal(fragments_evicted(k.fragments), 10);
    kit_done(&k);

    /* A budget that holds nothing. */
    k = kit_make(1000);
    assert_int_equal(add(&k, 1, 0, true, data, 64), FRAGMENT_REFUSED);
    kit_done(&k);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void random_against_a_model(void **state)
{
    (void)state;
    uint32_t random = 1;
    struct kit k = kit_make(8u << 20);
    for (int round = 0; round < 400; round++) {
        static uint8_t want[16384];
        static bool have[16384];
        memset(have, 0, sizeof have);
        uint32_t size = 0, end = 0;
        bool known = false;
        uint32_t span = 64u << next_random(&random) % 7;
        for (int n = 0; n < 400; n++) {
            uint32_t offset = next_random(&random) % span & ~7u;
            uint32_t len = 1 + next_random(&random) % 300;
            bool more = offset == 0 || next_random(&random) % 16 != 0 || offset + len < span;
            uint8_t data[300];
            fill(data, len, next_random(&random));
            enum fragment_result r = add(&k, (uint16_t)round, offset, more, data, len);
            for (uint32_t i = 0; i < len; i++)
                if (!have[offset + i]) {
                    have[offset + i] = true;
                    want[offset + i] = data[i];
                }
            if (offset + len > end)
                end = offset + len;
            if (!more && !known)
                known = true, size = offset + len;
            if (known && offset + len > size)
                size = offset + len;
            uint32_t front = 0;
            while (front < end && have[front])
                front++;
            bool whole = known && front >= size;
            assert_int_equal(r, whole ? FRAGMENT_WHOLE : FRAGMENT_KEPT);
            if (!whole)
                continue;
            assert_int_equal(k.size, 20 + front);
            assert_memory_equal(k.bytes + 20, want, front);
            break;
        }
        fragments_release(k.fragments);
    }
    kit_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_orders),
        cmocka_unit_test(version_6),
        cmocka_unit_test(first_wins),
        cmocka_unit_test(sizes_that_do_not_agree),
        cmocka_unit_test(tenants_do_not_mix),
        cmocka_unit_test(time_and_memory_are_bounded),
        cmocka_unit_test(random_against_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
