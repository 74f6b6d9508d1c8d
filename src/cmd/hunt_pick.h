/* Which findings are shown: filter, safelist, severity, number; and those about the same ends put
 * together. */
#ifndef CMD_HUNT_PICK_H
#define CMD_HUNT_PICK_H

#include "hunt/filter.h"
#include "hunt/safelist.h"

struct hunt_pick {
    const struct hunt_filter *filter;     /* NULL: all fit */
    const struct hunt_safelist *safelist; /* NULL: hides nothing */
    bool show_safelisted;
    enum hunt_severity minimum;
    bool folds; /* rows below high that many sources, or destinations, have alike become one */
};

struct hunt_picked {
    const struct finding *finding;
    const char *hidden_by;    /* the safelist's line, where that is shown too; or NULL */
    size_t row;               /* of the table: findings about the same ends share one */
    struct hunt_picked *next; /* of the same row; NULL: it is the last */
    bool is_head;             /* the row's first, and gravest */
    uint32_t n_folded;        /* of a head: so many rows like it that are not shown */
    bool folded_src;          /* they have other sources; else other destinations */
};

struct hunt_picks {
    struct hunt_picked *at; /* in the order in which they are shown */
    size_t n, n_rows;
    size_t n_hidden, n_filtered, n_below, n_critical;
    enum hunt_severity worst;
};

/* Borrows the findings. -ENOMEM. */
int hunt_pick(const struct hunt_pick *pick, const struct finding *findings, size_t n,
              struct hunt_picks *out, struct err *err) MUST_CHECK;
void hunt_picks_done(struct hunt_picks *picks);

/* As short as it can be told apart from the others, at least 6 characters. */
unsigned hunt_id_len(const struct hunt_picks *picks);
#define HUNT_ID_MAX 17
void hunt_id_text(uint64_t id, unsigned len, char out[HUNT_ID_MAX]);
/* Whether the id begins so. */
bool hunt_id_begins(uint64_t id, const char *prefix);

#endif
