/* What becomes of a frame: see path.h. */
#include "carry/path.h"

#include <string.h>

#include "base/clock.h"

void path_init(struct path *path, const struct carry_options *options, struct outlet *outlet,
               struct carry_counters *counters)
{
    path->counters = counters;
    path->outlet = outlet;
    path->snap = options->snap;
    path->mtu = 1500;
    path->used = 0;
    own_init(&path->own, options);
    limit_init(&path->limit, options->rate_limit, clock_ticks());
}

void path_time(struct path *path)
{
    if (path->limit.rate)
        limit_refill(&path->limit, clock_ticks());
}

void path_flush(struct path *path)
{
    outlet_flush(path->outlet);
    path->used = 0;
}

/* A frame as the wire has it; there is room for the outer header in front of it. */
static void send_one(struct path *path, uint32_t hash, uint8_t *frame, uint32_t size)
{
    bool is_long = path->snap && size > path->snap;
    if (is_long)
        size = path->snap;
    if (!limit_takes(&path->limit, size)) {
        path->counters->n_over_limit++;
        return;
    }
    path->counters->n_snapped += is_long;
    memcpy(frame - OUTER_SIZE, path->own.head, OUTER_SIZE);
    outlet_put(path->outlet, hash, frame - OUTER_SIZE, OUTER_SIZE + size);
}

/* `room`: the largest piece. */
static void send_pieces(struct path *path, uint32_t hash, uint32_t room)
{
    path->counters->n_segmented++;
    for (;;) {
        if (path->used + OUTER_SIZE + room > PATH_SCRATCH)
            path_flush(path);
        uint8_t *out = path->scratch + path->used + OUTER_SIZE;
        uint32_t size = segment_next(&path->segmenter, out);
        if (size == 0)
            return;
        path->counters->n_segments++;
        path->used += OUTER_SIZE + size;
        send_one(path, hash, out, size);
    }
}

/* Where nobody said what was left to the card: a frame is too large when it is larger than the
 * MTU, and a checksum lacks when its place holds no more than the pseudo-header's sum. */
static void send_guessed(struct path *path, uint32_t hash, uint8_t *bytes, uint32_t size)
{
    path->counters->n_finished += segment_finish_checksum(bytes, size);
    enum segment_kind kind = segment_begin(&path->segmenter, bytes, size, path->mtu);
    if (kind == SEGMENT_FITS)
        send_one(path, hash, bytes, size);
    else if (kind == SEGMENT_CANNOT)
        path->counters->n_not_cut++;
    else
        send_pieces(path, hash, path->mtu + 18);
}

static void send_told(struct path *path, uint32_t hash, uint8_t *bytes, uint32_t size,
                      const struct ring_offload *offload)
{
    bool is_one = offload->gso == RING_GSO_NONE;
    if ((is_one || offload->gso == RING_GSO_OTHER) && offload->sum_lacks)
        path->counters->n_finished +=
            segment_finish_at(bytes, size, offload->sum_from, offload->sum_at);
    if (is_one) {
        send_one(path, hash, bytes, size);
        return;
    }
    if (offload->gso == RING_GSO_OTHER) { /* a virtual machine's: fragments */
        send_guessed(path, hash, bytes, size);
        return;
    }
    enum segment_kind wanted = offload->gso == RING_GSO_TCP ? SEGMENT_TCP : SEGMENT_UDP;
    uint32_t transport = offload->sum_lacks ? offload->sum_from : 0;
    if (segment_begin_sized(&path->segmenter, bytes, size, transport, offload->gso_size) == wanted)
        send_pieces(path, hash, SEGMENT_MAX_HEADERS + offload->gso_size);
    else
        path->counters->n_not_cut++;
}

void path_frame(struct path *path, const struct frame *frame, const struct ring_offload *offload)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)frame->bytes;
    uint32_t size = frame->size;
    path->counters->n_seen++;
    path->counters->bytes_seen += frame->wire_size;
    if (frame->size < frame->wire_size) {
        path->counters->n_not_cut++;
        return;
    }
    if (frame->link != LINK_ETHERNET) {
        const struct sink_packet packet = {.bytes = bytes, .size = size, .link = frame->link};
        uint8_t header[ETHER_HEADER_SIZE];
        int more = ether_header(&packet, header);
        if (more < 0) { /* neither IPv4 nor IPv6, whatever the kernel called it */
            path->counters->n_not_cut++;
            return;
        }
        memcpy(bytes - more, header, (size_t)more);
        bytes -= more;
        size += (uint32_t)more;
    }
    if (own_is_copy(&path->own, bytes, size)) {
        path->counters->n_own++;
        return;
    }
    uint32_t hash = outer_hash(LINK_ETHERNET, bytes, size);
    if (offload)
        send_told(path, hash, bytes, size, offload);
    else
        send_guessed(path, hash, bytes, size);
}
