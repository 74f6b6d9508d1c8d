/* From a log's text to its records: what the parts of it share, inside src/hunt. */
#ifndef HUNT_PARSE_H
#define HUNT_PARSE_H

#include "base/err.h"
#include "hunt/field.h"
#include "hunt/read.h"

#define COLUMNS_MAX      1000
#define COLUMNS_MARK_MAX 32

enum columns_format { COLUMNS_NONE, COLUMNS_TSV, COLUMNS_JSON };

/* What is known of a log after its first lines. Small, and without pointers: each block of lines
 * has a copy of it as it was where the block begins. */
struct columns {
    uint8_t format; /* enum columns_format */
    bool named;     /* there was a #fields line */
    bool strict;    /* no column may be missing */
    char separator, set_separator;
    uint8_t unset_len, empty_len;
    char unset[COLUMNS_MARK_MAX], empty[COLUMNS_MARK_MAX];
    uint16_t n;        /* columns of a line */
    uint16_t n_wanted; /* of these, in order */
    struct {
        uint16_t column;
        uint8_t field; /* of struct fields */
    } wanted[FIELDS_MAX * 2];
};

/* Lines that came to records, and those that did not. */
struct parsed {
    struct hunt_record *records;
    size_t n, capacity;
    char *arena; /* texts that had escapes */
    size_t arena_size, arena_used;
    uint64_t n_physical; /* lines, the empty ones and the header's too */
    uint64_t n_lines, n_bad, n_long;
    uint64_t first_bad; /* counted from 1; 0: none was */
    const char *why;    /* what was wrong with it, behind the column's name if `what` is set */
    const char *what;
};

void columns_init(struct columns *columns);
/* A line that begins with '#' (or the first one, whatever it is), without its end. Negative: no
 * Zeek log, or another one than its name says; `err` says so. */
int columns_header(struct columns *columns, const struct fields *fields, struct str line,
                   struct err *err) MUST_CHECK;
/* What all of a text's header lines say, without looking at the others. */
int columns_scan(struct columns *columns, const struct fields *fields, const char *text,
                 size_t size, struct err *err) MUST_CHECK;

/* Whole lines. What was in `out` before is given up. `columns` is taken along. */
int parse_lines(struct columns *columns, const struct fields *fields, const char *text, size_t size,
                struct parsed *out, struct err *err) MUST_CHECK;
/* Its memory stays, for the next lines. */
void parsed_clear(struct parsed *parsed);
void parsed_done(struct parsed *parsed);

/* ---- one value ---- */

struct parse {
    const struct fields *fields;
    struct parsed *out;
    struct hunt_record *record; /* being filled */
    uint32_t seen;              /* enum parse_seen */
    bool json;
};
enum parse_seen { SEEN_TS = 1, SEEN_ORIG = 2, SEEN_RESP = 4 };

/* Makes `parse->record` a blank one; NULL: no memory. */
struct hunt_record *parse_begin(struct parse *parse);
/* Of a line that has all its columns; true: it is a record now. */
bool parse_end(struct parse *parse);
/* The line came to nothing. Always false. */
bool parse_bad(struct parse *parse, const char *what, const char *why);

/* A value that is no list, without escapes. False: parse_bad was called. */
bool parse_value(struct parse *parse, const struct field *field, struct str value);
static inline bool parse_is_list(const struct field *field)
{
    return field->kind >= FIELD_FIRST && field->kind <= FIELD_COMMAS_ELSE;
}

/* False: it is not wanted, for another column has said it. */
bool parse_list_begin(struct parse *parse, const struct field *field);
void parse_list_add(struct parse *parse, const struct field *field, struct str raw, bool escaped);
/* The text without its escapes. */
struct str parse_text(struct parse *parse, struct str raw);

/* ---- the two formats ---- */

/* Fills the record from one line; the line's number of columns is right. False: parse_bad was
 * called. */
int tsv_lines(struct columns *columns, struct parse *parse, const char *text, size_t size,
              struct err *err) MUST_CHECK;
int json_lines(struct parse *parse, const char *text, size_t size, struct err *err) MUST_CHECK;

#endif
