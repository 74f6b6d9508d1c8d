/* For unit tests of hunts: connections made by hand go through the whole engine, and what one hunt
 * found is looked at. */
#ifndef HUNT_MOVES_BED_H
#define HUNT_MOVES_BED_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "hunt/engine.h"

/* A Tuesday, 2025-03-04 00:00 UTC. */
#define BED_DAY0 1741046400ll
#define BED_HOUR 3600.0

struct bed {
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct findings *findings;
    uint64_t n_uids;
    uint64_t chance;
};

static inline void bed_begin(struct bed *bed)
{
    struct err err;
    memset(bed, 0, sizeof(*bed));
    hunt_settings_init(&bed->settings);
    assert_int_equal(hunt_engine_new(&bed->settings, 42, &bed->engine, &err), 0);
    bed->chance = 1;
}

static inline void bed_end(struct bed *bed)
{
    findings_free(bed->findings);
    hunt_engine_free(bed->engine);
    hunt_settings_done(&bed->settings);
}

/* 0 <= x < 1. */
static inline double bed_chance(struct bed *bed)
{
    uint64_t x = bed->chance += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

static inline struct hunt_host bed_host(const char *text)
{
    struct hunt_host host;
    memset(&host, 0, sizeof(host));
    assert_true(addr_parse(text, &host.addr));
    return host;
}

struct bed_conn {
    double at; /* seconds since the bed's first day; may be negative */
    const char *src, *dst;
    uint16_t port;
    uint8_t proto;         /* 0: TCP */
    enum hunt_state state; /* 0: SF */
    double duration;       /* s */
    int64_t up, down;
    const char *service;
};

static inline void bed_put(struct bed *bed, const struct bed_conn *conn)
{
    struct hunt_record record;
    memset(&record, 0, sizeof(record));
    record.log = HUNT_CONN;
    record.ts = BED_DAY0 * 1000000000 + (int64_t)(conn->at * 1e9);
    record.uid = ++bed->n_uids;
    record.orig = bed_host(conn->src);
    record.resp = bed_host(conn->dst);
    record.orig_port = (uint16_t)(40000 + bed->n_uids % 20000);
    record.resp_port = conn->port;
    record.proto = conn->proto ? conn->proto : HUNT_TCP;
    record.has_ends = true;
    record.conn.service = str_c(conn->service);
    record.conn.state = conn->state ? conn->state : HUNT_SF;
    bool failed = record.conn.state == HUNT_S0 || record.conn.state == HUNT_REJ;
    record.conn.duration = failed ? HUNT_UNSET : (int64_t)(conn->duration * 1e9);
    record.conn.orig_bytes = failed ? HUNT_UNSET : conn->up;
    record.conn.resp_bytes = failed ? HUNT_UNSET : conn->down;
    record.conn.orig_pkts = 1 + (failed ? 0 : conn->up / 1400);
    record.conn.resp_pkts = failed ? 0 : 1 + conn->down / 1400;
    record.conn.orig_ip_bytes = (failed ? 0 : conn->up) + 40 * record.conn.orig_pkts;
    record.conn.resp_ip_bytes = (failed ? 0 : conn->down) + 40 * record.conn.resp_pkts;
    record.conn.missed_bytes = 0;
    hunt_engine_take(bed->engine, &record, 1);
}

/* Ordinary machines around, so that prevalence means something: each connects once to a site that
 * all know. */
static inline void bed_neighbours(struct bed *bed, double at)
{
    for (int i = 100; i < 120; i++) {
        char src[32];
        snprintf(src, sizeof(src), "10.0.0.%d", i);
        bed_put(bed, &(struct bed_conn){.at = at + i,
                                        .src = src,
                                        .dst = "198.18.0.1",
                                        .port = 443,
                                        .service = "ssl",
                                        .duration = 2,
                                        .up = 900,
                                        .down = 9000});
    }
}

/* Judges up to the given time; findings are then asked for. */
static inline void bed_judge(struct bed *bed, double to)
{
    struct err err;
    findings_free(bed->findings);
    bed->findings = findings_new(10000);
    assert_non_null(bed->findings);
    assert_int_equal(hunt_engine_judge(bed->engine, (BED_DAY0 + (int64_t)to) * 1000, false, 2,
                                       bed->findings, &err),
                     0);
}

/* The n-th finding of the hunt, the worst first; NULL: there are not so many. */
static inline const struct finding *bed_found(struct bed *bed, const char *hunt, size_t n)
{
    size_t n_all;
    const struct finding *all = findings_sorted(bed->findings, &n_all);
    for (size_t i = 0; i < n_all; i++)
        if (strcmp(all[i].hunt->name, hunt) == 0 && n-- == 0)
            return &all[i];
    return NULL;
}

static inline size_t bed_count(struct bed *bed, const char *hunt)
{
    size_t n = 0;
    while (bed_found(bed, hunt, n))
        n++;
    return n;
}

static inline bool bed_is(const struct hunt_host *host, const char *text)
{
    struct hunt_host other = bed_host(text);
    return addr_eq(&host->addr, &other.addr);
}

static inline bool bed_says(const struct finding *finding, const char *text)
{
    if (strstr(finding->title, text))
        return true;
    for (unsigned i = 0; i < finding->n_reasons; i++)
        if (strstr(finding->reasons[i], text))
            return true;
    return false;
}

static inline double bed_number(const struct finding *finding, const char *name)
{
    for (unsigned i = 0; i < finding->n_numbers; i++)
        if (strcmp(finding->numbers[i].name, name) == 0)
            return finding->numbers[i].value;
    return -1;
}

#endif
