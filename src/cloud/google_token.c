/* Google's application default credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names,
 * that of gcloud, the machine's own service account. See "How Application Default Credentials
 * works", RFC 7523 (service accounts), RFC 6749 (a user's refresh token), RFC 8693 (workload
 * identity). */
#include "cloud/google_token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/jwt.h"
#include "cloud/secret.h"

#define EARLY_NS   (225 * (int64_t)1000000000) /* before its end a token is no longer used */
#define DEFAULT_NS (3600 * (int64_t)1000000000)
#define SCOPE      "https://www.googleapis.com/auth/cloud-platform"
#define TOKEN_URI  "https://oauth2.googleapis.com/token"
#define STS_URI    "https://sts.googleapis.com/v1/token"

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* ---- answers ---- */

static void forget_json(json_t *answer)
{
    static const char *const secrets[] = {"access_token",  "accessToken",   "private_key",
                                          "refresh_token", "client_secret", NULL};
    for (size_t i = 0; secrets[i]; i++) {
        const char *value = json_string_value(json_object_get(answer, secrets[i]));
        if (value)
            explicit_bzero((char *)(uintptr_t)value, strlen(value));
    }
    json_decref(answer);
}

static int take_token(struct google_tokens *tokens, const json_t *answer, struct err *err)
{
    const char *token = text_of(answer, "access_token");
    json_int_t seconds = json_integer_value(json_object_get(answer, "expires_in"));
    if (!*token) /* of IAM's generateAccessToken */
        token = text_of(answer, "accessToken");
    if (!*token)
        return err_set(err, -EPROTO, "%s: the answer has no token", tokens->origin);
    char *copy = strdup(token);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    cloud_forget(tokens->token);
    tokens->token = copy;
    tokens->expires_ns =
        cloud_http_now(tokens->http) + (seconds > 0 ? seconds * (int64_t)1000000000 : DEFAULT_NS);
    return 0;
}

/* {"error": "invalid_grant", "error_description": "…"}, or an error object. */
static int refused(const struct google_tokens *tokens, const struct cloud_response *response,
                   const json_t *answer, struct err *err)
{
    const json_t *error = json_object_get(answer, "error");
    const char *why = text_of(answer, "error_description");
    if (json_is_object(error))
        why = text_of(error, "message");
    int result = response->status == 429 || response->status >= 500 ? -EAGAIN : -EACCES;
    return err_set(err, result, "no token by %s: %ld%s%s%s%.200s", tokens->origin, response->status,
                   json_is_string(error) ? " " : "",
                   json_is_string(error) ? json_string_value(error) : "", *why ? ": " : "", why);
}

static int ask(struct google_tokens *tokens, struct cloud_request *request, struct err *err)
{
    static const struct cloud_manners manners = {0};
    struct cloud_response response = {0};
    int result = cloud_http_call(tokens->http, request, true, &manners, &response, err);
    if (result == 0) {
        json_t *answer = json_loadb(response.body, response.size, 0, NULL);
        result = response.status == 200 ? take_token(tokens, answer, err)
                                        : refused(tokens, &response, answer, err);
        forget_json(answer);
    }
    cloud_response_done(&response);
    cloud_request_done(request);
    return result;
}

/* ---- by a file ---- */

static void put_field(struct text *form, const char *name, const char *value)
{
    text_format(form, "%s%s=", form->size ? "&" : "", name);
    cloud_put_escaped(form, value, "");
}

/* Takes the form over. */
static int ask_form(struct google_tokens *tokens, const char *url, struct text *form,
                    struct err *err)
{
    int result = 0;
    if (form->failed)
        result = err_set(err, -ENOMEM, "out of memory");
    else if (!cloud_url_is_safe(url))
        result = err_set(err, -EINVAL, "%s: '%.100s' is no https:// address", tokens->origin, url);
    if (result == 0) {
        struct cloud_request request = {
            .method = "POST", .url = url, .body = form->at, .size = form->size, .what = "token"};
        cloud_request_header(&request, "Content-Type", "application/x-www-form-urlencoded");
        result = ask(tokens, &request, err);
    }
    if (form->at)
        explicit_bzero(form->at, form->size);
    text_done(form);
    return result;
}

static int ask_by_service_account(struct google_tokens *tokens, struct err *err)
{
    const char *uri = text_of(tokens->file, "token_uri");
    const char *email = text_of(tokens->file, "client_email");
    json_int_t now = (json_int_t)(cloud_http_now(tokens->http) / 1000000000);
    char *assertion = NULL;
    struct text form;
    if (!*uri)
        uri = TOKEN_URI;
    json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "RS256", "typ", "JWT", "kid",
                               text_of(tokens->file, "private_key_id"));
    json_t *claims = json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", email, "scope", SCOPE, "aud",
                               uri, "iat", now, "exp", now + 3600);
    int result = header && claims
                     ? cloud_jwt_sign(tokens->origin, text_of(tokens->file, "private_key"), header,
                                      claims, &assertion, err)
                     : err_set(err, -ENOMEM, "out of memory");
    json_decref(header);
    json_decref(claims);
    if (result < 0)
        return result;
    text_init(&form, 64u << 10);
    put_field(&form, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
    put_field(&form, "assertion", assertion);
    cloud_forget(assertion);
    return ask_form(tokens, uri, &form, err);
}

static int ask_by_user(struct google_tokens *tokens, struct err *err)
{
    const char *uri = text_of(tokens->file, "token_uri");
    struct text form;
    text_init(&form, 64u << 10);
    put_field(&form, "grant_type", "refresh_token");
    put_field(&form, "client_id", text_of(tokens->file, "client_id"));
    put_field(&form, "client_secret", text_of(tokens->file, "client_secret"));
    put_field(&form, "refresh_token", text_of(tokens->file, "refresh_token"));
    return ask_form(tokens, *uri ? uri : TOKEN_URI, &form, err);
}

/* A token that the file's credential_source names, as text or as a field of JSON. */
static int read_subject(const struct google_tokens *tokens, char **out, struct err *err)
{
    const json_t *source = json_object_get(tokens->file, "credential_source");
    const json_t *format = json_object_get(source, "format");
    const char *path = text_of(source, "file");
    if (!*path)
        return err_set(err, -EOPNOTSUPP,
                       "%s: its credential_source is no file, which is all that is understood",
                       tokens->origin);
    int result = cloud_read_secret(path, out, err);
    if (result < 0)
        return result;
    if (strcmp(text_of(format, "type"), "json") == 0) {
        json_t *object = json_loads(*out, 0, NULL);
        char *token = strdup(text_of(object, text_of(format, "subject_token_field_name")));
        json_decref(object);
        cloud_forget(*out);
        *out = token;
        if (!token || !*token) {
            cloud_forget(token);
            *out = NULL;
            return err_set(err, -EINVAL, "%.200s has no such token", path);
        }
    } else {
        (*out)[strcspn(*out, " \t\r\n")] = '\0';
    }
    return 0;
}

/* What the security token service gave may be good for nothing but to become a service account. */
static int impersonate(struct google_tokens *tokens, const char *url, struct err *err)
{
    static const char body[] = "{\"scope\": [\"" SCOPE "\"]}";
    size_t size = strlen(tokens->token) + sizeof "Bearer ";
    char *value = malloc(size);
    if (!value)
        return err_set(err, -ENOMEM, "out of memory");
    if (!cloud_url_is_safe(url)) {
        cloud_forget(value);
        return err_set(err, -EINVAL, "%s: '%.100s' is no https:// address", tokens->origin, url);
    }
    (void)snprintf(value, size, "Bearer %s", tokens->token);
    struct cloud_request request = {.method = "POST",
                                    .url = url,
                                    .body = body,
                                    .size = sizeof body - 1,
                                    .what = "generateAccessToken"};
    cloud_request_header(&request, "Authorization", value);
    cloud_request_header(&request, "Content-Type", "application/json");
    cloud_forget(value);
    return ask(tokens, &request, err);
}

static int ask_by_workload(struct google_tokens *tokens, struct err *err)
{
    const char *uri = text_of(tokens->file, "token_url");
    const char *account = text_of(tokens->file, "service_account_impersonation_url");
    char *subject = NULL;
    struct text form;
    int result = read_subject(tokens, &subject, err);
    if (result < 0)
        return result;
    text_init(&form, 64u << 10);
    put_field(&form, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    put_field(&form, "audience", text_of(tokens->file, "audience"));
    put_field(&form, "scope", SCOPE);
    put_field(&form, "requested_token_type", "urn:ietf:params:oauth:token-type:access_token");
    put_field(&form, "subject_token_type", text_of(tokens->file, "subject_token_type"));
    put_field(&form, "subject_token", subject);
    cloud_forget(subject);
    result = ask_form(tokens, *uri ? uri : STS_URI, &form, err);
    return result == 0 && *account ? impersonate(tokens, account, err) : result;
}

/* ---- by the machine ---- */

static void put_metadata_url(char out[512], const char *path)
{
    const char *host = variable("GCE_METADATA_HOST");
    (void)snprintf(out, 512, "http://%.200s/computeMetadata/v1/%s",
                   host ? host : "metadata.google.internal", path);
}

static int ask_by_machine(struct google_tokens *tokens, struct err *err)
{
    char url[512];
    put_metadata_url(url, "instance/service-accounts/default/token");
    struct cloud_request request = {.method = "GET", .url = url, .what = "token", .is_near = true};
    cloud_request_header(&request, "Metadata-Flavor", "Google");
    return ask(tokens, &request, err);
}

/* Nothing, where it isn't told. */
static void ask_project(struct google_tokens *tokens)
{
    static const struct cloud_manners manners = {0};
    struct cloud_response response = {0};
    char url[512];
    struct err err;
    put_metadata_url(url, "project/project-id");
    struct cloud_request request = {
        .method = "GET", .url = url, .what = "project-id", .is_near = true};
    cloud_request_header(&request, "Metadata-Flavor", "Google");
    if (cloud_http_call(tokens->http, &request, true, &manners, &response, &err) == 0 &&
        response.status == 200)
        (void)snprintf(tokens->project, sizeof tokens->project, "%s", response.body);
    cloud_response_done(&response);
    cloud_request_done(&request);
}

/* ---- choosing ---- */

static const struct {
    const char *type, *name;
    int (*ask)(struct google_tokens *tokens, struct err *err);
} kinds[] = {
    {"service_account", "the service account of", ask_by_service_account},
    {"authorized_user", "the user's login of", ask_by_user},
    {"external_account", "the workload identity of", ask_by_workload},
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

static int ask_any(struct google_tokens *tokens, struct err *err)
{
    const char *type = text_of(tokens->file, "type");
    if (!tokens->file)
        return ask_by_machine(tokens, err);
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].ask(tokens, err);
    return err_set(err, -EOPNOTSUPP, "%s: credentials of the type '%.40s' are not understood",
                   tokens->origin, type);
}

static int load_file(struct google_tokens *tokens, const char *path, struct err *err)
{
    char *text = NULL;
    int result = cloud_read_secret(path, &text, err);
    if (result < 0)
        return result;
    tokens->file = json_loads(text, 0, NULL);
    cloud_forget(text);
    const char *type = text_of(tokens->file, "type"), *name = "the credentials of";
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].type, type) == 0)
            name = kinds[i].name;
    (void)snprintf(tokens->origin, sizeof tokens->origin, "%s %.120s", name, path);
    (void)snprintf(tokens->project, sizeof tokens->project, "%s",
                   text_of(tokens->file, "project_id"));
    (void)snprintf(tokens->quota, sizeof tokens->quota, "%s",
                   text_of(tokens->file, "quota_project_id"));
    return *type ? 0 : err_set(err, -EINVAL, "%s is no file with Google's credentials", path);
}

/* gcloud's file; false: there is no such folder. */
static bool gcloud_path(char out[512])
{
    const char *folder = variable("CLOUDSDK_CONFIG"), *home = variable("HOME");
    int len =
        folder ? snprintf(out, 512, "%s/application_default_credentials.json", folder)
        : home ? snprintf(out, 512, "%s/.config/gcloud/application_default_credentials.json", home)
               : 512;
    return len < 512;
}

int google_tokens_open(struct google_tokens *tokens, struct err *err)
{
    const char *path = variable("GOOGLE_APPLICATION_CREDENTIALS"), *quota;
    char gcloud[512] = "";
    struct err why;
    int result = -ENOENT;
    if (path)
        result = load_file(tokens, path, err);
    else if (gcloud_path(gcloud))
        result = load_file(tokens, gcloud, err);
    if (result < 0 && (path || result != -ENOENT))
        return result;
    if (result < 0) {
        (void)snprintf(tokens->origin, sizeof tokens->origin, "this machine's service account");
        ask_project(tokens);
    }
    quota = variable("GOOGLE_CLOUD_QUOTA_PROJECT");
    if (quota)
        (void)snprintf(tokens->quota, sizeof tokens->quota, "%s", quota);
    if (tokens->file)
        return ask_any(tokens, err);
    result = ask_any(tokens, &why);
    if (result == 0 || result == -ECANCELED) {
        if (err)
            *err = why;
        return result;
    }
    return err_set(err, -ENOKEY,
                   "no credentials for Google: GOOGLE_APPLICATION_CREDENTIALS is not set, there is "
                   "no %.160s (gcloud auth application-default login); metadata server: %.160s",
                   gcloud, why.text);
}

void google_tokens_close(struct google_tokens *tokens)
{
    cloud_forget(tokens->token);
    tokens->token = NULL;
    if (tokens->file)
        forget_json(tokens->file);
    tokens->file = NULL;
}

int google_tokens_get(struct google_tokens *tokens, bool renew, const char **out, struct err *err)
{
    int64_t now = cloud_http_now(tokens->http);
    if (renew || !tokens->token || now + EARLY_NS >= tokens->expires_ns) {
        int result = ask_any(tokens, err);
        if (result < 0)
            return result;
    }
    *out = tokens->token;
    return 0;
}
