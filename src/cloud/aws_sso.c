/* IAM Identity Center (SSO): with the token that `aws sso login` left, its portal gives a role's
 * credentials. Signing in itself needs a browser, and is left to AWS's tool. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cloud/aws_error.h"
#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

#define TOKEN_FILE_MAX (256u << 10)

static const struct aws_key_names sso_names = {"accessKeyId", "secretAccessKey", "sessionToken",
                                               "expiration"};

static int not_signed_in(const struct aws_source *source, const char *what, struct err *err)
{
    if (source->has_sso_session)
        return err_set(err, -EKEYEXPIRED, "%s: run `aws sso login --sso-session %s`", what,
                       source->from);
    return err_set(err, -EKEYEXPIRED, "%s: run `aws sso login --profile %s`", what,
                   source->profile);
}

/* The token's file goes by the digest of the session's name, or of the portal's URL. */
static int token_path(const struct aws *aws, const struct aws_source *source, char *out,
                      size_t size, struct err *err)
{
    uint8_t digest[HASH_SHA1_SIZE];
    char hex[2 * HASH_SHA1_SIZE], home[2048];
    if (!aws_home(&aws->env, home, sizeof home))
        return err_set(err, -ENOKEY, "there is no home (HOME) in which a sign-in could be kept");
    hash_sha1(source->from, strlen(source->from), digest);
    hash_hex(digest, sizeof digest, hex);
    int len = snprintf(out, size, "%s/.aws/sso/cache/%.*s.json", home, (int)sizeof hex, hex);
    return len > 0 && (size_t)len < size ? 0 : err_set(err, -ENAMETOOLONG, "%s: too long", home);
}

/* *out: the file's object; the caller forgets it. */
static int read_token(struct aws *aws, const struct aws_source *source, json_t **out,
                      struct err *err)
{
    char path[4096];
    struct text text;
    struct err why;
    int result = token_path(aws, source, path, sizeof path, err);
    if (result < 0)
        return result;
    result = aws_file_read(path, TOKEN_FILE_MAX, &text, &why);
    if (result == -ENOENT)
        return not_signed_in(source, "nobody has signed in", err);
    if (result < 0)
        return err_set(err, result, "%s", why.text);
    *out = json_loads(text.at ? text.at : "", JSON_REJECT_DUPLICATES, NULL);
    aws_text_forget(&text);
    const char *token = json_string_value(json_object_get(*out, "accessToken"));
    int64_t expires = aws_time(json_string_value(json_object_get(*out, "expiresAt")));
    if (token && *token && expires > aws_now(aws))
        return 0;
    aws_json_forget(*out);
    *out = NULL;
    return not_signed_in(source, token ? "the sign-in is over" : "the sign-in has no token", err);
}

static int take_answer(const struct aws_source *source, const struct cloud_response *response,
                       struct aws_keys *out, struct err *err)
{
    struct cloud_refusal refusal;
    if (response->status == 401)
        return not_signed_in(source, "the portal no longer takes the sign-in", err);
    if (response->status != 200) {
        aws_explain(response->body, response->size, response->status, &refusal);
        int result = aws_error_code(&refusal);
        return err_set(err, result < 0 ? result : -EIO, "the portal says %s%s%s", refusal.code,
                       refusal.code[0] ? ": " : "", refusal.message);
    }
    json_t *answer = json_loadb(response->body, response->size, JSON_REJECT_DUPLICATES, NULL);
    int result = aws_keys_of_json(json_object_get(answer, "roleCredentials"), &sso_names,
                                  "the portal", out, err);
    aws_json_forget(answer);
    return result;
}

int aws_fetch_sso(struct aws *aws, struct aws_source *source, struct aws_keys *out, struct err *err)
{
    char host[512];
    struct text url;
    json_t *token = NULL;
    struct cloud_response response = {0};
    const struct cloud_manners manners = {.n_attempts = aws->n_attempts};
    text_init(&url, 8192);
    int result = read_token(aws, source, &token, err);
    if (result == 0)
        result =
            aws_endpoint(aws, aws_service_of("portal.sso"), source->region, host, sizeof host, err);
    if (result < 0)
        goto out;
    text_put(&url, host);
    text_put(&url, "federation/credentials?role_name=");
    cloud_put_escaped(&url, source->role, "");
    text_put(&url, "&account_id=");
    cloud_put_escaped(&url, source->session, "");
    struct cloud_request request = {.method = "GET", .url = url.at, .what = "GetRoleCredentials"};
    cloud_request_header(&request, "x-amz-sso_bearer_token",
                         json_string_value(json_object_get(token, "accessToken")));
    cloud_request_header(&request, "Accept", "application/json");
    result = url.failed ? err_set(err, -ENAMETOOLONG, "the role's name is too long")
                        : cloud_http_call(aws->http, &request, true, &manners, &response, err);
    cloud_request_done(&request);
    if (result == 0)
        result = take_answer(source, &response, out, err);
out:
    cloud_response_done(&response);
    text_done(&url);
    aws_json_forget(token);
    return result;
}
