/* Expressions of tags: what they mean, against a second evaluation of random ones; and where they
 * are wrong. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>

#include "mirror/cloud_bed.h"

static const char tags[] = "{\"env\": \"prod\", \"role\": \"db\", \"Name\": \"web-1\", \"empty\": "
                           "\"\", \"a key\": \"a (value)\", \"and\": \"or\", \"star\": \"a*b\", "
                           "\"k8s.io/cluster/x\": \"owned\", \"town\": \"K\xc3\xb6ln\"}";

static const struct {
    const char *expression;
    bool holds;
} rows[] = {
    {"env", true},
    {"Env", false},
    {"env=prod", true},
    {"env = prod", true},
    {"env=Prod", false},
    {"env=pro", false},
    {"env=pr?d", true},
    {"env=pr??d", false},
    {"env=*", true},
    {"env=p*d", true},
    {"env=*o*", true},
    {"env=*x*", false},
    {"e*=prod", true},
    {"e*=x", false},
    {"e?v", true},
    {"k8s.io/cluster/*=owned", true},
    {"empty", true},
    {"empty=\"\"", true},
    {"empty=?", false},
    {"empty=*", true},
    {"env=\"\"", false},
    {"gone=\"\"", false},
    {"\"a key\"=\"a (value)\"", true},
    {"'a key'='a (value)'", true},
    {"a' 'key=a*", true},
    {"\"a k\"e'y'", true},
    {"star=a*b", true},
    {"star='a*b'", true},
    {"Name='web-*'", false},
    {"Name=web-*", true},
    {"Name=\"web-\"*", true},
    {"star=\"a\\*b\"", true},
    {"star='a\\*b'", false},
    {"town=K?ln", true},
    {"town=K??ln", false},
    {"town=K*n", true},
    {"'and'", true},
    {"and=or", true},
    {"'and'=or", true},
    {"env!=prod", false},
    {"env!=test", true},
    {"gone!=x", true},
    {"env != test", true},
    {"not env", false},
    {"not not env", true},
    {"not gone", true},
    {"not(gone)", true},
    {"nothing", false},
    {"env=prod and role=db", true},
    {"env=prod and role=x", false},
    {"env=x or role=db", true},
    {"env=x or role=y", false},
    {"gone or env and role", true},
    {"env or gone and gone", true},
    {"(env or gone) and gone", false},
    {"not gone and env", true},
    {"not (gone and env)", true},
    {"env=prod and not (role=db or role=cache)", false},
    {"env=prod and not (role=web or role=cache)", true},
    {"(env)and(role)", true},
    {"((((env))))", true},
    {"\tenv\n", true},
};

static void test_meaning(void **state)
{
    (void)state;
    json_t *world = json_loads(tags, 0, NULL);
    struct err err;
    assert_non_null(world);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (cloud_tag_check("--tag", rows[i].expression, &err) < 0)
            fail_msg("%s", err.text);
        if (cloud_tag_holds(rows[i].expression, world) != rows[i].holds)
            fail_msg("%s", rows[i].expression);
    }
    assert_false(cloud_tag_holds("env", NULL));
    assert_true(cloud_tag_holds("not env", NULL));
    json_decref(world);
}

static const struct {
    const char *expression, *says;
} wrong[] = {
    {"", "character 1: it ends where a key was expected"},
    {"  ", "character 3: it ends where"},
    {"env=", "character 5: a value was expected"},
    {"env= )", "character 6: a value was expected"},
    {"=prod", "character 1: a key was expected"},
    {"env prod", "character 5: 'and' or 'or' was expected"},
    {"env=a=b", "character 6: 'and' or 'or' was expected"},
    {"env AND role", "character 5: 'and' or 'or' was expected"},
    {"K\xc3\xb6ln x", "character 6: 'and' or 'or'"},
    {"env and", "character 8: it ends where a key"},
    {"env and and", "a key was expected before"},
    {"or env", "a key was expected before"},
    {"not", "character 4: it ends"},
    {"(env", "character 1: this parenthesis is not closed"},
    {"a and (env or (b)", "character 7: this parenthesis is not closed"},
    {"(env b)", "character 6: 'and', 'or' or ')'"},
    {"env)", "character 4: no parenthesis is open"},
    {"()", "character 2: a key was expected"},
    {"env=\"prod", "character 5: this quote is not closed"},
    {"env='", "character 5: this quote is not closed"},
    {"env=\"\\\"", "character 5: this quote is not closed"},
    {"env!", "character 4: 'and' or 'or' was expected"},
};

static void test_wrong(void **state)
{
    (void)state;
    struct err err;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(cloud_tag_check("--tag", wrong[i].expression, &err), -EINVAL);
        if (!strstr(err.text, wrong[i].says) || strncmp(err.text, "--tag: ", 7) != 0)
            fail_msg("%s: %s", wrong[i].expression, err.text);
        assert_false(cloud_tag_holds(wrong[i].expression, NULL));
    }
}

/* As deep as is allowed, deeper, and far beyond; long words and expressions. */
static void test_limits(void **state)
{
    (void)state;
    char text[8192];
    struct err err;
    for (size_t depth = 31; depth < 1000; depth += depth < 34 ? 1 : 300) {
        memset(text, '(', depth);
        memcpy(text + depth, "a", 1);
        memset(text + depth + 1, ')', depth);
        text[2 * depth + 1] = '\0';
        int result = cloud_tag_check("--tag", text, &err);
        assert_int_equal(result, depth <= 32 ? 0 : -EINVAL);
        if (result < 0)
            assert_non_null(strstr(err.text, "character 33: there are too many parentheses"));
    }
    for (size_t len = 510; len < 515; len++) {
        memset(text, 'a', len);
        text[len] = '\0';
        assert_int_equal(cloud_tag_check("--tag", text, &err), len <= 512 ? 0 : -EINVAL);
    }
    memset(text, ' ', sizeof text - 1);
    text[0] = 'a';
    text[sizeof text - 1] = '\0';
    assert_int_equal(cloud_tag_check("--tag", text, &err), -E2BIG);
    for (size_t i = 0; i + 4 < 2000; i += 4)
        memcpy(text + i, "not ", 4);
    memcpy(text + 1996, "a", 2);
    assert_int_equal(cloud_tag_check("--tag", text, &err), 0);
}

/* A random expression and its value, made together. Precedence is left to parentheses in one half,
 * and said by the generator in the other. */
static bool make(uint64_t *random, unsigned depth, unsigned level, uint32_t world, struct text *out)
{
    uint32_t pick = bed_random(random) % 8;
    if (depth == 0 || pick < 2) {
        uint32_t key = bed_random(random) % 6;
        text_format(out, "%c", (int)('a' + key));
        return world >> key & 1;
    }
    if (pick < 4) {
        text_put(out, "not ");
        return !make(random, depth - 1, 2, world, out);
    }
    bool any = pick < 6; /* "or" inside of an "and" needs parentheses */
    bool closed = (any ? level > 0 : level > 1) || bed_random(random) % 4 == 0;
    text_put(out, closed ? "(" : "");
    bool left = make(random, depth - 1, any ? 0 : 1, world, out);
    text_put(out, any ? " or " : " and ");
    bool right = make(random, depth - 1, any ? 0 : 1, world, out);
    text_put(out, closed ? ")" : "");
    return any ? left || right : left && right;
}

static void test_random(void **state)
{
    (void)state;
    uint64_t random = 7;
    struct err err;
    unsigned n_true = 0;
    for (int i = 0; i < 4000; i++) {
        struct text text;
        text_init(&text, 1 << 16);
        uint32_t world = bed_random(&random) % 64;
        json_t *of = json_object();
        for (uint32_t k = 0; k < 6; k++)
            if (world >> k & 1)
                (void)json_object_set_new(of, (char[]){(char)('a' + k), '\0'}, json_string("x"));
        bool holds = make(&random, 6, 0, world, &text);
        if (text.size <= 2048) {
            if (cloud_tag_check("--tag", text.at, &err) < 0)
                fail_msg("%s", err.text);
            if (cloud_tag_holds(text.at, of) != holds)
                fail_msg("%s with %x is not %d", text.at, world, holds);
            n_true += holds;
        }
        json_decref(of);
        text_done(&text);
    }
    assert_in_range(n_true, 400, 3600);
}

static void count_key(const char *key, void *with)
{
    char *all = with;
    (void)snprintf(all + strlen(all), 64, "%s,", key);
}

static void test_keys(void **state)
{
    (void)state;
    char all[256] = "";
    cloud_tag_keys("env=prod and not (role or 'a key'=x) or e* or \"s*\"", count_key, all);
    assert_string_equal(all, "env,role,a key,s*,");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meaning), cmocka_unit_test(test_wrong), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random),  cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
