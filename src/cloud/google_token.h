/* Google's application default credentials, and the tokens that they give. */
#ifndef CLOUD_GOOGLE_TOKEN_H
#define CLOUD_GOOGLE_TOKEN_H

#include "cloud/google.h"

struct google_tokens {
    struct cloud_http *http;
    json_t *file;     /* owned, secret; NULL: this machine's service account is used */
    char origin[160]; /* "the service account of /etc/key.json" */
    char project[64]; /* that the credentials are of; "" */
    char quota[64];   /* the project that calls are counted for; "" */
    char *token;      /* owned, secret; NULL: none yet */
    int64_t expires_ns;
};

int google_tokens_open(struct google_tokens *tokens, struct err *err) MUST_CHECK;
void google_tokens_close(struct google_tokens *tokens);
/* A token that is good for a while yet; `renew`: the one that is there was refused. */
int google_tokens_get(struct google_tokens *tokens, bool renew, const char **out,
                      struct err *err) MUST_CHECK;

#endif
