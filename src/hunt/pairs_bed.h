/* Records made by hand, and what became of them in a book; for unit tests. */
#ifndef HUNT_PAIRS_BED_H
#define HUNT_PAIRS_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants those before it */
#include <cmocka.h>

#include "hunt/engine.h"

#define SECOND ((int64_t)1000000000)
#define DAY_S  86400
#define BED_T0 ((int64_t)19000 * DAY_S) /* a midnight, s */

static inline struct hunt_host bed_host(const char *text)
{
    struct hunt_host host = {.network = 0};
    assert_true(addr_parse(text, &host.addr));
    return host;
}

static inline struct hunt_record bed_record(enum hunt_log log, double s, uint64_t uid,
                                            const char *orig, const char *resp, uint16_t port)
{
    return (struct hunt_record){
        .log = log,
        .ts = BED_T0 * SECOND + (int64_t)(s * 1e6) * 1000,
        .uid = uid,
        .orig = bed_host(orig),
        .resp = bed_host(resp),
        .orig_port = 50000,
        .resp_port = port,
        .proto = HUNT_TCP,
        .has_ends = true,
    };
}

static inline struct hunt_record bed_conn(double s, uint64_t uid, const char *orig,
                                          const char *resp, uint16_t port, const char *service)
{
    struct hunt_record record = bed_record(HUNT_CONN, s, uid, orig, resp, port);
    record.conn.service = str_c(service);
    record.conn.duration = SECOND;
    record.conn.orig_bytes = 100;
    record.conn.resp_bytes = 1000;
    record.conn.orig_ip_bytes = 200;
    record.conn.resp_ip_bytes = 2000;
    record.conn.orig_pkts = record.conn.resp_pkts = 5;
    record.conn.missed_bytes = 0;
    record.conn.state = HUNT_SF;
    return record;
}

static inline struct hunt_record bed_open(double s, uint64_t uid, const char *orig,
                                          const char *resp, uint16_t port, const char *service,
                                          double duration)
{
    struct hunt_record record = bed_conn(s, uid, orig, resp, port, service);
    record.log = HUNT_OPEN_CONN;
    record.conn.duration = (int64_t)(duration * 1e9);
    record.conn.orig_ip_bytes = (int64_t)duration;
    record.conn.resp_ip_bytes = (int64_t)duration;
    return record;
}

static inline struct hunt_record bed_http(double s, uint64_t uid, const char *orig,
                                          const char *resp, const char *method, const char *host)
{
    struct hunt_record record = bed_record(HUNT_HTTP, s, uid, orig, resp, 80);
    record.http.method = str_c(method);
    record.http.host = str_c(host);
    record.http.status = 200;
    record.http.request_size = 10;
    record.http.response_size = 500;
    return record;
}

static inline struct hunt_record bed_ssl(double s, uint64_t uid, const char *orig, const char *resp,
                                         const char *name)
{
    struct hunt_record record = bed_record(HUNT_SSL, s, uid, orig, resp, 443);
    record.ssl.server_name = str_c(name);
    return record;
}

static inline struct hunt_record bed_dns(double s, const char *orig, const char *resp,
                                         const char *query, const char *answers)
{
    struct hunt_record record = bed_record(HUNT_DNS, s, 0, orig, resp, 53);
    record.proto = HUNT_UDP;
    record.dns.query = str_c(query);
    record.dns.answers = str_c(answers);
    return record;
}

static inline struct hunt_engine *bed_engine(struct hunt_settings *settings)
{
    struct hunt_engine *engine = NULL;
    struct err err;
    hunt_settings_init(settings);
    settings->memory = (uint64_t)256 << 20;
    assert_int_equal(hunt_engine_new(settings, 7, &engine, &err), 0);
    return engine;
}

static inline void bed_take(struct hunt_engine *engine, struct hunt_record record)
{
    hunt_engine_take(engine, &record, 1);
}

static inline size_t bed_n_days(struct books books)
{
    return books_n_days(&books);
}

static inline struct pair_value bed_pair(struct hunt_engine *engine, const char *src,
                                         const char *dst)
{
    struct pair_key key = {.src = bed_host(src), .dst = bed_host(dst)};
    struct pair_value value = {.sum = {.n = 0}};
    struct books books = hunt_engine_books(engine);
    if (!books_find(&books, &pair_table, &key, &value))
        value.sum.way = 99;
    return value;
}

static inline book_name bed_name(struct hunt_engine *engine, const char *name)
{
    struct books books = hunt_engine_books(engine);
    return books.n ? book_hash(books.at[0], str_c(name)) : 0;
}

static inline struct named_value bed_named(struct hunt_engine *engine, const char *src,
                                           const char *name)
{
    struct named_key key = {.name = bed_name(engine, name), .src = bed_host(src)};
    struct named_value value = {.sum = {.n = 0}};
    struct books books = hunt_engine_books(engine);
    if (!books_find(&books, &named_table, &key, &value))
        value.sum.way = 99;
    return value;
}

static inline size_t bed_events(struct hunt_engine *engine, const struct book_table *table,
                                const void *key, unsigned series)
{
    struct book_event *events = NULL;
    size_t n = 0;
    struct books books = hunt_engine_books(engine);
    assert_true(
        books_events(&books, table, key, series, INT64_MIN / 2, INT64_MAX / 2, &events, &n));
    free(events);
    return n;
}

#endif
