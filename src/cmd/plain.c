/* What the watch says line by line: see plain.h. */
#include "cmd/plain.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/machines.h"
#include "cmd/terminal.h"

#define LINE_WIDTH  4000 /* columns: nothing is cut but what is beyond reason */
#define NAMED_MAX   8    /* machines that a line names */
#define REFUSED_MAX 5
#define INPUTS_MAX  8
#define INTERVAL    60000000000ll

void plain_write(int fd, const struct text *text)
{
    for (size_t at = 0; fd >= 0 && at < text->size;) {
        ssize_t n = write(fd, text->at + at, text->size - at);
        if (n < 0 && errno != EINTR)
            return; /* nobody reads: the logs matter, not these lines */
        at += n > 0 ? (size_t)n : 0;
    }
}

static struct line line_of(struct text *out, bool utf8)
{
    return (struct line){.out = out, .width = LINE_WIDTH, .utf8 = utf8};
}

static void put_number(struct line *line, double value, const char *unit)
{
    char number[16];
    terminal_number(value, number);
    size_t len = strlen(number);
    /* "1.24 Gb/s": the unit's letter goes to the unit. */
    bool has_letter = len > 0 && strchr("kMGTPE", number[len - 1]);
    line_format(line, STYLE_PLAIN, "%.*s %.*s%s", (int)(has_letter ? len - 1 : len), number,
                has_letter ? 1 : 0, has_letter ? number + len - 1 : "", unit);
}

static double percent(double share)
{
    return share > 0 && share <= 1 ? share * 100 : 0;
}

/* ---- lines ---- */

static void put_bad_machines(struct line *line, const struct snapshot *s)
{
    size_t n_named = 0, n_bad = 0;
    enum health_state state = HEALTH_N_STATES;
    for (size_t i = 0; i < s->n_machines; i++) {
        const struct snapshot_machine *m = &s->machines[i];
        if (!snapshot_is_bad(m))
            continue;
        if (++n_bad > NAMED_MAX)
            continue;
        if (m->state != state)
            line_format(line, STYLE_PLAIN, "; %s: ", health_state_name(m->state));
        else
            line_put(line, STYLE_PLAIN, ", ");
        state = m->state;
        line_put_upto(line, STYLE_PLAIN, m->name, sizeof m->name);
        n_named++;
    }
    if (n_bad > n_named)
        line_format(line, STYLE_PLAIN, " and %zu more", n_bad - n_named);
}

static void put_status(struct text *out, const struct plain *plain, const struct snapshot *s)
{
    struct line line = line_of(out, plain->utf8);
    char at[16];
    terminal_time(s->now, s->now, plain->utc, at);
    line_format(&line, STYLE_PLAIN, "%s  %zu source%s  ", at, s->n_machines,
                s->n_machines == 1 ? "" : "s");
    put_number(&line, s->bits_per_second, "b/s");
    line_put(&line, STYLE_PLAIN, "  ");
    put_number(&line, s->packets_per_second, "pps");
    line_format(&line, STYLE_PLAIN, "  loss %.2f %%", percent(s->loss_share));
    if (s->learning)
        line_put(&line, STYLE_PLAIN, "; everybody is accepted: none is configured");
    if (s->n_refused)
        line_format(&line, STYLE_PLAIN, "; %zu sender%s refused", s->n_refused,
                    s->n_refused == 1 ? "" : "s");
    put_bad_machines(&line, s);
    line_end(&line);
}

/* The oldest of the new ones first. */
static void put_alarms(struct text *out, struct plain *plain, const struct snapshot *s)
{
    size_t n_new = 0, n_equal = 0;
    while (n_new < s->n_alarms && s->alarms[n_new].ts > plain->last_alarm)
        n_new++;
    while (n_new + n_equal < s->n_alarms && s->alarms[n_new + n_equal].ts == plain->last_alarm)
        n_equal++;
    size_t n = n_new + (n_equal > plain->n_last_alarm ? n_equal - plain->n_last_alarm : 0);
    for (size_t i = n; i > 0; i--) {
        const struct snapshot_alarm *alarm = &s->alarms[i - 1];
        struct line line = line_of(out, plain->utf8);
        char at[16];
        terminal_time(alarm->ts, s->now, plain->utc, at);
        line_format(&line, STYLE_PLAIN, "%s  ", at);
        line_put_upto(&line, STYLE_PLAIN, alarm->text, sizeof alarm->text);
        line_end(&line);
    }
    if (n == 0)
        return;
    plain->last_alarm = s->alarms[0].ts;
    plain->n_last_alarm = 0;
    while (plain->n_last_alarm < s->n_alarms &&
           s->alarms[plain->n_last_alarm].ts == plain->last_alarm)
        plain->n_last_alarm++;
}

void plain_text(struct plain *plain, const struct snapshot *s, struct text *out)
{
    int64_t interval = plain->interval > 0 ? plain->interval : INTERVAL;
    put_alarms(out, plain, s);
    bool is_quiet = checklist_quiet(s) >= CHECKLIST_AFTER;
    if (is_quiet && !plain->checked)
        checklist_text(s, plain->utf8, out);
    plain->checked = is_quiet;
    if (plain->last_line == 0)
        plain->last_line = s->started ? s->started : s->now;
    if (s->now - plain->last_line < interval && s->now >= plain->last_line)
        return;
    plain->last_line = s->now;
    put_status(out, plain, s);
}

void plain_show(struct plain *plain, const struct snapshot *s)
{
    struct text out;
    text_init(&out, 1u << 20);
    plain_text(plain, s, &out);
    plain_write(plain->fd, &out);
    text_done(&out);
}

/* ---- the checklist ---- */

int64_t checklist_quiet(const struct snapshot *s)
{
    int64_t last = s->started;
    for (size_t i = 0; i < s->n_machines; i++)
        if (s->machines[i].last_packet > last)
            last = s->machines[i].last_packet;
    return s->now - last;
}

static void put_line(struct text *out, bool utf8, const char *head, const char *text, size_t max)
{
    struct line line = line_of(out, utf8);
    line_field(&line, STYLE_PLAIN, head, 14, false);
    line_put_upto(&line, STYLE_PLAIN, text, max);
    line_end(&line);
}

/* Each of the configuration's lines on a line of its own. */
static void put_admit(struct text *out, bool utf8, const char *admit, size_t size)
{
    const char *head = "   admit it:";
    size_t len = strnlen(admit, size);
    for (size_t at = 0; at < len; head = "") {
        const char *end = memchr(admit + at, '\n', len - at);
        size_t part = end ? (size_t)(end - admit) - at : len - at;
        if (part)
            put_line(out, utf8, head, admit + at, part);
        at += part + 1;
    }
}

static void put_inputs(const struct snapshot *s, bool utf8, struct text *out)
{
    if (s->n_inputs == 0)
        put_line(out, utf8, " 1 listens on", "nothing: no input could be opened", TERMINAL_WHOLE);
    for (size_t i = 0; i < s->n_inputs && i < INPUTS_MAX; i++) {
        const struct snapshot_input *input = &s->inputs[i];
        struct line line = line_of(out, utf8);
        line_field(&line, STYLE_PLAIN, i == 0 ? " 1 listens on" : "", 14, false);
        line_put_upto(&line, STYLE_PLAIN, input->name, sizeof input->name);
        line_put(&line, STYLE_PLAIN, ": ");
        line_put_upto(&line, STYLE_PLAIN, input->state, sizeof input->state);
        if (input->ok)
            line_format(&line, STYLE_PLAIN, ", %llu packets", (unsigned long long)input->n_packets);
        if (input->n_dropped)
            line_format(&line, STYLE_PLAIN, ", %llu lost", (unsigned long long)input->n_dropped);
        line_end(&line);
    }
    if (s->n_inputs > INPUTS_MAX) {
        struct line line = line_of(out, utf8);
        line_format(&line, STYLE_PLAIN, "%14s%zu more", "", s->n_inputs - INPUTS_MAX);
        line_end(&line);
    }
}

static void put_refused(const struct snapshot *s, bool utf8, struct text *out)
{
    if (s->n_refused == 0)
        put_line(out, utf8, " 2 refused", "nobody", TERMINAL_WHOLE);
    for (size_t i = 0; i < s->n_refused && i < REFUSED_MAX; i++) {
        const struct snapshot_refused *refused = &s->refused[i];
        struct line line = line_of(out, utf8);
        char channel[128];
        machines_channel(&refused->channel, channel);
        line_field(&line, STYLE_PLAIN, i == 0 ? " 2 refused" : "", 14, false);
        line_put(&line, STYLE_PLAIN, channel);
        line_format(&line, STYLE_PLAIN, ", %s%llu packets", refused->is_estimate ? "about " : "",
                    (unsigned long long)refused->n_packets);
        line_end(&line);
        put_admit(out, utf8, refused->admit, sizeof refused->admit);
    }
    if (s->n_refused > REFUSED_MAX) {
        struct line line = line_of(out, utf8);
        line_format(&line, STYLE_PLAIN, "%14s%zu more: cloudspan sources", "",
                    s->n_refused - REFUSED_MAX);
        line_end(&line);
    }
}

void checklist_text(const struct snapshot *s, bool utf8, struct text *out)
{
    static const char *const steps[][2] = {
        {" 3 mirror", "is its target this host, and is it switched on?"},
        {"", "does it come? tcpdump -ni any udp port 4789 or 6081 or ip proto 47"},
        {" 4 firewall", "nft list ruleset; iptables -nvL INPUT"},
        {"", "and the cloud's: UDP 4789 and 6081 have to be let in"},
        {" 5 MTU", "the mirror adds 50 bytes (VXLAN), 54 or more (GENEVE): big"},
        {"", "packets are lost where the path's is smaller; from the sender:"},
        {"", "ping -M do -s 1522 HERE"},
        {" 6 route", "ip route get SENDER: where the way back is another interface,"},
        {"", "rp_filter drops what comes: sysctl net.ipv4.conf.all.rp_filter"},
    };
    char quiet[16];
    terminal_duration(checklist_quiet(s), quiet);
    text_format(out, "No packet for %s. What to look at, in this order:\n", quiet);
    put_inputs(s, utf8, out);
    put_refused(s, utf8, out);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        put_line(out, utf8, steps[i][0], steps[i][1], TERMINAL_WHOLE);
    text_put(out, "cloudspan doctor looks at these, and says how to mend what it finds.\n");
}

/* ---- the end ---- */

static void put_count(struct line *line, uint64_t n, const char *what)
{
    line_format(line, STYLE_PLAIN, "%llu %s%s", (unsigned long long)n, what, n == 1 ? "" : "s");
}

static void put_drops(const struct snapshot *s, bool utf8, bool is_loss, const char *head,
                      struct text *out)
{
    for (size_t i = 0; i < s->n_drops; i++) {
        const struct snapshot_drop *drop = &s->drops[i];
        if (drop->is_loss != is_loss || drop->n == 0)
            continue;
        struct line line = line_of(out, utf8);
        line_format(&line, STYLE_PLAIN, "%s%llu ", head, (unsigned long long)drop->n);
        line_put(&line, STYLE_PLAIN, drop->text);
        line_format(&line, STYLE_PLAIN, " (");
        line_put(&line, STYLE_PLAIN, drop->stage);
        line_put(&line, STYLE_PLAIN, ", ");
        line_put(&line, STYLE_PLAIN, drop->reason);
        line_put(&line, STYLE_PLAIN, ")");
        line_end(&line);
    }
}

void summary_text(const struct snapshot *s, bool utf8, struct text *out)
{
    struct line line = line_of(out, utf8);
    char time[16];
    uint64_t n_lines = 0, n_lost = 0;
    for (size_t i = 0; i < s->n_logs; i++) {
        n_lines += s->logs[i].n_lines;
        n_lost += s->logs[i].n_lost;
    }
    terminal_duration(s->now - s->started, time);
    put_count(&line, s->n_packets, "packet");
    line_put(&line, STYLE_PLAIN, ", ");
    put_count(&line, s->n_connections, "connection");
    line_put(&line, STYLE_PLAIN, ", ");
    put_count(&line, n_lines, "log line");
    if (s->folder[0])
        line_put(&line, STYLE_PLAIN, " in ");
    line_put_upto(&line, STYLE_PLAIN, s->folder, sizeof s->folder);
    line_format(&line, STYLE_PLAIN, ", %s", time);
    line_end(&line);
    if (n_lost) {
        put_count(&line, n_lost, "log line");
        line_put(&line, STYLE_PLAIN, " could not be written");
        line_end(&line);
    }
    put_drops(s, utf8, true, "lost: ", out);
    put_drops(s, utf8, false, "left out: ", out);
    for (size_t i = 0; i < s->n_machines; i++) {
        const struct snapshot_machine *m = &s->machines[i];
        if (!snapshot_is_bad(m))
            continue;
        line_format(&line, STYLE_PLAIN, "%s: ", health_state_name(m->state));
        line_put_upto(&line, STYLE_PLAIN, m->name, sizeof m->name);
        if (m->reason[0])
            line_put(&line, STYLE_PLAIN, ": ");
        line_put_upto(&line, STYLE_PLAIN, m->reason, sizeof m->reason);
        line_end(&line);
    }
}
