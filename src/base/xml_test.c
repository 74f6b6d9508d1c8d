/* XML: what is read of it, what is none, and every prefix of a good document. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/xml.h"

/* From a heap block of its exact size: "+name(a=1) 'text' -name", one word an event. */
static char *read_all(const char *document, size_t size, int *out_end)
{
    struct text out;
    char value[64];
    uint8_t *bytes = malloc(size + !size);
    assert_non_null(bytes);
    memcpy(bytes, document, size);
    text_init(&out, 65536);
    text_put(&out, "");
    struct xml xml = xml_make(bytes, size);
    int event;
    while ((event = xml_next(&xml)) > XML_END) {
        const struct reader *name = &xml.path[xml.depth - 1];
        if (event == XML_TEXT) {
            bool fits = xml_text(&xml, value, sizeof value);
            text_format(&out, fits ? "'%s' " : "?%s ", value);
            continue;
        }
        text_put(&out, event == XML_OPEN ? "+" : "-");
        text_add(&out, name->at, rd_left(name));
        if (event == XML_OPEN && xml_attribute(&xml, "a", value, sizeof value))
            text_format(&out, "(%s)", value);
        text_put(&out, " ");
    }
    assert_int_equal(event, xml_next(&xml)); /* it stays so */
    *out_end = event;
    free(bytes);
    return out.at ? out.at : strdup("");
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *document, *read;
    } rows[] = {
        {"<x/>", "+x -x "},
        {"<x></x>", "+x -x "},
        {" \n<x />\n", "+x -x "},
        {"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <y> -->\n<x></x >\n<!-- end -->", "+x -x "},
        {"<x a='1'/>", "+x(1) -x "},
        {"<x b = \"/>\" a =\n\"it's\" />", "+x(it's) -x "},
        {"<x a='&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xe9;&#x20ac;&#x1f600;'/>",
         "+x(<>&\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80) -x "},
        {"<x a=''/>", "+x() -x "},
        {"<x>one<y/>two &amp; three</x>", "+x 'one' +y -y 'two & three' -x "},
        {"<x><![CDATA[a & <b>]]></x>", "+x 'a & <b>' -x "},
        {"<x>a<!-- b -->c<?d e?>f</x>", "+x 'a' 'c' 'f' -x "},
        {"<q:x><q:y></q:y></q:x>", "+q:x +q:y -q:y -q:x "},
        {"<x a='&nope;'>&nope;</x>", "+x ? -x "}, /* values that are none: as if not there */
        {"<x a='&#0;'>&#xd800;</x>", "+x ? -x "},
        {"<x a='&#12345678;'>&#;</x>", "+x ? -x "},
        {"<x a='&lt'>&</x>", "+x ? -x "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int end;
        char *got = read_all(rows[i].document, strlen(rows[i].document), &end);
        if (end != XML_END || strcmp(got, rows[i].read) != 0)
            fail_msg("%s: %s(%d)", rows[i].document, got, end);
        free(got);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "",
        " ",
        "x",
        "<x>",
        "</x>",
        "<x></y>",
        "<x><y></x></y>",
        "<x/><y/>",
        "<x/>y",
        "x<y/>",
        "<>",
        "< x/>",
        "<x",
        "<x a/>",
        "<x a=1/>",
        "<x a='1/>",
        "<x a='<'/>",
        "<x ='1'/>",
        "<x><!-- </x>",
        "<x><![CDATA[ ]] </x>",
        "<![CDATA[ ]]>",
        "<?x",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><x/>",
    };
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        int end;
        free(read_all(documents[i], strlen(documents[i]), &end));
        if (end != XML_BAD)
            fail_msg("%s is taken for XML", documents[i]);
    }
}

static const char whole[] = "<?xml version='1.0'?><!-- c --><domain a='&lt;7'><name>web &amp; 1"
                            "</name><devices b=\"x\"><interface/><![CDATA[<]]></devices></domain>";

static void test_prefixes(void **state)
{
    (void)state;
    for (size_t size = 0; size <= strlen(whole); size++) {
        int end;
        free(read_all(whole, size, &end));
        assert_int_equal(end, size == strlen(whole) ? XML_END : XML_BAD);
    }
}

/* Any bytes: it comes to an end. */
static void test_changed(void **state)
{
    (void)state;
    static const char changes[] = {'<', '>', '/', '"', '\'', '&', ';', '!', '-', ' ', '\0', '\xff'};
    char document[sizeof whole];
    for (size_t i = 0; i < strlen(whole); i++) {
        for (size_t k = 0; k < sizeof changes; k++) {
            int end;
            memcpy(document, whole, sizeof whole);
            document[i] = changes[k];
            free(read_all(document, strlen(whole), &end));
        }
    }
}

static void test_depth(void **state)
{
    (void)state;
    for (int depth = XML_DEPTH_MAX - 1; depth <= XML_DEPTH_MAX + 1; depth++) {
        char document[XML_DEPTH_MAX * 8] = "";
        size_t n = 0;
        for (int i = 0; i < depth; i++)
            n += (size_t)snprintf(document + n, sizeof document - n, "<x>");
        for (int i = 0; i < depth; i++)
            n += (size_t)snprintf(document + n, sizeof document - n, "</x>");
        int end;
        free(read_all(document, n, &end));
        assert_int_equal(end, depth <= XML_DEPTH_MAX ? XML_END : XML_BAD);
    }
}

static void test_paths(void **state)
{
    (void)state;
    static const char document[] = "<a><b><c/></b></a>";
    struct xml xml = xml_make(document, strlen(document));
    assert_false(xml_is_at(&xml, 0, ""));
    assert_int_equal(xml_next(&xml), XML_OPEN);
    assert_true(xml_is_at(&xml, 0, "a"));
    assert_false(xml_is_at(&xml, 0, "a/b"));
    assert_false(xml_is_at(&xml, 1, "a"));
    assert_int_equal(xml_next(&xml), XML_OPEN);
    assert_int_equal(xml_next(&xml), XML_OPEN);
    assert_true(xml_is_at(&xml, 0, "a/b/c"));
    assert_true(xml_is_at(&xml, 1, "b/c"));
    assert_false(xml_is_at(&xml, 0, "a/b"));
    assert_false(xml_is_at(&xml, 0, "a/b/"));
    assert_false(xml_is_at(&xml, 0, "a/b/c/"));
    assert_false(xml_is_at(&xml, 0, "a/b/cc"));
    assert_false(xml_is_at(&xml, 0, "a//c"));
    assert_int_equal(xml_next(&xml), XML_CLOSE);
    assert_true(xml_is_at(&xml, 0, "a/b/c"));
    assert_int_equal(xml_next(&xml), XML_CLOSE);
    assert_true(xml_is_at(&xml, 0, "a/b"));
}

/* What does not fit into the caller's room is not there. */
static void test_room(void **state)
{
    (void)state;
    static const char document[] = "<x a='12345'>12345</x>";
    struct xml xml = xml_make(document, strlen(document));
    char value[6];
    assert_int_equal(xml_next(&xml), XML_OPEN);
    assert_true(xml_attribute(&xml, "a", value, 6));
    assert_string_equal(value, "12345");
    assert_false(xml_attribute(&xml, "a", value, 5));
    assert_string_equal(value, "");
    assert_false(xml_attribute(&xml, "b", value, 6));
    assert_int_equal(xml_next(&xml), XML_TEXT);
    assert_true(xml_text(&xml, value, 6));
    assert_false(xml_text(&xml, value, 5));
    assert_string_equal(value, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_bad),
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_changed),
        cmocka_unit_test(test_depth),    cmocka_unit_test(test_paths),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
