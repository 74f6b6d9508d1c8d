/* Logs, each by its number and text, through all hunts: whatever they say, the findings have scores
 * from 0 to 1, and texts that end. The first byte says how many days are kept, and whether judging
 * goes on between the logs, as in a running watch. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hunt/engine.h"
#include "hunt/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct finding *finding)
{
    if (!(finding->score >= 0 && finding->score <= 1) ||
        !(finding->confidence >= 0 && finding->confidence <= 1))
        abort();
    if (!memchr(finding->name, '\0', sizeof finding->name) ||
        !memchr(finding->title, '\0', sizeof finding->title) ||
        !memchr(finding->ports, '\0', sizeof finding->ports) ||
        finding->n_reasons > FINDING_REASONS || finding->n_numbers > FINDING_NUMBERS)
        abort();
    for (unsigned i = 0; i < finding->n_reasons; i++)
        if (!memchr(finding->reasons[i], '\0', sizeof finding->reasons[i]))
            abort();
    for (unsigned i = 0; i < finding->n_numbers; i++)
        if (!isfinite(finding->numbers[i].value))
            abort();
}

static void judge(struct hunt_engine *engine, bool only_changed)
{
    struct err err;
    struct findings *findings = findings_new(100);
    if (!findings)
        abort();
    if (hunt_engine_judge(engine, 0, only_changed, 1, findings, &err) < 0)
        abort();
    size_t n = 0;
    const struct finding *found = findings_sorted(findings, &n);
    for (size_t i = 0; i < n; i++)
        check(&found[i]);
    findings_free(findings);
}

static void take(struct hunt_engine *engine, unsigned log, const uint8_t *text, size_t size)
{
    struct hunt_lines *lines = hunt_lines_new((enum hunt_log)(log % HUNT_N_LOGS));
    char *whole = malloc(size + 1); /* of its exact size, and ended by a newline */
    if (!lines || !whole)
        abort();
    memcpy(whole, text, size);
    whole[size] = '\n';
    const struct hunt_record *records;
    struct hunt_read_counts counts = {0};
    struct err err;
    long n = hunt_lines_take(lines, whole, size + 1, &records, &counts, &err);
    if (n > 0)
        hunt_engine_take(engine, records, (size_t)n);
    free(whole);
    hunt_lines_free(lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1)
        return 0;
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct err err;
    hunt_settings_init(&settings);
    settings.memory = 8 << 20;
    settings.days = 1 + (bytes[0] >> 1) % 8;
    if (hunt_engine_new(&settings, 7, &engine, &err) < 0)
        abort();
    size_t at = 1;
    while (at + 3 <= size) {
        /* A piece: its size, and in that the log's number and text. */
        size_t n = (size_t)bytes[at] << 8 | bytes[at + 1];
        unsigned log = bytes[at + 2];
        at += 3;
        n = n > 0 ? n - 1 : 0;
        n = n < size - at ? n : size - at;
        take(engine, log, bytes + at, n);
        at += n;
        if (bytes[0] & 1)
            judge(engine, true);
    }
    judge(engine, false);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
    return 0;
}
