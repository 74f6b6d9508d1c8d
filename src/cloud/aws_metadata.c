/* What the machine knows of itself: the instance metadata service, version 2 only, and the agent
 * that gives a container its credentials. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

#define NS            INT64_C(1000000000)
#define TOKEN_SECONDS "21600"
#define TOKEN_LIFE    (21600 * NS)
#define TOKEN_MAX     (64u << 10)
#define METADATA_MAX  (256u << 10)
#define NEAR_ATTEMPTS 3
#define NEAR_WAIT_MS  250

static const struct aws_key_names agent_names = {"AccessKeyId", "SecretAccessKey", "Token",
                                                 "Expiration"};

/* Both are asked by all that runs on the machine, and may have enough of it for a moment. */
static int send_near(struct aws *aws, const struct cloud_request *request,
                     struct cloud_response *out, struct err *err)
{
    for (int attempt = 1;; attempt++) {
        int result = cloud_http_send(aws->http, request, out, err);
        bool is_passing = result == 0 && (out->status == 429 || out->status >= 500);
        if (!is_passing || attempt == NEAR_ATTEMPTS)
            return result;
        cloud_response_done(out);
        if (!cloud_http_wait(aws->http, NEAR_WAIT_MS))
            return err_set(err, -ECANCELED, "interrupted");
    }
}

/* ---- the instance's service ---- */

static int service_url(const struct aws *aws, const char *path, char *out, size_t size,
                       struct err *err)
{
    const char *base =
        aws_setting(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    const char *mode = aws_setting(aws, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                   "ec2_metadata_service_endpoint_mode");
    if (aws_is_true(aws_env_get(&aws->env, "AWS_EC2_METADATA_DISABLED")))
        return err_set(err, -EHOSTUNREACH,
                       "the metadata service is not asked (AWS_EC2_METADATA_DISABLED)");
    if (!base)
        base = mode && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]"
                                                     : "http://169.254.169.254";
    size_t len = strlen(base);
    int n = snprintf(out, size, "%s%slatest/%s", base, base[len - 1] == '/' ? "" : "/", path);
    return n > 0 && (size_t)n < size
               ? 0
               : err_set(err, -ENAMETOOLONG, "the metadata service's address is too long");
}

static int unreachable(int result, struct err *err)
{
    switch (result) {
    case -ETIMEDOUT:
        return err_set(err, -EHOSTUNREACH,
                       "the metadata service does not answer: this is no EC2 instance, or a "
                       "container that its answers do not reach (a hop limit of 1; `aws ec2 "
                       "modify-instance-metadata-options --http-put-response-hop-limit 2` lets "
                       "them)");
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
        return err_set(err, -EHOSTUNREACH, "there is no metadata service: this is no EC2 instance");
    default:
        return result;
    }
}

/* A token of version 2; version 1, which any request may be tricked into, is not fallen back to. */
static int get_token(struct aws *aws, struct err *err)
{
    char url[512];
    struct cloud_response response;
    if (aws->metadata_token && cloud_http_now(aws->http) < aws->metadata_token_expires)
        return 0;
    int result = service_url(aws, "api/token", url, sizeof url, err);
    if (result < 0)
        return result;
    struct cloud_request request = {
        .method = "PUT", .url = url, .what = "metadata", .is_near = true};
    cloud_request_header(&request, "X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
    result = send_near(aws, &request, &response, err);
    cloud_request_done(&request);
    if (result < 0)
        return unreachable(result, err);
    if (response.status == 403) {
        result = err_set(err, -EHOSTUNREACH, "the instance's metadata service is off");
    } else if (response.status != 200 || response.size == 0 || strpbrk(response.body, "\r\n<")) {
        result = err_set(err, -EHOSTUNREACH,
                         "what answers as metadata service gives no token of version 2 (HTTP %ld)",
                         response.status);
    } else {
        cloud_forget(aws->metadata_token);
        aws->metadata_token = strdup(response.body);
        aws->metadata_token_expires = cloud_http_now(aws->http) + TOKEN_LIFE - 60 * NS;
        if (!aws->metadata_token)
            result = err_set(err, -ENOMEM, "no memory for a token");
    }
    cloud_response_done(&response);
    return result;
}

static int get_once(struct aws *aws, const char *path, struct cloud_response *out, struct err *err)
{
    char url[512];
    int result = get_token(aws, err);
    if (result == 0)
        result = service_url(aws, path, url, sizeof url, err);
    if (result < 0)
        return result;
    struct cloud_request request = {
        .method = "GET", .url = url, .what = "metadata", .is_near = true};
    cloud_request_header(&request, "X-aws-ec2-metadata-token", aws->metadata_token);
    result = send_near(aws, &request, out, err);
    cloud_request_done(&request);
    return result < 0 ? unreachable(result, err) : 0;
}

int aws_metadata(struct aws *aws, const char *path, struct text *out, struct err *err)
{
    struct cloud_response response;
    int result = get_once(aws, path, &response, err);
    if (result == 0 && response.status == 401) {
        cloud_response_done(&response);
        cloud_forget(aws->metadata_token); /* the instance was stopped in between */
        aws->metadata_token = NULL;
        result = get_once(aws, path, &response, err);
    }
    if (result < 0)
        return result;
    if (response.status == 404)
        result = err_set(err, -ENOENT, "the metadata service has no %s", path);
    else if (response.status != 200)
        result = err_set(err, response.status == 403 ? -EHOSTUNREACH : -EIO,
                         "the metadata service answers HTTP %ld to %s", response.status, path);
    else if (response.size > METADATA_MAX)
        result = err_set(err, -EMSGSIZE, "the metadata service says too much of %s", path);
    else
        text_add(out, response.body, response.size);
    cloud_response_done(&response);
    if (result == 0 && out->failed)
        return err_set(err, -ENOMEM, "no memory for metadata");
    return result;
}

int aws_fetch_instance(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                       struct err *err)
{
    static const char folder[] = "meta-data/iam/security-credentials/";
    char path[256];
    struct text text;
    text_init(&text, METADATA_MAX);
    json_t *json = NULL;
    int result = aws_metadata(aws, folder, &text, err);
    if (result == -ENOENT)
        result = err_set(err, -ENOKEY, "the instance has no role (an instance profile)");
    if (result < 0)
        goto out;
    size_t len = text.at ? strcspn(text.at, "\r\n") : 0;
    if (len == 0 || len + sizeof folder > sizeof path) {
        result = err_set(err, -ENOKEY, "the instance has no role (an instance profile)");
        goto out;
    }
    (void)snprintf(path, sizeof path, "%s%.*s", folder, (int)len, text.at);
    (void)snprintf(source->origin, sizeof source->origin, "the instance's role %.*s",
                   len > 128 ? 128 : (int)len, text.at);
    text_done(&text);
    result = aws_metadata(aws, path, &text, err);
    if (result < 0)
        goto out;
    json = json_loadb(text.at ? text.at : "", text.size, JSON_REJECT_DUPLICATES, NULL);
    const char *code = json_string_value(json_object_get(json, "Code"));
    if (code && strcmp(code, "Success") != 0)
        result = err_set(err, -ENOKEY, "the metadata service says %.64s; is the role still there?",
                         code);
    else
        result = aws_keys_of_json(json, &agent_names, "the metadata service", out, err);
out:
    aws_json_forget(json);
    aws_text_forget(&text);
    return result;
}

/* ---- the container's agent ---- */

static bool is_near_host(const char *host)
{
    static const char *const agents[] = {"169.254.170.2", "169.254.170.23", "localhost",
                                         "fd00:ec2::23"};
    struct in_addr v4;
    struct in6_addr v6;
    for (size_t i = 0; i < sizeof agents / sizeof *agents; i++)
        if (strcasecmp(host, agents[i]) == 0)
            return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Whoever can set the variable shall not have the token sent to where it can be read on the way. */
int aws_container_check(const char *url, struct err *err)
{
    char host[128];
    if (strncasecmp(url, "https://", 8) == 0 && url[8])
        return 0;
    if (strncasecmp(url, "http://", 7) == 0) {
        const char *at = url + 7;
        size_t len = strcspn(at, "/?#");
        bool is_v6 = *at == '[';
        size_t host_len = is_v6 ? strcspn(at + 1, "]") : strcspn(at, ":/?#");
        (void)snprintf(host, sizeof host, "%.*s", (int)host_len, at + is_v6);
        if (!memchr(at, '@', len) && host_len < sizeof host && is_near_host(host))
            return 0;
    }
    return err_set(err, -EINVAL,
                   "AWS_CONTAINER_CREDENTIALS_FULL_URI: credentials are asked of this machine, of "
                   "AWS's agents (169.254.170.2, 169.254.170.23, [fd00:ec2::23]) and over https "
                   "only");
}

static int put_token(const struct aws *aws, struct cloud_request *request, struct err *err)
{
    const char *path = aws_env_get(&aws->env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = aws_env_get(&aws->env, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct text text;
    if (!path) {
        if (token)
            cloud_request_header(request, "Authorization", token);
    } else {
        int result = aws_file_read(path, TOKEN_MAX, &text, err);
        if (result < 0)
            return result;
        if (text.at)
            text.at[strcspn(text.at, "\r\n")] = '\0';
        cloud_request_header(request, "Authorization", text.at ? text.at : "");
        aws_text_forget(&text);
    }
    return request->failed ? err_set(err, -EINVAL, "the container's token is none that can be sent")
                           : 0;
}

int aws_fetch_container(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                        struct err *err)
{
    struct cloud_response response = {0};
    const struct cloud_manners manners = {.n_attempts = aws->n_attempts};
    struct cloud_request request = {
        .method = "GET",
        .url = source->from,
        .what = "container credentials",
        .is_near = strncasecmp(source->from, "https:", 6) != 0,
    };
    cloud_request_header(&request, "Accept", "application/json");
    int result = put_token(aws, &request, err);
    if (result == 0)
        result = request.is_near
                     ? send_near(aws, &request, &response, err)
                     : cloud_http_call(aws->http, &request, true, &manners, &response, err);
    cloud_request_done(&request);
    if (result == 0 && response.status != 200) {
        result = err_set(err, response.status == 401 || response.status == 403 ? -EACCES : -ENOKEY,
                         "the container's agent answers HTTP %ld", response.status);
    } else if (result == 0) {
        json_t *json = json_loadb(response.body, response.size, JSON_REJECT_DUPLICATES, NULL);
        result = aws_keys_of_json(json, &agent_names, "the container's agent", out, err);
        aws_json_forget(json);
    }
    cloud_response_done(&response);
    return result;
}
