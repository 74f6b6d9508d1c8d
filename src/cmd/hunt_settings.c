/* Options of `cloudspan hunt`: see hunt_settings.h. */
#include "cmd/hunt_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEMORY_LEAST (64ull << 20)
#define MAX_THREADS  64
#define SECOND       INT64_C(1000000000)
#define DAY_MS       INT64_C(86400000)
#define MAX_DAYS     92

enum row {
    ROW_SCORES,
    ROW_JSON,
    ROW_CSV,
    ROW_HTML,
    ROW_EXPLAIN,
    ROW_FILTER,
    ROW_MINIMUM,
    ROW_LIMIT,
    ROW_UNFOLD,
    ROW_SINCE,
    ROW_UNTIL,
    ROW_UTC,
    ROW_INTERNAL,
    ROW_INBOUND,
    ROW_SAFELIST,
    ROW_SHOW,
    ROW_FEED,
    ROW_ASN,
    ROW_ALERT,
    ROW_ON_ALERT,
    ROW_FOLLOW,
    ROW_EXIT_CODE,
    ROW_STATE,
    ROW_NO_STATE,
    ROW_CONFIG,
    ROW_MEMORY,
    ROW_JOBS,
    ROW_COLOR,
    ROW_VERBOSE,
    ROW_QUIET,
    ROW_HELP,
    ROW_VERSION
};

const struct option_row hunt_rows[] = {
    [ROW_SCORES] = {0, "scores", "WHOSE", false, "own (default), or rita: its rows and its scores"},
    [ROW_JSON] = {0, "json", NULL, false, "print an object a line"},
    [ROW_CSV] = {0, "csv", NULL, false, "print comma-separated values; with --scores rita, RITA's"},
    [ROW_HTML] = {0, "html", "FILE", false, "also write a report with pictures, in one file"},
    [ROW_EXPLAIN] = {0, "explain", "ID", false,
                     "say all that is known of one finding; the first characters of\n"
                     "its id are enough"},
    [ROW_FILTER] = {0, "filter", "WORDS", false,
                    "only what fits all of the words, such as\n"
                    "'severity:high src:10.0.0.0/8 beacon:>80'; may be given again"},
    [ROW_MINIMUM] = {0, "minimum", "SEVERITY", false,
                     "from this severity on: none, low (default), medium, high, critical"},
    [ROW_LIMIT] = {'n', "limit", "N", false, "at most N rows (default: all; a table: 100)"},
    [ROW_UNFOLD] = {0, "unfold", NULL, false,
                    "a row of the table for each, also of what many machines do alike"},
    [ROW_SINCE] = {0, "since", "TIME|DURATION", false,
                   "what is judged begins there: 24h (default) or 7d before the end,\n"
                   "2026-11-20, 2026-11-20T14:00"},
    [ROW_UNTIL] = {0, "until", "TIME", false,
                   "what is judged ends there (default: with the newest record)"},
    [ROW_UTC] = {0, "utc", NULL, false, "times are those of UTC"},
    [ROW_INTERNAL] = {0, "internal", "CIDR", false,
                      "this network is ours, too; may be given again"},
    [ROW_INBOUND] = {0, "include-inbound", NULL, false,
                     "also look at connections from outside to inside"},
    [ROW_SAFELIST] = {0, "safelist", "FILE", false,
                      "do not show what this file's lines say; may be given again"},
    [ROW_SHOW] = {0, "show-safelisted", NULL, false, "show it, and which line would hide it"},
    [ROW_FEED] = {0, "feed", "FILE|DIR", false,
                  "known-bad addresses, names and fingerprints, one a line; may be\n"
                  "given again"},
    [ROW_ASN] = {0, "asn", "FILE", false,
                 "AS numbers of addresses (as of iptoasn.com), for safelists"},
    [ROW_ALERT] = {0, "alert", NULL, false,
                   "print only what is new or graver than before, an object a line"},
    [ROW_ON_ALERT] = {0, "on-alert", "COMMAND", false,
                      "run this for each of these, with the object on its standard input;\n"
                      "a program and its arguments, without a shell"},
    [ROW_FOLLOW] = {0, "follow", "INTERVAL", true,
                    "look again every INTERVAL (60s), and print what is new or graver,\n"
                    "until Ctrl-C"},
    [ROW_EXIT_CODE] = {0, "exit-code", NULL, false,
                       "end with 4 when there is a finding of --minimum or graver"},
    [ROW_STATE] = {0, "state", "FILE", false,
                   "keep results of past days there (default: in the state folder)"},
    [ROW_NO_STATE] = {0, "no-state", NULL, false, "keep nothing, and use nothing that was kept"},
    [ROW_CONFIG] = {'c', "config", "FILE", false,
                    "the configuration, of which `hunts:` counts here (default:\n"
                    "/etc/cloudspan/cloudspan.yaml, where it is there)"},
    [ROW_MEMORY] = {0, "memory", "SIZE", false,
                    "stay within SIZE bytes, K, M or G (default: 2G,\n"
                    "at most half of the machine's)"},
    [ROW_JOBS] = {'j', "jobs", "N", false, "use N threads (default: one a core)"},
    [ROW_COLOR] = {0, "color", "WHEN", false, "auto (default), always or never"},
    [ROW_VERBOSE] = {'v', "verbose", NULL, false, "say more; twice: even more"},
    [ROW_QUIET] = {'q', "quiet", NULL, false, "beside what was found, say nothing but errors"},
    [ROW_HELP] = {'h', "help", NULL, false, "print this and exit"},
    [ROW_VERSION] = {0, "version", NULL, false, "print the version and exit"},
    {0},
};

static int add(struct hunt_words *words, const char *name, const char *value, struct err *err)
{
    if (words->n == HUNT_MAX_OF_OPTION)
        return err_set(err, -EINVAL, "%s: not more than %d of these", name, HUNT_MAX_OF_OPTION);
    words->at[words->n++] = value;
    return 0;
}

static int add_filter(struct hunt_options *o, const char *value, struct err *err)
{
    size_t len = strlen(o->filter);
    int n = snprintf(o->filter + len, sizeof o->filter - len, "%s%s", len ? " " : "", value);
    if (n < 0 || (size_t)n >= sizeof o->filter - len)
        return err_set(err, -EINVAL, "--filter: longer than %zu characters", sizeof o->filter - 1);
    return 0;
}

static int take_minimum(struct hunt_options *o, const char *value, struct err *err)
{
    for (int i = HUNT_NONE; i <= HUNT_CRITICAL; i++) {
        if (strcasecmp(value, hunt_severity_name((enum hunt_severity)i)) == 0) {
            o->minimum = (enum hunt_severity)i;
            o->has_minimum = true;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "--minimum: '%s' is none of none, low, medium, high, critical",
                   value);
}

static int take_interval(struct hunt_options *o, const char *value, struct err *err)
{
    o->interval = 60 * SECOND;
    if (!value)
        return 0;
    if (!hunt_filter_duration(value, &o->interval) || o->interval < SECOND)
        return err_set(err, -EINVAL, "--follow: '%s' is no time of at least a second, such as 30s",
                       value);
    return 0;
}

static int take_output(struct hunt_options *o, enum hunt_output output, struct err *err)
{
    if (o->output != HUNT_TABLE && o->output != (int)output)
        return err_set(err, -EINVAL, "--json and --csv: one of them");
    o->output = output;
    return 0;
}

int hunt_take(int row, const char *value, void *with, struct err *err)
{
    struct hunt_options *o = with;
    struct hunt_prefix prefix;
    switch ((enum row)row) {
    case ROW_SCORES:
        if (strcmp(value, "own") != 0 && strcmp(value, "rita") != 0)
            return err_set(err, -EINVAL, "--scores: '%s' is neither own nor rita", value);
        o->rita = value[0] == 'r';
        return 0;
    case ROW_JSON:
        return take_output(o, HUNT_JSON, err);
    case ROW_CSV:
        return take_output(o, HUNT_CSV, err);
    case ROW_HTML:
        o->html = value;
        return 0;
    case ROW_EXPLAIN:
        if (value[0] == '\0' || value[strspn(value, "0123456789abcdefABCDEF")] != '\0' ||
            strlen(value) > 16)
            return err_set(err, -EINVAL,
                           "--explain: '%s' is no id; the last column of the table shows them",
                           value);
        o->explain = value;
        return 0;
    case ROW_FILTER:
        return add_filter(o, value, err);
    case ROW_MINIMUM:
        return take_minimum(o, value, err);
    case ROW_LIMIT:
        if (!options_number(value, 1000000, &o->limit))
            return err_set(err, -EINVAL, "-n: '%s' is not a number from 0 to 1000000", value);
        o->has_limit = true;
        return 0;
    case ROW_UNFOLD:
        o->unfold = true;
        return 0;
    case ROW_SINCE:
        o->since = value;
        return 0;
    case ROW_UNTIL:
        o->until = value;
        return 0;
    case ROW_UTC:
        o->utc = true;
        return 0;
    case ROW_INTERNAL:
        if (!hunt_prefix_parse(value, &prefix))
            return err_set(err, -EINVAL, "--internal: '%s' is no network such as 100.64.0.0/10",
                           value);
        return add(&o->internal, "--internal", value, err);
    case ROW_INBOUND:
        o->include_inbound = true;
        return 0;
    case ROW_SAFELIST:
        return add(&o->safelists, "--safelist", value, err);
    case ROW_SHOW:
        o->show_safelisted = true;
        return 0;
    case ROW_FEED:
        return add(&o->feeds, "--feed", value, err);
    case ROW_ASN:
        o->asn = value;
        return 0;
    case ROW_ALERT:
        o->alert = true;
        return 0;
    case ROW_ON_ALERT:
        o->on_alert = value;
        return 0;
    case ROW_FOLLOW:
        return take_interval(o, value, err);
    case ROW_EXIT_CODE:
        o->exit_code = true;
        return 0;
    case ROW_STATE:
        o->state = value;
        return 0;
    case ROW_NO_STATE:
        o->no_state = true;
        return 0;
    case ROW_CONFIG:
        o->config = value;
        return 0;
    case ROW_MEMORY:
        if (!options_size(value, &o->memory) || o->memory < MEMORY_LEAST)
            return err_set(err, -EINVAL, "--memory: '%s' is not a size of at least 64M", value);
        return 0;
    case ROW_JOBS:
        if (!options_number(value, MAX_THREADS, &o->threads) || o->threads == 0)
            return err_set(err, -EINVAL, "-j: '%s' is not a number from 1 to %d", value,
                           MAX_THREADS);
        return 0;
    case ROW_COLOR:
        o->color = value;
        return 0;
    case ROW_VERBOSE:
        o->verbosity++;
        return 0;
    case ROW_QUIET:
        o->verbosity = -1;
        return 0;
    case ROW_HELP:
        o->help = true;
        return 0;
    case ROW_VERSION:
        o->version = true;
        return 0;
    }
    return 0;
}

int hunt_options_check(const struct hunt_options *o, size_t n_paths, struct err *err)
{
    if (n_paths == 0)
        return err_set(err, -EINVAL, "no folder with logs is given");
    if (o->state && o->no_state)
        return err_set(err, -EINVAL, "--state and --no-state: one of them");
    if (o->explain && (o->output == HUNT_CSV || o->alert || o->interval))
        return err_set(err, -EINVAL, "--explain is for one look, and prints text or --json");
    if (o->rita &&
        (o->output == HUNT_JSON || o->explain || o->html || o->alert || o->on_alert || o->interval))
        return err_set(err, -EINVAL, "--scores rita prints its table, or its values with --csv");
    if ((o->alert || o->interval) && o->output == HUNT_CSV)
        return err_set(err, -EINVAL, "--csv is for one look; alerts are objects of JSON");
    return 0;
}

/* ---- times ---- */

/* A whole number of digits, `min` to `max`. */
static bool take_field(const char **at, size_t digits, long min, long max, int *out)
{
    if (strspn(*at, "0123456789") < digits)
        return false;
    char text[8];
    memcpy(text, *at, digits);
    text[digits] = '\0';
    long value = strtol(text, NULL, 10);
    *at += digits;
    *out = (int)value;
    return value >= min && value <= max;
}

static bool skip(const char **at, const char *any)
{
    if (!**at || !strchr(any, **at))
        return false;
    ++*at;
    return true;
}

/* "2026-11-20[T14:00[:30]][Z]"; ms. */
static bool parse_date(const char *text, bool utc, int64_t *out)
{
    struct tm tm = {.tm_isdst = -1};
    const char *p = text;
    if (!take_field(&p, 4, 1970, 9999, &tm.tm_year) || !skip(&p, "-") ||
        !take_field(&p, 2, 1, 12, &tm.tm_mon) || !skip(&p, "-") ||
        !take_field(&p, 2, 1, 31, &tm.tm_mday))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    if (skip(&p, "T ")) {
        if (!take_field(&p, 2, 0, 23, &tm.tm_hour) || !skip(&p, ":") ||
            !take_field(&p, 2, 0, 59, &tm.tm_min))
            return false;
        if (skip(&p, ":") && !take_field(&p, 2, 0, 59, &tm.tm_sec))
            return false;
    }
    utc |= skip(&p, "Z");
    int day = tm.tm_mday;
    time_t seconds = utc ? timegm(&tm) : mktime(&tm);
    if (*p || seconds < 0 || tm.tm_mday != day) /* the 31st of a month of 30 days */
        return false;
    *out = (int64_t)seconds * 1000;
    return true;
}

static bool parse_time(const char *text, bool utc, int64_t *out)
{
    uint64_t seconds;
    if (options_number(text, 253402300799ull, &seconds)) { /* the year 9999 */
        *out = (int64_t)seconds * 1000;
        return strlen(text) > 6; /* a small number is a slip, not 1970 */
    }
    return parse_date(text, utc, out);
}

int hunt_span_parse(const char *since, const char *until, bool utc, struct hunt_span *out,
                    struct err *err)
{
    struct hunt_span span = {.from = HUNT_UNSET, .length = DAY_MS, .to = HUNT_UNSET};
    int64_t ns;
    if (since && hunt_filter_duration(since, &ns))
        span.length = ns / 1000000;
    else if (since && !parse_time(since, utc, &span.from))
        return err_set(err, -EINVAL,
                       "--since: '%s' is neither a time (2026-11-20, 2026-11-20T14:00, seconds) "
                       "nor a duration (24h, 7d)",
                       since);
    if (until && !parse_time(until, utc, &span.to))
        return err_set(err, -EINVAL,
                       "--until: '%s' is no time (2026-11-20, 2026-11-20T14:00, seconds)", until);
    if (span.from != HUNT_UNSET && span.to != HUNT_UNSET) {
        if (span.to <= span.from)
            return err_set(err, -EINVAL, "--until is not later than --since");
        span.length = span.to - span.from;
    }
    if (span.length < 60000 || span.length > MAX_DAYS * DAY_MS)
        return err_set(err, -EINVAL, "--since: what is judged lasts a minute to %d days", MAX_DAYS);
    *out = span;
    return 0;
}

/* ---- over the configuration ---- */

static int add_text(char ***list, size_t *n, const char *text, struct err *err)
{
    char **grown = reallocarray(*list, *n + 1, sizeof *grown);
    if (grown)
        *list = grown;
    char *copy = grown ? strdup(text) : NULL;
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    grown[(*n)++] = copy;
    return 0;
}

static int add_internal(struct hunt_scope *scope, const char *text, struct err *err)
{
    struct hunt_prefix *grown = reallocarray(scope->internal, scope->n_internal + 1, sizeof *grown);
    if (!grown)
        return err_set(err, -ENOMEM, "out of memory");
    scope->internal = grown;
    if (hunt_prefix_parse(text, &grown[scope->n_internal])) /* it was looked at before */
        scope->n_internal++;
    return 0;
}

int hunt_options_apply(const struct hunt_options *o, const struct hunt_span *span,
                       struct hunt_settings *settings, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < o->internal.n && result == 0; i++)
        result = add_internal(&settings->scope, o->internal.at[i], err);
    for (size_t i = 0; i < o->feeds.n && result == 0; i++)
        result = add_text(&settings->feeds, &settings->n_feeds, o->feeds.at[i], err);
    for (size_t i = 0; i < o->safelists.n && result == 0; i++)
        result = add_text(&settings->safelists, &settings->n_safelists, o->safelists.at[i], err);
    if (result < 0)
        return result;
    settings->scope.include_inbound |= o->include_inbound;
    if (o->memory)
        settings->memory = o->memory;
    if (o->since || o->until)
        settings->window = span->length;
    /* A window of n days touches n + 1 of the calendar's. How long one is that begins at a given
     * time, only the newest record will say, which is not later than now. */
    int64_t length = settings->window, now = (int64_t)time(NULL) * 1000;
    if (span->from != HUNT_UNSET && span->to == HUNT_UNSET && now - span->from > length)
        length = now - span->from < MAX_DAYS * DAY_MS ? now - span->from : MAX_DAYS * DAY_MS;
    uint32_t days = (uint32_t)(length / DAY_MS) + 2;
    if (settings->days < days)
        settings->days = days;
    return 0;
}
