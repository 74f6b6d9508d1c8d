/* Tokens, numbers, boundaries, names and transfer encodings of MIME. */
#include "proto/http_bed.h"
#include "proto/http_state.h"

static void check(struct str found, const char *wanted)
{
    if (!wanted) {
        assert_null(found.at);
        return;
    }
    assert_int_equal(found.len, strlen(wanted));
    assert_memory_equal(found.at, wanted, found.len);
}

static void test_tokens(void **state)
{
    struct str rest;
    check(http_token(STR(" (a comment) bytes 0-1"), &rest), "bytes");
    check(rest, " 0-1");
    check(http_token(STR(";; x"), &rest), "x");
    check(http_token(STR("  (unclosed"), &rest), NULL);
    check(http_token(STR(""), &rest), NULL);
}

static void test_numbers(void **state)
{
    assert_int_equal(http_number(STR("1a;x"), 16), 26);
    assert_int_equal(http_number(STR("12x"), 10), 12);
    assert_int_equal(http_number(STR("x"), 10), -1);
    assert_int_equal(http_number(STR("9223372036854775807"), 10), INT64_MAX);
    assert_int_equal(http_number(STR("9223372036854775808"), 10), -1);
    assert_int_equal(http_number(STR("10000000000000000"), 16), -1);
}

static void test_content_types(void **state)
{
    static const struct {
        const char *value, *boundary;
        int content;
    } rows[] = {
        {"text/html; charset=x", NULL, HTTP_TEXT},
        {"Message/RFC822", NULL, HTTP_MESSAGE},
        {"image/png", NULL, HTTP_OTHER},
        {"multipart/mixed", NULL, HTTP_OTHER},
        {"multipart/mixed; boundary=ab=c; x=y", "ab=c;", HTTP_MULTIPART},
        {"multipart/x ; a=\"q\\\"\"; boundary=\"a b\"", "a b", HTTP_MULTIPART},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_entity e = {0};
        struct str boundary = {0};
        assert_true(http_content_type(str_c(rows[i].value), &e, &boundary));
        assert_int_equal(e.content, rows[i].content);
        check(boundary, rows[i].boundary);
    }
    struct http_entity e = {0};
    struct str boundary = {0};
    assert_false(http_content_type(STR("text"), &e, &boundary));
}

static void test_boundaries(void **state)
{
    assert_int_equal(http_is_boundary(STR("ab"), STR("--ab")), HTTP_BOUNDARY);
    assert_int_equal(http_is_boundary(STR("ab"), STR("--abc")), HTTP_BOUNDARY);
    assert_int_equal(http_is_boundary(STR("ab"), STR("--ab--")), HTTP_LAST_BOUNDARY);
    assert_int_equal(http_is_boundary(STR("ab"), STR("--a")), HTTP_NOT_BOUNDARY);
    assert_int_equal(http_is_boundary(STR("ab"), STR("-ab-")), HTTP_NOT_BOUNDARY);
}

static void test_texts(void **state)
{
    struct pool *pool = pool_new(1 << 20);
    struct arena arena;
    arena_init(&arena, pool);
    check(http_base64(&arena, STR("YWJj")), "abc");
    check(http_base64(&arena, STR("YWI=")), "ab");
    check(http_base64(&arena, STR("YQ==")), "a");
    check(http_base64(&arena, STR("YQ")), NULL);
    check(http_base64(&arena, STR("Y===")), NULL);
    check(http_base64(&arena, STR("Y Jj")), NULL);
    check(http_unescape(&arena, STR("a%2fb%u0041%%41%4"), NULL), "a/bAA%4");
    check(http_unescape(&arena, STR("%zz%"), NULL), "%zz%");
    check(http_file_name(&arena, STR("x; name=a'b")), "a'b");
    check(http_file_name(&arena, STR("filename*=iso'en'%41.txt")), "A.txt");
    check(http_file_name(&arena, STR("filename=\"unclosed")), "unclosed");
    assert_true(http_names_file(STR("Content-Disposition"), STR("a; FileName *=x")));
    assert_false(http_names_file(STR("Content-Disposition"), STR("a; name=x")));
    assert_true(http_names_file(STR("Content-Type"), STR("a; Name=x")));
    arena_clear(&arena);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_content_types), cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
