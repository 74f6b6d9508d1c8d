/* For unit tests of hunts over DNS, TLS and feeds: records by hand go through the whole engine, and
 * what one hunt found is looked at. */
#ifndef HUNT_QUIET_BED_H
#define HUNT_QUIET_BED_H

#include "hunt/pairs_bed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct quiet_bed {
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct findings *findings;
    char feed[64]; /* the file's path; "": none */
    char *feeds[1];
};

/* `feed`: what a feed says, or NULL. */
static inline void quiet_begin(struct quiet_bed *bed, const char *feed)
{
    memset(bed, 0, sizeof *bed);
    hunt_settings_init(&bed->settings);
    bed->settings.memory = (uint64_t)256 << 20;
    if (feed) {
        (void)snprintf(bed->feed, sizeof bed->feed, "/tmp/quiet-bed-XXXXXX");
        int fd = mkstemp(bed->feed);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, feed, strlen(feed)), (ssize_t)strlen(feed));
        assert_int_equal(close(fd), 0);
        bed->feeds[0] = bed->feed;
        bed->settings.feeds = bed->feeds;
        bed->settings.n_feeds = 1;
    }
    struct err err;
    assert_int_equal(hunt_engine_new(&bed->settings, 7, &bed->engine, &err), 0);
}

static inline void quiet_end(struct quiet_bed *bed)
{
    findings_free(bed->findings);
    hunt_engine_free(bed->engine);
    bed->settings.feeds = NULL;
    bed->settings.n_feeds = 0;
    hunt_settings_done(&bed->settings);
    if (bed->feed[0])
        assert_int_equal(unlink(bed->feed), 0);
}

static inline void quiet_put(struct quiet_bed *bed, struct hunt_record record)
{
    hunt_engine_take(bed->engine, &record, 1);
}

/* What the hunt found, the worst first; NULL when that is less than the n-th (from 0 on). */
static inline const struct finding *quiet_found(struct quiet_bed *bed, const char *hunt, size_t nth)
{
    if (!bed->findings) {
        struct err err;
        bed->findings = findings_new(10000);
        assert_non_null(bed->findings);
        assert_int_equal(hunt_engine_judge(bed->engine, 0, false, 2, bed->findings, &err), 0);
    }
    size_t n = 0;
    const struct finding *all = findings_sorted(bed->findings, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].hunt->name, hunt) == 0 && nth-- == 0)
            return &all[i];
    return NULL;
}

static inline bool quiet_says(const struct finding *finding, const char *part)
{
    for (unsigned i = 0; i < finding->n_reasons; i++)
        if (strstr(finding->reasons[i], part))
            return true;
    return strstr(finding->title, part) != NULL;
}

static inline uint64_t quiet_chance(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* So many letters and digits by chance. */
static inline void quiet_label(uint64_t *state, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        out[i] = "abcdefghijklmnopqrstuvwxyz234567"[quiet_chance(state) % 32];
    out[len] = '\0';
}

/* Other internal machines, so that what is rare can be told from what is small. */
static inline void quiet_neighbours(struct quiet_bed *bed, double s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char src[32];
        (void)snprintf(src, sizeof src, "10.0.%u.%u", 100 + i / 200, 10 + i % 200);
        quiet_put(bed, bed_conn(s, 900000 + i, src, "198.18.0.1", 443, "ssl"));
        struct hunt_record http =
            bed_http(s, 800000 + i, src, "198.18.0.2", "GET", "news.example.com");
        http.http.user_agent = STR("Mozilla/5.0 (Windows NT 10.0) Firefox/118.0");
        quiet_put(bed, http);
        struct hunt_record ssl = bed_ssl(s, 900000 + i, src, "198.18.0.1", "mail.example.com");
        ssl.ssl.ja3 = STR("cd08e31494f9531f560d64c695473da9");
        ssl.ssl.established = true;
        quiet_put(bed, ssl);
    }
}

#endif
