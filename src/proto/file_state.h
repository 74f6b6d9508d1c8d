/* What the files of files share: the state of one file. Only proto/file*.c includes it.
 *
 *     file.c         bytes, types, rows
 *     file_parts.c   parts that come in any order
 *     file_memory.c  files that outlive their connection
 */
#ifndef PROTO_FILE_STATE_H
#define PROTO_FILE_STATE_H

#include "proto/file.h"
#include "proto/mime.h"

#define FILE_TIMEOUT     (120 * INT64_C(1000000000))
#define FILE_MAX_NAME    4096u
#define FILE_N_ANALYZERS 6
#define FILE_N_PARTS     64      /* ranges kept of one file, out of order */
#define FILE_MAX_PENDING 524288u /* bytes they may have in all before the gap is given up */
#define FILE_N_CARRIERS  16      /* connections that one file is said to have come over */
#define FILE_N_SHARED    256     /* files that others may go on with */

struct part {
    uint64_t start, end;
};

/* Parts that do not join what was delivered, sorted, without overlaps. */
struct parts {
    uint64_t delivered, trimmed;
    uint32_t n;
    bool flushing;
    uint8_t *early; /* MIME_LOOK_AT bytes: what came of the beginning; NULL: nothing */
    struct part part[FILE_N_PARTS];
};

/* A connection that carried the file. */
struct carrier {
    struct flow_uid uid;
    struct addr addr[2];
    uint16_t port[2];
};

struct file {
    struct flow_context *context;
    const char *source;
    struct flow_uid id;
    bool is_orig;
    bool looked; /* for the type: once */
    bool timed_out;
    bool has_total;
    int64_t first, last, check; /* packet time; when to look for expiry */
    uint64_t total, seen, missing, overflow;
    uint64_t at; /* the next byte expected */
    const char *mime;
    struct str name;
    struct buf head;
    struct parts *parts;
    uint8_t n_analyzers;
    const char *analyzers[FILE_N_ANALYZERS];

    struct analysis *listener; /* NULL: nobody wants to know the type */
    uint32_t listener_tag;
    void (*tell)(struct analysis *a, uint32_t tag, const struct file *file);

    bool shared;
    uint64_t key;
    struct file *next; /* among the shared, the one used last first */
    struct carrier first_carrier;
    struct carrier *more_carriers; /* FILE_N_CARRIERS of them, or NULL */
    uint8_t n_more_carriers;
};

/* The files of a worker that outlive their connections. */
struct file_memory {
    struct file *files;
    uint32_t n_files;
};

/* file.c */
/* `bytes` may be NULL: they came, out of order, and were not kept. */
void file_deliver(struct file *file, const uint8_t *bytes, uint64_t size);
void file_miss(struct file *file, uint64_t size);
struct carrier file_carrier(const struct analysis *a);

/* file_parts.c */
/* False: no memory for it. */
bool file_parts_begin(struct file *file);
void file_parts_add(struct file *file, uint64_t offset, const uint8_t *bytes, size_t size);
uint64_t file_parts_flush(struct file *file); /* gives up what is missing; how much that is */
void file_parts_skip_to(struct file *file, uint64_t up_to);
void file_parts_free(struct file *file);

/* file_memory.c */
void file_unshare(struct file *file);

#endif
