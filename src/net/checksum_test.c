/* Checksums: RFC 1071's own example, packets that are right, and each bit of them wrong. */
#include "net/checksum.h"
#include "net/frames.h"

static void example_of_the_rfc(void **state)
{
    (void)state;
    struct bytes b = bytes_of("0001f203f4f5f6f7");
    assert_int_equal((uint16_t)~checksum_fold(checksum_add(0, b.at, b.size)), 0xddf2);
    /* Odd sizes end in a zero. */
    b = bytes_of("0102 03");
    assert_int_equal((uint16_t)~checksum_fold(checksum_add(0, b.at, b.size)), 0x0402);
    assert_int_equal(checksum_fold(0), 0xffff);
}

static void pieces_add_up(void **state)
{
    (void)state;
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    uint16_t whole = checksum_fold(checksum_add(0, bytes, sizeof bytes));
    for (size_t cut = 0; cut <= sizeof bytes; cut += 2) {
        uint64_t sum = checksum_add(0, bytes, cut);
        assert_int_equal(checksum_fold(checksum_add(sum, bytes + cut, sizeof bytes - cut)), whole);
    }
}

static const struct {
    const char *what, *hex;
    size_t at; /* of the checksum */
} packets[] = {
    {"TCP",
     "4500 002b 0001 0000 40 06 66ca 0a000001 0a000002"
     "9c400050 00000001 00000002 5018ffff 0000 0000 616263",
     36},
    {"UDP", "4500 001f 0001 0000 40 11 66cb 0a000001 0a000002 9c400035 000b 0000 616263", 26},
    {"ICMP", "4500 001f 0001 0000 40 01 66db 0a000001 0a000002 0800 0000 12340001 616263", 22},
    {"TCP over IPv6",
     "60000000 0017 06 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
     "9c400050 00000001 00000002 5018ffff 0000 0000 616263",
     56},
    {"UDP over IPv6",
     "60000000 000b 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
     "9c400035 000b 0000 616263",
     46},
    {"ICMPv6",
     "60000000 000b 3a 40 fe800000000000000000000000000001 ff020000000000000000000000000001"
     "8000 0000 12340001 616263",
     42},
};

static struct packet decoded(const uint8_t *block, size_t size)
{
    static struct packet_weird weirds[PACKET_MAX_WEIRDS];
    struct packet p;
    assert_int_equal(decode_block(block, size, size, LINK_RAW, &p, weirds), PACKET_IP);
    return p;
}

static void good_and_each_bit_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        struct bytes b = bytes_of(packets[i].hex);
        uint8_t *block = bytes_block(b.at, b.size);
        struct packet p = decoded(block, b.size);
        assert_int_equal(checksum_ip(&p), CHECKSUM_GOOD);

        /* Fill in the right one, by an own sum over pseudo-header and payload, byte by byte. */
        uint32_t sum = 0;
        if (p.ip_proto != 1) {
            size_t n = p.ip_version == 4 ? 4 : 16;
            for (size_t k = 0; k < n; k++)
                sum += (uint32_t)(p.src.b[16 - n + k] + p.dst.b[16 - n + k]) << (k % 2 ? 0 : 8);
            sum += p.ip_proto + p.payload_len;
        }
        for (size_t k = 0; k < p.payload_size; k++)
            sum += (uint32_t)p.payload[k] << (k % 2 ? 0 : 8);
        while (sum >> 16)
            sum = (sum & 0xffff) + (sum >> 16);
        block[packets[i].at] = (uint8_t)(~sum >> 8);
        block[packets[i].at + 1] = (uint8_t)~sum;
        assert_int_equal(checksum_payload(&p), CHECKSUM_GOOD);

        for (size_t bit = 0; bit < p.payload_size * 8; bit++) {
            uint8_t *at = block + (p.payload - block) + bit / 8;
            *at ^= (uint8_t)(1 << bit % 8);
            if (checksum_payload(&p) != CHECKSUM_BAD)
                fail_msg("%s: bit %zu", packets[i].what, bit);
            *at ^= (uint8_t)(1 << bit % 8);
        }
        p.payload_size--;
        assert_int_equal(checksum_payload(&p), CHECKSUM_UNKNOWN);
        free(block);
    }
}

static void without_and_unknown(void **state)
{
    (void)state;
    struct bytes b = bytes_of(packets[1].hex); /* UDP over IPv4 with 0: none */
    struct packet p = decoded(b.at, b.size);
    assert_int_equal(checksum_payload(&p), CHECKSUM_GOOD);
    b = bytes_of(packets[4].hex); /* over IPv6 it has to be there */
    p = decoded(b.at, b.size);
    assert_int_equal(checksum_payload(&p), CHECKSUM_BAD);
    p.ip_proto = 89;
    assert_int_equal(checksum_payload(&p), CHECKSUM_UNKNOWN);
    b = bytes_of(packets[0].hex);
    b.at[8] ^= 1;
    p = decoded(b.at, b.size);
    assert_int_equal(checksum_ip(&p), CHECKSUM_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_of_the_rfc),
        cmocka_unit_test(pieces_add_up),
        cmocka_unit_test(good_and_each_bit_wrong),
        cmocka_unit_test(without_and_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
