/* Command lines from tables: the same rows parse, and print --help. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct option_row {
    char letter;         /* 'd' for -d; 0: none */
    const char *name;    /* "memory" for --memory; NULL: none */
    const char *value;   /* what --help calls the value; NULL: takes none */
    bool value_may_lack; /* --mirror or --mirror=KIND; only with '=' */
    const char *help;
};

/* Walks `args` (without the program's and command's names). For each option calls `take` with the
 * row's index and its value (NULL: none was given); `take` returns 0 or what err_set gave. What is
 * no option is collected in `rest` (room for n_args), whose number is returned; "--" ends options.
 * Negative: wrong usage, err says why. The table ends with a row without letter and name. */
int options_parse(const struct option_row *table, char **args, int n_args, const char **rest,
                  int (*take)(int row, const char *value, void *with, struct err *err), void *with,
                  struct err *err) MUST_CHECK;

/* One aligned paragraph for each row. */
void options_print(const struct option_row *table, FILE *out);

/* "512M", "2G", "65536": bytes; K, M, G, T are powers of 1024. */
bool options_size(const char *text, uint64_t *out);
bool options_number(const char *text, uint64_t max, uint64_t *out);

#endif
