/* Which findings are shown: see hunt_pick.h. */
#include "cmd/hunt_pick.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hunt_picks_done(struct hunt_picks *picks)
{
    free(picks->at);
    *picks = (struct hunt_picks){0};
}

/* ---- rows ---- */

static int ends_order(const struct finding *a, const struct finding *b)
{
    int order = memcmp(&a->src.addr, &b->src.addr, sizeof a->src.addr);
    if (order == 0 && a->src.network != b->src.network)
        order = a->src.network < b->src.network ? -1 : 1;
    if (order == 0 && a->has_src != b->has_src)
        order = a->has_src ? 1 : -1;
    if (order == 0)
        order = strcasecmp(a->name, b->name);
    /* Servers of one name are one; without a name the address is the end. */
    if (order == 0 && a->name[0] == '\0')
        order = memcmp(&a->dst.addr, &b->dst.addr, sizeof a->dst.addr);
    if (order == 0 && a->name[0] == '\0' && a->has_dst != b->has_dst)
        order = a->has_dst ? 1 : -1;
    return order;
}

static int by_ends(const void *a, const void *b)
{
    const struct hunt_picked *x = *(struct hunt_picked *const *)a;
    const struct hunt_picked *y = *(struct hunt_picked *const *)b;
    int order = ends_order(x->finding, y->finding);
    if (order == 0)
        order = x < y ? -1 : x > y; /* in the order of showing */
    return order;
}

/* Chains findings about the same ends, and counts the chains in the order of showing. */
static int number_rows(struct hunt_picks *picks, struct err *err)
{
    struct hunt_picked **sorted = calloc(picks->n + 1, sizeof(struct hunt_picked *));
    if (!sorted)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < picks->n; i++)
        sorted[i] = &picks->at[i];
    qsort(sorted, picks->n, sizeof(struct hunt_picked *), by_ends);
    for (size_t i = 0; i < picks->n; i++) {
        bool same = i > 0 && ends_order(sorted[i - 1]->finding, sorted[i]->finding) == 0;
        sorted[i]->is_head = !same;
        if (same)
            sorted[i - 1]->next = sorted[i];
    }
    free(sorted);
    for (size_t i = 0; i < picks->n; i++) {
        if (!picks->at[i].is_head)
            continue;
        for (struct hunt_picked *picked = &picks->at[i]; picked; picked = picked->next)
            picked->row = picks->n_rows;
        picks->n_rows++;
    }
    return 0;
}

/* ---- which ---- */

static bool is_picked(const struct hunt_pick *pick, const struct finding *finding,
                      struct hunt_picks *out, const char **hidden_by)
{
    *hidden_by = NULL;
    if (pick->filter && !hunt_filter_fits(pick->filter, finding)) {
        out->n_filtered++;
        return false;
    }
    if (finding->severity < pick->minimum) {
        out->n_below++;
        return false;
    }
    *hidden_by = pick->safelist ? hunt_safelist_hides(pick->safelist, finding) : NULL;
    if (*hidden_by) {
        out->n_hidden++;
        return pick->show_safelisted;
    }
    return true;
}

int hunt_pick(const struct hunt_pick *pick, const struct finding *findings, size_t n,
              struct hunt_picks *out, struct err *err)
{
    struct hunt_picks picks = {.at = calloc(n + 1, sizeof(struct hunt_picked))};
    const struct finding **order = calloc(n + 1, sizeof *order);
    int result = picks.at && order ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n && result == 0; i++)
        order[i] = &findings[i];
    if (result == 0 && pick->filter)
        hunt_filter_sort(pick->filter, order, n);
    for (size_t i = 0; i < n && result == 0; i++) {
        const char *hidden_by;
        if (!is_picked(pick, order[i], &picks, &hidden_by))
            continue;
        picks.at[picks.n++] = (struct hunt_picked){.finding = order[i], .hidden_by = hidden_by};
        if (hidden_by)
            continue;
        picks.n_critical += order[i]->severity == HUNT_CRITICAL;
        if (order[i]->severity > picks.worst)
            picks.worst = order[i]->severity;
    }
    free(order);
    if (result == 0)
        result = number_rows(&picks, err);
    if (result < 0) {
        hunt_picks_done(&picks);
        return result;
    }
    *out = picks;
    return 0;
}

/* ---- ids ---- */

void hunt_id_text(uint64_t id, unsigned len, char out[HUNT_ID_MAX])
{
    (void)snprintf(out, HUNT_ID_MAX, "%016llx", (unsigned long long)id);
    out[len < HUNT_ID_MAX - 1 ? len : HUNT_ID_MAX - 1] = '\0';
}

bool hunt_id_begins(uint64_t id, const char *prefix)
{
    char text[HUNT_ID_MAX];
    hunt_id_text(id, HUNT_ID_MAX - 1, text);
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

unsigned hunt_id_len(const struct hunt_picks *picks)
{
    unsigned len = 6;
    uint64_t *ids = calloc(picks->n + 1, sizeof *ids);
    if (!ids)
        return HUNT_ID_MAX - 1;
    for (size_t i = 0; i < picks->n; i++)
        ids[i] = picks->at[i].finding->id;
    qsort(ids, picks->n, sizeof *ids, by_id);
    for (size_t i = 1; i < picks->n; i++) {
        uint64_t differ = ids[i] ^ ids[i - 1];
        unsigned same = differ ? (unsigned)__builtin_clzll(differ) / 4 : 0;
        if (differ && same + 1 > len)
            len = same + 1;
    }
    free(ids);
    return len;
}
