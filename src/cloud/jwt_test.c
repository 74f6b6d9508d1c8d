/* Tokens that are signed: their form, and that the key's other half takes the signature. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/http.h"
#include "cloud/jwt.h"
#include "cloud/secret.h"

static char *pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *at, *copy;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long size = BIO_get_mem_data(bio, &at);
    copy = strndup(at, (size_t)size);
    BIO_free(bio);
    return copy;
}

/* From base64url; gives how many bytes. */
static size_t decode(const char *text, size_t size, unsigned char *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t word = 0;
    size_t n = 0, bits = 0;
    for (size_t i = 0; i < size; i++) {
        const char *at = strchr(letters, text[i]);
        assert_non_null(at);
        word = word << 6 | (uint32_t)(at - letters);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (unsigned char)(word >> bits);
        }
    }
    return n;
}

static void test_signature(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(2048);
    char *pem = pem_of(key), *token = NULL;
    struct err err;
    json_t *header = json_pack("{s:s, s:s}", "alg", "RS256", "typ", "JWT");
    json_t *claims = json_pack("{s:s, s:i}", "iss", "someone@example.com", "iat", 1700000000);
    assert_int_equal(cloud_jwt_sign("the key", pem, header, claims, &token, &err), 0);

    char *first = strchr(token, '.'), *last = strrchr(token, '.');
    unsigned char bytes[1024];
    size_t n = decode(token, (size_t)(first - token), bytes);
    bytes[n] = '\0';
    assert_string_equal((char *)bytes, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
    n = decode(first + 1, (size_t)(last - first - 1), bytes);
    bytes[n] = '\0';
    assert_string_equal((char *)bytes, "{\"iat\":1700000000,\"iss\":\"someone@example.com\"}");

    n = decode(last + 1, strlen(last + 1), bytes);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestVerify(context, bytes, n, (const unsigned char *)token, (size_t)(last - token)),
        1);
    EVP_MD_CTX_free(context);
    cloud_forget(token);
    token = NULL;
    assert_int_equal(cloud_jwt_sign("the key", "no key at all", header, claims, &token, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "the key"));
    json_decref(header);
    json_decref(claims);
    cloud_forget(pem);
    EVP_PKEY_free(key);
}

static void test_where_secrets_go(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool is_safe;
    } rows[] = {
        {"https://login.microsoftonline.com", true},
        {"http://127.0.0.1:8080/x", true},
        {"http://localhost", true},
        {"http://[::1]:1", true},
        {"http://example.com", false},
        {"http://127.0.0.1.example.com", false},
        {"http://localhost.example.com/", false},
        {"ftp://127.0.0.1", false},
        {"https://", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (cloud_url_is_safe(rows[i].url) != rows[i].is_safe)
            fail_msg("%s", rows[i].url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_where_secrets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
