/* Beacons: machines that check in with another at the pace of a timer, with jitter or without. What
 * a timer is, timing.h judges; who is asked, and how it is weighed, beacon_pairs.c and
 * beacon_tell.c say. */
#include "hunt/beacon.h"

#include <stddef.h>

const struct yaml_row beacon_rows[] = {
    {.key = "checkins",
     .help = "pairs with fewer check-ins are not judged: of six, few jitters can be\n"
             "told from chance",
     .kind = YAML_COUNT,
     .at = offsetof(struct beacon_settings, checkins),
     .min = TIMING_MIN_CHECKINS,
     .max = 100000},
    {.key = "sure",
     .help = "how sure it must be that a timer is at work; at 80% fewer than one in\n"
             "ten thousand pairs without a timer is told",
     .kind = YAML_SHARE,
     .at = offsetof(struct beacon_settings, sure),
     .min = 1,
     .max = 100},
    {.key = "inside",
     .help = "tell of timers between internal hosts as well, which watch one\n"
             "another all the time: with a lower score",
     .kind = YAML_BOOL,
     .at = offsetof(struct beacon_settings, inside)},
    {.key = NULL},
};

void beacon_defaults(void *settings)
{
    *(struct beacon_settings *)settings =
        (struct beacon_settings){.checkins = 8, .sure = 80, .inside = true};
}

static void judge(const struct hunt_judge *judge)
{
    beacon_judge(judge, false);
}

const struct hunt hunt_beacon = {
    .name = "beacon",
    .title = "Beacons",
    .summary = "machines that check in elsewhere at the pace of a timer, with any jitter",
    .settings = beacon_rows,
    .settings_size = sizeof(struct beacon_settings),
    .defaults = beacon_defaults,
    .judge = judge,
};
