/* Versions of QUIC and the keys of their Initial packets, which everybody can derive: see
 * quic_keys.c. */
#ifndef PROTO_QUIC_KEYS_H
#define PROTO_QUIC_KEYS_H

#include "base/aead.h"

enum { QUIC_VERSION_1 = 0x00000001, QUIC_VERSION_2 = 0x6b3343cf };

/* Of one direction. */
struct quic_keys {
    uint8_t key[AEAD_KEY_SIZE];
    uint8_t nonce[AEAD_NONCE_SIZE]; /* to be combined with the packet number */
    uint8_t mask[AEAD_KEY_SIZE];    /* key of the header protection */
};

/* As quic.log has it; NULL for a version that we cannot read. */
const char *quic_version_name(uint32_t version);

/* `id` is the connection id that the client chose for the server first. The version must be one
 * that has a name. */
void quic_derive_keys(uint32_t version, struct str id, bool from_client, struct quic_keys *out);

#endif
