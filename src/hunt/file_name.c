/* Names of log files, as Zeek, its packagers, and we write them:
 *
 *     conn.log                                        conn.14:00:00-15:00:00.log.gz   (or '_')
 *     conn_20240722_12:00:00-13:00:00+0000.log        Corelight, Security Onion
 *     conn.2024-07-22-12-00-00.log                    Zeek without zeekctl, then and
 *     conn-24-07-22_12.00.00.log                      now
 *     NASHUA_conn.log                                 several sensors in one folder
 *     json_streaming_conn.1.log                       Corelight's json-streaming-logs
 *     .2026-11-22.conn.14:00:00-15:00:00.log.finished our own, about to be archived */
#include "hunt/files.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* `n` digits at `*at`; -1: they are not there, and nothing was taken. */
static int take_number(const char **at, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (!is_digit((*at)[i]))
            return -1;
        value = value * 10 + ((*at)[i] - '0');
    }
    *at += n;
    return value;
}

static bool take_one_of(const char **at, const char *set)
{
    if (!**at || !strchr(set, **at))
        return false;
    ++*at;
    return true;
}

static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool day_from(int year, int month, int day, int64_t *out)
{
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *out = days_of(year, month, day);
    return true;
}

/* "2026-11-22", "26-11-22" */
static bool take_day(const char **at, int64_t *out)
{
    const char *p = *at;
    int year = take_number(&p, 4);
    if (year < 0) {
        year = take_number(&p, 2);
        year += year < 0 ? 0 : 2000;
    }
    if (year < 0 || *p++ != '-')
        return false;
    int month = take_number(&p, 2);
    if (month < 0 || *p++ != '-')
        return false;
    int day = take_number(&p, 2);
    if (day < 0 || !day_from(year, month, day, out))
        return false;
    *at = p;
    return true;
}

bool files_day_of(const char *folder, int64_t *out)
{
    return strlen(folder) == 10 && take_day(&folder, out) && !*folder;
}

/* "14:00:00", and with any one of `between`. */
static bool take_clock(const char **at, const char *between, int *out_hour)
{
    const char *p = *at;
    int hour = take_number(&p, 2);
    if (hour < 0 || hour > 23 || !take_one_of(&p, between))
        return false;
    int minute = take_number(&p, 2);
    if (minute < 0 || minute > 59 || !take_one_of(&p, between))
        return false;
    int second = take_number(&p, 2);
    if (second < 0 || second > 60)
        return false;
    *at = p;
    *out_hour = hour;
    return true;
}

/* "12:00:00-13:00:00", "12:00:00-13:00:00+0000", "12:00:00" */
static bool take_period(const char **at, int *out_hour)
{
    int to;
    if (!take_clock(at, ":_", out_hour))
        return false;
    if (**at == '-' || **at == '_') {
        ++*at;
        if (!take_clock(at, ":_", &to))
            return false;
    }
    if (**at == '+' || **at == '-') {
        ++*at;
        if (take_number(at, 4) < 0)
            return false;
    }
    return true;
}

/* ".1", ".12": the larger, the older; what is there moves on to the next. */
static bool is_generation(const char *at)
{
    size_t n = *at == '.' ? strspn(at + 1, "0123456789") : 0;
    return n >= 1 && n <= 3 && !at[1 + n];
}

/* What stands behind the log's name, up to the end. */
static bool read_when(const char *at, struct files_name *out)
{
    char first = *at;
    const char *p = at + 1;
    if (!first || is_generation(at))
        return true;
    out->rotated = true;
    if (first == '.' && take_period(&p, &out->hour) && !*p)
        return true;
    p = at + 1;
    if (first == '_') {
        int year = take_number(&p, 4), month = take_number(&p, 2), day = take_number(&p, 2);
        return year >= 0 && month >= 0 && day >= 0 && day_from(year, month, day, &out->day) &&
               *p++ == '_' && take_period(&p, &out->hour) && !*p;
    }
    if ((first != '.' && first != '-') || !take_day(&p, &out->day))
        return false;
    if (!*p)
        return true;
    return take_one_of(&p, "-_") && take_clock(&p, "-.:_", &out->hour) && !*p;
}

/* Logs of others whose names end like ours. */
static bool is_another(const char *name)
{
    return strncmp(name, "encrypted_dns", 13) == 0;
}

/* The log's name at the beginning, or behind a prefix; the longest that fits. */
static bool read_stem(const char *stem, struct files_name *out)
{
    for (const char *at = stem; *at; at++) {
        if (at > stem && at[-1] != '_' && at[-1] != '-')
            continue;
        for (int log = 0; log < HUNT_N_LOGS; log++) {
            const char *name = hunt_log_name((enum hunt_log)log);
            size_t len = strlen(name);
            struct files_name found = {.log = (enum hunt_log)log, .day = FILES_NO_DAY};
            if (strncmp(at, name, len) == 0 && read_when(at + len, &found) && !is_another(stem)) {
                *out = found;
                return true;
            }
        }
    }
    return false;
}

static bool cut_suffix(char *name, size_t *len, const char *suffix)
{
    size_t size = strlen(suffix);
    if (*len <= size || memcmp(name + *len - size, suffix, size) != 0)
        return false;
    *len -= size;
    name[*len] = '\0';
    return true;
}

bool files_name_read(const char *name, struct files_name *out)
{
    char stem[256];
    size_t len = strlen(name);
    int64_t day = FILES_NO_DAY;
    if (len >= sizeof stem)
        return false;
    memcpy(stem, name, len + 1);
    bool finished = cut_suffix(stem, &len, ".finished");
    bool packed = !finished && cut_suffix(stem, &len, ".gz");
    if (!cut_suffix(stem, &len, ".log") && (finished || !packed))
        return false;
    const char *at = stem;
    if (finished && (*at++ != '.' || !take_day(&at, &day) || *at++ != '.'))
        return false;
    if (*at == '.' || !read_stem(at, out))
        return false;
    if (finished)
        out->day = day;
    out->packed = packed;
    out->finished = finished;
    return true;
}

bool files_is_packed_otherwise(const char *name)
{
    static const char *const suffixes[] = {".zst", ".bz2", ".xz", ".lz4", ".Z", ".zip"};
    struct files_name read;
    char stem[256];
    size_t len = strlen(name);
    if (len >= sizeof stem)
        return false;
    memcpy(stem, name, len + 1);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (cut_suffix(stem, &len, suffixes[i]))
            return files_name_read(stem, &read) && !read.packed;
    return false;
}

bool files_log_of(const char *name, enum hunt_log *out)
{
    struct files_name read;
    if (!files_name_read(name, &read))
        return false;
    *out = read.log;
    return true;
}
