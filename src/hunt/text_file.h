/* A file of lines that a person wrote, as a whole. */
#ifndef HUNT_TEXT_FILE_H
#define HUNT_TEXT_FILE_H

#include "base/err.h"
#include "base/str.h"

/* The mark of the byte order in UTF-8. */
#define TEXT_FILE_MARK "\xef\xbb\xbf"

/* The whole file without such a mark on the heap, for free(); not a folder, at most `max` bytes. */
int text_file_read(const char *path, size_t max, char **out, size_t *out_size,
                   struct err *err) MUST_CHECK;

/* Takes the next line off `rest`, without its end; false: there is none. */
bool text_file_line(struct str *rest, struct str *out);

/* Takes the next word off `line`: what stands between blanks, tabs and commas. False: none. */
bool text_file_word(struct str *line, struct str *out);

#endif
