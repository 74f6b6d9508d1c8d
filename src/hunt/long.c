/* Long connections: a pair that stays connected for hours, in one connection or in many that follow
 * each other; open ones too. What is summed is the time during which anything was connected, not
 * the durations: a page's twenty parallel connections are no long one.
 *
 * The base are the four levels that hunters know (1, 4, 8, 12 hours); what is long by nature (push
 * services, pools inside) lowers it, a rare destination or a port without a known protocol raises
 * it, each in words. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hunt/twins.h"

struct long_settings {
    int64_t least, low, medium, high; /* ns */
};

#define AT(member) offsetof(struct long_settings, member)
#define HOUR_NS    (3600 * 1000000000ll)

static const struct yaml_row long_rows[] = {
    {.key = "least",
     .help = "pairs that were connected for less are not told",
     .kind = YAML_TIME,
     .at = AT(least),
     .min = 60 * 1000000000ull,
     .max = 30 * 24 * HOUR_NS},
    {.key = "low",
     .help = "from here on medium",
     .kind = YAML_TIME,
     .at = AT(low),
     .min = 60 * 1000000000ull,
     .max = 30 * 24 * HOUR_NS},
    {.key = "medium",
     .help = "from here on high",
     .kind = YAML_TIME,
     .at = AT(medium),
     .min = 60 * 1000000000ull,
     .max = 30 * 24 * HOUR_NS},
    {.key = "high",
     .help = "nothing is higher than this long",
     .kind = YAML_TIME,
     .at = AT(high),
     .min = 60 * 1000000000ull,
     .max = 30 * 24 * HOUR_NS},
    {.key = NULL},
};

static void long_defaults(void *settings)
{
    *(struct long_settings *)settings = (struct long_settings){
        .least = HOUR_NS, .low = 4 * HOUR_NS, .medium = 8 * HOUR_NS, .high = 12 * HOUR_NS};
}

/* 0.2 to 0.8 in three straight pieces. */
static double long_level(const struct long_settings *settings, double seconds)
{
    const double at[4] = {(double)settings->least / 1e9, (double)settings->low / 1e9,
                          (double)settings->medium / 1e9, (double)settings->high / 1e9};
    if (seconds < at[0])
        return 0;
    for (int i = 0; i < 3; i++)
        if (seconds < at[i + 1])
            return 0.2 * (i + 1) + 0.2 * (seconds - at[i]) / (at[i + 1] - at[i]);
    return 0.8;
}

/* Of data that are shorter than two hours, a connection through nearly all of them is as long as
 * one can be there. */
#define SHORT_DATA  (2 * 3600.0)
#define SHORT_LEAST (15 * 60.0)
#define SHORT_SHARE 0.7
#define SHORT_LEVEL 0.25

static double long_data_span(const struct hunt_judge *judge)
{
    struct books window = gather_window(judge);
    int64_t begin = window.n > 0 ? book_day(window.at[0]) * GATHER_MS_DAY : judge->from;
    if (begin < judge->from)
        begin = judge->from;
    return (double)(judge->newest - begin) / 1000;
}

static bool long_wants(const struct hunt_judge *judge, const struct pair_sum *sum)
{
    const struct long_settings *settings = judge->settings;
    (void)judge;
    double all = (double)sum->duration / 1e6;
    return all * 1e9 >= (double)settings->least || (double)sum->longest / 1e6 >= SHORT_LEAST;
}

/* Seconds during which anything was connected, and when it ended; `events` by time. */
static double long_covered(const struct book_event *events, size_t n, int64_t *out_end)
{
    double covered = 0;
    int64_t until = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        int64_t begin = events[i].ts;
        uint64_t lasted = events[i].duration / 1000;
        int64_t end = lasted < (uint64_t)(30 * GATHER_MS_DAY) ? begin + (int64_t)lasted
                                                              : begin + 30 * GATHER_MS_DAY;
        if (begin < until)
            begin = until;
        if (end <= begin)
            continue;
        covered += (double)(end - begin) / 1000;
        until = end;
    }
    *out_end = until;
    return covered;
}

static const struct pair_port *long_port(const struct pair_sum *sum)
{
    const struct pair_port *longest = &sum->ports[0];
    for (int i = 1; i < PAIR_PORTS; i++)
        if (sum->ports[i].duration > longest->duration)
            longest = &sum->ports[i];
    return longest;
}

/* Ports on which phones and desktops wait for messages all day. */
static const struct long_push {
    uint16_t port;
    const char *name;
} long_pushes[] = {
    {5222, "chat (XMPP)"}, {5223, "Apple push"},    {5228, "Google push"}, {5229, "Google push"},
    {5230, "Google push"}, {8883, "MQTT over TLS"}, {1883, "MQTT"},        {0, NULL},
};

static const struct long_push long_pools[] = {
    {389, "LDAP"},      {445, "SMB"},    {636, "LDAP"},   {1433, "SQL Server"},
    {1521, "Oracle"},   {2049, "NFS"},   {3306, "MySQL"}, {5432, "PostgreSQL"},
    {5672, "AMQP"},     {6379, "Redis"}, {9092, "Kafka"}, {9200, "Elasticsearch"},
    {27017, "MongoDB"}, {0, NULL},
};

static const char *long_of(const struct long_push *list, uint16_t port)
{
    for (; list->name; list++)
        if (list->port == port)
            return list->name;
    return NULL;
}

/* What the port, the way, and who else knows it say. */
static double long_weigh_where(const struct hunt_judge *judge, struct finding *finding,
                               const struct twin *twin, const struct pair_port *port)
{
    double change = 0;
    const char *push = twin->sum.way == HUNT_INSIDE ? NULL : long_of(long_pushes, port->port);
    const char *service = push ? push : twin_service(judge, twin);
    if (service) {
        finding_because(finding, "a known service, long by nature: %s", service);
        change -= 0.4;
    }
    if (twin->sum.way == HUNT_INSIDE) {
        const char *pool = long_of(long_pools, port->port);
        finding_because(finding, "between two inside%s%s", pool ? ": a pool of connections, " : "",
                        pool ? pool : "");
        change -= pool ? 0.4 : 0.25;
    }
    if (twin_is_pretended(judge, twin)) {
        finding_because(finding, "the name is its own word: DNS gave other addresses for it");
        change += 0.1;
    }
    struct hunt_prevalence known_by = twin_prevalence(judge, twin);
    if (known_by.of > 4 && known_by.n * 2 >= known_by.of) {
        finding_because(finding, "%u of %u internal hosts know this destination", known_by.n,
                        known_by.of);
        change -= 0.4;
    } else if (known_by.of > 4 && known_by.n <= 1 && !service) {
        finding_because(finding, "no other of %u internal hosts knows this destination",
                        known_by.of);
        change += 0.1;
    }
    if (port->service == 0 && port->proto == HUNT_TCP && !push && twin->sum.way != HUNT_INSIDE) {
        finding_because(finding, "no known protocol was seen on port %u", port->port);
        change += 0.1;
    }
    return change;
}

/* What went through it. */
static double long_weigh_bytes(struct finding *finding, const struct twin *twin, double covered)
{
    double hours = covered / 3600;
    uint64_t up = twin->sum.bytes_up, down = twin->sum.bytes_down;
    double an_hour = hours > 0 ? ((double)up + (double)down) / hours : 0;
    char text[32];
    gather_bytes_text(an_hour < 1e18 ? (uint64_t)an_hour : (uint64_t)1e18, text);
    finding_number(finding, "bytes_an_hour", an_hour);
    if (an_hour < 20000) {
        finding_because(finding, "hardly used: %s an hour, no more than keep-alives", text);
        return -0.05;
    }
    finding_because(finding, "%s an hour went through it", text);
    if (up > 2 * down && up > 10000000) {
        finding_because(finding, "more than twice as much out as in");
        return 0.1;
    }
    return 0;
}

static void long_judge_one(const struct hunt_judge *judge, const struct twin *twin)
{
    const struct long_settings *settings = judge->settings;
    const struct pair_sum *sum = &twin->sum;
    struct book_event *events = NULL;
    size_t n = 0;
    if (!twin_events(judge, twin, &events, &n))
        return;
    double longest = (double)sum->longest / 1e6;
    int64_t end = 0;
    double covered = fmax(long_covered(events, n, &end), longest);
    free(events);
    double span = long_data_span(judge);

    double single = long_level(settings, longest);
    double summed = long_level(settings, covered);
    /* Many short ones in a row are traffic; some that last are a channel that is renewed. */
    if (longest < (double)settings->least / 1e9)
        summed -= longest < 300 ? 0.3 : 0.1;
    double score = fmax(single, summed);
    bool is_short_data =
        score <= 0 && span < SHORT_DATA && longest >= SHORT_LEAST && longest >= SHORT_SHARE * span;
    if (is_short_data)
        score = SHORT_LEVEL;
    if (score <= 0)
        return;

    struct finding finding;
    finding_init(&finding, judge->hunt);
    twin_fill(judge, &finding, twin);
    const struct pair_port *port = long_port(sum);
    char one[32], all[32];
    gather_time_text(longest, one);
    gather_time_text(covered, all);
    uint64_t n_all = sum->n + sum->n_open;
    if (single >= summed || n_all == 1)
        snprintf(finding.title, sizeof(finding.title), "one connection of %s on port %u%s", one,
                 port->port, sum->n_open == n_all ? ", still open" : "");
    else
        snprintf(finding.title, sizeof(finding.title),
                 "connected for %s in %.0f connections, mostly on port %u%s", all, (double)n_all,
                 port->port, sum->n_open == n_all ? ", still open" : "");
    finding_because(&finding, "the longest connection lasted %s, all together %s", one, all);
    if (is_short_data) {
        gather_time_text(span, all);
        finding_because(&finding, "that is nearly all of the %s of data", all);
        finding.confidence *= 0.7;
    }
    if (sum->n_open > 0)
        finding_because(&finding, "%.0f of them open now", (double)sum->n_open);
    score += long_weigh_where(judge, &finding, twin, port);
    score += long_weigh_bytes(&finding, twin, covered);
    finding.score = fmin(0.95, score);
    finding.n = n_all;
    /* One that is open has no event; the longest did not begin before the first. */
    int64_t longest_end = sum->first + (int64_t)(fmin(longest, 30 * 86400.0) * 1000);
    end = longest_end > end ? longest_end : end;
    /* The newest record is of a beginning, after which this one went on; but not behind --until. */
    if (end > finding.last)
        finding.last = judge->to < judge->newest && judge->to < end ? judge->to : end;
    finding_number(&finding, "longest_s", longest);
    finding_number(&finding, "connected_s", covered);
    finding_number(&finding, "total_s", (double)sum->duration / 1e6);
    finding_number(&finding, "n_open", (double)sum->n_open);
    finding_number(&finding, "port", port->port);
    if (finding.score >= 0.2)
        findings_add(judge->findings, &finding);
}

static void long_judge(const struct hunt_judge *judge)
{
    struct gather twins;
    twins_gather(judge, long_wants, &twins);
    const struct twin *items = (const struct twin *)(const void *)twins.items;
    for (size_t i = 0; i < twins.n; i++)
        long_judge_one(judge, &items[i]);
    gather_done(&twins);
}

const struct hunt hunt_long = {
    .name = "long-connection",
    .title = "Long connections",
    .summary = "pairs that stay connected for hours, in one connection or in many",
    .settings = long_rows,
    .settings_size = sizeof(struct long_settings),
    .defaults = long_defaults,
    .judge = long_judge,
};
