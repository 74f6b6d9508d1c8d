/* The keys of Initial packets (RFC 9001, 5.2; RFC 9369, 3.3): HKDF with SHA-256 over the client's
 * first destination connection id, with a salt that depends on the version.
 *
 *     id → extract(salt) → "client in" / "server in" → "quic key", "quic iv", "quic hp"
 *
 * They hide nothing from anybody who sees the first packet; they keep middle boxes that do not know
 * the version away from it. */
#include "proto/quic_keys.h"

#include "base/hash.h"

#define SECRET_SIZE HASH_SHA256_SIZE
#define SALT_SIZE   20
#define BLOCK_SIZE  64 /* of SHA-256 */
#define ID_MAX      255

enum salt { SALT_DRAFT_22, SALT_DRAFT_23, SALT_DRAFT_29, SALT_1, SALT_2 };

static const uint8_t salts[][SALT_SIZE] = {
    [SALT_DRAFT_22] = {0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
                       0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a},
    [SALT_DRAFT_23] = {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
                       0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02},
    [SALT_DRAFT_29] = {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
                       0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99},
    [SALT_1] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
    [SALT_2] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
};

/* The names are Zeek's, and so is that drafts 30 and 31 share one. */
static const struct version {
    uint32_t number;
    enum salt salt;
    const char *name;
} versions[] = {
    {QUIC_VERSION_1, SALT_1, "1"},
    {QUIC_VERSION_2, SALT_2, "quicv2"},
    {0xff000016, SALT_DRAFT_22, "draft-22"},
    {0xff000017, SALT_DRAFT_23, "draft-23"},
    {0xff000018, SALT_DRAFT_23, "draft-24"},
    {0xff000019, SALT_DRAFT_23, "draft-25"},
    {0xff00001a, SALT_DRAFT_23, "draft-26"},
    {0xff00001b, SALT_DRAFT_23, "draft-27"},
    {0xff00001c, SALT_DRAFT_23, "draft-28"},
    {0xff00001d, SALT_DRAFT_29, "draft-29"},
    {0xff00001e, SALT_DRAFT_29, "draft-30"},
    {0xff00001f, SALT_DRAFT_29, "draft-30"},
    {0xff000020, SALT_DRAFT_29, "draft-32"},
    {0xff000021, SALT_1, "draft-33"},
    {0xff000022, SALT_1, "draft-34"},
    {0xfaceb001, SALT_DRAFT_22, "mvfst (faceb001)"},
    {0xfaceb002, SALT_DRAFT_23, "mvfst (faceb002)"},
    {0xfaceb00e, SALT_DRAFT_23, "mvfst (faceb00e)"},
    {0xfaceb011, SALT_DRAFT_23, "mvfst (faceb011)"},
    {0xfaceb012, SALT_DRAFT_23, "mvfst (faceb012)"},
    {0xfaceb013, SALT_DRAFT_23, "mvfst (faceb013)"},
};

static const struct version *find_version(uint32_t number)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (versions[i].number == number)
            return &versions[i];
    return NULL;
}

const char *quic_version_name(uint32_t version)
{
    const struct version *known = find_version(version);
    return known ? known->name : NULL;
}

/* HMAC-SHA-256 (RFC 2104) of a message of at most ID_MAX bytes, with a key no longer than a block.
 */
static void hmac(const uint8_t *key, size_t key_size, const void *message, size_t size,
                 uint8_t out[HASH_SHA256_SIZE])
{
    uint8_t inner[BLOCK_SIZE + ID_MAX], outer[BLOCK_SIZE + HASH_SHA256_SIZE];
    memset(inner, 0x36, BLOCK_SIZE);
    memset(outer, 0x5c, BLOCK_SIZE);
    for (size_t i = 0; i < key_size; i++) {
        inner[i] ^= key[i];
        outer[i] ^= key[i];
    }
    if (size > 0)
        memcpy(inner + BLOCK_SIZE, message, size);
    hash_sha256(inner, BLOCK_SIZE + size, outer + BLOCK_SIZE);
    hash_sha256(outer, sizeof outer, out);
}

/* HKDF-Expand-Label (RFC 8446, 7.1) without context, for at most one digest of output. */
static void expand(const uint8_t secret[SECRET_SIZE], const char *label, uint8_t *out, size_t size)
{
    static const char prefix[] = "tls13 ";
    uint8_t info[64], digest[HASH_SHA256_SIZE];
    size_t prefix_len = sizeof prefix - 1, label_len = strlen(label), n = 0;
    info[n++] = 0;
    info[n++] = (uint8_t)size;
    info[n++] = (uint8_t)(prefix_len + label_len);
    memcpy(info + n, prefix, prefix_len);
    n += prefix_len;
    memcpy(info + n, label, label_len);
    n += label_len;
    info[n++] = 0; /* no context */
    info[n++] = 1; /* first block of the output */
    hmac(secret, SECRET_SIZE, info, n, digest);
    memcpy(out, digest, size);
}

void quic_derive_keys(uint32_t version, struct str id, bool from_client, struct quic_keys *out)
{
    uint8_t initial[SECRET_SIZE], secret[SECRET_SIZE];
    bool is_2 = version == QUIC_VERSION_2;
    id = str_upto(id, ID_MAX);
    hmac(salts[find_version(version)->salt], SALT_SIZE, id.at, id.len, initial);
    expand(initial, from_client ? "client in" : "server in", secret, sizeof secret);
    expand(secret, is_2 ? "quicv2 key" : "quic key", out->key, sizeof out->key);
    expand(secret, is_2 ? "quicv2 iv" : "quic iv", out->nonce, sizeof out->nonce);
    expand(secret, is_2 ? "quicv2 hp" : "quic hp", out->mask, sizeof out->mask);
}
