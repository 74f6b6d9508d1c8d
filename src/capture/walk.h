/* Walking over the records of one capture file: the formats know bytes, not files or blocks.
 *
 * A walk is one worker's place in one file. It is given pieces of the file, each of which goes on
 * where the walk stopped, and gives frames that point into them. What it keeps between pieces is
 * its own, so that workers need no lock. */
#ifndef CAPTURE_WALK_H
#define CAPTURE_WALK_H

#include "base/reader.h"
#include "net/packet.h"

/* The longest record: libpcap's own limit is 16 MiB for a block of pcapng. */
#define WALK_MAX_RECORD (16u << 20)

/* Bytes that say what a file is: enough for walk_open() to decide. */
#define WALK_MAGIC_SIZE 4

enum walk_stop {
    WALK_FULL,  /* as many frames as were asked for */
    WALK_LATER, /* the next frame is of `next_ts`, past the limit */
    WALK_NEED,  /* drop `skip` bytes that follow the piece, then `need` bytes from at.at on */
    WALK_BAD,   /* `bad` says what is wrong with the record that begins at at.at */
};

/* An interface of pcapng, as its description block says. */
struct walk_interface {
    uint64_t unit; /* ns, where a tick is that or more; else ticks in a ns, or bits of a second */
    int64_t offset_ns; /* added to every time */
    uint64_t plain; /* up to here ticks * unit + offset_ns cannot overflow; 0: other arithmetic */
    uint32_t snap_size;
    uint16_t link;
    uint8_t resolution; /* if_tsresol as it came */
};

struct walk {
    /* Gives at most `max` frames whose time is at most `limit`; sets `stop`. */
    size_t (*step)(struct walk *walk, struct frame *out, size_t max, int64_t limit);
    struct reader at; /* what is left of the piece */
    const char *bad;
    int64_t next_ts;
    uint64_t skip;
    uint32_t need;
    enum walk_stop stop;
    bool begun; /* the file's header was read: it is a capture */
    bool big;   /* the byte order of the file, or of the section */

    /* pcap */
    uint8_t extra_size; /* of the record's header, after the usual 16 bytes */
    bool swapped_sizes; /* versions before 2.3 have the two lengths the other way round */
    bool mixed_sizes;   /* version 2.3 has them either way: the smaller one is what was captured */
    uint16_t link;
    uint32_t unit;      /* ns in one unit of the time's fraction */
    uint32_t snap_size; /* UINT32_MAX: none */
    uint64_t n_cut;     /* packets that were longer */

    /* pcapng */
    struct walk_interface *interfaces;
    uint32_t n_interfaces, max_interfaces;
    uint64_t n_unknown; /* packets of an interface that was not described: left out */
    int64_t last_ts;    /* for packets that have no time */
};

/* A walk at a file's first byte. The first step reads the file's header. */
void walk_init(struct walk *walk);
void walk_done(struct walk *walk);

/* Both are told by the file's first bytes. A NULL name: not a capture. */
const char *walk_format_name(const uint8_t magic[WALK_MAGIC_SIZE]);

/* The formats: the first step of a walk, which reads the file's header. */
size_t walk_pcap(struct walk *walk, struct frame *out, size_t max, int64_t limit);
size_t walk_pcapng(struct walk *walk, struct frame *out, size_t max, int64_t limit);

static inline uint16_t walk_u16(struct reader *r, bool big)
{
    return big ? rd_be16(r) : rd_le16(r);
}

static inline uint32_t walk_u32(struct reader *r, bool big)
{
    return big ? rd_be32(r) : rd_le32(r);
}

static inline uint64_t walk_u64(struct reader *r, bool big)
{
    return big ? rd_be64(r) : rd_le64(r);
}

/* The common endings of a step, which leave the walk at the record that `r` stands before. */
static inline void walk_need(struct walk *walk, struct reader r, uint32_t need)
{
    walk->at = r;
    walk->need = need;
    walk->skip = 0;
    walk->stop = WALK_NEED;
}

static inline void walk_bad(struct walk *walk, struct reader r, const char *bad)
{
    walk->at = r;
    walk->bad = bad;
    walk->stop = WALK_BAD;
}

#endif
