/* What is on a feed: addresses and names that our hosts talked with or asked for, and fingerprints
 * of programs that are known to be bad. One hit is a finding, however little was said; whether it
 * was answered, who began, and how much went over weigh in.
 *
 * Only the far end of a connection is looked up: lists of networks that should not be seen on the
 * Internet hold the private ones too. */
#include "hunt/hunt.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "hunt/certificate.h"
#include "hunt/intel.h"
#include "hunt/prints.h"
#include "hunt/tell.h"

#define LARGE_BYTES 25000000 /* RITA's bound for a hit with much data */

struct settings {
    bool inbound; /* also those who only knocked at our door */
    bool own;     /* the few fingerprints that are known here */
};

static const struct yaml_row rows[] = {
    {.key = "inbound",
     .help = "tell of listed addresses that connected from outside and were answered.\n"
             "Those that were not answered are never told: there are thousands a day",
     .kind = YAML_BOOL,
     .at = offsetof(struct settings, inbound)},
    {.key = "own-fingerprints",
     .help = "beside those of feeds, look for the few fingerprints that are built in",
     .kind = YAML_BOOL,
     .at = offsetof(struct settings, own)},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct settings *)at = (struct settings){.inbound = true, .own = true};
}

/* Published ones (JA3's and HASSH's own documents). Others share them, as a fingerprint is of a
 * library and its settings: alone they are told low. */
static const struct known {
    const char *print;
    const char *words;
    const char *answer; /* what its servers answer to it, JA3S; NULL: nothing is known */
} knowns[] = {
    {"e7d705a3286e19ea42f587b344ee6865", "Tor", NULL},
    {"6734f37431670b3ab4292b8f60f29984", "Trickbot", "623de93db17d313345d7ea481e7443cf"},
    {"623de93db17d313345d7ea481e7443cf", "Trickbot's servers", NULL},
    {"4d7a28d6f2263ed61de88ca66eb011e3", "Emotet", "80b3a14bccc8598a1f3bbe83e71f735f"},
    {"80b3a14bccc8598a1f3bbe83e71f735f", "Emotet's servers", NULL},
    {"fafc45381bfde997b6305c4e1600f1bf", "Metasploit's SSH (Ruby)", NULL},
    {"de30354b88bae4c2810426614e1b6976", "SSH of PowerShell (Empire)", NULL},
    {NULL, NULL, NULL},
};
#define KNOWN_ALONE 0.3 /* and so much for so many signs besides: one is medium, three are high */
static const double known_more[] = {0, 0.12, 0.22, 0.32, 0.4, 0.45, 0.5};
#define SIGNS_MAX   (sizeof known_more / sizeof known_more[0] - 1)
#define FEW_CLIENTS 10

static const struct book_table *const tables[] = {&print_table, &print_hosts_table,
                                                  &print_client_table, NULL};

static void tell_large(struct finding *finding, uint64_t bytes)
{
    if (bytes < LARGE_BYTES)
        return;
    finding->score += 0.15;
    finding_because(finding, "%.0f MB went over", (double)bytes / 1e6);
}

static void tell_bytes(struct finding *finding, uint64_t n, uint64_t n_failed, uint64_t up,
                       uint64_t down)
{
    finding_because(finding, "%llu of %llu connections were answered; %llu bytes out, %llu in",
                    (unsigned long long)(n - n_failed), (unsigned long long)n,
                    (unsigned long long)up, (unsigned long long)down);
    finding_number(finding, "answered", (double)(n - n_failed));
}

static void judge_pair(void *with, const void *key_at, const void *value_at)
{
    const struct hunt_judge *judge = with;
    const struct settings *settings = judge->settings;
    const struct pair_key *key = key_at;
    const struct pair_value *value = value_at;
    if (!tell_is_due(judge, value->sum.first, value->sum.last, value->sum.touched))
        return;
    bool is_inbound = value->sum.way == HUNT_IN;
    const struct addr *far = is_inbound ? &key->src.addr : &key->dst.addr;
    if (value->sum.way == HUNT_INSIDE)
        return;
    const char *feed = hunt_feed_of(judge, far);
    if (!feed)
        return;
    uint64_t n = value->sum.n + value->sum.n_open;
    uint64_t n_failed = value->sum.n_failed < n ? value->sum.n_failed : n;
    bool is_answered = n > n_failed;
    if (is_inbound && (!settings->inbound || !is_answered))
        return;
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.confidence = 0.9;
    finding_of_pair(judge, &finding, key, value);
    finding.score = is_inbound ? 0.4 : is_answered ? 0.8 : 0.6;
    finding_because(&finding, "%s is on %.100s", tell_addr(far).at, feed);
    if (is_inbound)
        finding_because(&finding, "it began the connections");
    tell_bytes(&finding, n, n_failed, value->sum.bytes_up, value->sum.bytes_down);
    tell_large(&finding, value->sum.bytes_up + value->sum.bytes_down);
    finding.score = fmin(finding.score, 1);
    (void)snprintf(finding.title, sizeof finding.title, "%s %s, which is on %.100s",
                   is_inbound    ? "reached by"
                   : is_answered ? "talked with"
                                 : "tried to reach",
                   tell_addr(far).at, feed);
    (void)findings_add(judge->findings, &finding);
}

static void judge_named(void *with, const void *key_at, const void *value_at)
{
    const struct hunt_judge *judge = with;
    const struct named_key *key = key_at;
    const struct named_value *value = value_at;
    if (!tell_is_due(judge, value->sum.first, value->sum.last, value->sum.touched))
        return;
    struct str name = books_text(&judge->books, key->name);
    const char *feed = hunt_feed_of_name(judge, name);
    if (!feed)
        return;
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.confidence = 0.9;
    finding_of_named(judge, &finding, key, value);
    finding.score = 0.8;
    finding_because(&finding, "%.100s is on %.80s", tell_words(name).at, feed);
    uint64_t n = value->sum.n + value->sum.n_open;
    tell_bytes(&finding, n, value->sum.n_failed < n ? value->sum.n_failed : n, value->sum.bytes_up,
               value->sum.bytes_down);
    tell_large(&finding, value->sum.bytes_up + value->sum.bytes_down);
    finding.score = fmin(finding.score, 1);
    (void)snprintf(finding.title, sizeof finding.title, "talked with %.80s, which is on %.80s",
                   tell_words(name).at, feed);
    (void)findings_add(judge->findings, &finding);
}

/* Whether the same server answers as such a program's servers do. */
static bool is_answered_so(const struct hunt_judge *judge, const struct print_key *key,
                           const struct print_value *value, const struct known *known)
{
    struct print_key answer = {.src = key->src, .kind = PRINT_JA3S};
    struct print_value found;
    if (!known->answer || key->kind != PRINT_JA3 || judge->books.n == 0)
        return false;
    answer.print = book_hash(judge->books.at[0], str_c(known->answer));
    return books_find(&judge->books, &print_table, &answer, &found) &&
           memcmp(&found.dst, &value->dst, sizeof found.dst) == 0;
}

/* What speaks for it besides the fingerprint: how many signs. */
static unsigned count_signs(const struct hunt_judge *judge, const struct print_key *key,
                            const struct print_value *value, const struct known *known,
                            struct finding *finding)
{
    bool is_tls = key->kind != PRINT_HASSH && key->kind != PRINT_HASSH_SERVER;
    unsigned n = prints_is_lonely(judge, value, FEW_CLIENTS, finding);
    n += prints_is_new(judge, key, value, finding);
    if (is_tls && value->n_names == 0) {
        n++;
        finding_because(finding, "the servers were not asked for by a name");
    }
    if (is_tls &&
        (value->n_self_signed > 0 || certificate_is_self_signed(judge, value->certificate))) {
        n++;
        finding_because(finding, "the certificate is signed by itself");
    }
    if (is_answered_so(judge, key, value, known)) {
        n += 2; /* two fingerprints of one program do not meet by chance */
        finding_because(finding, "and the server answers as %s's do: JA3S %s", known->words,
                        known->answer);
    }
    return n;
}

static void judge_known(const struct hunt_judge *judge, const struct print_key *key,
                        const struct print_value *value, const struct known *known,
                        struct finding *finding)
{
    unsigned n = count_signs(judge, key, value, known, finding);
    finding->score = KNOWN_ALONE + known_more[n < SIGNS_MAX ? n : SIGNS_MAX];
    if (n == 0)
        finding_because(finding, "nothing else speaks for it: many programs have this fingerprint");
    else
        finding_because(finding, "the fingerprint alone would be low: %u sign%s more", n,
                        n == 1 ? "" : "s");
}

static void judge_print(void *with, const void *key_at, const void *value_at)
{
    const struct hunt_judge *judge = with;
    const struct settings *settings = judge->settings;
    const struct print_key *key = key_at;
    const struct print_value *value = value_at;
    if (key->kind >= PRINT_KINDS || key->kind == PRINT_AGENT || key->print == 0 ||
        !tell_is_due(judge, value->first, value->last, value->touched))
        return;
    struct str print = books_text(&judge->books, key->print);
    const char *feed = hunt_feed_of_fingerprint(judge, print);
    const struct known *known = knowns;
    while (known->print && (!settings->own || !str_eq(print, str_c(known->print))))
        known++;
    if (!feed && !known->print)
        return;
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.about = print_about(print);
    bool is_server = key->kind == PRINT_JA3S || key->kind == PRINT_HASSH_SERVER;
    finding.score = is_server ? 0.55 : 0.65;
    finding.confidence = 0.5;
    if (feed)
        finding_because(&finding, "the %s %.64s is on %.80s", print_names[key->kind],
                        tell_words(print).at, feed);
    else
        finding_because(&finding, "the %s %.64s is known of %s", print_names[key->kind],
                        tell_words(print).at, known->words);
    if (!feed)
        judge_known(judge, key, value, known, &finding);
    finding_because(&finding, "others that use the same library may share it");
    if (value->n_dsts == 1)
        tell_destination(judge, &finding, &value->dst);
    else
        finding_because(&finding, "towards several servers, the first was %s",
                        tell_addr(&value->dst.addr).at);
    if (value->n_names > 0)
        tell_name(&finding, books_text(&judge->books, value->names[0]));
    tell_source(judge, &finding, &key->src);
    tell_port(&finding, value->port, HUNT_TCP,
              key->kind == PRINT_HASSH || key->kind == PRINT_HASSH_SERVER ? STR("ssh")
                                                                          : STR("ssl"));
    finding.first = value->first;
    finding.last = value->last;
    finding.n = value->n;
    (void)snprintf(finding.title, sizeof finding.title, "%s of %.100s", print_names[key->kind],
                   feed ? feed : known->words);
    (void)findings_add(judge->findings, &finding);
}

static void judge(const struct hunt_judge *judge)
{
    struct hunt_judge with = *judge;
    books_each(&judge->books, &print_table, judge->n_threads, judge_print, &with);
    if (!hunt_feeds(judge))
        return;
    books_each(&judge->books, &pair_table, judge->n_threads, judge_pair, &with);
    books_each(&judge->books, &named_table, judge->n_threads, judge_named, &with);
    intel_judge_asked(judge);
}

const struct hunt hunt_intel = {
    .name = "intel",
    .title = "Known to be bad",
    .summary = "addresses, names and fingerprints that are on feeds",
    .logs = PRINT_LOGS,
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .take = prints_take,
    .judge = judge,
};
