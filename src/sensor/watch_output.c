/* The workers' side of packets for other tools: each worker has a writer of each sink. */
#include <stdlib.h>

#include "sensor/watch_parts.h"
#include "tunnel/tunnel.h"

struct output {
    size_t n;
    struct sink_writer *writers[WATCH_MAX_SINKS];
};

void *watch_output_new(struct watch *w)
{
    struct output *output = calloc(1, sizeof *output);
    struct err err;
    for (size_t i = 0; output && i < w->options.n_sinks; i++) {
        if (sink_attach(w->options.sinks[i], &output->writers[i], &err) < 0) {
            watch_say(w, NOTE_ERROR, "%s", err.text);
            watch_output_free(output);
            return NULL;
        }
        output->n++;
    }
    return output;
}

void watch_output_packet(void *with, const struct packet *packet, const struct source *source)
{
    struct output *output = with;
    if (!packet->frame)
        return;
    struct sink_packet out = {
        .ts = packet->ts,
        .bytes = packet->frame,
        .size = packet->frame_size,
        .wire_size = packet->frame_wire_size > packet->frame_size ? packet->frame_wire_size
                                                                  : packet->frame_size,
        .link = packet->frame_link,
    };
    if (source) {
        out.source = source->name;
        out.encapsulation = source->decoder ? source->decoder->name : NULL;
        out.outer = source->decoder ? &source->outer : NULL;
        out.has_id = source->has_id;
        out.id = source->id;
    }
    for (size_t i = 0; i < output->n; i++)
        sink_write(output->writers[i], &out);
}

void watch_output_flush(void *with)
{
    struct output *output = with;
    for (size_t i = 0; i < output->n; i++)
        sink_flush(output->writers[i]);
}

void watch_output_free(void *with)
{
    struct output *output = with;
    if (!output)
        return;
    for (size_t i = 0; i < output->n; i++)
        sink_detach(output->writers[i]);
    free(output);
}
