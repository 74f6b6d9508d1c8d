/* Which machines of a cloud are mirrored: a table where it is short, else numbers, and the others
 * by the reason why they are not. */
#include "cmd/mirror_cover.h"

#include <string.h>

#include "cmd/mirror_settings.h"

#define TABLE_MAX   24 /* lines; more only with -v */
#define REASONS_MAX 32
#define NAMES_MAX   5 /* of each reason */

static void put_json(const struct mirror_settings *settings, const struct mirror_covered *one,
                     struct text *out)
{
    const struct {
        const char *name, *value;
    } texts[] = {{"provider", settings->job.provider->name},
                 {"mirror", settings->job.name},
                 {"machine", one->machine},
                 {"interface", one->what},
                 {"address", one->address},
                 {"reason", one->mirrored ? "" : one->why}};
    text_put(out, "{\"type\":\"coverage\"");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        text_format(out, ",\"%s\":", texts[i].name);
        text_json(out, texts[i].value, strlen(texts[i].value));
    }
    text_format(out, ",\"mirrored\":%s,\"wanted\":%s}\n", one->mirrored ? "true" : "false",
                one->wanted ? "true" : "false");
}

static bool is_trouble(const struct mirror_covered *one)
{
    return one->wanted && !one->mirrored;
}

static const char *why_of(const struct mirror_covered *one)
{
    return one->why[0] ? one->why : "no reason is known";
}

static void put_table(const struct mirror_coverage *coverage, struct line *line)
{
    unsigned machine = 7, what = 9, address = 7;
    for (size_t i = 0; i < coverage->n; i++) {
        const struct mirror_covered *one = &coverage->at[i];
        unsigned m = terminal_width(one->machine, TERMINAL_WHOLE, line->utf8);
        unsigned w = terminal_width(one->what, TERMINAL_WHOLE, line->utf8);
        unsigned a = terminal_width(one->address, TERMINAL_WHOLE, line->utf8);
        machine = m > machine ? m : machine;
        what = w > what ? w : what;
        address = a > address ? a : address;
    }
    for (size_t i = 0; i <= coverage->n; i++) {
        const struct mirror_covered *one = i ? &coverage->at[i - 1] : NULL;
        enum style style = one ? STYLE_PLAIN : STYLE_BOLD;
        line_space(line, 4);
        line_field(line, style, one ? one->machine : "MACHINE", machine, false);
        line_space(line, 2);
        line_field(line, style, one ? one->what : "INTERFACE", what, false);
        line_space(line, 2);
        line_field(line, style, one ? one->address : "ADDRESS", address, false);
        line_space(line, 2);
        if (!one) {
            line_put(line, style, "MIRRORED");
        } else if (one->mirrored) {
            line_put(line, STYLE_GREEN, "yes");
        } else {
            line_put(line, is_trouble(one) ? STYLE_RED : STYLE_DIM, "no: ");
            line_put(line, STYLE_PLAIN, why_of(one));
        }
        line_end(line);
    }
}

/* One line for each reason, those that are a trouble first. */
static void put_reasons(const struct mirror_coverage *coverage, bool troubles, struct line *line)
{
    const char *said[REASONS_MAX];
    size_t n_said = 0, n_other = 0;
    for (size_t i = 0; i < coverage->n; i++) {
        const struct mirror_covered *one = &coverage->at[i];
        size_t k = 0, n = 0;
        if (one->mirrored || is_trouble(one) != troubles)
            continue;
        while (k < n_said && strcmp(said[k], why_of(one)) != 0)
            k++;
        if (k < n_said)
            continue;
        if (n_said == REASONS_MAX) {
            n_other++;
            continue;
        }
        said[n_said++] = why_of(one);
        for (size_t m = i; m < coverage->n; m++)
            n += !coverage->at[m].mirrored && is_trouble(&coverage->at[m]) == troubles &&
                 strcmp(why_of(&coverage->at[m]), why_of(one)) == 0;
        line_put(line, troubles ? STYLE_RED : STYLE_DIM, troubles ? "    ! " : "      ");
        line_format(line, STYLE_PLAIN, "%zu: ", n);
        line_put(line, STYLE_PLAIN, why_of(one));
        size_t shown = 0;
        for (size_t m = i; m < coverage->n && shown < NAMES_MAX; m++) {
            const struct mirror_covered *other = &coverage->at[m];
            if (other->mirrored || is_trouble(other) != troubles ||
                strcmp(why_of(other), why_of(one)) != 0)
                continue;
            line_put(line, STYLE_DIM, shown++ ? ", " : " (");
            line_put(line, STYLE_DIM, other->machine[0] ? other->machine : other->what);
        }
        line_put(line, STYLE_DIM, n > shown ? ", …)" : ")");
        line_end(line);
    }
    if (n_other) {
        line_format(line, STYLE_DIM, "      %zu: other reasons (-v lists all)", n_other);
        line_end(line);
    }
}

void mirror_show_coverage(const struct mirror_settings *settings,
                          const struct mirror_coverage *coverage, struct line *line)
{
    size_t n_mirrored = 0;
    if (settings->json) {
        for (size_t i = 0; i < coverage->n; i++)
            put_json(settings, &coverage->at[i], line->out);
        return;
    }
    if (coverage->n == 0)
        return;
    for (size_t i = 0; i < coverage->n; i++)
        n_mirrored += coverage->at[i].mirrored;
    line_format(line, STYLE_PLAIN, "    %zu of %zu interface%s mirrored", n_mirrored, coverage->n,
                coverage->n == 1 ? " is" : "s are");
    if (n_mirrored < coverage->n)
        line_format(line, STYLE_PLAIN, "; %zu not:", coverage->n - n_mirrored);
    line_end(line);
    if (settings->verbose || coverage->n <= TABLE_MAX) {
        put_table(coverage, line);
    } else {
        put_reasons(coverage, true, line);
        put_reasons(coverage, false, line);
    }
}
