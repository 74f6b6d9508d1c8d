/* What the files of the AWS client share; nobody else includes it. */
#ifndef CLOUD_AWS_IMPL_H
#define CLOUD_AWS_IMPL_H

#include "cloud/aws.h"
#include "cloud/aws_env.h"
#include "cloud/aws_files.h"
#include "cloud/aws_sign.h"

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
    int64_t renew_at;        /* ns since the epoch by AWS's clock; 0: never */
    struct aws_source *base; /* owned; for AWS_KIND_ROLE */
    char *profile;           /* its name; NULL: none */
    enum aws_file file;      /* of AWS_KIND_STATIC with a profile */
    char *role;              /* ARN; for SSO the role's name */
    char *session;           /* the role session's name; for SSO the account */
    char *external_id;       /* or NULL */
    char *from;              /* the token's file; the command line; the container's URL; for SSO
                              * what its cached token goes by */
    char *region;            /* of SSO; else NULL */
    bool has_sso_session;    /* `from` is its name, not a URL */
    uint32_t duration;       /* seconds; 0: AWS's default */
};

struct aws {
    struct cloud_http *http;
    struct aws_env env;
    struct aws_files *files;
    const char *profile;   /* its name, of the options, the environment, or "default" */
    char *own_profile;     /* the option's */
    bool profile_is_given; /* by the option: the environment's keys do not count then */
    char *endpoint;        /* NULL */
    char *trust;           /* a file of certificates; NULL */
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
    const char *name;    /* as signed, and as in host names */
    const char *id;      /* as in AWS_ENDPOINT_URL_ID and, in lower case, in the files */
    const char *version; /* of the Query protocol; NULL: JSON 1.1 */
    const char *target;  /* of JSON 1.1 */
    bool is_ec2;         /* its dialect of the Query protocol */
    /* In the government's regions its plain host is FIPS's; and so is the one that has IPv6. */
    bool is_fips_in_gov, is_fips_in_gov_dual;
};
const struct aws_service *aws_service_of(const char *name);
int aws_endpoint(const struct aws *aws, const struct aws_service *service, const char *region,
                 char *out, size_t size, struct err *err) MUST_CHECK;
bool aws_region_is_valid(const char *region);

/* The variable's value, or what the profile has under `key`; NULL: neither. */
const char *aws_setting(const struct aws *aws, const char *variable, const char *key);

/* aws_call.c: as aws_call, with the keys of `source` (NULL: unsigned). */
int aws_call_as(struct aws *aws, struct aws_source *source, const struct aws_service *service,
                const char *action, const json_t *parameters, json_t **out,
                struct cloud_refusal *refusal, struct err *err) MUST_CHECK;

/* aws_chain.c: finds where credentials come from, in the order of AWS's tools. The metadata service
 * is asked only at last. */
int aws_find_source(struct aws *aws, struct aws_source **out, struct err *err) MUST_CHECK;
/* *in_out becomes the base of a role that is assumed with it. */
int aws_assume(struct aws *aws, const char *role, struct aws_source **in_out,
               struct err *err) MUST_CHECK;
struct aws_source *aws_source_new(enum aws_kind kind, struct err *err);
void aws_source_free(struct aws_source *source);

/* aws_credentials.c: its keys, fetched anew where they are about to expire; `renew`: these were
 * refused. */
int aws_source_keys(struct aws *aws, struct aws_source *source, bool renew,
                    const struct aws_keys **out, struct err *err) MUST_CHECK;
/* Whether asking again may give others than those that were refused. */
bool aws_source_can_renew(const struct aws_source *source);
/* The keys in an object with members of these names; the last two may be missing there. -EPROTO: it
 * has none, and `whose` has the sentence. */
struct aws_key_names {
    const char *id, *secret, *token, *expires;
};
int aws_keys_of_json(const json_t *json, const struct aws_key_names *names, const char *whose,
                     struct aws_keys *out, struct err *err) MUST_CHECK;

/* Each fetches keys of a source of its kind. */
int aws_fetch_role(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                   struct err *err) MUST_CHECK; /* aws_sts.c */
int aws_fetch_web_identity(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                           struct err *err) MUST_CHECK;
int aws_fetch_sso(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                  struct err *err) MUST_CHECK; /* aws_sso.c */
/* aws_sso_token.c: what `aws sso login` left, renewed where it can be; the caller forgets it. */
int aws_sso_token(struct aws *aws, const struct aws_source *source, json_t **out,
                  struct err *err) MUST_CHECK;
/* -EKEYEXPIRED: `what`, and how to sign in. */
int aws_sso_lacks(const struct aws_source *source, const char *what, struct err *err);
int aws_fetch_process(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                      struct err *err) MUST_CHECK; /* aws_process.c */
int aws_fetch_container(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                        struct err *err) MUST_CHECK; /* aws_metadata.c */
int aws_fetch_instance(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                       struct err *err) MUST_CHECK;
/* Whether its URL is one that credentials may be asked of. */
int aws_container_check(const char *url, struct err *err) MUST_CHECK;

#endif
