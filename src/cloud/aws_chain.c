/* Where credentials come from, in the order of AWS's own tools: the environment; the profile's
 * role, web identity, sign-in, keys, program; the container; the instance. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cloud/aws_impl.h"

#define CHAIN_MAX    8 /* profiles that are each other's source */
#define SESSION_NAME "cloudspan"

struct aws_source *aws_source_new(enum aws_kind kind, struct err *err)
{
    struct aws_source *source = calloc(1, sizeof *source);
    if (source)
        source->kind = kind;
    else
        (void)err_set(err, -ENOMEM, "no memory for credentials");
    return source;
}

void aws_source_free(struct aws_source *source)
{
    while (source) {
        struct aws_source *base = source->base;
        aws_keys_done(&source->keys);
        free(source->profile);
        free(source->role);
        free(source->session);
        cloud_forget(source->external_id);
        cloud_forget(source->from);
        free(source->region);
        free(source);
        source = base;
    }
}

/* Copies; NULL stays NULL. False: no memory. */
static bool set(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

static int gives(struct aws_source *source, bool is_whole, struct aws_source **out, struct err *err)
{
    if (is_whole) {
        *out = source;
        return 0;
    }
    aws_source_free(source);
    return err_set(err, -ENOMEM, "no memory for credentials");
}

static const char *of(const struct aws *aws, const char *profile, const char *key)
{
    return aws_files_get(aws->files, "profile", profile, key);
}

/* ---- each place; *out stays NULL where it has nothing ---- */

static int from_environment(struct aws *aws, struct aws_source **out, struct err *err)
{
    const char *id = aws_env_get(&aws->env, "AWS_ACCESS_KEY_ID");
    const char *secret = aws_env_get(&aws->env, "AWS_SECRET_ACCESS_KEY");
    const char *token = aws_env_get(&aws->env, "AWS_SESSION_TOKEN");
    if (!id)
        return 0;
    if (!secret)
        return err_set(err, -ENOKEY, "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not");
    struct aws_source *source = aws_source_new(AWS_KIND_STATIC, err);
    if (!source)
        return -ENOMEM;
    (void)snprintf(source->origin, sizeof source->origin, "the environment");
    token = token ? token : aws_env_get(&aws->env, "AWS_SECURITY_TOKEN");
    bool is_whole = aws_keys_set(&source->keys, id, secret, token, err) == 0;
    return gives(source, is_whole, out, err);
}

static int from_keys(struct aws *aws, const char *profile, enum aws_file file,
                     struct aws_source **out, struct err *err)
{
    const struct aws_files *files = aws->files;
    const char *path = aws_files_path(files, file);
    const char *id = aws_files_of(files, file, "profile", profile, "aws_access_key_id");
    const char *secret = aws_files_of(files, file, "profile", profile, "aws_secret_access_key");
    const char *token = aws_files_of(files, file, "profile", profile, "aws_session_token");
    if (!id)
        return 0;
    if (!secret)
        return err_set(err, -ENOKEY,
                       "%s: profile %.64s has aws_access_key_id, but no aws_secret_access_key",
                       path, profile);
    struct aws_source *source = aws_source_new(AWS_KIND_STATIC, err);
    if (!source)
        return -ENOMEM;
    source->file = file;
    (void)snprintf(source->origin, sizeof source->origin, "profile %.64s of %.128s%s", profile,
                   path,
                   aws_files_is_open(files, file) ? ", which others may read (chmod go= it)" : "");
    if (!token)
        token = aws_files_of(files, file, "profile", profile, "aws_security_token");
    bool is_whole =
        set(&source->profile, profile) && aws_keys_set(&source->keys, id, secret, token, err) == 0;
    return gives(source, is_whole, out, err);
}

static int from_web_identity(struct aws *aws, const char *profile, bool with_env,
                             struct aws_source **out, struct err *err)
{
    const struct aws_env *env = &aws->env;
    const char *path = with_env ? aws_env_get(env, "AWS_WEB_IDENTITY_TOKEN_FILE") : NULL;
    const char *role = with_env ? aws_env_get(env, "AWS_ROLE_ARN") : NULL;
    const char *session = with_env ? aws_env_get(env, "AWS_ROLE_SESSION_NAME") : NULL;
    bool is_env = path != NULL;
    path = path ? path : of(aws, profile, "web_identity_token_file");
    role = role ? role : of(aws, profile, "role_arn");
    session = session ? session : of(aws, profile, "role_session_name");
    if (!path)
        return 0;
    if (!role)
        return err_set(err, -ENOKEY,
                       "there is a web identity's token file, but no role for it (AWS_ROLE_ARN, "
                       "role_arn)");
    struct aws_source *source = aws_source_new(AWS_KIND_WEB_IDENTITY, err);
    if (!source)
        return -ENOMEM;
    (void)snprintf(source->origin, sizeof source->origin, "role %.128s by web identity of %s%.64s",
                   role, is_env ? "the environment" : "profile ", is_env ? "" : profile);
    return gives(source,
                 set(&source->from, path) && set(&source->role, role) &&
                     set(&source->session, session ? session : SESSION_NAME),
                 out, err);
}

static int lacks(const char *profile, const char *key, const char *what, struct err *err)
{
    return err_set(err, -ENOKEY, "profile %.64s has %s, but no %s", profile, what, key);
}

static int from_sso(struct aws *aws, const char *profile, struct aws_source **out, struct err *err)
{
    const char *role = of(aws, profile, "sso_role_name");
    const char *account = of(aws, profile, "sso_account_id");
    const char *session = of(aws, profile, "sso_session");
    const char *region = of(aws, profile, "sso_region");
    const char *from = session ? session : of(aws, profile, "sso_start_url");
    if (!role && !account)
        return 0;
    if (!role || !account)
        return lacks(profile, role ? "sso_account_id" : "sso_role_name",
                     role ? "sso_role_name" : "sso_account_id", err);
    if (session && !aws_files_has(aws->files, "sso-session", session))
        return err_set(err, -ENOKEY, "profile %.64s: there is no [sso-session %.64s]", profile,
                       session);
    if (session)
        region = aws_files_get(aws->files, "sso-session", session, "sso_region");
    if (!from)
        return lacks(profile, "sso_session or sso_start_url", "sso_role_name", err);
    if (!region || !aws_region_is_valid(region))
        return lacks(session ? session : profile, "sso_region that is one", "a sign-in", err);
    struct aws_source *source = aws_source_new(AWS_KIND_SSO, err);
    if (!source)
        return -ENOMEM;
    source->has_sso_session = session != NULL;
    (void)snprintf(source->origin, sizeof source->origin,
                   "the sign-in (SSO) of profile %.64s, as %.64s in account %.32s", profile, role,
                   account);
    return gives(source,
                 set(&source->profile, profile) && set(&source->role, role) &&
                     set(&source->session, account) && set(&source->from, from) &&
                     set(&source->region, region),
                 out, err);
}

static int from_process(struct aws *aws, const char *profile, struct aws_source **out,
                        struct err *err)
{
    const char *line = of(aws, profile, "credential_process");
    if (!line)
        return 0;
    struct aws_source *source = aws_source_new(AWS_KIND_PROCESS, err);
    if (!source)
        return -ENOMEM;
    (void)snprintf(source->origin, sizeof source->origin, "credential_process of profile %.64s",
                   profile);
    return gives(source, set(&source->from, line), out, err);
}

static int from_container(struct aws *aws, struct aws_source **out, struct err *err)
{
    const char *path = aws_env_get(&aws->env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *whole = aws_env_get(&aws->env, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char url[1024];
    if (!path && !whole)
        return 0;
    if (path && *path != '/')
        return err_set(err, -EINVAL,
                       "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with a slash");
    int len =
        snprintf(url, sizeof url, "%s%s", path ? "http://169.254.170.2" : "", path ? path : whole);
    if (len < 0 || (size_t)len >= sizeof url)
        return err_set(err, -ENAMETOOLONG, "AWS_CONTAINER_CREDENTIALS_FULL_URI is too long");
    int result = path ? 0 : aws_container_check(url, err);
    if (result < 0)
        return result;
    struct aws_source *source = aws_source_new(AWS_KIND_CONTAINER, err);
    if (!source)
        return -ENOMEM;
    (void)snprintf(source->origin, sizeof source->origin, "the container's agent");
    return gives(source, set(&source->from, url), out, err);
}

/* Nobody knows whether it is there without asking. */
static int from_instance(struct aws *aws, struct aws_source **out, struct err *err)
{
    const struct aws_keys *keys;
    struct aws_source *source = aws_source_new(AWS_KIND_INSTANCE, err);
    if (!source)
        return -ENOMEM;
    (void)snprintf(source->origin, sizeof source->origin, "the instance's role");
    int result = aws_source_keys(aws, source, false, &keys, err);
    if (result < 0)
        aws_source_free(source);
    else
        *out = source;
    return result;
}

/* ---- profiles ---- */

/* What the profile says but for a role by other credentials. */
static int from_profile(struct aws *aws, const char *profile, bool with_env,
                        struct aws_source **out, struct err *err)
{
    int result = from_web_identity(aws, profile, with_env, out, err);
    if (result == 0 && !*out)
        result = from_sso(aws, profile, out, err);
    if (result == 0 && !*out)
        result = from_keys(aws, profile, AWS_FILE_CREDENTIALS, out, err);
    if (result == 0 && !*out)
        result = from_process(aws, profile, out, err);
    if (result == 0 && !*out)
        result = from_keys(aws, profile, AWS_FILE_CONFIG, out, err);
    return result;
}

static bool has_role(const struct aws *aws, const char *profile)
{
    return of(aws, profile, "role_arn") && !of(aws, profile, "web_identity_token_file");
}

static bool has_keys(const struct aws *aws, const char *profile)
{
    return of(aws, profile, "aws_access_key_id") || of(aws, profile, "aws_secret_access_key");
}

/* credential_source. */
static int from_named(struct aws *aws, const char *profile, const char *name,
                      struct aws_source **out, struct err *err)
{
    int result;
    if (strcasecmp(name, "Environment") == 0)
        result = from_environment(aws, out, err);
    else if (strcasecmp(name, "EcsContainer") == 0)
        result = from_container(aws, out, err);
    else if (strcasecmp(name, "Ec2InstanceMetadata") == 0)
        result = from_instance(aws, out, err);
    else
        return err_set(err, -EINVAL,
                       "profile %.64s: credential_source is none of Environment, EcsContainer, "
                       "Ec2InstanceMetadata",
                       profile);
    if (result == 0 && !*out)
        return err_set(err, -ENOKEY, "profile %.64s: credential_source is %s, and there are none",
                       profile, name);
    return result;
}

static int from_role(struct aws *aws, const char *const *visited, size_t n, struct aws_source **out,
                     struct err *err);

/* The profile that lends its credentials for the role of the last one visited. */
static int from_lender(struct aws *aws, const char *const *visited, size_t n, const char *lender,
                       struct aws_source **out, struct err *err)
{
    const char *profile = visited[n - 1], *next[CHAIN_MAX + 1];
    bool is_self = strcmp(lender, profile) == 0;
    if (!aws_files_has(aws->files, "profile", lender))
        return err_set(err, -ENOKEY, "profile %.64s: its source_profile %.64s is not there",
                       profile, lender);
    for (size_t i = 0; i < n; i++)
        if (strcmp(visited[i], lender) == 0 && !(is_self && has_keys(aws, lender)))
            return err_set(err, -ELOOP, "profile %.64s: source_profile leads back to %.64s",
                           profile, lender);
    if (has_role(aws, lender) && !has_keys(aws, lender)) {
        if (n == CHAIN_MAX)
            return err_set(err, -ELOOP, "profile %.64s: more than %d profiles in a row", profile,
                           CHAIN_MAX);
        memcpy(next, visited, n * sizeof *visited);
        next[n] = lender;
        return from_role(aws, next, n + 1, out, err);
    }
    int result = from_profile(aws, lender, false, out, err);
    if (result == 0 && !*out)
        return err_set(err, -ENOKEY,
                       "profile %.64s, the source_profile of %.64s, has no credentials", lender,
                       profile);
    return result;
}

static int make_role(struct aws *aws, const char *profile, struct aws_source *base,
                     struct aws_source **out, struct err *err)
{
    const char *session = of(aws, profile, "role_session_name");
    const char *duration = of(aws, profile, "duration_seconds");
    struct aws_source *source = aws_source_new(AWS_KIND_ROLE, err);
    if (!source) {
        aws_source_free(base);
        return -ENOMEM;
    }
    source->base = base;
    if (duration) {
        char *end;
        unsigned long seconds = strtoul(duration, &end, 10);
        if (*end || seconds < 900 || seconds > 43200) {
            aws_source_free(source);
            return err_set(err, -EINVAL,
                           "profile %.64s: duration_seconds is no number from 900 to 43200",
                           profile);
        }
        source->duration = (uint32_t)seconds;
    }
    (void)snprintf(source->origin, sizeof source->origin, "role %.120s of profile %.64s",
                   of(aws, profile, "role_arn"), profile);
    return gives(source,
                 set(&source->role, of(aws, profile, "role_arn")) &&
                     set(&source->external_id, of(aws, profile, "external_id")) &&
                     set(&source->session, session ? session : SESSION_NAME),
                 out, err);
}

/* The role of visited[n - 1]. */
static int from_role(struct aws *aws, const char *const *visited, size_t n, struct aws_source **out,
                     struct err *err)
{
    const char *profile = visited[n - 1];
    const char *lender = of(aws, profile, "source_profile");
    const char *named = of(aws, profile, "credential_source");
    struct aws_source *base = NULL;
    if (of(aws, profile, "mfa_serial"))
        return err_set(err, -EACCES,
                       "profile %.64s wants a code of an MFA device, which is not asked for here: "
                       "run `eval \"$(aws configure export-credentials --profile %.64s --format "
                       "env)\"` and leave the profile away",
                       profile, profile);
    if (lender && named)
        return err_set(err, -EINVAL,
                       "profile %.64s has both source_profile and credential_source; one of them "
                       "has to go",
                       profile);
    if (!lender && !named)
        return lacks(profile, "source_profile or credential_source", "role_arn", err);
    int result = lender ? from_lender(aws, visited, n, lender, &base, err)
                        : from_named(aws, profile, named, &base, err);
    return result < 0 ? result : make_role(aws, profile, base, out, err);
}

/* ---- the chain ---- */

/* What was tried, and why the last of it gave none. */
static int nowhere(const struct aws *aws, const char *why, struct err *err)
{
    const char *path = aws_files_path(aws->files, AWS_FILE_CREDENTIALS);
    const char *trouble = aws_files_trouble(aws->files, AWS_FILE_CREDENTIALS);
    if (!trouble)
        trouble = aws_files_trouble(aws->files, AWS_FILE_CONFIG);
    return err_set(err, -ENOKEY,
                   "no credentials for AWS: none in the environment (AWS_ACCESS_KEY_ID), none in "
                   "profile %.40s of %.80s%s%s%s and config, no container's; %.220s",
                   aws->profile, *path ? path : "~/.aws/credentials", trouble ? " (" : "",
                   trouble ? trouble : "", trouble ? ")" : "", why);
}

int aws_find_source(struct aws *aws, struct aws_source **out, struct err *err)
{
    struct err why = {{0}};
    bool with_env = !aws->profile_is_given;
    int result = 0;
    *out = NULL;
    if (with_env)
        result = from_environment(aws, out, err);
    if (result == 0 && !*out && has_role(aws, aws->profile))
        result = from_role(aws, &aws->profile, 1, out, err);
    if (result == 0 && !*out)
        result = from_profile(aws, aws->profile, with_env, out, err);
    if (result == 0 && !*out)
        result = from_container(aws, out, err);
    if (result < 0 || *out)
        return result;
    result = from_instance(aws, out, &why);
    if (result == -ENOMEM || result == -ECANCELED)
        return err_set(err, result, "%s", why.text);
    return result < 0 ? nowhere(aws, why.text, err) : 0;
}

int aws_assume(struct aws *aws, const char *role, struct aws_source **in_out, struct err *err)
{
    const char *session = aws_env_get(&aws->env, "AWS_ROLE_SESSION_NAME");
    struct aws_source *source = aws_source_new(AWS_KIND_ROLE, err);
    if (!source)
        return -ENOMEM;
    if (!set(&source->role, role) || !set(&source->session, session ? session : SESSION_NAME)) {
        aws_source_free(source);
        return err_set(err, -ENOMEM, "no memory for credentials");
    }
    (void)snprintf(source->origin, sizeof source->origin, "role %.100s by %.140s", role,
                   (*in_out)->origin);
    source->base = *in_out;
    *in_out = source;
    return 0;
}
