/* Which frames with the mark in them are copies of a mirror. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "mirror/host_bed.h"

#define MARK "the mark of the proof..."

/* A frame from the inside out. */
struct built {
    uint8_t at[512];
    size_t size;
};

static void put_front(struct built *frame, const void *bytes, size_t size)
{
    assert_true(frame->size + size <= sizeof frame->at);
    memmove(frame->at + size, frame->at, frame->size);
    memcpy(frame->at, bytes, size);
    frame->size += size;
}

static void put_ethernet(struct built *frame, unsigned type)
{
    uint8_t header[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    header[12] = (uint8_t)(type >> 8);
    header[13] = (uint8_t)type;
    put_front(frame, header, sizeof header);
}

static void put_vlan(struct built *frame, unsigned outer_type)
{
    uint8_t tag[4] = {(uint8_t)(outer_type >> 8), (uint8_t)outer_type, 0, 7};
    memmove(frame->at + 16, frame->at + 12, frame->size - 12);
    memcpy(frame->at + 12, tag, sizeof tag);
    frame->size += sizeof tag;
}

/* With Ethernet around it. */
static void put_ip(struct built *frame, const char *to, unsigned protocol)
{
    struct addr addr = bed_address(to);
    uint8_t v4[20] = {0x45}, v6[40] = {0x60};
    v4[9] = v6[6] = (uint8_t)protocol;
    memcpy(v4 + 16, addr.b + 12, 4);
    memcpy(v6 + 24, addr.b, 16);
    if (addr_is_v4(&addr))
        put_front(frame, v4, sizeof v4);
    else
        put_front(frame, v6, sizeof v6);
    put_ethernet(frame, addr_is_v4(&addr) ? 0x0800 : 0x86dd);
}

static struct built original(void)
{
    struct built frame = {.size = 0};
    put_front(&frame, MARK, 24);
    put_ethernet(&frame, 0x88b5);
    return frame;
}

static void wrap_udp(struct built *frame, const char *to, unsigned port, uint32_t vni)
{
    uint8_t header[16] = {0xc0, 0, (uint8_t)(port >> 8), (uint8_t)port};
    header[8] = 8;
    header[12] = (uint8_t)(vni >> 16);
    header[13] = (uint8_t)(vni >> 8);
    header[14] = (uint8_t)vni;
    put_front(frame, header, sizeof header);
    put_ip(frame, to, 17);
}

static void wrap_gre(struct built *frame, const char *to, bool keyed, uint32_t key)
{
    uint8_t header[8] = {(uint8_t)(keyed ? 0x20 : 0),
                         0,
                         0x65,
                         0x58,
                         (uint8_t)(key >> 24),
                         (uint8_t)(key >> 16),
                         (uint8_t)(key >> 8),
                         (uint8_t)key};
    put_front(frame, header, keyed ? 8 : 4);
    put_ip(frame, to, 47);
}

static void wrap_erspan(struct built *frame, const char *to, int type, uint32_t session)
{
    uint8_t header[8] = {0x10, 0, (uint8_t)(session >> 8), (uint8_t)session};
    uint8_t gre[8] = {0x10, 0, 0x88, (uint8_t)(type == 3 ? 0xeb : 0xbe)};
    if (type > 1)
        put_front(frame, header, sizeof header);
    gre[0] = type > 1 ? 0x10 : 0;
    put_front(frame, gre, type > 1 ? 8 : 4);
    put_ip(frame, to, 47);
}

/* From a heap block of its exact size; and no prefix of it reads beyond its end. */
static bool is_copy(const struct built *frame, const char *to, bool has_id, uint32_t id)
{
    struct host_wish wish = bed_wish_to(to);
    bool result = false;
    wish.has_id = has_id;
    const uint8_t *mark = memmem(frame->at, frame->size, MARK, 24);
    assert_non_null(mark);
    for (size_t size = frame->size + 1; size-- > 0;) {
        uint8_t *bytes = malloc(size ? size : 1);
        assert_non_null(bytes);
        memcpy(bytes, frame->at, size);
        bool one = host_is_copy(bytes, size, (size_t)(mark - frame->at), &wish, id);
        if (size == frame->size)
            result = one;
        free(bytes);
    }
    return result;
}

static void test_ours(void **state)
{
    (void)state;
    struct built frame = original();
    wrap_udp(&frame, "10.9.0.2", 4789, 7);
    assert_true(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    put_vlan(&frame, 0x8100);
    assert_true(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    put_vlan(&frame, 0x88a8);
    assert_true(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    frame = original();
    wrap_udp(&frame, "fd09::2", 6081, 0xffffff);
    assert_true(is_copy(&frame, "geneve:fd09::2", true, 0xffffff));
    frame = original();
    wrap_gre(&frame, "10.9.0.2", false, 0);
    assert_true(is_copy(&frame, "gre:10.9.0.2", false, 0));
    frame = original();
    wrap_gre(&frame, "10.9.0.2", true, 0x01020304);
    assert_true(is_copy(&frame, "gre:10.9.0.2", true, 0x01020304));
    for (int type = 1; type <= 3; type++) {
        char to[32];
        (void)snprintf(to, sizeof to, "erspan%d:10.9.0.2", type);
        frame = original();
        wrap_erspan(&frame, "10.9.0.2", type, 1023);
        assert_true(is_copy(&frame, to, type > 1, 1023));
    }
    frame = original();
    assert_true(is_copy(&frame, "interface:m0", false, 0));
}

/* The frame itself, and the datagram, where copies leave by what is mirrored. */
static void test_original(void **state)
{
    (void)state;
    struct built frame = original();
    assert_false(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    assert_false(is_copy(&frame, "gre:10.9.0.2", false, 0));
    frame = (struct built){.size = 0};
    put_front(&frame, MARK, 24);
    put_front(&frame, "\xc0\x00\x00\x09\x00\x20\x00\x00", 8);
    put_ip(&frame, "192.0.2.1", 17);
    assert_false(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    assert_true(is_copy(&frame, "interface:m0", false, 0));
}

/* What another mirror of the same interface makes of it, by the same way. */
static void test_others(void **state)
{
    (void)state;
    struct built frame = original();
    wrap_udp(&frame, "10.9.0.3", 4789, 7);
    assert_false(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    frame = original();
    wrap_udp(&frame, "10.9.0.2", 4789, 8);
    assert_false(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    frame = original();
    wrap_udp(&frame, "10.9.0.2", 4790, 7);
    assert_false(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    frame = original();
    wrap_gre(&frame, "10.9.0.2", true, 7);
    assert_false(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    assert_false(is_copy(&frame, "gre:10.9.0.2", true, 8));
    assert_false(is_copy(&frame, "gre:10.9.0.2", false, 0));
    assert_false(is_copy(&frame, "interface:m0", false, 0));
    frame = original();
    wrap_erspan(&frame, "10.9.0.2", 2, 7);
    assert_false(is_copy(&frame, "erspan2:10.9.0.2", true, 8));
}

/* A copy that was copied again: by this mirror, or by another one to anywhere. */
static void test_loops(void **state)
{
    (void)state;
    struct built frame = original();
    wrap_udp(&frame, "10.9.0.2", 4789, 7);
    wrap_udp(&frame, "10.9.0.2", 4789, 7);
    assert_true(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    frame = original();
    wrap_udp(&frame, "10.9.0.2", 4789, 7);
    wrap_gre(&frame, "10.9.0.99", true, 1);
    assert_true(is_copy(&frame, "vxlan:10.9.0.2", true, 7));
    frame = original();
    wrap_udp(&frame, "fd09::2", 4789, 7);
    wrap_udp(&frame, "10.9.0.99", 4789, 1);
    assert_true(is_copy(&frame, "vxlan:fd09::2", true, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_original),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
