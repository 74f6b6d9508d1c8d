/* Bursts of names that do not exist, of many different domains, by one client: a program that tries
 * the names that its domain generation algorithm gives it, until one is registered.
 *
 * A browser's probes (three single labels), search suffixes (all below the network's own domain),
 * block lists (all below the list's), and private top-level names do not count. Names that look as
 * if made by chance make it worse; words alone may as well be a filter that denies advertisements,
 * and stay low. */
#include "hunt/hunt.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "hunt/look.h"
#include "hunt/services.h"
#include "hunt/tell.h"

#define RECENT     64 /* domains that are remembered */
#define EXAMPLES   5
#define WINDOW_S   300
#define BEGINS     4 /* domains within five minutes that may become a burst */
#define MIN_RANDOM 3 /* names long enough to say how they look */

struct settings {
    uint32_t domains; /* different ones in five minutes */
};

static const struct yaml_row rows[] = {
    {.key = "domains",
     .help = "so many different domains that do not exist, within five minutes, asked\n"
             "for by one client, are a burst",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, domains),
     .min = 4,
     .max = RECENT},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct settings *)at = (struct settings){.domains = 10};
}

struct key {
    struct hunt_host client;
};

struct recent {
    uint32_t hash;
    uint32_t s;      /* since the epoch; 0: empty */
    uint32_t random; /* look_random in thousandths; UINT32_MAX: too short to say */
};

struct value {
    int64_t first, last; /* ms: of what did not exist */
    uint64_t n_queries, n_missing;
    uint64_t n_domains;                  /* different ones within five minutes, summed */
    uint32_t n_spells;                   /* periods of five minutes with any */
    uint32_t last_spell;                 /* number of the last, from the epoch on */
    uint32_t next;                       /* place in `recent` */
    uint32_t best;                       /* domains of the worst five minutes */
    uint32_t best_random, n_best_random; /* sum of thousandths, and of how many */
    uint32_t n_examples;
    int64_t best_at; /* ms: end of the worst five minutes */
    book_name examples[EXAMPLES];
    book_name found; /* one that looked alike, in a burst, and exists */
    struct recent recent[RECENT];
    /* Of a resolver: who asked it in vain in a burst, and for how many domains it was asked so. */
    struct hunt_host asker;
    uint32_t n_asked;
    uint32_t touched;
    uint32_t unused;
};

static void merge(void *at, const void *other)
{
    struct value *into = at;
    const struct value *from = other;
    tell_merge_times(&into->first, &into->last, into->n_missing, from->first, from->last,
                     from->n_missing);
    into->n_queries += from->n_queries;
    into->n_missing += from->n_missing;
    into->n_domains += from->n_domains;
    into->n_spells += from->n_spells;
    if (from->best > into->best) {
        into->best = from->best;
        into->best_at = from->best_at;
        into->best_random = from->best_random;
        into->n_best_random = from->n_best_random;
        into->n_examples = from->n_examples;
        memcpy(into->examples, from->examples, sizeof into->examples);
    }
    if (from->found)
        into->found = from->found;
    if (from->n_asked > into->n_asked)
        into->asker = from->asker;
    into->n_asked += from->n_asked;
    into->touched = into->touched > from->touched ? into->touched : from->touched;
}

static const struct book_table table = {
    .name = "dga",
    .version = 1,
    .key_size = sizeof(struct key),
    .value_size = sizeof(struct value),
    .merge = merge,
};
static const struct book_table *const tables[] = {&table, NULL};

static uint32_t random_of(struct str domain)
{
    double random = look_random(look_main_label(domain));
    return random < 0 ? UINT32_MAX : (uint32_t)(random * 1000);
}

/* Domains within five minutes of now, and how they look. */
static uint32_t count_recent(const struct value *value, uint32_t now, uint32_t *out_random,
                             uint32_t *out_n_random)
{
    uint32_t n = 0;
    *out_random = *out_n_random = 0;
    for (unsigned i = 0; i < RECENT; i++) {
        const struct recent *at = &value->recent[i];
        if (at->s == 0 || now - at->s > WINDOW_S)
            continue;
        n++;
        if (at->random == UINT32_MAX)
            continue;
        *out_random += at->random;
        *out_n_random += 1;
    }
    return n;
}

/* True: it is a new one, of what begins to be a burst. */
static bool take_missing(const struct hunt_take *take, struct value *value, struct str domain,
                         uint32_t now)
{
    uint32_t hash = (uint32_t)book_hash(take->book, domain);
    for (unsigned i = 0; i < RECENT; i++) {
        struct recent *at = &value->recent[i];
        if (at->s != 0 && at->hash == hash && now - at->s <= WINDOW_S) {
            at->s = now;
            return false;
        }
    }
    value->recent[value->next % RECENT] =
        (struct recent){.hash = hash, .s = now, .random = random_of(domain)};
    value->next = (value->next + 1) % RECENT;
    value->n_domains++;
    value->n_spells += value->n_spells == 0 || value->last_spell != now / WINDOW_S;
    value->last_spell = now / WINDOW_S;

    uint32_t random, n_random;
    uint32_t n = count_recent(value, now, &random, &n_random);
    if (n <= value->best)
        return n >= BEGINS;
    value->best = n;
    value->best_at = (int64_t)now * 1000;
    value->best_random = random;
    value->n_best_random = n_random;
    /* Names are kept only of what begins to be a burst: most clients never have one. */
    if (n >= BEGINS) {
        value->examples[value->n_examples % EXAMPLES] = book_text(take->book, domain);
        value->n_examples++;
    }
    return n >= BEGINS;
}

static void take(const struct hunt_take *take, const struct hunt_record *record)
{
    char buffer[256];
    struct str query = look_name(record->dns.query, buffer);
    if (!record->has_ends || query.len == 0 || !memchr(query.at, '.', query.len) ||
        record->resp_port == 5353 || record->resp_port == 5355 || record->resp_port == 137 ||
        !hunt_keeps_dns(take->scope, &record->orig.addr, &record->resp.addr))
        return;
    bool is_missing = record->dns.rcode == 3;
    struct key key = {.client = record->orig};
    struct value *value =
        is_missing ? book_at(take->book, &table, &key, NULL) : book_find(take->book, &table, &key);
    if (!value)
        return;
    value->n_queries++;
    int64_t ms = hunt_ms(record->ts);
    /* What exists says something only just after a burst. */
    if (!is_missing && (value->best < 6 || record->dns.rcode != 0 || record->dns.answers.len == 0 ||
                        ms - value->best_at > WINDOW_S * 1000))
        return;
    if (services_is_private(query) || services_of_zone(query))
        return;
    struct str domain = hunt_registrable(query);
    uint32_t now = ms > 1000 ? (uint32_t)(ms / 1000) : 1;
    if (is_missing) {
        tell_see(&value->first, &value->last, value->n_missing, ms);
        value->n_missing++;
        value->touched = take->round;
        if (!take_missing(take, value, domain, now) ||
            !hunt_is_internal(take->scope, &record->resp.addr))
            return;
        /* The resolver will ask on: it is not the one. */
        key.client = record->resp;
        value = book_at(take->book, &table, &key, NULL);
        if (value) {
            value->asker = record->orig;
            value->n_asked++;
        }
        return;
    }
    uint32_t random = random_of(domain);
    if (random != UINT32_MAX && random >= LOOK_RANDOM * 1000)
        value->found = book_text(take->book, domain);
}

static void tell_examples(const struct hunt_judge *judge, const struct value *value,
                          struct finding *finding)
{
    char text[FINDING_REASON_MAX] = "";
    size_t len = 0;
    unsigned n = value->n_examples < EXAMPLES ? value->n_examples : EXAMPLES;
    for (unsigned i = 0; i < n && len < 120; i++) {
        struct tell_words words = tell_words(books_text(&judge->books, value->examples[i]));
        int more = snprintf(text + len, sizeof text - len, "%s%.40s", i ? ", " : "", words.at);
        len += more > 0 ? (size_t)more : 0;
    }
    if (len > 0)
        finding_because(finding, "such as %s", text);
}

static void judge_one(void *with, const void *key_at, const void *value_at)
{
    const struct hunt_judge *judge = with;
    const struct settings *settings = judge->settings;
    const struct key *key = key_at;
    const struct value *value = value_at;
    if (!tell_is_due(judge, value->first, value->last, value->touched) ||
        value->best < settings->domains)
        return;
    bool is_random = value->n_best_random >= MIN_RANDOM &&
                     value->best_random >= LOOK_RANDOM * 1000 * value->n_best_random;
    /* Who asks for very much finds much that does not exist, all the time: a resolver, or a server
     * of mail. A burst stands out of that. */
    double usual = value->n_spells ? (double)value->n_domains / value->n_spells : 0;
    bool stands_out = value->n_spells < 6 || value->best >= 3 * usual;
    if (!is_random && !stands_out)
        return;

    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.confidence = is_random ? 0.9 : 0.5;
    finding_because(&finding, "%s%u different domains that do not exist, within five minutes",
                    value->best >= RECENT ? "at least " : "", value->best);
    tell_examples(judge, value, &finding);
    double score = 0.3;
    if (is_random) {
        score = 0.6 + 0.2 * log10((double)value->best / settings->domains);
        finding_because(&finding, "the names look as if made by chance");
        if (value->found) {
            score += 0.1;
            finding_because(&finding, "and one like them exists: %.100s",
                            tell_words(books_text(&judge->books, value->found)).at);
        }
        if (!stands_out) {
            score -= 0.2;
            finding_because(&finding, "but this client finds many that do not exist, all the time");
        }
    } else {
        finding_because(&finding,
                        "but the names look ordinary: a filter that denies them does so too");
    }
    if (value->n_asked * 2 >= value->best) {
        score = fmin(score, 0.3);
        finding_because(&finding, "but it asks for others: %s asked it for such names",
                        tell_addr(&value->asker.addr).at);
    }
    finding.score = fmin(score, 1);
    tell_source(judge, &finding, &key->client);
    finding.first = value->first;
    finding.last = value->last;
    finding.n = value->n_missing;
    (void)snprintf(finding.title, sizeof finding.title,
                   "%u domains that do not exist in five minutes%s", value->best,
                   is_random ? ", made by chance" : "");
    finding_number(&finding, "domains_in_5_min", value->best);
    finding_number(&finding, "nxdomain", (double)value->n_missing);
    finding_number(&finding, "usual_in_5_min", usual);
    if (value->n_best_random > 0)
        finding_number(&finding, "randomness",
                       (double)value->best_random / 1000 / value->n_best_random);
    (void)findings_add(judge->findings, &finding);
}

static void judge(const struct hunt_judge *judge)
{
    struct hunt_judge with = *judge;
    books_each(&judge->books, &table, judge->n_threads, judge_one, &with);
}

const struct hunt hunt_dga = {
    .name = "dga",
    .title = "Generated domains",
    .summary = "clients that ask for many domains that do not exist, in a short time",
    .logs = HUNT_LOG_BIT(HUNT_DNS),
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .take = take,
    .judge = judge,
};
