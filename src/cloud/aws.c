/* The AWS client: opening it, its region, its clock. */
#include "cloud/aws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cloud/aws_impl.h"

#define NS           INT64_C(1000000000)
#define ATTEMPTS_MAX 20

const char *aws_env_get(const struct aws_env *env, const char *name)
{
    const char *value = env->get ? env->get(name, env->with) : getenv(name);
    return value && *value ? value : NULL;
}

bool aws_env_is_true(const struct aws_env *env, const char *name)
{
    const char *value = aws_env_get(env, name);
    return value && (strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

int64_t aws_now(const struct aws *aws)
{
    return cloud_http_now(aws->http) + aws->skew;
}

int64_t aws_time(const char *text)
{
    struct tm tm = {0};
    const char *at = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    int64_t offset = 0;
    if (!at)
        return 0;
    if (*at == '.')
        at += 1 + strspn(at + 1, "0123456789");
    if ((*at == '+' || *at == '-') && strlen(at) >= 5) {
        int hours = (at[1] - '0') * 10 + at[2] - '0';
        const char *minutes = at + 3 + (at[3] == ':');
        offset = hours * 3600 + ((minutes[0] - '0') * 10 + minutes[1] - '0') * 60;
        offset = *at == '-' ? -offset : offset;
    } else if (strcmp(at, "Z") != 0 && strcmp(at, "UTC") != 0) {
        return 0;
    }
    return ((int64_t)timegm(&tm) - offset) * NS;
}

static int find_region(struct aws *aws, const char *option, struct err *err)
{
    const char *region = option;
    if (!region)
        region = aws_env_get(&aws->env, "AWS_REGION");
    if (!region)
        region = aws_env_get(&aws->env, "AWS_DEFAULT_REGION");
    if (!region)
        return err_set(err, -ENOKEY, "no region: name one (AWS_REGION)");
    if (!aws_region_is_valid(region))
        return err_set(err, -EINVAL, "%.64s is no region's name like eu-west-1", region);
    (void)snprintf(aws->region, sizeof aws->region, "%s", region);
    return 0;
}

int aws_open_with(const struct aws_options *options, const struct aws_env *env,
                  struct cloud_http *http, struct aws **out, struct err *err)
{
    struct aws *aws = calloc(1, sizeof *aws);
    int result = 0;
    *out = NULL;
    if (!aws)
        return err_set(err, -ENOMEM, "no memory for the AWS client");
    aws->http = http;
    aws->env = *env;
    if (options->endpoint)
        aws->endpoint = strdup(options->endpoint);
    result = find_region(aws, options->region, err);
    if (result == 0)
        result = aws_find_source(aws, &aws->source, err);
    if (result < 0) {
        aws_close(aws);
        return result;
    }
    *out = aws;
    return 0;
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
    cloud_forget(aws->metadata_token);
    free(aws->profile);
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

int aws_metadata(struct aws *aws, const char *path, struct text *out, struct err *err)
{
    (void)aws;
    (void)out;
    return err_set(err, -EHOSTUNREACH, "the metadata service is not asked yet (%s)", path);
}
