/* Capture files, several at once in time order, shared by the workers of `read`.
 *
 * The input is read (and decompressed) once; every worker walks all of it and keeps what is its
 * own. A worker's cursor gives bursts of frames that stay valid until its next call. */
#ifndef CAPTURE_CAPTURE_H
#define CAPTURE_CAPTURE_H

#include "base/err.h"
#include "net/packet.h"

struct capture;        /* a set of files or standard input, shared */
struct capture_cursor; /* one worker's place in it */

/* `names`: paths, "-" for standard input. pcap and pcapng, both byte orders, µs and ns, plain,
 * gzip or zstd. Fails when one cannot be opened or is not a capture: err says which and why. */
int capture_open(const char *const *names, size_t n_names, unsigned n_workers, struct capture **out,
                 struct err *err) MUST_CHECK;
void capture_close(struct capture *capture);

struct capture_cursor *capture_cursor(struct capture *capture, unsigned worker);

#define CAPTURE_BURST 32

/* The next frames in time order (within a file: in the file's order; at equal times: in the order
 * the files were named in). 0 at the end; there, a negative errno instead where a file could not be
 * read on (what is cut or damaged is only a warning). Frames are borrowed until the next call.
 * `wire_size` is at least `size`, or 0 where the capture says that. Blocks while a pipe gives
 * nothing, and while another worker is too far behind: each worker must go on to the end. */
int capture_next(struct capture_cursor *cursor, struct frame out[CAPTURE_BURST]);

/* From now on all cursors are at their end, also one that waits for a pipe. May be called from
 * another thread, and from a signal handler. */
void capture_stop(struct capture *capture);

/* Warnings found so far (a file cut short, with the offset): called once at the end. */
void capture_warnings(const struct capture *capture, void (*say)(const char *text, void *with),
                      void *with);

struct capture_progress {
    uint64_t n_bytes, total_bytes; /* of the files as they lie on disk; total 0: not known */
    uint64_t n_packets;
};
/* May be called from another thread while workers run. */
struct capture_progress capture_progress(const struct capture *capture);

#endif
