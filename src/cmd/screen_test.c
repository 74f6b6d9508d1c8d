/* Pictures of the live view: whole screens of several sizes, and what holds for every one: no line
 * is wider than the screen, nothing from a name drives the terminal. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "cmd/machines.h"
#include "cmd/plain.h"
#include "cmd/screen.h"
#include "sensor/snapshot_bed.h"

static struct screen_options options_of(unsigned rows, unsigned columns)
{
    return (struct screen_options){.rows = rows, .columns = columns, .utf8 = true, .utc = true};
}

/* Draws, and checks what is so for each picture; colours count no columns. Gives the picture. */
static char *draw(const struct screen_options *options, const struct snapshot *s, size_t *out_page)
{
    struct text text;
    size_t scroll, size;
    unsigned n_lines = 0;
    text_init(&text, 1u << 20);
    screen_draw(options, s, &text, &scroll, out_page);
    char *page = text_take(&text, &size);
    assert_non_null(page);
    for (const char *at = page; *at; at++, n_lines++) {
        unsigned columns = 0;
        while (*at != '\n') {
            uint32_t code;
            size_t n = text_utf8(at, strlen(at), &code);
            assert_true(n > 0);
            if (code == 0x1b) {
                assert_true(options->color);
                assert_int_equal(at[1], '[');
                at += 2 + strspn(at + 2, "0123456789;");
                assert_int_equal(*at++, 'm');
                continue;
            }
            assert_true(code >= 0x20 && (code < 0x7f || code >= 0xa0));
            assert_true(code != 0x202e && code != 0x200b);
            columns += code >= 0x3000 && code < 0xe000 ? 2 : 1;
            at += n;
        }
        if (columns > options->columns)
            fail_msg("line %u has %u columns of %u", n_lines, columns, options->columns);
        if (options->padded)
            assert_int_equal(columns, options->columns);
    }
    assert_true(n_lines <= options->rows);
    if (options->padded)
        assert_int_equal(n_lines, options->rows);
    return page;
}

static void expect(const struct screen_options *options, const struct snapshot *s,
                   const char *expected)
{
    size_t n;
    char *page = draw(options, s, &n);
    assert_string_equal(page, expected);
    free(page);
}

static void test_usual(void **state)
{
    (void)state;
    struct snapshot s;
    struct screen_options options = options_of(24, 80);
    bed_snapshot(&s);
    expect(&options, &s,
           "cloudspan 0.1.0   sensor-1                             up 4m12s   q quit  ? help\n"
           "1.24 Gb/s   182 kpps   loss 0.00 %   12.3k connections   memory 12 %\n"
           "3 sources: 1 SILENT, 1 ONE-SIDED, 1 ok   1 sender refused\n"
           "1.23M log lines in /var/log/cloudspan/current\n"
           "\n"
           "SOURCE ENCAP  ID IN b/s OUT b/s   PPS DUP%  LAST STATE     REASON\n"
           "old-7  vxlan 103      0       0     0  0.0 4m03s SILENT\n"
           "  usually 12 Mb/s; no packet and no canary for 4m03s\n"
           "db-1   vxlan 102   410M       0 88.0k 12.5  0.2s ONE-SIDED\n"
           "  what it sends is never seen: is egress mirrored, too?\n"
           "web-1  vxlan 101   410M    213M 88.0k 12.5  0.2s ok\n"
           "\n\n\n\n\n\n"
           "refused   vxlan 77 from 10.9.8.7  312 packets  admit: - name: NAME   channels: …\n"
           "lost      decode truncated 14, ring full 3\n"
           "left out  policy copies 23.5k, policy refused 312\n"
           "findings  critical  db-1 → evil.example  beacon: every 10 s, 24 check-ins\n"
           "          medium    10.1.2.3  scan: port 22 of 40 hosts in 2 min\n"
           "alarms    03:08:42  old-7 is SILENT: usually 12 Mb/s; no packet for 30s\n"
           "          03:08:35  web-1 is ok again\n");
    snapshot_done(&s);
}

static void test_wide(void **state)
{
    (void)state;
    struct snapshot s;
    struct screen_options options = options_of(43, 132);
    bed_snapshot(&s);
    expect(&options, &s,
           "cloudspan 0.1.0   sensor-1                                                             "
           "                    up 4m12s   q quit  ? help\n"
           "1.24 Gb/s   182 kpps   loss 0.00 %   12.3k connections   memory 12 %\n"
           "3 sources: 1 SILENT, 1 ONE-SIDED, 1 ok   1 sender refused\n"
           "1.23M log lines in /var/log/cloudspan/current\n"
           "\n"
           "SOURCE  ENCAP   ID  FROM       IN b/s  OUT b/s    PPS  DUP%   LAST  STATE      REASON\n"
           "old-7   vxlan  103  10.0.9.4        0        0      0   0.0  4m03s  SILENT     usually "
           "12 Mb/s; no packet and no canary for 4m03s\n"
           "db-1    vxlan  102  10.0.2.20    410M        0  88.0k  12.5   0.2s  ONE-SIDED  what it "
           "sends is never seen: is egress mirrored, too?\n"
           "web-1   vxlan  101  10.0.1.11    410M     213M  88.0k  12.5   0.2s  ok\n"
           "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
           "refused   vxlan 77 from 10.9.8.7  312 packets  admit: - name: NAME   channels: "
           "[\"vxlan:77 from 10.9.8.7\"]\n"
           "lost      decode truncated 14, ring full 3\n"
           "left out  policy copies 23.5k, policy refused 312\n"
           "findings  critical  db-1 → evil.example  beacon: every 10 s, 24 check-ins\n"
           "          medium    10.1.2.3  scan: port 22 of 40 hosts in 2 min\n"
           "alarms    03:08:42  old-7 is SILENT: usually 12 Mb/s; no packet for 30s\n"
           "          03:08:35  web-1 is ok again\n");
    snapshot_done(&s);
}

static void test_tiny(void **state)
{
    (void)state;
    struct snapshot s;
    struct screen_options options = options_of(10, 40);
    bed_snapshot(&s);
    expect(&options, &s,
           "cloudspan 0.1.0   up 4m12s\n"
           "1.24 Gb/s   182 kpps   loss 0.00 %   12…\n"
           "3 sources: 1 SILENT, 1 ONE-SIDED, 1 ok …\n"
           "SOURCE IN b/s OUT b/s  LAST STATE\n"
           "old-7       0       0 4m03s SILENT\n"
           "db-1     410M       0  0.2s ONE-SIDED\n"
           "web-1    410M    213M  0.2s ok\n"
           "\n"
           "lost      decode truncated 14, ring ful…\n"
           "alarms    03:08:42  old-7 is SILENT: us…\n");
    snapshot_done(&s);
}

static void test_nothing_comes(void **state)
{
    (void)state;
    struct snapshot s;
    struct screen_options options = options_of(30, 80);
    bed_snapshot(&s);
    s.n_machines = s.n_alarms = s.n_drops = s.n_findings = 0;
    s.inputs[0].n_packets = 0;
    s.bits_per_second = s.packets_per_second = 0;
    expect(&options, &s,
           "cloudspan 0.1.0   sensor-1                             up 4m12s   q quit  ? help\n"
           "0 b/s   0 pps   loss 0.00 %   12.3k connections   memory 12 %\n"
           "0 sources   1 sender refused\n"
           "1.23M log lines in /var/log/cloudspan/current\n"
           "\n"
           "No packet for 4m12s. What to look at, in this order:\n"
           " 1 listens on udp 0.0.0.0:4789 vxlan: listening, 0 packets\n"
           "              udp 0.0.0.0:6081 geneve: listening, 0 packets\n"
           "              gre: refused: needs CAP_NET_RAW\n"
           " 2 refused    vxlan 77 from 10.9.8.7, 312 packets\n"
           "   admit it:  - name: NAME\n"
           "                channels: [\"vxlan:77 from 10.9.8.7\"]\n"
           " 3 mirror     is its target this host, and is it switched on?\n"
           "              does it come? tcpdump -ni any udp port 4789 or 6081 or ip proto 47\n"
           " 4 firewall   nft list ruleset; iptables -nvL INPUT\n"
           "              and the cloud's: UDP 4789 and 6081 have to be let in\n"
           " 5 MTU        the mirror adds 50 bytes (VXLAN), 54 or more (GENEVE): big\n"
           "              packets are lost where the path's is smaller; from the sender:\n"
           "              ping -M do -s 1522 HERE\n"
           " 6 route      ip route get SENDER: where the way back is another interface,\n"
           "              rp_filter drops what comes: sysctl net.ipv4.conf.all.rp_filter\n"
           "cloudspan doctor looks at these, and says how to mend what it finds.\n"
           "\n\n\n\n\n"
           "refused   vxlan 77 from 10.9.8.7  312 packets  admit: - name: NAME   channels: …\n"
           "lost      nothing\n"
           "alarms    none\n");
    /* It waits for its time. */
    size_t n;
    s.started = s.now - 29 * BED_S;
    char *page = draw(&options, &s, &n);
    assert_null(strstr(page, "No packet for"));
    free(page);
    snapshot_done(&s);
}

static void fill(struct snapshot *s, size_t n)
{
    free(s->machines);
    s->n_machines = n;
    s->machines = calloc(n, sizeof *s->machines);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "vm-%03zu", i);
        s->machines[i] = bed_machine(name, (uint32_t)(1000 + i), "10.1.2.3", HEALTH_OK, "");
    }
}

static void test_many(void **state)
{
    (void)state;
    struct snapshot s;
    struct screen_options options = options_of(24, 80);
    size_t page, scroll, size;
    bed_snapshot(&s);
    fill(&s, 200);
    char *text = draw(&options, &s, &page);
    assert_non_null(strstr(text, "\nvm-000"));
    assert_non_null(strstr(text, "\n1 to 9 of 200, arrows or j k scroll\n"));
    assert_int_equal(page, 9);
    free(text);
    /* Past the end: the last page, and the caller learns where it is. */
    struct text out;
    text_init(&out, 1u << 20);
    options.scroll = 100000;
    screen_draw(&options, &s, &out, &scroll, &page);
    assert_int_equal(scroll, 191);
    text = text_take(&out, &size);
    assert_non_null(strstr(text, "\n192 to 200 of 200"));
    assert_non_null(strstr(text, "\nvm-199"));
    assert_null(strstr(text, "\nvm-190"));
    free(text);
    snapshot_done(&s);
}

static void test_every_size(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 3, 40};
    for (size_t i = 0; i < 3; i++) {
        struct snapshot s;
        bed_snapshot(&s);
        BED_TEXT(s.findings[1].destination, "\033[2Jevil\xe2\x80\xae\xff");
        BED_TEXT(s.findings[1].title, "\007\xe4\xb8\xad");
        if (counts[i] != 3)
            fill(&s, counts[i]);
        else
            BED_TEXT(s.machines[0].name, "\033]0;x\007\xe2\x80\xae\xe4\xb8\xad\xe6\x96\x87");
        for (unsigned rows = 1; rows < 50; rows++) {
            for (unsigned columns = 1; columns < 150; columns += 3) {
                struct screen_options options = options_of(rows, columns);
                size_t page;
                options.padded = rows % 2;
                options.color = columns % 2;
                options.paused = rows % 3 == 0;
                options.help = rows % 5 == 0;
                options.scroll = rows;
                options.utf8 = columns % 4;
                free(draw(&options, &s, &page));
            }
        }
        snapshot_done(&s);
    }
}

static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *name, *shown;
    } rows[] = {
        {"\033[2Jx", "\\x1b[2Jx"},
        {"a\nb", "a\\x0ab"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* CSI as one C1 character */
        {"\x9b"
         "31m",
         "\\x9b31m"}, /* and as a byte */
        {"ab\x7f", "ab\\x7f"},
        {"\xe2\x80\xaexe", "\\xe2\\x80\\xaexe"},      /* right-to-left override */
        {"\xe2\x81\xa6x", "\\xe2\\x81\\xa6x"},        /* isolate */
        {"\xe2\x80\x8bx", "\\xe2\\x80\\x8bx"},        /* zero width */
        {"e\xcc\x81", "e\\xcc\\x81"},                 /* combining */
        {"\xf0\x9f\x98\x80", "\\xf0\\x9f\\x98\\x80"}, /* emoji */
        {"\xd7\x90", "\\xd7\\x90"},                   /* Hebrew */
        {"\xff\xc3", "\\xff\\xc3"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad\xe6\x96\x87"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text out;
        text_init(&out, 1000);
        struct line line = {.out = &out, .width = 100, .utf8 = true};
        line_put(&line, STYLE_PLAIN, rows[i].name);
        assert_string_equal(out.at, rows[i].shown);
        assert_int_equal(line.used, terminal_width(rows[i].name, 100, true));
        text_done(&out);
        /* Cut at every width. */
        for (unsigned width = 1; width < 20; width++) {
            line = (struct line){.out = &out, .width = width, .utf8 = true};
            line_field(&line, STYLE_PLAIN, rows[i].name, width, false);
            assert_int_equal(line.used, width);
            text_done(&out);
        }
    }
    struct text out;
    text_init(&out, 1000);
    struct line line = {.out = &out, .width = 9, .utf8 = false};
    line_put(&line, STYLE_PLAIN, "caf\xc3\xa9 au lait");
    assert_string_equal(out.at, "caf\\xc3~");
    text_done(&out);
    /* Our own sentences have it, and it has a name in ASCII. */
    line = (struct line){.out = &out, .width = 20, .utf8 = false};
    line_put(&line, STYLE_PLAIN,
             "60 s \xc2\xb1"
             "10 %");
    assert_string_equal(out.at, "60 s +-10 %");
    assert_int_equal(line.used, 11);
    text_done(&out);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } numbers[] = {
        {0, "0"},          {0.4, "0"},      {999.4, "999"},   {999.6, "1.00k"}, {1000, "1.00k"},
        {9994, "9.99k"},   {9996, "10.0k"}, {99960, "100k"},  {999499, "999k"}, {999600, "1.00M"},
        {1.24e9, "1.24G"}, {-5, "0"},       {0.0 / 0.0, "0"}, {1e30, ">999E"},  {1.0 / 0.0, "0"},
    };
    char text[16];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        terminal_number(numbers[i].value, text);
        assert_string_equal(text, numbers[i].text);
    }
    static const struct {
        double seconds;
        const char *text;
    } times[] = {
        {0, "0.0s"},         {0.25, "0.2s"},    {9.99, "9.9s"},    {10, "10s"},
        {59.9, "59s"},       {60, "1m00s"},     {243, "4m03s"},    {3599, "59m59s"},
        {3600, "1h00m"},     {7500, "2h05m"},   {86399, "23h59m"}, {86400, "1d00h"},
        {8639999, "99d23h"}, {8640000, "100d"}, {-3, "0.0s"},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        terminal_duration((int64_t)(times[i].seconds * 1e9), text);
        assert_string_equal(text, times[i].text);
    }
    terminal_time(BED_NOW, BED_NOW, true, text);
    assert_string_equal(text, "03:12:45");
    terminal_time(BED_NOW - 24 * 3600 * BED_S, BED_NOW, true, text);
    assert_string_equal(text, "21 03:12");
}

static char *plain(struct plain *p, const struct snapshot *s)
{
    struct text out;
    size_t size;
    text_init(&out, 1u << 20);
    plain_text(p, s, &out);
    return text_take(&out, &size);
}

static void expect_plain(struct plain *p, const struct snapshot *s, const char *expected)
{
    char *text = plain(p, s);
    assert_string_equal(text, expected);
    free(text);
}

static void test_plain(void **state)
{
    (void)state;
    struct snapshot s;
    struct plain p = {.fd = -1, .utf8 = true, .utc = true};
    bed_snapshot(&s);
    s.started = BED_NOW - 5 * BED_S;
    expect_plain(&p, &s,
                 "03:08:35  web-1 is ok again\n"
                 "03:08:42  old-7 is SILENT: usually 12 Mb/s; no packet for 30s\n");
    expect_plain(&p, &s, ""); /* an alarm is said once */
    for (int i = 0; i < 60; i++) {
        s.now += BED_S;
        for (size_t m = 0; m < s.n_machines; m++)
            s.machines[m].last_packet = s.now;
        char *text = plain(&p, &s);
        if (i == 54) /* a minute after the start */
            assert_string_equal(text, "03:13:40  3 sources  1.24 Gb/s  182 kpps  loss 0.00 %; 1 "
                                      "sender refused; SILENT: old-7; ONE-SIDED: db-1\n");
        else
            assert_string_equal(text, "");
        free(text);
    }
    /* Two alarms of one moment, the second a snapshot later. */
    struct snapshot_alarm *alarms = calloc(4, sizeof *alarms);
    memcpy(alarms + 1, s.alarms, 2 * sizeof *alarms);
    alarms[0] = alarms[1];
    BED_TEXT(alarms[0].text, "db-1 is MUTED\033[2J");
    free(s.alarms);
    s.alarms = alarms;
    s.n_alarms = 3;
    expect_plain(&p, &s, "03:08:42  db-1 is MUTED\\x1b[2J\n");
    expect_plain(&p, &s, "");
    s.learning = true;
    p.last_line = s.now - 60 * BED_S;
    char *status = plain(&p, &s);
    assert_non_null(strstr(status, "; everybody is accepted: none is configured; "));
    free(status);
    s.learning = false;
    /* Nothing for half a minute: the checklist, once; and again after packets came. */
    for (int round = 0; round < 2; round++) {
        p.last_line = s.now + 20 * BED_S;
        s.now += 30 * BED_S;
        char *text = plain(&p, &s);
        assert_non_null(strstr(text, "No packet for 30s. What to look at"));
        assert_non_null(strstr(text, "gre: refused: needs CAP_NET_RAW"));
        assert_non_null(strstr(text, "admit it:  - name: NAME\n"));
        assert_non_null(strstr(text, "channels: [\"vxlan:77 from 10.9.8.7\"]\n"));
        for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
            assert_true(strcspn(at, "\n") <= 80);
        free(text);
        expect_plain(&p, &s, "");
        s.machines[0].last_packet = s.now;
        expect_plain(&p, &s, "");
    }
    snapshot_done(&s);
}

static void test_summary(void **state)
{
    (void)state;
    struct snapshot s;
    struct text out;
    bed_snapshot(&s);
    text_init(&out, 1u << 20);
    summary_text(&s, true, &out);
    assert_string_equal(out.at,
                        "45000000 packets, 1200000 connections, 1234567 log lines in "
                        "/var/log/cloudspan/current, 4m12s\n"
                        "2 log lines could not be written\n"
                        "lost: 3 packets found no room (ring, full)\n"
                        "lost: 14 packets were cut (decode, truncated)\n"
                        "left out: 23456 packets came twice (policy, copies)\n"
                        "left out: 312 packets of senders unknown (policy, refused)\n"
                        "SILENT: old-7: usually 12 Mb/s; no packet and no canary for 4m03s\n"
                        "ONE-SIDED: db-1: what it sends is never seen: is egress mirrored, too?\n");
    text_done(&out);
    snapshot_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),   cmocka_unit_test(test_wide),
        cmocka_unit_test(test_tiny),    cmocka_unit_test(test_nothing_comes),
        cmocka_unit_test(test_many),    cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_plain),   cmocka_unit_test(test_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
