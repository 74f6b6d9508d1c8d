/* AES-128 by libcrypto's EVP: see aead.h. */
#include "base/aead.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>

struct aead {
    EVP_CIPHER *ecb, *gcm;
    EVP_CIPHER_CTX *block, *open;
};

struct aead *aead_new(void)
{
    struct aead *aead = calloc(1, sizeof *aead);
    if (!aead)
        return NULL;
    aead->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    aead->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    aead->block = EVP_CIPHER_CTX_new();
    aead->open = EVP_CIPHER_CTX_new();
    if (!aead->ecb || !aead->gcm || !aead->block || !aead->open ||
        EVP_EncryptInit_ex2(aead->block, aead->ecb, NULL, NULL, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(aead->block, 0) != 1 ||
        EVP_DecryptInit_ex2(aead->open, aead->gcm, NULL, NULL, NULL) != 1) {
        aead_free(aead);
        return NULL;
    }
    return aead;
}

void aead_free(struct aead *aead)
{
    if (!aead)
        return;
    EVP_CIPHER_CTX_free(aead->block);
    EVP_CIPHER_CTX_free(aead->open);
    EVP_CIPHER_free(aead->ecb);
    EVP_CIPHER_free(aead->gcm);
    free(aead);
}

bool aead_block(struct aead *aead, const uint8_t key[AEAD_KEY_SIZE],
                const uint8_t in[AEAD_BLOCK_SIZE], uint8_t out[AEAD_BLOCK_SIZE])
{
    int size = 0;
    return EVP_EncryptInit_ex2(aead->block, NULL, key, NULL, NULL) == 1 &&
           EVP_EncryptUpdate(aead->block, out, &size, in, AEAD_BLOCK_SIZE) == 1 &&
           size == AEAD_BLOCK_SIZE;
}

bool aead_open(struct aead *aead, const uint8_t key[AEAD_KEY_SIZE],
               const uint8_t nonce[AEAD_NONCE_SIZE], const struct str *parts, unsigned n_parts,
               struct str sealed, uint8_t *out)
{
    if (sealed.len < AEAD_TAG_SIZE || sealed.len > INT_MAX)
        return false;
    int size = 0;
    if (EVP_DecryptInit_ex2(aead->open, NULL, key, nonce, NULL) != 1)
        return false;
    for (unsigned i = 0; i < n_parts; i++) {
        if (parts[i].len > INT_MAX)
            return false;
        if (parts[i].len > 0 &&
            EVP_DecryptUpdate(aead->open, NULL, &size, (const unsigned char *)parts[i].at,
                              (int)parts[i].len) != 1)
            return false;
    }
    uint8_t tag[AEAD_TAG_SIZE];
    struct str text = str_upto(sealed, sealed.len - AEAD_TAG_SIZE);
    memcpy(tag, str_from(sealed, text.len).at, sizeof tag);
    if (text.len > 0 && EVP_DecryptUpdate(aead->open, out, &size, (const unsigned char *)text.at,
                                          (int)text.len) != 1)
        return false;
    uint8_t rest[AEAD_BLOCK_SIZE];
    return EVP_CIPHER_CTX_ctrl(aead->open, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
           EVP_DecryptFinal_ex(aead->open, rest, &size) == 1;
}
