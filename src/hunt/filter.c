/* The language of filters: see filter.h. A word is KEY:VALUE, its value may have one of > >= < <=
 * in front where it is a number. The table of keys says what each wants, and where it looks. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/options.h"
#include "hunt/filter_parts.h"

enum kind { SEVERITY, HOST, TEXT, HUNT, PERCENT, DURATION, COUNT, SIZE, PORT, BOOL, SORT };

static const struct {
    const char *name;
    enum kind kind;
    const char *wants;
} keys[] = {
    [KEY_SEVERITY] = {"severity", SEVERITY, "none, low, medium, high or critical; also >=high"},
    [KEY_SRC] = {"src", HOST, "an address, a network (10.0.0.0/8) or a name (*.example.com)"},
    [KEY_DST] = {"dst", HOST, "an address, a network (10.0.0.0/8) or a name (*.example.com)"},
    [KEY_IP] = {"ip", HOST, "an address or a network, of either end"},
    [KEY_NAME] = {"name", TEXT, "a name, or *.example.com for it and all below"},
    [KEY_MACHINE] = {"machine", TEXT, "a monitored machine's name, or web-* for all that begin so"},
    [KEY_NETWORK] = {"network", TEXT, "the network that the source is in"},
    [KEY_HUNT] = {"hunt", HUNT, "a hunt's name"},
    [KEY_PORT] = {"port", PORT, "a port from 0 to 65535"},
    [KEY_ID] = {"id", TEXT, "a finding's id, or how it begins"},
    [KEY_SCORE] = {"score", PERCENT, "a percentage from 0 to 100, as in >80"},
    [KEY_BEACON] = {"beacon", PERCENT, "a percentage from 0 to 100, as in >80"},
    [KEY_CONFIDENCE] = {"confidence", PERCENT, "a percentage from 0 to 100, as in >80"},
    [KEY_DURATION] = {"duration", DURATION, "a time such as >2h45m, <30s or 1.5h"},
    [KEY_PERIOD] = {"period", DURATION, "a time such as >2h45m, <30s or 1.5h"},
    [KEY_COUNT] = {"count", COUNT, "a whole number, as in >100"},
    [KEY_SUBDOMAINS] = {"subdomains", COUNT, "a whole number, as in >100"},
    [KEY_BYTES] = {"bytes", SIZE, "a size such as >100M"},
    [KEY_UP] = {"up", SIZE, "a size such as >100M"},
    [KEY_DOWN] = {"down", SIZE, "a size such as >100M"},
    [KEY_INTEL] = {"threat_intel", BOOL, "true or false"},
    [KEY_SORT] = {"sort", SORT,
                  "severity, beacon, duration, period, count, subdomains, bytes, up, down, first "
                  "or last, and -asc or -desc"},
};
#define N_KEYS (sizeof keys / sizeof keys[0])

/* What sorts, and is no word by itself, has a name too. */
const char *filter_key_name(int key)
{
    return key == KEY_FIRST ? "first" : key == KEY_LAST ? "last" : keys[key].name;
}

/* ---- values ---- */

bool hunt_filter_duration(const char *text, int64_t *out)
{
    static const struct {
        char name;
        double seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    double total = 0;
    size_t next = 0;
    const char *p = text;
    do {
        char *end;
        if (*p < '0' || *p > '9')
            return false;
        double number = strtod(p, &end);
        size_t unit = next;
        while (unit < 4 && units[unit].name != *end)
            unit++;
        /* strtod takes more than we do: exponents, hexadecimals. */
        if (unit == 4 || strspn(p, "0123456789.") != (size_t)(end - p) || number > 1e9)
            return false;
        total += number * units[unit].seconds;
        next = unit + 1;
        p = end + 1;
    } while (*p);
    if (total > 9e9)
        return false;
    *out = (int64_t)(total * 1e9);
    return true;
}

static enum filter_op take_op(const char **value)
{
    static const struct {
        const char *text;
        enum filter_op op;
    } ops[] = {
        {">=", FILTER_AT_LEAST}, {"<=", FILTER_AT_MOST}, {">", FILTER_MORE}, {"<", FILTER_LESS}};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        size_t len = strlen(ops[i].text);
        if (strncmp(*value, ops[i].text, len) == 0) {
            *value += len;
            return ops[i].op;
        }
    }
    return FILTER_EQUAL;
}

static int bad_value(int key, const char *value, struct err *err)
{
    return err_set(err, -EINVAL, "filter: '%s:%.100s': %s wants %s", keys[key].name, value,
                   keys[key].name, keys[key].wants);
}

static bool take_severity(const char *value, double *out)
{
    for (int i = HUNT_NONE; i <= HUNT_CRITICAL; i++) {
        if (strcasecmp(value, hunt_severity_name((enum hunt_severity)i)) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool take_sort(struct filter_word *word, const char *value)
{
    static const struct {
        const char *name;
        int by;
    } orders[] = {{"severity", KEY_SEVERITY}, {"score", KEY_SEVERITY},
                  {"beacon", KEY_BEACON},     {"confidence", KEY_CONFIDENCE},
                  {"duration", KEY_DURATION}, {"period", KEY_PERIOD},
                  {"count", KEY_COUNT},       {"subdomains", KEY_SUBDOMAINS},
                  {"bytes", KEY_BYTES},       {"up", KEY_UP},
                  {"down", KEY_DOWN},         {"first", KEY_FIRST},
                  {"last", KEY_LAST}};
    size_t len = strcspn(value, "-");
    word->descending = value[len] == '\0' || strcmp(value + len, "-desc") == 0;
    if (!word->descending && strcmp(value + len, "-asc") != 0)
        return false;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strlen(orders[i].name) == len && strncmp(value, orders[i].name, len) == 0) {
            word->number = orders[i].by;
            return true;
        }
    }
    return false;
}

static int take_hunt(const char *value, struct err *err)
{
    struct nearest nearest = nearest_begin(value);
    char end[NEAREST_TEXT_MAX], all[300] = "";
    for (size_t i = 0; hunts[i]; i++) {
        size_t len = strlen(all);
        if (strcmp(hunts[i]->name, value) == 0)
            return 0;
        nearest_try(&nearest, hunts[i]->name);
        (void)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", hunts[i]->name);
    }
    return err_set(err, -EINVAL, "filter: there is no hunt '%.60s'%s; there are %s", value,
                   nearest_text(&nearest, end), all);
}

static bool take_number(struct filter_word *word, enum kind kind, const char *value)
{
    uint64_t number;
    int64_t ns;
    switch (kind) {
    case PERCENT:
        if (!options_number(value, 100, &number))
            return false;
        word->number = (double)number;
        return true;
    case COUNT:
        if (!options_number(value, UINT64_MAX, &number))
            return false;
        word->number = (double)number;
        return true;
    case SIZE:
        if (!options_size(value, &number))
            return false;
        word->number = (double)number;
        return true;
    case PORT:
        if (!options_number(value, 65535, &number))
            return false;
        word->number = (double)number;
        return true;
    case DURATION:
        if (!hunt_filter_duration(value, &ns))
            return false;
        word->number = (double)ns / 1e9;
        return true;
    case SEVERITY:
        return take_severity(value, &word->number);
    case HOST:
    case TEXT:
    case HUNT:
    case BOOL:
    case SORT:
        break;
    }
    return false;
}

static int take_value(struct filter_word *word, const char *value, struct err *err)
{
    enum kind kind = keys[word->key].kind;
    const char *whole = value;
    if (value[0] == '\0')
        return bad_value(word->key, value, err);
    switch (kind) {
    case SEVERITY:
    case PERCENT:
    case COUNT:
    case SIZE:
    case PORT:
    case DURATION:
        word->op = take_op(&value);
        return take_number(word, kind, value) ? 0 : bad_value(word->key, whole, err);
    case BOOL:
        if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
            word->number = 1;
        else if (strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
            return bad_value(word->key, value, err);
        return 0;
    case SORT:
        return take_sort(word, value) ? 0 : bad_value(word->key, value, err);
    case HUNT:
        if (take_hunt(value, err) < 0)
            return -EINVAL;
        break;
    case HOST:
        word->has_prefix = hunt_prefix_parse(value, &word->prefix);
        /* What looks like an address and is none would be a name that nothing has. */
        if (!word->has_prefix && (value[strspn(value, "0123456789./")] == '\0' ||
                                  strpbrk(value, ":/,") || word->key == KEY_IP))
            return bad_value(word->key, value, err);
        break;
    case TEXT:
        break;
    }
    word->text = strdup(value);
    return word->text ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* ---- words ---- */

static int unknown_key(const char *text, size_t len, struct err *err)
{
    char name[64], end[NEAREST_TEXT_MAX], all[300] = "";
    (void)snprintf(name, sizeof name, "%.*s", (int)(len < 40 ? len : 40), text);
    struct nearest nearest = nearest_begin(name);
    for (size_t i = 0; i < N_KEYS; i++) {
        size_t at = strlen(all);
        nearest_try(&nearest, keys[i].name);
        (void)snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", keys[i].name);
    }
    return err_set(err, -EINVAL, "filter: unknown word '%s:'%s; there are %s", name,
                   nearest_text(&nearest, end), all);
}

static int take_word(struct hunt_filter *filter, const char *text, struct err *err)
{
    if (filter->n == FILTER_WORDS_MAX)
        return err_set(err, -E2BIG, "filter: more than %d words", FILTER_WORDS_MAX);
    struct filter_word *word = &filter->words[filter->n++];
    *word = (struct filter_word){.key = -1, .not = text[0] == '-' && text[1]};
    text += word->not ;
    size_t len = strcspn(text, ":");
    if (text[len] == '\0') {
        if (strpbrk(text, "=<>"))
            return err_set(err, -EINVAL,
                           "filter: '%.100s': a value follows a ':', as in count:>100", text);
        word->text = strdup(text);
        return word->text ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < N_KEYS; i++)
        if (strlen(keys[i].name) == len && strncmp(text, keys[i].name, len) == 0)
            word->key = (int)i;
    if (len == 4 && strncmp(text, "fqdn", len) == 0)
        word->key = KEY_NAME;
    if (word->key < 0)
        return unknown_key(text, len, err);
    return take_value(word, text + len + 1, err);
}

/* The next word, its quotation marks taken off; false: there is none. */
static int next_word(const char **at, char out[HUNT_FILTER_MAX], struct err *err)
{
    const char *p = *at;
    size_t len = 0;
    bool quoted = false;
    while (*p == ' ' || *p == '\t')
        p++;
    if (!*p)
        return 0;
    for (; *p && (quoted || (*p != ' ' && *p != '\t')); p++) {
        if (*p == '"')
            quoted = !quoted;
        else
            out[len++] = *p; /* not more than the text has, which is short enough */
    }
    out[len] = '\0';
    *at = p;
    if (quoted)
        return err_set(err, -EINVAL, "filter: a quotation mark is not closed");
    return 1;
}

int hunt_filter_parse(const char *text, struct hunt_filter **out, struct err *err)
{
    char word[HUNT_FILTER_MAX];
    if (strlen(text) >= sizeof word)
        return err_set(err, -E2BIG, "filter: longer than %zu characters", sizeof word - 1);
    struct hunt_filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return err_set(err, -ENOMEM, "out of memory");
    int result;
    while ((result = next_word(&text, word, err)) > 0) {
        result = word[0] ? take_word(filter, word, err) : 0;
        if (result < 0)
            break;
    }
    if (result < 0) {
        hunt_filter_free(filter);
        return result;
    }
    *out = filter;
    return 0;
}

void hunt_filter_free(struct hunt_filter *filter)
{
    if (!filter)
        return;
    for (size_t i = 0; i < filter->n; i++)
        free(filter->words[i].text);
    free(filter);
}
