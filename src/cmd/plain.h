/* What the watch says line by line: where its output is no terminal, and when it ends. */
#ifndef CMD_PLAIN_H
#define CMD_PLAIN_H

#include "base/text.h"
#include "sensor/snapshot.h"

/* After so long without a packet the checklist is due. */
#define CHECKLIST_AFTER 30000000000ll

struct plain {
    int fd;           /* lines are written there; < 0: nowhere */
    int64_t interval; /* ns between lines; 0: 60 s */
    bool utf8, utc;

    /* Its own. */
    int64_t last_line;
    int64_t last_alarm;  /* ts of the newest that was written */
    size_t n_last_alarm; /* how many of this ts were */
    bool checked;        /* the checklist was written since the last packet */
};

/* Writes what is due: alarms since the last call, a line every `interval`, and the checklist. */
void plain_show(struct plain *plain, const struct snapshot *snapshot);

/* The same into a text. */
void plain_text(struct plain *plain, const struct snapshot *snapshot, struct text *out);

/* How long nothing came: ns since the last packet of anybody, or since the start. */
int64_t checklist_quiet(const struct snapshot *snapshot);

/* What to look at when nothing comes: what is listened on, who was refused, the way here. Lines of
 * 80 columns mostly; bytes from the wire are made safe. */
void checklist_text(const struct snapshot *snapshot, bool utf8, struct text *out);

/* The end: packets, connections, lines, what was lost and why, machines in a bad state. */
void summary_text(const struct snapshot *snapshot, bool utf8, struct text *out);

/* All of it, or what the descriptor takes; waits where it has to. */
void plain_write(int fd, const struct text *text);

#endif
