/* One log's text in pieces, as the running watch has it. */
#include <errno.h>
#include <stdlib.h>

#include "hunt/parse.h"

struct hunt_lines {
    struct columns columns;
    struct fields fields;
    struct parsed parsed;
    int refused; /* stays so */
    struct err why;
};

struct hunt_lines *hunt_lines_new(enum hunt_log log)
{
    struct hunt_lines *lines = calloc(1, sizeof *lines);
    if (!lines)
        return NULL;
    columns_init(&lines->columns);
    fields_init(&lines->fields, log);
    return lines;
}

void hunt_lines_free(struct hunt_lines *lines)
{
    if (!lines)
        return;
    parsed_done(&lines->parsed);
    free(lines);
}

long hunt_lines_take(struct hunt_lines *lines, const char *text, size_t size,
                     const struct hunt_record **out, struct hunt_read_counts *counts,
                     struct err *err)
{
    struct parsed *parsed = &lines->parsed;
    *out = NULL;
    if (lines->refused < 0)
        return err_set(err, lines->refused, "%s", lines->why.text);
    if (size == 0)
        return 0;
    int result = parse_lines(&lines->columns, &lines->fields, text, size, parsed, &lines->why);
    if (result < 0) {
        lines->refused = result == -ENOMEM ? 0 : result;
        counts->n_foreign_files += result != -ENOMEM;
        return err_set(err, result, "%s", lines->why.text);
    }
    counts->n_bytes += size;
    counts->n_lines += parsed->n_lines;
    counts->n_records += parsed->n;
    counts->n_bad_lines += parsed->n_bad;
    counts->n_long_lines += parsed->n_long;
    *out = parsed->records;
    return (long)parsed->n;
}
