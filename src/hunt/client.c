/* Clients that nobody else has: a TLS fingerprint or user agent of one host alone, towards few
 * names; programs that pass for nothing else; attacks in the user agent itself.
 *
 * In a network of any size something is rare on nearly every machine. So rarity alone is never
 * told: it takes three signs at least (rare, and: a destination that nobody else knows, no name at
 * all, new on a machine that is known for longer, a tool on a machine that else browses), and of a
 * network with few clients nothing is called rare. What it judges is what the hunt `intel` took.
 *
 * And those that pass for a browser: by HTTP a machine says that it has one of today, and of all
 * its TLS nothing looks like a browser's. */
#include "hunt/hunt.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "hunt/look.h"
#include "hunt/prints.h"
#include "hunt/tell.h"

#define BROWSERS_MAX 2       /* that one person has */
#define DISGUISE     0.3     /* score */
#define DISGUISE_MS  3600000 /* of TLS at least: a browser that is used is seen */

struct settings {
    uint32_t clients;
    uint32_t names;
    uint32_t signs;
    uint32_t tls;
};

static const struct yaml_row rows[] = {
    {.key = "clients",
     .value = "HOSTS",
     .help = "of at least so many hosts with fingerprints (or user agents) one that\n"
             "is alone with its own is called rare",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, clients),
     .min = 3,
     .max = 1000000},
    {.key = "names",
     .help = "a client that is used towards more names than this is a program that\n"
             "its user works with",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, names),
     .min = 1,
     .max = PRINT_NAMES},
    {.key = "signs",
     .help = "how many signs there must be, rarity itself among them",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, signs),
     .min = 1,
     .max = 5},
    {.key = "tls",
     .value = "CONNECTIONS",
     .help = "of at least so many TLS connections with a JA4 none is as a browser's,\n"
             "though the machine's user agent is one",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, tls),
     .min = 1,
     .max = 1000000},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct settings *)at = (struct settings){.clients = 10, .names = 3, .signs = 3, .tls = 10};
}

/* ---- user agents ---- */

/* What a user agent contains, whatever its case. */
struct agent {
    const char *part;
    const char *words;
    double score; /* 0: odd only on a machine that has browsers */
};

static const struct agent agents[] = {
    /* No program names itself so. */
    {"${jndi:", "an attack on Log4j in the user agent", 0.8},
    {"${${", "an attack on Log4j in the user agent", 0.8},
    {"() { :", "an attack on bash in the user agent", 0.8},
    {"<?php", "code in the user agent", 0.8},
    {"<script", "code in the user agent", 0.7},
    {"union select", "an attack on a database in the user agent", 0.7},
    /* Tools of attackers, and of those who test. */
    {"sqlmap", "the tool sqlmap", 0.65},
    {"nikto", "the scanner Nikto", 0.65},
    {"nmap scripting", "the scanner Nmap", 0.6},
    {"masscan", "the scanner masscan", 0.65},
    {"zgrab", "the scanner ZGrab", 0.6},
    {"gobuster", "the scanner gobuster", 0.65},
    {"dirbuster", "the scanner DirBuster", 0.65},
    {"wpscan", "the scanner WPScan", 0.65},
    {"fuzz faster", "the scanner ffuf", 0.65},
    {"nuclei", "the scanner Nuclei", 0.6},
    {"hydra", "the password guesser Hydra", 0.65},
    {"meterpreter", "Metasploit", 0.8},
    /* Programs and libraries that scripts use. */
    {"powershell", "PowerShell", 0},
    {"certutil", "certutil", 0.45},
    {"curl/", "curl", 0},
    {"wget/", "Wget", 0},
    {"python-requests", "Python", 0},
    {"python-urllib", "Python", 0},
    {"aiohttp", "Python", 0},
    {"go-http-client", "a Go program", 0},
    {"libwww-perl", "Perl", 0},
    {"ruby", "Ruby", 0},
    {"java/", "a Java program", 0},
    {"okhttp", "a Java program", 0},
    {"winhttp", "a script by WinHTTP", 0},
    {"autoit", "an AutoIt script", 0.4},
    {"nim httpclient", "a Nim program", 0.4},
    {"msxml2", "a script by XMLHTTP", 0},
    {NULL, NULL, 0},
};

static bool contains(struct str text, const char *part)
{
    size_t len = strlen(part);
    for (uint32_t i = 0; i + len <= text.len; i++)
        if (str_eq_nocase(str_upto(str_from(text, i), len), str_make(part, len)))
            return true;
    return false;
}

static const struct agent *agent_of(struct str text)
{
    for (const struct agent *agent = agents; agent->part; agent++)
        if (contains(text, agent->part))
            return agent;
    return NULL;
}

/* A word that no program would be called by: letters and digits by chance. */
static bool is_by_chance(struct str agent)
{
    for (uint32_t i = 0; i < agent.len; i++)
        if (agent.at[i] == ' ' || agent.at[i] == '/' || agent.at[i] == '.' || agent.at[i] == '-')
            return false;
    return look_random(agent) > 0.5;
}

/* ---- judging ---- */

struct judging {
    const struct hunt_judge *judge;
    const struct settings *settings;
    uint32_t n_clients[PRINT_KINDS]; /* hosts with any of the kind */
};

static void count_client(void *with, const void *key_at, const void *value_at)
{
    (void)value_at;
    struct judging *judging = with;
    const struct print_client_key *key = key_at;
    if (key->kind < PRINT_KINDS)
        (void)__atomic_fetch_add(&judging->n_clients[key->kind], 1, __ATOMIC_RELAXED);
}

static void tell_destinations(const struct hunt_judge *judge, const struct print_value *value,
                              struct finding *finding)
{
    if (value->n_dsts == 1)
        tell_destination(judge, finding, &value->dst);
    if (value->n_names > 0)
        tell_name(finding, books_text(&judge->books, value->names[0]));
    if (value->n_names == 0 && value->n_dsts > 1)
        finding_because(finding, "towards several servers, the first was %s",
                        tell_addr(&value->dst.addr).at);
    else if (value->n_names > 1)
        finding_because(finding, "towards %s%u names, such as %.80s",
                        value->n_names > PRINT_NAMES ? "more than " : "",
                        value->n_names > PRINT_NAMES ? PRINT_NAMES : (unsigned)value->n_names,
                        tell_words(books_text(&judge->books, value->names[0])).at);
}

/* An attack, or a tool: by the text itself. */
static double judge_agent(const struct judging *judging, const struct print_key *key,
                          struct str text, struct finding *finding)
{
    const struct agent *agent = agent_of(text);
    if (agent && agent->score > 0) {
        finding_because(finding, "%s: %.120s", agent->words, tell_words(text).at);
        return agent->score;
    }
    struct print_client_key client_key = {.src = key->src, .kind = PRINT_AGENT};
    struct print_client_value client = {0};
    (void)books_find(&judging->judge->books, &print_client_table, &client_key, &client);
    if (!client.has_browser)
        return 0;
    if (agent)
        finding_because(finding, "%s, on a machine that else has browsers: %.100s", agent->words,
                        tell_words(text).at);
    else if (text.len == 0)
        finding_because(finding, "requests without a user agent, on a machine with browsers");
    else if (is_by_chance(text))
        finding_because(finding, "a user agent as if made by chance: %.100s", tell_words(text).at);
    else
        return 0;
    return 0.1;
}

/* A browser by its user agent, and nothing of its machine's TLS is one's. Machines that speak for
 * others (proxies that look into TLS, say) have many browsers. */
static bool is_disguised(const struct judging *judging, const struct print_key *key,
                         struct str text, struct finding *finding)
{
    struct print_client_key client_key = {.src = key->src, .kind = PRINT_AGENT};
    struct print_client_value by_http = {0}, by_tls = {0};
    if (key->kind != PRINT_AGENT || !prints_says_browser(text))
        return false;
    (void)books_find(&judging->judge->books, &print_client_table, &client_key, &by_http);
    client_key.kind = PRINT_JA4;
    if (!books_find(&judging->judge->books, &print_client_table, &client_key, &by_tls) ||
        by_tls.n < judging->settings->tls || by_tls.has_browser ||
        by_tls.last - by_tls.first < DISGUISE_MS || by_http.n_browsers > BROWSERS_MAX)
        return false;
    finding_because(finding, "it says that it is a browser: %.120s", tell_words(text).at);
    finding_because(finding,
                    "of %llu TLS connections of this machine, with %u different JA4, none is as a "
                    "browser's",
                    (unsigned long long)by_tls.n, by_tls.n_prints);
    return true;
}

/* Signs that nobody else does the same: what they add to the score. Negative: others do. */
static double judge_rarity(const struct judging *judging, const struct print_key *key,
                           const struct print_value *value, struct str text, unsigned *n_signs,
                           struct finding *finding)
{
    const struct hunt_judge *judge = judging->judge;
    const struct settings *settings = judging->settings;
    uint32_t n_clients = judging->n_clients[key->kind];
    struct print_hosts_key hosts_key = {.print = key->print, .kind = key->kind};
    struct print_hosts_value hosts = {0};
    (void)books_find(&judge->books, &print_hosts_table, &hosts_key, &hosts);
    if (n_clients < settings->clients || hosts.n != 1 || value->n_names > settings->names)
        return -1;
    double score = n_clients >= 100 ? 0.2 : 0.1;
    (*n_signs)++;
    finding_because(finding, "of %u hosts with a %s this one alone has %.80s", n_clients,
                    print_names[key->kind], text.len ? tell_words(text).at : "none");
    if (prints_is_lonely(judge, value, settings->clients, finding)) {
        (*n_signs)++;
        score += 0.15;
    }
    if (value->n_names == 0 && key->kind != PRINT_HASSH) {
        (*n_signs)++;
        score += 0.1;
        finding_because(finding, "the servers were not asked for by a name");
    }
    if (prints_is_new(judge, key, value, finding)) {
        (*n_signs)++;
        score += 0.1;
    }
    return score;
}

static void judge_one(void *with, const void *key_at, const void *value_at)
{
    const struct judging *judging = with;
    const struct hunt_judge *judge = judging->judge;
    const struct settings *settings = judging->settings;
    const struct print_key *key = key_at;
    const struct print_value *value = value_at;
    if (key->kind > PRINT_AGENT || !tell_is_due(judge, value->first, value->last, value->touched))
        return;
    struct str text = key->print ? books_text(&judge->books, key->print) : STR("");
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.about = print_about(text);
    double odd = key->kind == PRINT_AGENT ? judge_agent(judging, key, text, &finding) : 0;
    bool disguised = is_disguised(judging, key, text, &finding);
    unsigned n_signs = (odd > 0) + disguised;
    double rare = odd < 0.4 ? judge_rarity(judging, key, value, text, &n_signs, &finding) : 0;
    bool told = odd >= 0.4 || (rare >= 0 && n_signs >= settings->signs);
    if (!told && !disguised)
        return;
    double score = odd + fmax(rare, 0) + (disguised ? DISGUISE : 0);
    finding.score = fmin(score, odd >= 0.4 ? 1 : told ? 0.6 : 0.55);
    finding.confidence = odd >= 0.4 ? 0.8 : 0.4;
    tell_destinations(judge, value, &finding);
    tell_source(judge, &finding, &key->src);
    tell_port(&finding, value->port, HUNT_TCP, STR(""));
    finding.first = value->first;
    finding.last = value->last;
    finding.n = value->n;
    (void)snprintf(finding.title, sizeof finding.title, "%s %s: %.100s",
                   disguised    ? "a browser only by its"
                   : odd >= 0.4 ? "odd"
                                : "rare",
                   print_names[key->kind], text.len ? tell_words(text).at : "(none)");
    finding_number(&finding, "connections", (double)value->n);
    (void)findings_add(judge->findings, &finding);
}

static void judge(const struct hunt_judge *judge)
{
    struct judging judging = {.judge = judge, .settings = judge->settings};
    books_each(&judge->books, &print_client_table, judge->n_threads, count_client, &judging);
    books_each(&judge->books, &print_table, judge->n_threads, judge_one, &judging);
}

const struct hunt hunt_client = {
    .name = "client",
    .title = "Rare and odd clients",
    .summary = "TLS and SSH fingerprints and user agents that one machine alone has, or that say "
               "what they are",
    .settings = rows,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .judge = judge,
};
