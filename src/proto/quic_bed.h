/* What the tests and the fuzzer of the QUIC analyzer share: packets made byte by byte, and Initial
 * packets sealed as a client or a server would. */
#ifndef PROTO_QUIC_BED_H
#define PROTO_QUIC_BED_H

#include <stdlib.h>

#include <openssl/evp.h>

#include "proto/quic_keys.h"

struct wire {
    uint8_t bytes[20000];
    size_t size;
};

static inline void put8(struct wire *w, unsigned value)
{
    w->bytes[w->size++] = (uint8_t)value;
}

static inline void put16(struct wire *w, unsigned value)
{
    put8(w, value >> 8 & 0xff);
    put8(w, value & 0xff);
}

static inline void put32(struct wire *w, uint32_t value)
{
    put16(w, value >> 16);
    put16(w, value & 0xffff);
}

/* In two bytes when it fits, else in four; a test for the other sizes writes them itself. */
static inline void put_varint(struct wire *w, uint32_t value)
{
    if (value < 0x4000)
        put16(w, 0x4000 | value);
    else
        put32(w, 0x80000000 | value);
}

static inline void put_bytes(struct wire *w, const void *bytes, size_t size)
{
    if (size)
        memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

static inline void put_hex(struct wire *w, const char *hex)
{
    for (; hex[0] && hex[1]; hex += 2) {
        const char pair[] = {hex[0], hex[1], 0};
        put8(w, (unsigned)strtoul(pair, NULL, 16));
    }
}

static inline void put_frame_crypto(struct wire *w, uint32_t offset, const void *bytes, size_t size)
{
    put8(w, 6);
    put_varint(w, offset);
    put_varint(w, (uint32_t)size);
    put_bytes(w, bytes, size);
}

/* The part of a long header that all packets have. */
static inline void put_long(struct wire *w, unsigned first, uint32_t version, struct str dcid,
                            struct str scid)
{
    put8(w, first);
    put32(w, version);
    put8(w, dcid.len);
    put_bytes(w, dcid.at, dcid.len);
    put8(w, scid.len);
    put_bytes(w, scid.at, scid.len);
}

static inline void seal(const uint8_t key[16], const uint8_t nonce[12], const uint8_t *header,
                        size_t header_size, const uint8_t *text, size_t size, uint8_t *out)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0;
    if (!context || EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), NULL, key, nonce) != 1 ||
        EVP_EncryptUpdate(context, NULL, &n, header, (int)header_size) != 1 ||
        EVP_EncryptUpdate(context, out, &n, text, (int)size) != 1 ||
        EVP_EncryptFinal_ex(context, out + size, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out + size) != 1)
        abort();
    EVP_CIPHER_CTX_free(context);
}

/* Protects what was sealed: the sample begins four bytes after the packet number. */
static inline void protect(struct wire *w, size_t start, size_t number_at, size_t number_size,
                           const uint8_t key[16])
{
    uint8_t mask[16];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0;
    if (!context || EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), NULL, key, NULL) != 1 ||
        EVP_EncryptUpdate(context, mask, &n, w->bytes + number_at + 4, 16) != 1)
        abort();
    EVP_CIPHER_CTX_free(context);
    w->bytes[start] ^= mask[0] & 0x0f;
    for (size_t i = 0; i < number_size; i++)
        w->bytes[number_at + i] ^= mask[1 + i];
}

struct initial {
    uint32_t version;
    bool from_client;
    struct str id; /* that the keys are made of */
    struct str dcid, scid, token;
    uint32_t number;
    unsigned number_size; /* 1 to 4 */
};

/* Appends an Initial packet with these frames, at least four bytes. */
static inline void put_initial(struct wire *w, const struct initial *i, const struct wire *frames)
{
    size_t start = w->size;
    unsigned type = i->version == QUIC_VERSION_2 ? 0xd0 : 0xc0;
    put_long(w, type | (i->number_size - 1), i->version, i->dcid, i->scid);
    if (i->token.len)
        put_varint(w, i->token.len);
    else
        put8(w, 0);
    put_bytes(w, i->token.at, i->token.len);
    put_varint(w, (uint32_t)(i->number_size + frames->size + 16));
    size_t number_at = w->size;
    for (unsigned n = i->number_size; n-- > 0;)
        put8(w, i->number >> 8 * n & 0xff);
    struct quic_keys keys;
    quic_derive_keys(i->version, i->id, i->from_client, &keys);
    for (unsigned n = 0; n < 4; n++)
        keys.nonce[11 - n] ^= (uint8_t)(i->number >> 8 * n);
    seal(keys.key, keys.nonce, w->bytes + start, w->size - start, frames->bytes, frames->size,
         w->bytes + w->size);
    w->size += frames->size + 16;
    protect(w, start, number_at, i->number_size, keys.mask);
}

#endif
