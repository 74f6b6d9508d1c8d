/* For unit tests: a log set in a folder of its own, and what is in its files after. */
#ifndef LOG_RECORD_BED_H
#define LOG_RECORD_BED_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/record.h"

struct log_bed {
    char folder[40];
    struct log_set *set;
    struct log_writer *writer;
};

static inline void log_bed_open(struct log_bed *b, enum log_format format,
                                const struct log_column *extra, uint16_t n_extra)
{
    snprintf(b->folder, sizeof b->folder, "/tmp/cloudspan-log.XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    struct log_set_options options = {
        .folder = b->folder, .format = format, .extra = extra, .n_extra = n_extra};
    struct err err;
    if (log_set_open(&options, &b->set, &err) < 0)
        fail_msg("%s", err.text);
    b->writer = log_writer_new(b->set);
    assert_non_null(b->writer);
}

static inline void log_bed_close(struct log_bed *b)
{
    log_writer_free(b->writer);
    struct err err;
    if (log_set_close(b->set, &err) < 0)
        fail_msg("%s", err.text);
}

/* The whole file, with a NUL behind it; "" when it is not there. The caller frees it. */
static inline char *log_bed_take_size(struct log_bed *b, const char *name, size_t *out_size)
{
    char path[80];
    snprintf(path, sizeof path, "%s/%s.log", b->folder, name);
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "rb");
    if (file) {
        fseek(file, 0, SEEK_END);
        size = (size_t)ftell(file);
        rewind(file);
    }
    text = calloc(1, size + 1);
    assert_non_null(text);
    if (file) {
        assert_int_equal(fread(text, 1, size, file), size);
        fclose(file);
        unlink(path);
    }
    *out_size = size;
    return text;
}

static inline char *log_bed_take(struct log_bed *b, const char *name)
{
    size_t size;
    return log_bed_take_size(b, name, &size);
}

/* The rows of a log from the given column on (6: behind those of the connection), one a line; ""
 * when there is no log. The file is removed; the caller frees what comes back. */
static inline char *log_bed_take_rows(struct log_bed *b, const char *name, unsigned from)
{
    char *text = log_bed_take(b, name), *end = text;
    for (char *line = text; *line;) {
        size_t size = strcspn(line, "\n");
        size += line[size] == '\n';
        char *at = line, *next = line + size;
        for (unsigned i = 0; i < from && at; i++) {
            at = memchr(at, '\t', (size_t)(next - at));
            at = at ? at + 1 : NULL;
        }
        if (*line != '#' && at) {
            memmove(end, at, (size_t)(next - at));
            end += next - at;
        }
        line = next;
    }
    *end = '\0';
    return text;
}

static inline void log_bed_remove(struct log_bed *b)
{
    DIR *dir = opendir(b->folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char path[320];
        snprintf(path, sizeof path, "%s/%s", b->folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (dir)
        closedir(dir);
    assert_int_equal(rmdir(b->folder), 0);
}

/* ---- TSV ---- */

static inline const char *log_next_line(const char *at)
{
    const char *end = strchr(at, '\n');
    return end ? end + 1 : NULL;
}

/* The n-th row that is no comment, or NULL. */
static inline const char *log_row(const char *text, size_t n)
{
    for (const char *at = text; at && *at; at = log_next_line(at))
        if (*at != '#' && n-- == 0)
            return at;
    return NULL;
}

static inline size_t log_rows(const char *text)
{
    size_t n = 0;
    for (const char *at = text; at && *at; at = log_next_line(at))
        n += *at != '#';
    return n;
}

/* The n-th field of a line; the caller frees it. */
static inline char *log_field(const char *line, size_t n)
{
    for (; n > 0; n--) {
        line += strcspn(line, "\t\n");
        if (*line != '\t')
            return strdup("(no such field)");
        line++;
    }
    return strndup(line, strcspn(line, "\t\n"));
}

/* By the column's name in the header; the caller frees it. */
static inline char *log_cell(const char *text, size_t row, const char *column)
{
    const char *fields = strstr(text, "#fields\t"), *line = log_row(text, row);
    if (!fields || !line)
        return strdup("(no such row)");
    for (size_t n = 0;; n++) {
        char *name = log_field(fields + 8, n);
        bool found = strcmp(name, column) == 0;
        bool end = strcmp(name, "(no such field)") == 0;
        free(name);
        if (found)
            return log_field(line, n);
        if (end)
            return strdup("(no such column)");
    }
}

#define CHECK_CELL(text, row, column, want)                                                        \
    do {                                                                                           \
        char *cell_ = log_cell(text, row, column);                                                 \
        assert_string_equal(cell_, want);                                                          \
        free(cell_);                                                                               \
    } while (0)

#endif
