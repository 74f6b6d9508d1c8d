/* When the files of a live log folder change, and what the finished ones are called:
 *
 *     2026-11-22/conn.14:00:00-15:00:00.log      with ".gz" where it is compressed
 *
 * The day is that of the begin, both times are the wall clock's (local, or UTC where that was asked
 * for), as Zeek's archiver has them. Where a name is taken already (an hour that comes twice at
 * the end of summer time, two starts within a second) the next one is conn.02:00:00-02:05:00-2.log:
 * nothing is overwritten, and importers still find the kind, the hour and the suffix in it. */
#ifndef LOG_PERIOD_H
#define LOG_PERIOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define LOG_PERIOD_MIN  60 /* seconds */
#define LOG_PERIOD_DAY  86400
#define LOG_DAY_SIZE    11 /* "2026-11-22", with its NUL */
#define LOG_CLOCK_SIZE  9  /* "14:00:00" */
#define LOG_NAME_MAX    64 /* characters of a log's name */
#define LOG_REPEATS_MAX 9999

/* Periods begin on the day's first second and divide the day: 60 s to one day. */
bool log_period_fits(int64_t period);

/* Begin of the period that `now` is in, and of the next one; seconds since the epoch. Clock changes
 * of summer time make a period longer or shorter where it would not be aligned otherwise; an hour
 * that comes twice is two periods. */
int64_t log_period_begin(int64_t now, int64_t period, bool utc);
int64_t log_period_end(int64_t now, int64_t period, bool utc);

/* The broken-down time; years beyond four digits are cut to year 9999. */
struct tm log_period_tm(int64_t seconds, bool utc);

void log_period_day(int64_t seconds, bool utc, char out[LOG_DAY_SIZE]);
void log_period_clock(int64_t seconds, bool utc, char out[LOG_CLOCK_SIZE]);

/* Letters, digits and _, not more than LOG_NAME_MAX: what a log may be called. */
bool log_name_fits(const char *name, size_t len);

/* A finished file, by its name. */
struct log_archived {
    char day[LOG_DAY_SIZE];
    char begin[LOG_CLOCK_SIZE], end[LOG_CLOCK_SIZE];
    char name[LOG_NAME_MAX + 1]; /* "conn" */
    unsigned repeat;             /* 1: the first of this name; 2: "-2" */
};

#define LOG_ARCHIVED_SIZE (LOG_NAME_MAX + 40) /* of a file's name with its NUL */

/* "conn.14:00:00-15:00:00.log" plus `suffix`. */
void log_archived_format(const struct log_archived *archived, const char *suffix,
                         char out[LOG_ARCHIVED_SIZE]);

/* The other way round; false when a file of ours does not look like this. `day` is the folder's
 * name. `suffix` is what must stand behind ".log". */
bool log_archived_parse(const char *day, const char *file, const char *suffix,
                        struct log_archived *out);

/* Whether this is the name of a day's folder: a date that exists. */
bool log_day_parse(const char *text, struct tm *out);

/* When the file's period ended, in seconds since the epoch. */
int64_t log_archived_ended(const struct log_archived *archived, bool utc);

/* Importers tell logs apart by how their file's name begins (conn, dns, http, ssl, and these with
 * open_ before): true for a name that one of them would take for another log than it is. */
bool log_name_misleads(const char *name);

#endif
