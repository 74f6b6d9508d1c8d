/* What the files of the AWS client share; nobody else includes it. */
#ifndef CLOUD_AWS_IMPL_H
#define CLOUD_AWS_IMPL_H

#include "cloud/aws.h"
#include "cloud/aws_files.h"
#include "cloud/aws_sign.h"

/* The environment; tests put their own in place. */
struct aws_env {
    const char *(*get)(const char *name, void *with); /* NULL: getenv */
    void *with;
};

/* NULL: it is not there, or empty. */
const char *aws_env_get(const struct aws_env *env, const char *name);
/* "true", "1" … as AWS's tools read switches. */
bool aws_env_is_true(const struct aws_env *env, const char *name);

enum aws_kind {
    AWS_KIND_STATIC,       /* its keys are there from the beginning */
    AWS_KIND_ROLE,         /* AssumeRole with the keys of `base` */
    AWS_KIND_WEB_IDENTITY, /* AssumeRoleWithWebIdentity with the token in a file */
    AWS_KIND_SSO,
    AWS_KIND_PROCESS,
    AWS_KIND_CONTAINER,
    AWS_KIND_INSTANCE,
};

/* Where credentials come from, and what it gave last. */
struct aws_source {
    enum aws_kind kind;
    char origin[256]; /* for the user */
    struct aws_keys keys;
    struct aws_source *base; /* owned; for AWS_KIND_ROLE */
    char *role;              /* ARN; for SSO the role's name */
    char *session;           /* the role session's name; for SSO the account */
    char *external_id;       /* or NULL */
    char *from;              /* the token's file; the command line; the container's URL; for SSO
                              * the cached token's file */
    char *region;            /* of SSO; else NULL */
    char *login;             /* what the user types when SSO's token is over */
    uint32_t duration;       /* seconds; 0: AWS's default */
    bool is_fresh;           /* the keys were put since they were asked for the last time */
};

struct aws {
    struct cloud_http *http;
    struct aws_env env;
    struct aws_files *files;
    char *profile;  /* NULL: none was chosen by name */
    char *endpoint; /* NULL */
    char region[64];
    struct aws_source *source;
    int64_t skew; /* ns that AWS's clock is ahead of ours */
    uint32_t n_attempts;
    char *metadata_token;           /* of IMDSv2 */
    int64_t metadata_token_expires; /* ns since the epoch */
};

/* As aws_open, with an environment; `env` has to stay. */
int aws_open_with(const struct aws_options *options, const struct aws_env *env,
                  struct cloud_http *http, struct aws **out, struct err *err) MUST_CHECK;

/* aws.c: by AWS's clock, as far as it is known. */
int64_t aws_now(const struct aws *aws);
/* A time as AWS writes it: 2026-01-02T03:04:05Z, with fractions or an offset; 0: it is none. */
int64_t aws_time(const char *text);

/* aws_endpoint.c: the URL of a service, "https://ec2.eu-west-1.amazonaws.com/". */
struct aws_service {
    const char *name;      /* as signed, and as in host names */
    const char *id;        /* as in AWS_ENDPOINT_URL_ID and, in lower case, in the files */
    const char *version;   /* of the Query protocol; NULL: JSON 1.1 */
    const char *target;    /* of JSON 1.1 */
    bool is_ec2;           /* its dialect of the Query protocol */
    const char *fips_host; /* where it is not NAME-fips */
};
const struct aws_service *aws_service_of(const char *name);
int aws_endpoint(const struct aws *aws, const struct aws_service *service, const char *region,
                 char *out, size_t size, struct err *err) MUST_CHECK;
bool aws_region_is_valid(const char *region);

/* aws_call.c: as aws_call, with the keys of `source` (NULL: unsigned). */
int aws_call_as(struct aws *aws, struct aws_source *source, const struct aws_service *service,
                const char *action, const json_t *parameters, json_t **out,
                struct cloud_refusal *refusal, struct err *err) MUST_CHECK;

/* aws_chain.c: finds where credentials come from, in the order of AWS's tools. The metadata service
 * is asked only at last. */
int aws_find_source(struct aws *aws, struct aws_source **out, struct err *err) MUST_CHECK;
int aws_assume(struct aws *aws, const char *role, struct aws_source **in_out,
               struct err *err) MUST_CHECK;
void aws_source_free(struct aws_source *source);
struct aws_source *aws_source_new(enum aws_kind kind, struct err *err);

/* aws_credentials.c: its keys, fetched anew where they are about to expire; `renew`: these were
 * refused. */
int aws_source_keys(struct aws *aws, struct aws_source *source, bool renew,
                    const struct aws_keys **out, struct err *err) MUST_CHECK;

#endif
