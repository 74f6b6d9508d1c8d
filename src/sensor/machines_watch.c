/* Two of the three witnesses of the monitored machines: see machines.h. */
#include "sensor/machines_parts.h"

void machines_collect(struct machines *m, int64_t now, int64_t ticks)
{
    (void)m;
    (void)now;
    (void)ticks;
}

void machines_add_shared(struct machines *m, const struct machine *machine,
                         struct health_totals *totals)
{
    (void)m;
    (void)machine;
    (void)totals;
}

void machines_send_canary(struct machines *m, struct machine *machine, int64_t now, int64_t ticks)
{
    (void)m;
    (void)machine;
    (void)now;
    (void)ticks;
}
