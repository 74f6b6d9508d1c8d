/* The engine, killed: at every point of an apply and of a remove, and at random ones between random
 * wishes. Whatever was half there, the next apply makes the world what was wished for, the next
 * remove leaves nothing of ours, and nothing of others is touched. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "mirror/engine_bed.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    memset(bed_world, 0, sizeof *bed_world);
    bed_folder(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    assert_string_equal(bed_world->fault, "");
    bed_folder_done(folder);
    return 0;
}

/* In a child; true: it was killed at the point that was set. `wanted` NULL: remove. */
static bool run_killed(const char *name, const char *wanted)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err;
        size_t n;
        int result =
            wanted ? bed_apply(folder, name, wanted, &err) : bed_remove(folder, name, &n, &err);
        _exit(result < 0 ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(status, 0);
    return false;
}

static void apply(const char *wanted)
{
    struct err err = {""};
    bed_forget_calls();
    if (bed_apply(folder, "m", wanted, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(bed_plan(folder, "m", wanted, &err), 0);
}

static void remove_it(void)
{
    struct err err = {""};
    size_t n;
    bed_forget_calls();
    if (bed_remove(folder, "m", &n, &err) < 0)
        fail_msg("%s", err.text);
}

/* Neither the marks nor the journal know of it. */
static void check_nothing(void)
{
    struct mirror_journal *journal = NULL;
    struct mirror_entry *entries = NULL;
    struct mirror_set set = {0};
    size_t n = 0;
    struct err err;
    char text[1024];
    bed_world_text("m", text);
    assert_string_equal(text, "");
    assert_int_equal(mirror_journal_open(folder, false, &journal, &err), 0);
    assert_int_equal(mirror_journal_list(journal, &entries, &n, &err), 0);
    assert_int_equal(mirror_journal_objects(journal, "bed", "m", &set, &err), 0);
    for (size_t i = 0; i < n; i++)
        assert_string_not_equal(entries[i].name, "m");
    assert_int_equal(set.n, 0);
    mirror_entries_free(entries, n);
    mirror_journal_close(journal);
}

#define BARE(x)   "['bare','b',{'x':" #x "}]"
#define LINK(x)   "['link','a',{'x':" #x "}]"
#define SOFT(x)   "['soft','s',{'y':" #x "},[['link','a']]]"
#define FILTER(x) "['filter','f',{'z':" #x "},[['bare','b'],['link','a']]]"

/* From one wish to another, by all that can happen to an object. */
static const struct {
    const char *before, *after, *world;
} changes[] = {
    {"[]", "[" LINK(1) "," SOFT(1) "," BARE(1) "," FILTER(1) "]",
     "link a{\"x\":1}, soft s{\"y\":1}, bare b{\"x\":1}, filter f{\"z\":1}"},
    {"[" LINK(1) "," SOFT(1) "," BARE(1) "," FILTER(1) "]",
     "[" LINK(2) "," SOFT(1) "," BARE(1) "," FILTER(1) "]", NULL},
    {"[" LINK(1) "," SOFT(1) "," BARE(1) "," FILTER(1) "]", "[" LINK(1) "," SOFT(2) "," BARE(2) "]",
     NULL},
    {"[" LINK(1) "," SOFT(1) "," BARE(1) "," FILTER(1) "]", "[" BARE(1) ",['link','n',{}]]", NULL},
};

/* The world has what is wished for, each once, and no more. */
static void check_wish(const char *wanted)
{
    struct mirror_set set = bed_set(wanted);
    size_t n = 0;
    for (size_t i = 0; i < bed_world->n; i++)
        n += strcmp(bed_world->at[i].owner, "m") == 0;
    assert_int_equal(n, set.n);
    for (size_t i = 0; i < set.n; i++) {
        const struct bed_thing *thing = bed_thing(set.at[i].kind, set.at[i].key);
        char is[256];
        assert_non_null(thing);
        bed_put_json(set.at[i].is, is);
        assert_string_equal(thing->is, is);
        assert_string_equal(thing->owner, "m");
    }
    mirror_set_done(&set);
}

static void test_apply(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        unsigned at = 0;
        for (bool killed = true; killed;) {
            apply(changes[i].before);
            bed_forget_calls();
            bed_world->kill_at = ++at;
            killed = run_killed("m", changes[i].after);
            assert_true(at < 100);
            apply(changes[i].after);
            check_wish(changes[i].after);
            /* Once more, and away with what is left. */
            remove_it();
            apply(changes[i].before);
            bed_forget_calls();
            bed_world->kill_at = at;
            (void)run_killed("m", changes[i].after);
            remove_it();
            check_nothing();
        }
        /* Between all lines of the journal: four points for each call, and the proof. */
        assert_true(at > bed_world->n_calls);
        assert_true(at >= 10);
    }
}

static void test_remove(void **state)
{
    (void)state;
    const char *wanted = changes[0].after;
    unsigned at = 0;
    for (bool killed = true; killed;) {
        apply(wanted);
        bed_forget_calls();
        bed_world->kill_at = ++at;
        killed = run_killed("m", NULL);
        remove_it();
        check_nothing();
        apply(wanted);
        bed_forget_calls();
        bed_world->kill_at = at;
        (void)run_killed("m", NULL);
        apply(wanted);
        check_wish(wanted);
    }
    assert_int_equal(at, 4 * 4 + 1);
}

/* Killed twice, at every pair of points. */
static void test_twice(void **state)
{
    (void)state;
    for (unsigned first = 1; first <= 17; first += 7) {
        unsigned at = 0;
        for (bool killed = true; killed;) {
            remove_it();
            bed_forget_calls();
            bed_world->kill_at = first;
            (void)run_killed("m", changes[0].after);
            bed_forget_calls();
            bed_world->kill_at = ++at;
            killed = run_killed("m", changes[0].after);
            apply(changes[0].after);
            check_wish(changes[0].after);
        }
    }
    remove_it();
    check_nothing();
}

/* The journal is lost as well: what carries a mark is found all the same. */
static void test_lost_journal(void **state)
{
    (void)state;
    static const char marked[] = "[" LINK(1) "," SOFT(1) ",['filter','f',{},[['link','a']]]]";
    unsigned at = 0;
    for (bool killed = true; killed;) {
        bed_forget_calls();
        bed_world->kill_at = ++at;
        killed = run_killed("m", marked);
        bed_lose_journal(folder);
        if (at % 2) {
            apply(marked);
            check_wish(marked);
            bed_lose_journal(folder);
        }
        remove_it();
        check_nothing();
    }
}

/* ---- at random ---- */

static unsigned below(uint64_t *seed, unsigned n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33) % n;
}

/* Up to eight objects, each standing on some of those before it, which its attributes say as well.
 */
static void random_wish(uint64_t *seed, char out[2048])
{
    static const char *const kinds[] = {"link", "soft", "bare", "filter"};
    char keys[8][32];
    unsigned n = below(seed, 9), n_put = 0;
    size_t len = (size_t)snprintf(out, 2048, "[");
    for (unsigned i = 0; i < n; i++) {
        char *key = keys[n_put], on[2048] = "";
        bool taken = false;
        (void)snprintf(key, sizeof keys[0], "'%s','%c'", kinds[below(seed, 4)],
                       "abcd"[below(seed, 4)]);
        for (unsigned k = 0; k < n_put; k++)
            taken |= strcmp(keys[k], key) == 0;
        if (taken)
            continue;
        for (unsigned k = 0; k < n_put; k++)
            if (below(seed, 3) == 0)
                (void)snprintf(on + strlen(on), sizeof on - strlen(on), "%s[%s]", *on ? "," : "",
                               keys[k]);
        len += (size_t)snprintf(out + len, 2048 - len, "%s[%s,{'x':%u,'on':[%s]},[%s]]",
                                n_put++ ? "," : "", key, below(seed, 3), on, on);
    }
    (void)snprintf(out + len, 2048 - len, "]");
}

/* What others do meanwhile: they take away what is ours, as long as nothing stands on it, or change
 * it. */
static void meddle(uint64_t *seed)
{
    for (size_t i = bed_world->n; i-- > 0;) {
        struct bed_thing *thing = &bed_world->at[i];
        if (strcmp(thing->owner, "m") != 0 || below(seed, 4))
            continue;
        if (below(seed, 2)) {
            char *x = strstr(thing->is, "\"x\":");
            if (x)
                x[4] = (char)('0' + below(seed, 3));
        } else if (!bed_upon(thing->kind, thing->key)) {
            memmove(thing, thing + 1, (bed_world->n - i - 1) * sizeof *thing);
            bed_world->n--;
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    uint64_t seed = 20261122;
    char theirs[1024], others[1024], now[1024];
    struct err err;
    const char *rounds = getenv("MIRROR_ROUNDS");
    unsigned n_rounds = rounds ? (unsigned)strtoul(rounds, NULL, 10) : 40, n_killed = 0,
             n_refused = 0;
    bed_put_thing("", "link", "A", NULL, NULL);
    bed_put_thing("", "bare", "B", NULL, NULL);
    assert_int_equal(bed_apply(folder, "other", "[['link','o',{}],['bare','p',{}]]", &err), 0);
    bed_world_text("", theirs);
    bed_world_text("other", others);
    for (unsigned i = 0; i < n_rounds; i++) {
        char wish[2048];
        random_wish(&seed, wish);
        for (unsigned k = below(&seed, 4); k > 0; k--) {
            bed_forget_calls();
            bed_world->kill_at = 1 + below(&seed, 40);
            n_killed += run_killed("m", below(&seed, 5) ? wish : NULL);
            if (below(&seed, 3) == 0)
                random_wish(&seed, wish);
        }
        if (below(&seed, 3) == 0) {
            bed_forget_calls();
            bed_world->refuse_at = 1 + below(&seed, 8);
            n_refused += bed_apply(folder, "m", wish, &err) < 0;
        }
        if (below(&seed, 3) == 0)
            meddle(&seed);
        if (below(&seed, 4)) {
            apply(wish);
            check_wish(wish);
        } else {
            remove_it();
            check_nothing();
        }
        bed_world_text("", now);
        assert_string_equal(now, theirs);
        bed_world_text("other", now);
        assert_string_equal(now, others);
    }
    remove_it();
    check_nothing();
    assert_true(n_killed > n_rounds / 4);
    assert_true(n_refused > n_rounds / 20);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_apply),        TEST(test_remove), TEST(test_twice),
        TEST(test_lost_journal), TEST(test_random),
    };
    bed_world_make();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
