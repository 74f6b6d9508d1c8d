/* Values of configuration: see yaml.h. */
#include <inttypes.h>
#include <strings.h>

#include "base/options.h"
#include "base/yaml.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

bool yaml_value_bool(const char *text, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true},  {"no", false},  {"on", true},
                 {"off", false}, {"true", true}, {"false", false}};
    for (size_t i = 0; i < N_OF(words); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

/* The longest first. */
static const struct {
    const char *name;
    int64_t ns;
} time_units[] = {
    {"d", 86400000000000}, {"h", 3600000000000}, {"m", 60000000000},
    {"s", 1000000000},     {"ms", 1000000},      {"us", 1000},
};

/* Digits at the beginning; false: none, or too large. */
static bool take_digits(const char **at, int64_t max, int64_t *out)
{
    int64_t value = 0;
    const char *p = *at;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (value > (max - (*p - '0')) / 10)
            return false;
        value = value * 10 + (*p - '0');
    }
    bool found = p != *at;
    *at = p;
    *out = value;
    return found;
}

bool yaml_value_time(const char *text, int64_t *out)
{
    int64_t total = 0;
    size_t next = 0; /* units only get smaller */
    const char *p = text;
    do {
        int64_t number;
        if (!take_digits(&p, INT64_MAX, &number))
            return false;
        size_t len = strspn(p, "dhmsu"), unit = next;
        while (unit < N_OF(time_units) &&
               (strlen(time_units[unit].name) != len || memcmp(time_units[unit].name, p, len) != 0))
            unit++;
        if (unit == N_OF(time_units) || number > (INT64_MAX - total) / time_units[unit].ns)
            return false;
        total += number * time_units[unit].ns;
        p += len;
        next = unit + 1;
    } while (*p);
    *out = total;
    return true;
}

bool yaml_value_share(const char *text, uint8_t *out)
{
    int64_t number;
    const char *p = text;
    if (!take_digits(&p, 100, &number) || strcmp(p, "%") != 0)
        return false;
    *out = (uint8_t)number;
    return true;
}

void yaml_put_time(int64_t ns, FILE *out)
{
    size_t unit = 0;
    while (unit + 1 < N_OF(time_units) && (ns == 0 || ns % time_units[unit].ns != 0) &&
           !(ns == 0 && time_units[unit].ns == 1000000000))
        unit++;
    fprintf(out, "%" PRId64 "%s", ns / time_units[unit].ns, time_units[unit].name);
}

void yaml_put_size(uint64_t bytes, FILE *out)
{
    static const char units[] = "\0KMGT";
    unsigned unit = 0;
    for (; unit < 4 && bytes != 0 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    fprintf(out, "%" PRIu64, bytes);
    if (unit > 0)
        fputc(units[unit], out);
}

/* Whether YAML readers, of whatever version, take it for a text when it has no quotation marks. */
static bool is_plain(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/.";
    static const char rest[] = "0123456789@:+-";
    static const char *const not_texts[] = {"null", "y", "n", "nan", "inf", "."};
    bool boolean;
    size_t len = strlen(text);
    if (len == 0 || !strchr(first, text[0]) || text[len - 1] == ':' ||
        yaml_value_bool(text, &boolean))
        return false;
    if (text[0] == '.' && text[1] != '/')
        return false;
    for (size_t i = 0; i < N_OF(not_texts); i++)
        if (strcasecmp(text, not_texts[i]) == 0)
            return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr(first, text[i]) && !strchr(rest, text[i]))
            return false;
    return true;
}

void yaml_put_text(const char *text, FILE *out)
{
    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}
