/* HTTPS by libcurl: see http.h. */
#include "cloud/http_parts.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/version.h"

#define CONNECT_MS   10000
#define TOTAL_MS     60000
#define NEAR_MS      1000
#define REDIRECTIONS 3
#define HEADER_MAX   8192 /* of an answer; longer ones are left out */

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
    free(http);
}

void cloud_http_trust(struct cloud_http *http, const char *ca, const char *certificate,
                      const char *key)
{
    http->ca = ca;
    http->certificate = certificate;
    http->key = key;
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
        text_put(&line, request->headers[i].value[0] ? ": " : ";"); /* ';': libcurl's "empty" */
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

/* Where certificates are that are trusted. libcurl itself, unlike its tool, knows none of the
 * variables. */
static void set_trust(const struct cloud_http *http)
{
    const char *file = secure_getenv("CURL_CA_BUNDLE"), *folder = secure_getenv("SSL_CERT_DIR");
    struct stat facts;
    if (!file || !*file)
        file = secure_getenv("SSL_CERT_FILE");
    if (http->ca) {
        bool is_folder = stat(http->ca, &facts) == 0 && S_ISDIR(facts.st_mode);
        file = is_folder ? NULL : http->ca;
        folder = is_folder ? http->ca : NULL;
    }
    if (file && *file)
        (void)curl_easy_setopt(http->curl, CURLOPT_CAINFO, file);
    if (folder && *folder)
        (void)curl_easy_setopt(http->curl, CURLOPT_CAPATH, folder);
    if (http->ca) /* these, and no others */
        (void)curl_easy_setopt(http->curl, file ? CURLOPT_CAPATH : CURLOPT_CAINFO, NULL);
    if (http->certificate)
        (void)curl_easy_setopt(http->curl, CURLOPT_SSLCERT, http->certificate);
    if (http->key)
        (void)curl_easy_setopt(http->curl, CURLOPT_SSLKEY, http->key);
}

static int progress(void *with, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                    curl_off_t up)
{
    const struct cloud_http *http = with;
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return http->world->is_stopped && http->world->is_stopped(http->world->with);
}

static long or_else(uint32_t ms, uint32_t usual)
{
    return (long)(ms ? ms : usual);
}

/* Keeps connections and what it knows of names; options are new each time. None of these fails with
 * what is given here; a URL that is none does when it is sent. */
static void set_up(struct cloud_http *http, const struct cloud_request *request,
                   struct curl_slist *headers, struct incoming *in, char why[CURL_ERROR_SIZE])
{
    CURL *curl = http->curl;
    uint32_t connect = request->is_near ? NEAR_MS : CONNECT_MS;
    uint32_t total = request->is_near ? 2 * NEAR_MS : TOTAL_MS;
    curl_easy_reset(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "cloudspan/" VERSION_TEXT);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
    (void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)CLOUD_ANSWER_MAX);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                           or_else(http->world->connect_ms, connect));
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, or_else(http->world->total_ms, total));
    set_trust(http);
    if (request->is_near)
        (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    /* On a connection that was used before, libcurl repeats by itself what got no answer. */
    if (http->only_once)
        (void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
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

void cloud_http_note(const struct cloud_http *http, const char *line)
{
    if (http->world->trace)
        http->world->trace(line, http->world->with);
}

/* libcurl's words, but not those that quote an address with a password: a proxy's. */
static const char *words_of(CURLcode code, const char *why)
{
    return why[0] && !strchr(why, '@') ? why : curl_easy_strerror(code);
}

static int send_once(struct cloud_http *http, const struct cloud_request *request,
                     struct curl_slist *headers, struct cloud_response *out, struct err *err)
{
    struct incoming in = {.response = out};
    char why[CURL_ERROR_SIZE] = "", outcome[64];
    text_init(&in.body, CLOUD_ANSWER_MAX);
    set_up(http, request, headers, &in, why);
    int64_t begin = clock_ticks();
    curl_off_t sent_at = 0;
    CURLcode code = curl_easy_perform(http->curl);
    (void)curl_easy_getinfo(http->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
    http->was_sent = sent_at > 0;
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &out->status);
    (void)snprintf(outcome, sizeof outcome, code == CURLE_OK ? "%ld" : "no answer (curl %ld)",
                   code == CURLE_OK ? out->status : (long)code);
    trace(http, request, outcome, clock_ticks() - begin);

    int result = 0, len = where_len(request->url);
    if (in.body.failed || code == CURLE_FILESIZE_EXCEEDED)
        result = err_set(err, -EMSGSIZE, "%s %.*s: the answer has more than %u MB", request->method,
                         len, request->url, CLOUD_ANSWER_MAX >> 20);
    else if (in.no_memory)
        result = err_set(err, -ENOMEM, "no memory for an answer");
    else if (code == CURLE_ABORTED_BY_CALLBACK)
        result = err_set(err, -ECANCELED, "interrupted");
    else if (code != CURLE_OK)
        result = err_set(err, code_of(code), "%s %.*s: %s%s", request->method, len, request->url,
                         words_of(code, why), advice(code_of(code)));
    if (result == 0) {
        text_add(&in.body, "", 0); /* an empty body is one */
        out->body = text_take(&in.body, &out->size);
        if (!out->body)
            result = err_set(err, -ENOMEM, "no memory for an answer");
    }
    if (in.body.at)
        explicit_bzero(in.body.at, in.body.size);
    text_done(&in.body);
    if (result < 0)
        cloud_response_done(out);
    return result;
}

/* "https://host:port", of whatever case. */
static size_t origin_size(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#\\") : 0;
}

static bool has_password(const char *url)
{
    return memchr(url, '@', origin_size(url)) != NULL;
}

/* Where the answer sends to, on the same server, on the heap; NULL: nowhere. Elsewhere the headers
 * may not go, as they authorise. */
static char *redirection(const struct cloud_http *http, const struct cloud_request *request,
                         const struct cloud_response *response)
{
    const char *to = NULL;
    bool is_get = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    bool again = response->status == 307 || response->status == 308; /* with the same method */
    if (!request->follows || (!again && !is_get) ||
        curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &to) != CURLE_OK || !to)
        return NULL;
    size_t size = origin_size(to);
    if (size == 0 || size != origin_size(request->url) || strncasecmp(to, request->url, size) != 0)
        return NULL;
    return strdup(to);
}

int cloud_http_send(struct cloud_http *http, const struct cloud_request *request,
                    struct cloud_response *out, struct err *err)
{
    bool failed = request->failed;
    struct cloud_request now = *request; /* with the URL of a redirection */
    char *url = NULL;
    *out = (struct cloud_response){0};
    http->was_sent = false;
    if (has_password(request->url))
        return err_set(err, -EINVAL, "an address with a user or password in it is not used");
    struct curl_slist *headers = headers_of(request, &failed);
    int result = failed ? err_set(err, -EINVAL, "%s %.*s: a header can't be sent", request->method,
                                  where_len(request->url), request->url)
                        : send_once(http, &now, headers, out, err);
    for (int i = 0; result == 0 && i < REDIRECTIONS; i++) {
        char *to = redirection(http, &now, out);
        if (!to)
            break;
        free(url);
        now.url = url = to;
        cloud_response_done(out);
        result = send_once(http, &now, headers, out, err);
    }
    curl_easy_reset(http->curl); /* it has pointers to what goes now */
    headers_done(headers);
    free(url);
    return result;
}
