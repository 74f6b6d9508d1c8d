/* Servers' certificates that are not as they should be: made by a tool of attackers, or with the
 * defaults of one that makes certificates; signed by themselves; of another name than was asked
 * for; out of date, or valid for a strange time. One such thing is common; several at a server that
 * nobody else knows are not.
 *
 * ssl.log says which certificate a server showed (TLS 1.3 hides it), x509.log what it says. They
 * are put together at judging, as the one may come before or after the other. */
#include "hunt/certificate.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "hunt/look.h"
#include "hunt/tell.h"

#define DAY_MS    86400000LL
#define YEAR_MS   (365 * DAY_MS)
#define CLOCK_MS  946684800000LL /* 2000: before it a log's times are no dates */
#define SAN_TEXTS 4
#define SAN_LEN   1024 /* of each, as books keep them */

struct settings {
    uint32_t least; /* per cent of score */
    bool inside;
};

static const struct yaml_row rows[] = {
    {.key = "least",
     .value = "PERCENT",
     .help = "of the score, below which nothing is told: a certificate that is only\n"
             "signed by itself has 25",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, least),
     .min = 5,
     .max = 100},
    {.key = "inside",
     .help = "tell of servers inside as well, whose certificates are often their own",
     .kind = YAML_BOOL,
     .at = offsetof(struct settings, inside)},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct settings *)at = (struct settings){.least = 35};
}

/* What is in a subject or an issuer, whatever its case. */
static const struct trace {
    const char *part;
    const char *words;
    double score;
} traces[] = {
    {"Major Cobalt Strike", "Cobalt Strike's default certificate", 0.9},
    {"OU=AdvancedPenTesting", "Cobalt Strike's default certificate", 0.9},
    {"O=cobaltstrike", "Cobalt Strike's default certificate", 0.9},
    {"P18055077", "PoshC2's default certificate", 0.85},
    {"Pajfds", "PoshC2's default certificate", 0.85},
    {"AsyncRAT", "AsyncRAT's certificate", 0.9},
    {"DcRat", "DcRat's certificate", 0.9},
    {"Quasar Server", "Quasar's certificate", 0.9},
    {"Orcus Server", "Orcus's certificate", 0.9},
    {"BitRAT", "BitRAT's certificate", 0.9},
    {"VenomRAT", "VenomRAT's certificate", 0.9},
    {"MetasploitSelfSignedCA", "Metasploit's certificate", 0.9},
    {"O=Mythic", "Mythic's certificate", 0.8},
    {"CN=multiplayer", "Sliver's certificate", 0.8},
    {"CN=Covenant", "Covenant's certificate", 0.8},
    {"Global Security, OU=IT Department", "a placeholder that malware uses", 0.6},
    {"OU=IT Department,O=Global Security", "a placeholder that malware uses", 0.6},
    {"Internet Widgits Pty", "OpenSSL's default organisation", 0.3},
    {"ST=Some-State", "OpenSSL's default state", 0.3},
    {"Default Company Ltd", "a default organisation", 0.3},
    {"O=Acme Co", "the default organisation of Go's generator", 0.25},
    {"ST=SomeState", "a default state", 0.25},
    {"CN=example.com", "a placeholder as its name", 0.25},
    {NULL, NULL, 0},
};

/* ---- what is kept ---- */

struct cert_key {
    book_name print; /* fingerprint; of older logs, which have none, subject and issuer */
};
struct cert_value {
    int64_t first, last;           /* ms */
    int64_t not_before, not_after; /* ms; HUNT_UNSET */
    book_name subject, issuer;
    book_name san[SAN_TEXTS]; /* DNS names, '\n' between; cut into texts at a line's end */
    uint64_t n;
    uint32_t key_length;               /* bits; 0: not said */
    uint8_t is_rsa, is_cut, unused[2]; /* is_cut: there were more names */
};

static void merge_certs(void *at, const void *other)
{
    struct cert_value *into = at;
    const struct cert_value *from = other;
    int64_t first = into->first, last = into->last;
    uint64_t n = into->n;
    tell_merge_times(&first, &last, n, from->first, from->last, from->n);
    if (n == 0)
        *into = *from;
    into->first = first;
    into->last = last;
    into->n = n + from->n;
}

static const struct book_table cert_table = {
    .name = "certificates",
    .version = 1,
    .key_size = sizeof(struct cert_key),
    .value_size = sizeof(struct cert_value),
    .merge = merge_certs,
};

/* Who was shown which, by whom. */
struct shown_key {
    struct hunt_host src, dst;
    book_name print; /* as in cert_key */
    uint16_t port;
    uint16_t unused[3];
};
struct shown_value {
    int64_t first, last; /* ms */
    uint64_t n;
    book_name name; /* that was asked for first; 0: none */
    book_name subject, issuer, validation;
    uint32_t n_established;
    uint32_t touched;
};

static void merge_shown(void *at, const void *other)
{
    struct shown_value *into = at;
    const struct shown_value *from = other;
    tell_merge_times(&into->first, &into->last, into->n, from->first, from->last, from->n);
    if (into->n == 0) {
        into->name = from->name;
        into->subject = from->subject;
        into->issuer = from->issuer;
        into->validation = from->validation;
    }
    into->n += from->n;
    into->n_established += from->n_established;
    into->touched = into->touched > from->touched ? into->touched : from->touched;
}

static const struct book_table shown_table = {
    .name = "certificates_shown",
    .version = 1,
    .key_size = sizeof(struct shown_key),
    .value_size = sizeof(struct shown_value),
    .merge = merge_shown,
};
static const struct book_table *const tables[] = {&cert_table, &shown_table, NULL};

/* ---- taking ---- */

static void take_names(struct book *book, struct cert_value *value, struct str san)
{
    for (unsigned i = 0; i < SAN_TEXTS && san.len > 0; i++) {
        uint32_t len = san.len < SAN_LEN ? san.len : SAN_LEN;
        while (len < san.len && len > 0 && san.at[len - 1] != '\n')
            len--;
        if (len == 0)
            break; /* a name of a kilobyte is none */
        value->san[i] = book_text(book, str_upto(san, len));
        san = str_from(san, len);
    }
    value->is_cut = san.len > 0;
}

static int64_t ms_or_unset(int64_t ns)
{
    return ns == HUNT_UNSET ? HUNT_UNSET : hunt_ms(ns);
}

/* Older logs know a certificate by the file it came in, another one each time: there it is known by
 * what it says. */
static book_name print_of(struct book *book, struct str print, struct str subject,
                          struct str issuer)
{
    uint32_t n = 0;
    while (n < print.len &&
           ((print.at[n] >= '0' && print.at[n] <= '9') ||
            (str_lower_char(print.at[n]) >= 'a' && str_lower_char(print.at[n]) <= 'f')))
        n++;
    if (n == print.len && n >= 32)
        return book_hash(book, print);
    if (subject.len == 0)
        return 0;
    char text[1024];
    int len = snprintf(text, sizeof text, "%.*s\n%.*s", (int)str_upto(subject, 500).len, subject.at,
                       (int)str_upto(issuer, 500).len, issuer.at ? issuer.at : "");
    return book_hash(book, str_make(text, (size_t)len));
}

book_name certificate_of(struct book *book, const struct hunt_record *record)
{
    struct str chain = record->ssl.cert_chain;
    const char *comma = chain.len > 0 ? memchr(chain.at, ',', chain.len) : NULL;
    struct str print = comma ? str_upto(chain, (size_t)(comma - chain.at)) : chain;
    return print_of(book, print, record->ssl.subject, record->ssl.issuer);
}

bool certificate_is_self_signed(const struct hunt_judge *judge, book_name certificate)
{
    struct cert_key key = {.print = certificate};
    struct cert_value value;
    return certificate && books_find(&judge->books, &cert_table, &key, &value) && value.subject &&
           value.subject == value.issuer;
}

static void take_cert(const struct hunt_take *take, const struct hunt_record *record)
{
    struct cert_key key = {.print = print_of(take->book, record->x509.fingerprint,
                                             record->x509.subject, record->x509.issuer)};
    if (key.print == 0)
        return;
    struct cert_value *value = book_at(take->book, &cert_table, &key, NULL);
    if (!value)
        return;
    tell_see(&value->first, &value->last, value->n, hunt_ms(record->ts));
    if (value->n++ > 0)
        return;
    value->not_before = ms_or_unset(record->x509.not_before);
    value->not_after = ms_or_unset(record->x509.not_after);
    value->subject = book_text(take->book, record->x509.subject);
    value->issuer = book_text(take->book, record->x509.issuer);
    value->is_rsa = str_eq(record->x509.key_type, STR("rsa"));
    int64_t bits = record->x509.key_length;
    value->key_length = bits > 0 && bits < 1000000 ? (uint32_t)bits : 0;
    take_names(take->book, value, record->x509.san);
}

static void take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (record->log == HUNT_X509) {
        take_cert(take, record);
        return;
    }
    book_name known = certificate_of(take->book, record);
    if (!record->has_ends || known == 0 ||
        hunt_way(take->scope, &record->orig.addr, &record->resp.addr) == HUNT_IN)
        return;
    struct shown_key key = {
        .src = record->orig, .dst = record->resp, .print = known, .port = record->resp_port};
    struct shown_value *value = book_at(take->book, &shown_table, &key, NULL);
    if (!value)
        return;
    tell_see(&value->first, &value->last, value->n, hunt_ms(record->ts));
    if (value->n++ == 0) {
        char buffer[256];
        value->name = book_text(take->book, look_name(record->ssl.server_name, buffer));
        value->subject = book_text(take->book, record->ssl.subject);
        value->issuer = book_text(take->book, record->ssl.issuer);
        value->validation = book_text(take->book, record->ssl.validation);
    }
    value->n_established += record->ssl.established;
    value->touched = take->round;
}

/* ---- judging ---- */

static bool contains(struct str text, const char *part)
{
    size_t len = strlen(part);
    for (uint32_t i = 0; i + len <= text.len; i++)
        if (str_eq_nocase(str_upto(str_from(text, i), len), str_make(part, len)))
            return true;
    return false;
}

/* "*.example.com" fits one label more, and no others. */
static bool fits(struct str pattern, struct str name)
{
    if (!str_starts(pattern, STR("*.")))
        return str_eq_nocase(pattern, name);
    const char *dot = memchr(name.at, '.', name.len);
    return dot && str_eq_nocase(str_from(pattern, 2), str_from(name, (size_t)(dot - name.at) + 1));
}

/* CN of "CN=www.example.com,O=..." */
static struct str common_name(struct str subject)
{
    for (uint32_t i = 0; i + 3 <= subject.len; i++) {
        if ((i > 0 && subject.at[i - 1] != ',' && subject.at[i - 1] != ' ' &&
             subject.at[i - 1] != '/') ||
            !str_eq_nocase(str_upto(str_from(subject, i), 3), STR("CN=")))
            continue;
        struct str name = str_from(subject, i + 3);
        uint32_t n = 0;
        while (n < name.len && name.at[n] != ',' && name.at[n] != '/')
            n++;
        return str_upto(name, n);
    }
    return (struct str){0};
}

static bool is_of_name(const struct hunt_judge *judge, const struct cert_value *cert,
                       struct str subject, struct str name)
{
    if (fits(common_name(subject), name))
        return true;
    for (unsigned i = 0; i < SAN_TEXTS; i++) {
        struct str names = cert->san[i] ? books_text(&judge->books, cert->san[i]) : STR("");
        while (names.len > 0) {
            const char *end = memchr(names.at, '\n', names.len);
            size_t len = end ? (size_t)(end - names.at) : names.len;
            if (fits(str_trim(str_upto(names, len)), name))
                return true;
            names = str_from(names, end ? len + 1 : len);
        }
    }
    return false;
}

/* What is known of one, from both logs. */
struct facts {
    struct cert_value cert;
    bool has_cert;
    struct str subject, issuer, validation, name;
};

static double judge_makers(const struct facts *facts, struct finding *finding)
{
    for (const struct trace *trace = traces; trace->part; trace++) {
        if (!contains(facts->subject, trace->part) && !contains(facts->issuer, trace->part))
            continue;
        finding_because(finding, "%s: %.120s", trace->words, tell_words(facts->subject).at);
        return trace->score;
    }
    return 0;
}

static double judge_signer(const struct facts *facts, struct finding *finding)
{
    bool is_own = facts->subject.len > 0 && str_eq(facts->subject, facts->issuer);
    if (is_own || contains(facts->validation, "self signed certificate") ||
        contains(facts->validation, "self-signed certificate")) {
        finding_because(finding, "signed by itself: %.120s", tell_words(facts->subject).at);
        return 0.25;
    }
    /* Of what the analyser could not check, as it lacks a root, only the words are kept. */
    if (facts->validation.len > 0 && !str_eq(facts->validation, STR("ok")) &&
        !contains(facts->validation, "not yet valid") && !contains(facts->validation, "expired")) {
        finding_because(finding, "not valid: %.100s", tell_words(facts->validation).at);
        return 0.15;
    }
    return 0;
}

static double judge_dates(const struct facts *facts, int64_t first, struct finding *finding)
{
    int64_t from = facts->cert.not_before, to = facts->cert.not_after;
    if (!facts->has_cert || from == HUNT_UNSET || to == HUNT_UNSET)
        return 0;
    double score = 0;
    if (first >= CLOCK_MS && first > to) {
        finding_because(finding, "expired %.0f days before it was used",
                        (double)(first - to) / DAY_MS);
        score += 0.1;
    } else if (first >= CLOCK_MS && first < from - DAY_MS) {
        finding_because(finding, "used %.0f days before it becomes valid",
                        (double)(from - first) / DAY_MS);
        score += 0.15;
    }
    if (to <= from || to - from < DAY_MS) {
        finding_because(finding, "valid for less than a day");
        score += 0.15;
    } else if (to - from > 10 * YEAR_MS) {
        finding_because(finding, "valid for %.0f years", (double)(to - from) / YEAR_MS);
        score += 0.1;
    }
    return score;
}

static double judge_name(const struct hunt_judge *judge, const struct facts *facts,
                         struct finding *finding)
{
    if (facts->name.len == 0) {
        finding_because(finding, "the server was not asked for by a name");
        return 0.1;
    }
    if (!facts->has_cert || facts->cert.is_cut ||
        is_of_name(judge, &facts->cert, facts->subject, facts->name))
        return 0;
    finding_because(finding, "asked for %.80s, and got a certificate of %.80s",
                    tell_words(facts->name).at, tell_words(common_name(facts->subject)).at);
    return 0.2;
}

static void gather(const struct hunt_judge *judge, const struct shown_key *key,
                   const struct shown_value *value, struct facts *out)
{
    memset(out, 0, sizeof *out);
    struct cert_key cert_key = {.print = key->print};
    out->has_cert = books_find(&judge->books, &cert_table, &cert_key, &out->cert);
    book_name subject = out->has_cert && out->cert.subject ? out->cert.subject : value->subject;
    book_name issuer = out->has_cert && out->cert.issuer ? out->cert.issuer : value->issuer;
    out->subject = subject ? books_text(&judge->books, subject) : STR("");
    out->issuer = issuer ? books_text(&judge->books, issuer) : STR("");
    out->validation = value->validation ? books_text(&judge->books, value->validation) : STR("");
    out->name = value->name ? books_text(&judge->books, value->name) : STR("");
}

static void judge_one(void *with, const void *key_at, const void *value_at)
{
    const struct hunt_judge *judge = with;
    const struct settings *settings = judge->settings;
    const struct shown_key *key = key_at;
    const struct shown_value *value = value_at;
    if (!tell_is_due(judge, value->first, value->last, value->touched))
        return;
    struct facts facts;
    gather(judge, key, value, &facts);
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.about = key->port;
    double maker = judge_makers(&facts, &finding);
    double score = maker;
    score += judge_signer(&facts, &finding);
    score += judge_dates(&facts, value->first, &finding);
    if (facts.has_cert && facts.cert.is_rsa && facts.cert.key_length > 0 &&
        facts.cert.key_length < 2048) {
        finding_because(&finding, "a key of %u bits", facts.cert.key_length);
        score += 0.1;
    }
    bool is_inside = hunt_way(judge->scope, &key->src.addr, &key->dst.addr) == HUNT_INSIDE;
    if (score <= 0 && facts.name.len == 0)
        return;
    score += judge_name(judge, &facts, &finding);
    if (is_inside) {
        if (!settings->inside && maker < 0.5)
            return;
    } else {
        struct hunt_prevalence known = hunt_prevalence_of(judge, &key->dst);
        if (known.of >= 10 && known.n <= 1) {
            finding_because(&finding, "no other of %u internal hosts knows the server", known.of);
            score += 0.15;
        } else if (known.of >= 10 && known.n * 4 >= known.of && maker < 0.5) {
            finding_because(&finding, "but %u of %u internal hosts use the server", known.n,
                            known.of);
            score -= 0.15;
        }
    }
    if (score * 100 < settings->least - 0.01)
        return;
    finding.score = fmin(score, maker >= 0.5 ? 0.95 : 0.6);
    finding.confidence = maker >= 0.5 ? 0.9 : 0.5;
    tell_source(judge, &finding, &key->src);
    tell_destination(judge, &finding, &key->dst);
    tell_name(&finding, facts.name);
    tell_port(&finding, key->port, HUNT_TCP, STR("ssl"));
    finding.first = value->first;
    finding.last = value->last;
    finding.n = value->n;
    (void)snprintf(finding.title, sizeof finding.title, "certificate of %.100s",
                   facts.subject.len > 0 ? tell_words(facts.subject).at : "nobody");
    finding_number(&finding, "connections", (double)value->n);
    if (facts.has_cert && facts.cert.not_before != HUNT_UNSET && facts.cert.not_after != HUNT_UNSET)
        finding_number(&finding, "valid_days",
                       (double)(facts.cert.not_after - facts.cert.not_before) / DAY_MS);
    (void)findings_add(judge->findings, &finding);
}

static void judge(const struct hunt_judge *judge)
{
    struct hunt_judge with = *judge;
    books_each(&judge->books, &shown_table, judge->n_threads, judge_one, &with);
}

const struct hunt hunt_certificate = {
    .name = "certificate",
    .title = "Odd certificates",
    .summary = "servers whose certificates are of a tool, of another name, signed by themselves or "
               "out of date",
    .logs = HUNT_LOG_BIT(HUNT_SSL) | HUNT_LOG_BIT(HUNT_X509),
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .take = take,
    .judge = judge,
};
