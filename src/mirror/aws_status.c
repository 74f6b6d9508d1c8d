/* What is covered, what the cloud could not mirror, and what watch gets to know: see aws.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mirror/aws.h"

#define DAYS       14
#define DAY        86400
#define HOUR       3600
#define INSTANCES  100 /* that one question is about: 4 counters each, and 500 are allowed */
#define N_COUNTERS 4

/* ---- coverage ---- */

struct covering {
    const struct mirror_job *job;
    const struct aws_mirror *state;
    const struct mirror_set *found;
};

static bool has_session(const struct cloud_nic *nic, char why[200], void *with)
{
    const struct covering *covering = with;
    size_t i = (size_t)(nic - covering->state->nics.at);
    const char *lacks = mirror_job_lacks(covering->job, "session", nic->id);
    if (mirror_set_get(covering->found, "session", nic->id))
        return true;
    if (covering->state->spots && covering->state->spots[i].why[0])
        (void)snprintf(why, 200, "%s", covering->state->spots[i].why);
    else if (lacks)
        (void)snprintf(why, 200, "%s", lacks);
    return false;
}

int aws_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
              struct err *err)
{
    struct covering covering = {job, job->state, found};
    return cloud_cover(&covering.state->nics, has_session, &covering, out, err);
}

/* ---- CloudWatch's counters ---- */

static const char *const counters[N_COUNTERS] = {
    "NetworkPacketsMirrorIn", "NetworkPacketsMirrorOut", "NetworkPacketsSkipMirrorIn",
    "NetworkPacketsSkipMirrorOut"};

struct counted {
    const char *machine, *label; /* borrowed of the inventory */
    uint64_t mirrored, skipped;
    uint64_t skipped_lately;
    bool known;
};

static struct counted *machines_of(const struct aws_mirror *state, const struct mirror_set *found,
                                   size_t *out_n)
{
    struct counted *list = calloc(state->nics.n + 1, sizeof *list);
    json_t *seen = json_object(), *mirrored = json_object();
    size_t n = 0;
    for (size_t i = 0; i < found->n; i++)
        if (strcmp(found->at[i].kind, "session") == 0)
            (void)json_object_set_new(mirrored, found->at[i].key, json_true()); /* or it lacks */
    for (size_t i = 0; list && i < state->nics.n; i++) {
        const struct cloud_nic *nic = &state->nics.at[i];
        if (!nic->machine[0] || json_object_get(seen, nic->machine) ||
            !json_object_get(mirrored, nic->id))
            continue;
        (void)json_object_set_new(seen, nic->machine, json_true());
        list[n++] = (struct counted){.machine = nic->machine, .label = cloud_nic_label(nic)};
    }
    json_decref(seen);
    json_decref(mirrored);
    *out_n = n;
    return list;
}

static void put_time(int64_t seconds, char out[32])
{
    time_t at = (time_t)seconds;
    struct tm tm;
    out[0] = '\0';
    if (gmtime_r(&at, &tm))
        (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* By the day for the sum, and by the hour for what is happening now. */
static json_t *question(const struct counted *list, size_t n, int64_t from, int64_t to, int period)
{
    json_t *queries = json_array();
    char begin[32], end[32], id[32];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < N_COUNTERS; j++) {
            (void)snprintf(id, sizeof id, "m%zu_%zu", i, j);
            (void)json_array_append_new(
                queries, json_pack("{s:s, s:{s:{s:s, s:s, s:[{s:s, s:s}]}, s:i, s:s}}", "Id", id,
                                   "MetricStat", "Metric", "Namespace", "AWS/EC2", "MetricName",
                                   counters[j], "Dimensions", "Name", "InstanceId", "Value",
                                   list[i].machine, "Period", period, "Stat", "Sum"));
        }
    put_time(from, begin);
    put_time(to, end);
    return json_pack("{s:o, s:s, s:s}", "MetricDataQueries", queries, "StartTime", begin, "EndTime",
                     end);
}

static uint64_t sum_of(const json_t *values)
{
    double sum = 0;
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *value = json_array_get(values, i);
        double one = json_is_string(value) ? strtod(json_string_value(value), NULL)
                                           : json_number_value(value);
        if (one > 0 && one < 1e18)
            sum += one;
    }
    return sum < 1e19 ? (uint64_t)sum : UINT64_MAX - 1;
}

/* "m12_3": of which machine, which counter. */
static bool read_id(const char *id, size_t *out_at, size_t *out_counter)
{
    char *end = NULL;
    unsigned long at = id[0] == 'm' ? strtoul(id + 1, &end, 10) : 0;
    if (!end || end[0] != '_' || end[1] < '0' || end[1] >= '0' + N_COUNTERS || end[2])
        return false;
    *out_at = at;
    *out_counter = (size_t)(end[1] - '0');
    return true;
}

static void take_counts(const json_t *results, struct counted *list, size_t n, bool lately)
{
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        const json_t *values = aws_list(result, "Values");
        size_t at, counter;
        if (!read_id(mirror_text(result, "Id"), &at, &counter) || at >= n ||
            json_array_size(values) == 0)
            continue;
        uint64_t sum = sum_of(values);
        if (lately) {
            list[at].skipped_lately += counter >= 2 ? sum : 0;
            continue;
        }
        list[at].known = true;
        list[at].mirrored += counter < 2 ? sum : 0;
        list[at].skipped += counter >= 2 ? sum : 0;
    }
}

static int ask(struct aws_mirror *state, struct counted *list, size_t n, int64_t from, int64_t to,
               int period, struct err *err)
{
    char token[4096] = "";
    int result = 0;
    for (int page = 0; page < 100; page++) {
        json_t *parameters = question(list, n, from, to, period), *answer = NULL;
        if (token[0])
            (void)json_object_set_new(parameters, "NextToken", json_string(token));
        result =
            aws_mirror_call(state, "monitoring", "GetMetricData", parameters, &answer, NULL, err);
        const json_t *inner = aws_result(answer, "GetMetricData");
        take_counts(aws_list(inner, "MetricDataResults"), list, n, period == HOUR);
        (void)snprintf(token, sizeof token, "%s", mirror_text(inner, "NextToken"));
        json_decref(answer);
        if (result < 0 || !token[0])
            break;
    }
    return result;
}

/* `lately`: also of the last hours alone. */
static int ask_all(struct aws_mirror *state, struct counted *list, size_t n, bool lately,
                   struct err *err)
{
    int64_t now = state->calls.now(state->calls.with) / 1000000000;
    int64_t midnight = now - now % DAY, hour = now - now % HOUR;
    int result = 0;
    for (size_t i = 0; result == 0 && i < n; i += INSTANCES) {
        size_t some = n - i < INSTANCES ? n - i : INSTANCES;
        result =
            ask(state, list + i, some, midnight - (int64_t)DAYS * DAY, midnight + DAY, DAY, err);
        if (result == 0 && lately)
            result = ask(state, list + i, some, hour - HOUR, hour + HOUR, HOUR, err);
    }
    return result;
}

static void put_measure(const struct counted *machine, struct mirror_measure *out)
{
    *out = (struct mirror_measure){.n_seen = UINT64_MAX, .n_mirrored = UINT64_MAX};
    (void)snprintf(out->what, sizeof out->what, "%.40s, %d days", machine->label, DAYS);
    out->n_mirrored = machine->mirrored;
    out->n_lost = machine->skipped;
    if (machine->skipped_lately)
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "AWS left out %" PRIu64 " packets in the last hours: the instance is short "
                       "of bandwidth, which copies share with the rest",
                       machine->skipped_lately);
}

static int64_t seconds_of(const struct aws_mirror *state)
{
    return state->calls.now(state->calls.with) / 1000000000;
}

static json_t *losses_of(const struct counted *list, size_t n)
{
    json_t *losses = json_object();
    for (size_t i = 0; i < n; i++)
        if (list[i].known)
            (void)json_object_set_new(losses, list[i].machine,
                                      json_integer((json_int_t)list[i].skipped)); /* or later */
    return losses;
}

int aws_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err)
{
    struct aws_mirror *state = job->state;
    struct mirror_measures measures = {0};
    struct err why;
    size_t n = 0;
    struct counted *list = machines_of(state, found, &n);
    measures.at = calloc(n + 1, sizeof *measures.at);
    if (!list || !measures.at) {
        free(list);
        free(measures.at);
        return err_set(err, -ENOMEM, "out of memory");
    }
    if (n && ask_all(state, list, n, true, &why) < 0) {
        /* It is a help: the state of the mirror itself is known without. */
        measures.at[0] = (struct mirror_measure){.n_seen = UINT64_MAX, .n_mirrored = UINT64_MAX};
        (void)snprintf(measures.at[0].what, sizeof measures.at[0].what, "no counters: %.48s",
                       why.text);
        measures.n = 1;
    } else {
        aws_losses_keep(job, seconds_of(state), losses_of(list, n));
        for (size_t i = 0; i < n; i++)
            if (list[i].known)
                put_measure(&list[i], &measures.at[measures.n++]);
    }
    free(list);
    *out = measures;
    return 0;
}

/* ---- for watch ---- */

/* Which collector gets it: the address of the place that it is packed to, where that is of one
 * machine. A load balancer's endpoint wraps copies again: they come from the balancer. One that has
 * no place sends nothing. */
static void put_collectors(struct aws_mirror *state)
{
    for (size_t i = 0; i < state->nics.n; i++) {
        size_t place = state->spots[i].place;
        struct cloud_nic *nic = &state->nics.at[i];
        if (place == SIZE_MAX) {
            nic->has_id = false;
            continue;
        }
        const char *address = state->places[place].address;
        cloud_nic_text(&state->nics, &nic->collector, address[0] ? address : "any");
        if (state->places[place].kind == AWS_TO_GWLBE)
            cloud_nic_text(&state->nics, &nic->outer, "");
    }
}

static void take_losses(struct mirror_job *job, const struct mirror_set *wanted,
                        struct mirror_sources *sources)
{
    struct aws_mirror *state = job->state;
    json_t *losses = aws_losses_read(job, seconds_of(state));
    if (!losses) {
        struct err why;
        size_t n = 0;
        struct counted *list = machines_of(state, wanted, &n);
        if (list && n && ask_all(state, list, n, false, &why) == 0) {
            losses = losses_of(list, n);
            aws_losses_keep(job, seconds_of(state), json_incref(losses));
        }
        free(list);
    }
    for (size_t i = 0; i < sources->n; i++) {
        const json_t *lost = json_object_get(losses, sources->at[i].machine);
        sources->at[i].has_lost = json_is_integer(lost) && json_integer_value(lost) >= 0;
        if (sources->at[i].has_lost)
            sources->at[i].n_lost = (uint64_t)json_integer_value(lost);
    }
    json_decref(losses);
}

int aws_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err)
{
    struct aws_mirror *state = job->state;
    const struct aws_wish *wish = job->wish;
    struct mirror_source like = {.filtered = wish->n_words > 0, .truncate = wish->length};
    (void)snprintf(like.network, sizeof like.network, "%s", job->network);
    (void)snprintf(like.direction, sizeof like.direction, "%s",
                   wish->direction == AWS_IN    ? "in"
                   : wish->direction == AWS_OUT ? "out"
                                                : "both");
    put_collectors(state);
    int result = cloud_sources(&state->nics, "vxlan", &like, out, err);
    if (result == 0)
        take_losses(job, wanted, out);
    return result;
}
