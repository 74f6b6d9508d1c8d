/* What the parts of the QUIC analyzer share:
 *
 *     quic.c (packets) → quic_initial.c (decryption, frames) → quic_stream.c (the hello in pieces)
 *         → ssl.c, and quic_hello.c for the names in quic.log (quic_log.c)
 *
 * Only the Initial packets can be read; all later ones are counted by their headers. What is needed
 * for reading them is given back when the hellos of both sides have been seen. */
#ifndef PROTO_QUIC_H
#define PROTO_QUIC_H

#include "proto/analyzer.h"
#include "proto/quic_keys.h"

enum {
    QUIC_MAX_HISTORY = 100,         /* Zeek's QUIC::max_history_length */
    QUIC_MAX_ID = 255,              /* a connection id's size is one byte, and Zeek believes it */
    QUIC_MAX_TEXT = 16384,          /* a text of the row; all together, as they change: twice */
    QUIC_MAX_PAYLOAD = 10000,       /* of an Initial packet (Zeek's limit) */
    QUIC_MAX_MESSAGE = 16384 + 256, /* a hello with its header */
    QUIC_MAX_INITIALS = 256,        /* decrypted in one connection: a handshake needs a handful */
};

/* The row of quic.log in the making. */
struct quic_row {
    bool begun;
    uint8_t n_history;
    uint32_t version;
    int64_t ts;                                       /* of the first packet */
    struct arena arena;                               /* of the texts */
    struct str client_dcid, client_scid, server_scid; /* bytes, not yet in hexadecimal */
    struct str server_name, protocol;
    char history[QUIC_MAX_HISTORY];
};

/* One side's handshake message, as CRYPTO frames bring it. */
struct quic_stream {
    uint8_t *block;    /* of the pool: `capacity` bytes, then one bit for each that has come */
    uint32_t capacity; /* 0: nothing had to be kept */
    uint32_t have;     /* bytes from the beginning on that have come */
    bool lost;         /* too long: nothing of it is kept, and it will not be complete */
};

/* What it takes to read Initial packets. */
struct quic_initial {
    uint8_t id_size;
    uint8_t id[QUIC_MAX_ID]; /* the client's first destination connection id */
    uint32_t version[2];     /* of the keys; 0: not yet derived */
    struct quic_keys keys[2];
    struct quic_stream stream[2];
};

struct quic {
    struct analysis *analysis;
    struct analysis *ssl;         /* child; NULL before the first hello */
    struct quic_initial *initial; /* of the pool; NULL: no packet of the client was decrypted yet,
                                     or all was read */
    struct quic_row row;
    uint16_t n_initials;    /* decrypted */
    uint8_t client_id_size; /* of the connection id in packets with a short header */
    bool finished[2];       /* that side's hello has been seen */
    bool gone;              /* nothing more is looked at */
};

/* A packet with a long header. */
struct quic_packet {
    uint8_t first;
    uint32_t version;
    struct str dcid, scid;
    struct str header;  /* all before the packet number */
    struct str payload; /* packet number, text, tag */
};

/* It is not QUIC, or broken: the analyzer is taken off. */
void quic_violation(struct quic *q, const char *reason);

/* ---- Initial packets ---- */

bool quic_can_decrypt(const struct quic *q, int dir);
void quic_read_initial(struct quic *q, int dir, const struct quic_packet *packet);
void quic_forget_initial(struct quic *q); /* gives the memory back */

/* Bytes of a handshake message. */
void quic_stream_add(struct quic *q, int dir, uint64_t offset, struct str data);
void quic_stream_done(struct quic *q, struct quic_stream *stream);

/* A hello that has come in full. */
void quic_read_hello(struct quic *q, struct str message);

/* ---- the log ---- */

extern const struct log_schema quic_log;

void quic_log_packet(struct quic *q, int dir, const struct quic_packet *packet);
void quic_log_history(struct quic *q, bool is_client, char letter);
void quic_log_text(struct quic *q, struct str *text, struct str value);
void quic_log_write(
    struct quic *q); /* the row as it is, when there is one; the next is a new one */

static inline uint64_t quic_read_varint(struct reader *r)
{
    uint8_t first = rd_u8(r);
    uint64_t value = first & 0x3f;
    switch (first >> 6) {
    case 0:
        return value;
    case 1:
        return value << 8 | rd_u8(r);
    case 2:
        return value << 24 | rd_be24(r);
    default:
        value = value << 24 | rd_be24(r);
        return value << 32 | rd_be32(r);
    }
}

/* The next `size` bytes, which may be more than there are. */
static inline struct str quic_read_str(struct reader *r, uint64_t size)
{
    if (size > rd_left(r))
        rd_fail(r);
    struct reader part = rd_sub(r, rd_ok(r) ? (size_t)size : 0);
    return str_make(part.at, rd_left(&part));
}

#endif
