/* AES-128 as QUIC uses it: one block for header protection, GCM for packets. The contexts of
 * libcrypto are fetched once and used again: that costs several times what the work itself does. */
#ifndef BASE_AEAD_H
#define BASE_AEAD_H

#include "base/str.h"

enum { AEAD_KEY_SIZE = 16, AEAD_NONCE_SIZE = 12, AEAD_TAG_SIZE = 16, AEAD_BLOCK_SIZE = 16 };

/* Of one worker; not to be shared. Run lifetime. */
struct aead;

/* NULL when libcrypto has no memory or no AES. */
struct aead *aead_new(void);
void aead_free(struct aead *aead);

/* Encrypts one block (ECB). False when libcrypto refuses. */
bool aead_block(struct aead *aead, const uint8_t key[AEAD_KEY_SIZE],
                const uint8_t in[AEAD_BLOCK_SIZE], uint8_t out[AEAD_BLOCK_SIZE]);

/* Opens what was sealed with AES-128-GCM; the additional data is the `n_parts` parts one after the
 * other. `sealed` ends with the tag; `out` has room for sealed.len - AEAD_TAG_SIZE bytes, and what
 * is in it means nothing when the answer is false. */
bool aead_open(struct aead *aead, const uint8_t key[AEAD_KEY_SIZE],
               const uint8_t nonce[AEAD_NONCE_SIZE], const struct str *parts, unsigned n_parts,
               struct str sealed, uint8_t *out);

#endif
