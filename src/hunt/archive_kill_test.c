/* A process that saves books and marks all the time, learns and tells, is killed (SIGKILL) at
 * random moments, dozens of times over one file. After each kill books and marks are of one and the
 * same saving: the last that it said was done, or the one it was at. */
#include "hunt/archive_bed.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

enum { N_ROUNDS = 60, N_OTHERS = 5000 };

struct shared {
    uint64_t n_saved; /* the number of the last saving that came back */
    uint64_t n_told;
    char failure[200];
};

static void give_up(struct shared *shared, const char *text)
{
    (void)snprintf(shared->failure, sizeof shared->failure, "%s", text);
    _exit(1);
}

/* Saving k has k connections of the pair, half of them of the second day, and marks that say k. */
static void add_one(struct hunt_engine *engine, uint64_t k)
{
    double s = (double)(k % 2) * DAY_S + (double)(k % 80000);
    bed_take(engine, bed_conn(s, k + 1, "10.0.0.5", "8.8.8.8", 443, "ssl"));
}

static uint64_t n_of(const struct hunt_engine *engine)
{
    struct pair_key key = {.src = bed_host("10.0.0.5"), .dst = bed_host("8.8.8.8")};
    struct pair_value value;
    struct books books = hunt_engine_books(engine);
    return books_find(&books, &pair_table, &key, &value) ? value.sum.n : 0;
}

static void tell_one(struct hunt_archive *a, struct shared *shared, uint64_t id)
{
    struct finding finding = {.id = id, .severity = HUNT_HIGH};
    struct err err = {""};
    bool is_told;
    if (hunt_archive_tell(a, &finding, &is_told, &err) < 0)
        give_up(shared, err.text);
    __atomic_store_n(&shared->n_told, id, __ATOMIC_SEQ_CST);
}

static void run_child(struct shared *shared, const struct hunt_settings *settings)
{
    struct err err = {""};
    struct hunt_archive *a;
    struct hunt_engine *engine;
    if (hunt_archive_open(path, false, &a, &err) != 0 ||
        hunt_engine_new(settings, hunt_archive_secret(a), &engine, &err) != 0 ||
        hunt_archive_load(a, settings, 0, engine, &err) != 0)
        give_up(shared, err.text);
    /* Enough of other pairs that a book has several pieces. */
    for (unsigned i = n_of(engine) > 0 ? N_OTHERS : 0; i < N_OTHERS; i++) {
        char dst[32];
        (void)snprintf(dst, sizeof dst, "7.%u.%u.1", i / 256, i % 256);
        bed_take(engine, bed_conn(i, 1000000 + i, "10.0.0.6", dst, 80, "http"));
    }
    for (uint64_t k = n_of(engine) + 1;; k++) {
        add_one(engine, k);
        const struct hunt_mark marks[] = {bed_mark("/logs/conn.log", k),
                                          bed_mark("/logs/\xff\xfe dns.log", k + 1)};
        if (hunt_archive_save(a, settings, engine, marks, 2, &err) != 0)
            give_up(shared, err.text);
        __atomic_store_n(&shared->n_saved, k, __ATOMIC_SEQ_CST);
        tell_one(a, shared, k);
        if (k % 4 == 0 && hunt_archive_learn(a, engine, &err) != 0)
            give_up(shared, err.text);
    }
}

static void check(const struct shared *shared, const struct hunt_settings *settings)
{
    struct err err = {""};
    struct hunt_archive *a = open_it(false);
    struct hunt_engine *engine = new_engine(settings, a);
    good(hunt_archive_load(a, settings, 0, engine, &err), &err);
    uint64_t k = saved_offset(a);
    assert_int_equal(n_of(engine), k);
    assert_true(k == shared->n_saved || k == shared->n_saved + 1);
    if (k > 0)
        assert_true(book_n(hunt_engine_books(engine).at[0], &pair_table) >= N_OTHERS);
    /* What was told is not told again; what comes next is. */
    struct finding finding = {.id = shared->n_told, .severity = HUNT_HIGH};
    bool is_told = true;
    if (shared->n_told > 0) {
        good(hunt_archive_tell(a, &finding, &is_told, &err), &err);
        assert_false(is_told);
    }
    hunt_engine_free(engine);
    hunt_archive_close(a);
}

static void test_killed(void **state)
{
    (void)state;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct hunt_settings settings;
    uint64_t chance = 12345, n_rounds_on = 0;
    assert_true(shared != MAP_FAILED);
    hunt_settings_init(&settings);
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        uint64_t before = shared->n_saved;
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        struct timespec pause = {0, (long)((chance >> 33) % 250) * 1000000l};
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            run_child(shared, &settings);
            _exit(0);
        }
        /* Each sixth one only when it has come to saving, however slow the machine is. */
        const struct timespec little = {.tv_nsec = 1000000};
        for (unsigned i = 0; round % 6 == 5 && i < 60000 && !shared->failure[0] &&
                             __atomic_load_n(&shared->n_saved, __ATOMIC_SEQ_CST) == before;
             i++)
            (void)nanosleep(&little, NULL);
        (void)nanosleep(&pause, NULL);
        int status;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (shared->failure[0])
            fail_msg("%s", shared->failure);
        check(shared, &settings);
        n_rounds_on += shared->n_saved > before;
    }
    assert_true(n_rounds_on > N_ROUNDS / 10); /* it came to saving */
    hunt_settings_done(&settings);
    assert_int_equal(munmap(shared, sizeof *shared), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_killed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
