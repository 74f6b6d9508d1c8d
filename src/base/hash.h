/* Digests of bytes that lie in one piece: fingerprints of certificates, JA3, JA4,
 * signatures of requests. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_MD5_SIZE = 16, HASH_SHA1_SIZE = 20, HASH_SHA256_SIZE = 32 };

void hash_md5(const void *bytes, size_t size, uint8_t out[HASH_MD5_SIZE]);
void hash_sha1(const void *bytes, size_t size, uint8_t out[HASH_SHA1_SIZE]);
void hash_sha256(const void *bytes, size_t size, uint8_t out[HASH_SHA256_SIZE]);

/* HMAC with SHA-256, RFC 2104. `key` may be of any size; `out` may be `key`. */
void hash_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size,
                      uint8_t out[HASH_SHA256_SIZE]);

/* Lower-case hexadecimal; `out` has room for 2 * size characters, and no NUL is added. */
void hash_hex(const uint8_t *bytes, size_t size, char *out);

#endif
