/* JSON web tokens: see jwt.h. */
#include "cloud/jwt.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cloud/http.h"

#define TOKEN_MAX (64u << 10)

/* RFC 4648, section 5; without '='. */
static void put_base64url(const void *bytes, size_t size, struct text *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t word = (uint32_t)at[i] << 16 | (n > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                        (n > 2 ? (uint32_t)at[i + 2] : 0);
        for (size_t k = 0; k <= n; k++)
            text_add(out, &letters[word >> (18 - 6 * k) & 63], 1);
    }
}

static bool put_part(const json_t *part, struct text *out)
{
    char *plain = json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS);
    if (plain)
        put_base64url(plain, strlen(plain), out);
    free(plain);
    return plain != NULL;
}

/* A key that has a password is none: nobody is there to be asked. */
static int no_password(char *buffer, int size, int writes, void *with)
{
    (void)buffer;
    (void)size;
    (void)writes;
    (void)with;
    return -1;
}

static bool put_signature(EVP_PKEY *key, const char *text, size_t size, struct text *out)
{
    unsigned char signature[1024];
    size_t n = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(context, signature, &n, (const unsigned char *)text, size) == 1;
    if (ok)
        put_base64url(signature, n, out);
    EVP_MD_CTX_free(context);
    return ok;
}

int cloud_jwt_sign(const char *who, const char *pem, const json_t *header, const json_t *claims,
                   char **out, struct err *err)
{
    struct text token;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    size_t taken;
    int result = 0;
    text_init(&token, TOKEN_MAX);
    if (!key || EVP_PKEY_base_id(key) != EVP_PKEY_RSA)
        result = err_set(err, -EINVAL,
                         "%s: there is no private RSA key without a password in it (PEM)", who);
    if (result == 0) {
        bool ok = put_part(header, &token);
        text_put(&token, ".");
        ok = ok && put_part(claims, &token) && !token.failed;
        size_t size = token.size;
        if (ok)
            text_put(&token, ".");
        /* The text may move while it grows. */
        char *copy = ok ? strndup(token.at, size) : NULL;
        ok = copy && put_signature(key, copy, size, &token) && !token.failed;
        cloud_forget(copy);
        if (!ok)
            result = err_set(err, -EIO, "%s: could not be signed with", who);
    }
    EVP_PKEY_free(key);
    BIO_free(bio);
    if (result == 0) {
        *out = text_take(&token, &taken);
        if (!*out)
            result = err_set(err, -ENOMEM, "out of memory");
    }
    if (token.at)
        explicit_bzero(token.at, token.size);
    text_done(&token);
    return result;
}

int cloud_jwt_thumbprint(const char *who, const char *pem, char out[64], struct err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
    bool ok = certificate && X509_digest(certificate, EVP_sha1(), digest, &size) == 1;
    X509_free(certificate);
    BIO_free(bio);
    if (!ok)
        return err_set(err, -EINVAL, "%s: there is no certificate in it (PEM)", who);
    struct text text;
    text_init(&text, 64);
    put_base64url(digest, size, &text);
    ok = !text.failed && text.size < 64;
    if (ok)
        memcpy(out, text.at, text.size + 1);
    text_done(&text);
    return ok ? 0 : err_set(err, -ENOMEM, "out of memory");
}
