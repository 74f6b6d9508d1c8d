/* Strobes: so many connections of a pair that it is no use to look at each. A connection a second
 * for a whole day, or a shorter stretch of several a second without a pause: a tool that polls, a
 * command channel without patience, or something that fails and tries again at once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hunt/twins.h"

struct strobe_settings {
    uint32_t in_day;  /* connections in the window */
    uint32_t in_fast; /* connections within two minutes, without a pause */
};

#define AT(member) offsetof(struct strobe_settings, member)

static const struct yaml_row strobe_rows[] = {
    {.key = "in-a-day",
     .help = "so many connections of a pair in the window are a strobe",
     .kind = YAML_COUNT,
     .at = AT(in_day),
     .min = 1000,
     .max = 100000000},
    {.key = "in-2-minutes",
     .help = "or so many within two minutes, without a pause of ten seconds",
     .kind = YAML_COUNT,
     .at = AT(in_fast),
     .min = 24,
     .max = 1000000},
    {.key = NULL},
};

static void strobe_defaults(void *settings)
{
    *(struct strobe_settings *)settings = (struct strobe_settings){.in_day = 86400, .in_fast = 120};
}

/* Resolvers and clocks answer all day, and from behind one address to many. */
static bool strobe_is_usual(const struct pair_sum *sum)
{
    const struct pair_port *port = &sum->ports[0];
    return (port->proto == HUNT_UDP && (port->port == 53 || port->port == 123)) ||
           port->proto == HUNT_ICMP;
}

static bool strobe_wants(const struct hunt_judge *judge, const struct pair_sum *sum)
{
    const struct strobe_settings *settings = judge->settings;
    uint64_t n = sum->n + sum->n_open;
    return n >= settings->in_day || (n >= settings->in_fast && !strobe_is_usual(sum));
}

#define STRETCH 120000ll /* ms */
#define SLOT    10000ll

/* The most events in two minutes in which no ten seconds are empty. */
static size_t strobe_fastest(const struct book_event *events, size_t n)
{
    size_t most = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && events[i].ts - events[i - 1].ts > SLOT)
            first = i;
        while (events[i].ts - events[first].ts > STRETCH)
            first++;
        /* A burst of a second is not a strobe: the two minutes have to be full. */
        if (events[i].ts - events[first].ts >= STRETCH - SLOT && i - first + 1 > most)
            most = i - first + 1;
    }
    return most;
}

static void strobe_judge_one(const struct hunt_judge *judge, const struct twin *twin)
{
    const struct strobe_settings *settings = judge->settings;
    struct book_event *events = NULL;
    size_t n_events = 0;
    if (!twin_events(judge, twin, &events, &n_events))
        return;
    /* What is over the limit of a series was counted, not kept: it was in the window too. */
    uint64_t n = n_events;
    if (n_events >= BOOK_SERIES_MAX)
        n = twin->sum.n;
    size_t fastest = strobe_fastest(events, n_events);
    uint64_t n_failed = 0;
    for (size_t i = 0; i < n_events; i++)
        n_failed += events[i].failed;
    double span = n_events > 1 ? (double)(events[n_events - 1].ts - events[0].ts) / 1000 : 0;
    free(events);

    bool is_many = n >= settings->in_day;
    bool is_fast = fastest >= settings->in_fast && !strobe_is_usual(&twin->sum);
    if (!is_many && !is_fast)
        return;
    struct finding finding;
    finding_init(&finding, judge->hunt);
    twin_fill(judge, &finding, twin);
    finding.n = n;
    finding.score = is_many ? 0.8 : 0.4 + 0.15 * log10((double)fastest / settings->in_fast);
    char time[32];
    gather_time_text(span, time);
    snprintf(finding.title, sizeof(finding.title), "%.0f connections in %s", (double)n, time);
    if (is_many)
        finding_because(&finding, "%.1f a second, all through the window",
                        span > 0 ? (double)n / span : 0);
    if (is_fast)
        finding_because(&finding, "%.1f a second for two minutes without a pause",
                        (double)fastest * 1000 / STRETCH);
    if (n_failed * 2 > n_events) {
        finding_because(&finding, "%.0f %% came to nothing: it is refused, and tries again",
                        100 * (double)n_failed / (double)n_events);
        finding.score -= 0.05;
    }
    struct hunt_prevalence known_by = twin_prevalence(judge, twin);
    if (known_by.of > 4 && known_by.n * 2 >= known_by.of) {
        finding_because(&finding, "%u of %u internal hosts know this destination", known_by.n,
                        known_by.of);
        finding.score -= 0.15;
    } else if (known_by.of > 4 && known_by.n <= 1) {
        finding_because(&finding, "no other of %u internal hosts knows this destination",
                        known_by.of);
        finding.score += 0.1;
    }
    const char *service = twin_service(judge, twin);
    if (service) {
        finding_because(&finding, "a known service: %s", service);
        finding.score -= 0.3;
    }
    if (twin->sum.way == HUNT_INSIDE) {
        finding_because(&finding, "between two inside, where programs poll each other");
        finding.score -= 0.2;
    }
    finding_number(&finding, "n_in_window", (double)n);
    finding_number(&finding, "most_in_2_minutes", (double)fastest);
    finding_number(&finding, "n_failed", (double)n_failed);
    finding_number(&finding, "span_s", span);
    if (finding.score >= 0.2)
        findings_add(judge->findings, &finding);
}

static void strobe_judge(const struct hunt_judge *judge)
{
    struct gather twins;
    twins_gather(judge, strobe_wants, &twins);
    const struct twin *items = (const struct twin *)(const void *)twins.items;
    for (size_t i = 0; i < twins.n; i++)
        strobe_judge_one(judge, &items[i]);
    gather_done(&twins);
}

const struct hunt hunt_strobe = {
    .name = "strobe",
    .title = "Strobes",
    .summary = "pairs with a connection a second for a day, or several a second without a pause",
    .settings = strobe_rows,
    .settings_size = sizeof(struct strobe_settings),
    .defaults = strobe_defaults,
    .judge = strobe_judge,
};
