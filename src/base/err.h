/* What the world refused, in words for the user. See doc/errors in the conventions: functions that
 * can be refused return 0 or a negative errno and take a struct err last. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

struct err {
    char text[512];
};

#define MUST_CHECK __attribute__((warn_unused_result))

/* Writes the sentence and gives back `code`. `err` may be NULL. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts context in front of what is there: "context: text". */
void err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
