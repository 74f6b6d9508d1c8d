/* Findings, the worst of which are kept where there are too many. */
#include "hunt/finding.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "hunt/hunt.h"

struct findings {
    pthread_mutex_t lock;
    struct finding *at; /* when there are as many as may be: a heap with the least of them first */
    size_t n, max, room;
    uint64_t n_left_out;
    bool is_heap, is_sorted;
};

static const char *const severities[] = {"none", "low", "medium", "high", "critical"};

const char *hunt_severity_name(enum hunt_severity severity)
{
    return severities[severity];
}

enum hunt_severity hunt_severity_of(double score)
{
    if (score > 0.8)
        return HUNT_CRITICAL;
    if (score >= 0.6)
        return HUNT_HIGH;
    if (score >= 0.4)
        return HUNT_MEDIUM;
    return score >= 0.2 ? HUNT_LOW : HUNT_NONE;
}

struct findings *findings_new(size_t max)
{
    struct findings *findings = calloc(1, sizeof *findings);
    if (!findings)
        return NULL;
    findings->max = max ? max : 1;
    pthread_mutex_init(&findings->lock, NULL);
    return findings;
}

void findings_free(struct findings *findings)
{
    if (!findings)
        return;
    free(findings->at);
    pthread_mutex_destroy(&findings->lock);
    free(findings);
}

void finding_init(struct finding *finding, const struct hunt *hunt)
{
    memset(finding, 0, sizeof *finding);
    finding->hunt = hunt;
    finding->confidence = 1;
}

void finding_because(struct finding *finding, const char *format, ...)
{
    va_list list;
    if (finding->n_reasons == FINDING_REASONS)
        return;
    va_start(list, format);
    /* What is longer is cut. */
    (void)vsnprintf(finding->reasons[finding->n_reasons++], FINDING_REASON_MAX, format, list);
    va_end(list);
}

void finding_number(struct finding *finding, const char *name, double value)
{
    if (finding->n_numbers < FINDING_NUMBERS)
        finding->numbers[finding->n_numbers++] = (struct finding_number){name, value};
}

/* Of what it is about, not of what was measured: the same in the next run. */
static uint64_t id_of(const struct finding *finding)
{
    struct {
        struct hunt_host src, dst;
        uint8_t has_src, has_dst, unused[6];
        uint64_t hunt, name, about;
    } ends;
    memset(&ends, 0, sizeof ends);
    /* A pair by address may be called otherwise tomorrow, and a name may move to another address.
     */
    bool by_name = finding->name[0] && finding->events_of != &pair_table;
    if (finding->has_src)
        ends.src = finding->src;
    if (finding->has_dst && !by_name)
        ends.dst = finding->dst;
    ends.has_src = finding->has_src;
    ends.has_dst = finding->has_dst && !by_name;
    ends.hunt = finding->hunt ? XXH3_64bits(finding->hunt->name, strlen(finding->hunt->name)) : 0;
    if (by_name)
        ends.name = XXH3_64bits(finding->name, strnlen(finding->name, sizeof finding->name));
    ends.about = finding->about;
    return XXH3_64bits(&ends, sizeof ends);
}

/* Below 0: `a` is the worse one, which people should look at first. */
static int order(const struct finding *a, const struct finding *b)
{
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->confidence != b->confidence)
        return a->confidence > b->confidence ? -1 : 1;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return memcmp(a->title, b->title, sizeof a->title);
}

static void sift_down(struct findings *findings, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < findings->n; k++)
            if (order(&findings->at[k], &findings->at[least]) > 0)
                least = k;
        if (least == i)
            return;
        struct finding kept = findings->at[i];
        findings->at[i] = findings->at[least];
        findings->at[least] = kept;
        i = least;
    }
}

/* The least of them goes, or the new one. */
static bool add_to_full(struct findings *findings, const struct finding *finding)
{
    findings->n_left_out++;
    for (size_t i = findings->n / 2; i > 0 && !findings->is_heap; i--)
        sift_down(findings, i - 1);
    findings->is_heap = true;
    findings->is_sorted = false;
    if (order(finding, &findings->at[0]) < 0) {
        findings->at[0] = *finding;
        sift_down(findings, 0);
    }
    return false;
}

static bool add(struct findings *findings, const struct finding *finding)
{
    if (findings->n == findings->max)
        return add_to_full(findings, finding);
    if (findings->n == findings->room) {
        size_t room = findings->room ? findings->room * 2 : 16;
        struct finding *grown = realloc(findings->at, room * sizeof *grown);
        if (!grown) {
            findings->n_left_out++;
            return false;
        }
        findings->at = grown;
        findings->room = room;
    }
    findings->at[findings->n++] = *finding;
    findings->is_heap = findings->is_sorted = false;
    return true;
}

bool findings_add(struct findings *findings, const struct finding *finding)
{
    struct finding made = *finding;
    /* What is no number would put the order, and all who sort by it, out of joint. */
    if (!(made.score >= 0))
        made.score = 0;
    if (!(made.confidence >= 0))
        made.confidence = 0;
    made.id = id_of(&made);
    made.severity = hunt_severity_of(made.score);
    pthread_mutex_lock(&findings->lock);
    bool added = add(findings, &made);
    pthread_mutex_unlock(&findings->lock);
    return added;
}

static int by_order(const void *left, const void *right)
{
    return order(left, right);
}

const struct finding *findings_sorted(struct findings *findings, size_t *out_n)
{
    if (!findings->is_sorted && findings->n > 0)
        qsort(findings->at, findings->n, sizeof *findings->at, by_order);
    findings->is_sorted = true;
    findings->is_heap = false;
    *out_n = findings->n;
    return findings->at;
}

uint64_t findings_n_left_out(const struct findings *findings)
{
    return findings->n_left_out;
}
