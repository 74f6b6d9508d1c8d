/* The report's pictures: SVG inside the page, coloured by its style sheet. */
#ifndef CMD_HUNT_SVG_H
#define CMD_HUNT_SVG_H

#include "cmd/hunt_picture.h"

void hunt_svg_timeline(const struct picture *picture, bool large, struct text *out);
/* `unit`: "s", "B". */
void hunt_svg_bars(const struct picture_bars *bars, const char *unit, struct text *out);
void hunt_svg_raster(const struct picture *picture, bool utc, struct text *out);

#endif
