/* Pictures of the report: see hunt_svg.h. Only numbers go into them. */
#include "cmd/hunt_svg.h"

#include <math.h>
#include <stdio.h>

#include "cmd/hunt_show.h"

#define HEIGHT      100
#define BAR_WIDTH   22
#define LABEL_SPACE 46
#define CELL        10
#define SHADES      4

void hunt_svg_timeline(const struct picture *p, bool large, struct text *out)
{
    text_format(out,
                "<svg class=\"%s\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
                "aria-label=\"when\"><path d=\"",
                large ? "line large" : "line", PICTURE_BINS, HEIGHT);
    for (int i = 0; i < PICTURE_BINS; i++) {
        if (p->bins[i] == 0)
            continue;
        /* A single one among thousands is still seen. */
        double share = (double)p->bins[i] / (double)p->bins_most;
        double height = 6 + share * (HEIGHT - 6);
        text_format(out, "M%d %dv-%.1fh.9v%.1fz", i, HEIGHT, height, height);
    }
    text_put(out, "\"/></svg>");
}

static void put_label(const struct picture_bar *bar, const char *unit, struct text *out)
{
    if (bar->from == bar->to)
        text_format(out, "%.10g %s", bar->from, unit);
    else
        text_format(out, "%.6g \xe2\x80\x93 %.6g %s", bar->from, bar->to, unit);
}

void hunt_svg_bars(const struct picture_bars *bars, const char *unit, struct text *out)
{
    unsigned width = bars->n * BAR_WIDTH + 8;
    text_format(out, "<svg class=\"bars\" viewBox=\"0 0 %u %d\" role=\"img\" width=\"%u\">", width,
                HEIGHT + LABEL_SPACE, width);
    for (unsigned i = 0; i < bars->n; i++) {
        const struct picture_bar *bar = &bars->at[i];
        double height = bar->n ? 2 + (HEIGHT - 14) * (double)bar->n / (double)bars->most : 0;
        unsigned x = 4 + i * BAR_WIDTH;
        text_format(out, "<g><title>");
        put_label(bar, unit, out);
        text_format(out, ": %u</title><rect x=\"%u\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/>",
                    bar->n, x, HEIGHT - height, BAR_WIDTH - 3, height);
        if (bar->n)
            text_format(out, "<text class=\"n\" x=\"%u\" y=\"%.1f\">%u</text>",
                        x + (BAR_WIDTH - 3) / 2, HEIGHT - height - 3, bar->n);
        /* Upright, so that they find room. */
        text_format(out, "<text class=\"l\" transform=\"translate(%u %d) rotate(90)\">%.4g</text>",
                    x + BAR_WIDTH / 2 - 4, HEIGHT + 4, bar->from);
        text_put(out, "</g>");
    }
    text_put(out, "</svg>");
}

static unsigned shade_of(uint32_t n, uint32_t most)
{
    double level = most > 1 ? (SHADES - 1) * log(n) / log(most) : SHADES - 1;
    return level < SHADES - 1 ? (unsigned)level : SHADES - 1;
}

void hunt_svg_raster(const struct picture *p, bool utc, struct text *out)
{
    text_format(out, "<svg class=\"raster\" viewBox=\"0 0 %d %d\" role=\"img\" width=\"%d\">",
                44 + 60 * CELL, 14 + PICTURE_HOURS * CELL, 44 + 60 * CELL);
    for (int minute = 0; minute < 60; minute += 10)
        text_format(out, "<text class=\"l\" x=\"%d\" y=\"9\">%02d</text>", 42 + minute * CELL,
                    minute);
    text_format(out, "<rect class=\"back\" x=\"42\" y=\"12\" width=\"%d\" height=\"%d\"/>",
                60 * CELL, PICTURE_HOURS * CELL);
    for (int hour = 0; hour < PICTURE_HOURS; hour++) {
        char at[32];
        hunt_time(p->raster_from + hour * INT64_C(3600000), utc, at);
        text_format(out, "<text class=\"l\" x=\"2\" y=\"%d\">%.5s</text>", 19 + hour * CELL,
                    at + 11);
    }
    for (unsigned shade = 0; shade < SHADES; shade++) {
        text_format(out, "<path class=\"s%u\" d=\"", shade);
        for (int hour = 0; hour < PICTURE_HOURS; hour++)
            for (int minute = 0; minute < 60; minute++)
                if (p->raster[hour][minute] &&
                    shade_of(p->raster[hour][minute], p->raster_most) == shade)
                    text_format(out, "M%d %dh9v9h-9z", 42 + minute * CELL, 12 + hour * CELL);
        text_put(out, "\"/>");
    }
    text_put(out, "</svg>");
}
