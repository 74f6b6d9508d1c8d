/* Names on feeds that were asked for. Feeds have domains, and names below them match: a tunnel asks
 * for thousands of names below one, which are told as one. */
#include "hunt/intel.h"

#include <stdio.h>
#include <string.h>

#include "hunt/gather.h"
#include "hunt/pairs.h"
#include "hunt/scope.h"
#include "hunt/tell.h"

#define FEW      3 /* names of a domain that are told one by one */
#define HITS_MAX 262144

struct hit {
    struct hunt_host src;
    book_name domain; /* what can be registered, above the name */
    const char *feed;
    book_name name;
    struct asked_value asked;
};

struct hits {
    const struct hunt_judge *judge;
    struct gather all; /* struct hit */
};

static void begin(const struct hunt_judge *judge, const struct hit *hit, struct finding *finding)
{
    finding_init(finding, judge->hunt);
    finding->confidence = 0.8;
    finding->score = 0.6;
    finding->first = hit->asked.first;
    finding->last = hit->asked.last;
    finding->n = hit->asked.n;
    tell_source(judge, finding, &hit->src);
}

static void tell_one(const struct hunt_judge *judge, const struct hit *hit)
{
    struct str name = books_text(&judge->books, hit->name);
    struct finding finding;
    begin(judge, hit, &finding);
    tell_name(&finding, name);
    finding_because(&finding, "%.100s is on %.80s", tell_words(name).at, hit->feed);
    finding_because(&finding, "asked for %llu times; no connection by this name was seen",
                    (unsigned long long)finding.n);
    (void)snprintf(finding.title, sizeof finding.title, "asked for %.80s, which is on %.80s",
                   tell_words(name).at, hit->feed);
    (void)findings_add(judge->findings, &finding);
}

static void tell_many(const struct hunt_judge *judge, const struct hit *hits, size_t n)
{
    struct str name = books_text(&judge->books, hits[0].name);
    struct str domain = hunt_registrable(name);
    struct finding finding;
    begin(judge, &hits[0], &finding);
    for (size_t i = 1; i < n; i++) {
        tell_merge_times(&finding.first, &finding.last, finding.n, hits[i].asked.first,
                         hits[i].asked.last, hits[i].asked.n);
        finding.n += hits[i].asked.n;
    }
    tell_name(&finding, domain);
    finding_because(&finding, "%zu names of %.100s are on %.80s, such as %.100s", n,
                    tell_words(domain).at, hits[0].feed, tell_words(name).at);
    finding_because(&finding, "asked for %llu times; no connection by these names was seen",
                    (unsigned long long)finding.n);
    finding_number(&finding, "names", (double)n);
    (void)snprintf(finding.title, sizeof finding.title,
                   "asked for %zu names of %.80s, which are on %.80s", n, tell_words(domain).at,
                   hits[0].feed);
    (void)findings_add(judge->findings, &finding);
}

static void judge_asked(void *with, const void *key_at, const void *value_at)
{
    struct hits *hits = with;
    const struct hunt_judge *judge = hits->judge;
    const struct asked_key *key = key_at;
    const struct asked_value *value = value_at;
    if (!tell_is_due(judge, value->first, value->last, UINT32_MAX))
        return;
    struct str name = books_text(&judge->books, key->name);
    const char *feed = hunt_feed_of_name(judge, name);
    if (!feed)
        return;
    struct named_key named = {.name = key->name, .src = key->src};
    struct named_value talked;
    if (books_find(&judge->books, &named_table, &named, &talked))
        return;
    const struct hit hit = {.src = key->src,
                            .domain = book_hash(judge->books.at[0], hunt_registrable(name)),
                            .feed = feed,
                            .name = key->name,
                            .asked = *value};
    if (!gather_add(&hits->all, &hit))
        tell_one(judge, &hit);
}

/* Those of one host, domain and feed beside each other; and the same order in every run. */
static int by_end(const void *a_at, const void *b_at)
{
    const struct hit *a = a_at, *b = b_at;
    int order = memcmp(&a->src, &b->src, sizeof a->src);
    if (order == 0 && a->domain != b->domain)
        order = a->domain < b->domain ? -1 : 1;
    if (order == 0)
        order = strcmp(a->feed, b->feed);
    if (order == 0 && a->name != b->name)
        order = a->name < b->name ? -1 : 1;
    return order;
}

static bool is_one_end(const struct hit *a, const struct hit *b)
{
    return memcmp(&a->src, &b->src, sizeof a->src) == 0 && a->domain == b->domain &&
           strcmp(a->feed, b->feed) == 0;
}

void intel_judge_asked(const struct hunt_judge *judge)
{
    struct hits hits = {.judge = judge};
    gather_init(&hits.all, sizeof(struct hit), HITS_MAX);
    books_each(&judge->books, &asked_table, judge->n_threads, judge_asked, &hits);
    gather_sort(&hits.all, by_end);
    const struct hit *all = (const void *)hits.all.items;
    for (size_t i = 0, next; i < hits.all.n; i = next) {
        for (next = i + 1; next < hits.all.n && is_one_end(&all[i], &all[next]);)
            next++;
        if (next - i > FEW)
            tell_many(judge, &all[i], next - i);
        for (size_t k = i; next - i <= FEW && k < next; k++)
            tell_one(judge, &all[k]);
    }
    gather_done(&hits.all);
}
