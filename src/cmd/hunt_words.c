/* Words that the table, the explanation and the report have in common: see hunt_show.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/hunt_show.h"

void hunt_address(bool has, const struct hunt_host *host, char out[ADDR_TEXT_MAX + 1])
{
    out[has ? addr_format(&host->addr, out) : 0] = '\0';
}

void hunt_who(const struct finding *f, char out[HUNT_END_MAX])
{
    char addr[ADDR_TEXT_MAX + 1];
    hunt_address(f->has_src, &f->src, addr);
    (void)snprintf(out, HUNT_END_MAX, "%s", f->src_machine[0] ? f->src_machine : addr);
}

void hunt_whom(const struct finding *f, char out[HUNT_END_MAX])
{
    char addr[ADDR_TEXT_MAX + 1];
    hunt_address(f->has_dst, &f->dst, addr);
    (void)snprintf(out, HUNT_END_MAX, "%s",
                   f->dst_machine[0] ? f->dst_machine
                   : f->name[0]      ? f->name
                                     : addr);
}

enum style hunt_style(enum hunt_severity severity)
{
    switch (severity) {
    case HUNT_CRITICAL:
        return STYLE_RED;
    case HUNT_HIGH:
        return STYLE_YELLOW;
    case HUNT_MEDIUM:
        return STYLE_BOLD;
    case HUNT_LOW:
        return STYLE_PLAIN;
    case HUNT_NONE:
        return STYLE_DIM;
    }
    return STYLE_PLAIN;
}

void hunt_time(int64_t ms, bool utc, char out[32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm = {0};
    memset(out, 0, 32);
    if (!(utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm)) ||
        strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        (void)snprintf(out, 32, "%lld s", (long long)(ms / 1000)); /* a year without four digits */
}

void hunt_bytes(uint64_t n, char out[32])
{
    char number[16];
    terminal_number((double)n, number);
    size_t len = strlen(number);
    char last = len ? number[len - 1] : '0';
    bool has_unit = last < '0' || last > '9';
    (void)snprintf(out, 32, "%.*s %.*sB", (int)(has_unit ? len - 1 : len), number, has_unit,
                   has_unit ? &number[len - 1] : "");
}

double hunt_number(const struct finding *f, const char *name)
{
    for (unsigned i = 0; i < f->n_numbers; i++)
        if (strcmp(f->numbers[i].name, name) == 0)
            return f->numbers[i].value;
    return -1;
}

/* "many hosts, 445:tcp" is said of an end, and stands in no log. */
bool hunt_is_label(const char *name)
{
    return strchr(name, ' ') != NULL;
}

/* What only DNS has; other names are also in http.log, ssl.log and the like. */
static bool is_of_dns(const struct finding *f)
{
    return strcmp(f->hunt->name, "dns-tunnel") == 0 || strcmp(f->hunt->name, "dga") == 0;
}

/* The other end, as it stands in the logs: "" where there is none. */
static const char *other_end(const struct finding *f, const char *dst, const char **pattern)
{
    bool by_name = f->name[0] && !hunt_is_label(f->name);
    *pattern = !by_name ? "*conn*.log*" : is_of_dns(f) && !dst[0] ? "*dns*.log*" : "*.log*";
    return by_name ? f->name : dst;
}

void hunt_lines_command(const struct hunt_show *show, const struct finding *f, struct text *out)
{
    char src[ADDR_TEXT_MAX + 1], dst[ADDR_TEXT_MAX + 1];
    const char *pattern;
    hunt_address(f->has_src, &f->src, src);
    hunt_address(f->has_dst, &f->dst, dst);
    const char *other = other_end(f, dst, &pattern);
    text_put(out, "find ");
    for (size_t i = 0; i < show->n_paths; i++) {
        text_shell(out, show->paths[i]);
        text_put(out, " ");
    }
    text_format(out, "-name '%s' -exec zgrep -hwF -e ", pattern);
    text_shell(out, src[0] ? src : other);
    text_put(out, " {} +");
    if (src[0] && other[0]) {
        text_put(out, " | grep -wF -e ");
        text_shell(out, other);
    }
}
