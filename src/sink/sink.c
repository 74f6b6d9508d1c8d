/* What all packet sinks have in common: counters, notes, and the way to the one that is meant. */
#include "sink/sink.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name, *text;
} refusals[SINK_N_REFUSALS] = {
    [SINK_FULL] = {"full", "were not written: the other side was too slow"},
    [SINK_GONE] = {"gone", "were not written: nobody was there to take them"},
    [SINK_TOO_LARGE] = {"too-large", "were not written: too large, and not to be cut to fit"},
    [SINK_LINK] = {"link-type", "were not written: of a link type that cannot be carried"},
    [SINK_DISK] = {"disk", "were not written: the disk is full"},
    [SINK_ERROR] = {"error", "were not written: the system refused them"},
};

const char *sink_refusal_name(enum sink_refusal refusal)
{
    return refusals[refusal].name;
}

const char *sink_refusal_text(enum sink_refusal refusal)
{
    return refusals[refusal].text;
}

int sink_start(struct sink *sink, struct err *err)
{
    return sink->ops->start ? sink->ops->start(sink, err) : 0;
}

int sink_attach(struct sink *sink, struct sink_writer **out, struct err *err)
{
    int result = sink->ops->attach(sink, out, err);
    if (result == 0)
        (*out)->sink = sink;
    return result;
}

void sink_burst(struct sink_writer *writer)
{
    writer->sink->ops->burst(writer);
    sink_publish(writer->sink, &writer->counters);
}

void sink_flush(struct sink_writer *writer)
{
    writer->sink->ops->flush(writer);
    sink_publish(writer->sink, &writer->counters);
}

void sink_detach(struct sink_writer *writer)
{
    if (!writer)
        return;
    sink_flush(writer);
    writer->sink->ops->detach(writer);
}

int sink_close(struct sink *sink, struct err *err)
{
    return sink ? sink->ops->close(sink, err) : 0;
}

/* The counters are eight bytes each, one after the other. */
#define N_COUNTERS (sizeof(struct sink_counters) / sizeof(uint64_t))

void sink_count(const struct sink *sink, struct sink_counters *out)
{
    const uint64_t *from = (const uint64_t *)&sink->counters;
    uint64_t *to = (uint64_t *)out;
    for (size_t i = 0; i < N_COUNTERS; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void sink_publish(struct sink *sink, struct sink_counters *counters)
{
    uint64_t *to = (uint64_t *)&sink->counters;
    uint64_t *from = (uint64_t *)counters;
    for (size_t i = 0; i < N_COUNTERS; i++)
        if (from[i]) {
            __atomic_fetch_add(&to[i], from[i], __ATOMIC_RELAXED);
            from[i] = 0;
        }
}

void sink_init(struct sink *sink, const struct sink_ops *ops)
{
    memset(sink, 0, sizeof *sink);
    sink->ops = ops;
    pthread_mutex_init(&sink->note_lock, NULL);
}

void sink_done(struct sink *sink)
{
    pthread_mutex_destroy(&sink->note_lock);
}

void sink_say(struct sink *sink, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&sink->note_lock);
    (void)vsnprintf(sink->note, sizeof sink->note, format, args); /* cut when it is longer */
    pthread_mutex_unlock(&sink->note_lock);
    va_end(args);
}

bool sink_take_note(struct sink *sink, char out[SINK_NOTE_MAX])
{
    pthread_mutex_lock(&sink->note_lock);
    bool has = sink->note[0] != 0;
    memcpy(out, sink->note, sizeof sink->note);
    sink->note[0] = 0;
    pthread_mutex_unlock(&sink->note_lock);
    return has;
}
