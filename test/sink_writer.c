/* Writes the packets of captures into a sink, for tests with programs that read what sinks write.
 *
 * usage: sink-writer tap NAME FILE…        a tap; waits for a line on standard input before it
 * writes sink-writer rolling FOLDER FILE…  of 5000 bytes each sink-writer stream - FILE…        to
 * standard output
 *
 * With a tap it says "ready" when the tap is there, its counters when all is written, and ends with
 * its standard input. Every packet is said to be of machine "web-1". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/capture.h"
#include "sink/rolling.h"
#include "sink/stream.h"
#include "sink/tap.h"

static int open_sink(const char *kind, const char *target, struct sink **out, struct err *err)
{
    if (strcmp(kind, "tap") == 0)
        return tap_open(&(struct tap_options){.name = target, .n_workers = 1}, out, err);
    if (strcmp(kind, "rolling") == 0)
        return rolling_open(&(struct rolling_options){.folder = target, .file_size = 5000}, out,
                            err);
    return stream_open(&(struct stream_options){.fd = 1}, out, err);
}

static int write_all(struct sink_writer *writer, const char *const *files, size_t n_files,
                     struct err *err)
{
    struct capture *capture;
    int result = capture_open(files, n_files, 1, &capture, err);
    if (result < 0)
        return result;
    struct frame frames[CAPTURE_BURST];
    int n;
    while ((n = capture_next(capture_cursor(capture, 0), frames)) > 0) {
        for (int i = 0; i < n; i++) {
            struct sink_packet packet = {.ts = frames[i].ts,
                                         .bytes = frames[i].bytes,
                                         .size = frames[i].size,
                                         .wire_size = frames[i].wire_size,
                                         .link = frames[i].link,
                                         .source = "web-1",
                                         .encapsulation = "vxlan",
                                         .has_id = true,
                                         .id = 7};
            sink_write(writer, &packet);
        }
        sink_burst(writer);
    }
    sink_flush(writer);
    capture_close(capture);
    return 0;
}

static void wait_for_line(void)
{
    char line[16];
    (void)!fgets(line, sizeof line, stdin);
}

static void say_counters(const struct sink *sink)
{
    struct sink_counters counters;
    sink_count(sink, &counters);
    (void)printf("written %llu cut %llu", (unsigned long long)counters.n_written,
                 (unsigned long long)counters.n_cut);
    for (int i = 0; i < SINK_N_REFUSALS; i++)
        (void)printf(" %s %llu", sink_refusal_name((enum sink_refusal)i),
                     (unsigned long long)counters.n_refused[i]);
    (void)printf("\n");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct err err = {""};
    struct sink *sink = NULL;
    struct sink_writer *writer = NULL;
    if (argc < 4)
        return 2;
    bool is_tap = strcmp(argv[1], "tap") == 0;
    int result = open_sink(argv[1], argv[2], &sink, &err);
    if (result == 0)
        result = sink_start(sink, &err);
    if (result == 0)
        result = sink_attach(sink, &writer, &err);
    if (result == 0 && is_tap) {
        (void)printf("ready\n");
        (void)fflush(stdout);
        wait_for_line();
    }
    if (result == 0)
        result = write_all(writer, (const char *const *)argv + 3, (size_t)argc - 3, &err);
    if (result == 0 && is_tap) {
        say_counters(sink);
        wait_for_line();
    }
    sink_detach(writer);
    if (result == 0)
        result = sink_close(sink, &err);
    if (result < 0)
        (void)fprintf(stderr, "sink-writer: %s\n", err.text);
    return result < 0;
}
