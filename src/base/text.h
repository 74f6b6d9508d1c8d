/* Text that grows while it is written: a reply, a page of numbers, a frame of the screen. It has a
 * maximum; what does not fit, and what there is no memory for, makes it failed, and nothing more is
 * kept. Whoever makes one asks `failed` once, at the end. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *at; /* on the heap, ended by a NUL; NULL: empty */
    size_t size;
    size_t capacity;
    size_t max;
    bool failed;
};

void text_init(struct text *text, size_t max);
void text_done(struct text *text);

/* The bytes, which the caller frees, and their number; NULL when it failed. The text is empty then.
 */
char *text_take(struct text *text, size_t *out_size);

void text_add(struct text *text, const void *bytes, size_t size);
void text_put(struct text *text, const char *string);
/* At most 511 bytes a call; longer ones are cut. */
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes, all of it ASCII. Bytes that are no UTF-8 become \xNN, as visible
 * characters. Reads up to the NUL, `max` bytes at most. */
void text_json(struct text *text, const char *string, size_t max);

/* One word of a POSIX shell's command line: in quotes where it needs them. */
void text_shell(struct text *text, const char *word);

/* How many bytes the well-formed UTF-8 character has that begins here; 0: none does. */
size_t text_utf8(const char *at, size_t left, uint32_t *out_code);
/* The character as UTF-8; gives its bytes. `code` is at most 0x10ffff. */
size_t text_put_utf8(uint32_t code, char out[4]);

#endif
