/* A run over capture files: see run.h. Every worker walks all frames and keeps the connections that
 * are its own, so no packet is handed from one to another. */
#include "sensor/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/counters.h"
#include "flow/weird.h"
#include "proto/x509_memory.h"
#include "sink/pcapng.h"

struct worker {
    struct run *run;
    struct pipeline *pipeline;
    struct log_writer *writer;
    struct capture_cursor *cursor;
    struct pipeline_counters counters;
    pthread_t thread;
    bool started;
    int error;
};

struct run {
    const volatile int *stop;
    struct x509_memory *certificates; /* NULL: one worker, which needs none */
    struct weird_held *held;          /* the same */
    struct pcapng_sink *packets;      /* NULL: not asked for; the first worker writes it */
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned n_running;
    struct worker workers[];
};

static void *work(void *with)
{
    struct worker *w = with;
    struct frame frames[CAPTURE_BURST];
    int n;
    while ((n = capture_next(w->cursor, frames)) != 0) {
        if (n < 0) {
            w->error = n;
            break;
        }
        pipeline_frames(w->pipeline, frames, (unsigned)n);
    }
    pipeline_finish(w->pipeline);
    pipeline_count(w->pipeline, &w->counters);
    log_writer_flush(w->writer);
    pthread_mutex_lock(&w->run->lock);
    w->run->n_running--;
    pthread_cond_signal(&w->run->done);
    pthread_mutex_unlock(&w->run->lock);
    return NULL;
}

static void wait_for_all(struct run *run, struct capture *capture,
                         void (*progress)(struct capture_progress, void *), void *with)
{
    pthread_mutex_lock(&run->lock);
    while (run->n_running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 500000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        int result = pthread_cond_timedwait(&run->done, &run->lock, &until);
        if (*run->stop)
            capture_stop(capture);
        if (result == ETIMEDOUT && progress)
            progress(capture_progress(capture), with);
    }
    pthread_mutex_unlock(&run->lock);
}

static int open_packets(struct run *run, const char *folder, struct err *err)
{
    char path[4096];
    if (mkdir(folder, 0750) < 0 && errno != EEXIST)
        return err_set(err, -errno, "folder %s: cannot make it: %s", folder, strerror(errno));
    (void)snprintf(path, sizeof path, "%s/packets.pcapng", folder);
    return pcapng_open(path, &run->packets, err);
}

/* What no worker could write before all were through. */
static void write_held(struct run *run, struct log_writer *writer)
{
    if (run->certificates)
        x509_memory_write(run->certificates, writer);
    if (run->held)
        weird_held_write(run->held, writer);
}

/* What the workers have in common, the certificates, has a share of the budget. */
static size_t shared_memory(const struct run_options *options)
{
    return options->n_workers > 1 ? options->pipeline.memory / 8 : 0;
}

static int start(struct run *run, const struct run_options *options, struct log_set *logs,
                 struct capture *capture, struct err *err)
{
    unsigned n = options->n_workers;
    for (unsigned i = 0; i < n; i++) {
        struct worker *w = &run->workers[i];
        struct pipeline_options pipeline = options->pipeline;
        pipeline.worker = i;
        pipeline.n_workers = n;
        pipeline.certificates = run->certificates;
        pipeline.held = run->held;
        pipeline.packets = i == 0 ? run->packets : NULL;
        pipeline.memory = (options->pipeline.memory - shared_memory(options)) / n;
        w->run = run;
        w->cursor = capture_cursor(capture, i);
        w->writer = log_writer_new(logs);
        w->pipeline = w->writer ? pipeline_new(&pipeline, w->writer) : NULL;
        if (!w->pipeline || !w->cursor)
            return err_set(err, -ENOMEM, "out of memory for worker %u of %u; give fewer with -j",
                           i + 1, n);
    }
    for (unsigned i = 0; i < n; i++) {
        run->n_running++;
        int result = pthread_create(&run->workers[i].thread, NULL, work, &run->workers[i]);
        if (result != 0) {
            run->n_running--;
            return err_set(err, -result, "cannot start worker %u of %u: %s", i + 1, n,
                           strerror(result));
        }
        run->workers[i].started = true;
    }
    return 0;
}

int run_captures(const struct run_options *options, const volatile int *stop,
                 void (*progress)(struct capture_progress progress, void *with), void *with,
                 void (*warn)(const char *text, void *with), struct run_result *out,
                 struct err *err)
{
    struct capture *capture = NULL;
    struct log_set *logs = NULL;
    struct run *run = NULL;
    struct log_column extra[PIPELINE_MAX_EXTRA];
    struct log_set_options log_options = {
        .folder = options->folder,
        .format = options->format,
        .extra = extra,
        .n_extra = pipeline_extra_columns(&options->pipeline, extra),
    };
    int result = capture_open(options->files, options->n_files, options->n_workers, &capture, err);
    if (result < 0)
        goto out;
    result = log_set_open(&log_options, &logs, err);
    if (result < 0)
        goto out;
    run = calloc(1, sizeof *run + options->n_workers * sizeof run->workers[0]);
    if (!run) {
        result = err_set(err, -ENOMEM, "out of memory");
        goto out;
    }
    run->stop = stop;
    if (options->n_workers > 1) {
        run->certificates = x509_memory_new_shared(shared_memory(options), true);
        run->held = weird_held_new();
    }
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->done, NULL);
    result = options->packet_folder ? open_packets(run, options->packet_folder, err) : 0;
    if (result == 0)
        result = start(run, options, logs, capture, err);
    if (result < 0)
        capture_stop(capture); /* those that run must not wait for those that do not */
    else
        wait_for_all(run, capture, progress, with);
    *out = (struct run_result){.interrupted = *stop != 0};
    for (unsigned i = 0; i < options->n_workers; i++) {
        struct worker *w = &run->workers[i];
        if (w->started)
            pthread_join(w->thread, NULL);
        counters_add(&out->counters, &w->counters, sizeof out->counters);
        out->partial |= w->error != 0;
        if (i + 1 == options->n_workers && w->writer)
            write_held(run, w->writer);
        pipeline_free(w->pipeline);
        log_writer_free(w->writer);
    }
    /* Every worker saw every frame: what belongs to frames was counted by each. */
    out->counters.n_packets /= options->n_workers;
    out->counters.n_filtered /= options->n_workers;
    out->counters.n_no_connection /= options->n_workers;
    for (size_t i = 0; i < sizeof out->counters.stack / sizeof(uint64_t); i++)
        ((uint64_t *)(void *)&out->counters.stack)[i] /= options->n_workers;
    out->n_records = log_set_n_records(logs);
    out->n_cut = log_set_n_cut(logs);
    capture_warnings(capture, warn, with);
out:
    if (logs) {
        struct err closing;
        int closed = log_set_close(logs, result < 0 ? &closing : err);
        if (result == 0)
            result = closed;
    }
    if (run) {
        struct err closing;
        int closed = pcapng_close(run->packets, result < 0 ? &closing : err);
        if (result == 0)
            result = closed;
        x509_memory_free(run->certificates);
        weird_held_free(run->held);
    }
    free(run);
    capture_close(capture);
    return result;
}
