/* One worker's inputs: see intake.h. */
#include "sensor/intake.h"

#include <stdlib.h>
#include <string.h>

#include "base/counters.h"

#define LATE_RING   30000000ll /* ns that a packet may be shown late, with some to spare */
#define LATE_SOCKET 10000000ll /* its time is taken before it waits for its turn */
#define WAIT_RING   5          /* ms between two looks */
#define WAIT_SOCKET 2
#define FUTURE      1000000000ll /* times beyond this are not of this clock: a capture's */

struct input {
    struct live_source *source;
    uint16_t number;
    bool is_late;
    bool is_ready;  /* there may be something to read */
    unsigned n, at; /* frames that were read; those before `at` were given */
    struct frame frames[CAPTURE_BURST];
};

struct intake {
    void (*broken)(void *with, uint16_t number, int code);
    void *with;
    size_t n;
    bool has_late;
    struct input *inputs[INTAKE_MAX];
    struct live_counters closed[INTAKE_MAX]; /* by number */
};

struct intake *intake_new(void (*broken)(void *, uint16_t, int), void *with)
{
    struct intake *intake = calloc(1, sizeof *intake);
    if (!intake)
        return NULL;
    intake->broken = broken;
    intake->with = with;
    return intake;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    intake_close_all(intake);
    free(intake);
}

static void note_lateness(struct intake *intake)
{
    intake->has_late = false;
    for (size_t i = 0; i < intake->n; i++)
        intake->has_late |= intake->inputs[i]->is_late;
}

static void close_input(struct intake *intake, size_t i)
{
    struct input *input = intake->inputs[i];
    struct live_counters counters;
    live_count(input->source, &counters);
    counters_add(&intake->closed[input->number % INTAKE_MAX], &counters, sizeof counters);
    live_close(input->source);
    free(input);
    intake->inputs[i] = intake->inputs[--intake->n];
    note_lateness(intake);
}

bool intake_add(struct intake *intake, uint16_t number, struct live_source *source, bool is_late)
{
    struct input *input = intake->n < INTAKE_MAX ? calloc(1, sizeof *input) : NULL;
    if (!input)
        return false;
    input->source = source;
    input->number = number;
    input->is_late = is_late;
    input->is_ready = true;
    intake->inputs[intake->n++] = input;
    note_lateness(intake);
    return true;
}

void intake_remove(struct intake *intake, uint16_t number)
{
    for (size_t i = intake->n; i-- > 0;)
        if (intake->inputs[i]->number == number)
            close_input(intake, i);
}

void intake_close_all(struct intake *intake)
{
    while (intake->n > 0)
        close_input(intake, 0);
}

bool intake_is_empty(const struct intake *intake)
{
    return intake->n == 0;
}

size_t intake_fds(const struct intake *intake, struct pollfd out[INTAKE_MAX])
{
    for (size_t i = 0; i < intake->n; i++)
        out[i] = (struct pollfd){.fd = live_fd(intake->inputs[i]->source), .events = POLLIN};
    return intake->n;
}

void intake_polled(struct intake *intake, const struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n && i < intake->n; i++)
        intake->inputs[i]->is_ready |= fds[i].revents != 0;
}

/* False: the input broke, and is gone. */
static bool read_more(struct intake *intake, size_t i)
{
    struct input *input = intake->inputs[i];
    input->at = input->n = 0;
    int n = live_next(input->source, input->frames);
    if (n < 0) {
        uint16_t number = input->number;
        close_input(intake, i);
        intake->broken(intake->with, number, n);
        return false;
    }
    input->n = (unsigned)n;
    input->is_ready = n > 0;
    return true;
}

static void read_all(struct intake *intake)
{
    for (size_t i = intake->n; i-- > 0;) {
        const struct input *input = intake->inputs[i];
        if (input->at == input->n && input->is_ready)
            (void)read_more(intake, i); /* that it broke was told */
    }
}

static struct input *earliest(struct intake *intake)
{
    struct input *first = NULL;
    for (size_t i = 0; i < intake->n; i++) {
        struct input *input = intake->inputs[i];
        if (input->at < input->n &&
            (!first || input->frames[input->at].ts < first->frames[first->at].ts))
            first = input;
    }
    return first;
}

unsigned intake_next(struct intake *intake, int64_t polled, struct frame out[CAPTURE_BURST],
                     int *out_waits)
{
    *out_waits = 0;
    read_all(intake);
    unsigned n = 0;
    if (intake->n == 1) {
        struct input *input = intake->inputs[0];
        n = input->n - input->at;
        memcpy(out, input->frames + input->at, n * sizeof *out);
        input->at = input->n;
        return n;
    }
    int64_t late = intake->has_late ? LATE_RING : LATE_SOCKET;
    int64_t youngest = polled == INT64_MAX ? INT64_MAX : polled - late;
    while (n < CAPTURE_BURST) {
        struct input *input = earliest(intake);
        if (!input)
            break;
        int64_t ts = input->frames[input->at].ts;
        if (ts > youngest && ts < polled + FUTURE) {
            if (n == 0)
                *out_waits = intake->has_late ? WAIT_RING : WAIT_SOCKET;
            break;
        }
        out[n++] = input->frames[input->at++];
        if (input->at == input->n && input->is_ready)
            break; /* its next may be earlier than the others': read it first */
    }
    return n;
}

void intake_count(const struct intake *intake, struct live_counters out[INTAKE_MAX])
{
    memcpy(out, intake->closed, sizeof intake->closed);
    for (size_t i = 0; i < intake->n; i++) {
        struct live_counters counters;
        live_count(intake->inputs[i]->source, &counters);
        counters_add(&out[intake->inputs[i]->number % INTAKE_MAX], &counters, sizeof counters);
    }
}
