/* A set of capture files: seeing at once that each is one and when it begins; warnings, progress.
 *
 * So many files stay open as descriptors are not scarce; of more than these, regular files are
 * closed again, and opened when their time has come. A pipe always stays open, and what was read of
 * it is kept. */
#include "capture/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/set.h"

#define PROBE_SIZE (64u << 10)
#define MAX_FILES  (1u << 20)

/* The beginning of a file, and what a walk makes of it. */
struct probe {
    uint8_t *bytes; /* PROBE_SIZE, from the heap */
    size_t size;
    bool begun; /* it is a capture */
    bool has_frame;
    int64_t first_ts;
    const char *bad;
};

static void probe_walk(struct probe *probe)
{
    struct walk walk;
    struct frame frame;
    walk_init(&walk);
    walk.at = rd_make(probe->bytes, probe->size);
    probe->has_frame = walk.step(&walk, &frame, 1, INT64_MAX) > 0;
    if (probe->has_frame)
        probe->first_ts = frame.ts;
    probe->begun = walk.begun;
    probe->bad = walk.stop == WALK_BAD ? walk.bad : NULL;
    walk_done(&walk);
}

static int refuse(const struct probe *probe, const struct input *input, struct err *err)
{
    if (probe->size == 0)
        return err_set(err, -EINVAL, "%s: is empty: not a capture file (pcap or pcapng)",
                       input->shown);
    if (probe->size < WALK_MAGIC_SIZE || !walk_format_name(probe->bytes)) {
        char hex[3 * 8 + 1] = "";
        for (size_t i = 0; i < probe->size && i < 8; i++)
            (void)snprintf(hex + 3 * i, 4, " %02x", probe->bytes[i]); /* fits: 3 each */
        return err_set(err, -EINVAL, "%s: not a capture file (pcap or pcapng): begins with%s",
                       input->shown, hex);
    }
    const char *format = walk_format_name(probe->bytes);
    if (probe->bad)
        return err_set(err, -EINVAL, "%s: not a %s file that can be read: %s", input->shown, format,
                       probe->bad);
    return err_set(err, -EINVAL, "%s: is cut in the middle of its %s file header", input->shown,
                   format);
}

/* Reads until the first frame is seen (of a pipe, and where there is nothing to merge: until it is
 * certain that it is a capture). */
static int probe_read(struct probe *probe, struct input *input, bool need_frame, struct err *err)
{
    *probe = (struct probe){.bytes = probe->bytes};
    while (probe->size < PROBE_SIZE) {
        ssize_t n = input_read(input, probe->bytes + probe->size, PROBE_SIZE - probe->size, err);
        if (n < 0 && !probe->begun)
            return (int)n;
        if (n <= 0)
            break; /* a refusal comes again when the file is walked */
        probe->size += (size_t)n;
        probe_walk(probe);
        if (probe->has_frame || probe->bad || (probe->begun && !need_frame))
            break;
    }
    /* A file header of more than 64 KiB is none that anybody wrote. */
    return probe->begun ? 0 : refuse(probe, input, err);
}

/* `size`: on disk, or 0. */
static int file_open(struct capture *capture, struct capture_file *file, struct probe *probe,
                     uint64_t *size, struct err *err)
{
    /* Bytes of what stays open are counted now, those of the others when they are read again. */
    struct input input;
    atomic_uint_fast64_t n_read = 0;
    struct input_watch watch = {
        .n_read = &n_read, .stopped = &capture->set.stopped, .opening = true};
    int code = input_open(&input, file->name, &watch, size, err);
    if (code < 0)
        return code;
    code = probe_read(probe, &input, input.seekable && capture->n_files > 1, err);
    if (code < 0)
        goto out;
    file->first_ts = probe->has_frame && input.seekable ? probe->first_ts : INT64_MIN;
    if (input.seekable && capture->set.n_open >= capture->set.max_open)
        goto out;
    if (input.seekable) {
        code = input_rewind(&input, err);
        probe->size = 0;
    } else {
        atomic_fetch_add_explicit(&capture->set.n_read, atomic_load(&n_read), memory_order_relaxed);
    }
    input.watch = &capture->set.watch;
    if (code == 0)
        code = feed_take(&file->feed, &capture->set, &input, probe->bytes, probe->size, err);
    if (code == 0)
        return 0;
out:
    input_close(&input);
    return code;
}

static int files_open(struct capture *capture, const char *const *names, struct err *err)
{
    struct probe probe = {.bytes = malloc(PROBE_SIZE)};
    if (!probe.bytes)
        return err_set(err, -ENOMEM, "no memory to read captures");
    int code = 0;
    bool known = true;
    unsigned n_standard = 0;
    for (uint32_t i = 0; i < capture->n_files && code == 0; i++) {
        capture->files[i].name = names[i];
        feed_init(&capture->files[i].feed, names[i]);
        n_standard += strcmp(names[i], "-") == 0;
        if (n_standard > 1) {
            code = err_set(err, -EINVAL, "standard input can be read only once");
            break;
        }
        uint64_t size = 0;
        code = file_open(capture, &capture->files[i], &probe, &size, err);
        known = known && size > 0;
        capture->total_bytes += size;
    }
    if (!known)
        capture->total_bytes = 0;
    free(probe.bytes);
    return code;
}

int capture_open_tuned(const char *const *names, size_t n_names, unsigned n_workers,
                       const struct capture_tuning *tuning, struct capture **out, struct err *err)
{
    if (n_names == 0)
        return err_set(err, -EINVAL, "no capture file was named");
    if (n_names > MAX_FILES)
        return err_set(err, -E2BIG, "%zu capture files at once: at most %u are read together",
                       n_names, MAX_FILES);
    struct capture *capture = calloc(1, sizeof *capture);
    if (!capture)
        return err_set(err, -ENOMEM, "no memory to read captures");
    int code = feed_set_init(&capture->set, n_workers, err);
    if (code < 0) {
        free(capture);
        return code;
    }
    if (tuning->block_size > 0)
        capture->set.block_size = tuning->block_size;
    if (tuning->max_open > 0)
        capture->set.max_open = tuning->max_open;
    capture->files = calloc(n_names, sizeof *capture->files);
    capture->cursors =
        aligned_alloc(_Alignof(struct capture_cursor), n_workers * sizeof *capture->cursors);
    if (!capture->files || !capture->cursors) {
        code = err_set(err, -ENOMEM, "no memory to read captures");
        goto out;
    }
    capture->n_files = (uint32_t)n_names;
    code = files_open(capture, names, err);
    while (code == 0 && capture->n_workers < n_workers) {
        code = merge_init(&capture->cursors[capture->n_workers], capture, err);
        if (code == 0)
            capture->n_workers++;
    }
    if (code < 0)
        goto out;
    *out = capture;
    return 0;
out:
    capture_close(capture);
    return code;
}

int capture_open(const char *const *names, size_t n_names, unsigned n_workers, struct capture **out,
                 struct err *err)
{
    static const struct capture_tuning usual = {0};
    return capture_open_tuned(names, n_names, n_workers, &usual, out, err);
}

void capture_close(struct capture *capture)
{
    if (!capture)
        return;
    for (unsigned i = 0; i < capture->n_workers; i++)
        merge_done(&capture->cursors[i]);
    free(capture->cursors);
    for (uint32_t i = 0; i < capture->n_files; i++) {
        feed_done(&capture->files[i].feed);
        for (size_t j = 0; j < N_FILE_WARNINGS; j++)
            free(capture->files[i].warnings[j]);
    }
    free(capture->files);
    feed_set_done(&capture->set);
    free(capture);
}

struct capture_cursor *capture_cursor(struct capture *capture, unsigned worker)
{
    return &capture->cursors[worker];
}

void capture_stop(struct capture *capture)
{
    atomic_store_explicit(&capture->set.stopped, true, memory_order_relaxed);
}

void capture_warnings(const struct capture *capture, void (*say)(const char *text, void *with),
                      void *with)
{
    for (uint32_t i = 0; i < capture->n_files; i++)
        for (size_t j = 0; j < N_FILE_WARNINGS; j++)
            if (capture->files[i].warnings[j])
                say(capture->files[i].warnings[j], with);
}

struct capture_progress capture_progress(const struct capture *capture)
{
    return (struct capture_progress){
        .n_bytes = atomic_load_explicit(&capture->set.n_read, memory_order_relaxed),
        .total_bytes = capture->total_bytes,
        .n_packets = atomic_load_explicit(&capture->cursors[0].n_shown, memory_order_relaxed),
    };
}
