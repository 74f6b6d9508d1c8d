/* For the decoders' unit tests: rows of bytes and of what a decoder should make of them. */
#ifndef TUNNEL_DECODING_H
#define TUNNEL_DECODING_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "tunnel/tunnel.h"

struct decoding {
    const char *what;
    const char *hex; /* spaces and '|' are for the eye */
    enum tunnel_next next;
    const struct tunnel_decoder *decoder;
    uint16_t ethertype, link;
    const char *weird;
    bool confirmed;
    bool has_id, has_seq, truncated;
    uint8_t direction, ip_proto;
    uint32_t id, seq;
    size_t left; /* bytes of payload; not looked at for TUNNEL_NOT_MINE and TUNNEL_CONTROL */
};

/* Decodes every row from a heap block of its exact size, and every prefix of every row: none may
 * read past its end, loop, or leave the reader outside the block. */
void decoding_check(const struct tunnel_decoder *decoder, const struct decoding *rows,
                    size_t n_rows);

/* Every value of every byte of the row's bytes, one at a time: only that nothing is read that is
 * not there. */
void decoding_shake(const struct tunnel_decoder *decoder, const char *hex);

/* A heap block of exactly the bytes; free it. */
uint8_t *decoding_bytes(const char *hex, size_t *out_size);

#define DECODING_CHECK(decoder, rows)                                                              \
    decoding_check(decoder, rows, sizeof(rows) / sizeof((rows)[0]))

#endif
