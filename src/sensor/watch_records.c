/* What mirrors recorded, followed by a running watch: see watch.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/watch_parts.h"

static int source_order(const void *left, const void *right)
{
    const struct config_source *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

/* The machines by their names; NULL: no memory. */
static const struct config_source **sort_sources(const struct config *config)
{
    const struct config_source **sorted =
        calloc(config->n_sources + 1, sizeof(const struct config_source *));
    for (size_t i = 0; sorted && i < config->n_sources; i++)
        sorted[i] = &config->sources[i];
    if (sorted)
        qsort(sorted, config->n_sources, sizeof(const struct config_source *), source_order);
    return sorted;
}

struct difference {
    size_t n_new, n_gone, n_changed;
    const char *first; /* the name of one of them */

    uint64_t n_lost, most_lost; /* packets that clouds could not mirror, since the last time */
    size_t n_losing;
    const char *worst; /* the machine of which the most */
};

/* Lines of notice.log that one look makes at most. */
#define NOTICES_MAX 100

static void compare_lost(struct watch *w, const struct config_source *a,
                         const struct config_source *b, struct difference *d)
{
    char text[160];
    if (!a->lost_before.has || !b->lost_before.has || b->lost_before.n <= a->lost_before.n)
        return;
    uint64_t n = b->lost_before.n - a->lost_before.n;
    d->n_lost += n;
    if (d->n_losing++ < NOTICES_MAX) {
        (void)snprintf(text, sizeof text,
                       "%.64s: its cloud could not mirror %llu packets more (%llu in all)", b->name,
                       (unsigned long long)n, (unsigned long long)b->lost_before.n);
        watch_notice(w, clock_now(), b->name, "Mirror::Not_Mirrored", text);
    }
    if (n > d->most_lost) {
        d->most_lost = n;
        d->worst = b->name;
    }
}

static struct difference compare(struct watch *w, const struct config *now)
{
    const struct config *before = w->config;
    const struct config_source **a = sort_sources(before), **b = sort_sources(now);
    struct difference d = {.first = "", .worst = ""};
    for (size_t i = 0, k = 0; a && b && (i < before->n_sources || k < now->n_sources);) {
        int order = i == before->n_sources ? 1
                    : k == now->n_sources  ? -1
                                           : source_order(&a[i], &b[k]);
        const char *name = order < 0 ? a[i]->name : b[k]->name;
        bool same = order == 0 && config_source_is_same(a[i], b[k]);
        d.n_gone += order < 0;
        d.n_new += order > 0;
        d.n_changed += order == 0 && !same;
        if (order == 0)
            compare_lost(w, a[i], b[k], &d);
        if (!same && !d.first[0])
            d.first = name;
        i += order <= 0;
        k += order >= 0;
    }
    free(a);
    free(b);
    return d;
}

/* What mirrors recorded is other than before: machines came, went, or are known by something else.
 * The files of the configuration are left as they are until SIGHUP. */
void watch_follow_records(struct watch *w)
{
    struct config *config = NULL;
    struct err err;
    char first[CONFIG_NAME_MAX], worst[CONFIG_NAME_MAX];
    if (!services_records_changed(w->options.parent))
        return;
    if (services_records(w->options.parent, &config, &err) < 0) {
        watch_say(w, NOTE_ERROR, "%s; the records of mirrors before stay in force", err.text);
        return;
    }
    struct difference d = compare(w, config);
    (void)snprintf(first, sizeof first, "%s", d.first);
    (void)snprintf(worst, sizeof worst, "%s", d.worst);
    if (!watch_take_config(w, config))
        return;
    size_t n = d.n_new + d.n_gone + d.n_changed;
    if (n == 1)
        watch_say(w, NOTE_INFO, "records of mirrors: %s %s; %zu machine%s now", first,
                  d.n_new    ? "is new"
                  : d.n_gone ? "is gone"
                             : "is changed",
                  w->config->n_sources, w->config->n_sources == 1 ? "" : "s");
    else if (n > 1)
        watch_say(w, NOTE_INFO,
                  "records of mirrors: %zu new, %zu gone, %zu changed; %zu machine%s now", d.n_new,
                  d.n_gone, d.n_changed, w->config->n_sources,
                  w->config->n_sources == 1 ? "" : "s");
    if (d.n_losing == 1)
        watch_say(w, NOTE_WARN, "%s: its cloud could not mirror %llu packets more", worst,
                  (unsigned long long)d.n_lost);
    else if (d.n_losing > 1)
        watch_say(w, NOTE_WARN,
                  "clouds could not mirror %llu packets more of %zu machines, %llu of %s",
                  (unsigned long long)d.n_lost, d.n_losing, (unsigned long long)d.most_lost, worst);
}
