/* Judging what the hunt for DNS tunnels kept: see dns_tunnel.c. */
#include "hunt/dns_tunnel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hunt/services.h"
#include "hunt/tell.h"

#define POLLS_READ 4096

static const char *const type_names[TUNNEL_TYPES] = {
    "address", "TXT", "NULL, KEY or private", "CNAME", "MX", "SRV", "other",
};

struct judging {
    const struct hunt_judge *judge;
    const struct dns_tunnel_settings *settings;
};

static uint32_t names_of(const struct hunt_judge *judge, const struct tunnel_key *key,
                         const struct tunnel_value *value)
{
    if (value->n_names <= TUNNEL_FEW)
        return value->n_names;
    struct unique whole = {0};
    struct tunnel_key part = *key;
    part.part = 0;
    if (!books_find(&judge->books, &dns_tunnel_names, &part, &whole))
        return value->n_names;
    uint32_t n = 0;
    if (whole.is_parted) {
        for (part.part = 1; part.part <= TUNNEL_PARTS; part.part++) {
            struct unique names = {0};
            if (!books_find(&judge->books, &dns_tunnel_names, &part, &names))
                continue;
            /* Another day's, which were too few to be in parts there. */
            for (unsigned i = 0; !whole.is_rounded && i < whole.n && i < UNIQUE_EXACT; i++)
                if (tunnel_part_of(whole.hash[i]) == part.part)
                    (void)unique_add(&names, whole.hash[i]);
            n += unique_count(&names);
        }
        return n > UNIQUE_EXACT ? n : UNIQUE_EXACT;
    }
    return unique_count(&whole);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The gaps between check-ins, sorted; what comes within `together` of the one before belongs to it.
 */
static size_t gaps_of(const struct book_event *events, size_t n, int64_t together,
                      int64_t gaps[POLLS_READ])
{
    size_t n_gaps = 0;
    int64_t last = 0;
    for (size_t i = 0; i < n && n_gaps < POLLS_READ; i++) {
        if (i > 0 && events[i].ts - last < together)
            continue;
        if (i > 0)
            gaps[n_gaps++] = events[i].ts - last;
        last = events[i].ts;
    }
    qsort(gaps, n_gaps, sizeof gaps[0], compare);
    return n_gaps;
}

/* How regular the queries for text are: the share of intervals that are far below or above the
 * median, against what chance gives (0.159 and 0.25 of a Poisson process). 1: a timer, 0: chance.
 * `out_period`: the median, in seconds. */
static double regularity(struct book_event *events, size_t n, double *out_period)
{
    int64_t gaps[POLLS_READ];
    /* Several within two seconds are one check-in. Where gaps of two seconds are about all there
     * is, that is what made them so: each query counts by itself. */
    size_t n_gaps = gaps_of(events, n, 2000, gaps);
    if (n_gaps > 0 && gaps[n_gaps / 2] < 10000)
        n_gaps = gaps_of(events, n, 0, gaps);
    *out_period = 0;
    if (n_gaps < 5)
        return 0;
    double median = (double)gaps[n_gaps / 2];
    size_t n_low = 0, n_high = 0;
    for (size_t i = 0; i < n_gaps; i++) {
        n_low += (double)gaps[i] < median / 4;
        n_high += (double)gaps[i] > median * 2;
    }
    *out_period = median / 1000;
    double low = (double)n_low / (double)n_gaps, high = (double)n_high / (double)n_gaps;
    double b = 1 - (low / 0.159 + high / 0.25) / 2;
    return b > 0 ? b : 0;
}

/* Many names, all new. 0: no tunnel by them. */
static double judge_names(const struct dns_tunnel_settings *settings,
                          const struct tunnel_value *value, uint32_t n_names,
                          struct finding *finding)
{
    double share = value->n ? (double)n_names / (double)value->n : 0;
    double days = (double)(value->last - value->first) / 86400000;
    double a_day = (double)value->up / (days > 1 ? days : 1);
    double mean = value->n ? (double)value->up / (double)value->n : 0;
    bool is_burst = value->best_burst >= settings->burst_names;
    bool is_many = n_names >= settings->day_names;
    bool is_slow = a_day >= (double)settings->slow_bytes && mean >= 20 && n_names >= 50;
    if (share * 100 < settings->unique_share || !(is_burst || is_many || is_slow))
        return 0;

    double score = 0.4;
    double times = (double)n_names / settings->burst_names;
    score += times > 1 ? 0.1 * fmin(log10(times), 2) : 0;
    finding_because(finding, "%u different names in %llu queries (%.0f %%)", n_names,
                    (unsigned long long)value->n, share * 100);
    if (is_burst)
        finding_because(finding, "%u of them within ten minutes", value->best_burst);
    else if (is_slow)
        finding_because(finding, "slowly: %.0f kB a day in names", a_day / 1000);

    if (mean >= 20) {
        score += mean >= 50 ? 0.2 : 0.1;
        finding_because(finding, "long names: %.0f characters below the domain, on average", mean);
    }
    double n = (double)value->n;
    double rare = (double)value->n_types[TUNNEL_NULL] / n;
    double odd = rare + (double)(value->n_types[TUNNEL_TXT] + value->n_types[TUNNEL_CNAME] +
                                 value->n_types[TUNNEL_MX] + value->n_types[TUNNEL_SRV]) /
                            n;
    unsigned most = 0;
    for (unsigned i = 1; i < TUNNEL_TYPES; i++)
        if (value->n_types[i] > value->n_types[most])
            most = i;
    if (odd >= 0.5) {
        score += rare >= 0.5 ? 0.3 : 0.2;
        finding_because(finding, "%.0f %% of the queries are for %s records", odd * 100,
                        type_names[most]);
    }
    if (a_day >= (double)settings->slow_bytes) {
        score += 0.1;
        finding_because(finding, "%.0f kB went out in names", (double)value->up / 1000);
    }
    double missing = (double)value->n_missing / n;
    if (missing > 0.5) {
        /* Somebody tries names, or a list is asked: a tunnel's names exist. */
        score -= 0.25;
        finding_because(finding, "but %.0f %% of the names do not exist: rather a search for names",
                        missing * 100);
    } else if (odd < 0.5 && mean < 20) {
        /* Many short names of addresses: a large site, or somebody who lists it. */
        score -= 0.15;
        finding_because(finding, "but the names are short, and asked for addresses");
    }
    return fmin(fmax(score, 0.2), 1);
}

/* Few queries for text, again and again, with other names or answers each time. */
static double judge_polls(const struct judging *judging, const struct tunnel_key *key,
                          const struct tunnel_value *value, uint32_t n_names,
                          struct finding *finding)
{
    uint32_t n_text = value->n_types[TUNNEL_TXT] + value->n_types[TUNNEL_NULL];
    if (n_text < judging->settings->polls || (double)n_text < 0.5 * (double)value->n ||
        (n_names < 5 && value->n_changes < 3))
        return 0;
    struct book_event *events = NULL;
    size_t n = 0;
    const struct hunt_judge *judge = judging->judge;
    if (!books_events(&judge->books, &dns_tunnel_table, key, 0, judge->from, judge->to + 1, &events,
                      &n))
        return 0;
    double period;
    double regular = regularity(events, n, &period);
    free(events);
    if (regular < 0.6)
        return 0;
    finding_because(finding,
                    "asks for text every %.*f s or so, %u times, with %u different names and %u "
                    "changes of the answer",
                    period < 10, period, n_text, n_names, value->n_changes);
    finding_number(finding, "period_s", period);
    finding_number(finding, "regularity", regular);
    return 0.45 + 0.15 * (regular - 0.6) / 0.4 + ((double)n_text >= 0.9 * (double)value->n) * 0.1;
}

static double judge_text(const struct dns_tunnel_settings *settings,
                         const struct tunnel_value *value, bool is_private, struct finding *finding)
{
    if (value->n_mixed == 0 || value->most_entropy < settings->entropy)
        return 0;
    finding_because(finding, "%u answers of text with up to %.2f bits of entropy for each byte",
                    value->n_mixed, value->most_entropy / 100.0);
    if (is_private) {
        finding_because(finding, "but a device says it of itself to its neighbours (mDNS)");
        return 0.2;
    }
    return value->n_mixed >= 10 ? 0.5 : 0.3;
}

/* A resolver asks for others: who, if that was seen. */
static double judge_resolver(const struct judging *judging, const struct tunnel_key *key,
                             double score, struct finding *finding)
{
    const struct hunt_judge *judge = judging->judge;
    struct tunnel_client_key of = {.client = key->client, .domain = key->domain};
    struct tunnel_client_value asked = {0}, client = {0};
    if (books_find(&judge->books, &dns_tunnel_clients, &of, &asked) && asked.n > 0) {
        finding_because(finding, "but it asks for others: %s asked it for these names",
                        tell_addr(&asked.asker.addr).at);
        return fmin(score, 0.3);
    }
    of.domain = 0;
    if (books_find(&judge->books, &dns_tunnel_clients, &of, &client) &&
        client.n_domains >= judging->settings->resolver)
        finding_because(finding,
                        "it asks for %u domains, as a resolver does: the machine behind it was "
                        "not seen asking",
                        client.n_domains);
    return score;
}

static void judge_one(void *with, const void *key_at, const void *value_at)
{
    const struct judging *judging = with;
    const struct hunt_judge *judge = judging->judge;
    const struct tunnel_key *key = key_at;
    const struct tunnel_value *value = value_at;
    if (!tell_is_due(judge, value->first, value->last, value->touched) || value->n == 0)
        return;
    uint32_t n_text = value->n_types[TUNNEL_TXT] + value->n_types[TUNNEL_NULL];
    if (value->n_names <= TUNNEL_FEW && value->n_mixed == 0 && n_text < judging->settings->polls)
        return;

    struct str domain = books_text(&judge->books, key->domain);
    uint32_t n_names = names_of(judge, key, value);
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.confidence = value->n >= 100 ? 1 : 0.5 + (double)value->n / 200;
    double by_names = judge_names(judging->settings, value, n_names, &finding);
    double by_polls = judge_polls(judging, key, value, n_names, &finding);
    double by_text = judge_text(judging->settings, value, services_is_private(domain), &finding);
    double score = fmax(by_names, fmax(by_polls, by_text));
    if (score <= 0)
        return;
    if (by_names > 0 || by_polls > 0)
        score = judge_resolver(judging, key, score, &finding);
    if (!services_is_private(domain))
        finding_because(&finding, "asked by way of %s", tell_addr(&value->server.addr).at);
    tell_source(judge, &finding, &key->client);
    tell_name(&finding, domain);
    finding.score = score;
    finding.first = value->first;
    finding.last = value->last;
    finding.n = value->n;
    finding.bytes_up = value->up;
    finding.bytes_down = value->down;
    struct tell_words words = tell_words(domain);
    (void)snprintf(finding.title, sizeof finding.title,
                   by_names > 0   ? "%.*s: %u names, %llu bytes out in them"
                   : by_polls > 0 ? "%.*s: %u names, regular queries for text"
                                  : "%.*s: text answers of high entropy",
                   100, words.at, n_names, (unsigned long long)value->up);
    finding_number(&finding, "names", n_names);
    finding_number(&finding, "queries", (double)value->n);
    finding_number(&finding, "names_in_10_min", value->best_burst);
    finding_number(&finding, "mean_length", (double)value->up / (double)value->n);
    finding_number(&finding, "longest_name", value->longest);
    finding_number(&finding, "entropy", (double)value->entropy / 1000 / (double)value->n);
    finding_number(&finding, "txt", value->n_types[TUNNEL_TXT]);
    finding_number(&finding, "null_key_private", value->n_types[TUNNEL_NULL]);
    finding_number(&finding, "cname_mx_srv",
                   value->n_types[TUNNEL_CNAME] + value->n_types[TUNNEL_MX] +
                       value->n_types[TUNNEL_SRV]);
    finding_number(&finding, "nxdomain", value->n_missing);
    finding_number(&finding, "text_entropy", value->most_entropy / 100.0);
    finding.events_of = &dns_tunnel_table;
    memcpy(finding.events_key, key, sizeof *key);
    (void)findings_add(judge->findings, &finding);
}

void dns_tunnel_judge(const struct hunt_judge *judge)
{
    struct judging judging = {.judge = judge, .settings = judge->settings};
    books_each(&judge->books, &dns_tunnel_table, judge->n_threads, judge_one, &judging);
}
