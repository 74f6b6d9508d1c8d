/* Exfiltration: a machine that sends more to outside than it ever did. What is normal is its own
 * past (mean and three standard deviations of its days, and of its hours); without one, only large
 * uploads to a destination that hardly anybody else knows are told. That a machine which used to
 * take begins to give (the producer-consumer ratio turns), that one destination got most of it, and
 * that it is a rare one, make it worse; known services and a destination that gets as much every
 * day (a backup) make it less. */
#include "hunt/exfil.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(struct exfil_settings, member)

static const struct yaml_row exfil_rows[] = {
    {.key = "least",
     .help = "what a machine sends to outside in the window, below which nothing\n"
             "is told",
     .kind = YAML_SIZE,
     .at = AT(least),
     .min = 1000000,
     .max = 1000000000000000},
    {.key = "alone",
     .help = "an upload to one destination that is told without a history",
     .kind = YAML_SIZE,
     .at = AT(alone),
     .min = 1000000,
     .max = 1000000000000000},
    {.key = "samples",
     .help = "so many past days of a machine make its normal",
     .kind = YAML_COUNT,
     .at = AT(samples),
     .min = 2,
     .max = 90},
    {.key = "rare",
     .help = "a destination is rare when at most this share of the internal hosts\n"
             "knows it",
     .kind = YAML_SHARE,
     .at = AT(rare),
     .min = 0,
     .max = 100},
    {.key = NULL},
};

static void exfil_defaults(void *settings)
{
    *(struct exfil_settings *)settings =
        (struct exfil_settings){.least = 100000000, .alone = 500000000, .samples = 4, .rare = 5};
}

static void exfil_merge(void *into, const void *from)
{
    struct exfil_value *a = into;
    const struct exfil_value *b = from;
    if (b->n > 0 && (a->n == 0 || b->first < a->first))
        a->first = b->first;
    if (b->n > 0 && (a->n == 0 || b->last > a->last))
        a->last = b->last;
    a->n += b->n;
    for (int hour = 0; hour < 24; hour++) {
        a->up[hour] += b->up[hour];
        a->down[hour] += b->down[hour];
    }
}

const struct book_table exfil_table = {
    .name = "exfil",
    .version = 1,
    .key_size = sizeof(struct exfil_key),
    .value_size = sizeof(struct exfil_value),
    .series_at = {offsetof(struct exfil_value, conns)},
    .n_series = 1,
    .merge = exfil_merge,
};

/* ---- taking ---- */

/* What counters say is believed up to a petabyte: more is a fault of theirs. */
static uint64_t exfil_bytes(int64_t number)
{
    return number == HUNT_UNSET || number < 0 || number > 1000000000000000 ? 0 : (uint64_t)number;
}

/* Spreads over the hours of the book's day; what lasts into the next one stays in the last. */
static void exfil_spread(struct exfil_value *value, int64_t ms_of_day, int64_t duration_ms,
                         uint64_t up, uint64_t down)
{
    int64_t end = ms_of_day + (duration_ms > 0 ? duration_ms : 0);
    if (end >= GATHER_MS_DAY)
        end = GATHER_MS_DAY - 1;
    int first = (int)(ms_of_day / GATHER_MS_HOUR), last = (int)(end / GATHER_MS_HOUR);
    uint64_t up_left = up, down_left = down;
    for (int hour = first; hour < last; hour++) {
        int64_t from = hour == first ? ms_of_day : hour * GATHER_MS_HOUR;
        double share = (double)((hour + 1) * GATHER_MS_HOUR - from) / (double)(end - ms_of_day);
        uint64_t part_up = (uint64_t)((double)up * share);
        uint64_t part_down = (uint64_t)((double)down * share);
        part_up = part_up < up_left ? part_up : up_left;
        part_down = part_down < down_left ? part_down : down_left;
        value->up[hour] += part_up;
        value->down[hour] += part_down;
        up_left -= part_up;
        down_left -= part_down;
    }
    value->up[last] += up_left;
    value->down[last] += down_left;
}

#define EXFIL_LEAST_UP   1024
#define EXFIL_LEAST_DOWN 16384

static void exfil_take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (record->log != HUNT_CONN || !record->has_ends)
        return;
    uint64_t up = exfil_bytes(record->conn.orig_bytes);
    uint64_t down = exfil_bytes(record->conn.resp_bytes);
    /* Most connections, and hardly any of the bytes. */
    if (up < EXFIL_LEAST_UP && down < EXFIL_LEAST_DOWN)
        return;
    /* A server's answers to outside are its work, not an upload: they are no part of it. */
    if (hunt_way(take->scope, &record->orig.addr, &record->resp.addr) != HUNT_OUT ||
        gather_is_group(&record->resp.addr))
        return;
    struct exfil_key key;
    memset(&key, 0, sizeof(key));
    key.src = record->orig;
    struct exfil_value *value = book_at(take->book, &exfil_table, &key, NULL);
    if (!value)
        return;
    int64_t ts = hunt_ms(record->ts);
    if (value->n == 0 || ts < value->first)
        value->first = ts;
    if (value->n == 0 || ts > value->last)
        value->last = ts;
    value->n++;
    int64_t ms_of_day = ts - book_day(take->book) * GATHER_MS_DAY;
    if (ms_of_day < 0 || ms_of_day >= GATHER_MS_DAY)
        return;
    uint64_t duration = exfil_bytes(record->conn.duration) / 1000000;
    exfil_spread(value, ms_of_day, (int64_t)duration, up, down);
    if (up < EXFIL_EVENT)
        return;
    struct book_event event = {.ts = ts,
                               .duration = duration * 1000,
                               .up = up > UINT32_MAX ? UINT32_MAX : (uint32_t)up,
                               .down = down > UINT32_MAX ? UINT32_MAX : (uint32_t)down};
    book_add_event(take->book, &value->conns, &event);
}

/* ---- judging ---- */

bool exfil_normal(const double *samples, size_t n, size_t least, double *out_mean, double *out_sd)
{
    *out_mean = *out_sd = 0;
    if (n == 0 || n < least)
        return false;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += samples[i];
    *out_mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (samples[i] - *out_mean) * (samples[i] - *out_mean);
    *out_sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    return true;
}

/* A destination of many bytes. */
struct exfil_to {
    struct pair_key pair;
    struct pair_value value;
    uint64_t up, down, usual; /* `usual`: the most it got on a past day */
};

struct exfil_walk {
    const struct hunt_judge *judge;
    const struct exfil_settings *settings;
    struct books history;
    struct gather sources; /* struct exfil_source */
    struct gather targets; /* struct exfil_to */
};

struct exfil_source {
    struct exfil_key key;
    struct exfil_value value;
    uint64_t up, down, most; /* of the window; of its hour that sent most */
    int64_t most_at;         /* ms: when that hour began */
};

/* Only the hours of the window: a day that began before it is another book. */
static void exfil_of_window(const struct hunt_judge *judge, struct exfil_source *source)
{
    struct books window = gather_window(judge);
    source->up = source->down = 0;
    for (size_t i = 0; i < window.n; i++) {
        const struct exfil_value *value = book_find(window.at[i], &exfil_table, &source->key);
        int64_t begin = book_day(window.at[i]) * GATHER_MS_DAY;
        for (int hour = 0; value && hour < 24; hour++) {
            int64_t end = begin + (hour + 1) * GATHER_MS_HOUR;
            if (end <= judge->from || end - GATHER_MS_HOUR > judge->to)
                continue;
            source->up += value->up[hour];
            source->down += value->down[hour];
            if (value->up[hour] > source->most) {
                source->most = value->up[hour];
                source->most_at = end - GATHER_MS_HOUR;
            }
        }
    }
}

static void exfil_each_source(void *with, const void *key, const void *value)
{
    struct exfil_walk *walk = with;
    struct exfil_source source;
    memset(&source, 0, sizeof(source));
    memcpy(&source.key, key, sizeof(source.key));
    memcpy(&source.value, value, sizeof(source.value));
    exfil_of_window(walk->judge, &source);
    if (source.up >= walk->settings->least && source.value.last >= walk->judge->from)
        (void)gather_add(&walk->sources, &source); /* what is left out is counted by it */
}

static void exfil_each_pair(void *with, const void *key, const void *value)
{
    struct exfil_walk *walk = with;
    struct exfil_to to;
    memset(&to, 0, sizeof(to));
    memcpy(&to.pair, key, sizeof(to.pair));
    memcpy(&to.value, value, sizeof(to.value));
    if (to.value.sum.payload_up < walk->settings->least / 4 || to.value.sum.way != HUNT_OUT)
        return;
    /* The day that got most, as the days before are days. */
    struct books window = gather_window(walk->judge);
    for (size_t i = 0; i < window.n; i++) {
        const struct pair_value *day = book_find(window.at[i], &pair_table, key);
        if (day && day->sum.payload_up >= to.up) {
            to.up = day->sum.payload_up;
            to.down = day->sum.payload_down;
        }
    }
    for (size_t i = 0; i < walk->history.n; i++) {
        const struct pair_value *old = book_find(walk->history.at[i], &pair_table, key);
        if (old && old->sum.payload_up > to.usual)
            to.usual = old->sum.payload_up;
    }
    (void)gather_add(&walk->targets, &to); /* what is left out is counted by it */
}

static int exfil_order_source(const void *a, const void *b)
{
    return gather_order_host(&((const struct exfil_source *)a)->key.src,
                             &((const struct exfil_source *)b)->key.src);
}

/* By source, the most bytes first. */
static int exfil_order_target(const void *a, const void *b)
{
    const struct exfil_to *x = a, *y = b;
    int order = gather_order_host(&x->pair.src, &y->pair.src);
    if (order != 0)
        return order;
    if (x->up != y->up)
        return x->up > y->up ? -1 : 1;
    return gather_order_host(&x->pair.dst, &y->pair.dst);
}

/* The source's past: days, and hours in which it sent anything. */
struct exfil_past {
    double days[90];
    double hours[24 * 90];
    size_t n_days, n_hours;
    uint64_t up, down;
};

static void exfil_recall(const struct exfil_walk *walk, const struct exfil_key *key,
                         struct exfil_past *past)
{
    memset(past, 0, sizeof(*past));
    for (size_t i = 0; i < walk->history.n && past->n_days < 90; i++) {
        const struct exfil_value *old = book_find(walk->history.at[i], &exfil_table, key);
        if (!old)
            continue;
        uint64_t day = 0;
        for (int hour = 0; hour < 24; hour++) {
            day += old->up[hour];
            past->down += old->down[hour];
            if (old->up[hour] > 0)
                past->hours[past->n_hours++] = (double)old->up[hour];
        }
        past->up += day;
        past->days[past->n_days++] = (double)day;
    }
}

/* (out - in) / (out + in): -1 only takes, 1 only gives. */
static double exfil_ratio(uint64_t up, uint64_t down)
{
    double sum = (double)up + (double)down;
    return sum > 0 ? ((double)up - (double)down) / sum : 0;
}

static const char *exfil_known_service(const struct hunt_judge *judge, const struct exfil_to *to,
                                       struct str *out_name)
{
    uint16_t port = to->value.sum.ports[0].port;
    uint8_t proto = to->value.sum.ports[0].proto;
    book_name names[4];
    size_t n = hunt_names_of(judge, &to->pair.dst.addr, names, 4);
    *out_name = (struct str){0};
    for (size_t i = 0; i < n; i++) {
        struct str name = books_text(&judge->books, names[i]);
        if (!str_set(name))
            continue;
        if (!str_set(*out_name))
            *out_name = name;
        const char *known = hunt_known_service(name, port, proto);
        if (known) {
            *out_name = name;
            return known;
        }
    }
    return hunt_known_service((struct str){0}, port, proto);
}

/* What speaks for and against one destination; the change of the score. */
static double exfil_weigh_target(const struct exfil_walk *walk, struct finding *finding,
                                 const struct exfil_to *to, uint64_t all)
{
    const struct hunt_judge *judge = walk->judge;
    double change = 0;
    char bytes[32];
    gather_bytes_text(to->up, bytes);
    finding_because(finding, "%s of it, %.0f %%, to one destination", bytes,
                    100 * (double)to->up / (double)(all > to->up ? all : to->up));
    struct hunt_prevalence known_by = hunt_prevalence_of(judge, &to->pair.dst);
    if (known_by.of > 4 && known_by.n * 100 <= (uint64_t)walk->settings->rare * known_by.of) {
        finding_because(finding, "a rare one: %u of %u internal hosts know it", known_by.n,
                        known_by.of);
        change += 0.1;
    } else if (known_by.of > 4 && known_by.n * 2 >= known_by.of) {
        finding_because(finding, "a common one: %u of %u internal hosts know it", known_by.n,
                        known_by.of);
        change -= 0.15;
    }
    struct str name;
    const char *service = exfil_known_service(judge, to, &name);
    if (service) {
        finding_because(finding, "a known service: %s", service);
        change -= 0.25;
    }
    if (to->usual * 2 >= to->up) {
        gather_bytes_text(to->usual, bytes);
        finding_because(finding, "it got %s on a day before: a backup, perhaps", bytes);
        change -= 0.25;
    }
    finding_number(finding, "bytes_to_destination", (double)to->up);
    finding_number(finding, "known_by_hosts", known_by.n);
    return change;
}

static void exfil_judge_source(const struct exfil_walk *walk, const struct exfil_source *source,
                               const struct exfil_to *targets, size_t n_targets)
{
    const struct hunt_judge *judge = walk->judge;
    const struct exfil_settings *settings = walk->settings;
    struct exfil_past past;
    exfil_recall(walk, &source->key, &past);
    double mean, sd, hour_mean, hour_sd, most = (double)source->most;
    int hour = (int)(source->most_at / GATHER_MS_HOUR % 24);
    bool has_past = exfil_normal(past.days, past.n_days, settings->samples, &mean, &sd);
    (void)exfil_normal(past.hours, past.n_hours, settings->samples, &hour_mean, &hour_sd);
    double ratio = exfil_ratio(source->up, source->down);
    double old_ratio = exfil_ratio(past.up, past.down);
    const struct exfil_to *to = n_targets > 0 ? &targets[0] : NULL;
    if (to && to->up * 2 < source->up)
        to = NULL; /* it went to many */

    double score;
    bool by_day = has_past && (double)source->up > mean + 3 * sd;
    bool by_hour = has_past && most > hour_mean + 3 * hour_sd && most >= (double)settings->least;
    if (has_past) {
        if (!by_day && !by_hour)
            return;
        /* Three deviations, and ten times the mean, are two levels. */
        score = 0.45;
        if (by_day && (double)source->up > 10 * (mean + sd))
            score += 0.15;
    } else {
        if (!to || to->up < settings->alone || to->up < 3 * to->down)
            return;
        score = 0.35;
        if (to->up >= 10 * settings->alone)
            score += 0.1;
    }

    struct finding finding;
    finding_init(&finding, judge->hunt);
    if (to)
        finding_of_pair(judge, &finding, &to->pair, &to->value);
    else
        gather_ends(judge, &finding, &source->key.src, NULL, source->value.first,
                    source->value.last);
    char text[32], usual[32], deviation[32];
    gather_bytes_text(to ? to->up : source->up, text);
    snprintf(finding.title, sizeof(finding.title), "%s sent to outside, %s", text,
             has_past ? "more than ever" : "to one destination");
    gather_bytes_text(source->up, text);
    gather_bytes_text((uint64_t)mean, usual);
    gather_bytes_text((uint64_t)sd, deviation);
    if (by_day)
        finding_because(&finding, "%s in the window; its %zu days before: %s +- %s", text,
                        past.n_days, usual, deviation);
    if (by_hour) {
        gather_bytes_text((uint64_t)most, text);
        gather_bytes_text((uint64_t)hour_mean, usual);
        gather_bytes_text((uint64_t)hour_sd, deviation);
        finding_because(&finding, "%s in the hour from %02d:00 UTC; its hours before: %s +- %s",
                        text, hour, usual, deviation);
    }
    if (!has_past) {
        finding_because(&finding,
                        "%s in the window; %zu days of its past are too few to know its normal",
                        text, past.n_days);
        finding.confidence *= 0.6;
    }
    if (has_past && past.n_days < 7)
        finding.confidence *= 0.8;
    if (has_past && old_ratio < 0 && ratio > 0.5) {
        finding_because(&finding, "it used to take (ratio %.2f) and now gives (%.2f)", old_ratio,
                        ratio);
        score += 0.15;
    } else if (ratio < 0) {
        finding_because(&finding, "it still takes more than it gives");
        score -= 0.1;
    }
    if (to)
        score += exfil_weigh_target(walk, &finding, to, source->up);
    finding.score = fmin(0.95, score);
    finding.n = to ? finding.n : source->value.n;
    finding.bytes_up = to ? to->up : source->up;
    finding.bytes_down = to ? to->down : source->down;
    finding_number(&finding, "bytes_out", (double)source->up);
    finding_number(&finding, "usual_bytes_out", mean);
    finding_number(&finding, "usual_sd", sd);
    finding_number(&finding, "n_days", (double)past.n_days);
    finding_number(&finding, "most_in_hour", most);
    finding_number(&finding, "ratio", ratio);
    finding_number(&finding, "usual_ratio", old_ratio);
    finding.events_of = &exfil_table;
    memcpy(finding.events_key, &source->key, sizeof(source->key));
    finding.events_series = 0;
    if (finding.score >= 0.2)
        findings_add(judge->findings, &finding);
}

static void exfil_judge(const struct hunt_judge *judge)
{
    struct exfil_walk walk = {
        .judge = judge, .settings = judge->settings, .history = gather_history(judge)};
    gather_init(&walk.sources, sizeof(struct exfil_source), 100000);
    gather_init(&walk.targets, sizeof(struct exfil_to), 100000);
    struct books window = gather_window(judge);
    books_each(&window, &exfil_table, judge->n_threads, exfil_each_source, &walk);
    if (walk.sources.n > 0)
        books_each(&window, &pair_table, judge->n_threads, exfil_each_pair, &walk);
    gather_sort(&walk.sources, exfil_order_source);
    gather_sort(&walk.targets, exfil_order_target);
    const struct exfil_source *sources =
        (const struct exfil_source *)(const void *)walk.sources.items;
    const struct exfil_to *targets = (const struct exfil_to *)(const void *)walk.targets.items;
    size_t at = 0;
    for (size_t i = 0; i < walk.sources.n; i++) {
        while (at < walk.targets.n &&
               gather_order_host(&targets[at].pair.src, &sources[i].key.src) < 0)
            at++;
        size_t end = at;
        while (end < walk.targets.n &&
               gather_order_host(&targets[end].pair.src, &sources[i].key.src) == 0)
            end++;
        exfil_judge_source(&walk, &sources[i], targets ? targets + at : NULL, end - at);
        at = end;
    }
    gather_done(&walk.sources);
    gather_done(&walk.targets);
}

static const struct book_table *const exfil_tables[] = {&exfil_table, NULL};

const struct hunt hunt_exfil = {
    .name = "exfiltration",
    .title = "Exfiltration",
    .summary = "machines that send more to outside than they ever did, and to whom",
    .logs = HUNT_LOG_BIT(HUNT_CONN),
    .tables = exfil_tables,
    .settings = exfil_rows,
    .settings_size = sizeof(struct exfil_settings),
    .defaults = exfil_defaults,
    .take = exfil_take,
    .judge = exfil_judge,
};
