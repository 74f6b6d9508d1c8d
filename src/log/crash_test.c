/* A process that writes, changes files and archives them all the time is killed (SIGKILL) at random
 * moments, dozens of times over one folder. Then each line that it counted as written is there
 * exactly once, those of one worker without a hole, and each file is whole.
 */
#include "log/live_bed.h"
#include "log/period.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
    N_ROUNDS = 120,
    N_WORKERS = 3,
    N_LOGS = N_WORKERS + 1, /* one of each worker, and one that all write to */
    N_LINES = 1 << 18,      /* of a worker in one log in one round, at most */
    PERIOD = 60,
    PERIOD_LINES = 1000, /* of each worker, so that the archiver can follow */
};

/* What the killed process tells, and the clock, which only goes on. */
struct shared {
    int64_t now; /* ns since the epoch */
    uint64_t n_counted[N_ROUNDS][N_LOGS];
    uint64_t n_opened; /* rounds that came so far */
    uint64_t n_rotated, n_archived, n_removed, n_pending;
    uint64_t n_allowed;             /* lines of each worker in this round */
    struct log_recovered recovered; /* the sum */
    char failure[200];
};

struct child {
    struct shared *shared;
    struct log_set *set;
    uint64_t round, worker;
};

static const struct log_column columns[] = {{"ts", LOG_TIME},       {"round", LOG_COUNT},
                                            {"worker", LOG_COUNT},  {"n", LOG_COUNT},
                                            {"filler", LOG_STRING}, {"end", LOG_STRING}};
static const struct log_schema schemas[N_LOGS] = {
    {.name = "own0", LOG_COLUMNS(columns)},
    {.name = "own1", LOG_COLUMNS(columns)},
    {.name = "own2", LOG_COLUMNS(columns)},
    {.name = "all", LOG_COLUMNS(columns)},
};

static const char filler[] = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrst";

/* ---- the process that is killed ---- */

static int64_t shared_clock(void *with)
{
    struct shared *shared = with;
    return __atomic_load_n(&shared->now, __ATOMIC_RELAXED);
}

static void give_up(struct shared *shared, const char *text)
{
    snprintf(shared->failure, sizeof shared->failure, "%s", text);
    _exit(1);
}

static void raise_to(uint64_t *at, uint64_t value)
{
    uint64_t old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (old < value &&
           !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

static void publish(struct child *child)
{
    struct log_stats stats[N_LOGS];
    size_t n = log_set_stats(child->set, stats, N_LOGS);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < N_LOGS; k++)
            if (stats[i].name == schemas[k].name)
                raise_to(&child->shared->n_counted[child->round][k], stats[i].n_lines);
}

static void *work(void *with)
{
    struct child *child = with;
    struct log_writer *writer = log_writer_new(child->set);
    for (uint64_t n = 0; n < N_LINES; n++) {
        while (n >= __atomic_load_n(&child->shared->n_allowed, __ATOMIC_RELAXED))
            sched_yield();
        for (int all = 0; all < 2; all++) {
            struct rec *rec = log_begin(writer, &schemas[all ? N_WORKERS : child->worker]);
            rec_time(rec, shared_clock(child->shared));
            rec_count(rec, child->round);
            rec_count(rec, child->worker);
            rec_count(rec, n);
            rec_str(rec, str_make(filler, 1 + n % (sizeof filler - 1)));
            rec_str(rec, STR("end"));
            log_end(rec);
        }
        if (n % 50 == 49) {
            log_writer_flush(writer);
            publish(child);
        }
    }
    while (pause() < 0) /* to be killed */
        continue;
    return NULL;
}

static void *archive(void *with)
{
    struct child *child = with;
    for (;;) {
        struct log_archive_result result;
        struct err err;
        if (log_archive_step(child->set, NULL, &result, &err) < 0)
            give_up(child->shared, err.text);
        __atomic_fetch_add(&child->shared->n_archived, result.n_archived, __ATOMIC_RELAXED);
        __atomic_store_n(&child->shared->n_pending, result.n_pending, __ATOMIC_RELAXED);
        __atomic_fetch_add(&child->shared->n_removed, result.n_removed, __ATOMIC_RELAXED);
        sched_yield();
    }
    return NULL;
}

static void run_child(struct shared *shared, const char *folder, uint64_t round)
{
    struct log_live_options live = {
        .utc = true, .period = PERIOD, .clock = shared_clock, .with = shared};
    struct log_set_options options = {.folder = folder,
                                      .format = round % 4 == 3 ? LOG_FORMAT_JSON : LOG_FORMAT_TSV,
                                      .live = &live};
    struct log_set *set;
    struct log_recovered r;
    struct err err;
    if (log_set_open(&options, &set, &err) < 0)
        give_up(shared, err.text);
    log_set_recovered(set, &r);
    shared->recovered.n_files += r.n_files;
    shared->recovered.n_cut_bytes += r.n_cut_bytes;
    shared->recovered.n_empty += r.n_empty;
    shared->recovered.n_waiting += r.n_waiting;
    shared->n_opened++;
    shared->n_allowed = PERIOD_LINES;
    shared->n_pending = r.n_waiting + r.n_files;
    pthread_t thread;
    struct child children[N_WORKERS];
    for (uint64_t i = 0; i < N_WORKERS; i++) {
        children[i] = (struct child){shared, set, round, i};
        if (pthread_create(&thread, NULL, work, &children[i]) != 0)
            give_up(shared, "no thread");
    }
    if (pthread_create(&thread, NULL, archive, &children[0]) != 0)
        give_up(shared, "no thread");
    for (;;) {
        if (__atomic_load_n(&shared->n_pending, __ATOMIC_RELAXED) < 60)
            __atomic_fetch_add(&shared->now, 7 * LIVE_SECOND, __ATOMIC_RELAXED);
        int result = log_set_rotate(set, &err);
        if (result < 0)
            give_up(shared, err.text);
        shared->n_rotated += result > 0;
        if (result > 0)
            __atomic_fetch_add(&shared->n_allowed, PERIOD_LINES, __ATOMIC_RELAXED);
        sched_yield();
    }
}

/* ---- the one that kills ---- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static uint64_t counted(const struct shared *shared, uint64_t round)
{
    uint64_t n = 0;
    for (int i = 0; i < N_LOGS; i++)
        n += __atomic_load_n(&shared->n_counted[round][i], __ATOMIC_RELAXED);
    return n;
}

/* A random moment after so many lines were written, or so many files were archived or taken away;
 * each fifth one while it starts. */
static void kill_at_random(struct shared *shared, pid_t pid, uint64_t round, uint64_t *random)
{
    const uint64_t *watched[] = {NULL, &shared->n_archived, &shared->n_archived, &shared->n_removed,
                                 NULL};
    const uint64_t *at = watched[round % 5];
    uint64_t n_lines = round % 5 == 0 ? next_random(random) % 20000 : 0;
    uint64_t until = at ? *at + 1 + next_random(random) % 8 : 0;
    int status = 0;
    bool gone = false;
    while (!gone && (counted(shared, round) < n_lines ||
                     (at && __atomic_load_n(at, __ATOMIC_RELAXED) < until))) {
        gone = waitpid(pid, &status, WNOHANG) != 0;
        sched_yield();
    }
    if (gone)
        fail_msg("round %llu: ended by itself: %s", (unsigned long long)round, shared->failure);
    struct timespec moment = {.tv_nsec = (long)(next_random(random) % 3000000)};
    nanosleep(&moment, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status))
        fail_msg("round %llu: ended by itself: %s", (unsigned long long)round, shared->failure);
}

/* ---- what is there after ---- */

static uint8_t seen[N_ROUNDS][N_LOGS][N_WORKERS][N_LINES / 8];
static uint64_t n_seen[N_ROUNDS][N_LOGS][N_WORKERS], n_highest[N_ROUNDS][N_LOGS][N_WORKERS];

static uint64_t number_after(const char *line, const char *tsv_or_json, unsigned field, bool json)
{
    const char *at = line;
    if (json) {
        at = strstr(line, tsv_or_json);
        assert_non_null(at);
        return strtoull(at + strlen(tsv_or_json), NULL, 10);
    }
    while (field-- > 0) {
        at = strchr(at, '\t');
        assert_non_null(at);
        at++;
    }
    return strtoull(at, NULL, 10);
}

static void take_line(char *line, uint64_t log, bool json)
{
    size_t len = strlen(line);
    const char *end = json ? ",\"end\":\"end\"}" : "\tend";
    if (len < strlen(end) || strcmp(line + len - strlen(end), end) != 0)
        fail_msg("half a line: %s", line);
    uint64_t round = number_after(line, "\"round\":", 1, json);
    uint64_t worker = number_after(line, "\"worker\":", 2, json);
    uint64_t n = number_after(line, "\"n\":", 3, json);
    assert_true(round < N_ROUNDS && worker < N_WORKERS && n < N_LINES);
    uint8_t *byte = &seen[round][log][worker][n / 8], bit = (uint8_t)(1u << (n % 8));
    if (*byte & bit)
        fail_msg("a line twice: %s", line);
    *byte |= bit;
    n_seen[round][log][worker]++;
    if (n + 1 > n_highest[round][log][worker])
        n_highest[round][log][worker] = n + 1;
}

static void take_file(const char *path, uint64_t log)
{
    char *text = live_bed_unpack(path);
    assert_non_null(text);
    bool json = text[0] == '{';
    size_t size = strlen(text), n_lines = 0, n_headers = 0;
    assert_true(size > 0 && text[size - 1] == '\n');
    bool closed = false;
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        *end = '\0';
        if (closed)
            fail_msg("%s: goes on after its end: %s", path, line);
        closed = strncmp(line, "#close\t", 7) == 0;
        n_headers += strncmp(line, "#separator", 10) == 0;
        if (line[0] != '#') {
            take_line(line, log, json);
            n_lines++;
        }
        line = end + 1;
    }
    if (n_lines == 0 || closed == json || n_headers != !json)
        fail_msg("%s: %zu lines, %zu headers, closed %d", path, n_lines, n_headers, closed);
    free(text);
}

static void take_day(const char *folder, const char *day)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, day);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct log_archived a;
        if (entry->d_name[0] == '.' && strlen(entry->d_name) < 3)
            continue;
        snprintf(path, sizeof path, "%s/%s/%s", folder, day, entry->d_name);
        if (!log_archived_parse(day, entry->d_name, log_pack_suffix, &a))
            fail_msg("%s: is no archived log", path);
        uint64_t log = 0;
        while (log < N_LOGS && strcmp(schemas[log].name, a.name) != 0)
            log++;
        assert_true(log < N_LOGS);
        take_file(path, log);
    }
    closedir(dir);
}

static void take_all(struct live_bed *b)
{
    DIR *dir = opendir(b->folder);
    assert_non_null(dir);
    struct dirent *entry;
    struct tm tm;
    while ((entry = readdir(dir)))
        if (log_day_parse(entry->d_name, &tm))
            take_day(b->folder, entry->d_name);
    closedir(dir);
}

static void check_all(const struct shared *shared)
{
    for (int round = 0; round < N_ROUNDS; round++)
        for (int log = 0; log < N_LOGS; log++) {
            uint64_t n = 0;
            for (int worker = 0; worker < N_WORKERS; worker++) {
                assert_int_equal(n_seen[round][log][worker], n_highest[round][log][worker]);
                n += n_seen[round][log][worker];
            }
            if (n < shared->n_counted[round][log])
                fail_msg("round %d, %s.log: %llu lines are there, %llu were counted", round,
                         schemas[log].name, (unsigned long long)n,
                         (unsigned long long)shared->n_counted[round][log]);
        }
}

static void test_killed_again_and_again(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, 0);
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    shared->now = live_at(2026, 11, 22, 21, 0, 0);
    uint64_t random = 42;
    for (uint64_t round = 0; round < N_ROUNDS; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            run_child(shared, b.folder, round);
        kill_at_random(shared, pid, round, &random);
    }
    print_message("opened %llu, rotated %llu, archived %llu, removed %llu; "
                  "recovered %llu, cut %llu bytes, empty %llu, waiting %llu\n",
                  (unsigned long long)shared->n_opened, (unsigned long long)shared->n_rotated,
                  (unsigned long long)shared->n_archived, (unsigned long long)shared->n_removed,
                  (unsigned long long)shared->recovered.n_files,
                  (unsigned long long)shared->recovered.n_cut_bytes,
                  (unsigned long long)shared->recovered.n_empty,
                  (unsigned long long)shared->recovered.n_waiting);
    assert_true(shared->n_archived > N_ROUNDS && shared->n_removed > 0);
    assert_true(shared->recovered.n_files > 0 && shared->recovered.n_waiting > 0);

    b.live.period = PERIOD;
    b.now = shared->now;
    live_bed_open(&b);
    live_bed_archive(&b);
    b.now += 61 * LIVE_SECOND;
    live_bed_archive(&b);
    assert_int_equal(live_bed_count(&b, ".live"), 0);
    live_bed_close(&b);
    take_all(&b);
    check_all(shared);
    live_bed_remove(&b);
    munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
