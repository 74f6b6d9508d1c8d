/* Alerts: what is new, or graver than when it was told last, each once: an object of JSON a line,
 * and a program that the user named. */
#ifndef CMD_HUNT_ALERT_H
#define CMD_HUNT_ALERT_H

#include "cmd/hunt_pick.h"
#include "hunt/archive.h"

#define HUNT_HOOK_WORDS 64

struct hunt_told; /* what was told, where there is no archive that remembers it */

struct hunt_alerts {
    struct hunt_archive *archive; /* NULL: told is used */
    struct hunt_told *told;
    char *hook;                            /* the words of argv are in it */
    const char *argv[HUNT_HOOK_WORDS + 1]; /* argv[0] NULL: none is run */
};

/* `command`: a program and its arguments with blanks between; NULL: none. */
int hunt_alerts_init(struct hunt_alerts *alerts, const char *command, struct hunt_archive *archive,
                     struct err *err) MUST_CHECK;
void hunt_alerts_done(struct hunt_alerts *alerts);

/* "new", "graver", or NULL: it was told before. Remembers it. */
int hunt_alerts_ask(struct hunt_alerts *alerts, const struct finding *finding, const char **out,
                    struct err *err) MUST_CHECK;
/* Runs the program with the object on its standard input, and waits for it, 30 s at most. */
int hunt_alerts_run(const struct hunt_alerts *alerts, const struct finding *finding,
                    const char *alert, const char *json, size_t size, struct err *err) MUST_CHECK;

#endif
