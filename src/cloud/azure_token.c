/* Azure's credentials, looked for where and in the order in which Azure's own SDKs do
 * (DefaultAzureCredential): the environment (a secret, then a certificate), a workload identity,
 * the machine's managed identity, the login of the az command. */
#include "cloud/azure_token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cloud/jwt.h"
#include "cloud/secret.h"

#define EARLY_NS   (300 * (int64_t)1000000000) /* before its end a token is no longer used */
#define DEFAULT_NS (3600 * (int64_t)1000000000)
#define ASSERTION  "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

enum kind { KIND_SECRET, KIND_CERTIFICATE, KIND_WORKLOAD, KIND_MANAGED, KIND_CLI, N_KINDS };

static const char *const origins[N_KINDS] = {
    [KIND_SECRET] = "AZURE_CLIENT_SECRET of the environment",
    [KIND_CERTIFICATE] = "the certificate of AZURE_CLIENT_CERTIFICATE_PATH",
    [KIND_WORKLOAD] = "the workload identity of AZURE_FEDERATED_TOKEN_FILE",
    [KIND_MANAGED] = "this machine's managed identity",
    [KIND_CLI] = "the login of the az command",
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

const char *azure_metadata_host(void)
{
    const char *host = variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    return host ? host : "http://169.254.169.254";
}

/* ---- answers ---- */

/* A number, or a text of one: IMDS has texts. */
static int64_t number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    char *end;
    if (json_is_integer(value))
        return json_integer_value(value);
    if (!json_is_string(value))
        return 0;
    long long number = strtoll(json_string_value(value), &end, 10);
    return *end == '\0' ? number : 0;
}

/* The CLI's, of older versions: "2026-11-22 11:00:00.000000", in local time. */
static int64_t local_time_of(const char *text)
{
    struct tm tm = {.tm_isdst = -1};
    const char *rest = text ? strptime(text, "%Y-%m-%d %H:%M:%S", &tm) : NULL;
    return rest ? (int64_t)mktime(&tm) : 0;
}

static int take_token(struct azure_tokens *tokens, const json_t *answer, const char *member,
                      struct err *err)
{
    const char *token = json_string_value(json_object_get(answer, member));
    int64_t now = cloud_http_now(tokens->http), seconds = number_of(answer, "expires_in");
    int64_t at = number_of(answer, "expires_on");
    if (at == 0)
        at = local_time_of(json_string_value(json_object_get(answer, "expiresOn")));
    if (!token || !*token)
        return err_set(err, -EPROTO, "%s: the answer has no %s", origins[tokens->kind], member);
    char *copy = strdup(token);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    cloud_forget(tokens->token);
    tokens->token = copy;
    tokens->expires_ns = at > 0        ? at * 1000000000
                         : seconds > 0 ? now + seconds * 1000000000
                                       : now + DEFAULT_NS;
    return 0;
}

/* Wipes what it was read from: Jansson's copies are freed with it. */
static void forget_json(json_t *answer)
{
    static const char *const secrets[] = {"access_token", "accessToken", NULL};
    for (size_t i = 0; secrets[i]; i++) {
        const char *value = json_string_value(json_object_get(answer, secrets[i]));
        if (value)
            explicit_bzero((char *)(uintptr_t)value, strlen(value));
    }
    json_decref(answer);
}

/* The token endpoint says why not, in one line and with a code: "AADSTS7000215: Invalid client
 * secret provided. …". It never has the secret. */
static int refused(const struct azure_tokens *tokens, const struct cloud_response *response,
                   const json_t *answer, struct err *err)
{
    const char *code = json_string_value(json_object_get(answer, "error"));
    const char *why = json_string_value(json_object_get(answer, "error_description"));
    int result = response->status == 429 || response->status >= 500 ? -EAGAIN : -EACCES;
    return err_set(err, result, "no token by %s: %ld%s%s%s%.*s", origins[tokens->kind],
                   response->status, code ? " " : "", code ? code : "", why ? ": " : "",
                   why ? (int)strcspn(why, "\r\n") : 0, why ? why : "");
}

static int ask(struct azure_tokens *tokens, struct cloud_request *request,
               const struct cloud_manners *manners, struct err *err)
{
    struct cloud_response response = {0};
    int result = cloud_http_call(tokens->http, request, true, manners, &response, err);
    if (result == 0) {
        json_t *answer = json_loadb(response.body, response.size, 0, NULL);
        result = response.status == 200 ? take_token(tokens, answer, "access_token", err)
                                        : refused(tokens, &response, answer, err);
        forget_json(answer);
    }
    cloud_response_done(&response);
    cloud_request_done(request);
    return result;
}

/* ---- by Entra ID ---- */

static void put_field(struct text *form, const char *name, const char *value)
{
    text_format(form, "%s%s=", form->size ? "&" : "", name);
    cloud_put_escaped(form, value, "");
}

static int ask_authority(struct azure_tokens *tokens, const char *secret_name, const char *secret,
                         struct err *err)
{
    static const struct cloud_manners manners = {0};
    const char *tenant = variable("AZURE_TENANT_ID"), *client = variable("AZURE_CLIENT_ID");
    char url[2 * AZURE_URL_MAX], scope[AZURE_URL_MAX + 16];
    struct text form;
    text_init(&form, 128u << 10);
    (void)snprintf(url, sizeof url, "%s/%.128s/oauth2/v2.0/token", tokens->authority, tenant);
    (void)snprintf(scope, sizeof scope, "%s/.default", tokens->resource);
    put_field(&form, "grant_type", "client_credentials");
    put_field(&form, "client_id", client);
    put_field(&form, "scope", scope);
    if (strcmp(secret_name, "client_assertion") == 0)
        put_field(&form, "client_assertion_type", ASSERTION);
    put_field(&form, secret_name, secret);
    struct cloud_request request = {
        .method = "POST", .url = url, .body = form.at, .size = form.size, .what = "token"};
    cloud_request_header(&request, "Content-Type", "application/x-www-form-urlencoded");
    cloud_request_header(&request, "Accept", "application/json");
    int result =
        form.failed ? err_set(err, -ENOMEM, "out of memory") : ask(tokens, &request, &manners, err);
    cloud_request_done(&request);
    if (form.at)
        explicit_bzero(form.at, form.size);
    text_done(&form);
    return result;
}

/* The assertion of "certificate credentials": who we are, to this endpoint, for ten minutes. */
static int ask_by_certificate(struct azure_tokens *tokens, struct err *err)
{
    const char *path = variable("AZURE_CLIENT_CERTIFICATE_PATH");
    const char *client = variable("AZURE_CLIENT_ID");
    char *pem = NULL, *assertion = NULL, thumbprint[64], id[64], audience[2 * AZURE_URL_MAX];
    int64_t now = cloud_http_now(tokens->http);
    int result = cloud_read_secret(path, &pem, err);
    if (result == 0)
        result = cloud_jwt_thumbprint(path, pem, thumbprint, err);
    if (result == 0) {
        (void)snprintf(id, sizeof id, "%llx-%lx", (unsigned long long)now, (unsigned long)getpid());
        (void)snprintf(audience, sizeof audience, "%s/%.128s/oauth2/v2.0/token", tokens->authority,
                       variable("AZURE_TENANT_ID"));
        json_int_t at = (json_int_t)(now / 1000000000);
        json_t *header =
            json_pack("{s:s, s:s, s:s}", "alg", "RS256", "typ", "JWT", "x5t", thumbprint);
        json_t *claims = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "aud", audience, "iss", client,
                                   "sub", client, "jti", id, "nbf", at - 60, "exp", at + 600);
        result = header && claims ? cloud_jwt_sign(path, pem, header, claims, &assertion, err)
                                  : err_set(err, -ENOMEM, "out of memory");
        json_decref(header);
        json_decref(claims);
    }
    if (result == 0)
        result = ask_authority(tokens, "client_assertion", assertion, err);
    cloud_forget(pem);
    cloud_forget(assertion);
    return result;
}

/* The file is written anew now and then, so it is read anew each time. */
static int ask_by_workload(struct azure_tokens *tokens, struct err *err)
{
    char *assertion = NULL;
    int result = cloud_read_secret(variable("AZURE_FEDERATED_TOKEN_FILE"), &assertion, err);
    if (result < 0)
        return result;
    assertion[strcspn(assertion, " \t\r\n")] = '\0';
    result = ask_authority(tokens, "client_assertion", assertion, err);
    cloud_forget(assertion);
    return result;
}

/* ---- by the machine, and by the az command ---- */

/* 404 and 429 mean "later" there, says its documentation; 410 that it is being updated. */
static enum cloud_verdict judge_metadata(const struct cloud_response *response, void *with)
{
    (void)with;
    return response->status == 404 || response->status == 410 || response->status == 429 ||
                   response->status >= 500
               ? CLOUD_RETRY
               : CLOUD_DONE;
}

static int ask_by_machine(struct azure_tokens *tokens, struct err *err)
{
    static const struct cloud_manners manners = {.judge = judge_metadata, .n_attempts = 4};
    const char *client = variable("AZURE_CLIENT_ID");
    struct text url;
    text_init(&url, 2048);
    text_format(&url, "%.200s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=",
                azure_metadata_host());
    cloud_put_escaped(&url, tokens->resource, "");
    cloud_put_escaped(&url, "/", "");
    if (client) {
        text_put(&url, "&client_id=");
        cloud_put_escaped(&url, client, "");
    }
    if (url.failed) {
        text_done(&url);
        return err_set(err, -ENAMETOOLONG, "AZURE_CLIENT_ID is too long");
    }
    struct cloud_request request = {
        .method = "GET", .url = url.at, .what = "token", .is_near = true};
    cloud_request_header(&request, "Metadata", "true");
    int result = ask(tokens, &request, &manners, err);
    text_done(&url);
    return result;
}

static int ask_by_cli(struct azure_tokens *tokens, struct err *err)
{
    char *out = NULL, resource[AZURE_URL_MAX + 2];
    if (!tokens->ask_cli)
        return err_set(err, -ENOENT, "the az command is not asked");
    (void)snprintf(resource, sizeof resource, "%s/", tokens->resource);
    int result = tokens->ask_cli(resource, &out, err);
    if (result < 0)
        return result;
    json_t *answer = json_loads(out, 0, NULL);
    const char *subscription = json_string_value(json_object_get(answer, "subscription"));
    result = take_token(tokens, answer, "accessToken", err);
    if (result == 0 && subscription)
        (void)snprintf(tokens->subscription, sizeof tokens->subscription, "%s", subscription);
    forget_json(answer);
    cloud_forget(out);
    return result;
}

/* ---- choosing ---- */

static int ask_by(struct azure_tokens *tokens, int kind, struct err *err)
{
    tokens->kind = kind;
    switch ((enum kind)kind) {
    case KIND_SECRET:
        return ask_authority(tokens, "client_secret", variable("AZURE_CLIENT_SECRET"), err);
    case KIND_CERTIFICATE:
        return ask_by_certificate(tokens, err);
    case KIND_WORKLOAD:
        return ask_by_workload(tokens, err);
    case KIND_MANAGED:
        return ask_by_machine(tokens, err);
    case KIND_CLI:
        return ask_by_cli(tokens, err);
    case N_KINDS:
        break;
    }
    return err_set(err, -ENOKEY, "no credentials");
}

/* What the environment says all of is taken, and its refusal is final: another identity would be a
 * surprise. */
static int kind_of_environment(void)
{
    if (!variable("AZURE_TENANT_ID") || !variable("AZURE_CLIENT_ID"))
        return -1;
    return variable("AZURE_CLIENT_SECRET")             ? KIND_SECRET
           : variable("AZURE_CLIENT_CERTIFICATE_PATH") ? KIND_CERTIFICATE
           : variable("AZURE_FEDERATED_TOKEN_FILE")    ? KIND_WORKLOAD
                                                       : -1;
}

int azure_tokens_open(struct azure_tokens *tokens, struct err *err)
{
    struct err machine, cli;
    int kind = kind_of_environment();
    if (kind >= 0)
        return ask_by(tokens, kind, err);
    int result = ask_by(tokens, KIND_MANAGED, &machine);
    if (result == 0 || result == -ECANCELED) {
        if (err)
            *err = machine;
        return result;
    }
    if (ask_by(tokens, KIND_CLI, &cli) == 0)
        return 0;
    tokens->kind = -1;
    return err_set(err, -ENOKEY,
                   "no credentials for Azure: AZURE_TENANT_ID, AZURE_CLIENT_ID and one of "
                   "AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE "
                   "are not all set; managed identity: %.120s; az: %.120s",
                   machine.text, cli.text);
}

void azure_tokens_close(struct azure_tokens *tokens)
{
    cloud_forget(tokens->token);
    tokens->token = NULL;
}

int azure_tokens_get(struct azure_tokens *tokens, bool renew, const char **out, struct err *err)
{
    int64_t now = cloud_http_now(tokens->http);
    if (renew || !tokens->token || now + EARLY_NS >= tokens->expires_ns) {
        int result = ask_by(tokens, tokens->kind, err);
        if (result < 0)
            return result;
    }
    *out = tokens->token;
    return 0;
}

const char *azure_tokens_origin(const struct azure_tokens *tokens)
{
    return tokens->kind >= 0 ? origins[tokens->kind] : "";
}
