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

/* ---- folding: three dozen machines that ask one mail server every ten minutes are one row ---- */

#define FOLD_LEAST 3

static int hunt_order(const struct finding *a, const struct finding *b)
{
    return strcmp(a->hunt->name, b->hunt->name);
}

static int by_destination(const void *a, const void *b)
{
    const struct hunt_picked *x = *(struct hunt_picked *const *)a;
    const struct hunt_picked *y = *(struct hunt_picked *const *)b;
    int order = hunt_order(x->finding, y->finding);
    if (order == 0)
        order = strcasecmp(x->finding->name, y->finding->name);
    if (order == 0 && x->finding->name[0] == '\0')
        order = memcmp(&x->finding->dst.addr, &y->finding->dst.addr, sizeof x->finding->dst.addr);
    return order ? order : x < y ? -1 : x > y;
}

static int by_source(const void *a, const void *b)
{
    const struct hunt_picked *x = *(struct hunt_picked *const *)a;
    const struct hunt_picked *y = *(struct hunt_picked *const *)b;
    int order = hunt_order(x->finding, y->finding);
    if (order == 0)
        order = memcmp(&x->finding->src.addr, &y->finding->src.addr, sizeof x->finding->src.addr);
    if (order == 0 && x->finding->src.network != y->finding->src.network)
        order = x->finding->src.network < y->finding->src.network ? -1 : 1;
    return order ? order : x < y ? -1 : x > y;
}

static bool same_destination(const struct finding *a, const struct finding *b)
{
    bool has_end = a->name[0] || (a->has_dst && b->has_dst);
    return has_end && hunt_order(a, b) == 0 && strcasecmp(a->name, b->name) == 0 &&
           (a->name[0] || memcmp(&a->dst.addr, &b->dst.addr, sizeof a->dst.addr) == 0);
}

static bool same_source(const struct finding *a, const struct finding *b)
{
    return a->has_src && b->has_src && hunt_order(a, b) == 0 && a->src.network == b->src.network &&
           memcmp(&a->src.addr, &b->src.addr, sizeof a->src.addr) == 0;
}

/* A row of one finding, not grave, that is shown by itself so far. */
static bool can_fold(const struct hunt_picked *picked)
{
    return picked->is_head && !picked->next && picked->n_folded == 0 &&
           picked->finding->severity < HUNT_HIGH;
}

/* `fold` has room for all. The first of each run keeps the row. */
static void fold_by(struct hunt_picks *picks, struct hunt_picked **fold,
                    int (*order)(const void *, const void *),
                    bool (*same)(const struct finding *, const struct finding *), bool folded_src)
{
    size_t n = 0;
    for (size_t i = 0; i < picks->n; i++)
        if (can_fold(&picks->at[i]))
            fold[n++] = &picks->at[i];
    qsort(fold, n, sizeof(struct hunt_picked *), order);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && same(fold[i]->finding, fold[end]->finding); end++)
            continue;
        if (end - i < FOLD_LEAST)
            continue;
        fold[i]->n_folded = (uint32_t)(end - i - 1);
        fold[i]->folded_src = folded_src;
        for (size_t k = i + 1; k < end; k++)
            fold[k]->is_head = false;
    }
}

/* Chains findings about the same ends, and counts the chains in the order of showing. */
static int number_rows(struct hunt_picks *picks, bool folds, struct err *err)
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
    if (folds) {
        fold_by(picks, sorted, by_destination, same_destination, true);
        fold_by(picks, sorted, by_source, same_source, false);
    }
    free(sorted);
    for (size_t i = 0; i < picks->n; i++)
        picks->at[i].row = SIZE_MAX; /* folded */
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
    if (finding->severity < pick->minimum) {
        out->n_below++;
        return false;
    }
    if (pick->filter && !hunt_filter_fits(pick->filter, finding)) {
        out->n_filtered++;
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
        result = number_rows(&picks, pick->folds, err);
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
