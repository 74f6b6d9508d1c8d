/* HTTPS to the interfaces of clouds, by libcurl: certificates are verified, proxies are taken from
 * the environment, answers are bounded, and what may be asked again is, as long as it makes sense.
 * Nothing here writes a header or a body where a user could see it: they hold credentials. */
#ifndef CLOUD_HTTP_H
#define CLOUD_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define CLOUD_ANSWER_MAX  (32u << 20) /* bytes of a body */
#define CLOUD_HEADERS_MAX 64

struct cloud_http;

/* What the world is to it; tests put their own in place. All members may be NULL. */
struct cloud_world {
    /* ms; false: the user wants to stop. NULL: sleeps. */
    bool (*wait)(uint32_t ms, void *with);
    /* A number below `below`, for the jitter. NULL: getrandom. */
    uint32_t (*random)(uint32_t below, void *with);
    /* ns since the epoch. NULL: the clock's. */
    int64_t (*now)(void *with);
    /* "POST https://ec2.eu-west-1.amazonaws.com/ DescribeVpcs: 200, 31 ms": for -v. NULL: nothing.
     */
    void (*trace)(const char *line, void *with);
    /* Whether the user wants to stop: asked several times a second while an answer is waited for.
     * NULL: never. */
    bool (*is_stopped)(void *with);
    void *with;
    uint32_t connect_ms, total_ms; /* how long is waited for an answer; 0: 10 s and 60 s */
};

/* `world` may be NULL, and has to stay. */
int cloud_http_open(const struct cloud_world *world, struct cloud_http **out,
                    struct err *err) MUST_CHECK;
void cloud_http_close(struct cloud_http *http);

/* What certificates are verified with, in place of the system's: a file or a folder of PEM
 * certificates (a server's own will do), NULL for what SSL_CERT_FILE, SSL_CERT_DIR and
 * CURL_CA_BUNDLE say; and the client's own certificate and key, or NULL. They have to stay. There
 * is no way not to verify. */
void cloud_http_trust(struct cloud_http *http, const char *ca, const char *certificate,
                      const char *key);

struct cloud_header {
    char *name; /* owned */
    char *value;
};

struct cloud_request {
    const char *method; /* borrowed, as all but the headers */
    const char *url;    /* without a user or password in it: such a one is refused */
    const char *body;   /* NULL: none */
    size_t size;
    const char *what; /* for the trace and for errors: "DescribeVpcs"; NULL: the URL's path */
    bool is_near;     /* a metadata service: no proxy, a second's patience, not asked twice */
    bool follows;     /* redirections, to the same host only; else they are answers */
    struct cloud_header headers[CLOUD_HEADERS_MAX];
    size_t n_headers;
    bool failed; /* a header did not fit, or there was no memory; asked when it is sent */
};

/* Replaces one of that name. NULL as value: takes it away. Line breaks make the request failed. */
void cloud_request_header(struct cloud_request *request, const char *name, const char *value);
void cloud_request_done(struct cloud_request *request);

struct cloud_response {
    long status;
    char *body; /* owned, ended by a NUL; never NULL after success */
    size_t size;
    struct cloud_header headers[CLOUD_HEADERS_MAX]; /* names in lower case; the first ones */
    size_t n_headers;
};

/* The value, or NULL. */
const char *cloud_response_header(const struct cloud_response *response, const char *name);
/* Wipes what it held. */
void cloud_response_done(struct cloud_response *response);

/* Sends it once. Every answer is a success, whatever its status. -ECONNREFUSED, -ETIMEDOUT,
 * -EHOSTUNREACH (also: no such name), -EPROTO (TLS; no HTTP), -EMSGSIZE, -EIO; -ECANCELED: the
 * user wants to stop. */
int cloud_http_send(struct cloud_http *http, const struct cloud_request *request,
                    struct cloud_response *out, struct err *err) MUST_CHECK;

enum cloud_verdict {
    CLOUD_DONE,      /* take the answer as it is, be it a refusal */
    CLOUD_RETRY,     /* later */
    CLOUD_THROTTLED, /* later, and all that follows more slowly */
    CLOUD_RENEW,     /* at once, with fresh credentials; but only once */
};

/* How a cloud wants to be asked again. */
struct cloud_manners {
    /* Before each attempt: signs it, or puts a token; `renew`: what was put last was refused. */
    int (*prepare)(struct cloud_request *request, bool renew, void *with, struct err *err);
    /* NULL: 429 is throttled; 503 later, and 500, 502, 504 where the request is safe; 401 renews.
     */
    enum cloud_verdict (*judge)(const struct cloud_response *response, void *with);
    uint32_t n_attempts; /* 0: 6 */
    uint32_t base_ms;    /* the first pause is up to this, each further one up to twice as much;
                          * 0: 500 */
    uint32_t max_ms;     /* 0: 20 s; a Retry-After of up to 2 minutes is honoured all the same */
    void *with;
};

/* Sends it until it is answered, or its attempts are used up: the last answer or error then. Errors
 * of the connection are tried again, too; a request that could have been carried out only where
 * `is_safe` says that twice is as good as once (a GET, or one with a token of its own).
 * -ECANCELED: world->wait said so. */
int cloud_http_call(struct cloud_http *http, struct cloud_request *request, bool is_safe,
                    const struct cloud_manners *manners, struct cloud_response *out,
                    struct err *err) MUST_CHECK;

/* What Retry-After says, as seconds or as a date, 2 minutes at most; 0: nothing. */
uint32_t cloud_http_retry_after(const struct cloud_http *http,
                                const struct cloud_response *response);

/* A line for the trace (-v): what was found out between the calls. */
void cloud_http_note(const struct cloud_http *http, const char *line);

/* Pauses as a call would: for what takes its time. False: the user wants to stop. */
bool cloud_http_wait(struct cloud_http *http, uint32_t ms);
/* ns since the epoch. */
int64_t cloud_http_now(const struct cloud_http *http);

/* As in RFC 3986: all but letters, digits and -._~ is escaped; `keep` are further ones that stay.
 */
void cloud_put_escaped(struct text *out, const char *string, const char *keep);

/* Wipes and frees; NULL is fine. For everything that a stranger must not read. */
void cloud_forget(char *secret);

#endif
