/* Tried mail accounts: a machine whose logins a mail server refuses several times within seconds,
 * as smtp.log's last replies say. A mail program with a wrong password asks its user; one that
 * tries a list of passwords, or sends spam by stolen accounts, goes on at once. */
#include "hunt/gather.h"

#include <math.h>
#include <stdio.h>

#include "hunt/tell.h"

#define STRETCH 10000ll /* ms */

struct settings {
    uint32_t logins;
};

static const struct yaml_row rows[] = {
    {.key = "logins",
     .help = "so many refused logins at one mail server within ten seconds are\n"
             "somebody trying passwords",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, logins),
     .min = 2,
     .max = 10000},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct settings *)at = (struct settings){.logins = 3};
}

struct login_key {
    struct hunt_host src, dst;
};

struct login_value {
    int64_t first, last; /* ms: of refused ones */
    uint64_t n_refused;
    uint32_t touched;
    uint16_t port;
    uint8_t way, unused;
    struct gather_stretch fast; /* refused ones */
};

static void merge(void *at, const void *other)
{
    struct login_value *into = at;
    const struct login_value *from = other;
    tell_merge_times(&into->first, &into->last, into->n_refused, from->first, from->last,
                     from->n_refused);
    into->n_refused += from->n_refused;
    into->touched = into->touched > from->touched ? into->touched : from->touched;
    into->port = into->port ? into->port : from->port;
    into->way = from->way;
    gather_stretch_merge(&into->fast, &from->fast);
}

static const struct book_table table = {
    .name = "mail_logins",
    .version = 1,
    .key_size = sizeof(struct login_key),
    .value_size = sizeof(struct login_value),
    .merge = merge,
};

/* ---- taking ---- */

static bool contains(struct str text, struct str part)
{
    for (uint32_t i = 0; i + part.len <= text.len; i++)
        if (str_eq_nocase(str_upto(str_from(text, i), part.len), part))
            return true;
    return false;
}

/* 535, 534, 538 and 530 are about logins by themselves (RFC 4954); of other refusals the words say
 * it. */
static bool refuses_login(struct str reply)
{
    static const char *const codes[] = {"535", "534", "538", "530"};
    static const char *const words[] = {"auth", "login", "password", "credential"};
    for (unsigned i = 0; i < 4; i++)
        if (str_starts(reply, str_c(codes[i])))
            return true;
    if (reply.len < 4 || (reply.at[0] != '5' && reply.at[0] != '4'))
        return false;
    reply = str_upto(reply, 256);
    for (unsigned i = 0; i < 4; i++)
        if (contains(reply, str_c(words[i])))
            return true;
    return false;
}

static void take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (!record->has_ends || !refuses_login(record->smtp.last_reply))
        return;
    enum hunt_way way = hunt_way(take->scope, &record->orig.addr, &record->resp.addr);
    if (way == HUNT_OUTSIDE || (way == HUNT_IN && !take->scope->include_inbound))
        return;
    struct login_key key;
    memset(&key, 0, sizeof key);
    key.src = record->orig;
    key.dst = record->resp;
    struct login_value *value = book_at(take->book, &table, &key, NULL);
    if (!value)
        return;
    int64_t ms = hunt_ms(record->ts);
    double before = (double)value->n_refused;
    tell_see(&value->first, &value->last, value->n_refused, ms);
    value->n_refused++;
    value->touched = take->round;
    value->port = record->resp_port;
    value->way = (uint8_t)way;
    gather_stretch_add(&value->fast, ms, STRETCH, before, before + 1, value->n_refused);
}

/* ---- judging ---- */

static void judge_one(void *with, const void *key_at, const void *value_at)
{
    const struct hunt_judge *judge = with;
    const struct settings *settings = judge->settings;
    const struct login_key *key = key_at;
    const struct login_value *value = value_at;
    if (!tell_is_due(judge, value->first, value->last, value->touched) ||
        value->fast.most < settings->logins)
        return;
    struct finding finding;
    finding_init(&finding, judge->hunt);
    gather_ends(judge, &finding, &key->src, &key->dst, value->first, value->last);
    finding.n = value->n_refused;
    /* Few may be a program that tries one password in several ways. */
    finding.confidence *= value->n_refused < 10 ? 0.5 : 0.9;
    finding.score = 0.35 + 0.15 * log10((double)value->n_refused / 3);
    finding_because(&finding,
                    "%.0f logins refused within ten seconds, %llu in all, as smtp.log says",
                    value->fast.most, (unsigned long long)value->n_refused);
    if (value->way == HUNT_INSIDE) {
        finding.score += 0.1;
        finding_because(&finding, "inside the network");
    } else if (value->way == HUNT_IN) {
        finding.score -= 0.2;
        finding_because(&finding, "from outside, where trying passwords never ends");
    }
    finding.score = fmin(0.8, fmax(0.2, finding.score));
    finding_number(&finding, "n_logins_failed", (double)value->n_refused);
    finding_number(&finding, "most_in_10_seconds", value->fast.most);
    tell_port(&finding, value->port, HUNT_TCP, STR("smtp"));
    (void)snprintf(finding.title, sizeof finding.title, "%llu refused mail logins",
                   (unsigned long long)value->n_refused);
    (void)findings_add(judge->findings, &finding);
}

static void judge(const struct hunt_judge *judge)
{
    struct hunt_judge with = *judge;
    struct books window = gather_window(judge);
    books_each(&window, &table, judge->n_threads, judge_one, &with);
}

static const struct book_table *const tables[] = {&table, NULL};

const struct hunt hunt_mail_logins = {
    .name = "mail-logins",
    .title = "Mail logins",
    .summary = "machines whose logins a mail server refuses again and again within seconds",
    .logs = HUNT_LOG_BIT(HUNT_SMTP),
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .take = take,
    .judge = judge,
};
