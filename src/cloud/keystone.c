/* Tokens and the catalogue of Identity API v3: see keystone.h. */
#include "cloud/keystone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cloud/keystone_config.h"

#define SERVICES_MAX 4
#define BODY_MAX     16384
/* A token is renewed when it has less than this to go. */
#define MARGIN_NS (60 * INT64_C(1000000000))

struct service {
    struct keystone *keystone;
    char version[48];
};

struct keystone {
    struct cloud_http *http;
    struct keystone_config config;
    char base[512]; /* "https://host:5000/v3" */
    char *token;
    int64_t until; /* ns since the epoch; INT64_MAX: it does not say */
    json_t *catalog;
    char project[80];
    struct service services[SERVICES_MAX];
    size_t n_services;
};

static const char *value_of(const struct keystone *keystone, enum keystone_key key)
{
    return keystone->config.value[key];
}

/* ---- what is asked ---- */

enum method { METHOD_PASSWORD, METHOD_TOKEN, METHOD_APP };

static int find_method(const struct keystone *keystone, enum method *out, struct err *err)
{
    static const struct {
        const char *name;
        enum method method;
    } names[] = {{"password", METHOD_PASSWORD},
                 {"token", METHOD_TOKEN},
                 {"applicationcredential", METHOD_APP},
                 {"application_credential", METHOD_APP}};
    const char *type = value_of(keystone, KEYSTONE_AUTH_TYPE);
    if (!type) {
        bool app = value_of(keystone, KEYSTONE_APP_ID) || value_of(keystone, KEYSTONE_APP_NAME);
        *out = app ? METHOD_APP
               : value_of(keystone, KEYSTONE_TOKEN) && !value_of(keystone, KEYSTONE_PASSWORD)
                   ? METHOD_TOKEN
                   : METHOD_PASSWORD;
        return 0;
    }
    const char *plain = strncasecmp(type, "v3", 2) == 0 ? type + 2 : type;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(plain, names[i].name) == 0) {
            *out = names[i].method;
            return 0;
        }
    return err_set(err, -EINVAL,
                   "%s: the authentication '%.40s' is not supported: password, token and "
                   "v3applicationcredential are; an application credential can be made with any "
                   "of them: openstack application credential create",
                   keystone->config.origin, type);
}

static void put_string(struct text *out, const char *string)
{
    text_json(out, string, strlen(string));
}

/* "domain":{…} of a user or a project; openstackclient's default where none is named. */
static void put_domain(const struct keystone *keystone, enum keystone_key name_key,
                       enum keystone_key id_key, struct text *out)
{
    const char *name = value_of(keystone, name_key), *id = value_of(keystone, id_key);
    if (!name && !id) {
        name = value_of(keystone, KEYSTONE_DEFAULT_DOMAIN_NAME);
        id = value_of(keystone, KEYSTONE_DEFAULT_DOMAIN_ID);
    }
    text_put(out, "\"domain\":{");
    text_put(out, name && !id ? "\"name\":" : "\"id\":");
    put_string(out, id ? id : name ? name : "default");
    text_put(out, "}");
}

static void put_user(const struct keystone *keystone, struct text *out)
{
    const char *id = value_of(keystone, KEYSTONE_USER_ID);
    const char *name = value_of(keystone, KEYSTONE_USERNAME);
    text_put(out, "\"user\":{");
    if (id) {
        text_put(out, "\"id\":");
        put_string(out, id);
    } else {
        text_put(out, "\"name\":");
        put_string(out, name ? name : "");
        text_put(out, ",");
        put_domain(keystone, KEYSTONE_USER_DOMAIN_NAME, KEYSTONE_USER_DOMAIN_ID, out);
    }
}

static void put_scope(const struct keystone *keystone, struct text *out)
{
    const char *id = value_of(keystone, KEYSTONE_PROJECT_ID);
    const char *name = value_of(keystone, KEYSTONE_PROJECT_NAME);
    if (!id && !name)
        return;
    text_put(out, ",\"scope\":{\"project\":{");
    text_put(out, id ? "\"id\":" : "\"name\":");
    put_string(out, id ? id : name);
    if (!id) {
        text_put(out, ",");
        put_domain(keystone, KEYSTONE_PROJECT_DOMAIN_NAME, KEYSTONE_PROJECT_DOMAIN_ID, out);
    }
    text_put(out, "}}");
}

static int lacks(const struct keystone *keystone, const char *what, const char *variable,
                 struct err *err)
{
    return err_set(err, -ENOKEY, "%s: it lacks %s (OS_%s, or in clouds.yaml)",
                   keystone->config.origin, what, variable);
}

static int put_identity(const struct keystone *keystone, enum method method, struct text *out,
                        struct err *err)
{
    const char *app = value_of(keystone, KEYSTONE_APP_ID);
    const char *app_name = value_of(keystone, KEYSTONE_APP_NAME);
    bool user = value_of(keystone, KEYSTONE_USER_ID) || value_of(keystone, KEYSTONE_USERNAME);
    switch (method) {
    case METHOD_PASSWORD:
        if (!user)
            return lacks(keystone, "the user's name", "USERNAME", err);
        if (!value_of(keystone, KEYSTONE_PASSWORD))
            return lacks(keystone, "the password", "PASSWORD", err);
        text_put(out, "{\"methods\":[\"password\"],\"password\":{");
        put_user(keystone, out);
        text_put(out, ",\"password\":");
        put_string(out, value_of(keystone, KEYSTONE_PASSWORD));
        text_put(out, "}}}");
        return 0;
    case METHOD_TOKEN:
        if (!value_of(keystone, KEYSTONE_TOKEN))
            return lacks(keystone, "the token", "TOKEN", err);
        text_put(out, "{\"methods\":[\"token\"],\"token\":{\"id\":");
        put_string(out, value_of(keystone, KEYSTONE_TOKEN));
        text_put(out, "}}");
        return 0;
    case METHOD_APP:
        if (!app && !app_name)
            return lacks(keystone, "the application credential's id", "APPLICATION_CREDENTIAL_ID",
                         err);
        if (!app && !user)
            return lacks(keystone, "the user whose application credential it is", "USERNAME", err);
        if (!value_of(keystone, KEYSTONE_APP_SECRET))
            return lacks(keystone, "the application credential's secret",
                         "APPLICATION_CREDENTIAL_SECRET", err);
        text_put(out, "{\"methods\":[\"application_credential\"],\"application_credential\":{");
        text_put(out, app ? "\"id\":" : "\"name\":");
        put_string(out, app ? app : app_name);
        text_put(out, ",\"secret\":");
        put_string(out, value_of(keystone, KEYSTONE_APP_SECRET));
        if (!app) {
            text_put(out, ",");
            put_user(keystone, out);
            text_put(out, "}");
        }
        text_put(out, "}}");
        return 0;
    }
    return 0;
}

/* The body of POST /auth/tokens, in a buffer that never moves: no copy of a password stays. */
static int put_body(const struct keystone *keystone, struct text *out, struct err *err)
{
    enum method method = METHOD_PASSWORD;
    text_init(out, BODY_MAX - 1);
    out->at = calloc(1, BODY_MAX);
    out->capacity = out->at ? BODY_MAX : 0;
    int result = out->at ? 0 : err_set(err, -ENOMEM, "out of memory");
    text_put(out, "{\"auth\":{\"identity\":");
    if (result == 0)
        result = find_method(keystone, &method, err);
    if (result == 0)
        result = put_identity(keystone, method, out, err);
    if (method != METHOD_APP) /* it is of one project by itself */
        put_scope(keystone, out);
    text_put(out, "}}");
    if (result == 0 && out->failed)
        result = err_set(err, -E2BIG, "%s: a password or a name of many thousand bytes",
                         keystone->config.origin);
    return result;
}

/* ---- what is answered ---- */

/* "2026-11-22T11:00:00.000000Z"; INT64_MAX where it says nothing. */
static int64_t time_of(const char *text)
{
    struct tm tm = {0};
    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
        return INT64_MAX;
    time_t t = timegm(&tm);
    return t > 0 && t < INT64_MAX / 1000000000 ? (int64_t)t * 1000000000 : INT64_MAX;
}

static int take_token(struct keystone *keystone, const struct cloud_response *response,
                      struct err *err)
{
    const char *header = cloud_response_header(response, "x-subject-token");
    json_t *body = json_loadb(response->body, response->size, 0, NULL);
    const json_t *token = json_object_get(body, "token");
    const json_t *catalog = json_object_get(token, "catalog");
    const char *project =
        json_string_value(json_object_get(json_object_get(token, "project"), "id"));
    char *copy = header && json_is_object(token) ? strdup(header) : NULL;
    if (!copy) {
        json_decref(body);
        return err_set(err, -EPROTO,
                       "%s: this is no Keystone of version 3: the answer has no token",
                       keystone->base);
    }
    cloud_forget(keystone->token);
    keystone->token = copy;
    keystone->until = time_of(json_string_value(json_object_get(token, "expires_at")));
    json_decref(keystone->catalog);
    keystone->catalog = json_incref((json_t *)(uintptr_t)catalog);
    (void)snprintf(keystone->project, sizeof keystone->project, "%s", project ? project : "");
    json_decref(body);
    return 0;
}

/* Keystone's own words: {"error": {"code": 401, "message": …, "title": …}}. */
static int refused(const struct keystone *keystone, const struct cloud_response *response,
                   struct err *err)
{
    json_t *body = json_loadb(response->body, response->size, 0, NULL);
    const json_t *error = json_object_get(body, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    int result;
    if (response->status == 401)
        result =
            err_set(err, -EACCES, "Keystone at %s does not accept these credentials (%s): %.200s",
                    keystone->base, keystone->config.origin, message ? message : "401");
    else if (response->status == 404 || response->status == 300)
        result = err_set(err, -ENOENT,
                         "%s: there is no Keystone of version 3 here (HTTP %ld): is OS_AUTH_URL "
                         "right?",
                         keystone->base, response->status);
    else
        result = err_set(err, response->status >= 500 ? -EAGAIN : -EIO,
                         "Keystone at %s: HTTP %ld: %.200s", keystone->base, response->status,
                         message ? message : "without a reason");
    json_decref(body);
    return result;
}

/* 401 is an answer here, and nothing can be renewed. */
static enum cloud_verdict judge(const struct cloud_response *response, void *with)
{
    (void)with;
    return response->status == 429                              ? CLOUD_THROTTLED
           : response->status >= 500 && response->status != 501 ? CLOUD_RETRY
                                                                : CLOUD_DONE;
}

static int authenticate(struct keystone *keystone, struct err *err)
{
    struct cloud_manners manners = {.judge = judge};
    struct cloud_response response = {0};
    struct text body;
    char url[600];
    (void)snprintf(url, sizeof url, "%s/auth/tokens", keystone->base);
    int result = put_body(keystone, &body, err);
    struct cloud_request request = {
        .method = "POST", .url = url, .body = body.at, .size = body.size, .what = "token"};
    cloud_request_header(&request, "Content-Type", "application/json");
    cloud_request_header(&request, "Accept", "application/json");
    if (result == 0)
        result = cloud_http_call(keystone->http, &request, true, &manners, &response, err);
    if (result == 0)
        result = response.status == 201 || response.status == 200
                     ? take_token(keystone, &response, err)
                     : refused(keystone, &response, err);
    cloud_response_done(&response);
    cloud_request_done(&request);
    if (body.at)
        explicit_bzero(body.at, body.capacity);
    text_done(&body);
    return result;
}

/* ---- projects ---- */

static int authorize(struct cloud_rest *rest, struct cloud_request *request, bool renew,
                     struct err *err)
{
    const struct service *service = rest->with;
    struct keystone *keystone = service->keystone;
    bool is_over = keystone->until != INT64_MAX &&
                   cloud_http_now(keystone->http) > keystone->until - MARGIN_NS;
    int result = renew || is_over ? authenticate(keystone, err) : 0;
    if (result < 0)
        return result;
    cloud_request_header(request, "X-Auth-Token", keystone->token);
    if (service->version[0])
        cloud_request_header(request, "OpenStack-API-Version", service->version);
    return 0;
}

/* Of a token without a project: which it could be of. */
static int ask_project(struct keystone *keystone, struct err *err)
{
    struct service service = {.keystone = keystone};
    struct cloud_rest rest = {
        .http = keystone->http, .name = "Keystone", .authorize = authorize, .with = &service};
    struct cloud_reply reply = {0};
    struct err none;
    char names[200] = "";
    size_t len = 0, i;
    json_t *project;
    (void)snprintf(rest.base, sizeof rest.base, "%s", keystone->base);
    if (cloud_rest_want(&rest, "GET", "/auth/projects", NULL, &reply, &none) < 0)
        names[0] = '\0'; /* then without them */
    json_array_foreach(json_object_get(reply.body, "projects"), i, project)
    {
        const char *name = json_string_value(json_object_get(project, "name"));
        int n = name && len < sizeof names
                    ? snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", name)
                    : 0;
        len += n > 0 ? (size_t)n : 0;
    }
    cloud_reply_done(&reply);
    return err_set(err, -ENOKEY, "%s: of which project? --project NAME, or OS_PROJECT_NAME%s%s",
                   keystone->config.origin, names[0] ? "; there is: " : "", names);
}

/* ---- opening ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void trim_slashes(char *text)
{
    for (size_t len = strlen(text); len && text[len - 1] == '/'; len--)
        text[len - 1] = '\0';
}

/* With or without the version, or with an older one. */
static int set_base(struct keystone *keystone, struct err *err)
{
    const char *url = value_of(keystone, KEYSTONE_AUTH_URL);
    if (strlen(url) + 8 > sizeof keystone->base ||
        (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0))
        return err_set(err, -EINVAL, "%s: '%.120s' is no address of a Keystone (https://HOST/v3)",
                       keystone->config.origin, url);
    (void)snprintf(keystone->base, sizeof keystone->base, "%s", url);
    trim_slashes(keystone->base);
    if (ends_with(keystone->base, "/v2.0")) {
        keystone->base[strlen(keystone->base) - 5] = '\0';
        trim_slashes(keystone->base);
    }
    size_t len = strlen(keystone->base);
    if (!ends_with(keystone->base, "/v3"))
        (void)snprintf(keystone->base + len, sizeof keystone->base - len, "/v3");
    return 0;
}

static int override(struct keystone_config *config, enum keystone_key key, const char *value,
                    struct err *err)
{
    if (!value)
        return 0;
    char *copy = strdup(value);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    cloud_forget(config->value[key]);
    config->value[key] = copy;
    return 0;
}

static bool is_id(const char *text)
{
    return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static int set_options(struct keystone *keystone, const struct keystone_options *options,
                       struct err *err)
{
    struct keystone_config *config = &keystone->config;
    const char *project = options->project;
    int result = override(config, KEYSTONE_REGION, options->region, err);
    if (result == 0 && project) {
        enum keystone_key other = is_id(project) ? KEYSTONE_PROJECT_NAME : KEYSTONE_PROJECT_ID;
        result = override(config, is_id(project) ? KEYSTONE_PROJECT_ID : KEYSTONE_PROJECT_NAME,
                          project, err);
        cloud_forget(config->value[other]);
        config->value[other] = NULL;
    }
    return result;
}

int keystone_open(const struct keystone_options *options, struct cloud_http *http,
                  struct keystone **out, struct err *err)
{
    struct keystone *keystone = calloc(1, sizeof *keystone);
    *out = NULL;
    if (!keystone)
        return err_set(err, -ENOMEM, "out of memory");
    keystone->http = http;
    int result = keystone_config_read(options->cloud, &keystone->config, err);
    if (result == 0)
        result = set_options(keystone, options, err);
    if (result == 0)
        result = set_base(keystone, err);
    if (result == 0)
        cloud_http_trust(http, value_of(keystone, KEYSTONE_CACERT),
                         value_of(keystone, KEYSTONE_CERT), value_of(keystone, KEYSTONE_KEY));
    if (result == 0)
        result = authenticate(keystone, err);
    if (result == 0 && !keystone->project[0])
        result = ask_project(keystone, err);
    if (result < 0) {
        keystone_close(keystone);
        return result;
    }
    *out = keystone;
    return 0;
}

void keystone_close(struct keystone *keystone)
{
    if (!keystone)
        return;
    keystone_config_done(&keystone->config);
    cloud_forget(keystone->token);
    json_decref(keystone->catalog);
    free(keystone);
}

const char *keystone_project(const struct keystone *keystone)
{
    return keystone->project;
}

const char *keystone_origin(const struct keystone *keystone)
{
    return keystone->config.origin;
}

/* ---- the catalogue ---- */

static bool is_same(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, value) == 0;
}

/* The address of a service in this region; `regions` gets those in which it is. */
static const char *find_endpoint(const struct keystone *keystone, const char *type,
                                 const char *interface, char regions[160])
{
    const char *region = value_of(keystone, KEYSTONE_REGION);
    size_t i, k, len = 0;
    json_t *service, *endpoint;
    regions[0] = '\0';
    json_array_foreach(keystone->catalog, i, service)
    {
        if (!is_same(service, "type", type))
            continue;
        json_array_foreach(json_object_get(service, "endpoints"), k, endpoint)
        {
            const char *url = json_string_value(json_object_get(endpoint, "url"));
            const char *its = json_string_value(json_object_get(endpoint, "region"));
            if (!url || !is_same(endpoint, "interface", interface))
                continue;
            if (!region || is_same(endpoint, "region", region) ||
                is_same(endpoint, "region_id", region))
                return url;
            int n = its && len < 160
                        ? snprintf(regions + len, 160 - len, "%s%s", len ? ", " : "", its)
                        : 0;
            len += n > 0 ? (size_t)n : 0;
        }
    }
    return NULL;
}

int keystone_service(struct keystone *keystone, const char *type, const char *name,
                     const char *version, struct cloud_rest *out, struct err *err)
{
    const char *asked = value_of(keystone, KEYSTONE_INTERFACE);
    const char *region = value_of(keystone, KEYSTONE_REGION);
    const char *url = strcmp(type, "network") == 0   ? value_of(keystone, KEYSTONE_NETWORK_OVERRIDE)
                      : strcmp(type, "compute") == 0 ? value_of(keystone, KEYSTONE_COMPUTE_OVERRIDE)
                                                     : NULL;
    char interface[32], regions[160] = "";
    (void)snprintf(interface, sizeof interface, "%s", asked ? asked : "public");
    if (ends_with(interface, "URL")) /* as it was called in version 2 */
        interface[strlen(interface) - 3] = '\0';
    if (!url)
        url = find_endpoint(keystone, type, interface, regions);
    if (!url)
        return err_set(err, -ENOENT,
                       "the catalogue of %s has no %s service (type %s, interface %s%s%s)%s%s",
                       keystone->base, name, type, interface, region ? ", region " : "",
                       region ? region : "", regions[0] ? "; it is in: " : "", regions);
    if (keystone->n_services == SERVICES_MAX || strlen(url) >= sizeof out->base)
        return err_set(err, -E2BIG, "%s: its address can't be used", name);
    struct service *service = &keystone->services[keystone->n_services++];
    *service = (struct service){.keystone = keystone};
    (void)snprintf(service->version, sizeof service->version, "%s", version ? version : "");
    *out = (struct cloud_rest){
        .http = keystone->http, .name = name, .authorize = authorize, .with = service};
    (void)snprintf(out->base, sizeof out->base, "%s", url);
    trim_slashes(out->base);
    return 0;
}
