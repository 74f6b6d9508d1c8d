/* `cloudspan mirror follow`: keeps mirrors in step as machines come and go. */
#ifndef CMD_MIRROR_FOLLOW_H
#define CMD_MIRROR_FOLLOW_H

#include "cmd/mirror_settings.h"

/* Until a signal ends it, or one round. Gives the exit code. */
int mirror_follow(struct mirror_settings *settings);

#endif
