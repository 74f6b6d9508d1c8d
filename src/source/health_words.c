/* What the operator reads: for each state a sentence with the numbers it rests on and what to do
 * next. */
#include "source/health_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const state_names[HEALTH_N_STATES] = {
    [HEALTH_NEW] = "NEW",
    [HEALTH_OK] = "ok",
    [HEALTH_QUIET] = "quiet",
    [HEALTH_UNKNOWN] = "UNKNOWN",
    [HEALTH_TRUNCATED] = "TRUNCATED",
    [HEALTH_DROPPING] = "DROPPING",
    [HEALTH_ONE_SIDED] = "ONE-SIDED",
    [HEALTH_MUTED] = "MUTED",
    [HEALTH_SILENT] = "SILENT",
};

const char *health_state_name(enum health_state state)
{
    return state < HEALTH_N_STATES ? state_names[state] : "UNKNOWN";
}

/* A sentence that is put together in pieces; what does not fit is cut. */
struct words {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->at, w->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used >= w->left)
        used = w->left ? w->left - 1 : 0;
    w->at += used;
    w->left -= used;
}

static void say_span(struct words *w, int64_t ns)
{
    int64_t seconds = ns / NS_PER_SECOND;
    if (seconds < 120)
        say(w, "%" PRId64 " s", seconds);
    else if (seconds < 7200)
        say(w, "%" PRId64 " min", seconds / 60);
    else
        say(w, "%" PRId64 " h", seconds / 3600);
}

static void say_rate(struct words *w, double bytes_per_second)
{
    double bits = bytes_per_second * 8;
    if (bits >= 1e9)
        say(w, "%.1f Gb/s", bits / 1e9);
    else if (bits >= 1e6)
        say(w, "%.*f Mb/s", bits < 1e7 ? 1 : 0, bits / 1e6);
    else if (bits >= 1e3)
        say(w, "%.0f kb/s", bits / 1e3);
    else
        say(w, "%.0f b/s", bits);
}

static void say_usual(struct words *w, const struct health *health)
{
    if (health->usual_bytes * 8 < 1)
        return;
    say(w, ", usually ");
    say_rate(w, health->usual_bytes);
}

static void say_heard(struct words *w, const struct health *health)
{
    if (!health->ever_heard) {
        say(w, "nothing was ever heard");
        return;
    }
    say(w, "nothing heard for ");
    say_span(w, health_gap(health));
    say_usual(w, health);
}

static void say_silent(struct words *w, const struct health *health, const char *name,
                       const struct canary_state *canary)
{
    uint32_t missed = canary->n_missed_in_row - health->missed_before;
    switch (canary->answer) {
    case CANARY_REPLIED:
        say(w, "silenced while alive: %s answered the canary, its mirror shows nothing; ", name);
        say_heard(w, health);
        say(w, ": is its mirror still there?");
        return;
    case CANARY_HOST_GONE:
        say(w, "host down: nobody answers at the address of %s any more; ", name);
        say_heard(w, health);
        return;
    case CANARY_NO_ROUTE:
        say(w, "path down: no route to %s; ", name);
        say_heard(w, health);
        return;
    case CANARY_NONE:
        break;
    }
    say_heard(w, health);
    say(w, "; %u canaries in a row were lost: mirror off, or %s down or cut off", missed, name);
}

static void say_service(struct words *w, const struct missing_finding *finding)
{
    if (finding->proto == 1 || finding->proto == 58)
        say(w, "ICMP");
    else if (finding->proto == 6 || finding->proto == 17)
        say(w, "%s port %u", finding->proto == 6 ? "TCP" : "UDP", finding->port);
    else
        say(w, "IP protocol %u", finding->proto);
}

static void say_muted(struct words *w, const struct health *health, const char *name)
{
    const struct missing_finding *finding = &health->finding;
    if (!health->has_finding) {
        say(w, "%s answers the canary, but its mirror shows little, and not the canary: ", name);
        say(w, "is there a filter in its mirror?");
        return;
    }
    uint64_t missing = finding->n_missing, there = finding->n_there;
    const char *peer = finding->peer[0] ? finding->peer : "others";
    bool none = missing == there;
    if (finding->proto) {
        say(w, "%s %s ", name, none ? "hides" : "hides part of");
        say_service(w, finding);
        say(w, " from its mirror: ");
    } else if (missing * 10 >= there * 9 && finding->peer[0]) {
        say(w, "%s %s %s but mirrors %s of it (", name, finding->sends ? "answers" : "hears", peer,
            none ? "none" : "nearly none");
    } else {
        say(w, "%s mirrors only part of what it exchanges with %s (", name, peer);
    }
    say(w, "%" PRIu64 " of %" PRIu64 " packets seen only from %s%s", missing, there, peer,
        finding->proto ? "" : ")");
}

static void say_one_sided(struct words *w, const struct health *health, const char *name)
{
    const struct health_recent *recent = &health->recent;
    bool out_missing = recent->out < recent->in;
    say(w, "%s never seen (%" PRIu64 " packets to %s, %" PRIu64 " from it): mirror its %s as well",
        out_missing ? "what it sends is" : "what it receives is", recent->in, name, recent->out,
        out_missing ? "egress (direction=out)" : "ingress (direction=in)");
}

/* Whole connections were left out, and still are. */
static void say_sampled(struct words *w, const struct health_mark *sum,
                        const struct health_totals *totals)
{
    double packets = (double)sum->packets + (double)sum->dropped + 1;
    double share = 100 * (double)sum->dropped / packets;
    unsigned one_in = (512u + totals->kept) / (2u * totals->kept); /* to the nearest */
    if (one_in > 1)
        say(w, "sampled 1/%u: ", one_in);
    else
        say(w, "sampled %u %%: ", totals->kept * 100u / 256);
    say(w, totals->is_limited ? "it sends more than limits.rate-per-source"
                              : "this collector is overloaded, and it sends more than its share");
    say(w, "; of the last minute %" PRIu64 " packets (%.1f %%), whole connections, were left out",
        sum->dropped, share);
}

static void say_dropping(struct words *w, const struct health *health,
                         const struct health_totals *totals)
{
    const struct health_mark *sum = &health->recent.sum;
    uint64_t gaps = sum->lost > sum->reordered ? sum->lost - sum->reordered : 0;
    uint64_t missing =
        sum->shared_there > sum->shared_both ? sum->shared_there - sum->shared_both : 0;
    double packets = (double)sum->packets + 1;
    if (sum->dropped > gaps && totals->kept)
        say_sampled(w, sum, totals);
    else if (sum->dropped > gaps)
        say(w,
            "%" PRIu64 " packets (%.1f %%) of the last minute were lost in this host: "
            "run cloudspan doctor",
            sum->dropped, 100 * (double)sum->dropped / (packets + (double)sum->dropped));
    else if (gaps > 0)
        say(w,
            "%" PRIu64 " packets (%.1f %%) of the last minute are missing in the mirror's "
            "numbers: lost at the sender or on the way",
            gaps, 100 * (double)gaps / (packets + (double)gaps));
    else
        say(w,
            "%" PRIu64 " of %" PRIu64 " packets (%.1f %%) that others showed in the last minute "
            "are not in its mirror, of all kinds: too little bandwidth for it?",
            missing, sum->shared_there, 100 * (double)missing / ((double)sum->shared_there + 1));
}

/* A cut at a size that no link has is what the mirror was told to keep, not an MTU. */
static void say_truncated(struct words *w, const struct health *health, const char *name,
                          const struct health_totals *totals)
{
    uint32_t cut = totals->cut_size, overhead = totals->overhead ? totals->overhead : 50;
    say(w, "cut at %u bytes (%" PRIu64 " packets of the last minute): ", cut,
        health->recent.sum.cut);
    if (cut < 500)
        say(w, "raise the snap length of its mirror");
    else
        say(w, "set the MTU of %s to %u, or that of the way to here to %u", name,
            cut - totals->overhead_spare,
            (totals->largest_size > cut ? totals->largest_size : cut) + overhead +
                totals->overhead_spare);
}

static void say_unknown(struct words *w, const struct health *health, const char *name,
                        const struct canary_state *canary)
{
    const char *from = canary->from[0] ? canary->from : "this host";
    say_heard(w, health);
    if (!canary->enabled)
        say(w, "; no canary is sent to %s, so nobody knows why", name);
    else if (canary->ever_came_back)
        say(w, "; the last canary came back ");
    else if (canary->answer == CANARY_REPLIED)
        say(w, "; %s answers the canary, but its mirror never showed one", name);
    else if (canary->answer == CANARY_NO_ROUTE)
        say(w, "; the canary does not reach %s: no route from %s", name, from);
    else
        say(w, "; the canary does not reach %s (allow UDP from %s)", name, from);
    if (canary->enabled && canary->ever_came_back) {
        say_span(w, health->clock - health->last_back);
        say(w, " ago");
    }
}

void health_words(const struct health *health, const char *name, const struct health_totals *totals,
                  const struct canary_state *canary, char *out, size_t size)
{
    struct words w = {.at = out, .left = size};
    say(&w, "%s", "");
    switch (health->state) {
    case HEALTH_NEW:
        if (health->ever_heard) {
            say(&w, "heard for the first time ");
            say_span(&w, health->clock - health->first_heard);
            say(&w, " ago");
        } else {
            say(&w, "nothing heard yet");
        }
        return;
    case HEALTH_OK:
    case HEALTH_N_STATES:
        return;
    case HEALTH_QUIET:
        say(&w, "alive and quiet: its canary comes back through its mirror; ");
        say_heard(&w, health);
        return;
    case HEALTH_UNKNOWN:
        say_unknown(&w, health, name, canary);
        return;
    case HEALTH_TRUNCATED:
        say_truncated(&w, health, name, totals);
        return;
    case HEALTH_DROPPING:
        say_dropping(&w, health, totals);
        return;
    case HEALTH_ONE_SIDED:
        say_one_sided(&w, health, name);
        return;
    case HEALTH_MUTED:
        say_muted(&w, health, name);
        return;
    case HEALTH_SILENT:
        say_silent(&w, health, name, canary);
        return;
    }
}
