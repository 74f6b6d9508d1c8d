/* Patterns over the first bytes of a file, and the table of them. */
#ifndef PROTO_MIME_MATCH_H
#define PROTO_MIME_MATCH_H

#include "base/reader.h"
#include "base/str.h"

struct mime_signature {
    int16_t strength; /* the strongest that matches wins */
    const char *mime;
    struct str pattern;
};

extern const struct mime_signature mime_signatures[];
extern const size_t mime_n_signatures;

/* The byte a pattern begins with, or -1: one of several. */
int mime_first_byte(struct str pattern);

/* Does the text begin with what the pattern says? A byte stands for itself, and
 *     .      any byte
 *     [a-c]  one of these
 *     {n}    the byte or set before it n times
 *     *      any bytes, also none
 *     \x     x itself */
bool mime_match(struct str pattern, struct str text);

#endif
