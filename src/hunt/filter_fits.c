/* Findings against a filter's words, and their order: see filter.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hunt/filter_parts.h"

bool filter_holds(enum filter_op op, double value, double wanted)
{
    switch (op) {
    case FILTER_EQUAL:
        return value == wanted;
    case FILTER_MORE:
        return value > wanted;
    case FILTER_AT_LEAST:
        return value >= wanted;
    case FILTER_LESS:
        return value < wanted;
    case FILTER_AT_MOST:
        return value <= wanted;
    }
    return false;
}

static bool is_hunt(const struct finding *f, const char *name)
{
    return f->hunt && strcmp(f->hunt->name, name) == 0;
}

static bool number_of(const struct finding *f, const char *const *names, double *out)
{
    for (; *names; names++) {
        for (unsigned i = 0; i < f->n_numbers; i++) {
            if (strcmp(f->numbers[i].name, *names) == 0) {
                *out = f->numbers[i].value;
                return true;
            }
        }
    }
    return false;
}

/* What a key that is a number looks at; false: the finding has none. */
static bool value_of(const struct finding *f, int key, double *out)
{
    static const char *const durations[] = {"total_s", "span_s", NULL};
    static const char *const periods[] = {"period_s", NULL};
    static const char *const subdomains[] = {"names", NULL};
    switch (key) {
    case KEY_SEVERITY:
    case KEY_SCORE:
        *out = f->score;
        return true;
    case KEY_BEACON:
        *out = f->score;
        return is_hunt(f, "beacon");
    case KEY_CONFIDENCE:
        *out = f->confidence;
        return true;
    case KEY_DURATION:
        if (!number_of(f, durations, out))
            *out = (double)(f->last - f->first) / 1e3;
        return true;
    case KEY_PERIOD:
        return number_of(f, periods, out);
    case KEY_COUNT:
        *out = (double)f->n;
        return true;
    case KEY_SUBDOMAINS:
        return number_of(f, subdomains, out);
    case KEY_BYTES:
        *out = (double)f->bytes_up + (double)f->bytes_down;
        return true;
    case KEY_UP:
        *out = (double)f->bytes_up;
        return true;
    case KEY_DOWN:
        *out = (double)f->bytes_down;
        return true;
    case KEY_FIRST:
        *out = (double)f->first;
        return true;
    case KEY_LAST:
        *out = (double)f->last;
        return true;
    }
    return false;
}

bool filter_text_fits(const char *pattern, const char *text)
{
    size_t len = strlen(pattern);
    if (pattern[0] == '*' && pattern[1] == '.')
        return text[0] && hunt_domain_fits(str_c(pattern), str_c(text));
    if (len > 0 && pattern[len - 1] == '*')
        return strncasecmp(pattern, text, len - 1) == 0;
    return strcasecmp(pattern, text) == 0;
}

static bool host_fits(const struct filter_word *word, bool has, const struct hunt_host *host,
                      const char *name, const char *machine)
{
    if (word->has_prefix)
        return has && hunt_prefix_has(&word->prefix, &host->addr);
    return filter_text_fits(word->text, name) || filter_text_fits(word->text, machine);
}

bool filter_has_port(const struct filter_word *word, const char *ports)
{
    for (const char *p = ports; *p;) {
        char *end;
        unsigned long port = strtoul(p, &end, 10);
        if (end != p && *end == ':' && filter_holds(word->op, (double)port, word->number))
            return true;
        p += strcspn(p, ",");
        p += strspn(p, ", ");
    }
    return false;
}

static bool is_anywhere(const char *text, const struct finding *f)
{
    const char *const texts[] = {
        f->name, f->src_machine, f->dst_machine, f->src_network, f->ports, f->title, NULL};
    for (size_t i = 0; texts[i]; i++)
        if (strcasestr(texts[i], text))
            return true;
    for (unsigned i = 0; i < f->n_reasons; i++)
        if (strcasestr(f->reasons[i], text))
            return true;
    char addr[ADDR_TEXT_MAX + 1];
    if (f->has_src) {
        addr[addr_format(&f->src.addr, addr)] = '\0';
        if (strstr(addr, text))
            return true;
    }
    if (f->has_dst) {
        addr[addr_format(&f->dst.addr, addr)] = '\0';
        if (strstr(addr, text))
            return true;
    }
    return (f->hunt && strcasestr(f->hunt->name, text)) ||
           strcasestr(hunt_severity_name(f->severity), text);
}

static bool word_fits(const struct filter_word *word, const struct finding *f)
{
    double value = 0;
    char id[20];
    if (word->key < 0)
        return is_anywhere(word->text, f);
    switch ((enum filter_key)word->key) {
    case KEY_SEVERITY:
        return filter_holds(word->op, f->severity, word->number);
    case KEY_SRC:
        return host_fits(word, f->has_src, &f->src, "", f->src_machine);
    case KEY_DST:
        return host_fits(word, f->has_dst, &f->dst, f->name, f->dst_machine);
    case KEY_IP:
        return host_fits(word, f->has_src, &f->src, "", "") ||
               host_fits(word, f->has_dst, &f->dst, "", "");
    case KEY_NAME:
        return filter_text_fits(word->text, f->name);
    case KEY_MACHINE:
        return filter_text_fits(word->text, f->src_machine) ||
               filter_text_fits(word->text, f->dst_machine);
    case KEY_NETWORK:
        return filter_text_fits(word->text, f->src_network);
    case KEY_HUNT:
        return is_hunt(f, word->text);
    case KEY_PORT:
        return filter_has_port(word, f->ports);
    case KEY_ID:
        (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)f->id);
        return strncasecmp(id, word->text, strlen(word->text)) == 0;
    case KEY_SCORE:
    case KEY_BEACON:
    case KEY_CONFIDENCE:
        /* As it is shown: in whole percent. */
        return value_of(f, word->key, &value) &&
               filter_holds(word->op, round(value * 100), word->number);
    case KEY_DURATION:
    case KEY_PERIOD:
    case KEY_COUNT:
    case KEY_SUBDOMAINS:
    case KEY_BYTES:
    case KEY_UP:
    case KEY_DOWN:
        return value_of(f, word->key, &value) && filter_holds(word->op, value, word->number);
    case KEY_INTEL:
        return is_hunt(f, "intel") == (word->number > 0);
    case KEY_SORT:
    case KEY_FIRST:
    case KEY_LAST:
        return true;
    }
    return false;
}

bool hunt_filter_fits(const struct hunt_filter *filter, const struct finding *finding)
{
    for (size_t i = 0; i < filter->n; i++) {
        const struct filter_word *word = &filter->words[i];
        if (word->key != KEY_SORT && word_fits(word, finding) == word->not )
            return false;
    }
    return true;
}

static int by_words(const void *a, const void *b, void *with)
{
    const struct hunt_filter *filter = with;
    const struct finding *x = *(const struct finding *const *)a;
    const struct finding *y = *(const struct finding *const *)b;
    for (size_t i = 0; i < filter->n; i++) {
        const struct filter_word *word = &filter->words[i];
        double p = -1, q = -1; /* what has none comes last, or first when the least is wanted */
        if (word->key != KEY_SORT)
            continue;
        (void)value_of(x, (int)word->number, &p);
        (void)value_of(y, (int)word->number, &q);
        if (p != q)
            return (p < q) == word->descending ? 1 : -1;
    }
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

void hunt_filter_sort(const struct hunt_filter *filter, const struct finding **findings, size_t n)
{
    struct hunt_filter copy = *filter; /* the words' texts stay the filter's */
    for (size_t i = 0; i < filter->n; i++) {
        if (filter->words[i].key == KEY_SORT) {
            qsort_r(findings, n, sizeof *findings, by_words, &copy);
            return;
        }
    }
}
