/* A hunt: one file that exports a `const struct hunt`, and one line in list.h.
 *
 * It may take records as they come and keep what it needs in its own tables of the day's book; and
 * it judges: walks tables (its own, or those of pairs.h) and gives findings. It runs the same over
 * a folder of logs and in a running watch; it must not keep anything else between the two calls. */
#ifndef HUNT_HUNT_H
#define HUNT_HUNT_H

#include "base/yaml.h"
#include "hunt/finding.h"

#define HUNT_SETTINGS_MAX 512 /* bytes of one hunt's settings */

struct hunt_take {
    struct book *book; /* of the record's day */
    const struct hunt_scope *scope;
    const void *settings; /* the hunt's own */
    uint32_t round;
};

/* What the judging may use. All of it is read only, and may be used from several threads. */
struct hunt_judge {
    const struct hunt *hunt;
    const void *settings;
    struct books books;
    const struct hunt_scope *scope;
    const struct hunt_world *world;
    int64_t from, to;     /* ms: the window; what is older is history */
    int64_t newest;       /* ms: of all records; "now" for logs */
    uint32_t since_round; /* a running watch: values with `touched` below were judged; 0: all */
    unsigned n_threads;
    struct findings *findings;
};

struct hunt {
    const char *name;    /* "dns-tunnel": in JSON, filters and the configuration */
    const char *title;   /* "DNS tunnels" */
    const char *summary; /* one sentence for --help and the manual */
    uint32_t logs;       /* HUNT_LOG_BIT of what `take` wants */
    const struct book_table *const *tables; /* its own, ended by NULL; or NULL */

    /* The configuration's `hunts: NAME:`; rows ended by a row without key; or NULL. */
    const struct yaml_row *settings;
    size_t settings_size; /* at most HUNT_SETTINGS_MAX */
    void (*defaults)(void *settings);

    void (*take)(const struct hunt_take *take, const struct hunt_record *record); /* or NULL */
    void (*judge)(const struct hunt_judge *judge);                                /* or NULL */
    /* Of a record that will be taken soon: book_fetch, in its steps, of what `take` will look up in a
     * large table; or NULL. */
    void (*fetch)(const struct hunt_take *take, const struct hunt_record *record, unsigned step);
};

#define HUNT(name) extern const struct hunt hunt_##name;
#include "hunt/list.h"
#undef HUNT

extern const struct hunt *const hunts[]; /* ended by NULL; in the order of list.h */

/* ---- what is known of the world (world.c), made once before the judging ---- */

/* Internal hosts that contacted the address, or asked for or contacted the name; and all of them:
 * for names and addresses outside, all that ask for names or talk to others, as RITA counts. */
struct hunt_prevalence {
    uint32_t n, of;
};
struct hunt_prevalence hunt_prevalence_of(const struct hunt_judge *judge,
                                          const struct hunt_host *dst);
struct hunt_prevalence hunt_prevalence_of_name(const struct hunt_judge *judge, book_name name);

/* The monitored machine that has the address; "": none is known. */
const char *hunt_machine_of(const struct hunt_judge *judge, const struct hunt_host *host);
const char *hunt_network_of(const struct hunt_judge *judge, uint32_t network); /* agent_uuid; "" */

/* Share (0 to 1) of its packets that the machine's mirror, or the whole capture, lost in the
 * window. */
double hunt_loss_of(const struct hunt_judge *judge, const struct hunt_host *host);

/* When the name or address was seen first by anybody, ms; HUNT_UNSET: no history. */
int64_t hunt_first_seen_of_name(const struct hunt_judge *judge, book_name name);
int64_t hunt_first_seen_of(const struct hunt_judge *judge, const struct hunt_host *dst);
/* When the archive remembers a key of a hunt's own, that is none of the two, ms; HUNT_UNSET: it does
 * not. Of which it learns when books are kept: see archive_seen.c. */
int64_t hunt_remembered(const struct hunt_judge *judge, uint64_t key);
uint64_t hunt_secret(const struct hunt_judge *judge); /* of such keys */
/* How far back that goes, ms: what was seen first then may be as old as the hills. */
int64_t hunt_history_from(const struct hunt_judge *judge);

/* What the address was asked for by in DNS, at most `max` names; gives their number. */
size_t hunt_names_of(const struct hunt_judge *judge, const struct addr *addr, book_name *out,
                     size_t max);

/* Whether questions of the host to DNS were seen at all: where not, it may have asked unseen. */
bool hunt_asks_dns(const struct hunt_judge *judge, const struct hunt_host *host);
/* The name by which `src` knows the address: one that it asked for, or (where its questions are not
 * seen) that anybody did. 0: none. */
book_name hunt_name_for(const struct hunt_judge *judge, const struct hunt_host *src,
                        const struct addr *addr);

/* A well-known service (time, updates, certificate checks ...) that explains regular traffic, in
 * words: "NTP", "Windows Update"; NULL: none. Says nothing about guilt: it lowers a score. */
const char *hunt_known_service(struct str name, uint16_t port, uint8_t proto);

/* The feeds that were given; NULL: none. */
struct feeds;
const struct feeds *hunt_feeds(const struct hunt_judge *judge);

/* On a feed: its name; NULL: on none. Sub-domains of a listed domain match. */
const char *hunt_feed_of(const struct hunt_judge *judge, const struct addr *addr);
const char *hunt_feed_of_name(const struct hunt_judge *judge, struct str name);
const char *hunt_feed_of_fingerprint(const struct hunt_judge *judge, struct str fingerprint);

/* Fills ends, machines, networks, name, ports, times, bytes of a finding about a pair, and lowers
 * its confidence, saying so, where packets were lost. */
void finding_of_pair(const struct hunt_judge *judge, struct finding *finding,
                     const struct pair_key *key, const struct pair_value *value);
void finding_of_named(const struct hunt_judge *judge, struct finding *finding,
                      const struct named_key *key, const struct named_value *value);

#endif
