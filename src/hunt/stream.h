/* One log file, given in blocks of whole lines, from where a run before left it. Blocks are taken
 * one after the other, by any threads; what is in them is parsed later, by whom one likes. */
#ifndef HUNT_STREAM_H
#define HUNT_STREAM_H

#include "hunt/files.h"
#include "hunt/marks.h"
#include "hunt/parse.h"

#define STREAM_BLOCK (1u << 20)

struct stream {
    const struct files_one *file;
    const struct fields *all_fields; /* by enum hunt_log */
    const struct fields *fields;     /* NULL until it is known what log this is */
    struct columns columns;          /* where the next block begins */
    const struct marks *marks;       /* of a run before; NULL: none */
    const struct hunt_mark *resumed; /* the one by which it goes on */
    int fd;
    struct inflate *inflate; /* NULL: it is plain */
    unsigned char *packed;
    size_t packed_at, packed_size;
    char *rest; /* of the last block: what is behind its last newline */
    size_t rest_size, rest_capacity;
    uint64_t offset; /* in the text, of what `rest` begins with */
    uint64_t resume; /* so much of it was read before */
    uint64_t disk;   /* bytes read of the file */
    char head[MARKS_HASHED];
    uint32_t head_size;
    bool begun, at_end, dropping;
    bool cut;     /* the packed bytes end early, or the last line */
    bool damaged; /* the packed bytes are wrong */
};

struct block {
    char *text;
    size_t size, capacity;
    struct columns columns; /* where it begins */
    const struct fields *fields;
    uint64_t end; /* in the text: where it ends */
    struct parsed parsed;
    uint64_t n_long; /* lines left out before it; each of them is one line */
    uint64_t disk;   /* bytes of the file taken for it */
    bool last;       /* of its file; it may be empty */
    bool partial;    /* its only line has no end */
    bool json;
    int result;      /* of reading and parsing; a negative errno ends the file */
    struct err err;
};

/* Does not open it yet. `file` and the marks stay; `fields` are of all logs. */
void stream_init(struct stream *stream, const struct files_one *file, const struct fields *fields,
                 const struct marks *marks);
void stream_done(struct stream *stream);
/* The next block; the last one is said so, and there is none behind it. */
void stream_next(struct stream *stream, struct block *block);
/* The lines of a block become its records, those before `since` left out. A last line without its
 * end is taken where it is certainly whole; else it stays `partial`, and has no records. */
void block_parse(struct block *block, bool may_grow, int64_t since);

/* That it was read up to `end`; the path is the caller's to free. False: no memory. */
bool stream_mark(const struct stream *stream, uint64_t end, struct hunt_mark *out);

void block_done(struct block *block);

#endif
