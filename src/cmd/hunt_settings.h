/* What the command line of `cloudspan hunt` says, and what follows from it and the configuration.
 */
#ifndef CMD_HUNT_SETTINGS_H
#define CMD_HUNT_SETTINGS_H

#include "base/options.h"
#include "hunt/engine.h"
#include "hunt/filter.h"

#define HUNT_MAX_OF_OPTION 64 /* of one that may be given again */

struct hunt_words {
    const char *at[HUNT_MAX_OF_OPTION];
    size_t n;
};

enum hunt_output { HUNT_TABLE, HUNT_JSON, HUNT_CSV };

struct hunt_options {
    int output; /* enum hunt_output */
    bool rita;  /* --scores rita */
    const char *html, *explain;
    char filter[HUNT_FILTER_MAX];
    const char *since, *until;
    struct hunt_words internal, safelists, feeds;
    const char *asn, *config, *state;
    const char *on_alert;
    const char *color;
    uint64_t memory, threads, limit;
    enum hunt_severity minimum;
    int64_t interval; /* ns between two looks; 0: one look */
    bool unfold, include_inbound, show_safelisted, no_state, alert, exit_code, utc;
    bool has_minimum, has_limit;
    bool help, version;
    int verbosity;
};

extern const struct option_row hunt_rows[];
/* For options_parse; `with` is a struct hunt_options. */
int hunt_take(int row, const char *value, void *with, struct err *err);
/* What does not go together, and what one option alone does not show. */
int hunt_options_check(const struct hunt_options *options, size_t n_paths,
                       struct err *err) MUST_CHECK;

/* The span that is judged. */
struct hunt_span {
    int64_t from; /* ms; HUNT_UNSET: `length` before the end */
    int64_t length;
    int64_t to; /* ms; HUNT_UNSET: the newest record */
};
/* "24h" (before the end), "2026-11-20", "2026-11-20T14:00[:00]", seconds since 1970; local times
 * unless `utc`. */
int hunt_span_parse(const char *since, const char *until, bool utc, struct hunt_span *out,
                    struct err *err) MUST_CHECK;

/* Puts the options over what the configuration says. */
int hunt_options_apply(const struct hunt_options *options, const struct hunt_span *span,
                       struct hunt_settings *settings, struct err *err) MUST_CHECK;

#endif
