/* JSON web tokens that a client signs with its own key (RFC 7519, RFC 7515: RS256). */
#ifndef CLOUD_JWT_H
#define CLOUD_JWT_H

#include <jansson.h>

#include "base/err.h"

/* HEADER.CLAIMS.SIGNATURE of two objects; `pem`: a private RSA key without a password, and whatever
 * else stands there. `who` names the key in errors. *out is on the heap, and secret. */
int cloud_jwt_sign(const char *who, const char *pem, const json_t *header, const json_t *claims,
                   char **out, struct err *err) MUST_CHECK;

/* The certificate's SHA-1, in base64url: how Azure knows which one it is ("x5t"). */
int cloud_jwt_thumbprint(const char *who, const char *pem, char out[64],
                         struct err *err) MUST_CHECK;

#endif
