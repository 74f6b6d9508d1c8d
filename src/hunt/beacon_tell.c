/* How a timer is weighed, and what is said of it.
 *
 * That something is a timer is no guilt: most of them update, poll and report. The score starts
 * from how sure the timer is, and each thing that makes it more or less worth a look adds to it or
 * takes from it, and says so in a sentence. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hunt/beacon.h"
#include "hunt/rita_score.h"
#include "hunt/twins.h"

#define DAY_MS INT64_C(86400000)

/* A timer to the outside of which nothing else is known is worth a look before most other things,
 * and is not yet the worst there is. */
#define SCORE_OF_TIMER  0.75
#define SCORE_OF_FAILED 0.5

#define RARE_SHARE   0.02 /* of the internal hosts */
#define COMMON_SHARE 0.5
#define RARE_OF      10 /* with fewer hosts, one of them is no small share */
#define COMMON_OF    4
#define NEW_DAYS     7
#define OLD_DAYS     30
#define BULK_BYTES   200000 /* received for each check-in */

struct span {
    char at[24];
};

/* "60 s", "5 min", "1.5 h" */
static struct span span_of(double s)
{
    struct span span;
    if (s < 1)
        (void)snprintf(span.at, sizeof(span.at), "%.2g s", s);
    else if (s < 99.5)
        (void)snprintf(span.at, sizeof(span.at), "%.*f s", s < 9.95 && s != floor(s) ? 1 : 0, s);
    else if (s < 5400)
        (void)snprintf(span.at, sizeof(span.at), "%.3g min", s / 60);
    else if (s < 172800)
        (void)snprintf(span.at, sizeof(span.at), "%.3g h", s / 3600);
    else
        (void)snprintf(span.at, sizeof(span.at), "%.3g days", s / 86400);
    return span;
}

struct moment {
    char at[40];
};

static struct moment moment_of(int64_t ms, bool with_day)
{
    struct moment moment = {"?"};
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    if (gmtime_r(&s, &tm))
        (void)strftime(moment.at, sizeof(moment.at), with_day ? "%Y-%m-%d %H:%M" : "%H:%M", &tm);
    return moment;
}

static int percent(double share)
{
    return (int)lround(fmin(fmax(share, 0), 1) * 100);
}

/* ---- the times ---- */

/* "every 60 s +-20 %" */
static void pace_of(const struct timing *timing, char *out, size_t size)
{
    struct span period = span_of(timing->period);
    switch (timing->kind) {
    case TIMING_CLOCK:
        (void)snprintf(out, size, "by the clock, every %s but not always", period.at);
        return;
    case TIMING_RAMP:
        (void)snprintf(out, size, "after waits that grow by %s each", period.at);
        return;
    case TIMING_NONE:
    case TIMING_TIMER:
    case TIMING_TWO_TIMERS:
    case TIMING_FAST:
        break;
    }
    int n = timing->jitter >= 0.005
                ? snprintf(out, size, "every %s \u00b1%d %%", period.at, percent(timing->jitter))
                : snprintf(out, size, "every %s", period.at);
    if (timing->kind == TIMING_TWO_TIMERS && n > 0 && (size_t)n < size)
        (void)snprintf(out + n, size - (size_t)n, " and every %s",
                       span_of(timing->second_period).at);
}

static void tell_title(const struct beacon *beacon, struct finding *finding)
{
    const struct timing *timing = &beacon->timing;
    char pace[80];
    pace_of(timing, pace, sizeof(pace));
    bool same_day = timing->first / DAY_MS == timing->last / DAY_MS;
    (void)snprintf(finding->title, sizeof(finding->title), "%s%s, %u %s, %s-%s UTC",
                   beacon->failed ? "unanswered " : "", pace, timing->n_checkins,
                   beacon->failed ? "attempts" : "check-ins",
                   moment_of(timing->first, !same_day).at, moment_of(timing->last, !same_day).at);
}

static void tell_times(const struct beacon *beacon, struct finding *finding)
{
    const struct timing *timing = &beacon->timing;
    double low = timing->period * (1 - timing->jitter);
    double high = timing->period * (1 + timing->jitter);
    if (timing->kind == TIMING_CLOCK)
        finding_because(finding,
                        "Its %u check-ins come at the same point of every %s, though not in all "
                        "of them: a clock starts them.",
                        timing->n_checkins, span_of(timing->period).at);
    else if (timing->kind == TIMING_RAMP)
        finding_because(finding,
                        "Each wait is %s longer than the last one, until there is something to "
                        "do: implants that poll over HTTP wait like this.",
                        span_of(timing->period).at);
    else if (timing->jitter >= 0.005)
        finding_because(
            finding,
            "Its check-ins are %s to %s apart: a timer of %s \u00b1%d %%, or a sleep of "
            "%s with a jitter of %d %%.",
            span_of(low).at, span_of(high).at, span_of(timing->period).at, percent(timing->jitter),
            span_of(high).at, percent(1 - low / high));
    else
        finding_because(finding, "Its check-ins are %s apart, without jitter.",
                        span_of(timing->period).at);
    if (timing->kind == TIMING_TWO_TIMERS)
        finding_because(finding, "A second timer of %s \u00b1%d %% runs between the same two.",
                        span_of(timing->second_period).at, percent(timing->second_jitter));
    if (timing->false_rate >= 0.01)
        finding_because(finding,
                        "Of a million pairs without a timer, some %.2g look so regular "
                        "(evidence %.0f nats).",
                        timing->false_rate, timing->evidence);
    else
        finding_because(finding,
                        "Of a million pairs without a timer, none looks so regular "
                        "(evidence %.0f nats).",
                        timing->evidence);
}

static void tell_coverage(const struct beacon *beacon, struct finding *finding)
{
    const struct timing *timing = &beacon->timing;
    double length = ((double)timing->last - (double)timing->first) / 1000;
    char more[120] = "";
    size_t used = 0;
    if (timing->n_pauses > 0)
        used = (size_t)snprintf(more, sizeof(more), "; it paused %u times, for %d %% of that time",
                                timing->n_pauses, percent(1 - timing->active_share));
    if (timing->n_missed > 0 && used < sizeof(more))
        (void)snprintf(more + used, sizeof(more) - used, "; %u check-ins are missing",
                       timing->n_missed);
    finding_because(finding, "It was seen for %s, from %s to %s UTC%s.", span_of(length).at,
                    moment_of(timing->first, true).at, moment_of(timing->last, false).at, more);
    if (timing->n_per_checkin > 1.2)
        finding_because(finding, "A check-in is %.1f %s on average, which count as one.",
                        timing->n_per_checkin, beacon->requests ? "requests" : "connections");
    if (timing->size_share >= 0.6)
        finding_because(finding, "%d %% of its check-ins carry the same number of bytes.",
                        percent(timing->size_share));
    if (beacon->requests && beacon->sum->n > 0) /* without conn.log nobody knows */
        finding_because(finding,
                        "It is seen in its requests: %" PRIu64 " connections carried them.",
                        beacon->sum->n);
    if (beacon->n_named > 0)
        finding_because(finding,
                        "%" PRIu64 " other connections to the address are known by name, and are "
                        "left out.",
                        beacon->n_named);
}

/* ---- who, and how common ---- */

static double weigh_way(const struct beacon *beacon, struct finding *finding)
{
    switch ((enum hunt_way)beacon->sum->way) {
    case HUNT_INSIDE:
        finding_because(finding, "Both ends are internal: machines watch one another like this.");
        return -0.4;
    case HUNT_IN:
        finding_because(finding, "It comes from outside: scanners of the Internet are timers too.");
        return -0.35;
    case HUNT_OUT:
    case HUNT_OUTSIDE:
        break;
    }
    return 0;
}

static struct str name_of(const struct hunt_judge *judge, const struct beacon *beacon,
                          const struct finding *finding, book_name *out)
{
    *out = 0;
    if (str_set(beacon->name))
        return beacon->name;
    if (finding->has_dst)
        *out = hunt_name_for(judge, &finding->src, &finding->dst.addr);
    return *out ? books_text(&judge->books, *out) : (struct str){0};
}

/* A name that others know an address by, which is not why this machine goes there: how many go
 * there for the name says nothing of it. 0: none. */
static book_name others_name_of(const struct hunt_judge *judge, const struct finding *finding)
{
    book_name name;
    return hunt_names_of(judge, &finding->dst.addr, &name, 1) == 1 ? name : 0;
}

/* A client may write any name into its SNI or Host. */
static bool is_pretended(const struct hunt_judge *judge, const struct beacon *beacon,
                         const struct finding *finding)
{
    struct named_key key;
    if (!str_set(beacon->name) || !finding->has_dst)
        return false;
    memcpy(&key, finding->events_key, sizeof(key));
    return named_is_pretended(judge, &key, &finding->dst, 1);
}

static double weigh_prevalence(const struct hunt_judge *judge, const struct beacon *beacon,
                               struct finding *finding, book_name name)
{
    struct hunt_prevalence seen = {0};
    if (str_set(beacon->name) && !is_pretended(judge, beacon, finding))
        seen = hunt_prevalence_of_name(judge, name);
    else if (str_set(beacon->name))
        seen = hunt_prevalence_of(judge, &finding->dst);
    else if (finding->has_dst && (name || !others_name_of(judge, finding)))
        seen = hunt_prevalence_of(judge, &finding->dst);
    if (seen.of == 0 || seen.n == 0)
        return 0;
    double share = (double)seen.n / seen.of;
    finding_number(finding, "prevalence", share);
    /* Inside, each machine is known to few. */
    bool is_rare = seen.of >= RARE_OF && (share <= RARE_SHARE || seen.n == 1);
    if (is_rare && beacon->sum->way != HUNT_INSIDE) {
        finding_because(finding, "Only %u of %u internal hosts contact it.", seen.n, seen.of);
        return 0.1;
    }
    if (seen.of >= COMMON_OF && share >= COMMON_SHARE) {
        finding_because(finding, "%u of %u internal hosts contact it: it is a common service.",
                        seen.n, seen.of);
        return -0.4;
    }
    return 0;
}

static double weigh_age(const struct hunt_judge *judge, const struct beacon *beacon,
                        struct finding *finding, book_name name)
{
    bool by_name = str_set(beacon->name) && !is_pretended(judge, beacon, finding);
    int64_t first = by_name            ? hunt_first_seen_of_name(judge, name)
                    : finding->has_dst ? hunt_first_seen_of(judge, &finding->dst)
                                       : HUNT_UNSET;
    int64_t history = hunt_history_from(judge);
    if (first == HUNT_UNSET || history == HUNT_UNSET || judge->newest < first)
        return 0;
    double age = (double)(judge->newest - first) / DAY_MS;
    /* What was there when the records began may be as old as the hills. */
    if (age <= NEW_DAYS && first - history >= DAY_MS) {
        finding_because(finding, "Nobody knew it before %s: it is new.", moment_of(first, true).at);
        return 0.1;
    }
    if (age >= OLD_DAYS) {
        finding_because(finding, "It has been known for %.0f days.", age);
        return -0.1;
    }
    return 0;
}

static double weigh_service(const struct hunt_judge *judge, struct str name,
                            const struct pair_sum *sum, struct finding *finding)
{
    /* A resolver's cache runs out at a pace, and its clients' timers show through. */
    if (sum->ports[0].port == 53 &&
        str_eq(books_text(&judge->books, sum->ports[0].service), STR("dns"))) {
        finding_because(finding, "Names are asked for there: what they say is another hunt's.");
        return -0.5;
    }
    const char *service = hunt_known_service(name, sum->ports[0].port, sum->ports[0].proto);
    if (!service)
        return 0;
    finding_because(finding, "That is a known service which machines ask at a pace: %s.", service);
    return -0.4;
}

/* None, or an address that was written where a name should be. */
static bool is_no_name(struct str name)
{
    char text[64];
    struct addr addr;
    if (!str_set(name) || name.len >= sizeof(text))
        return !str_set(name);
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    return addr_parse(text, &addr);
}

static double weigh_name(const struct hunt_judge *judge, const struct beacon *beacon,
                         struct finding *finding, struct str name)
{
    const char *feed = str_set(name) ? hunt_feed_of_name(judge, name) : NULL;
    if (!feed && finding->has_dst)
        feed = hunt_feed_of(judge, &finding->dst.addr);
    if (feed) {
        finding_because(finding, "It is on the list %s of what is known to be bad.", feed);
        return 0.25;
    }
    if (is_no_name(name) && finding->has_dst && hunt_is_public(&finding->dst.addr) &&
        beacon->sum->way == HUNT_OUT && beacon->sum->ports[0].proto == HUNT_TCP) {
        book_name of_others = others_name_of(judge, finding);
        struct str others = books_text(&judge->books, of_others);
        /* Who asks a resolver that is not seen, or none, may know it all the same. */
        if (!hunt_asks_dns(judge, &finding->src))
            return 0;
        if (of_others && others.len < 200)
            finding_because(finding,
                            "No name led this machine to its address: others know it as %.*s, "
                            "which it never asked for.",
                            (int)others.len, others.at ? others.at : "");
        else
            finding_because(finding, "No name led to its address: nobody asked DNS for it.");
        return 0.05;
    }
    return 0;
}

/* Films and downloads come in pieces at a pace, and loops of programs are timers for a moment. */
static double weigh_kind(const struct beacon *beacon, struct finding *finding)
{
    const struct timing *timing = &beacon->timing;
    double down = (double)beacon->sum->bytes_down /
                  fmax((double)beacon->sum->n / fmax(timing->n_per_checkin, 1), 1);
    double length = ((double)timing->last - (double)timing->first) / 1000;
    if (timing->period < 30 && down > BULK_BYTES && timing->kind != TIMING_RAMP) {
        finding_because(finding,
                        "Each check-in brings %.1f MB: films and downloads come in such pieces.",
                        down / 1e6);
        return -0.35;
    }
    if (length < 60 && timing->kind != TIMING_RAMP) {
        finding_because(finding, "All of it lasted less than a minute, as a program's loop may.");
        return -0.45;
    }
    if (length < 300 && timing->kind != TIMING_RAMP) {
        finding_because(finding, "All of it lasted less than five minutes.");
        return -0.1;
    }
    if (timing->kind == TIMING_CLOCK) {
        finding_because(finding, "What a clock starts is mostly a task of the system's.");
        return -0.1;
    }
    return 0;
}

/* ---- numbers ---- */

static int by_second(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* RITA's own score of the same events, to compare; too few: none. */
static void tell_rita(const struct hunt_judge *judge, const struct beacon *beacon,
                      struct finding *finding)
{
    int64_t *ts = malloc(2 * (beacon->n_events + 1) * sizeof(*ts));
    if (!ts)
        return;
    int64_t *sizes = ts + beacon->n_events;
    size_t n = 0;
    for (size_t i = 0; i < beacon->n_events; i++) {
        if (beacon->events[i].ts < judge->from)
            continue;
        ts[n] = beacon->events[i].ts / 1000;
        sizes[n++] = beacon->events[i].up;
    }
    qsort(ts, n, sizeof(*ts), by_second);
    struct rita_beacon rita;
    struct err err = {0};
    if (n > 0 && n < 86400 &&
        rita_beacon(ts, n, sizes, n, judge->from / 1000, judge->to / 1000, &rita, &err) == 0)
        finding_number(finding, "rita_score", rita.score);
    free(ts);
}

static void tell_numbers(const struct timing *timing, struct finding *finding)
{
    finding_number(finding, "period_s", timing->period);
    finding_number(finding, "jitter", timing->jitter);
    finding_number(finding, "checkins", timing->n_checkins);
    finding_number(finding, "events_per_checkin", timing->n_per_checkin);
    finding_number(finding, "missed", timing->n_missed);
    finding_number(finding, "pauses", timing->n_pauses);
    finding_number(finding, "active_share", timing->active_share);
    finding_number(finding, "window_h", (double)timing->window / 3600000);
    finding_number(finding, "size_share", timing->size_share);
    finding_number(finding, "timer_score", timing->score);
    finding_number(finding, "evidence_nats", timing->evidence);
    finding_number(finding, "false_per_million", fmax(timing->false_rate, 1e-6));
    finding_number(finding, "of_intervals", timing->of_intervals);
    finding_number(finding, "of_sizes", timing->of_sizes);
    finding_number(finding, "of_coverage", timing->of_coverage);
    finding_number(finding, "of_price", timing->of_price);
    if (timing->kind == TIMING_TWO_TIMERS) {
        finding_number(finding, "second_period_s", timing->second_period);
        finding_number(finding, "second_jitter", timing->second_jitter);
    }
}

void beacon_tell(const struct hunt_judge *judge, const struct beacon *beacon,
                 struct finding *finding)
{
    const struct timing *timing = &beacon->timing;
    book_name key = 0;
    struct str name = name_of(judge, beacon, finding, &key);
    if (str_set(beacon->name)) {
        struct named_key named;
        memcpy(&named, finding->events_key, sizeof(named));
        key = named.name;
    }
    tell_title(beacon, finding);
    tell_times(beacon, finding);
    tell_coverage(beacon, finding);
    double base = (beacon->failed ? SCORE_OF_FAILED : SCORE_OF_TIMER) * timing->score;
    if (beacon->failed)
        finding_because(finding, "Nothing came of its connections: what it asks for is gone, "
                                 "blocked, or not there yet.");
    struct str believed = name;
    if (is_pretended(judge, beacon, finding)) {
        finding_because(finding, "The name is its own word: DNS gave other addresses for it, and "
                                 "nobody else goes to this one.");
        believed = (struct str){0};
    }
    double weights =
        weigh_way(beacon, finding) + weigh_service(judge, believed, beacon->sum, finding) +
        weigh_prevalence(judge, beacon, finding, key) + weigh_age(judge, beacon, finding, key) +
        weigh_name(judge, beacon, finding, name) + weigh_kind(beacon, finding);
    finding->score = fmin(fmax(base + weights, 0.05), 1);
    finding->confidence *= (double)timing->n_checkins / (timing->n_checkins + 4.0);
    finding->n = timing->n_events;
    finding->first = timing->first;
    finding->last = timing->last;
    tell_numbers(timing, finding);
    finding_number(finding, "weight", weights);
    tell_rita(judge, beacon, finding);
}
