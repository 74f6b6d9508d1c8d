/* Several workers with a writer each: nothing is lost, doubled or torn, and the counters add up. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "sink/sink.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sink/rolling.h"
#include "sink/rolling_bed.h"
#include "sink/stream.h"

#define N_WORKERS 4
#define N_PACKETS 20000u /* of each worker */

static const uint8_t bytes[200] = {1, 2, 3};

struct work {
    struct sink_writer *writer;
    unsigned number;
    pthread_t thread;
};

static void *work(void *with)
{
    struct work *w = with;
    char name[16];
    (void)snprintf(name, sizeof name, "host-%u", w->number);
    for (uint32_t i = 0; i < N_PACKETS; i++) {
        uint32_t size = 60 + i % 140;
        struct sink_packet packet = {
            .ts = i, .bytes = bytes, .size = size, .wire_size = size, .link = 1, .source = name};
        sink_write(w->writer, &packet);
        if (i % 64 == 63)
            sink_burst(w->writer);
        if (i % 5000 == 0)
            sink_flush(w->writer);
    }
    sink_flush(w->writer);
    return NULL;
}

static void work_all(struct sink *sink)
{
    struct work workers[N_WORKERS];
    struct err err;
    assert_int_equal(sink_start(sink, &err), 0);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        workers[i].number = i;
        assert_int_equal(sink_attach(sink, &workers[i].writer, &err), 0);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < N_WORKERS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (unsigned i = 0; i < N_WORKERS; i++)
        sink_detach(workers[i].writer);
}

static void test_rolling(void **state)
{
    char folder[] = "/tmp/cloudspan-sink-XXXXXX";
    struct sink *sink;
    struct err err;
    assert_non_null(mkdtemp(folder));
    const struct rolling_options options = {
        .folder = folder, .file_size = 2 << 20, .per_source = true, .max_open = 2};
    assert_int_equal(rolling_open(&options, &sink, &err), 0);
    work_all(sink);
    assert_int_equal(sink_close(sink, &err), 0);
    unsigned n = 0;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        const struct found *found = read_back(path);
        assert_int_equal(found->n_interfaces, 1);
        assert_non_null(strstr(entry->d_name, found->interfaces[0]));
        n += found->n_packets;
        unlink(path);
    }
    closedir(dir);
    rmdir(folder);
    assert_int_equal(n, N_WORKERS * N_PACKETS);
}

static void test_stream(void **state)
{
    char path[] = "/tmp/cloudspan-sink-XXXXXX";
    struct sink *sink;
    struct sink_counters counters;
    struct err err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(stream_open(&(struct stream_options){.fd = fd}, &sink, &err), 0);
    work_all(sink);
    sink_count(sink, &counters);
    assert_int_equal(counters.n_written, N_WORKERS * N_PACKETS); /* a file takes all */
    assert_int_equal(sink_close(sink, &err), 0);
    size_t size = (size_t)lseek(fd, 0, SEEK_END);
    uint8_t *file = malloc(size);
    assert_int_equal(pread(fd, file, size, 0), size);
    close(fd);
    struct reader r = rd_make(file, size);
    unsigned n = 0;
    for (rd_skip(&r, 24); rd_left(&r) > 0; n++) {
        rd_skip(&r, 8);
        uint32_t kept = rd_le32(&r);
        assert_in_range(kept, 60, 199);
        assert_int_equal(rd_le32(&r), kept);
        assert_memory_equal(rd_bytes(&r, kept), bytes, kept);
    }
    assert_true(rd_done(&r));
    assert_int_equal(n, N_WORKERS * N_PACKETS);
    free(file);
}

static void test_refusals_have_names(void **state)
{
    for (int i = 0; i < SINK_N_REFUSALS; i++) {
        assert_non_null(sink_refusal_text((enum sink_refusal)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(sink_refusal_name((enum sink_refusal)i),
                                    sink_refusal_name((enum sink_refusal)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_refusals_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
