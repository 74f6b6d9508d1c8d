/* What gives frames as they come: a ring on an interface, a UDP port, a raw IP socket, a capture
 * that is sent over a connection.
 *
 * Opening one needs privileges and gives descriptors (close-on-exec); attaching to a descriptor
 * needs none, and may happen in another process. From then on a source belongs to one thread. */
#ifndef CAPTURE_LIVE_H
#define CAPTURE_LIVE_H

#include "capture/capture.h"

struct live_source;

/* Totals since it was attached. */
struct live_counters {
    uint64_t n_frames, n_bytes;   /* handed on; bytes as they were captured */
    uint64_t n_kernel_dropped;    /* no room in the ring or in the socket's buffer */
    uint64_t n_freezes;           /* how often the ring was full */
    uint64_t n_truncated;         /* handed on cut: larger than the ring's block or the buffer */
    uint64_t n_not_ip;            /* left out: no IP, on an interface without link headers */
    uint64_t n_unknown_interface; /* left out: pcapng did not describe the interface */
};

/* To poll for POLLIN; POLLERR means that live_next has something to say. The source owns it. */
int live_fd(const struct live_source *source);

/* The next frames, borrowed until the next call. 0: nothing is there now. Never blocks. A negative
 * errno: it broke. -ENETDOWN: the interface went down (said once; when it is up again, frames come
 * again), -ENODEV: it is gone for good; -EPIPE: the other side closed; -EBADMSG: what came is no
 * capture. */
int live_next(struct live_source *source, struct frame out[CAPTURE_BURST]) MUST_CHECK;

/* Asks the kernel for its part: a few times a second is often enough. */
void live_count(struct live_source *source, struct live_counters *out);

/* Why it broke, in words, or "". Lives as long as the source. */
const char *live_problem(const struct live_source *source);

/* Closes the descriptor too. NULL is none. */
void live_close(struct live_source *source);

#endif
