/* HTTPS by libcurl: see http.h. */
#include "cloud/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/version.h"

#define CONNECT_MS      10000
#define TOTAL_MS        60000
#define NEAR_MS         1000
#define REDIRECTIONS    3
#define HEADER_MAX      8192 /* of an answer; longer ones are left out */
#define ATTEMPTS        6
#define BASE_MS         500
#define MAX_MS          20000
#define RETRY_AFTER_MAX 120000

struct cloud_http {
    const struct cloud_world *world;
    CURL *curl;
    char *authorities; /* a file; NULL: the system's */
    uint32_t slow_ms;  /* what every call waits since the cloud asked to be spared */
};

/* libcurl's own; once for the process, as it wants, and never undone. */
static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_begin(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows in curl_easy_init */
}

int cloud_http_open(const struct cloud_world *world, struct cloud_http **out, struct err *err)
{
    static const struct cloud_world plain;
    struct cloud_http *http = calloc(1, sizeof *http);
    *out = NULL;
    (void)pthread_once(&curl_once, curl_begin);
    if (http)
        http->curl = curl_easy_init();
    if (!http || !http->curl) {
        free(http);
        return err_set(err, -ENOMEM, "no memory for a connection");
    }
    http->world = world ? world : &plain;
    *out = http;
    return 0;
}

void cloud_http_close(struct cloud_http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    free(http->authorities);
    free(http);
}

int cloud_http_trust(struct cloud_http *http, const char *file, struct err *err)
{
    char *copy = strdup(file);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    free(http->authorities);
    http->authorities = copy;
    return 0;
}

/* ---- the world ---- */

bool cloud_http_wait(struct cloud_http *http, uint32_t ms)
{
    if (http->world->wait)
        return http->world->wait(ms, http->world->with);
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    return nanosleep(&t, NULL) == 0; /* a signal: the user's Ctrl-C */
}

int64_t cloud_http_now(const struct cloud_http *http)
{
    return http->world->now ? http->world->now(http->world->with) : clock_now();
}

static uint32_t below(const struct cloud_http *http, uint32_t limit)
{
    uint32_t number = 0;
    if (limit == 0)
        return 0;
    if (http->world->random)
        return http->world->random(limit, http->world->with);
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = 0; /* no jitter without it */
    return number % limit;
}

/* ---- requests and answers ---- */

void cloud_forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static void header_done(struct cloud_header *header)
{
    free(header->name);
    cloud_forget(header->value);
}

void cloud_request_header(struct cloud_request *request, const char *name, const char *value)
{
    size_t i = 0;
    while (i < request->n_headers && strcasecmp(request->headers[i].name, name) != 0)
        i++;
    if (i < request->n_headers) {
        header_done(&request->headers[i]);
        request->headers[i] = request->headers[--request->n_headers];
    }
    if (!value)
        return;
    struct cloud_header *header = &request->headers[request->n_headers];
    if (request->n_headers == CLOUD_HEADERS_MAX || strpbrk(value, "\r\n") ||
        strpbrk(name, "\r\n:")) {
        request->failed = true;
        return;
    }
    header->name = strdup(name);
    header->value = strdup(value);
    if (header->name && header->value) {
        request->n_headers++;
    } else {
        header_done(header);
        request->failed = true;
    }
}

void cloud_request_done(struct cloud_request *request)
{
    for (size_t i = 0; i < request->n_headers; i++)
        header_done(&request->headers[i]);
    request->n_headers = 0;
}

const char *cloud_response_header(const struct cloud_response *response, const char *name)
{
    for (size_t i = 0; i < response->n_headers; i++)
        if (strcasecmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

void cloud_response_done(struct cloud_response *response)
{
    if (response->body)
        explicit_bzero(response->body, response->size);
    free(response->body);
    for (size_t i = 0; i < response->n_headers; i++)
        header_done(&response->headers[i]);
    *response = (struct cloud_response){0};
}

void cloud_put_escaped(struct text *out, const char *string, const char *keep)
{
    for (const unsigned char *at = (const unsigned char *)string; *at; at++)
        if ((*at < 0x80 && isalnum(*at)) || strchr("-._~", *at) || strchr(keep, *at))
            text_add(out, at, 1);
        else
            text_format(out, "%%%02X", *at);
}

/* ---- sending ---- */

struct incoming {
    struct text body;
    struct cloud_response *response;
    bool no_memory;
};

static size_t take_body(char *bytes, size_t size, size_t n, void *with)
{
    struct incoming *in = with;
    text_add(&in->body, bytes, size * n);
    return in->body.failed ? 0 : size * n;
}

static char *copy_of(const char *bytes, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy) {
        memcpy(copy, bytes, size);
        copy[size] = '\0';
    }
    return copy;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *with)
{
    struct incoming *in = with;
    struct cloud_response *response = in->response;
    size_t left = size * n, len = 0;
    if (left >= 5 && memcmp(bytes, "HTTP/", 5) == 0) { /* of an answer before: 100, a redirection */
        for (size_t i = 0; i < response->n_headers; i++)
            header_done(&response->headers[i]);
        response->n_headers = 0;
        return size * n;
    }
    while (len < left && bytes[len] != ':')
        len++;
    if (len == left || len == 0 || left > HEADER_MAX || response->n_headers == CLOUD_HEADERS_MAX)
        return size * n;
    const char *value = bytes + len + 1, *end = bytes + left;
    while (value < end && isspace((unsigned char)*value))
        value++;
    while (end > value && isspace((unsigned char)end[-1]))
        end--;
    struct cloud_header header = {copy_of(bytes, len), copy_of(value, (size_t)(end - value))};
    if (!header.name || !header.value) {
        header_done(&header);
        in->no_memory = true;
        return 0;
    }
    for (char *at = header.name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    response->headers[response->n_headers++] = header;
    return size * n;
}

static struct curl_slist *headers_of(const struct cloud_request *request, bool *out_failed)
{
    struct curl_slist *list = NULL;
    /* Neither a form's type that nobody asked for, nor a wait for "100 Continue". */
    static const char *const none[] = {"Expect:", "Content-Type:", NULL};
    for (size_t i = 0; i < request->n_headers && !*out_failed; i++) {
        struct text line;
        text_init(&line, 1u << 20);
        text_put(&line, request->headers[i].name);
        text_put(&line, ": ");
        text_put(&line, request->headers[i].value);
        struct curl_slist *more = line.failed ? NULL : curl_slist_append(list, line.at);
        if (line.at)
            explicit_bzero(line.at, line.size);
        text_done(&line);
        *out_failed = !more;
        list = more ? more : list;
    }
    for (size_t i = 0; none[i] && !*out_failed; i++) {
        bool given = false;
        for (size_t k = 0; k < request->n_headers; k++)
            given |= strncasecmp(none[i], request->headers[k].name, strlen(none[i]) - 1) == 0;
        struct curl_slist *more = given ? list : curl_slist_append(list, none[i]);
        *out_failed = !more && !given;
        list = more ? more : list;
    }
    return list;
}

static void headers_done(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at; at = at->next)
        explicit_bzero(at->data, strlen(at->data));
    curl_slist_free_all(list);
}

static int code_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return -EINVAL;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_WEIRD_SERVER_REPLY:
        return -EPROTO;
    default:
        return -EIO;
    }
}

/* The URL without what may be secret in it: a query. */
static int where_len(const char *url)
{
    size_t len = strcspn(url, "?#");
    return len > 200 ? 200 : (int)len;
}

static const char *advice(int result)
{
    switch (result) {
    case -EPROTO:
        return "; is the certificate one that this machine trusts (/etc/ssl/certs)?";
    case -EHOSTUNREACH:
        return "; is there a name server, and is the region's name right?";
    case -ETIMEDOUT:
    case -ECONNREFUSED:
        return "; is there a way to it (a firewall, a proxy in https_proxy)?";
    default:
        return "";
    }
}

static void set_up(struct cloud_http *http, const struct cloud_request *request,
                   struct curl_slist *headers, struct incoming *in, char why[CURL_ERROR_SIZE])
{
    CURL *curl = http->curl;
    /* Keeps connections and what it knows of names; options are new each time. None of these fails
     * with what is given here; a URL that is none does when it is sent. */
    curl_easy_reset(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (http->authorities) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, http->authorities);
        (void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "cloudspan/" VERSION_TEXT);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)CLOUD_ANSWER_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)(request->is_near ? NEAR_MS : CONNECT_MS));
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
                           (long)(request->is_near ? 2 * NEAR_MS : TOTAL_MS));
    if (request->is_near)
        (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (request->follows) { /* curl keeps Authorization from other hosts by itself */
        (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTIONS);
    }
    if (request->body) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->size);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    } else if (strcmp(request->method, "HEAD") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    }
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void trace(const struct cloud_http *http, const struct cloud_request *request,
                  const char *outcome, int64_t took_ns)
{
    char line[512];
    if (!http->world->trace)
        return;
    (void)snprintf(line, sizeof line, "%s %.*s%s%s: %s, %lld ms", request->method,
                   where_len(request->url), request->url, request->what ? " " : "",
                   request->what ? request->what : "", outcome, (long long)(took_ns / 1000000));
    http->world->trace(line, http->world->with);
}

int cloud_http_send(struct cloud_http *http, const struct cloud_request *request,
                    struct cloud_response *out, struct err *err)
{
    struct incoming in = {.response = out};
    char why[CURL_ERROR_SIZE] = "", outcome[64];
    bool failed = request->failed;
    *out = (struct cloud_response){0};
    struct curl_slist *headers = headers_of(request, &failed);
    if (failed) {
        headers_done(headers);
        return err_set(err, -EINVAL, "%s %.*s: a header can't be sent", request->method,
                       where_len(request->url), request->url);
    }
    text_init(&in.body, CLOUD_ANSWER_MAX);
    set_up(http, request, headers, &in, why);
    int64_t begin = clock_ticks();
    CURLcode code = curl_easy_perform(http->curl);
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &out->status);
    (void)snprintf(outcome, sizeof outcome, code == CURLE_OK ? "%ld" : "curl %ld",
                   code == CURLE_OK ? out->status : (long)code);
    trace(http, request, outcome, clock_ticks() - begin);
    curl_easy_reset(http->curl); /* it has pointers to what goes now */
    headers_done(headers);

    int result = 0;
    if (in.body.failed || code == CURLE_FILESIZE_EXCEEDED)
        result = err_set(err, -EMSGSIZE, "%s %.*s: the answer has more than %u MB", request->method,
                         where_len(request->url), request->url, CLOUD_ANSWER_MAX >> 20);
    else if (in.no_memory)
        result = err_set(err, -ENOMEM, "no memory for an answer");
    else if (code != CURLE_OK)
        result =
            err_set(err, code_of(code), "%s %.*s: %s%s", request->method, where_len(request->url),
                    request->url, why[0] ? why : curl_easy_strerror(code), advice(code_of(code)));
    if (result == 0 && !in.body.at)
        text_put(&in.body, ""); /* an empty body is one */
    out->body = result == 0 ? text_take(&in.body, &out->size) : NULL;
    if (result == 0 && !out->body)
        out->body = calloc(1, 1);
    if (result == 0 && !out->body)
        result = err_set(err, -ENOMEM, "no memory for an answer");
    text_done(&in.body);
    if (result < 0)
        cloud_response_done(out);
    return result;
}

/* ---- and again ---- */

static enum cloud_verdict usual_verdict(const struct cloud_response *response)
{
    switch (response->status) {
    case 401:
        return CLOUD_RENEW;
    case 429:
        return CLOUD_THROTTLED;
    case 500:
    case 502:
    case 503:
    case 504:
        return CLOUD_RETRY;
    default:
        return CLOUD_DONE;
    }
}

uint32_t cloud_http_retry_after(const struct cloud_http *http,
                                const struct cloud_response *response)
{
    const char *value = cloud_response_header(response, "retry-after");
    char *end;
    if (!value)
        return 0;
    unsigned long seconds = strtoul(value, &end, 10);
    if (end == value) {
        time_t at = curl_getdate(value, NULL);
        int64_t now = cloud_http_now(http) / 1000000000;
        seconds = at > now ? (unsigned long)(at - now) : 0;
    }
    return seconds > RETRY_AFTER_MAX / 1000 ? RETRY_AFTER_MAX : (uint32_t)seconds * 1000;
}

/* Half of it for sure, half of it by chance: those that were refused together do not come back
 * together. */
static uint32_t pause_ms(const struct cloud_http *http, const struct cloud_manners *manners,
                         uint32_t attempt)
{
    uint32_t base = manners->base_ms ? manners->base_ms : BASE_MS;
    uint32_t max = manners->max_ms ? manners->max_ms : MAX_MS;
    uint64_t ms = (uint64_t)base << (attempt < 16 ? attempt : 16);
    uint32_t whole = ms > max ? max : (uint32_t)ms;
    return whole / 2 + below(http, whole / 2 + 1);
}

static bool is_passing(int result)
{
    return result == -ECONNREFUSED || result == -ETIMEDOUT || result == -EHOSTUNREACH ||
           result == -EIO;
}

int cloud_http_call(struct cloud_http *http, struct cloud_request *request, bool is_safe,
                    const struct cloud_manners *manners, struct cloud_response *out,
                    struct err *err)
{
    uint32_t n = request->is_near ? 1 : manners->n_attempts ? manners->n_attempts : ATTEMPTS;
    bool renewed = false, renew = false;
    for (uint32_t attempt = 0;; attempt++) {
        enum cloud_verdict verdict = CLOUD_DONE;
        uint32_t ms = 0;
        if (http->slow_ms && !cloud_http_wait(http, below(http, http->slow_ms) + 1))
            return err_set(err, -ECANCELED, "interrupted");
        int result = manners->prepare ? manners->prepare(request, renew, manners->with, err) : 0;
        if (result < 0)
            return result;
        renew = false;
        result = cloud_http_send(http, request, out, err);
        if (result == 0) {
            verdict = manners->judge ? manners->judge(out, manners->with) : usual_verdict(out);
            ms = cloud_http_retry_after(http, out);
        } else if (is_passing(result) &&
                   (is_safe || result == -ECONNREFUSED || result == -EHOSTUNREACH)) {
            verdict = CLOUD_RETRY;
        }
        if (verdict == CLOUD_RENEW && !renewed && manners->prepare) {
            renewed = renew = true;
            cloud_response_done(out);
            attempt--; /* it was not the cloud's fault */
            continue;
        }
        /* What is slow stays slow for this run, and gets faster with each that is not refused. */
        http->slow_ms =
            verdict == CLOUD_THROTTLED
                ? (http->slow_ms ? http->slow_ms * 2 > 4000 ? 4000 : http->slow_ms * 2 : 250)
                : http->slow_ms / 2;
        if (verdict == CLOUD_DONE || verdict == CLOUD_RENEW || attempt + 1 >= n)
            return result;
        if (result == 0)
            cloud_response_done(out);
        if (ms == 0)
            ms = pause_ms(http, manners, attempt);
        if (!cloud_http_wait(http, ms))
            return err_set(err, -ECANCELED, "interrupted");
    }
}
