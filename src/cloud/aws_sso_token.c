/* The token of IAM Identity Center (SSO) that `aws sso login` left in a file, renewed where that
 * left what it takes: see aws_impl.h. A token of a session ([sso-session]) that is over within a
 * quarter of an hour is changed for a fresh one (CreateToken of SSO OIDC), which is kept in the
 * same file, as AWS's own tools do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

#define TOKEN_FILE_MAX (256u << 10)
#define NS             INT64_C(1000000000)
#define EARLY          (900 * NS)
#define DAY            86400

int aws_sso_lacks(const struct aws_source *source, const char *what, struct err *err)
{
    if (source->has_sso_session)
        return err_set(err, -EKEYEXPIRED, "%s: run `aws sso login --sso-session %s`", what,
                       source->from);
    return err_set(err, -EKEYEXPIRED, "%s: run `aws sso login --profile %s`", what,
                   source->profile);
}

/* It goes by the digest of the session's name, or of the portal's URL. */
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

static const char *text_in(const json_t *token, const char *name)
{
    const char *text = json_string_value(json_object_get(token, name));
    return text && *text ? text : NULL;
}

static int64_t time_in(const json_t *token, const char *name)
{
    const char *text = text_in(token, name);
    return text ? aws_time(text) : 0;
}

/* ---- a fresh one ---- */

static bool can_renew(struct aws *aws, const struct aws_source *source, const json_t *token)
{
    return source->has_sso_session && text_in(token, "refreshToken") &&
           text_in(token, "clientId") && text_in(token, "clientSecret") &&
           time_in(token, "registrationExpiresAt") > aws_now(aws);
}

/* The token with what the answer says in its place. */
static int take_answer(struct aws *aws, json_t *token, const struct cloud_response *response,
                       struct err *err)
{
    json_t *answer = json_loadb(response->body, response->size, JSON_REJECT_DUPLICATES, NULL);
    const char *access = text_in(answer, "accessToken"), *code = text_in(answer, "error");
    json_int_t seconds = json_integer_value(json_object_get(answer, "expiresIn"));
    int result = 0;
    if (response->status != 200)
        result = err_set(err, -EKEYEXPIRED, "AWS does not renew it (%ld %.60s)", response->status,
                         code && strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code)
                             ? code
                             : "without a reason");
    else if (!access || seconds <= 0)
        result = err_set(err, -EPROTO, "AWS's answer has no fresh token");
    if (result == 0) {
        char at[32];
        int64_t now = aws_now(aws) / NS;
        time_t expires = (time_t)(now + (seconds < 90 * DAY ? seconds : 90 * DAY));
        struct tm tm;
        if (!gmtime_r(&expires, &tm) || !strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm))
            at[0] = '\0';
        /* Each is good once: without another one it cannot be renewed again. */
        const char *refresh = text_in(answer, "refreshToken");
        bool good = json_object_set_new(token, "accessToken", json_string(access)) == 0 &&
                    json_object_set_new(token, "expiresAt", json_string(at)) == 0;
        if (refresh) /* copied: the answer is wiped */
            good &= json_object_set_new(token, "refreshToken", json_string(refresh)) == 0;
        else
            (void)json_object_del(token, "refreshToken"); /* it was there */
        if (!good)
            result = err_set(err, -ENOMEM, "out of memory");
    }
    aws_json_forget(answer);
    return result;
}

static int renew(struct aws *aws, const struct aws_source *source, json_t *token, struct err *err)
{
    char host[480], url[512];
    struct cloud_response response = {0};
    const struct cloud_manners manners = {.n_attempts = aws->n_attempts};
    int result = aws_endpoint(aws, aws_service_of("oidc"), source->region, host, sizeof host, err);
    if (result < 0)
        return result;
    (void)snprintf(url, sizeof url, "%stoken", host);
    json_t *asked = json_pack("{s:s, s:s, s:s, s:s}", "clientId", text_in(token, "clientId"),
                              "clientSecret", text_in(token, "clientSecret"), "grantType",
                              "refresh_token", "refreshToken", text_in(token, "refreshToken"));
    char *body = json_dumps(asked, JSON_COMPACT);
    struct cloud_request request = {.method = "POST",
                                    .url = url,
                                    .body = body,
                                    .size = body ? strlen(body) : 0,
                                    .what = "CreateToken"};
    cloud_request_header(&request, "Content-Type", "application/json");
    cloud_request_header(&request, "Accept", "application/json");
    result = body ? cloud_http_call(aws->http, &request, false, &manners, &response, err)
                  : err_set(err, -ENOMEM, "out of memory");
    cloud_request_done(&request);
    if (result == 0)
        result = take_answer(aws, token, &response, err);
    cloud_response_done(&response);
    cloud_forget(body);
    aws_json_forget(asked);
    return result;
}

/* Whole or not at all, and its owner's: whoever can't write it there goes on with what there is in
 * memory, and AWS's own tools then ask for a sign-in earlier. */
static void keep(const char *path, const json_t *token)
{
    char fresh[4104];
    struct stat was;
    char *text = json_dumps(token, JSON_INDENT(2));
    if (!text || stat(path, &was) < 0 ||
        snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        cloud_forget(text);
        return;
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        size_t size = strlen(text);
        bool good = (was.st_uid == geteuid() || fchown(fd, was.st_uid, was.st_gid) == 0) &&
                    write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
        close(fd);
        if (!good || rename(fresh, path) < 0)
            (void)unlink(fresh); /* it is no whole one */
    }
    cloud_forget(text);
}

/* ---- all ---- */

int aws_sso_token(struct aws *aws, const struct aws_source *source, json_t **out, struct err *err)
{
    char path[4096], said[400];
    struct text text;
    struct err why = {""};
    int result = token_path(aws, source, path, sizeof path, err);
    if (result < 0)
        return result;
    result = aws_file_read(path, TOKEN_FILE_MAX, &text, &why);
    if (result == -ENOENT)
        return aws_sso_lacks(source, "nobody has signed in", err);
    if (result < 0)
        return err_set(err, result, "%s", why.text);
    json_t *token = json_loads(text.at ? text.at : "", JSON_REJECT_DUPLICATES, NULL);
    aws_text_forget(&text);
    bool has_one = text_in(token, "accessToken") != NULL;
    int64_t left = time_in(token, "expiresAt") - aws_now(aws);
    (void)snprintf(said, sizeof said, "the sign-in %s", has_one ? "is over" : "has no token");
    if (has_one && left < EARLY && can_renew(aws, source, token)) {
        result = renew(aws, source, token, &why);
        if (result == 0) {
            keep(path, token);
            left = EARLY;
        } else if (left <= 0 && result == -EKEYEXPIRED) {
            (void)snprintf(said, sizeof said, "the sign-in is over, and %.300s", why.text);
        } else if (left <= 0) {
            aws_json_forget(token);
            return err_set(err, result, "the sign-in is over, and is not renewed: %.300s",
                           why.text);
        }
    }
    if (has_one && left > 0) {
        *out = token;
        return 0;
    }
    aws_json_forget(token);
    return aws_sso_lacks(source, said, err);
}
