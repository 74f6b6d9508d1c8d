/* VMware NSX: see nsx.h. */
#include "cloud/nsx.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define POLICY       "/policy/api/v1"
#define CONSOLE      "https://console.cloud.vmware.com"
#define LOGIN        "/csp/gateway/am/api/auth/api-tokens/authorize"
#define PAGES_MAX    1000
#define RESULTS_MAX  100000
#define EARLY_S      60 /* a token is renewed so long before its end */
#define CURSOR_MAX   1024
#define PASSWORD_MAX 512

struct nsx_api {
    struct cloud_rest rest;
    struct cloud_http *http;
    char *basic;         /* secret: "Basic …"; NULL: VMware Cloud */
    char *refresh;       /* secret: the API token of VMware Cloud */
    char *bearer;        /* secret: what was got for it */
    int64_t until;       /* ns since the epoch */
    const char *console; /* VMware Cloud's */
};

/* ---- who asks ---- */

static int make_basic(struct nsx_api *api, const char *user, const char *password, struct err *err)
{
    struct text plain, out;
    size_t size;
    text_init(&plain, 2 * PASSWORD_MAX);
    text_init(&out, 4 * PASSWORD_MAX);
    text_put(&plain, user);
    text_put(&plain, ":");
    text_put(&plain, password);
    unsigned char *coded = plain.failed ? NULL : malloc(4 * (plain.size / 3 + 1) + 1);
    if (coded) {
        (void)EVP_EncodeBlock(coded, (const unsigned char *)plain.at, (int)plain.size);
        text_put(&out, "Basic ");
        text_put(&out, (const char *)coded);
    }
    api->basic = text_take(&out, &size);
    cloud_forget((char *)coded);
    if (plain.at)
        explicit_bzero(plain.at, plain.size);
    bool too_long = plain.failed;
    text_done(&plain);
    text_done(&out);
    if (api->basic)
        return 0;
    return too_long ? err_set(err, -EINVAL, "NSXT_USERNAME and NSXT_PASSWORD are too long")
                    : err_set(err, -ENOMEM, "out of memory");
}

static int log_in(struct nsx_api *api, struct err *err)
{
    struct cloud_request request = {.method = "POST", .what = "access token"};
    struct cloud_manners manners = {0};
    struct cloud_response response;
    char url[512];
    struct text body;
    (void)snprintf(url, sizeof url, "%s" LOGIN, api->console);
    text_init(&body, 65536);
    text_put(&body, "refresh_token=");
    cloud_put_escaped(&body, api->refresh, "");
    request.url = url;
    request.body = body.at;
    request.size = body.size;
    cloud_request_header(&request, "Content-Type", "application/x-www-form-urlencoded");
    cloud_request_header(&request, "Accept", "application/json");
    int result = body.failed ? err_set(err, -ENOMEM, "out of memory")
                             : cloud_http_call(api->http, &request, true, &manners, &response, err);
    cloud_request_done(&request);
    if (body.at)
        explicit_bzero(body.at, body.size);
    text_done(&body);
    if (result < 0)
        return result;
    json_t *answer = json_loadb(response.body, response.size, JSON_REJECT_DUPLICATES, NULL);
    const char *token = json_string_value(json_object_get(answer, "access_token"));
    json_int_t seconds = json_integer_value(json_object_get(answer, "expires_in"));
    if (response.status >= 400 || !token) {
        result = err_set(err, -EACCES,
                         "VMware Cloud's console takes no token from NSXT_VMC_TOKEN (status %ld); "
                         "make another under My Account, API Tokens",
                         response.status);
    } else {
        struct text bearer;
        size_t size;
        text_init(&bearer, 65536);
        text_put(&bearer, "Bearer ");
        text_put(&bearer, token);
        cloud_forget(api->bearer);
        api->bearer = text_take(&bearer, &size);
        text_done(&bearer);
        api->until = cloud_http_now(api->http) +
                     (seconds > 2 * EARLY_S ? seconds - EARLY_S : EARLY_S) * 1000000000;
        if (!api->bearer)
            result = err_set(err, -ENOMEM, "out of memory");
    }
    json_decref(answer);
    cloud_response_done(&response);
    return result;
}

static int authorize(struct cloud_rest *rest, struct cloud_request *request, bool renew,
                     struct err *err)
{
    struct nsx_api *api = rest->with;
    int result = 0;
    if (!api->basic && (renew || !api->bearer || cloud_http_now(api->http) >= api->until))
        result = log_in(api, err);
    if (result == 0)
        cloud_request_header(request, "Authorization", api->basic ? api->basic : api->bearer);
    return result;
}

/* Too many calls a second are refused with 429 by a manager, and with 503 by its proxy. */
static enum cloud_verdict judge(const struct cloud_response *response, void *with)
{
    const struct nsx_api *api = with;
    switch (response->status) {
    case 401:
    case 403:
        /* The proxy of VMware Cloud says 403 of a token that is over. */
        return !api->basic ? CLOUD_RENEW : CLOUD_DONE;
    case 429:
    case 503:
        return CLOUD_THROTTLED;
    case 500:
    case 502:
    case 504:
        return CLOUD_RETRY;
    default:
        return CLOUD_DONE;
    }
}

/* ---- the whole ---- */

static int put_base(struct nsx_api *api, const char *manager, struct err *err)
{
    const char *scheme = strstr(manager, "://") ? "" : "https://";
    size_t len = strlen(manager);
    while (len > 0 && manager[len - 1] == '/')
        len--;
    bool has_api = len >= 4 && strstr(manager, "/api/v1") != NULL;
    int n = snprintf(api->rest.base, sizeof api->rest.base, "%s%.*s%s", scheme, (int)len, manager,
                     has_api ? "" : POLICY);
    if (len == 0 || n >= (int)sizeof api->rest.base)
        return err_set(err, -EINVAL, "'%.100s' is no address of an NSX manager", manager);
    if (strncasecmp(api->rest.base, "https://", 8) != 0 &&
        strncasecmp(api->rest.base, "http://127.", 11) != 0)
        return err_set(err, -EINVAL, "%.100s: a manager is asked by https only", manager);
    return 0;
}

int nsx_open(const char *manager, struct cloud_http *http, struct nsx_api **out, struct err *err)
{
    const char *user = getenv("NSXT_USERNAME"), *password = getenv("NSXT_PASSWORD");
    const char *refresh = getenv("NSXT_VMC_TOKEN"), *console = getenv("NSXT_VMC_AUTH_HOST");
    struct nsx_api *api = calloc(1, sizeof *api);
    int result = 0;
    *out = NULL;
    if (!api)
        return err_set(err, -ENOMEM, "out of memory");
    manager = manager ? manager : getenv("NSXT_MANAGER_HOST");
    api->http = http;
    api->console = console && strstr(console, "://") ? console : CONSOLE;
    api->rest = (struct cloud_rest){
        .http = http, .name = "NSX", .authorize = authorize, .judge = judge, .with = api};
    if (!manager || !*manager)
        result = err_set(err, -EINVAL,
                         "which NSX manager? --manager HOST, or NSXT_MANAGER_HOST (in VMware "
                         "Cloud: the reverse proxy's URL, of the SDDC's page Settings)");
    else
        result = put_base(api, manager, err);
    if (result == 0 && refresh && *refresh) {
        api->refresh = strdup(refresh);
        result = api->refresh ? 0 : err_set(err, -ENOMEM, "out of memory");
    } else if (result == 0 && user && password) {
        result = make_basic(api, user, password, err);
    } else if (result == 0) {
        result = err_set(err, -ENOKEY,
                         "NSX asks who you are: NSXT_USERNAME and NSXT_PASSWORD, or in VMware "
                         "Cloud NSXT_VMC_TOKEN");
    }
    if (result < 0) {
        nsx_close(api);
        return result;
    }
    *out = api;
    return 0;
}

void nsx_close(struct nsx_api *api)
{
    if (!api)
        return;
    cloud_forget(api->basic);
    cloud_forget(api->refresh);
    cloud_forget(api->bearer);
    free(api);
}

struct cloud_rest *nsx_rest(struct nsx_api *api)
{
    return &api->rest;
}

bool nsx_is_cloud(const struct nsx_api *api)
{
    return !api->basic;
}

/* ---- lists ---- */

/* -ENODATA: that was the last page. */
static int add_page(json_t *all, const json_t *page, const char *path, struct text *cursor,
                    struct err *err)
{
    const json_t *results = json_object_get(page, "results");
    const char *next = json_string_value(json_object_get(page, "cursor"));
    if (!json_is_array(results))
        return err_set(err, -EPROTO, "NSX: the answer to %s is no list", path);
    for (size_t i = 0; i < json_array_size(results); i++)
        if (json_array_append(all, json_array_get(results, i)) < 0)
            return err_set(err, -ENOMEM, "out of memory");
    if (json_array_size(all) > RESULTS_MAX)
        return err_set(err, -E2BIG, "NSX: %s has more than %d entries", path, RESULTS_MAX);
    if (!next || !*next || json_array_size(results) == 0)
        return -ENODATA;
    if (cursor->at && strcmp(cursor->at, next) == 0)
        return err_set(err, -EPROTO, "NSX: the pages of %s go round in circles", path);
    text_done(cursor);
    text_init(cursor, CURSOR_MAX);
    text_put(cursor, next);
    return cursor->failed ? err_set(err, -EPROTO, "NSX: %s: the cursor is too long", path) : 0;
}

int nsx_list(struct nsx_api *api, const char *path, json_t **out, struct err *err)
{
    json_t *all = json_array();
    struct text cursor;
    int result = all ? 0 : err_set(err, -ENOMEM, "out of memory");
    text_init(&cursor, CURSOR_MAX);
    for (int page = 0; result == 0; page++) {
        struct cloud_reply reply = {0};
        struct text url;
        if (page == PAGES_MAX) {
            result = err_set(err, -E2BIG, "NSX: %s has more than %d pages", path, PAGES_MAX);
            break;
        }
        text_init(&url, 4096);
        text_format(&url, "%s%cpage_size=1000", path, strchr(path, '?') ? '&' : '?');
        if (cursor.at) {
            text_put(&url, "&cursor=");
            cloud_put_escaped(&url, cursor.at, "");
        }
        result = url.failed ? err_set(err, -ENOMEM, "out of memory")
                            : cloud_rest_want(&api->rest, "GET", url.at, NULL, &reply, err);
        text_done(&url);
        if (result == 0)
            result = add_page(all, reply.body, path, &cursor, err);
        cloud_reply_done(&reply);
    }
    text_done(&cursor);
    if (result == -ENODATA) {
        *out = all;
        return 0;
    }
    json_decref(all);
    *out = NULL;
    return result;
}
