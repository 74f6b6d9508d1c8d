/* For unit tests: a folder of made-up logs, and what was read of it, as text. */
#ifndef HUNT_READ_BED_H
#define HUNT_READ_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hunt/read.h"
#include "log/pack.h"

struct read_bed {
    char folder[64];
    struct hunt_reading reading;
    struct hunt_read_counts counts;
    struct hunt_mark *marks; /* of the last run, given to the next one */
    size_t n_marks;
    int result;
    struct err err;
    char *text; /* a line for each record */
    size_t size;
    char *files; /* the name of each file that had records, '\n' behind */
    char *said;
    FILE *text_out, *files_out, *said_out;
    volatile sig_atomic_t stop;
    uint64_t stop_after; /* records; 0: never */
    uint64_t n;
};

#define READ_BED_CONN                                                                              \
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"   \
    "#open\t2024-05-01-00-00-00\n"                                                                 \
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t"     \
    "orig_bytes\tresp_bytes\tconn_state\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\t"        \
    "resp_pkts\tresp_ip_bytes\n"                                                                   \
    "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\t" \
    "count\tstring\tcount\tcount\tcount\tcount\n"

static inline void read_bed_init(struct read_bed *b)
{
    *b = (struct read_bed){.result = 0};
    (void)snprintf(b->folder, sizeof b->folder, "/tmp/cloudspan-read.XXXXXX");
    assert_non_null(mkdtemp(b->folder));
}

static inline int read_bed_remove(const char *path, const struct stat *st, int kind,
                                  struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void read_bed_forget(struct read_bed *b)
{
    free(b->text);
    free(b->files);
    free(b->said);
    b->text = b->files = b->said = NULL;
}

static inline void read_bed_done(struct read_bed *b)
{
    read_bed_forget(b);
    hunt_marks_free(b->marks, b->n_marks);
    (void)nftw(b->folder, read_bed_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *read_bed_path(const struct read_bed *b, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", b->folder, name);
    return out;
}

/* The folders of the name are made. `age`: seconds since it was written to. */
static inline void read_bed_put(const struct read_bed *b, const char *name, const char *mode,
                                const char *text, size_t size, int64_t age)
{
    char path[256];
    read_bed_path(b, name, path);
    for (char *at = path + strlen(b->folder) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= age;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static inline void read_bed_write(const struct read_bed *b, const char *name, const char *text)
{
    read_bed_put(b, name, "w", text, strlen(text), 7200);
}

static inline void read_bed_add(const struct read_bed *b, const char *name, const char *text)
{
    read_bed_put(b, name, "a", text, strlen(text), 3600);
}

/* Packed where the build can; appended, so that there are several members. */
static inline void read_bed_pack(const struct read_bed *b, const char *name, const char *text)
{
    char from[256], to[256];
    read_bed_write(b, "unpacked", text);
    int in = open(read_bed_path(b, "unpacked", from), O_RDONLY);
    int out = open(read_bed_path(b, name, to), O_WRONLY | O_CREAT | O_APPEND, 0644);
    assert_true(in >= 0 && out >= 0);
    assert_int_equal(log_pack(in, out, NULL), 0);
    close(in);
    close(out);
    assert_int_equal(remove(from), 0);
}

static inline void read_bed_str(FILE *out, const char *name, struct str s)
{
    if (s.at)
        fprintf(out, " %s=%.*s", name, (int)s.len, s.at);
}

static inline void read_bed_number(FILE *out, const char *name, int64_t number)
{
    if (number != HUNT_UNSET)
        fprintf(out, " %s=%lld", name, (long long)number);
}

/* Every member that a record of its log can have. */
static inline void read_bed_print(FILE *out, const struct hunt_record *r)
{
    char a[ADDR_TEXT_MAX];
    fprintf(out, "%s %lld.%09lld", hunt_log_name(r->log), (long long)(r->ts / 1000000000),
            (long long)(r->ts % 1000000000));
    if (r->uid)
        fprintf(out, " uid=%04llx", (unsigned long long)(r->uid >> 48));
    if (r->has_ends) {
        size_t n = addr_format(&r->orig.addr, a);
        fprintf(out, " %.*s:%u", (int)n, a, r->orig_port);
        n = addr_format(&r->resp.addr, a);
        fprintf(out, ">%.*s:%u/%u", (int)n, a, r->resp_port, r->proto);
    }
    if (r->orig.network || r->resp.network)
        fprintf(out, " networks=%d,%d", r->orig.network != 0, r->resp.network != 0);
    read_bed_str(out, "network", r->network);
    read_bed_str(out, "machine", r->machine);
    switch (r->log) {
    case HUNT_CONN:
    case HUNT_OPEN_CONN:
        read_bed_str(out, "service", r->conn.service);
        read_bed_number(out, "duration", r->conn.duration);
        read_bed_number(out, "orig_bytes", r->conn.orig_bytes);
        read_bed_number(out, "resp_bytes", r->conn.resp_bytes);
        read_bed_number(out, "orig_pkts", r->conn.orig_pkts);
        read_bed_number(out, "resp_pkts", r->conn.resp_pkts);
        read_bed_number(out, "orig_ip_bytes", r->conn.orig_ip_bytes);
        read_bed_number(out, "resp_ip_bytes", r->conn.resp_ip_bytes);
        read_bed_number(out, "missed", r->conn.missed_bytes);
        read_bed_str(out, "history", r->conn.history);
        fprintf(out, " state=%d", (int)r->conn.state);
        break;
    case HUNT_HTTP:
    case HUNT_OPEN_HTTP:
        read_bed_str(out, "method", r->http.method);
        read_bed_str(out, "host", r->http.host);
        read_bed_str(out, "uri", r->http.uri);
        read_bed_str(out, "agent", r->http.user_agent);
        read_bed_str(out, "referrer", r->http.referrer);
        read_bed_str(out, "version", r->http.version);
        read_bed_str(out, "mime", r->http.resp_mime);
        read_bed_number(out, "status", r->http.status);
        read_bed_number(out, "depth", r->http.trans_depth);
        read_bed_number(out, "request", r->http.request_size);
        read_bed_number(out, "response", r->http.response_size);
        break;
    case HUNT_SSL:
    case HUNT_OPEN_SSL:
    case HUNT_QUIC:
        read_bed_str(out, "version", r->ssl.version);
        read_bed_str(out, "cipher", r->ssl.cipher);
        read_bed_str(out, "name", r->ssl.server_name);
        read_bed_str(out, "ja3", r->ssl.ja3);
        read_bed_str(out, "ja3s", r->ssl.ja3s);
        read_bed_str(out, "ja4", r->ssl.ja4);
        read_bed_str(out, "next", r->ssl.next_protocol);
        read_bed_str(out, "subject", r->ssl.subject);
        read_bed_str(out, "issuer", r->ssl.issuer);
        read_bed_str(out, "validation", r->ssl.validation);
        read_bed_str(out, "alert", r->ssl.last_alert);
        read_bed_str(out, "chain", r->ssl.cert_chain);
        fprintf(out, "%s%s", r->ssl.established ? " established" : "",
                r->ssl.resumed ? " resumed" : "");
        break;
    case HUNT_DNS:
        read_bed_str(out, "query", r->dns.query);
        read_bed_str(out, "answers", r->dns.answers);
        read_bed_str(out, "type", r->dns.qtype_name);
        read_bed_str(out, "code", r->dns.rcode_name);
        read_bed_number(out, "qtype", r->dns.qtype);
        read_bed_number(out, "rcode", r->dns.rcode);
        fprintf(out, " n=%u%s%s%s%s", r->dns.n_answers, r->dns.rejected ? " rejected" : "",
                r->dns.aa ? " aa" : "", r->dns.rd ? " rd" : "", r->dns.ra ? " ra" : "");
        break;
    case HUNT_SSH:
        read_bed_str(out, "client", r->ssh.client);
        read_bed_str(out, "server", r->ssh.server);
        read_bed_str(out, "hassh", r->ssh.hassh);
        read_bed_str(out, "hassh_server", r->ssh.hassh_server);
        read_bed_number(out, "success", r->ssh.auth_success);
        read_bed_number(out, "attempts", r->ssh.auth_attempts);
        break;
    case HUNT_SMTP:
        read_bed_str(out, "reply", r->smtp.last_reply);
        break;
    case HUNT_TUNNEL:
        read_bed_str(out, "type", r->tunnel.type);
        read_bed_str(out, "action", r->tunnel.action);
        break;
    case HUNT_X509:
        read_bed_str(out, "print", r->x509.fingerprint);
        read_bed_str(out, "subject", r->x509.subject);
        read_bed_str(out, "issuer", r->x509.issuer);
        read_bed_str(out, "san", r->x509.san);
        read_bed_number(out, "from", r->x509.not_before);
        read_bed_number(out, "to", r->x509.not_after);
        read_bed_str(out, "key", r->x509.key_type);
        read_bed_number(out, "bits", r->x509.key_length);
        break;
    case HUNT_NOTICE:
        read_bed_str(out, "note", r->notice.note);
        read_bed_str(out, "msg", r->notice.msg);
        read_bed_str(out, "sub", r->notice.sub);
        break;
    case HUNT_CAPTURE_LOSS:
        fprintf(out, " lost=%.3f", r->capture_loss.percent_lost);
        break;
    case HUNT_N_LOGS:
        break;
    }
    fputc('\n', out);
}

static inline void read_bed_records(void *with, const struct hunt_record *records, size_t n)
{
    struct read_bed *b = with;
    for (size_t i = 0; i < n; i++)
        read_bed_print(b->text_out, &records[i]);
    b->n += n;
    if (b->stop_after && b->n >= b->stop_after)
        b->stop = 1;
}

static inline void read_bed_file(void *with, const char *path)
{
    struct read_bed *b = with;
    bool inside = strncmp(path, b->folder, strlen(b->folder)) == 0;
    fprintf(b->files_out, "%s\n", inside ? path + strlen(b->folder) + 1 : path);
}

static inline void read_bed_say(void *with, const char *text)
{
    struct read_bed *b = with;
    fprintf(b->said_out, "%s\n", text);
}

/* Reads the folder, with the marks that were left by the run before. */
static inline void read_bed_run(struct read_bed *b)
{
    const char *folder = b->folder;
    struct hunt_reading reading = b->reading;
    struct hunt_mark *marks = NULL;
    size_t n_marks = 0, size;
    read_bed_forget(b);
    b->text_out = open_memstream(&b->text, &b->size);
    b->files_out = open_memstream(&b->files, &size);
    b->said_out = open_memstream(&b->said, &size);
    if (!reading.paths) {
        reading.paths = &folder;
        reading.n_paths = 1;
    }
    reading.with = b;
    reading.records = read_bed_records;
    reading.file = read_bed_file;
    reading.say = read_bed_say;
    reading.stop = &b->stop;
    reading.marks = b->marks;
    reading.n_marks = b->n_marks;
    b->stop = 0;
    b->n = 0;
    b->counts = (struct hunt_read_counts){0};
    b->result = hunt_read(&reading, &b->counts, &marks, &n_marks, &b->err);
    if (b->result == 0 || b->result == -EINTR) {
        hunt_marks_free(b->marks, b->n_marks);
        b->marks = marks;
        b->n_marks = n_marks;
    }
    fclose(b->text_out);
    fclose(b->files_out);
    fclose(b->said_out);
}

/* As if no run had been before. */
static inline void read_bed_run_anew(struct read_bed *b)
{
    hunt_marks_free(b->marks, b->n_marks);
    b->marks = NULL;
    b->n_marks = 0;
    read_bed_run(b);
}

/* One line of conn, of READ_BED_CONN's columns. */
static inline void read_bed_conn(FILE *out, int64_t ts, unsigned number)
{
    fprintf(out,
            "%lld.%06u\tC%08x\t10.0.%u.%u\t%u\t192.0.2.%u\t443\ttcp\tssl\t1.500000\t%u\t%u\tSF\t0\t"
            "ShADadFf\t5\t700\t6\t800\n",
            (long long)ts, number % 1000000, number, number >> 8 & 255, number & 255,
            1024 + number % 60000, number % 200, number, number * 3);
}

/* A log with so many of them; the caller frees it. */
static inline char *read_bed_many(unsigned first, unsigned n, bool header)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (header)
        fputs(READ_BED_CONN, out);
    for (unsigned i = first; i < first + n; i++)
        read_bed_conn(out, 1714521600 + i, i);
    fclose(out);
    return text;
}

#endif
