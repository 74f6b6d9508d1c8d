/* A machine's own traffic of the last minute: one-sided, cut short, lost. Each has one limit where
 * it begins and a lower one where it ends, so that no state flaps. */
#include "source/health_state.h"

#define MARK_SPAN (5 * NS_PER_SECOND)

/* TCP always goes both ways; of other traffic more has to be seen. */
#define ONE_SIDED_TCP     200
#define ONE_SIDED_OTHER   5000
#define ONE_SIDED_SPAN    4     /* marks that have to be there: 20 s */
#define ONE_SIDED_SHARE   0.002 /* of the packets go the other way */
#define ONE_SIDED_OVER    0.01
#define CUT_MIN           3
#define LOST_MIN          10
#define LOST_SHARE        0.005
#define LOST_OVER         0.001
#define COPIES_MIN        20
#define COPIES_SHARE      0.01
#define COPIES_SHARE_OVER 0.004

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static struct health_mark mark_of(const struct health_totals *totals)
{
    return (struct health_mark){
        .packets = totals->n_packets,
        .in = totals->n_in,
        .out = totals->n_out,
        .tcp_in = totals->n_tcp_in,
        .tcp_out = totals->n_tcp_out,
        .cut = totals->n_cut,
        .lost = totals->n_lost,
        .reordered = totals->n_reordered,
        .dropped = totals->n_dropped,
        .shared_here = totals->n_shared_here,
        .shared_there = totals->n_shared_there,
        .shared_both = totals->n_shared_both,
        .missing_bytes = totals->shared_missing_bytes,
        .alone_bytes = totals->shared_alone_bytes,
    };
}

static struct health_mark minus(const struct health_mark *a, const struct health_mark *b)
{
    return (struct health_mark){
        .packets = less(a->packets, b->packets),
        .in = less(a->in, b->in),
        .out = less(a->out, b->out),
        .tcp_in = less(a->tcp_in, b->tcp_in),
        .tcp_out = less(a->tcp_out, b->tcp_out),
        .cut = less(a->cut, b->cut),
        .lost = less(a->lost, b->lost),
        .reordered = less(a->reordered, b->reordered),
        .dropped = less(a->dropped, b->dropped),
        .shared_here = less(a->shared_here, b->shared_here),
        .shared_there = less(a->shared_there, b->shared_there),
        .shared_both = less(a->shared_both, b->shared_both),
        .missing_bytes = less(a->missing_bytes, b->missing_bytes),
        .alone_bytes = less(a->alone_bytes, b->alone_bytes),
    };
}

static bool one_sided(const struct health *health, const struct health_mark *sum, bool was)
{
    const struct health_recent *recent = &health->recent;
    if (!health->options.expects_both_directions)
        return false;
    bool tcp = sum->tcp_in + sum->tcp_out > 0;
    uint64_t n = recent->in + recent->out;
    uint64_t fewer = recent->in < recent->out ? recent->in : recent->out;
    double share = n ? (double)fewer / (double)n : 0;
    if (was)
        return share < ONE_SIDED_OVER; /* until the other side is seen */
    return recent->n_marks > ONE_SIDED_SPAN && n >= (tcp ? ONE_SIDED_TCP : ONE_SIDED_OTHER) &&
           share < ONE_SIDED_SHARE;
}

static bool loses(const struct health_mark *sum, bool was)
{
    /* What only came late left a gap as well. */
    uint64_t lost = less(sum->lost, sum->reordered) + sum->dropped;
    return lost >= LOST_MIN &&
           (double)lost > (was ? LOST_OVER : LOST_SHARE) * ((double)sum->packets + 1);
}

static bool lacks_copies(const struct health *health, const struct health_mark *sum, bool was)
{
    if (!health->options.expects_copies || !health->options.expects_both_directions)
        return false;
    uint64_t missing = less(sum->shared_there, sum->shared_both);
    uint64_t alone = less(sum->shared_here, sum->shared_both);
    /* Much on both sides is no loss: copies that are not recognised. */
    if (10 * missing > sum->shared_there &&
        (alone > missing / 3 || sum->alone_bytes > sum->missing_bytes / 3))
        return false;
    return missing >= COPIES_MIN &&
           (double)missing > (was ? COPIES_SHARE_OVER : COPIES_SHARE) * (double)sum->shared_there;
}

/* Loss goes on; copies that are gone at once are a mirror that was changed, and another verdict's.
 */
#define LACKING_FOR (5 * NS_PER_SECOND)

static bool dropping(struct health *health, const struct health_mark *sum)
{
    struct health_recent *recent = &health->recent;
    if (!lacks_copies(health, sum, recent->dropping))
        recent->lacking_since = INT64_MIN;
    else if (recent->lacking_since == INT64_MIN)
        recent->lacking_since = health->clock;
    return loses(sum, recent->dropping) || (recent->lacking_since != INT64_MIN &&
                                            health->clock - recent->lacking_since >= LACKING_FOR);
}

void health_recent_update(struct health *health, const struct health_totals *totals)
{
    struct health_recent *recent = &health->recent;
    struct health_mark now = mark_of(totals);
    bool due = health->clock - recent->last_mark >= MARK_SPAN;
    if (recent->n_marks == 0 || due) {
        recent->marks[recent->next] = now;
        recent->next = (recent->next + 1) % HEALTH_N_MARKS;
        if (recent->n_marks < HEALTH_N_MARKS)
            recent->n_marks++;
        recent->last_mark = health->clock;
    }
    uint32_t oldest = recent->n_marks < HEALTH_N_MARKS ? 0 : recent->next;
    recent->sum = minus(&now, &recent->marks[oldest]);
    const struct health_mark *sum = &recent->sum;
    bool tcp = sum->tcp_in + sum->tcp_out > 0;
    recent->in = tcp ? sum->tcp_in : sum->in;
    recent->out = tcp ? sum->tcp_out : sum->out;
    recent->one_sided = one_sided(health, sum, recent->one_sided);
    recent->dropping = dropping(health, sum);
    recent->truncated = sum->cut >= CUT_MIN;
}
