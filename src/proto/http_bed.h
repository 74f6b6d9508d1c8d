/* What the tests of the HTTP analyzer and of files share: a connection, and the logs it leaves.
 * Bytes are given from heap blocks of their exact size, so that sanitizers see a byte too far. */
#ifndef PROTO_HTTP_BED_H
#define PROTO_HTTP_BED_H

#include "flow/more.h"
#include "flow/weird.h"
#include "log/record_bed.h"
#include "proto/analyzer.h"
#include "proto/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000000ll

struct bed {
    struct log_bed logs;
    struct flow_context context;
    struct flow flow;
    struct analysis analysis;
    size_t piece;               /* bytes given at a time; 0: all */
    char *http, *files, *weird; /* the rows, after bed_close */
};

static inline void bed_connect(struct bed *b, uint16_t port)
{
    b->flow = (struct flow){.port = {port, 80}, .proto = FLOW_TCP};
    b->flow.first = b->context.now;
    b->flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    b->flow.addr[1] = addr_v4((const uint8_t[]){93, 184, 216, 34});
    b->analysis =
        (struct analysis){.analyzer = &analyzer_http, .context = &b->context, .flow = &b->flow};
    b->analysis.state = calloc(1, analyzer_http.state_size);
    analyzer_http.start(&b->analysis);
}

static inline void bed_open(struct bed *b)
{
    memset(b, 0, sizeof *b);
    log_bed_open(&b->logs, LOG_FORMAT_TSV, NULL, 0);
    b->context = (struct flow_context){
        .now = 1000 * SECOND,
        .clock = 1000 * SECOND,
        .log = b->logs.writer,
        .pool = pool_new(32u << 20),
        .weirds = weird_memory_new(),
    };
    bed_connect(b, 4000);
}

static inline void bed_wait(struct bed *b, int64_t ns)
{
    b->context.now += ns;
    b->context.clock += ns;
}

static inline void say_bytes(struct bed *b, int dir, const void *bytes, size_t size)
{
    size_t step = b->piece ? b->piece : size;
    for (size_t at = 0; at < size && !b->analysis.finished; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *exact = malloc(n);
        memcpy(exact, (const uint8_t *)bytes + at, n);
        analyzer_http.data(&b->analysis, dir, exact, n);
        free(exact);
    }
}

static inline void ask(struct bed *b, const char *text)
{
    say_bytes(b, FLOW_ORIG, text, strlen(text));
}

static inline void answer(struct bed *b, const char *text)
{
    say_bytes(b, FLOW_RESP, text, strlen(text));
}

static inline void bed_disconnect(struct bed *b)
{
    analyzer_http.end(&b->analysis);
    free(b->analysis.state);
    flow_more_free(&b->context, &b->flow);
}

/* Rows from the given column on, without "-" columns at the end of files.log. */
static inline char *read_rows(const char *folder, const char *name, int from)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s.log", folder, name);
    const size_t size = 1 << 20;
    char *rows = calloc(1, size), *line = NULL;
    size_t capacity = 0, len = 0;
    FILE *file = fopen(path, "r");
    while (file && getline(&line, &capacity, file) > 0) {
        char *at = line;
        for (int i = 0; i < from && at; i++)
            at = strchr(at, '\t') ? strchr(at, '\t') + 1 : NULL;
        if (line[0] == '#' || !at)
            continue;
        for (char *c = at; *c; c++)
            *c = *c == '\t' ? '|' : *c;
        if (len < size)
            len += (size_t)snprintf(rows + len, size - len, "%s", at);
    }
    free(line);
    if (file)
        fclose(file);
    unlink(path);
    return rows;
}

static inline void bed_close(struct bed *b)
{
    bed_disconnect(b);
    file_memory_end(&b->context);
    assert_int_equal(pool_used(b->context.pool), 0);
    log_bed_close(&b->logs);
    b->http = read_rows(b->logs.folder, "http", 6);
    b->files = read_rows(b->logs.folder, "files", 10);
    b->weird = read_rows(b->logs.folder, "weird", 6);
    rmdir(b->logs.folder);
    weird_memory_free(b->context.weirds);
    pool_free(b->context.pool);
}

static inline void bed_free(struct bed *b)
{
    free(b->http);
    free(b->files);
    free(b->weird);
}

/* The column of the first row of a log, counted from 0; the caller frees it. */
static inline char *column(const char *rows, int n)
{
    const char *at = rows;
    for (; n > 0 && at; n--)
        at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL;
    return at ? strndup(at, strcspn(at, "|\n")) : strdup("(none)");
}

#define CHECK_COLUMN(rows, n, text)                                                                \
    do {                                                                                           \
        char *found = column(rows, n);                                                             \
        assert_string_equal(found, text);                                                          \
        free(found);                                                                               \
    } while (0)

/* Columns of http.log after those of the connection. */
enum {
    DEPTH,
    METHOD,
    HOST,
    URI,
    REFERRER,
    VERSION,
    USER_AGENT,
    ORIGIN,
    REQUEST_LEN,
    RESPONSE_LEN,
    STATUS,
    STATUS_MSG,
    INFO,
    INFO_MSG,
    TAGS,
    USERNAME,
    PASSWORD,
    PROXIED,
    ORIG_FUIDS,
    ORIG_NAMES,
    ORIG_MIMES,
    RESP_FUIDS,
    RESP_NAMES,
    RESP_MIMES,
};

/* Columns of files.log from mime_type on. */
enum {
    MIME,
    FILENAME,
    DURATION,
    LOCAL_ORIG,
    IS_ORIG,
    SEEN,
    TOTAL,
    MISSING,
    OVERFLOWN,
    TIMED_OUT,
};

#endif
