/* Patterns over the first bytes of a file, and the table of them. */
#ifndef PROTO_MIME_MATCH_H
#define PROTO_MIME_MATCH_H

#include "base/reader.h"
#include "base/str.h"

struct mime_signature {
    int16_t strength; /* the strongest that matches wins */
    uint16_t key_at;  /* the byte there must be `key`, so says the pattern; looked at first */
    int16_t key;      /* -1: there is no such byte */
    const char *mime;
    struct str pattern;
};

extern const struct mime_signature mime_signatures[];
extern const size_t mime_n_signatures;

/* Index of the first that begins with a byte (or with a later one); [256]: of those that begin with
 * none in particular. */
extern const uint16_t mime_begins_with[257];

/* Does the text begin with what the pattern says? A byte stands for itself, and
 *     .      any byte
 *     [a-c]  one of these
 *     {n}    the byte or set before it n times
 *     *      any bytes, also none
 *     \x     x itself */
bool mime_match(struct str pattern, struct str text);

#endif
