/* RITA's CSV: its header, its order, its forms of numbers. Fields that could break a line are
 * quoted, unlike in RITA, whose own two last ones are quoted always. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hunt/rita_parts.h"

static const char header[] =
    "Severity,Source IP,Destination IP,FQDN,Beacon Score,Strobe,Total Duration,"
    "Long Connection Score,Subdomains,C2 Over DNS Score,Threat Intel,Prevalence,First Seen,"
    "Missing Host Header,Connection Count,Total Bytes,Port:Proto:Service,Modifiers\n";

static const char *const severities[] = {[HUNT_NONE] = "None",
                                         [HUNT_LOW] = "Low",
                                         [HUNT_MEDIUM] = "Medium",
                                         [HUNT_HIGH] = "High",
                                         [HUNT_CRITICAL] = "Critical"};

/* Bytes below a space would be lines and worse. */
static void put_quoted(struct text *out, const char *field)
{
    text_put(out, "\"");
    for (const char *at = field; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < ' ' || c == 0x7f)
            text_format(out, "\\x%02x", c);
        else if (c == '"')
            text_put(out, "\"\"");
        else
            text_add(out, at, 1);
    }
    text_put(out, "\"");
}

static void put_field(struct text *out, const char *field)
{
    bool is_plain = true;
    if (field[0] != '\0' && strchr("=+-@", field[0]) != NULL)
        text_put(out, "'"); /* to some it would be a formula */
    for (const char *at = field; *at && is_plain; at++)
        is_plain = (unsigned char)*at > ' ' && *at != 0x7f && *at != ',' && *at != '"';
    if (is_plain)
        text_put(out, field);
    else
        put_quoted(out, field);
}

static void put_host(struct text *out, const struct hunt_host *host, bool is_there)
{
    char text[ADDR_TEXT_MAX];
    if (is_there)
        text_add(out, text, addr_format(&host->addr, text));
    else
        text_put(out, "::");
}

/* "23 hours ago", as RITA says it. */
static void put_ago(struct text *out, int64_t seconds)
{
    static const struct {
        int64_t below, unit;
        const char *name;
    } units[] = {
        {60, 1, "second"},
        {3600, 60, "minute"},
        {86400, 3600, "hour"},
        {7 * 86400, 86400, "day"},
        {30 * 86400, 7 * 86400, "week"},
        {360 * 86400, 30 * 86400, "month"},
        {INT64_MAX, 360 * 86400, "year"},
    };
    unsigned i = 0;
    while (seconds >= units[i].below)
        i++;
    int64_t n = seconds / units[i].unit;
    if (seconds < 1)
        text_put(out, "now");
    else
        text_format(out, "%" PRId64 " %s%s ago", n, units[i].name, n == 1 ? "" : "s");
}

static void put_first_seen(struct text *out, const struct rita_row *row, int64_t now)
{
    time_t seconds = (time_t)row->first_seen;
    struct tm tm;
    char text[40];
    if (row->first_seen == 0)
        return;
    if (row->exact) {
        put_ago(out, now - row->first_seen);
    } else if (gmtime_r(&seconds, &tm) != NULL &&
               strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0) {
        text_put(out, text);
    }
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static void put_row(struct text *out, const struct rita_row *row, int64_t now)
{
    double share = row->prevalence.of ? (double)row->prevalence.n / row->prevalence.of : 0;
    text_format(out, "%s,", severities[row->severity]);
    put_host(out, &row->src, row->type != RITA_DNS);
    text_put(out, ",");
    put_host(out, &row->dst, row->has_dst);
    text_put(out, ",");
    put_field(out, row->name);
    text_format(out, ",%.10g,%s,%.16g,%.10g,", row->beacon.score, truth(row->strobe), row->duration,
                row->long_score);
    text_format(out, "%" PRIu64 ",%.10g,%s,%.10g,", row->subdomains, row->dns_score,
                truth(row->intel), share);
    put_first_seen(out, row, now);
    text_format(out, ",%s,%" PRIu64 ",%" PRIu64 ",", truth(row->n_missing_host > 0), row->n,
                row->bytes);
    put_quoted(out, row->ports);
    text_put(out, ",");
    put_quoted(out, row->modifiers);
    text_put(out, "\n");
}

void rita_csv(struct text *out, const struct hunt_judge *judge, const struct rita_row *rows,
              size_t n)
{
    int64_t now = rita_now(judge, n > 0 && rows[0].rolling);
    text_put(out, header);
    for (size_t i = 0; i < n; i++)
        put_row(out, &rows[i], now);
}
