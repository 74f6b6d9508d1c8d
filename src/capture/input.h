/* The bytes of one capture file, unpacked where it is compressed.
 *
 * A regular file may be closed at any time and opened again by its name, so that thousands of files
 * need few descriptors; whatever else it is (a pipe, standard input) is opened once. */
#ifndef CAPTURE_INPUT_H
#define CAPTURE_INPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define INPUT_MAGIC_SIZE 6

/* What others see of a read that may take long, and do to it. */
struct input_watch {
    atomic_uint_fast64_t *n_read; /* bytes as they lie on disk, added to */
    const atomic_bool *stopped;   /* once true, a pipe is no longer waited for */
    bool opening;                 /* a signal ends a wait */
};

struct input {
    const char *name; /* borrowed; "-" is standard input */
    const char *shown;
    const struct input_codec *codec; /* NULL: plain */
    void *unpacker;                  /* of the codec; NULL: not begun */
    const struct input_watch *watch; /* may be NULL */
    uint64_t offset;                 /* of the next byte that the descriptor gives */
    uint64_t device, inode;          /* which file it was */
    int fd;                          /* -1: closed */
    bool seekable;                   /* can be paused */
    bool may_wait;                   /* a pipe or the like */
    uint8_t n_magic;                 /* bytes of `magic` still to be given, from a pipe */
    uint8_t magic[INPUT_MAGIC_SIZE];
};

/* Opens it, and sees by its first bytes whether it is compressed. `size`: on disk, 0 when that is
 * not known. A refusal names the file. */
int input_open(struct input *input, const char *name, const struct input_watch *watch,
               uint64_t *size, struct err *err) MUST_CHECK;
void input_close(struct input *input);

/* A file's name for people: "standard input" for "-". */
const char *input_shown(const char *name);

/* Like read(2): at least one byte, 0 at the end, or a negative errno: -EBADMSG for damaged or cut
 * compressed data, -EINTR when it was stopped, else what the kernel refused. May block. */
ssize_t input_read(struct input *input, void *bytes, size_t size, struct err *err) MUST_CHECK;

/* Back to the first byte: only what is seekable. */
int input_rewind(struct input *input, struct err *err) MUST_CHECK;

/* Gives the descriptor back until the next read, where the file allows that. */
void input_pause(struct input *input);

/* For codecs: the next bytes as they lie on disk, like read(2). */
ssize_t input_read_packed(struct input *input, void *bytes, size_t size,
                          struct err *err) MUST_CHECK;

/* A compression: begin, read until 0 or a refusal, end. */
struct input_codec {
    const char *name;
    int (*begin)(struct input *input, struct err *err);
    ssize_t (*read)(struct input *input, void *bytes, size_t size, struct err *err);
    void (*end)(struct input *input);
};

/* Without the library they are there too, and their begin() says so. */
extern const struct input_codec input_gzip;
extern const struct input_codec input_zstd;

#endif
