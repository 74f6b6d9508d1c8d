/* Writing a struct back as a document, and the table as a reference: see yaml.h. */
#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/yaml.h"

#define MAX_ITEM 1024 /* bytes of an item whose defaults are shown */
#define MAX_PATH 200

static const void *member(const void *target, size_t offset)
{
    return (const char *)target + offset;
}

static void indent(unsigned depth, FILE *out)
{
    fprintf(out, "%*s", (int)(2 * depth), "");
}

static bool is_zero(const struct yaml_row *row, const void *at)
{
    switch (row->kind) {
    case YAML_TEXT:
        return *(char *const *)at == NULL;
    case YAML_COUNT:
        return *(const uint32_t *)at == 0;
    case YAML_SIZE:
        return *(const uint64_t *)at == 0;
    case YAML_TIME:
        return *(const int64_t *)at == 0;
    case YAML_SHARE:
        return *(const uint8_t *)at == 0;
    case YAML_BOOL:
    case YAML_WORD:
    case YAML_FORM:
    case YAML_MAP:
    case YAML_IGNORE:
        return false;
    }
    return false;
}

/* A value that is no mapping; false: there is none. */
static bool put_value(const struct yaml_row *row, const void *at, FILE *out)
{
    if (is_zero(row, at) && row->zero) {
        fputs(row->zero, out);
        return true;
    }
    switch (row->kind) {
    case YAML_TEXT:
        if (!*(char *const *)at)
            return false;
        yaml_put_text(*(char *const *)at, out);
        return true;
    case YAML_BOOL:
        fputs(*(const bool *)at ? "yes" : "no", out);
        return true;
    case YAML_COUNT:
        fprintf(out, "%" PRIu32, *(const uint32_t *)at);
        return true;
    case YAML_SIZE:
        yaml_put_size(*(const uint64_t *)at, out);
        return true;
    case YAML_TIME:
        yaml_put_time(*(const int64_t *)at, out);
        return true;
    case YAML_SHARE:
        fprintf(out, "%u%%", *(const uint8_t *)at);
        return true;
    case YAML_WORD:
        fputs(row->words[*(const int *)at], out);
        return true;
    case YAML_FORM:
        return row->form->put(at, out);
    case YAML_MAP:
    case YAML_IGNORE:
        return false;
    }
    return false;
}

/* What put_value writes, as a text of its own; NULL: nothing. */
static char *value_text(const struct yaml_row *row, const void *at)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    bool there = put_value(row, at, out);
    if (fclose(out) == 0 && there)
        return text;
    free(text);
    return NULL;
}

static void put_rows(const struct yaml_row *rows, const void *target, unsigned depth, bool dashed,
                     FILE *out);

static void put_flow_list(const struct yaml_row *row, const char *items, size_t count, FILE *out)
{
    fputs(" [", out);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(", ", out);
        (void)put_value(row, items + i * row->item_size, out);
    }
    fputs("]\n", out);
}

static void put_list(const struct yaml_row *row, const void *target, unsigned depth, FILE *out)
{
    const char *items = *(void *const *)member(target, row->at);
    size_t count = *(const size_t *)member(target, row->count_at);
    if (row->kind != YAML_MAP || count == 0) {
        put_flow_list(row, items, count, out);
        return;
    }
    fputc('\n', out);
    for (size_t i = 0; i < count; i++) {
        const char *item = items + i * row->item_size;
        if (row->shape == YAML_NAMED) {
            indent(depth + 1, out);
            yaml_put_text(*(char *const *)(const void *)(item + row->name_at), out);
            fputs(":\n", out);
            put_rows(row->rows, item, depth + 2, false, out);
        } else {
            indent(depth + 1, out);
            fputs("- ", out);
            put_rows(row->rows, item, depth + 2, true, out);
        }
    }
}

/* `dashed`: the first line follows the dash of its list. */
static void put_rows(const struct yaml_row *rows, const void *target, unsigned depth, bool dashed,
                     FILE *out)
{
    bool first = dashed;
    for (const struct yaml_row *row = rows; row->key; row++) {
        if (row->again || row->kind == YAML_IGNORE)
            continue;
        char *text = NULL;
        if (row->shape == YAML_ONE && row->kind != YAML_MAP) {
            text = value_text(row, member(target, row->at));
            if (!text)
                continue;
        }
        if (!first)
            indent(depth, out);
        first = false;
        fprintf(out, "%s:", row->key);
        if (text) {
            fprintf(out, " %s\n", text);
            free(text);
        } else if (row->shape == YAML_ONE) {
            fputc('\n', out);
            put_rows(row->rows, member(target, row->at), depth + 1, false, out);
        } else if (row->shape == YAML_NAMED &&
                   *(const size_t *)member(target, row->count_at) == 0) {
            fputs(" {}\n", out);
        } else {
            put_list(row, target, depth, out);
        }
    }
    if (first)
        fputs("{}\n", out);
}

void yaml_put(const struct yaml_row *rows, const void *target, FILE *out)
{
    put_rows(rows, target, 0, false, out);
}

static const char *kind_text(enum yaml_kind kind)
{
    static const char *const texts[] = {
        [YAML_TEXT] = "TEXT",       [YAML_BOOL] = "yes|no", [YAML_COUNT] = "NUMBER",
        [YAML_SIZE] = "SIZE",       [YAML_TIME] = "TIME",   [YAML_SHARE] = "SHARE",
        [YAML_WORD] = "WORD",       [YAML_FORM] = "TEXT",   [YAML_MAP] = "",
        [YAML_IGNORE] = "ANYTHING",
    };
    return texts[kind];
}

/* " one|two|three", or what the row calls its value. */
static void put_wanted(const struct yaml_row *row, FILE *out)
{
    fputs(row->kind == YAML_MAP && !row->value ? "" : " ", out);
    if (row->shape == YAML_LIST && row->kind != YAML_MAP)
        fputc('[', out);
    if (row->value)
        fputs(row->value, out);
    else if (row->kind == YAML_WORD)
        for (size_t i = 0; row->words[i]; i++)
            fprintf(out, "%s%s", i ? "|" : "", row->words[i]);
    else
        fputs(kind_text(row->kind), out);
    if (row->zero)
        fprintf(out, "|%s", row->zero);
    if (row->shape == YAML_LIST && row->kind != YAML_MAP)
        fputs(", ...]", out);
}

static void put_help(const char *help, unsigned depth, FILE *out)
{
    indent(depth + 4, out);
    for (const char *p = help; *p; p++) {
        fputc(*p, out);
        if (*p == '\n')
            indent(depth + 4, out);
    }
    fputc('\n', out);
}

static void put_reference(const struct yaml_row *rows, const void *target, unsigned depth,
                          FILE *out)
{
    for (const struct yaml_row *row = rows; row->key; row++) {
        indent(depth, out);
        fprintf(out, "%s%s", row->key, row->kind == YAML_IGNORE ? "...:" : ":");
        put_wanted(row, out);
        char *text = NULL;
        if (row->shape == YAML_ONE && row->kind != YAML_MAP && row->kind != YAML_IGNORE)
            text = value_text(row, member(target, row->at));
        if (text)
            fprintf(out, "  (%s)", text);
        free(text);
        fputc('\n', out);
        put_help(row->help, depth, out);
        if (row->kind != YAML_MAP)
            continue;
        if (row->shape == YAML_ONE) {
            put_reference(row->rows, member(target, row->at), depth + 1, out);
            continue;
        }
        /* The defaults of an item. */
        assert(row->item_size <= MAX_ITEM);
        union {
            max_align_t align;
            char bytes[MAX_ITEM];
        } item = {.bytes = {0}};
        if (row->init)
            row->init(&item);
        indent(depth + 1, out);
        fputs(row->shape == YAML_NAMED ? "NAME:\n" : "-\n", out);
        put_reference(row->rows, &item, depth + 2, out);
    }
}

void yaml_reference(const struct yaml_row *rows, const void *target, FILE *out)
{
    put_reference(rows, target, 0, out);
}

static int each_row(const struct yaml_row *rows, char path[MAX_PATH], size_t len,
                    int (*each)(const char *, const struct yaml_row *, void *), void *with)
{
    for (const struct yaml_row *row = rows; row->key; row++) {
        int n = snprintf(path + len, MAX_PATH - len, "%s%s", len ? "." : "", row->key);
        assert(n > 0 && (size_t)n < MAX_PATH - len);
        int result = each(path, row, with);
        if (result == 0 && row->kind == YAML_MAP)
            result = each_row(row->rows, path, len + (size_t)n, each, with);
        if (result != 0)
            return result;
    }
    return 0;
}

int yaml_each(const struct yaml_row *rows,
              int (*each)(const char *path, const struct yaml_row *row, void *with), void *with)
{
    char path[MAX_PATH] = "";
    return each_row(rows, path, 0, each, with);
}
