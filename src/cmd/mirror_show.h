/* What `cloudspan mirror` prints: plans, steps, states; for people, or one JSON object a line. */
#ifndef CMD_MIRROR_SHOW_H
#define CMD_MIRROR_SHOW_H

#include "cmd/mirror_settings.h"
#include "mirror/engine.h"

void mirror_show_plan(const struct mirror_settings *settings, const struct mirror_planned *planned,
                      struct text *out);

/* Only what the user should know. */
void mirror_show_remarks(const struct mirror_settings *settings,
                         const struct mirror_planned *planned, struct text *out);

/* What came of an apply. */
struct mirror_applied {
    size_t n_changes;
    char record[512];    /* the file for watch; "": none */
    size_t n_sources;    /* machines in it */
    bool record_is_new;  /* it is not what it was */
    char collector[320]; /* where that has to go, several with commas; "": not known */
    struct mirror_outcome outcome;
};
void mirror_show_applied(const struct mirror_settings *settings,
                         const struct mirror_applied *applied, struct text *out);

/* What could not be made, and why: a part of the former, and all of an apply that failed. */
void mirror_show_lacks(const struct mirror_settings *settings, const struct mirror_outcome *outcome,
                       struct text *out);

/* For struct mirror_watcher; `with` is the struct mirror_settings. Prints when a step is done. */
void mirror_show_step(void *with, const struct mirror_object *object, int action, bool done,
                      const char *failed);

/* `head`: whether the table's first line is due. */
void mirror_show_status(const struct mirror_settings *settings, const struct mirror_status *status,
                        bool head, unsigned name_width, struct text *out);

/* --print: what makes the same without cloudspan, and takes it away; of a cloud a unit that
 * follows. */
int mirror_show_commands(const struct mirror_settings *settings,
                         const struct mirror_planned *planned, struct text *out,
                         struct err *err) MUST_CHECK;

#endif
