/* Which columns of which log become what of a record. */
#ifndef HUNT_FIELD_H
#define HUNT_FIELD_H

#include "hunt/record.h"

enum field_kind {
    FIELD_TS,
    FIELD_TIME,
    FIELD_INTERVAL,
    FIELD_COUNT,
    FIELD_DOUBLE,
    FIELD_BOOL,
    FIELD_TRUTH, /* a bool kept as 1, 0 or HUNT_UNSET */
    FIELD_STR,
    FIELD_STR_ELSE, /* only where another column has not said it already */
    FIELD_ORIG,
    FIELD_RESP,
    FIELD_ORIG_ELSE,
    FIELD_RESP_ELSE,
    FIELD_PORT,
    FIELD_UID,
    FIELD_PROTO,
    FIELD_STATE,
    FIELD_FIRST,   /* of a list */
    FIELD_LINES,   /* a list, '\n' between */
    FIELD_ANSWERS, /* the same, and counted */
    FIELD_COMMAS,  /* a list, ',' between */
    FIELD_COMMAS_ELSE,
    FIELD_PATH, /* the log's name, to be compared */
};

struct field {
    const char *name; /* Zeek's */
    uint16_t at;      /* in struct hunt_record */
    uint8_t kind;     /* enum field_kind */
    uint8_t len;      /* of the name */
};

#define FIELDS_MAX  48 /* of one log */
#define FIELD_SLOTS 256

/* Both ends of a name, which of one that has up to 16 characters are all of it. */
struct field_key {
    uint64_t head, tail;
    uint32_t len;
};

/* A log's fields, found by name: with '.', or with '_' for it as some shippers write. */
struct fields {
    struct field at[FIELDS_MAX];
    uint8_t n;
    struct {
        struct field_key key;
        uint8_t index; /* + 1; 0: free */
    } slots[FIELD_SLOTS];
    enum hunt_log log;
    bool needs_ends;
    struct hunt_record blank; /* all unset */
    size_t blank_size;        /* the rest of a record is another log's */
};

/* Whether a log that calls itself so may be this one: what is written of open connections calls
 * itself by either name. */
bool fields_is_named(const struct fields *fields, enum hunt_log called);
void fields_init(struct fields *fields, enum hunt_log log);
/* NULL: none that is wanted. */
const struct field *fields_find(const struct fields *fields, const char *name, size_t len);

#endif
