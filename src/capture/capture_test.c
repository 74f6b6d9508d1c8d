/* Sets of files: what is refused, merging, workers, pipes, files that change, progress. */
#include "capture/build.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_NAMES 400

static char *names[MAX_NAMES];
static size_t n_names;

static const char *const *all_names(void)
{
    return (const char *const *)names;
}

static void add_name(const char *path)
{
    names[n_names++] = strdup(path);
}

static void clear_names(void)
{
    while (n_names > 0)
        free(names[--n_names]);
}

/* A file of `n` packets, `step` µs from one to the next. Its name is added. */
static void add_file(uint64_t start, uint64_t step, unsigned n, unsigned seed, unsigned link)
{
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, link);
    for (unsigned k = 0; k < n; k++) {
        uint64_t us = start + k * step;
        build_pcap_record(&build, (uint32_t)(us / 1000000), us % 1000000, seed, 40 + k % 100, 200);
    }
    char name[32];
    (void)snprintf(name, sizeof name, "%zu.pcap", n_names);
    add_name(build_file(name, build.bytes, build.size));
    build_done(&build);
}

static void refused(const char *name, int code, const char *text)
{
    struct capture *capture = NULL;
    struct err err = {""};
    assert_int_equal(capture_open(&name, 1, 1, &capture, &err), code);
    assert_null(capture);
    if (!strstr(err.text, text))
        fail_msg("%s", err.text);
}

static void test_refused(void **state)
{
    (void)state;
    refused(build_path("none.pcap"), -ENOENT, "none.pcap: cannot be opened: No such file");
    refused(build_file("empty", "", 0), -EINVAL, "empty: is empty: not a capture file");
    refused(build_file("one", "x", 1), -EINVAL, "(pcap or pcapng): begins with 78");
    refused(build_file("log", "#separator \\x09\n", 16), -EINVAL,
            "log: not a capture file (pcap or pcapng): begins with 23 73 65 70 61 72 61 74");
    refused(build_file("xz", "\3757zXZ\0\0\4", 8), -EINVAL, "xz: is xz-compressed: unpack it");
    refused(build_file("zip", "PK\3\4zip", 7), -EINVAL, "a zip archive");
    (void)mkdir(build_path("folder"), 0700);
    refused(build_path("folder"), -EISDIR, "folder: is a directory");
    if (geteuid() != 0) {
        (void)chmod(build_file("secret", "x", 1), 0);
        refused(build_path("secret"), -EACCES, "secret: cannot be opened: Permission denied");
    }
    static const char *const twice[] = {"-", "-"};
    struct capture *capture = NULL;
    struct err err = {""};
    assert_int_equal(capture_open(twice, 0, 1, &capture, &err), -EINVAL);
    /* One bad file among good ones is named. */
    add_file(0, 1, 1, 1, 1);
    add_name(build_path("none.pcap"));
    assert_int_equal(capture_open(all_names(), 2, 1, &capture, &err), -ENOENT);
    assert_non_null(strstr(err.text, "none.pcap"));
    clear_names();
}

/* Against a plain sort: by time, and by file where times are alike. */
static void expect_merged(const struct seen *seen, unsigned n_per_file)
{
    unsigned counts[256] = {0};
    for (size_t i = 0; i < seen->n; i++) {
        assert_true(seen->frames[i].intact);
        counts[seen->frames[i].seed]++;
        if (i > 0 && seen->frames[i - 1].ts == seen->frames[i].ts)
            assert_true(seen->frames[i - 1].seed <= seen->frames[i].seed);
        if (i > 0)
            assert_true(seen->frames[i - 1].ts <= seen->frames[i].ts);
    }
    for (size_t i = 0; i < n_names; i++)
        assert_int_equal(counts[i], n_per_file);
}

static void test_merge(void **state)
{
    (void)state;
    static const size_t block_sizes[] = {0, 100, 1000};
    /* Interleaved, with many equal times; the steps differ, so that files end at different times.
     */
    for (unsigned i = 0; i < 7; i++)
        add_file(1000 + i % 3, 1 + i % 4, 500, i, 1);
    for (size_t i = 0; i < 3; i++) {
        struct seen seen;
        struct err err = {""};
        assert_true(seen_files(&seen, all_names(), n_names, block_sizes[i], &err));
        assert_int_equal(seen.n, 7 * 500);
        assert_int_equal(seen.n_warnings, 0);
        expect_merged(&seen, 500);
        seen_done(&seen);
    }
    clear_names();
}

/* More files than may be open, all of the same time, then one after the other. */
static void test_many_files(void **state)
{
    (void)state;
    for (unsigned apart = 0; apart < 2; apart++) {
        for (unsigned i = 0; i < 250; i++)
            add_file(apart ? 1000000 * (250 - i) : i % 2, 3, 20, i, 1);
        struct capture_tuning tuning = {.block_size = 300, .max_open = 3};
        struct capture *capture = NULL;
        struct err err = {""};
        assert_int_equal(capture_open_tuned(all_names(), n_names, 1, &tuning, &capture, &err), 0);
        assert_true(capture->set.n_open <= 3);
        struct seen seen = {0};
        seen_read(&seen, capture_cursor(capture, 0));
        seen_warnings(&seen, capture);
        assert_true(capture->set.n_open <= 3);
        assert_int_equal(capture->set.n_active, 0);
        struct capture_progress progress = capture_progress(capture);
        assert_int_equal(progress.n_packets, 250 * 20);
        assert_int_equal(progress.n_bytes, progress.total_bytes);
        capture_close(capture);
        assert_int_equal(seen.n, 250 * 20);
        assert_int_equal(seen.n_warnings, 0);
        if (!apart)
            expect_merged(&seen, 20);
        for (size_t i = 0; apart && i < seen.n; i++)
            assert_int_equal(seen.frames[i].seed, 249 - i / 20);
        seen_done(&seen);
        clear_names();
    }
}

/* Times that go back stay in the file's order; the other file goes on beside them. */
static void test_backwards(void **state)
{
    (void)state;
    static const uint32_t seconds[] = {10, 20, 5, 6, 30};
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, 1);
    for (unsigned k = 0; k < 5; k++)
        build_pcap_record(&build, seconds[k], 0, k, 60, 60);
    add_name(build_file("back.pcap", build.bytes, build.size));
    add_file(15000000, 10000000, 2, 100, 101); /* 15 and 25 s */
    struct seen seen;
    struct err err = {""};
    assert_true(seen_files(&seen, all_names(), n_names, 0, &err));
    static const unsigned expected[] = {0, 100, 1, 2, 3, 100, 4};
    assert_int_equal(seen.n, 7);
    for (unsigned k = 0; k < 7; k++) {
        assert_int_equal(seen.frames[k].seed, expected[k]);
        assert_int_equal(seen.frames[k].link, expected[k] == 100 ? 101 : 1);
    }
    seen_done(&seen);
    build_done(&build);
    clear_names();
}

/* Trouble in one file is a warning; the others are read. */
static void test_trouble_in_one(void **state)
{
    (void)state;
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, 1);
    build_pcap_record(&build, 0, 5, 9, 60, 60);
    add_file(0, 1, 100, 0, 1);
    add_name(build_file("header.pcap", build.bytes, 24));
    add_name(build_file("cut.pcap", build.bytes, build.size - 1));
    add_file(50, 1, 100, 3, 1);
    struct seen seen;
    struct err err = {""};
    assert_true(seen_files(&seen, all_names(), n_names, 0, &err));
    assert_int_equal(seen.n, 200);
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.n_warnings, 1);
    assert_non_null(strstr(seen.warnings, "cut.pcap: is cut short, in the middle of what begins at "
                                          "byte 24: all before it was read"));
    seen_done(&seen);

    /* A file that is gone when its time has come is a refusal, at the end. */
    struct capture_tuning tuning = {.max_open = 1};
    struct capture *capture = NULL;
    assert_int_equal(capture_open_tuned(all_names(), n_names, 1, &tuning, &capture, &err), 0);
    assert_int_equal(unlink(names[3]), 0);
    seen = (struct seen){0};
    seen_read(&seen, capture_cursor(capture, 0));
    seen_warnings(&seen, capture);
    capture_close(capture);
    assert_int_equal(seen.n, 100);
    assert_int_equal(seen.result, -ENOENT);
    assert_int_equal(seen.n_warnings, 2);
    assert_non_null(strstr(seen.warnings, "3.pcap: cannot be opened: No such file"));
    seen_done(&seen);
    build_done(&build);
    clear_names();
}

struct worker {
    struct capture_cursor *cursor;
    struct seen seen;
};

static void *worker_run(void *with)
{
    struct worker *worker = with;
    seen_read(&worker->seen, worker->cursor);
    return NULL;
}

static void test_workers(void **state)
{
    (void)state;
    static const size_t block_sizes[] = {0, 64, 1000};
    for (unsigned i = 0; i < 20; i++)
        add_file(i * 300, 1 + i % 3, 500, i, 1);
    for (size_t i = 0; i < 6; i++) {
        size_t n = i < 3 ? n_names : 1;
        struct seen alone;
        struct err err = {""};
        assert_true(seen_files(&alone, all_names(), n, block_sizes[i % 3], &err));
        assert_int_equal(alone.n, 500 * n);
        struct capture *capture = NULL;
        struct capture_tuning tuning = {.block_size = block_sizes[i % 3], .max_open = 5};
        assert_int_equal(capture_open_tuned(all_names(), n, 4, &tuning, &capture, &err), 0);
        struct worker workers[4] = {0};
        pthread_t threads[4];
        for (unsigned k = 0; k < 4; k++) {
            workers[k].cursor = capture_cursor(capture, k);
            assert_int_equal(pthread_create(&threads[k], NULL, worker_run, &workers[k]), 0);
        }
        for (unsigned k = 0; k < 4; k++) {
            assert_int_equal(pthread_join(threads[k], NULL), 0);
            assert_true(seen_same(&alone, &workers[k].seen));
            seen_done(&workers[k].seen);
        }
        capture_close(capture);
        seen_done(&alone);
    }
    clear_names();
}

/* Two workers read nothing, one a little: closing then, or stopping, leaves nothing behind. */
static void test_stop(void **state)
{
    (void)state;
    add_file(0, 1, 5000, 1, 1);
    for (unsigned stop = 0; stop < 2; stop++) {
        struct capture *capture = NULL;
        struct err err = {""};
        struct capture_tuning tuning = {.block_size = 2000};
        struct frame frames[CAPTURE_BURST];
        assert_int_equal(capture_open_tuned(all_names(), 1, 3, &tuning, &capture, &err), 0);
        for (unsigned k = 0; k < 3; k++)
            assert_true(capture_next(capture_cursor(capture, 0), frames) > 0);
        if (stop) {
            capture_stop(capture);
            for (unsigned k = 0; k < 3; k++)
                assert_int_equal(capture_next(capture_cursor(capture, k), frames), 0);
        }
        capture_close(capture);
    }
    clear_names();
}

struct pipe_writer {
    int fd;
    const struct build *build;
    size_t piece;
};

static void *pipe_write(void *with)
{
    const struct pipe_writer *writer = with;
    for (size_t at = 0; at < writer->build->size;) {
        size_t left = writer->build->size - at;
        ssize_t n = write(writer->fd, writer->build->bytes + at,
                          left < writer->piece ? left : writer->piece);
        if (n <= 0)
            abort();
        at += (size_t)n;
    }
    (void)close(writer->fd);
    return NULL;
}

/* From a pipe in small and large pieces; alone, and merged with a file. */
static void test_pipe(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 11, 4096, 1 << 20};
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, 1);
    for (unsigned k = 0; k < 300; k++)
        build_pcap_record(&build, k, 0, 1, 60 + k, 60 + k);
    add_file(500000, 1000000, 300, 0, 1);
    for (size_t i = 0; i < 8; i++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        char name[32];
        (void)snprintf(name, sizeof name, "/dev/fd/%d", fds[0]);
        const char *both[] = {name, names[0]};
        struct pipe_writer writer = {.fd = fds[1], .build = &build, .piece = pieces[i / 2]};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, pipe_write, &writer), 0);
        struct seen seen;
        struct err err = {""};
        assert_true(seen_files(&seen, both, 1 + i % 2, 0, &err));
        assert_int_equal(pthread_join(thread, NULL), 0);
        (void)close(fds[0]);
        assert_int_equal(seen.n, i % 2 ? 600 : 300);
        assert_int_equal(seen.n_warnings, 0);
        for (size_t k = 0; k < seen.n; k++) {
            assert_true(seen.frames[k].intact);
            if (k > 0)
                assert_true(seen.frames[k].ts >= seen.frames[k - 1].ts);
        }
        seen_done(&seen);
    }
    build_done(&build);
    clear_names();
}

/* Standard input: a pipe whose writer stays silent does not keep a stopped capture. */
static void test_standard_input(void **state)
{
    (void)state;
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, 1);
    build_pcap_record(&build, 1, 0, 1, 60, 60);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int saved = dup(STDIN_FILENO);
    assert_true(dup2(fds[0], STDIN_FILENO) >= 0);
    assert_int_equal(write(fds[1], build.bytes, build.size), build.size);
    const char *name = "-";
    struct capture *capture = NULL;
    struct err err = {""};
    struct frame frames[CAPTURE_BURST];
    assert_int_equal(capture_open(&name, 1, 1, &capture, &err), 0);
    assert_int_equal(capture_progress(capture).total_bytes, 0);
    struct capture_cursor *cursor = capture_cursor(capture, 0);
    assert_int_equal(capture_next(cursor, frames), 1);
    capture_stop(capture);
    assert_int_equal(capture_next(cursor, frames), 0);
    assert_int_equal(capture_progress(capture).n_bytes, build.size);
    capture_close(capture);

    /* The end in the middle of a packet. */
    assert_int_equal(write(fds[1], build.bytes, build.size - 1), build.size - 1);
    (void)close(fds[1]);
    struct seen seen;
    assert_true(seen_file(&seen, "-", 0, &err));
    assert_int_equal(seen.n, 0);
    assert_non_null(strstr(seen.warnings, "standard input: is cut short"));
    seen_done(&seen);
    assert_true(dup2(saved, STDIN_FILENO) >= 0);
    (void)close(saved);
    (void)close(fds[0]);
    build_done(&build);
}

/* A file that grows while it is read. */
static void test_growing(void **state)
{
    (void)state;
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, 1);
    for (unsigned k = 0; k < 100; k++)
        build_pcap_record(&build, k, 0, k, 60, 60);
    size_t half = 24 + 50 * 76 + 20;
    char *path = strdup(build_file("grow.pcap", build.bytes, half));
    const char *name = path;
    struct capture *capture = NULL;
    struct err err = {""};
    struct frame frames[CAPTURE_BURST];
    assert_int_equal(capture_open(&name, 1, 1, &capture, &err), 0);
    assert_int_equal(capture_next(capture_cursor(capture, 0), frames), 32);
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_int_equal(fwrite(build.bytes + half, 1, build.size - half, file), build.size - half);
    assert_int_equal(fclose(file), 0);
    struct seen seen = {0};
    seen_read(&seen, capture_cursor(capture, 0));
    seen_warnings(&seen, capture);
    capture_close(capture);
    assert_int_equal(seen.n, 68);
    assert_int_equal(seen.n_warnings, 0);
    seen_done(&seen);
    build_done(&build);
    free(path);
}

static int teardown(void **state)
{
    (void)state;
    build_remove_files();
    return 0;
}

static void on_alarm(int number)
{
    (void)number;
}

/* A pipe that somebody holds open and does not write to can be left by a signal. */
static void test_signal_while_opening(void **state)
{
    (void)state;
    char path[300];
    (void)snprintf(path, sizeof path, "%s", build_file("silent", (const uint8_t *)"", 0));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    int writer = open(path, O_RDWR);
    assert_true(writer >= 0);
    struct sigaction action = {.sa_handler = on_alarm}, before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    struct itimerval often = {.it_interval = {.tv_usec = 20000}, .it_value = {.tv_usec = 20000}};
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    refused(path, -EINTR, "silent");
    often = (struct itimerval){0};
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    (void)close(writer);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_trouble_in_one),
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_signal_while_opening),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_growing),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
