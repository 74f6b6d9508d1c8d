/* Plans: which step each difference becomes, in which order, and why. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "mirror/set_bed.h"

/* What stands on something else may not change in place, unless its key says so. */
static bool may_change(const struct mirror_object *have, const struct mirror_object *want)
{
    assert_string_equal(have->kind, want->kind);
    assert_string_equal(have->key, want->key);
    return strstr(want->key, "soft") != NULL;
}

static void check(const char *wanted, const char *found, size_t n_changes, const char *expected)
{
    struct mirror_set want = bed_set(wanted), have = bed_set(found);
    struct mirror_plan plan = {0};
    assert_true(mirror_plan_make(&want, &have, may_change, &plan));
    char *text = bed_plan_text(&plan);
    assert_string_equal(text ? text : "", expected);
    assert_int_equal(plan.n_changes, n_changes);
    for (size_t i = 0; i < plan.n; i++) {
        assert_int_equal(plan.at[i].want == NULL, plan.at[i].action == MIRROR_UNMAKE);
        if (plan.at[i].action == MIRROR_MAKE)
            assert_null(plan.at[i].have);
        else
            assert_non_null(plan.at[i].have);
    }
    free(text);
    mirror_plan_done(&plan);
    mirror_set_done(&want);
    mirror_set_done(&have);
}

static void test_actions(void **state)
{
    (void)state;
    check("[]", "[]", 0, "");
    check("[['link','a',{}]]", "[]", 1, "+ link a");
    check("[]", "[['link','a',{'x':1}]]", 1, "- link a: no longer wanted");
    check("[['link','a',{'x':1}]]", "[['link','a',{'x':1}]]", 0, "= link a");
    check("[['link','a',{'x':1}]]", "[['link','a',{'x':2}]]", 1, "~~ link a: x is 2, should be 1");
    check("[['link','soft',{'x':1}]]", "[['link','soft',{'x':2}]]", 1,
          "~ link soft: x is 2, should be 1");
    /* The same key of another kind is another object. */
    check("[['link','a',{}]]", "[['filter','a',{}]]", 2, "- filter a: no longer wanted; + link a");
}

/* What a found object has beside what is wanted decides nothing; what it lacks does. */
static void test_values(void **state)
{
    (void)state;
    check("[['l','a',{}]]", "[['l','a',{'mtu':1500,'x':[1,{'y':null}]}]]", 0, "= l a");
    check("[['l','a',{'x':1}]]", "[['l','a',{'y':1}]]", 1, "~~ l a: x is missing, should be 1");
    check("[['l','a',{'x':null}]]", "[['l','a',{}]]", 1, "~~ l a: x is missing, should be null");
    check("[['l','a',{'x':'1'}]]", "[['l','a',{'x':1}]]", 1, "~~ l a: x is 1, should be 1");
    check("[['l','a',{'x':true}]]", "[['l','a',{'x':false}]]", 1,
          "~~ l a: x is false, should be true");
    check("[['l','a',{'x':['b','a']}]]", "[['l','a',{'x':['a','b']}]]", 1,
          "~~ l a: x is [\"a\",\"b\"], should be [\"b\",\"a\"]");
    check("[['l','a',{'x':{'a':1,'b':2}}]]", "[['l','a',{'x':{'b':2,'a':1}}]]", 0, "= l a");
    check("[['l','a',{'x':''}]]", "[['l','a',{'x':'down'}]]", 1, "~~ l a: x is down, should be ");
    /* A reason is cut, not the plan. */
    check("[['l','a',{'x':'0123456789012345678901234567890123456789012345678901234567890123456789'"
          "}]]",
          "[['l','a',{'x':1}]]", 1,
          "~~ l a: x is 1, should be 01234567890123456789012345678901234567890123456789012345678");
}

#define LINK1   "['link','a',{'x':1}]"
#define LINK2   "['link','a',{'x':2}]"
#define FILTER  "['filter','f',{},[['link','a']]]"
#define RULE    "['rule','r',{},[['filter','f']]]"
#define CHANGED "['link','soft',{'x':2}]"

/* What stands on something that is made has to be made, over any number of steps; what stands on
 * something that is only changed has not. */
static void test_dependents(void **state)
{
    (void)state;
    check("[" LINK1 "," FILTER "," RULE "]", "[" LINK1 ",['filter','f',{}],['rule','r',{}]]", 0,
          "= link a; = filter f; = rule r");
    check("[" LINK1 "," FILTER "," RULE "]", "[" LINK2 ",['filter','f',{}],['rule','r',{}]]", 3,
          "~~ link a: x is 2, should be 1; ~~ filter f: stands on the link a, which is made; "
          "~~ rule r: stands on the filter f, which is made");
    check("[" LINK1 "," FILTER "," RULE "]", "[['filter','f',{}],['rule','r',{}]]", 3,
          "+ link a; ~~ filter f: stands on the link a, which is made; "
          "~~ rule r: stands on the filter f, which is made");
    check("[" LINK1 "," FILTER "," RULE "]", "[" LINK2 "]", 3,
          "~~ link a: x is 2, should be 1; + filter f; + rule r");
    check("[['link','soft',{'x':1}],['filter','f',{},[['link','soft']]]]",
          "[" CHANGED ",['filter','f',{}]]", 1, "~ link soft: x is 2, should be 1; = filter f");
    /* One that could be changed in place has to be made anew where what it stands on is. */
    check("[" LINK1 ",['filter','soft',{'y':1},[['link','a']]]]",
          "[" LINK2 ",['filter','soft',{'y':2}]]", 2,
          "~~ link a: x is 2, should be 1; ~~ filter soft: stands on the link a, which is made");
    /* Of several that it stands on one is enough; one that is no object of ours says nothing. */
    check("[['l','b',{}]," LINK1 ",['f','f',{},[['l','b'],['x','none'],['link','a']]]]",
          "[['l','b',{}]," LINK2 ",['f','f',{}]]", 2,
          "= l b; ~~ link a: x is 2, should be 1; ~~ f f: stands on the link a, which is made");
}

/* What is not wanted comes first, the last that was made before the others. */
static void test_order(void **state)
{
    (void)state;
    check("[['l','n',{}],['l','m',{}]]", "[['l','a',{}],['l','m',{}],['l','b',{}],['l','c',{}]]", 4,
          "- l c: no longer wanted; - l b: no longer wanted; - l a: no longer wanted; "
          "+ l n; = l m");
}

static void test_nobody_may_change(void **state)
{
    (void)state;
    struct mirror_set want = bed_set("[['l','soft',{'x':1}]]"),
                      have = bed_set("[['l','soft',{'x':2}]]");
    struct mirror_plan plan;
    assert_true(mirror_plan_make(&want, &have, NULL, &plan));
    assert_int_equal(plan.at[0].action, MIRROR_REMAKE);
    mirror_plan_done(&plan);
    assert_int_equal(plan.n, 0);
    mirror_plan_done(&plan);
    mirror_set_done(&want);
    mirror_set_done(&have);
}

static void test_signs(void **state)
{
    (void)state;
    assert_int_equal(mirror_action_sign(MIRROR_KEEP), '=');
    assert_int_equal(mirror_action_sign(MIRROR_MAKE), '+');
    assert_int_equal(mirror_action_sign(MIRROR_CHANGE), '~');
    assert_int_equal(mirror_action_sign(MIRROR_REMAKE), '~');
    assert_int_equal(mirror_action_sign(MIRROR_UNMAKE), '-');
    assert_int_equal(mirror_action_sign(99), '?');
}

/* Sets: what does not fit is refused, and said at the end. */
static void test_sets(void **state)
{
    (void)state;
    struct mirror_set set = {0};
    char key[MIRROR_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    key[MIRROR_KEY_MAX] = '\0';
    assert_null(mirror_set_add(&set, "link", key, json_object()));
    assert_true(set.failed);
    set.failed = false;
    key[MIRROR_KEY_MAX - 1] = '\0';
    assert_non_null(mirror_set_add(&set, "link", key, json_object()));
    assert_ptr_equal(mirror_set_get(&set, "link", key), &set.at[0]);
    assert_null(mirror_set_get(&set, "links", key));
    assert_null(mirror_set_get(&set, "link", "k"));
    assert_false(set.failed);
    assert_null(mirror_set_add(&set, "link", "a", NULL));
    assert_true(set.failed);
    set.failed = false;
    /* Without an object nothing happens. */
    mirror_object_on(&set, NULL, "link", "a");
    mirror_object_why(NULL, "%s", "x");
    mirror_object_why(&set.at[0], "%s %d", "because", 7);
    assert_string_equal(set.at[0].why, "because 7");
    /* No JSON text can be made of this. */
    mirror_object_on(&set, &set.at[0], "link", "\xff");
    assert_true(set.failed);
    mirror_set_done(&set);
    assert_int_equal(set.n, 0);
    assert_false(set.failed);
    mirror_set_done(&set);
}

static void test_largest_set(void **state)
{
    (void)state;
    struct mirror_set set = {0};
    json_t *is = json_object();
    for (size_t i = 0; i < MIRROR_SET_MAX; i++)
        assert_non_null(mirror_set_add(&set, "l", "k", json_incref(is)));
    assert_false(set.failed);
    assert_null(mirror_set_add(&set, "l", "k", json_incref(is)));
    assert_true(set.failed);
    assert_int_equal(set.n, MIRROR_SET_MAX);
    mirror_set_done(&set);
    assert_int_equal(is->refcount, 1);
    json_decref(is);
}

static void test_each_of_many_is_found(void **state)
{
    (void)state;
    struct mirror_set set = {0};
    char key[MIRROR_KEY_MAX];
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof key, "eni-%08x", i * 2654435761u);
        assert_non_null(mirror_set_add(&set, i % 2 ? "session" : "rule", key, json_object()));
    }
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof key, "eni-%08x", i * 2654435761u);
        assert_ptr_equal(mirror_set_get(&set, i % 2 ? "session" : "rule", key), &set.at[i]);
        assert_null(mirror_set_get(&set, i % 2 ? "rule" : "session", key));
    }
    set.n--; /* the last one is taken out again */
    json_decref(set.at[set.n].is);
    assert_null(mirror_set_get(&set, "session", key));
    mirror_set_done(&set);
    assert_null(mirror_set_get(&set, "session", key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_of_many_is_found),
        cmocka_unit_test(test_actions),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_dependents), cmocka_unit_test(test_order),
        cmocka_unit_test(test_signs),      cmocka_unit_test(test_nobody_may_change),
        cmocka_unit_test(test_sets),       cmocka_unit_test(test_largest_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
