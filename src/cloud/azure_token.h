/* Azure's credentials: where they are found, and the tokens that they give. */
#ifndef CLOUD_AZURE_TOKEN_H
#define CLOUD_AZURE_TOKEN_H

#include "cloud/azure.h"

#define AZURE_URL_MAX 256

struct azure_tokens {
    struct cloud_http *http;
    int (*ask_cli)(const char *resource, char **out, struct err *err);
    int kind;                      /* which credentials; see azure_token.c. -1: not chosen */
    char authority[AZURE_URL_MAX]; /* "https://login.microsoftonline.com" */
    char resource[AZURE_URL_MAX];  /* what the token is for: "https://management.azure.com" */
    char subscription[64];         /* that of the CLI's login; "" */
    char *token;                   /* owned, secret; NULL: none yet */
    int64_t expires_ns;
};

/* Chooses by what the environment has, and gets the first token. */
int azure_tokens_open(struct azure_tokens *tokens, struct err *err) MUST_CHECK;
void azure_tokens_close(struct azure_tokens *tokens);

/* A token that is good for a while yet; `renew`: the one that is there was refused. */
int azure_tokens_get(struct azure_tokens *tokens, bool renew, const char **out,
                     struct err *err) MUST_CHECK;

const char *azure_tokens_origin(const struct azure_tokens *tokens);

/* Of the metadata service: http://169.254.169.254. */
const char *azure_metadata_host(void);

#endif
