/* Settings of the hunts and their defaults; and the list of hunts. */
#include <stdlib.h>
#include <unistd.h>

#include "hunt/engine.h"
#include "hunt/engine_days.h"

#define DEFAULT_MEMORY ((uint64_t)2 << 30)

#define HUNT(name) &hunt_##name,
const struct hunt *const hunts[] = {
#include "hunt/list.h"
    NULL,
};
#undef HUNT

#define MAX_HUNTS (sizeof((struct hunt_settings *)0)->blob / sizeof(void *))
_Static_assert(sizeof hunts / sizeof hunts[0] <= MAX_HUNTS + 1, "a hunt without settings");

static void add_prefix(struct hunt_scope *scope, const char *text)
{
    struct hunt_prefix prefix;
    struct hunt_prefix *grown =
        realloc(scope->internal, (scope->n_internal + 1) * sizeof *scope->internal);
    if (!grown)
        return;
    scope->internal = grown;
    if (hunt_prefix_parse(text, &prefix))
        scope->internal[scope->n_internal++] = prefix;
}

void hunt_settings_init(struct hunt_settings *settings)
{
    static const char *const internal[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                           "fd00::/8"};
    *settings = (struct hunt_settings){.window = (int64_t)24 * 3600 * 1000,
                                       .days = 8,
                                       .live = true,
                                       .every = 10000000000,
                                       .alert = HUNT_HIGH};
    for (size_t i = 0; i < sizeof internal / sizeof internal[0]; i++)
        add_prefix(&settings->scope, internal[i]);
    for (size_t i = 0; hunts[i]; i++) {
        settings->blob[i] = calloc(1, HUNT_SETTINGS_MAX);
        if (settings->blob[i] && hunts[i]->defaults)
            hunts[i]->defaults(settings->blob[i]);
    }
}

uint64_t hunt_settings_memory(const struct hunt_settings *settings)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t half = pages > 0 && size > 0 ? (uint64_t)pages / 2 * (uint64_t)size : DEFAULT_MEMORY;
    if (settings->memory)
        return settings->memory;
    return half < DEFAULT_MEMORY ? half : DEFAULT_MEMORY;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

void hunt_settings_done(struct hunt_settings *settings)
{
    struct hunt_scope *scope = &settings->scope;
    free(scope->internal);
    free(scope->always);
    free(scope->never);
    free_texts(scope->always_domains, scope->n_always_domains);
    free_texts(scope->never_domains, scope->n_never_domains);
    free_texts(settings->feeds, settings->n_feeds);
    free_texts(settings->safelists, settings->n_safelists);
    free_texts(settings->off, settings->n_off);
    for (size_t i = 0; hunts[i]; i++) {
        if (settings->blob[i] && hunts[i]->settings)
            yaml_drop(hunts[i]->settings, settings->blob[i]);
        free(settings->blob[i]);
    }
    *settings = (struct hunt_settings){0};
}

/* Put together anew at each call, for each thread; no hunt has more than 8. */
size_t hunt_tables(const struct book_table *const **out)
{
    static _Thread_local const struct book_table *all[16 + 8 * MAX_HUNTS + 1];
    size_t n = 0;
    all[n++] = &day_table;
    for (size_t i = 0; pairs_tables[i]; i++)
        all[n++] = pairs_tables[i];
    for (size_t i = 0; hunts[i]; i++)
        for (size_t k = 0; k < 8 && hunts[i]->tables && hunts[i]->tables[k]; k++)
            all[n++] = hunts[i]->tables[k];
    all[n] = NULL;
    *out = all;
    return n;
}

uint32_t hunt_logs_wanted(void)
{
    uint32_t logs = PAIR_LOGS;
    for (size_t i = 0; hunts[i]; i++)
        logs |= hunts[i]->logs;
    return logs;
}
