/* RITA's rows from the books: which pairs it would list, with its columns, its modifiers and its
 * final score. */
#ifndef HUNT_RITA_H
#define HUNT_RITA_H

#include "hunt/hunt.h"
#include "hunt/rita_score.h"

enum rita_type { RITA_IP, RITA_SNI, RITA_DNS };

/* Where RITA's own behaviour is a known fault, `exact` does as it does; ours does the right thing.
 */
struct rita_options {
    bool exact;
    /* Values of its modifiers; the shipped configuration's, and the low threshold of beacons. */
    double prevalence, rare_signature;
    struct rita_thresholds beacon;
    bool rolling; /* with the first-seen modifier */
};
void rita_options_init(struct rita_options *options); /* the shipped default_config.hjson */
void rita_options_code(struct rita_options *options); /* the defaults in its code: golden tables */

/* hunts: rita: config: which of the two. */
enum { RITA_CONFIG_CODE, RITA_CONFIG_SHIPPED };
struct rita_settings {
    int config;
};
void rita_options_of(struct rita_options *options, const void *settings);

struct rita_row {
    enum rita_type type;
    struct hunt_host src, dst;
    bool has_dst;
    char name[256];
    double final;
    enum hunt_severity severity;
    struct rita_beacon beacon; /* score 0: none */
    double beacon_threat, long_score, dns_score;
    bool strobe, intel;
    uint64_t n, n_open, n_proxied, bytes;
    double duration; /* s, with open connections */
    uint64_t subdomains;
    struct hunt_prevalence prevalence;
    int64_t first_seen; /* s */
    uint32_t n_missing_host, n_mime_mismatches;
    char rare_signatures[160];
    unsigned n_ports;
    char ports[400];     /* "443:tcp:ssl,80:tcp:http" */
    char modifiers[256]; /* "rare_signature:curl/7.58.0,mime_type_mismatch:3" */
    bool exact, rolling; /* of rita_options */
};

/* Rows sorted as RITA sorts them; the caller frees them. */
int rita_rows(const struct hunt_judge *judge, const struct rita_options *options,
              struct rita_row **out, size_t *out_n, struct err *err) MUST_CHECK;

/* Its CSV, header and rows (all of them). */
void rita_csv(struct text *out, const struct hunt_judge *judge, const struct rita_row *rows,
              size_t n);

/* hunt_rita (list.h) keeps what only these rows need: user agents and JA3 by source, media types,
 * names below each domain. It judges nothing by itself. */

#endif
