/* The option that tells where a forwarded packet came from. */
#include "net/origin.h"

#include "net/frames.h"

static struct origin sample(void)
{
    return (struct origin){.has_id = true,
                           .id = 0xfedcba98,
                           .direction = 2,
                           .sender = addr_v4((const uint8_t[]){10, 1, 2, 3}),
                           .how = STR("geneve+vxlan"),
                           .name = STR("web-1")};
}

static void test_bytes(void **state)
{
    struct origin origin = sample();
    uint8_t out[ORIGIN_MAX_SIZE];
    struct bytes want = bytes_of("ffc5 01 0b | 01 05 0c 05 | fedcba98 |"
                                 "00000000000000000000ffff0a010203 |"
                                 "67656e6576652b76786c616e 7765622d31 000000");
    assert_int_equal(origin_encode(&origin, out), want.size);
    assert_memory_equal(out, want.at, want.size);
}

static void test_every_size_comes_back(void **state)
{
    static const char text[100] = "0123456789012345678901234567890123456789012345678901234567890123"
                                  "abcdefgh";
    for (uint32_t how = 0; how <= 30; how++)
        for (uint32_t name = 0; name <= 70; name++) {
            struct origin in = sample(), out;
            uint8_t bytes[ORIGIN_MAX_SIZE];
            in.how = str_make(text, how);
            in.name = str_make(text, name);
            in.has_id = how % 2;
            size_t size = origin_encode(&in, bytes);
            assert_true(size <= ORIGIN_MAX_SIZE && size % 4 == 0);
            assert_int_equal((bytes[3] & 0x1f) * 4u, size - 4);
            uint8_t *block = bytes_block(bytes + 4, size - 4);
            assert_true(origin_decode(rd_make(block, size - 4), &out));
            assert_true(str_eq(out.how, str_upto(in.how, ORIGIN_HOW_MAX)));
            assert_true(str_eq(out.name, str_upto(in.name, ORIGIN_NAME_MAX)));
            assert_int_equal(out.has_id, in.has_id);
            assert_int_equal(out.id, in.has_id ? in.id : 0);
            assert_int_equal(out.direction, 2);
            assert_true(addr_eq(&out.sender, &in.sender));
            free(block);
        }
}

static void test_what_is_cut_or_wrong(void **state)
{
    struct origin in = sample(), out;
    uint8_t bytes[ORIGIN_MAX_SIZE];
    (void)origin_encode(&in, bytes);
    for (size_t size = 0; size < 24 + 12 + 5; size++) {
        uint8_t *block = bytes_block(bytes + 4, size);
        assert_false(origin_decode(rd_make(block, size), &out));
        free(block);
    }
    uint8_t wrong[200];
    memset(wrong, 0, sizeof wrong);
    memcpy(wrong, bytes + 4, sizeof bytes - 4);
    assert_true(origin_decode(rd_make(wrong, sizeof wrong), &out));
    wrong[0] = 2;
    assert_false(origin_decode(rd_make(wrong, sizeof wrong), &out));
    wrong[0] = 1;
    wrong[2] = ORIGIN_HOW_MAX + 1;
    assert_false(origin_decode(rd_make(wrong, sizeof wrong), &out));
    wrong[2] = 0;
    wrong[3] = ORIGIN_NAME_MAX + 1;
    assert_false(origin_decode(rd_make(wrong, sizeof wrong), &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_every_size_comes_back),
        cmocka_unit_test(test_what_is_cut_or_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
