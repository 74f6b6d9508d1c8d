/* Blocks of many files, read and parsed by several threads, and had in order by one.
 *
 * A thread takes the next block of the first file that nobody is reading, reads (and unpacks) it,
 * lets the file go, and parses it: so one large file keeps all threads busy, packed files are
 * unpacked by one thread each, and small ones are read side by side. How many blocks there are is
 * bounded; half of them are for the file that is delivered now. */
#ifndef HUNT_LANES_H
#define HUNT_LANES_H

#include "hunt/stream.h"

struct lanes;

struct lanes_options {
    const struct files_one *const *files;
    size_t n_files;
    const struct fields *fields; /* of all logs */
    const struct marks *marks;   /* may be NULL */
    unsigned n_threads;          /* at least 1 */
    int64_t since;
};

/* All that is pointed to stays until lanes_free. */
int lanes_new(const struct lanes_options *options, struct lanes **out, struct err *err) MUST_CHECK;
void lanes_free(struct lanes *lanes);

/* Whether this file may be growing yet. */
bool lanes_may_grow(const struct files_one *file, int64_t now);

/* The next block of the file that is first now, after at most `wait_ns`; NULL: it is not there
 * yet. */
struct block *lanes_take(struct lanes *lanes, int64_t wait_ns);
/* It was read. */
void lanes_give_back(struct lanes *lanes, struct block *block);
/* The first file's stream, between lanes_take and lanes_next. */
const struct stream *lanes_stream(const struct lanes *lanes);
/* The first file is done with: what is left of it is dropped. */
void lanes_next(struct lanes *lanes);

#endif
