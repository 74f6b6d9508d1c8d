/* AWS's Signature Version 4: puts X-Amz-Date, X-Amz-Security-Token and Authorization into a
 * request's headers. */
#ifndef CLOUD_AWS_SIGN_H
#define CLOUD_AWS_SIGN_H

#include "cloud/http.h"

/* Credentials; each owned, and wiped by aws_keys_done. */
struct aws_keys {
    char *id;
    char *secret;
    char *token;     /* NULL: they are lasting ones */
    int64_t expires; /* ns since the epoch; 0: never, or not known */
};

/* Copies; `token` may be NULL or "". What was there is wiped. */
int aws_keys_set(struct aws_keys *keys, const char *id, const char *secret, const char *token,
                 struct err *err) MUST_CHECK;
void aws_keys_done(struct aws_keys *keys);

/* `now`: ns since the epoch. All headers that are there are signed, but User-Agent and such as a
 * proxy may change; the URL's query has to be escaped already. May be called again for the same
 * request, as for each attempt at it. */
int aws_sign(struct cloud_request *request, const struct aws_keys *keys, const char *region,
             const char *service, int64_t now, struct err *err) MUST_CHECK;

#endif
