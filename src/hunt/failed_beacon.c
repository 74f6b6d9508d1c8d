/* Beacons that nobody answers: an implant whose server is gone, or blocked, goes on asking. So does
 * every program whose server was moved, which is why these are a class of their own and weigh
 * less. */
#include "hunt/beacon.h"

static void judge(const struct hunt_judge *judge)
{
    beacon_judge(judge, true);
}

const struct hunt hunt_failed_beacon = {
    .name = "failed-beacon",
    .title = "Beacons without an answer",
    .summary = "connection attempts that fail, at the pace of a timer",
    .settings = beacon_rows,
    .settings_size = sizeof(struct beacon_settings),
    .defaults = beacon_defaults,
    .judge = judge,
};
