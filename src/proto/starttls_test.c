/* Protocols that turn into TLS: conversations, whole and in pieces of every size, by port and by
 * content, and where exactly TLS begins. */
#include "flow/more.h"
#include "flow/weird.h"
#include "log/record_bed.h"
#include "proto/attach.h"
#include "proto/file.h"
#include "proto/starttls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_TURNS 10

struct turn {
    char side; /* 'c', 's'; 0 ends */
    struct str says;
};

struct talk {
    const char *name;
    uint16_t port;
    enum starttls_stage stage; /* in the end */
    bool is_over;              /* nothing more is looked at */
    struct turn turns[MAX_TURNS];
};

#define C(text)                                                                                    \
    {                                                                                              \
        'c', STR(text)                                                                             \
    }
#define S(text)                                                                                    \
    {                                                                                              \
        's', STR(text)                                                                             \
    }

#define LDAP_TLS                                                                                   \
    "\x30\x1d\x02\x01\x01\x77\x18\x80\x16"                                                         \
    "1.3.6.1.4.1.1466.20037"
#define LDAP_OK   "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
#define LDAP_NO   "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x35\x04\x00\x04\x00"
#define LDAP_BIND "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
#define MYSQL_HELLO                                                                                \
    "\x0d\0\0\0\x0a"                                                                               \
    "8.0.1\0\1\0\0\0"                                                                              \
    "ab"
#define MYSQL_SSL "\x20\0\0\1\x00\x08\0\0\0\0\0\1\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define MYSQL_LOGIN                                                                                \
    "\x20\0\0\1\x00\x02\0\0\0\0\0\1\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define PG_SSL      "\0\0\0\x08\x04\xd2\x16\x2f"
#define RDP_REQUEST "\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0"
#define RDP_COOKIE                                                                                 \
    "\3\0\0\x2e\x29\xe0\0\0\0\0\0"                                                                 \
    "Cookie: mstshash=user\r\n"                                                                    \
    "\1\0\x08\0\3\0\0\0"                                                                           \
    "...."
#define RDP_CONFIRM(selected) "\3\0\0\x13\x0e\xd0\0\0\x12\x34\0\2\0\x08\0" selected "\0\0\0"
#define SOCKS_REQUEST         "\5\1\0\1\x0a\0\0\1\0\x50"
#define SOCKS_REPLY           "\5\0\0\1\x0a\0\0\2\4\0"

static const struct talk talks[] = {
    {"smtp",
     25,
     STARTTLS_TLS,
     false,
     {S("220-mx.example ESMTP\r\n220 ready\r\n"), C("EHLO a\r\n"),
      S("250-mx.example\r\n250-SIZE 1\r\n250 STARTTLS\r\n"), C("starttls\r\n"), S("220 go\r\n")}},
    {"smtp, any port",
     2525,
     STARTTLS_TLS,
     false,
     {S("220 mx.example\r\n"), C("EHLO a\r\n"), S("250 ok\r\n"), C("STARTTLS\r\n"),
      S("220 go\r\n")}},
    {"smtp, another name",
     587,
     STARTTLS_TLS,
     false,
     {S("220 mx\r\n"), C("EHLO a\r\n"), S("250 ok\r\n"), C("X-ANONYMOUSTLS\r\n"), S("220\r\n")}},
    {"smtp, refused",
     25,
     STARTTLS_PLAIN,
     false,
     {S("220 mx\r\n"), C("EHLO a\r\n"), S("250 ok\r\n"), C("STARTTLS\r\n"), S("454 no\r\n")}},
    {"smtp, replies to commands before",
     25,
     STARTTLS_PLAIN,
     false,
     {S("220 mx\r\n"), C("NOOP\r\nNOOP\r\nSTARTTLS\r\n"), S("220 one\r\n220 two\r\n")}},
    {"ftp",
     21,
     STARTTLS_TLS,
     false,
     {S("220-Welcome\r\n anything\r\n220 ready\r\n"), C("FEAT\r\n"),
      S("211-Features:\r\n AUTH TLS\r\n211 End\r\n"), C("AUTH TLS\r\n"), S("234 go\r\n")}},
    {"ftp, in lines, but not TLS",
     21,
     STARTTLS_ADAT,
     true,
     {S("220 ready\r\n"), C("AUTH GSSAPI\r\n"), S("334 go\r\n"), C("ADAT YIIabcde\r\n")}},
    {"ftp, another mechanism",
     21,
     STARTTLS_PLAIN,
     false,
     {S("220 ready\r\n"), C("AUTH GSSAPI\r\n"), S("234 go\r\n")}},
    {"pop3",
     110,
     STARTTLS_TLS,
     false,
     {S("+OK ready\r\n"), C("CAPA\r\n"), S("+OK list\r\nSTLS\r\nUSER\r\n.\r\n"), C("STLS\r\n"),
      S("+OK go\r\n")}},
    {"pop3, refused",
     110,
     STARTTLS_PLAIN,
     false,
     {S("+OK ready\r\n"), C("STLS\r\n"), S("-ERR no\r\n"), C("NOOP\r\n"), S("+OK\r\n")}},
    {"imap",
     143,
     STARTTLS_TLS,
     false,
     {S("* OK ready\r\n"), C("a1 CAPABILITY\r\n"), S("* CAPABILITY STARTTLS\r\na1 OK done\r\n"),
      C("a2 starttls\r\n"), S("* 1 EXISTS\r\na2 ok go\r\n")}},
    {"imap, refused",
     143,
     STARTTLS_PLAIN,
     false,
     {S("* OK ready\r\n"), C("a2 STARTTLS\r\n"), S("a2 NO\r\n"), C("a3 NOOP\r\n"), S("a3 OK\r\n")}},
    {"imap, elsewhere",
     1143,
     STARTTLS_PLAIN,
     false,
     {S("* OK ready\r\n"), C("a2 STARTTLS\r\n"), S("a2 OK\r\n")}},
    {"xmpp",
     5222,
     STARTTLS_TLS,
     false,
     {C("<?xml version='1.0'?><stream:stream xmlns='jabber:client'>"),
      S("<stream:features><starttls xmlns='x'/><mechanism>A</mechanism></stream:features>"),
      C("<starttls xmlns='urn:x'/>"), S("<proceed xmlns='urn:x'/>")}},
    {"xmpp, any port",
     80,
     STARTTLS_TLS,
     false,
     {C("<?xml version='1.0'?>\n<stream:stream to='a' xmlns='jabber:client'>"), S("<a>"),
      C("<starttls/>"), S("<proceed/>")}},
    {"xmpp, too late", 5269, STARTTLS_PLAIN, true, {C("<starttls/>"), S("<db:result/><proceed/>")}},
    {"ldap", 389, STARTTLS_TLS, false, {C(LDAP_TLS), S(LDAP_OK)}},
    {"ldap, any port", 1389, STARTTLS_TLS, false, {C(LDAP_TLS), S(LDAP_OK)}},
    {"ldap, refused", 389, STARTTLS_PLAIN, false, {C(LDAP_TLS), S(LDAP_NO)}},
    {"ldap, after another",
     389,
     STARTTLS_TLS,
     false,
     {C(LDAP_BIND), S("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"), C(LDAP_TLS),
      S(LDAP_OK)}},
    {"ldap, not asked for", 3268, STARTTLS_PLAIN, false, {C(LDAP_BIND), S(LDAP_OK)}},
    {"mysql", 3306, STARTTLS_TLS, false, {S(MYSQL_HELLO), C(MYSQL_SSL)}},
    {"mysql, plain", 3306, STARTTLS_PLAIN, true, {S(MYSQL_HELLO), C(MYSQL_LOGIN)}},
    {"postgresql", 5432, STARTTLS_TLS, false, {C(PG_SSL), S("S")}},
    {"postgresql, any port", 6543, STARTTLS_TLS, false, {C(PG_SSL), S("S")}},
    {"postgresql, refused", 5432, STARTTLS_PLAIN, true, {C(PG_SSL), S("N")}},
    {"rdp", 3389, STARTTLS_TLS, false, {C(RDP_REQUEST), S(RDP_CONFIRM("\2"))}},
    {"rdp, any port", 3390, STARTTLS_TLS, false, {C(RDP_COOKIE), S(RDP_CONFIRM("\1"))}},
    {"rdp, its own", 3389, STARTTLS_PLAIN, true, {C(RDP_REQUEST), S(RDP_CONFIRM("\0"))}},
    {"socks 5",
     1080,
     STARTTLS_INNER,
     false,
     {C("\5\1\0"), S("\5\0"), C(SOCKS_REQUEST), S(SOCKS_REPLY)}},
    {"socks 5, any port",
     8124,
     STARTTLS_INNER,
     false,
     {C("\5\1\0"), S("\5\0"), C("\5\1\0\3\3abc\0\x50"), S(SOCKS_REPLY)}},
    {"socks 5 with a password",
     1080,
     STARTTLS_INNER,
     false,
     {C("\5\2\0\2"), S("\5\2"), C("\1\4user\4pass"), S("\1\0"), C(SOCKS_REQUEST), S(SOCKS_REPLY)}},
    {"socks 4", 1080, STARTTLS_PLAIN, true, {C("\4\1\0\x50\1\2\3\4me\0"), S("\0\x5a\0\0\0\0\0\0")}},
    {"something else", 1080, STARTTLS_PLAIN, true, {C("GET / HTTP/1.0\r\n\r\n")}},
};

/* ---- a connection ---- */

struct bed {
    struct log_bed logs;
    struct flow_context context;
    struct flow flow;
};

static void bed_open(struct bed *b, uint16_t port)
{
    memset(b, 0, sizeof *b);
    log_bed_open(&b->logs, LOG_FORMAT_TSV, NULL, 0);
    b->context = (struct flow_context){
        .now = 1000,
        .clock = 1000,
        .log = b->logs.writer,
        .pool = pool_new(8u << 20),
        .weirds = weird_memory_new(),
    };
    b->flow = (struct flow){.port = {4000, port}, .proto = FLOW_TCP};
    b->flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    b->flow.addr[1] = addr_v4((const uint8_t[]){192, 0, 2, 80});
}

static void bed_close(struct bed *b)
{
    attach_ops.end(&b->context, &b->flow);
    flow_more_free(&b->context, &b->flow);
    file_memory_end(&b->context);
    assert_int_equal(pool_used(b->context.pool), 0);
    log_bed_close(&b->logs);
    static const char *const names[] = {"ssl", "http", "files", "weird", "x509"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s.log", b->logs.folder, names[i]);
        unlink(path);
    }
    rmdir(b->logs.folder);
    weird_memory_free(b->context.weirds);
    pool_free(b->context.pool);
}

/* From a block of its exact size, so that a byte too far is seen. */
static void say(struct bed *b, int dir, struct str text, size_t piece)
{
    for (size_t at = 0; at < text.len; at += piece) {
        size_t n = text.len - at < piece ? text.len - at : piece;
        uint8_t *exact = malloc(n);
        memcpy(exact, text.at + at, n);
        attach_ops.data(&b->context, &b->flow, dir, exact, n);
        free(exact);
    }
}

static struct analysis *find(const struct bed *b, const struct analyzer *analyzer)
{
    struct analysis *a = more_of(&b->flow) ? more_of(&b->flow)->analyses : NULL;
    while (a && a->analyzer != analyzer)
        a = a->next;
    return a;
}

static bool has_service(const struct bed *b, const char *name)
{
    const struct flow_more *more = more_of(&b->flow);
    for (unsigned i = 0; more && i < more->n_services; i++)
        if (strcmp(more->services[i], name) == 0)
            return true;
    return false;
}

/* ---- tests ---- */

/* TLS must begin at the very next byte: the analyzer of TLS would refuse anything else. */
static void check_tls(struct bed *b, const struct talk *talk)
{
    struct analysis *tls = find(b, &analyzer_ssl);
    assert_non_null(tls);
    say(b, FLOW_ORIG, STR("\x16\x03\x01\x01\x00\x01"), 2);
    say(b, FLOW_RESP, STR("\x16\x03\x03\x01\x00\x02"), 6);
    if (tls->failed || tls->finished)
        fail_msg("%s: TLS does not begin where it should", talk->name);
    say(b, FLOW_ORIG, STR("this is no record of TLS"), 24);
    attach_ops.gap(&b->context, &b->flow, FLOW_RESP, 5);
}

static void check_inner(struct bed *b, const struct talk *talk)
{
    say(b, FLOW_ORIG, STR("GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"), 10);
    say(b, FLOW_RESP, STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), 64);
    if (!has_service(b, "http"))
        fail_msg("%s: HTTP is not found", talk->name);
}

static void check(const struct talk *talk, size_t piece)
{
    struct bed b;
    bed_open(&b, talk->port);
    for (size_t i = 0; i < MAX_TURNS && talk->turns[i].side; i++)
        say(&b, talk->turns[i].side == 's', talk->turns[i].says, piece);
    struct analysis *a = find(&b, &analyzer_starttls);
    if (a) {
        if (starttls_of(a)->stage != talk->stage || a->finished != talk->is_over)
            fail_msg("%s in pieces of %zu: stage %d%s", talk->name, piece,
                     (int)starttls_of(a)->stage, a->finished ? ", over" : "");
    } else {
        assert_int_equal(talk->stage, STARTTLS_PLAIN);
    }
    if (talk->stage == STARTTLS_TLS)
        check_tls(&b, talk);
    if (talk->stage == STARTTLS_INNER)
        check_inner(&b, talk);
    assert_false(has_service(&b, "starttls"));
    bed_close(&b);
}

static void test_talks(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 7, 50, 4096};
    for (size_t i = 0; i < sizeof talks / sizeof *talks; i++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            check(&talks[i], sizes[s]);
}

/* Every conversation cut short, or with bytes missing, ends well. */
static void test_prefixes(void **state)
{
    for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) {
        for (size_t n = 0; n < MAX_TURNS && talks[i].turns[n].side; n++) {
            struct bed b;
            bed_open(&b, talks[i].port);
            for (size_t k = 0; k < n; k++)
                say(&b, talks[i].turns[k].side == 's', talks[i].turns[k].says, 4096);
            say(&b, talks[i].turns[n].side == 's', str_upto(talks[i].turns[n].says, n + 3), 2);
            attach_ops.gap(&b.context, &b.flow, FLOW_ORIG, 10);
            say(&b, FLOW_ORIG, STR("more\r\n"), 6);
            bed_close(&b);
        }
    }
}

/* A client hello of 7 bytes and half a reply; the server's last word ends it. */
static void test_tls_in_lines(void **state)
{
    for (size_t piece = 1; piece < 40; piece += 6) {
        struct bed b;
        bed_open(&b, 2811);
        say(&b, FLOW_RESP, STR("220 grid\r\n"), piece);
        say(&b, FLOW_ORIG, STR("AUTH GSSAPI\r\n"), piece);
        say(&b, FLOW_RESP, STR("334 go\r\n"), piece);
        say(&b, FLOW_ORIG, STR("ADAT FgMBAAIBAA==\r\n"), piece);
        struct analysis *a = find(&b, &analyzer_starttls), *tls = find(&b, &analyzer_ssl);
        assert_non_null(tls);
        say(&b, FLOW_RESP, STR("335 ADAT=FgMBAAMC\r\n"), piece);
        assert_false(a->finished || tls->finished);
        say(&b, FLOW_RESP, STR("235 ADAT=AAA=\r\n"), piece);
        assert_true(a->finished && tls->finished);
        assert_false(tls->failed);
        bed_close(&b);
    }
}

static void test_rest_of_a_piece_is_tls(void **state)
{
    struct bed b;
    bed_open(&b, 5432);
    say(&b, FLOW_ORIG, STR(PG_SSL), 8);
    say(&b, FLOW_RESP, STR("S\x16\x03\x03\x01\x00"), 6);
    struct analysis *tls = find(&b, &analyzer_ssl);
    assert_non_null(tls);
    assert_false(tls->failed);
    bed_close(&b);
}

static void test_gives_up(void **state)
{
    struct bed b;
    bed_open(&b, 25);
    say(&b, FLOW_RESP, STR("220 mx\r\n"), 100);
    struct analysis *a = find(&b, &analyzer_starttls);
    assert_non_null(a);
    for (int i = 0; i < 1000 && !a->finished; i++)
        say(&b, FLOW_ORIG, STR("NOOP, and more of it, and no end of the line"), 100);
    assert_true(a->finished);
    bed_close(&b);
}

static void test_partial_connections_are_left_alone(void **state)
{
    struct bed b;
    bed_open(&b, 5432);
    b.flow.partial = 1;
    say(&b, FLOW_ORIG, STR(PG_SSL), 8);
    say(&b, FLOW_RESP, STR("S"), 1);
    assert_null(find(&b, &analyzer_ssl));
    bed_close(&b);
}

static void test_unknown_content_in_a_proxy(void **state)
{
    struct bed b;
    bed_open(&b, 1080);
    say(&b, FLOW_ORIG, STR("\5\1\0"), 3);
    say(&b, FLOW_RESP, STR("\5\0"), 2);
    say(&b, FLOW_ORIG, STR(SOCKS_REQUEST), 10);
    say(&b, FLOW_RESP, STR(SOCKS_REPLY), 10);
    struct analysis *a = find(&b, &analyzer_starttls);
    for (int i = 0; i < 400 && !a->finished; i++)
        say(&b, FLOW_ORIG, STR("\xff\xfe nothing that is known"), 30);
    assert_true(a->finished);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talks),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_tls_in_lines),
        cmocka_unit_test(test_rest_of_a_piece_is_tls),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_partial_connections_are_left_alone),
        cmocka_unit_test(test_unknown_content_in_a_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
