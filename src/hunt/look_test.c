/* Names made by chance look so, and ordinary ones do not. */
#include "hunt/look.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_entropy(void **state)
{
    (void)state;
    assert_true(look_entropy(STR("")) == 0);
    assert_true(look_entropy(STR("aaaa")) == 0);
    assert_true(fabs(look_entropy(STR("abcd")) - 2) < 1e-9);
    assert_true(fabs(look_entropy(STR("aabb")) - 1) < 1e-9);
}

static double mean(const char *const *labels, size_t n)
{
    double sum = 0;
    size_t n_said = 0;
    for (size_t i = 0; i < n; i++) {
        double r = look_random(str_c(labels[i]));
        if (r >= 0) {
            sum += r;
            n_said++;
        }
    }
    return n_said ? sum / (double)n_said : 0;
}

static void test_random(void **state)
{
    (void)state;
    static const char *const ordinary[] = {
        "wikipedia",    "stackoverflow", "weatherchannel", "newspaper",  "universitaet",
        "googlevideo",  "cloudfront",    "facebookmail",   "sportschau", "marketplace",
        "blog-hosting", "deutschebahn",  "theguardian",    "openstreet", "softwareupdate",
    };
    static const char *const by_chance[] = {
        "xkqjzvwpfgh", "qzmxwjvbk",  "vtfyqwxcdl", "hxgqjpzkwd", "kq7zx9wvb3m",
        "zqxjvkbwpm",  "pfxqzwgvjh", "jxhqkzvwtb", "wqzpxkvjcg", "gvxqjzkfwp",
    };
    assert_true(mean(ordinary, sizeof ordinary / sizeof ordinary[0]) < 0.2);
    assert_true(mean(by_chance, sizeof by_chance / sizeof by_chance[0]) > LOOK_RANDOM);
    assert_true(look_random(STR("short")) < 0);
    assert_true(look_random(STR("")) < 0);
    assert_true(look_random(STR("\xff\xfe\x00zz")) < 0);
}

static void test_names(void **state)
{
    (void)state;
    char out[256];
    assert_true(str_eq(look_name(STR("WWW.Example.Com."), out), STR("www.example.com")));
    assert_false(str_set(look_name(STR("."), out)));
    assert_false(str_set(look_name(STR(""), out)));
    assert_true(str_eq(look_main_label(STR("example.co.uk")), STR("example")));
    assert_true(str_eq(look_main_label(STR("single")), STR("single")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
