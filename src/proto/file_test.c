/* Files: what their rows say, whatever order their parts come in. */
#include "proto/http_bed.h"

static struct file *make(struct bed *b, uint64_t total)
{
    struct file *file = file_new(&b->analysis, FLOW_RESP, "HTTP");
    assert_non_null(file);
    if (total)
        file_set_total(file, total);
    return file;
}

static void put(struct file *file, uint64_t offset, const char *text)
{
    size_t size = strlen(text);
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, text, size);
    file_write_at(file, offset, exact, size);
    free(exact);
}

static void test_whole(void **state)
{
    struct bed b;
    bed_open(&b);
    struct file *file = make(&b, 20);
    put(file, 0, "0123456789");
    assert_false(file_complete(file));
    bed_wait(&b, SECOND);
    put(file, 10, "0123456789");
    assert_true(file_complete(file));
    file_set_name(file, STR("first"));
    file_set_name(file, STR("name"));
    file_end(file);
    bed_close(&b);
    assert_string_equal(b.files, "text/plain|name|1.000000|F|F|20|20|0|0|F|-|-|-|-|-|-|-\n");
    bed_free(&b);
}

static void test_parts(void **state)
{
    struct bed b;
    bed_open(&b);
    struct file *file = make(&b, 40);
    put(file, 30, "dddddddddd");
    put(file, 10, "bbbbbbbbbb");
    put(file, 5, "aabbbbb");
    put(file, 0, "aaaaaa");
    assert_false(file_complete(file));
    put(file, 20, "cccccccccc");
    assert_true(file_complete(file));
    file_end(file);

    file = make(&b, 40);
    put(file, 20, "cccccccccc");
    put(file, 0, "aaaaaaaaaa");
    file_end_timedout(file);
    bed_close(&b);
    assert_string_equal(b.files, "text/plain|-|0.000000|F|F|40|40|0|0|F|-|-|-|-|-|-|-\n"
                                 "text/plain|-|0.000000|F|F|20|40|10|0|T|-|-|-|-|-|-|-\n");
    bed_free(&b);
}

static void test_gap(void **state)
{
    struct bed b;
    bed_open(&b);
    struct file *file = make(&b, 0);
    file_gap(file, 7);
    put(file, 7, "plain words");
    file_end(file);
    bed_close(&b);
    assert_string_equal(b.files, "-|-|0.000000|F|F|11|-|7|0|F|-|-|-|-|-|-|-\n");
    bed_free(&b);
}

/* Whatever parts come, memory has a bound and every byte is counted once at most. */
static void test_many_parts(void **state)
{
    struct bed b;
    bed_open(&b);
    struct file *file = make(&b, 1 << 20);
    uint32_t random = 1;
    for (int i = 0; i < 5000; i++) {
        random = random * 1103515245 + 12345;
        put(file, random >> 12, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        assert_true(pool_used(b.context.pool) < 1 << 16);
    }
    file_end(file);
    bed_close(&b);
    char *seen = column(b.files, SEEN), *missing = column(b.files, MISSING);
    assert_true(atoll(seen) + atoll(missing) <= (1 << 20) + 30);
    free(seen);
    free(missing);
    bed_free(&b);
}

static void test_certificate(void **state)
{
    struct bed b;
    bed_open(&b);
    struct file *file = file_new(&b.analysis, FLOW_RESP, "SSL");
    file_set_mime(file, "application/x-x509-user-cert");
    file_add_analyzer(file, "X509");
    put(file, 0, "der");
    file_end(file);
    file = file_new(&b.analysis, FLOW_RESP, "SSL");
    file_set_mime(file, "application/ocsp-response");
    put(file, 0, "der");
    file_end(file);
    bed_close(&b);
    assert_string_equal(b.files,
                        "application/ocsp-response|-|0.000000|F|F|3|-|0|0|F|-|-|-|-|-|-|-\n");
    bed_free(&b);
}

static void test_too_many_shared(void **state)
{
    struct bed b;
    bed_open(&b);
    for (uint64_t key = 1; key <= 1000; key++) {
        file_share(make(&b, 10), key);
        assert_true(pool_used(b.context.pool) < 1 << 18);
    }
    assert_non_null(file_shared(&b.context, 1000));
    assert_null(file_shared(&b.context, 1));
    bed_wait(&b, 200 * SECOND);
    file_share(make(&b, 10), 1);
    assert_null(file_shared(&b.context, 1000));
    bed_close(&b);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),       cmocka_unit_test(test_parts),
        cmocka_unit_test(test_gap),         cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_certificate), cmocka_unit_test(test_too_many_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
