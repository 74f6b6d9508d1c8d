/* Types of files: the table is in order and can be read, each signature is reachable, and contents
 * of all kinds have the type they should have. */
#include "proto/mime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/mime_match.h"

static const char *type_of(const void *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    const char *mime = mime_of(exact, size);
    free(exact);
    return mime ? mime : "-";
}

static const struct {
    struct str content;
    const char *mime;
} rows[] = {
#define ROW(text, mime)                                                                            \
    {                                                                                              \
        {text, sizeof(text) - 1}, mime                                                             \
    }
    ROW("", "-"),
    ROW("short", "-"),
    ROW("long enough", "text/plain"),
    ROW("ten\001bytes--", "-"),
    ROW("\xef\xbb\xbflong enough", "text/plain"),
    ROW("<html>", "text/html"),
    ROW("\xef\xbb\xbf \r\n <!-- x --> <!DOCTYPE  HTML PUBLIC", "text/html"),
    ROW("<!-- <html -->text text", "text/plain"),
    ROW("<!-- a --> <!-- b --><?xml version=\"1.0\"?><!-- c --><rss version", "text/rss"),
    ROW("<?xml version='1.0'?><feed xmlns=\"http://www.w3.org/2005/Atom\">", "text/atom"),
    ROW("<?xml version=\"1.0\"?> <svg xmlns", "image/svg+xml"),
    ROW("<?xml version=\"1.0\"?> <soap:Envelope", "application/soap+xml"),
    ROW("<?xml version=\"1.0\"?> <thing", "application/xml"),
    ROW("<body onload=", "text/html"),
    ROW("{ \"key\" : 12", "text/json"),
    ROW("{\"key\" 12 and on", "text/plain"),
    ROW("[1, 2]", "text/json"),
    ROW("[[1]]", "text/json"),
    ROW("{}", "text/json"),
    ROW("[section]\nkey = value", "text/ini"),
    ROW("#!/bin/sh\n", "text/x-shellscript"),
    ROW("#! /usr/bin/env python3\n", "text/x-python"),
    ROW("(function() { return", "application/javascript"),
    ROW("<script type=\"text/javascript\">", "application/javascript"),
    ROW("@echo  off\r\n", "text/x-msdos-batch"),
    ROW("text before <?php echo", "text/x-php"),
    ROW("--- a\n+++ b\n@@ -1 +1 @@\n", "text/x-diff"),
    ROW("MZ\220\0\3\0\0\0", "application/x-dosexec"),
    ROW("\x7f"
        "ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0",
        "application/x-executable"),
    ROW("PK\3\4\24\0\0\0\10\0", "application/zip"),
    ROW("PK\3\4\24\0\6\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0[Content_Types].xml and so on "
        "PK\3\4\24\0\6\0\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0word/document.xml",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ROW("\x1f\x8b\10", "application/x-gzip"),
    ROW("\x89PNG\r\n", "image/png"),
    ROW("GIF89a", "image/gif"),
    ROW("\xff\xd8\xff\xe0", "image/jpeg"),
    ROW("\xff\xfb\x90", "audio/mpeg"),
    ROW("RIFF\1\2\3\4WEBPVP8 ", "image/webp"),
    ROW("\0\0\0\x18"
        "ftypmp42",
        "video/mp4"),
    ROW("%PDF-1.4", "application/pdf"),
    ROW("\0\1\0\0\0\20", "application/x-font-ttf"),
    ROW("MSCF\0\0\0\0", "application/vnd.ms-cab-compressed"),
    ROW("0123456789ab\6\5\x2b\x0e\3\2\x1a", "application/ocsp-request"),
#undef ROW
};

static void test_types(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(type_of(rows[i].content.at, rows[i].content.len), rows[i].mime);
}

/* No prefix of any of them reads too far. */
static void test_prefixes(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t n = 0; n <= rows[i].content.len; n++)
            type_of(rows[i].content.at, n);
}

static void test_tar(void **state)
{
    char block[512] = "name.txt";
    memcpy(block + 100, "0000644\0000001750\0000001750\00000000000144\00014371573103\000012345\0 0",
           57);
    assert_string_equal(type_of(block, sizeof block), "application/x-tar");
    block[105] = 'x';
    assert_string_equal(type_of(block, sizeof block), "-");
}

/* Bytes that a pattern matches: the first of each set, nothing for a star. */
static size_t example(struct str p, char *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < p.len;) {
        char c = p.at[i];
        if (c == '*') {
            i++;
            continue;
        }
        if (c == '[') {
            c = p.at[i + 1] == '\\' ? p.at[i + 2] : p.at[i + 1];
            while (p.at[i] != ']')
                i += p.at[i] == '\\' ? 2 : 1;
            i++;
        } else if (c == '\\') {
            c = p.at[i + 1];
            i += 2;
        } else {
            c = c == '.' ? 'x' : c;
            i++;
        }
        int times = 1;
        if (i < p.len && p.at[i] == '{') {
            times = atoi(p.at + i + 1);
            while (p.at[i++] != '}')
                ;
        }
        while (times-- > 0)
            out[n++] = c;
    }
    return n;
}

static void test_table(void **state)
{
    for (size_t i = 0; i < mime_n_signatures; i++) {
        const struct mime_signature *m = &mime_signatures[i];
        char content[4096];
        size_t n = example(m->pattern, content);
        assert_true(mime_match(m->pattern, str_make(content, n)));
        assert_false(mime_match(m->pattern, str_make(content, n - 1)));
        assert_string_not_equal(type_of(content, n), "-");
        assert_non_null(strchr(m->mime, '/'));
        assert_true(m->key < 0 || content[m->key_at] == (char)m->key);
        uint8_t first = i < mime_begins_with[256] ? (uint8_t)content[0] : 0;
        bool alone = i < mime_begins_with[256];
        assert_true(!alone || (m->key_at == 0 && m->key == first));
        assert_true(!alone || (i >= mime_begins_with[first] && i < mime_begins_with[first + 1]));
        bool begins = i == mime_begins_with[alone ? first : 256];
        assert_true(begins || m->strength <= mime_signatures[i - 1].strength);
    }
}

static void test_stars(void **state)
{
    assert_true(mime_match(STR("a*bc*d"), STR("a bbc bd")));
    assert_true(mime_match(STR("*x{3}y"), STR("xxxxxxy")));
    assert_false(mime_match(STR("a*bc*d"), STR("a bd bc")));
    assert_true(mime_match(STR("\\*[a-c\\]]{2}"), STR("*]b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types), cmocka_unit_test(test_prefixes), cmocka_unit_test(test_tar),
        cmocka_unit_test(test_table), cmocka_unit_test(test_stars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
