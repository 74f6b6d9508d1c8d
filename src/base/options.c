/* Command lines from tables: see options.h. */
#include "base/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

static bool is_end(const struct option_row *row)
{
    return !row->letter && !row->name;
}

static int unknown(const struct option_row *table, const char *name, struct err *err)
{
    struct nearest nearest = nearest_begin(name);
    for (const struct option_row *row = table; !is_end(row); row++)
        if (row->name)
            nearest_try(&nearest, row->name);
    if (nearest.word)
        return err_set(err, -EINVAL, "unknown option --%s; did you mean --%s?", name, nearest.word);
    return err_set(err, -EINVAL, "unknown option --%s; see --help", name);
}

static int take_long(const struct option_row *table, char **args, int n_args, int *at,
                     int (*take)(int, const char *, void *, struct err *), void *with,
                     struct err *err)
{
    const char *name = args[*at] + 2;
    size_t len = strcspn(name, "=");
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    for (int i = 0; !is_end(&table[i]); i++) {
        const struct option_row *row = &table[i];
        if (!row->name || strlen(row->name) != len || strncmp(row->name, name, len) != 0)
            continue;
        if (!row->value && value)
            return err_set(err, -EINVAL, "option --%s takes no value", row->name);
        if (row->value && !value && !row->value_may_lack) {
            if (*at + 1 >= n_args)
                return err_set(err, -EINVAL, "option --%s needs a value: %s", row->name,
                               row->value);
            value = args[++*at];
        }
        return take(i, value, with, err);
    }
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", (int)(len < 60 ? len : 60), name);
    return unknown(table, text, err);
}

static int take_letters(const struct option_row *table, char **args, int n_args, int *at,
                        int (*take)(int, const char *, void *, struct err *), void *with,
                        struct err *err)
{
    for (const char *p = args[*at] + 1; *p; p++) {
        int i = 0;
        while (!is_end(&table[i]) && table[i].letter != *p)
            i++;
        if (is_end(&table[i]))
            return err_set(err, -EINVAL, "unknown option -%c; see --help", *p);
        const char *value = NULL;
        if (table[i].value && !table[i].value_may_lack) {
            if (p[1])
                value = p + 1;
            else if (*at + 1 < n_args)
                value = args[++*at];
            else
                return err_set(err, -EINVAL, "option -%c needs a value: %s", *p, table[i].value);
        }
        int result = take(i, value, with, err);
        if (result < 0 || value)
            return result;
    }
    return 0;
}

int options_parse(const struct option_row *table, char **args, int n_args, const char **rest,
                  int (*take)(int row, const char *value, void *with, struct err *err), void *with,
                  struct err *err)
{
    int n_rest = 0;
    bool options = true;
    for (int at = 0; at < n_args; at++) {
        const char *arg = args[at];
        int result = 0;
        if (options && strcmp(arg, "--") == 0)
            options = false;
        else if (options && arg[0] == '-' && arg[1] == '-')
            result = take_long(table, args, n_args, &at, take, with, err);
        else if (options && arg[0] == '-' && arg[1])
            result = take_letters(table, args, n_args, &at, take, with, err);
        else
            rest[n_rest++] = arg;
        if (result < 0)
            return result;
    }
    return n_rest;
}

void options_print(const struct option_row *table, FILE *out)
{
    for (const struct option_row *row = table; !is_end(row); row++) {
        char left[80];
        int n = snprintf(left, sizeof left, "  %c%c%s%s%s", row->letter ? '-' : ' ',
                         row->letter ? row->letter : ' ', row->letter && row->name ? ", " : "  ",
                         row->name ? "--" : "", row->name ? row->name : "");
        if (row->value && n > 0 && (size_t)n < sizeof left)
            (void)snprintf(left + n, sizeof left - (size_t)n, row->value_may_lack ? "[=%s]" : " %s",
                           row->value);
        fprintf(out, "%-28s  ", left);
        for (const char *p = row->help; *p; p++) {
            fputc(*p, out);
            if (*p == '\n')
                fprintf(out, "%-30s", "");
        }
        fputc('\n', out);
    }
}

bool options_number(const char *text, uint64_t max, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value > max)
        return false;
    *out = value;
    return true;
}

bool options_size(const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno)
        return false;
    static const char units[] = "KMGT";
    unsigned shift = 0;
    if (*end) {
        const char *unit = strchr(units, *end >= 'a' ? *end - 32 : *end);
        if (!unit || !*unit)
            return false;
        shift = (unsigned)(unit - units + 1) * 10;
        end++;
        if (*end == 'B' || (*end == 'i' && end[1] == 'B'))
            end += *end == 'i' ? 2 : 1;
        if (*end || value > UINT64_MAX >> shift)
            return false;
    }
    *out = (uint64_t)value << shift;
    return true;
}
