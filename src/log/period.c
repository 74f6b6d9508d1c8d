/* Periods and the names of finished log files: see period.h. */
#include "log/period.h"

#include <stdio.h>
#include <string.h>

bool log_period_fits(int64_t period)
{
    return period >= LOG_PERIOD_MIN && period <= LOG_PERIOD_DAY && LOG_PERIOD_DAY % period == 0;
}

struct tm log_period_tm(int64_t seconds, bool utc)
{
    time_t t = (time_t)seconds;
    struct tm tm = {0};
    if (utc)
        (void)gmtime_r(&t, &tm);
    else
        (void)localtime_r(&t, &tm);
    if (tm.tm_year > 9999 - 1900)
        tm.tm_year = 9999 - 1900;
    if (tm.tm_year < -1900)
        tm.tm_year = -1900;
    return tm;
}

/* Seconds since the period's begin by the wall clock. */
static int64_t into(const struct tm *tm, int64_t period)
{
    return (tm->tm_hour * 3600 + tm->tm_min * 60 + tm->tm_sec) % period;
}

/* Where the clock was changed between the two, `at` may be off by that change. */
static int64_t align(int64_t now, int64_t at, int64_t period, bool utc)
{
    struct tm then = log_period_tm(at, utc);
    if (into(&then, period) == 0)
        return at;
    struct tm here = log_period_tm(now, utc);
    int64_t moved = at - (then.tm_gmtoff - here.tm_gmtoff);
    struct tm there = log_period_tm(moved, utc);
    if (into(&there, period) == 0)
        return moved;
    return moved > at ? moved : at; /* the clock passes over the moment: when it does */
}

int64_t log_period_begin(int64_t now, int64_t period, bool utc)
{
    struct tm tm = log_period_tm(now, utc);
    int64_t begin = align(now, now - into(&tm, period), period, utc);
    return begin <= now ? begin : now;
}

int64_t log_period_end(int64_t now, int64_t period, bool utc)
{
    struct tm tm = log_period_tm(now, utc);
    int64_t end = now - into(&tm, period) + period;
    int64_t aligned = align(now, end, period, utc);
    return aligned > now ? aligned : end;
}

void log_period_day(int64_t seconds, bool utc, char out[LOG_DAY_SIZE])
{
    struct tm tm = log_period_tm(seconds, utc);
    (void)strftime(out, LOG_DAY_SIZE, "%Y-%m-%d", &tm);
}

void log_period_clock(int64_t seconds, bool utc, char out[LOG_CLOCK_SIZE])
{
    struct tm tm = log_period_tm(seconds, utc);
    (void)strftime(out, LOG_CLOCK_SIZE, "%H:%M:%S", &tm);
}

void log_archived_format(const struct log_archived *a, const char *suffix,
                         char out[LOG_ARCHIVED_SIZE])
{
    char repeat[12] = "";
    if (a->repeat > 1)
        (void)snprintf(repeat, sizeof repeat, "-%u", a->repeat);
    (void)snprintf(out, LOG_ARCHIVED_SIZE, "%s.%s-%s%s.log%s", a->name, a->begin, a->end, repeat,
                   suffix);
}

/* Digits where the pattern has 'd', else its own characters. */
static bool looks_like(const char *text, const char *pattern)
{
    for (; *pattern; pattern++, text++)
        if (*pattern == 'd' ? *text < '0' || *text > '9' : *text != *pattern)
            return false;
    return true;
}

static int two(const char *digits)
{
    return (digits[0] - '0') * 10 + digits[1] - '0';
}

static bool clock_parse(const char *text, char out[LOG_CLOCK_SIZE])
{
    if (!looks_like(text, "dd:dd:dd") || two(text) > 23 || two(text + 3) > 59 || two(text + 6) > 60)
        return false;
    memcpy(out, text, LOG_CLOCK_SIZE - 1);
    out[LOG_CLOCK_SIZE - 1] = '\0';
    return true;
}

bool log_day_parse(const char *text, struct tm *out)
{
    if (!looks_like(text, "dddd-dd-dd") || text[10] != '\0')
        return false;
    *out = (struct tm){.tm_year = two(text) * 100 + two(text + 2) - 1900,
                       .tm_mon = two(text + 5) - 1,
                       .tm_mday = two(text + 8),
                       .tm_isdst = -1};
    struct tm real = *out;
    (void)timegm(&real); /* moves a day that does not exist into the next month */
    return out->tm_mon >= 0 && real.tm_mon == out->tm_mon && real.tm_mday == out->tm_mday;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool log_name_fits(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(name[i]))
            return false;
    return len > 0 && len <= LOG_NAME_MAX;
}

bool log_archived_parse(const char *day, const char *file, const char *suffix,
                        struct log_archived *out)
{
    struct tm tm;
    struct log_archived a = {.repeat = 1};
    if (!log_day_parse(day, &tm))
        return false;
    memcpy(a.day, day, LOG_DAY_SIZE);
    size_t len = 0;
    while (is_name_char(file[len]))
        len++;
    if (!log_name_fits(file, len) || file[len] != '.')
        return false;
    memcpy(a.name, file, len);
    const char *at = file + len + 1;
    if (!clock_parse(at, a.begin) || at[8] != '-' || !clock_parse(at + 9, a.end))
        return false;
    at += 17;
    if (*at == '-') {
        a.repeat = 0;
        for (at++; *at >= '0' && *at <= '9' && a.repeat <= LOG_REPEATS_MAX; at++)
            a.repeat = a.repeat * 10 + (unsigned)(*at - '0');
        if (a.repeat < 2 || a.repeat > LOG_REPEATS_MAX)
            return false;
    }
    if (strncmp(at, ".log", 4) != 0 || strcmp(at + 4, suffix) != 0)
        return false;
    char again[LOG_ARCHIVED_SIZE];
    log_archived_format(&a, suffix, again);
    if (strcmp(again, file) != 0) /* "-002" */
        return false;
    *out = a;
    return true;
}

int64_t log_archived_ended(const struct log_archived *a, bool utc)
{
    struct tm tm;
    if (!log_day_parse(a->day, &tm))
        return 0;
    tm.tm_hour = two(a->end);
    tm.tm_min = two(a->end + 3);
    tm.tm_sec = two(a->end + 6);
    int order = strcmp(a->end, a->begin);
    if (order < 0 || (order == 0 && strcmp(a->end, "00:00:00") == 0)) /* a whole day */
        tm.tm_mday++;
    return utc ? (int64_t)timegm(&tm) : (int64_t)mktime(&tm);
}

bool log_name_misleads(const char *name)
{
    static const char *const meant[] = {"conn",      "dns",       "http",    "ssl",
                                        "open_conn", "open_http", "open_ssl"};
    bool begins = strncmp(name, "open_dns", 8) == 0;
    for (size_t i = 0; i < sizeof meant / sizeof *meant; i++) {
        if (strcmp(name, meant[i]) == 0)
            return false;
        begins |= strncmp(name, meant[i], strlen(meant[i])) == 0;
    }
    return begins;
}
