/* What calls to a cloud wait in, end in, and are told to: for all verbs of `cloudspan mirror`. */
#ifndef CMD_MIRROR_WORLD_H
#define CMD_MIRROR_WORLD_H

#include "cloud/http.h"

/* Traces with note(NOTE_INFO), which -v shows. */
extern const struct cloud_world mirror_world;

/* From now on SIGINT and SIGTERM only make mirror_is_stopped() true, and end pauses. */
void mirror_catch_signals(void);
bool mirror_is_stopped(void);

#endif
