/* What was lost on the way to us: capture_loss.log says how much of all, and watch says when a
 * machine's mirror began to lose packets, and when that was over. */
#include <math.h>
#include <stdlib.h>

#include "hunt/pairs_parts.h"

/* Where the message does not say how much. */
static const struct {
    struct str note;
    double share;
} troubles[] = {
    {{.at = "Mirror::Dropping", .len = 16}, 0.01},
    {{.at = "Mirror::One_Sided", .len = 17}, 0.5},
    {{.at = "Mirror::Muted", .len = 13}, 1},
    {{.at = "Mirror::Silent", .len = 14}, 1},
};

/* "17 packets (12.5 %) of ...": 0.125; NAN: it does not say. */
static double share_in(struct str text)
{
    char number[16] = "";
    const char *percent = text.len ? memchr(text.at, '%', text.len) : NULL;
    const char *open = percent;
    while (open && open > text.at && *open != '(')
        open--;
    if (!open || *open != '(' || (size_t)(percent - open) > sizeof number)
        return NAN;
    memcpy(number, open + 1, (size_t)(percent - open - 1));
    double share = strtod(number, NULL) / 100;
    return share > 0 && share <= 1 ? share : NAN;
}

/* Any other note of a mirror says that the trouble is over. */
static double share_of(const struct hunt_record *record)
{
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        if (!str_eq(record->notice.note, troubles[i].note))
            continue;
        double share = share_in(record->notice.msg);
        return share > 0 ? share : troubles[i].share;
    }
    return 0;
}

static struct loss_value *at(struct book *book, book_name machine, int64_t ts)
{
    struct loss_key key = {.machine = machine};
    bool is_new;
    struct loss_value *value = book_at(book, &loss_table, &key, &is_new);
    if (!value)
        return NULL;
    value->n++;
    if (is_new || ts < value->first)
        value->first = ts;
    if (is_new || ts > value->last)
        value->last = ts;
    return value;
}

static uint64_t millionths(double share)
{
    return share >= 1 ? 1000000 : (uint64_t)(share * 1e6 + 0.5);
}

static void see_trouble(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    struct str machine = record->machine.len ? record->machine : record->notice.sub;
    if (machine.len == 0 || !str_starts(record->notice.note, STR("Mirror::")))
        return;
    int64_t ts = hunt_ms(record->ts);
    struct loss_value *value = at(book, pairs_machine(pairs, book, machine), ts);
    if (!value)
        return;
    if (value->share && ts > value->since)
        value->sum += value->share * (uint64_t)(ts - value->since);
    value->share = millionths(share_of(record));
    value->since = ts;
}

void pairs_see_loss(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    if (record->log == HUNT_NOTICE) {
        see_trouble(pairs, book, record);
        return;
    }
    double share = record->capture_loss.percent_lost / 100;
    struct loss_value *value = share >= 0 ? at(book, 0, hunt_ms(record->ts)) : NULL;
    if (value)
        value->sum += millionths(share);
}
