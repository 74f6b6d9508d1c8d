/*
 * Makes a folder of logs as Zeek writes them, for measuring `cloudspan hunt`:
 *
 *   bench-hunt-logs --out DIR [--lines N] [--seed S] [--format tsv|json] [--gzip] [--days D]
 *                   [--beacons N] [--hosts N]
 *
 * N lines of conn, and what belongs to them of dns (38 of 100 connections), ssl (34) and http (6);
 * by the hour in DIR/2024-05-01/, more by day than by night. 1500 internal machines talk with some
 * of 60,000 servers each, the more popular ones more often, and with servers inside (17 of 100); 5
 * of 100 connections are for servers that are gone. Of 10 million lines that makes some 300,000
 * pairs of addresses. Among them, each from a machine of its own to a name of its own, beacons of
 * 60 s and 20 % jitter. The same options make the same bytes (gzip's apart).
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EPOCH_US      INT64_C(1714521600000000) /* 2024-05-01 */
#define HOUR_US       INT64_C(3600000000)
#define N_SERVERS     60000
#define BUFFER        (1u << 20)
#define LINE_MAX_SIZE 2048

enum log { CONN, DNS, SSL, HTTP, N_LOGS };
static const char *const names[N_LOGS] = {"conn", "dns", "ssl", "http"};

static const char *const fields[N_LOGS] = {
    [CONN] = "proto service duration orig_bytes resp_bytes conn_state local_orig local_resp "
             "missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents "
             "ip_proto",
    [DNS] =
        "proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC RD "
        "RA Z answers TTLs rejected",
    [SSL] = "version cipher curve server_name resumed last_alert next_protocol established "
            "ssl_history cert_chain_fps client_cert_chain_fps sni_matches_cert",
    [HTTP] = "trans_depth method host uri referrer version user_agent origin request_body_len "
             "response_body_len status_code status_msg info_code info_msg tags username password "
             "proxied orig_fuids orig_filenames orig_mime_types resp_fuids resp_filenames "
             "resp_mime_types",
};

struct out {
    FILE *file;
    char *at; /* in the buffer of this line */
    char line[LINE_MAX_SIZE];
    bool first;
    const char *column; /* of `fields`, the next one */
};

static struct {
    const char *dir;
    uint64_t n_lines, seed;
    bool json, gzip;
    int days, n_beacons;
    uint32_t n_hosts;
} want = {.n_lines = 1000000, .seed = 1, .days = 1, .n_beacons = 10, .n_hosts = 1500};

static struct out outs[N_LOGS];
static uint64_t state;

static void fail(const char *what)
{
    fprintf(stderr, "bench-hunt-logs: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t chance(void)
{
    return mix(state++);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)((chance() >> 32) * n >> 32);
}

/* ---- one value after the other ---- */

static char *put_text(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static char *put_count(char *at, uint64_t value)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        *at++ = digits[--n];
    return at;
}

static char *put_us(char *at, int64_t us)
{
    at = put_count(at, (uint64_t)us / 1000000);
    *at++ = '.';
    for (int64_t unit = 100000, left = us % 1000000; unit; unit /= 10) {
        *at++ = (char)('0' + left / unit);
        left %= unit;
    }
    return at;
}

static char *put_addr(char *at, uint32_t addr)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        at = put_count(at, addr >> shift & 255);
        if (shift)
            *at++ = '.';
    }
    return at;
}

/* What stands before the next value: a tab, or the name of the column. */
static void begin(struct out *o, const char *name)
{
    if (!want.json) {
        if (!o->first)
            *o->at++ = '\t';
        o->first = false;
        return;
    }
    *o->at++ = o->first ? '{' : ',';
    o->first = false;
    *o->at++ = '"';
    o->at = put_text(o->at, name);
    *o->at++ = '"';
    *o->at++ = ':';
}

static void next_column(struct out *o, char name[64])
{
    size_t n = strcspn(o->column, " ");
    memcpy(name, o->column, n);
    name[n] = '\0';
    o->column += n + (o->column[n] == ' ');
}

static void put_unset(struct out *o)
{
    char name[64];
    next_column(o, name);
    if (!want.json) {
        begin(o, name);
        *o->at++ = '-';
    }
}

static void put_string(struct out *o, const char *text)
{
    char name[64];
    next_column(o, name);
    begin(o, name);
    if (want.json)
        *o->at++ = '"';
    o->at = put_text(o->at, text);
    if (want.json)
        *o->at++ = '"';
}

static void put_list(struct out *o, const char *text)
{
    char name[64];
    next_column(o, name);
    begin(o, name);
    if (want.json)
        o->at = put_text(o->at, "[\"");
    o->at = put_text(o->at, text);
    if (want.json)
        o->at = put_text(o->at, "\"]");
}

static void put_number(struct out *o, uint64_t value)
{
    char name[64];
    next_column(o, name);
    begin(o, name);
    o->at = put_count(o->at, value);
}

static void put_interval(struct out *o, int64_t us, bool in_list)
{
    char name[64];
    next_column(o, name);
    begin(o, name);
    if (in_list && want.json)
        *o->at++ = '[';
    o->at = put_us(o->at, us);
    if (in_list && want.json)
        *o->at++ = ']';
}

static void put_bool(struct out *o, bool value)
{
    char name[64];
    next_column(o, name);
    begin(o, name);
    if (want.json)
        o->at = put_text(o->at, value ? "true" : "false");
    else
        *o->at++ = value ? 'T' : 'F';
}

struct connection {
    int64_t at, duration; /* us */
    uint64_t id;
    uint32_t orig, resp;
    uint16_t orig_port, resp_port;
    bool udp, failed;
    enum log service; /* CONN: none */
    uint32_t server;
    uint64_t up, down;
    const char *name;
};

static void put_uid(char out[20], uint64_t id)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t a = mix(id * 2), b = mix(id * 2 + 1);
    out[0] = 'C';
    for (int i = 1; i < 18; i++) {
        uint64_t *from = i < 9 ? &a : &b;
        out[i] = letters[*from % 62];
        *from /= 62;
    }
    out[18] = '\0';
}

static void put_ends(struct out *o, const char *uid, const struct connection *c)
{
    o->at = o->line;
    o->first = true;
    begin(o, "ts");
    o->at = put_us(o->at, c->at);
    begin(o, "uid");
    if (want.json)
        *o->at++ = '"';
    o->at = put_text(o->at, uid);
    if (want.json)
        *o->at++ = '"';
    for (int end = 0; end < 2; end++) {
        begin(o, end ? "id.resp_h" : "id.orig_h");
        if (want.json)
            *o->at++ = '"';
        o->at = put_addr(o->at, end ? c->resp : c->orig);
        if (want.json)
            *o->at++ = '"';
        begin(o, end ? "id.resp_p" : "id.orig_p");
        o->at = put_count(o->at, end ? c->resp_port : c->orig_port);
    }
}

static void end_line(struct out *o)
{
    if (want.json)
        *o->at++ = '}';
    *o->at++ = '\n';
    if (fwrite_unlocked(o->line, 1, (size_t)(o->at - o->line), o->file) !=
        (size_t)(o->at - o->line))
        fail(want.dir);
}

static void write_conn(const struct connection *c, const char *uid)
{
    struct out *o = &outs[CONN];
    uint64_t up_pkts = 2 + c->up / 1200, down_pkts = c->failed ? 0 : 2 + c->down / 1200;
    o->column = fields[CONN];
    put_ends(o, uid, c);
    put_string(o, c->udp ? "udp" : "tcp");
    if (c->service == CONN || c->failed)
        put_unset(o);
    else
        put_string(o, names[c->service]);
    if (c->failed) {
        put_unset(o);
        put_unset(o);
        put_unset(o);
    } else {
        put_interval(o, c->duration, false);
        put_number(o, c->up);
        put_number(o, c->down);
    }
    put_string(o, c->failed ? "S0" : "SF");
    put_bool(o, true);
    put_bool(o, c->resp >> 24 == 10);
    put_number(o, 0);
    put_string(o, c->udp ? "Dd" : c->failed ? "S" : "ShADadFf");
    put_number(o, up_pkts);
    put_number(o, c->up + up_pkts * 40);
    put_number(o, down_pkts);
    put_number(o, c->failed ? 0 : c->down + down_pkts * 40);
    put_unset(o);
    put_number(o, c->udp ? 17 : 6);
    end_line(o);
}

static void write_dns(const struct connection *c, const char *uid)
{
    struct out *o = &outs[DNS];
    char answer[20];
    bool found = (c->id & 15) != 0;
    *put_addr(answer, 0x22000000u + c->server * 37u) = '\0';
    o->column = fields[DNS];
    put_ends(o, uid, c);
    put_string(o, "udp");
    put_number(o, c->id & 0xffff);
    put_interval(o, c->duration, false);
    put_string(o, c->name);
    put_number(o, 1);
    put_string(o, "C_INTERNET");
    put_number(o, c->id & 1 ? 28 : 1);
    put_string(o, c->id & 1 ? "AAAA" : "A");
    put_number(o, found ? 0 : 3);
    put_string(o, found ? "NOERROR" : "NXDOMAIN");
    put_bool(o, false);
    put_bool(o, false);
    put_bool(o, true);
    put_bool(o, true);
    put_number(o, 0);
    if (found) {
        put_list(o, answer);
        put_interval(o, INT64_C(300000000), true);
    } else {
        put_unset(o);
        put_unset(o);
    }
    put_bool(o, false);
    end_line(o);
}

static void write_ssl(const struct connection *c, const char *uid)
{
    static const char hex[] = "0123456789abcdef";
    struct out *o = &outs[SSL];
    char print[65];
    for (int i = 0; i < 64; i++)
        print[i] = hex[mix(c->server * 4u + (unsigned)i / 16) >> i % 16 * 4 & 15];
    print[64] = '\0';
    bool new = c->id & 3;
    o->column = fields[SSL];
    put_ends(o, uid, c);
    put_string(o, new ? "TLSv13" : "TLSv12");
    put_string(o, new ? "TLS_AES_128_GCM_SHA256" : "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    put_string(o, "x25519");
    put_string(o, c->name);
    put_bool(o, c->id & 4);
    put_unset(o);
    put_string(o, "h2");
    put_bool(o, true);
    put_string(o, "CsxkrnXGIi");
    if (new) {
        put_unset(o);
        put_unset(o);
        put_unset(o);
    } else {
        put_list(o, print);
        put_unset(o);
        put_bool(o, true);
    }
    end_line(o);
}

static void write_http(const struct connection *c, const char *uid)
{
    struct out *o = &outs[HTTP];
    char uri[64];
    snprintf(uri, sizeof uri, "/api/v%u/items/%u.json?page=%u", (unsigned)c->server % 3,
             (unsigned)(c->id & 0xfff), (unsigned)(c->id & 7));
    o->column = fields[HTTP];
    put_ends(o, uid, c);
    put_number(o, 1);
    put_string(o, c->id & 7 ? "GET" : "POST");
    put_string(o, c->name);
    put_string(o, uri);
    put_unset(o);
    put_string(o, "1.1");
    put_string(o, c->orig & 1 ? "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/115.0"
                              : "curl/7.88.1");
    put_unset(o);
    put_number(o, c->id & 7 ? 0 : c->up);
    put_number(o, c->down);
    put_number(o, 200);
    put_string(o, "OK");
    for (int i = 0; i < 2; i++)
        put_unset(o);
    if (want.json)
        put_unset(o);
    else
        put_string(o, "(empty)");
    for (int i = 0; i < 8; i++)
        put_unset(o);
    put_list(o, "application/json");
    end_line(o);
}

static void write_all(struct connection *c)
{
    char uid[20];
    put_uid(uid, c->id);
    write_conn(c, uid);
    if (c->failed)
        return;
    if (c->service == DNS)
        write_dns(c, uid);
    else if (c->service == SSL)
        write_ssl(c, uid);
    else if (c->service == HTTP)
        write_http(c, uid);
}

/* ---- the traffic ---- */

static uint32_t addr_of_server(uint32_t server)
{
    return 0x22000000u + server * 37u;
}

static void name_of_server(uint32_t server, uint32_t machine, char out[64])
{
    static const char *const first[] = {"www", "api", "cdn", "img", "mail", "static", "login", "m"};
    snprintf(out, 64, "%s%u.site%u.example", first[machine & 7], machine >> 3 & 3, server);
}

/* Each machine has some 40 servers of its own, and the popular ones; seldom another. */
static uint32_t choose_server(uint32_t host)
{
    uint32_t kind = below(100);
    if (kind < 55)
        return below(1 + below(100));
    if (kind < 99)
        return (uint32_t)(mix(host * 64u + below(40)) % N_SERVERS);
    return below(N_SERVERS);
}

static void ordinary(int64_t at, uint64_t id)
{
    char name[64];
    uint32_t host = below(want.n_hosts), kind = below(100);
    struct connection c = {.at = at, .id = id, .orig = 0x0a000002u + host * 3u, .name = name};
    c.server = choose_server(host);
    c.resp = addr_of_server(c.server);
    c.orig_port = (uint16_t)(32768 + below(28000));
    c.failed = false;
    c.up = 200 + below(1500);
    c.down = below(10) ? 500 + below(20000) : 20000 + below(2000000);
    c.duration = 20000 + below(1000) * (int64_t)below(60000);
    name_of_server(c.server, (uint32_t)mix(c.server + below(3)), name);
    if (kind < 38) {
        c.service = DNS;
        c.udp = true;
        c.resp = 0x0a000001u;
        c.resp_port = 53;
        c.up = 30 + below(40);
        c.down = 60 + below(200);
        c.duration = 500 + below(80000);
    } else if (kind < 72) {
        c.service = SSL;
        c.resp_port = 443;
    } else if (kind < 78) {
        c.service = HTTP;
        c.resp_port = 80;
    } else if (kind < 95) {
        static const uint16_t ports[] = {445, 389, 88, 5432, 22};
        uint32_t server = below(40);
        c.resp = 0x0a000002u + server * 3u;
        c.resp_port = ports[server % 5];
    } else {
        c.failed = true;
        c.resp = addr_of_server((uint32_t)(mix(host * 4u + below(3)) % N_SERVERS));
        c.resp_port = 8443;
        c.up = 0;
    }
    write_all(&c);
}

static void beacon(int64_t at, uint64_t id, int number)
{
    char name[64];
    struct connection c = {.at = at, .id = id, .service = SSL, .resp_port = 443, .name = name};
    c.orig = 0x0a000002u + (uint32_t)number * 3u;
    c.server = N_SERVERS + (uint32_t)number;
    c.resp = addr_of_server(c.server);
    c.orig_port = (uint16_t)(32768 + below(28000));
    c.up = 340;
    c.down = 120 + below(8);
    c.duration = 40000 + below(20000);
    snprintf(name, sizeof name, "implant%d.example", number);
    write_all(&c);
}

/* ---- files ---- */

static void put_header(struct out *o, enum log log)
{
    char line[2048], *at = line;
    at =
        put_text(at, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
                     "#path\t");
    at = put_text(at, names[log]);
    at = put_text(at, "\n#open\t2024-05-01-00-00-00\n"
                      "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\t");
    for (const char *c = fields[log]; *c; c++)
        *at++ = *c == ' ' ? '\t' : *c;
    *at++ = '\n';
    fwrite(line, 1, (size_t)(at - line), o->file);
}

static void path_of(char out[4096], enum log log, int day, int hour)
{
    time_t t = (time_t)(EPOCH_US / 1000000 + (int64_t)day * 86400);
    struct tm tm;
    char date[16];
    gmtime_r(&t, &tm);
    strftime(date, sizeof date, "%Y-%m-%d", &tm);
    snprintf(out, 4096, "%s/%s", want.dir, date);
    if (mkdir(out, 0755) < 0 && errno != EEXIST)
        fail(out);
    snprintf(out, 4096, "%s/%s/%s.%02d:00:00-%02d:00:00.log", want.dir, date, names[log], hour,
             (hour + 1) % 24);
}

static void open_hour(int day, int hour)
{
    char path[4096];
    for (enum log i = CONN; i < N_LOGS; i++) {
        path_of(path, i, day, hour);
        outs[i].file = fopen(path, "w");
        if (!outs[i].file)
            fail(path);
        setvbuf(outs[i].file, NULL, _IOFBF, BUFFER);
        if (!want.json)
            put_header(&outs[i], i);
    }
}

/* At most two at a time. */
static void pack(const char *path)
{
    static int running;
    if (running == 2) {
        wait(NULL);
        running--;
    }
    pid_t pid = fork();
    if (pid == 0) {
        execlp("gzip", "gzip", "-f", "-1", path, (char *)NULL);
        _exit(127);
    }
    running += pid > 0;
}

static void close_hour(int day, int hour)
{
    char path[4096];
    for (enum log i = CONN; i < N_LOGS; i++) {
        if (!want.json)
            fputs("#close\t2024-05-01-00-00-00\n", outs[i].file);
        if (fclose(outs[i].file) != 0)
            fail(want.dir);
        path_of(path, i, day, hour);
        if (want.gzip)
            pack(path);
    }
}

/* Of 1000 parts of a day. */
static uint64_t share_of_hour(int hour)
{
    static const int shares[24] = {18, 15, 14, 14, 15, 20, 30, 45, 58, 64, 66, 64,
                                   58, 62, 64, 62, 58, 52, 45, 42, 40, 38, 32, 24};
    int sum = 0;
    for (int i = 0; i < 24; i++)
        sum += shares[i];
    return (uint64_t)(shares[hour] * 1000 / sum);
}

static void make_logs(void)
{
    uint64_t id = want.seed << 40, n_beacons = (uint64_t)want.n_beacons;
    uint64_t n_periodic = n_beacons * 1440 * (uint64_t)want.days;
    uint64_t n_ordinary = want.n_lines > n_periodic ? want.n_lines - n_periodic : 0;
    uint64_t total = 0, done = 0, before = 0;
    int64_t *next = calloc(n_beacons + 1, sizeof *next);
    if (!next)
        fail("memory");
    for (int hour = 0; hour < 24; hour++)
        total += share_of_hour(hour);
    for (uint64_t b = 0; b < n_beacons; b++)
        next[b] = EPOCH_US + (int64_t)below(60000000);
    total *= (uint64_t)want.days;
    for (int i = 0; i < want.days * 24; i++) {
        int64_t at = EPOCH_US + i * HOUR_US, end = at + HOUR_US;
        before += share_of_hour(i % 24);
        uint64_t n = n_ordinary * before / total - done;
        done += n;
        open_hour(i / 24, i % 24);
        for (uint64_t k = 0; k <= n; k++) {
            int64_t now = k == n ? end : at + (int64_t)((uint64_t)HOUR_US * k / n) + below(200);
            for (uint64_t b = 0; b < n_beacons; b++)
                for (; next[b] < now; next[b] += 48000000 + (int64_t)below(24000000))
                    beacon(next[b], id++, (int)b);
            if (k < n)
                ordinary(now, id++);
        }
        close_hour(i / 24, i % 24);
    }
    free(next);
    while (wait(NULL) > 0)
        ;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'},
        {"lines", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},
        {"format", required_argument, NULL, 'f'},
        {"gzip", no_argument, NULL, 'z'},
        {"days", required_argument, NULL, 'd'},
        {"beacons", required_argument, NULL, 'b'},
        {"hosts", required_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?')
            return 2;
        if (c == 'o')
            want.dir = optarg;
        else if (c == 'f')
            want.json = strcmp(optarg, "json") == 0;
        else if (c == 'z')
            want.gzip = true;
        else if (c == 'n')
            want.n_lines = strtoull(optarg, NULL, 10);
        else if (c == 's')
            want.seed = strtoull(optarg, NULL, 10);
        else if (c == 'd')
            want.days = (int)strtol(optarg, NULL, 10);
        else if (c == 'b')
            want.n_beacons = (int)strtol(optarg, NULL, 10);
        else
            want.n_hosts = (uint32_t)strtoul(optarg, NULL, 10);
    }
    if (!want.dir || want.days < 1 || want.n_beacons < 0 || want.n_hosts < 1) {
        fprintf(stderr, "usage: bench-hunt-logs --out DIR [--lines N] [--seed S] [--days D] "
                        "[--format tsv|json] [--gzip] [--beacons N] [--hosts N]\n");
        return 2;
    }
    if (mkdir(want.dir, 0755) < 0 && errno != EEXIST)
        fail(want.dir);
    state = mix(want.seed);
    make_logs();
    return 0;
}
