/* Extensions of URIs, and which of them go with a type. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "hunt/rita_mime.h"

static void test_extensions(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *extension;
    } rows[] = {
        {"/", ""},
        {"", ""},
        {"/rpc.flow", "flow"},
        {"/a/b.tar.gz", "gz"},
        {"/min-foot.js?v=1.2", "js"},
        {"/a.b/c", ""},
        {"/a.b/", ""},
        {"/topsites/category;0/Top/Business/", ""},
        {"/x.", ""},
        {"/x.js#y.css", "js"},
        {"/?a=b.css", ""},
        {"/q?u=http://h/x.css", ""},
        {"http://example.com/a/b.css", "css"},
        {"http://example.com", ""},
        {"http://example.com/", ""},
        {".js", "js"},
        {"js", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str extension = rita_uri_extension(str_c(rows[i].uri));
        if (!str_eq(extension, str_c(rows[i].extension)))
            fail_msg("%s: %.*s", rows[i].uri, (int)extension.len, extension.at);
    }
}

static void test_mismatches(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *type;
        bool mismatch;
    } rows[] = {
        {"/rpc.flow", "text/plain", true},
        {"/min-foot.js", "text/html", true},
        {"/LabGrotesque-Regular.woff", "text/html", true},
        {"/topsites/category;0/Top/Business/", "text/html", true},
        {"/index.html", "text/html", false},
        {"/INDEX.HTM", "Text/HTML", false},
        {"/index.htmlx", "text/html", true},
        {"/index.ht", "text/html", true},
        {"/", "text/html", false},
        {"/?q", "text/html", true},
        {"", "text/html", false},
        {"/a.txt", "text/plain", false},
        {"/a.exe", "application/octet-stream", false}, /* not a text type */
        {"/a.css", "text/x-made-up", false},
        {"/a", "text/t140", false}, /* has no extension */
        {"/a.b", "text/t140", true},
        {"/a.js", "text/javascript", false},
        {"/a.vcf", "text/vcard", false},
        {"/a.wmls", "text/vnd.wap.wmlscript", false},
        {"/a.x", "text/1d-interleaved-parityfec", true}, /* the table's first, and last */
        {"/a.xml", "text/xml-external-parsed-entity", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rita_mime_mismatch(str_c(rows[i].uri), str_c(rows[i].type)) != rows[i].mismatch)
            fail_msg("%s as %s", rows[i].uri, rows[i].type);
    assert_false(rita_mime_mismatch(str_c("/a.js"), (struct str){0}));
    assert_false(rita_mime_mismatch((struct str){0}, str_c("text/html")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_mismatches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
