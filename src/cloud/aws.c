/* The AWS client: opening it, its profile, region and clock. */
#include "cloud/aws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cloud/aws_impl.h"

#define NS           INT64_C(1000000000)
#define ATTEMPTS_MAX 20

const char *aws_env_get(const struct aws_env *env, const char *name)
{
    const char *value = env->get ? env->get(name, env->with) : getenv(name);
    return value && *value ? value : NULL;
}

bool aws_is_true(const char *value)
{
    return value && (strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

const char *aws_setting(const struct aws *aws, const char *variable, const char *key)
{
    const char *value = aws_env_get(&aws->env, variable);
    return value ? value : aws_files_get(aws->files, "profile", aws->profile, key);
}

int64_t aws_now(const struct aws *aws)
{
    return cloud_http_now(aws->http) + aws->skew;
}

static bool two_digits(const char *at, int *out)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *out = (at[0] - '0') * 10 + at[1] - '0';
    return true;
}

int64_t aws_time(const char *text)
{
    struct tm tm = {0};
    const char *at = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    int64_t offset = 0;
    int hours, minutes;
    if (!at || tm.tm_year < 70 || tm.tm_year > 300)
        return 0;
    if (*at == '.')
        at += 1 + strspn(at + 1, "0123456789");
    if (*at == '+' || *at == '-') {
        if (!two_digits(at + 1, &hours) || !two_digits(at + 3 + (at[3] == ':'), &minutes))
            return 0;
        offset = (*at == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    } else if (strcmp(at, "Z") != 0 && strcmp(at, "UTC") != 0) {
        return 0;
    }
    return ((int64_t)timegm(&tm) - offset) * NS;
}

/* ---- opening ---- */

static int find_profile(struct aws *aws, const char *option, struct err *err)
{
    const char *named = option;
    if (!named)
        named = aws_env_get(&aws->env, "AWS_PROFILE");
    if (!named)
        named = aws_env_get(&aws->env, "AWS_DEFAULT_PROFILE");
    aws->profile_is_given = option != NULL;
    aws->profile = aws->own_profile = strdup(named ? named : "default");
    if (!aws->profile)
        return err_set(err, -ENOMEM, "no memory for the AWS client");
    if (!named || aws_files_has(aws->files, "profile", named))
        return 0;
    const char *trouble = aws_files_trouble(aws->files, AWS_FILE_CREDENTIALS);
    return err_set(err, -ENOKEY, "profile %.64s: neither %.160s nor %.160s has it%s%s", named,
                   aws_files_path(aws->files, AWS_FILE_CREDENTIALS),
                   aws_files_path(aws->files, AWS_FILE_CONFIG), trouble ? "; the first: " : "",
                   trouble ? trouble : "");
}

static int region_of_instance(struct aws *aws, char *out, size_t size, struct err *err)
{
    struct text text;
    struct err why;
    text_init(&text, 64u << 10);
    int result = aws_metadata(aws, "dynamic/instance-identity/document", &text, &why);
    json_t *document = result == 0 ? json_loads(text.at ? text.at : "", 0, NULL) : NULL;
    const char *region = json_string_value(json_object_get(document, "region"));
    if (region)
        (void)snprintf(out, size, "%s", region);
    else
        result = err_set(err, -ENOKEY,
                         "no region: name one, as in AWS_REGION=eu-west-1, or region = … in the "
                         "profile%s%.250s",
                         result < 0 ? "; " : "", result < 0 ? why.text : "");
    json_decref(document);
    text_done(&text);
    return region ? 0 : result;
}

static int find_region(struct aws *aws, const char *option, struct err *err)
{
    const char *region = option;
    char own[64];
    if (!region)
        region = aws_env_get(&aws->env, "AWS_REGION");
    if (!region)
        region = aws_setting(aws, "AWS_DEFAULT_REGION", "region");
    if (!region) {
        int result = region_of_instance(aws, own, sizeof own, err);
        if (result < 0)
            return result;
        region = own;
    }
    if (!aws_region_is_valid(region))
        return err_set(err, -EINVAL, "%.64s is no region's name like eu-west-1", region);
    (void)snprintf(aws->region, sizeof aws->region, "%s", region);
    return 0;
}

static int find_attempts(struct aws *aws, struct err *err)
{
    const char *text = aws_setting(aws, "AWS_MAX_ATTEMPTS", "max_attempts");
    char *end;
    if (!text)
        return 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || n == 0 || n > 1000)
        return err_set(err, -EINVAL, "AWS_MAX_ATTEMPTS (max_attempts) is no number of attempts");
    aws->n_attempts = n > ATTEMPTS_MAX ? ATTEMPTS_MAX : (uint32_t)n;
    return 0;
}

static int find_trust(struct aws *aws, struct err *err)
{
    const char *path = aws_setting(aws, "AWS_CA_BUNDLE", "ca_bundle");
    if (!path)
        return 0;
    if (access(path, R_OK) < 0)
        return err_set(err, -errno, "%.300s (AWS_CA_BUNDLE, ca_bundle): %s", path, strerror(errno));
    aws->trust = strdup(path);
    if (!aws->trust)
        return err_set(err, -ENOMEM, "no memory for the AWS client");
    cloud_http_trust(aws->http, aws->trust, NULL, NULL);
    return 0;
}

static int set_up(struct aws *aws, const struct aws_options *options, struct err *err)
{
    if (options->endpoint && !(aws->endpoint = strdup(options->endpoint)))
        return err_set(err, -ENOMEM, "no memory for the AWS client");
    int result = aws_files_read(&aws->env, &aws->files, err);
    if (result == 0)
        result = find_profile(aws, options->profile, err);
    if (result == 0)
        result = find_attempts(aws, err);
    if (result == 0)
        result = find_trust(aws, err);
    if (result == 0)
        result = find_region(aws, options->region, err);
    if (result == 0)
        result = aws_find_source(aws, &aws->source, err);
    if (result == 0 && options->role)
        result = aws_assume(aws, options->role, &aws->source, err);
    return result;
}

int aws_open_with(const struct aws_options *options, const struct aws_env *env,
                  struct cloud_http *http, struct aws **out, struct err *err)
{
    struct aws *aws = calloc(1, sizeof *aws);
    *out = NULL;
    if (!aws)
        return err_set(err, -ENOMEM, "no memory for the AWS client");
    aws->http = http;
    aws->env = *env;
    int result = set_up(aws, options, err);
    if (result < 0)
        aws_close(aws);
    else
        *out = aws;
    return result;
}

int aws_open(const struct aws_options *options, struct cloud_http *http, struct aws **out,
             struct err *err)
{
    return aws_open_with(options, &(struct aws_env){0}, http, out, err);
}

void aws_close(struct aws *aws)
{
    if (!aws)
        return;
    aws_source_free(aws->source);
    aws_files_free(aws->files);
    cloud_forget(aws->metadata_token);
    if (aws->trust)
        cloud_http_trust(aws->http, NULL, NULL, NULL);
    free(aws->trust);
    free(aws->own_profile);
    free(aws->endpoint);
    free(aws);
}

const char *aws_region(const struct aws *aws)
{
    return aws->region;
}

const char *aws_origin(const struct aws *aws)
{
    return aws->source->origin;
}
