/* The header of a TSV log: which column is what.
 *
 *     #separator \x09
 *     #set_separator	,
 *     #empty_field	(empty)
 *     #unset_field	-
 *     #path	conn
 *     #fields	ts	uid	id.orig_h	...
 *
 * It may come again in the middle of a file: Zeek writes it when it was started anew. */
#include "hunt/parse.h"

#include <errno.h>

#include "hunt/files.h"
#include "hunt/value.h"

void columns_init(struct columns *columns)
{
    memset(columns, 0, sizeof *columns);
    columns->separator = '\t';
    columns->set_separator = ',';
    columns->unset[0] = '-';
    columns->unset_len = 1;
    memcpy(columns->empty, "(empty)", 7);
    columns->empty_len = 7;
}

/* What stands behind the key and one separator. */
static bool take_key(const struct columns *columns, struct str line, struct str key,
                     struct str *out)
{
    if (line.len <= key.len || !str_starts(line, key))
        return false;
    char next = line.at[key.len];
    *out = str_from(line, key.len + 1);
    return next == columns->separator || next == ' ' || next == '\t';
}

/* One character, perhaps written as \x09. */
static bool one_character(struct str text, char *out)
{
    char bytes[8];
    if (text.len == 0 || text.len > sizeof bytes || value_unescape_tsv(text, bytes) != 1)
        return false;
    *out = bytes[0];
    return *out != '\n' && *out != '\\' && *out != '#';
}

static int mark(struct str text, char *out, uint8_t *out_len, struct err *err)
{
    if (text.len > COLUMNS_MARK_MAX)
        return err_set(err, -EINVAL, "its header's mark of an unset or empty field is too long");
    memcpy(out, text.at, text.len);
    *out_len = (uint8_t)text.len;
    return 0;
}

static int take_path(const struct fields *fields, struct str path, struct err *err)
{
    enum hunt_log log;
    char name[64] = "";
    if (path.len < sizeof name - 5) {
        memcpy(name, path.at, path.len);
        memcpy(name + path.len, ".log", 5);
    }
    if (files_log_of(name, &log) && fields_is_named(fields, log))
        return 0;
    return err_set(err, -EINVAL, "its name says it is a log of %s, its header that it is of %.*s",
                   hunt_log_name(fields->log), (int)(path.len < 40 ? path.len : 40), path.at);
}

static int take_names(struct columns *columns, const struct fields *fields, struct str names,
                      struct err *err)
{
    columns->n = 0;
    columns->n_wanted = 0;
    bool more = true;
    while (more) {
        const char *end = memchr(names.at, columns->separator, names.len);
        more = end != NULL;
        struct str name = end ? str_upto(names, (size_t)(end - names.at)) : names;
        const struct field *field = fields_find(fields, name.at, name.len);
        if (columns->n == COLUMNS_MAX)
            return err_set(err, -EINVAL, "its header has more than %d columns", COLUMNS_MAX);
        if (field && columns->n_wanted < FIELDS_MAX * 2) {
            columns->wanted[columns->n_wanted].column = columns->n;
            columns->wanted[columns->n_wanted++].field = (uint8_t)(field - fields->at);
        }
        columns->n++;
        if (more)
            names = str_from(names, name.len + 1);
    }
    columns->named = true;
    return 0;
}

int columns_header(struct columns *columns, const struct fields *fields, struct str line,
                   struct err *err)
{
    struct str value;
    if (line.len && line.at[line.len - 1] == '\r')
        line.len--;
    if (columns->format == COLUMNS_NONE) {
        line = str_trim(line);
        if (line.len == 0)
            return 0;
        if (line.at[0] == '{') {
            columns->format = COLUMNS_JSON;
            return 0;
        }
        if (line.at[0] != '#')
            return err_set(err, -EINVAL,
                           "it does not begin like a Zeek log, with lines of #fields or with JSON");
        columns->format = COLUMNS_TSV;
    }
    if (columns->format == COLUMNS_JSON)
        return 0;
    if (take_key(columns, line, STR("#separator"), &value)) {
        if (!one_character(value, &columns->separator))
            return err_set(err, -EINVAL, "its header names a separator that is not one character");
    } else if (take_key(columns, line, STR("#set_separator"), &value)) {
        if (!one_character(value, &columns->set_separator))
            return err_set(err, -EINVAL,
                           "its header names a separator of sets that is not one "
                           "character");
    } else if (take_key(columns, line, STR("#empty_field"), &value)) {
        return mark(value, columns->empty, &columns->empty_len, err);
    } else if (take_key(columns, line, STR("#unset_field"), &value)) {
        return mark(value, columns->unset, &columns->unset_len, err);
    } else if (take_key(columns, line, STR("#path"), &value)) {
        return take_path(fields, value, err);
    } else if (take_key(columns, line, STR("#fields"), &value)) {
        return take_names(columns, fields, value, err);
    }
    return 0;
}

int columns_scan(struct columns *columns, const struct fields *fields, const char *text,
                 size_t size, struct err *err)
{
    const char *at = text, *end = text + size;
    while (columns->format == COLUMNS_NONE && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);
        int result = columns_header(columns, fields, str_make(at, len), err);
        if (result < 0)
            return result;
        at = stop ? stop + 1 : end;
    }
    if (columns->format == COLUMNS_JSON)
        return 0;
    while (at < end) {
        const char *mark_at = memchr(at, '#', (size_t)(end - at));
        if (!mark_at)
            return 0;
        const char *stop = memchr(mark_at, '\n', (size_t)(end - mark_at));
        if (!stop)
            stop = end;
        if (mark_at == text || mark_at[-1] == '\n') {
            int result =
                columns_header(columns, fields, str_make(mark_at, (size_t)(stop - mark_at)), err);
            if (result < 0)
                return result;
            at = stop < end ? stop + 1 : end;
        } else {
            at = mark_at + 1;
        }
    }
    return 0;
}
