/* What the files intel*.c say to each other. */
#ifndef HUNT_INTEL_H
#define HUNT_INTEL_H

#include "hunt/hunt.h"

/* Names of feeds that were asked for, and nothing more that was seen. */
void intel_judge_asked(const struct hunt_judge *judge);

#endif
