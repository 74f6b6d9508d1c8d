/* The digests of libcrypto, by its oldest interface: the state is on the stack and nothing is
 * fetched or allocated, which makes it several times faster than EVP for the kilobyte that a
 * certificate has. The interface is deprecated in OpenSSL 3, not removed; this file alone knows. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <string.h>

void hash_md5(const void *bytes, size_t size, uint8_t out[HASH_MD5_SIZE])
{
    MD5_CTX context;
    MD5_Init(&context);
    MD5_Update(&context, bytes, size);
    MD5_Final(out, &context);
}

void hash_sha1(const void *bytes, size_t size, uint8_t out[HASH_SHA1_SIZE])
{
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, bytes, size);
    SHA1_Final(out, &context);
}

void hash_sha256(const void *bytes, size_t size, uint8_t out[HASH_SHA256_SIZE])
{
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes, size);
    SHA256_Final(out, &context);
}

enum { SHA256_BLOCK = 64 };

void hash_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
                      uint8_t out[HASH_SHA256_SIZE])
{
    uint8_t block[SHA256_BLOCK] = {0}, inner[HASH_SHA256_SIZE];
    SHA256_CTX context;
    if (key_size > sizeof block)
        hash_sha256(key, key_size, block);
    else if (key_size)
        memcpy(block, key, key_size);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36;
    SHA256_Init(&context);
    SHA256_Update(&context, block, sizeof block);
    SHA256_Update(&context, bytes, size);
    SHA256_Final(inner, &context);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&context);
    SHA256_Update(&context, block, sizeof block);
    SHA256_Update(&context, inner, sizeof inner);
    SHA256_Final(out, &context);
    explicit_bzero(block, sizeof block);
    explicit_bzero(inner, sizeof inner);
    explicit_bzero(&context, sizeof context);
}

void hash_hex(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}
