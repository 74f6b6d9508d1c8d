/* The table of the monitored machines: which columns there is room for, and its lines. */
#ifndef CMD_MACHINES_H
#define CMD_MACHINES_H

#include "cmd/terminal.h"
#include "sensor/snapshot.h"

enum machines_column {
    MACHINES_NAME,
    MACHINES_ENCAP,
    MACHINES_ID,
    MACHINES_FROM,
    MACHINES_IN,
    MACHINES_OUT,
    MACHINES_PPS,
    MACHINES_COPIES,
    MACHINES_LAST,
    MACHINES_STATE,
    MACHINES_REASON,
    MACHINES_N_COLUMNS
};

struct machines_layout {
    unsigned width[MACHINES_N_COLUMNS]; /* 0: not shown; of the reason: what is left */
    unsigned gap;
    bool utf8;
};

/* `width`: of the whole line. The columns are as wide as their longest text, within reason; those
 * that say least go first where there is no room. */
void machines_fit(struct machines_layout *layout, const struct snapshot *snapshot, unsigned width,
                  bool utf8);

/* Lines without their end. */
void machines_head(const struct machines_layout *layout, struct line *line);
void machines_row(const struct machines_layout *layout, const struct snapshot_machine *machine,
                  int64_t now, bool with_reason, struct line *line);

/* Whether the reason is longer than its column. */
bool machines_is_cut(const struct machines_layout *layout, const struct snapshot_machine *machine);

enum style machines_style(enum health_state state, bool is_bad);

/* "vxlan 77 from 10.9.8.7", as it may come from the wire. */
void machines_channel(const struct snapshot_channel *channel, char out[128]);

/* "3 sources: 1 SILENT, 2 ok": the gravest first. */
void machines_count(const struct snapshot *snapshot, struct line *line);

#endif
