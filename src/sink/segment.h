/* Cuts Ethernet frames that no wire would have carried: a mirror on a host sees what its kernel
 * hands to the network card, up to 64 KiB and more in one frame ("segmentation offload"). They are
 * cut as the card would have done it. */
#ifndef SINK_SEGMENT_H
#define SINK_SEGMENT_H

#include "base/reader.h"

enum segment_kind {
    SEGMENT_FITS,      /* it is small enough as it is */
    SEGMENT_TCP,       /* becomes several TCP segments */
    SEGMENT_UDP,       /* becomes several datagrams: only where their size was said */
    SEGMENT_FRAGMENTS, /* becomes several fragments of an IP packet */
    SEGMENT_CANNOT,    /* it is too large, and no such packet */
};

/* What can be in front of the payload: Ethernet with tags, IP with options and extension headers,
 * TCP with options. */
#define SEGMENT_MAX_HEADERS 512

/* Of a tunnel's packet, in which what is cut lies. Offsets are the header's. */
struct segment_outer {
    uint8_t proto; /* UDP, GRE, or an IP in IP; 0: there is no tunnel */
    bool is_v4;
    uint16_t ip_id;
    uint32_t ip_at;
    uint32_t transport_at;
};

struct segmenter {
    enum segment_kind kind;
    bool is_v4;
    bool whole;               /* the capture has the packet's end */
    uint32_t link_size;       /* bytes in front of the IP header */
    uint32_t header_size;     /* all that every piece begins with, the link header among it */
    uint32_t transport_at;    /* in the header; of TCP and UDP */
    uint32_t step;            /* payload bytes of a piece */
    uint32_t done;            /* payload bytes given so far */
    uint32_t n_pieces;        /* given so far */
    uint16_t fragment_offset; /* IPv4: of the frame itself, and its flags */
    uint32_t fragment_at;     /* IPv6: of the fragment header, in the header */
    uint16_t ip_id;
    uint32_t seq;
    uint8_t flags; /* TCP's */
    struct segment_outer outer;
    struct reader payload;
    uint8_t header[SEGMENT_MAX_HEADERS];
};

/* `mtu`: how many bytes may follow the 14 of the Ethernet header; a first 802.1Q tag is not counted
 * among them. The frame stays borrowed until its last piece is given. */
enum segment_kind segment_begin(struct segmenter *s, const uint8_t *frame, uint32_t size,
                                uint32_t mtu);

/* The same where the kernel says how the card was to cut it: into pieces of `step` bytes of
 * payload, of the TCP or UDP header at `transport_at`. A piece is at most SEGMENT_MAX_HEADERS bytes
 * larger than its payload. Other protocols, and what lies in a tunnel, cannot be cut so. */
enum segment_kind segment_begin_sized(struct segmenter *s, const uint8_t *frame, uint32_t size,
                                      uint32_t transport_at, uint32_t step);

/* Writes the next piece, a frame, with its lengths and checksums right, and gives its size; 0:
 * there are no more. `out` has room for mtu + 18 bytes. */
uint32_t segment_next(struct segmenter *s, uint8_t *out);

/* Fills in the TCP or UDP checksum of a frame where its sender left that to the network card: the
 * field then holds the sum of the pseudo-header, or nothing. Other checksums, right or wrong, are
 * left alone. True: something was changed. */
bool segment_finish_checksum(uint8_t *frame, uint32_t size);

/* The same where the kernel says what is missing: the checksum over the bytes from `from` to the
 * frame's end, whose place is at `at`; the place holds the sum of the pseudo-header. Where it lies
 * as that of SCTP does, it is a CRC32c. False: there is no such place in the frame. */
bool segment_finish_at(uint8_t *frame, uint32_t size, uint32_t from, uint32_t at);

#endif
