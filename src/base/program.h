/* Other people's programs, run with a list of arguments: no shell is asked, and what they print is
 * bounded, as is the time they take. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define PROGRAM_ARGUMENTS_MAX 64

struct program {
    const char *name;             /* "nft": looked for in PATH, then in /usr/sbin and /sbin */
    const char *package;          /* Debian's, for the sentence where it is missing */
    const char *const *arguments; /* without the name; ended by NULL */
    const void *in;               /* what it reads from its standard input; NULL: nothing */
    size_t in_size;
    size_t out_max;   /* bytes that it may print; 0: 16 MiB */
    unsigned seconds; /* that it may take; 0: 30 */
    bool is_users;    /* the user's own: looked for in PATH alone, and run with all of the
                       * environment; others have a plain one */
    bool is_secret;   /* what it prints: with out_max, which is taken at once, no part of it stays
                       * in memory; that of the result the caller wipes, by program_forget */
};

struct program_result {
    char *out; /* on the heap, ended by a NUL that is not counted */
    size_t out_size;
    char complaint[400]; /* how its standard error begins: without control characters, one line */
    int exit_code;       /* 128 and the signal's number where a signal ended it */
};

/* Runs it in this process's namespaces and waits for its end. An exit code other than 0 is no
 * refusal here: the caller knows what it means. -ENOENT: it is not installed, and the sentence
 * names the package; -ETIME: it took too long and was killed; -EFBIG: it printed too much. */
int program_run(const struct program *program, struct program_result *out,
                struct err *err) MUST_CHECK;
void program_done(struct program_result *result);
void program_forget(struct program_result *result);

/* Where it is; false: it is nowhere. */
bool program_find(const char *name, char *out, size_t size);

#endif
