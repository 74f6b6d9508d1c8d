/* Snapshots: see snapshot.h. */
#include "sensor/snapshot.h"

#include <stdlib.h>
#include <string.h>

void snapshot_done(struct snapshot *s)
{
    free(s->machines);
    free(s->refused);
    free(s->drops);
    free(s->inputs);
    free(s->alarms);
    free(s->logs);
    memset(s, 0, sizeof *s);
}
