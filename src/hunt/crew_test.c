/* A task's pieces: each once, whoever does them, however often. */
#include "hunt/crew.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAX_PIECES 1000

struct done {
    unsigned times[MAX_PIECES];
    uint64_t sum; /* what others see of it when the task is done */
};

static void piece(void *with, unsigned i)
{
    struct done *done = with;
    done->times[i]++; /* nobody else has this piece */
    __atomic_fetch_add(&done->sum, i, __ATOMIC_RELAXED);
}

static void check(struct crew *crew, unsigned n)
{
    static struct done done;
    memset(&done, 0, sizeof done);
    crew_do(crew, n, piece, &done);
    for (unsigned i = 0; i < MAX_PIECES; i++)
        assert_int_equal(done.times[i], i < n);
    assert_int_equal(done.sum, n ? (uint64_t)n * (n - 1) / 2 : 0);
}

static void test_each_once(void **state)
{
    static const unsigned n_threads[] = {0, 1, 2, 3, 8, 200};
    (void)state;
    for (size_t i = 0; i < sizeof n_threads / sizeof *n_threads; i++) {
        struct crew *crew = crew_new(n_threads[i]);
        assert_true((crew != NULL) == (n_threads[i] > 1));
        for (unsigned n = 0; n < 20; n++)
            check(crew, n);
        for (unsigned round = 0; round < 300; round++)
            check(crew, 4);
        check(crew, MAX_PIECES);
        crew_free(crew);
    }
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++)
        crew_free(crew_new(4));
    crew_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
