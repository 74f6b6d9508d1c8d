/* RITA's rows against a filter's words, as far as they have columns for them: see filter.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hunt/filter_parts.h"

/* A column's value where it is a number; false: RITA's rows have none for the key. */
static bool value_of(const struct rita_row *row, int key, double *out)
{
    switch (key) {
    case KEY_SEVERITY:
    case KEY_SCORE:
        *out = row->final;
        return true;
    case KEY_BEACON:
        *out = row->beacon.score;
        return true;
    case KEY_DURATION:
        *out = row->duration;
        return true;
    case KEY_COUNT:
        *out = (double)row->n;
        return true;
    case KEY_SUBDOMAINS:
        *out = (double)row->subdomains;
        return true;
    case KEY_BYTES:
        *out = (double)row->bytes;
        return true;
    }
    return false;
}

static bool is_column(int key)
{
    static const struct rita_row none;
    double value;
    return key < 0 || value_of(&none, key, &value) || key == KEY_SRC || key == KEY_DST ||
           key == KEY_IP || key == KEY_NAME || key == KEY_PORT || key == KEY_INTEL;
}

int hunt_filter_check_rita(const struct hunt_filter *filter, struct err *err)
{
    for (size_t i = 0; i < filter->n; i++) {
        const struct filter_word *word = &filter->words[i];
        bool sorts = word->key == KEY_SORT;
        double value;
        static const struct rita_row none;
        if (sorts ? value_of(&none, (int)word->number, &value) : is_column(word->key))
            continue;
        char what[80];
        (void)snprintf(what, sizeof what, sorts ? "sort:%s" : "%s:",
                       filter_key_name(sorts ? (int)word->number : word->key));
        return err_set(err, -EINVAL,
                       "filter: --scores rita has no column for '%s'; it has severity, src, dst, "
                       "ip, fqdn, port, score, beacon, duration, count, subdomains, bytes and "
                       "threat_intel",
                       what);
    }
    return 0;
}

static bool host_fits(const struct filter_word *word, bool has, const struct hunt_host *host,
                      const char *name)
{
    if (word->has_prefix)
        return has && hunt_prefix_has(&word->prefix, &host->addr);
    return word->text && filter_text_fits(word->text, name);
}

static bool addr_has(bool has, const struct hunt_host *host, const char *text)
{
    char addr[ADDR_TEXT_MAX + 1];
    addr[addr_format(&host->addr, addr)] = '\0';
    return has && strstr(addr, text);
}

static bool word_fits(const struct filter_word *word, const struct rita_row *row)
{
    bool has_src = row->type != RITA_DNS;
    double value = 0;
    if (word->key < 0)
        return strcasestr(row->name, word->text) || strcasestr(row->ports, word->text) ||
               strcasestr(row->modifiers, word->text) ||
               strcasestr(hunt_severity_name(row->severity), word->text) ||
               addr_has(has_src, &row->src, word->text) ||
               addr_has(row->has_dst, &row->dst, word->text);
    switch (word->key) {
    case KEY_SEVERITY:
        return filter_holds(word->op, row->severity, word->number);
    case KEY_SRC:
        return host_fits(word, has_src, &row->src, "");
    case KEY_DST:
        return host_fits(word, row->has_dst, &row->dst, row->name);
    case KEY_IP:
        return host_fits(word, has_src, &row->src, "") ||
               host_fits(word, row->has_dst, &row->dst, "");
    case KEY_NAME:
        return filter_text_fits(word->text, row->name);
    case KEY_PORT:
        return filter_has_port(word, row->ports);
    case KEY_INTEL:
        return row->intel == (word->number > 0);
    case KEY_SCORE:
    case KEY_BEACON: /* as it is shown: hundredths of a percent */
        return value_of(row, word->key, &value) &&
               filter_holds(word->op, round(value * 10000) / 100, word->number);
    default:
        return value_of(row, word->key, &value) && filter_holds(word->op, value, word->number);
    }
}

static bool row_fits(const struct hunt_filter *filter, const struct rita_row *row)
{
    for (size_t i = 0; i < filter->n; i++) {
        const struct filter_word *word = &filter->words[i];
        if (word->key != KEY_SORT && word_fits(word, row) == word->not )
            return false;
    }
    return true;
}

struct place {
    const struct hunt_filter *filter;
    const struct rita_row *rows;
};

/* Rows that are alike stay in RITA's order. */
static int by_words(const void *a, const void *b, void *with)
{
    const struct place *place = with;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    for (size_t i = 0; i < place->filter->n; i++) {
        const struct filter_word *word = &place->filter->words[i];
        double p = 0, q = 0;
        if (word->key != KEY_SORT)
            continue;
        (void)value_of(&place->rows[x], (int)word->number, &p);
        (void)value_of(&place->rows[y], (int)word->number, &q);
        if (p != q)
            return (p < q) == word->descending ? 1 : -1;
    }
    return x < y ? -1 : x > y;
}

static bool sorts(const struct hunt_filter *filter)
{
    for (size_t i = 0; i < filter->n; i++)
        if (filter->words[i].key == KEY_SORT)
            return true;
    return false;
}

int hunt_filter_rita(const struct hunt_filter *filter, struct rita_row **rows, size_t *n,
                     struct err *err)
{
    size_t n_left = 0;
    for (size_t i = 0; i < *n; i++) {
        if (!row_fits(filter, &(*rows)[i]))
            continue;
        if (i != n_left)
            (*rows)[n_left] = (*rows)[i];
        n_left++;
    }
    *n = n_left;
    if (n_left < 2 || !sorts(filter))
        return 0;
    size_t *order = calloc(n_left, sizeof *order);
    struct rita_row *sorted = calloc(n_left, sizeof *sorted);
    if (!order || !sorted) {
        free(order);
        free(sorted);
        return err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < n_left; i++)
        order[i] = i;
    struct place place = {filter, *rows};
    qsort_r(order, n_left, sizeof *order, by_words, &place);
    for (size_t i = 0; i < n_left; i++)
        sorted[i] = (*rows)[order[i]];
    free(order);
    free(*rows);
    *rows = sorted;
    return 0;
}
