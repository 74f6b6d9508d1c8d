/* AWS's Signature Version 4: see aws_sign.h. "Create a signed AWS API request", IAM User Guide. */
#include "cloud/aws_sign.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/hash.h"
#include "base/str.h"

#define CANONICAL_MAX (64u << 10) /* what is signed of a request; its body is a digest there */
#define PAIRS_MAX     64

enum { HEX_SIZE = 2 * HASH_SHA256_SIZE };

/* ---- credentials ---- */

void aws_keys_done(struct aws_keys *keys)
{
    cloud_forget(keys->id);
    cloud_forget(keys->secret);
    cloud_forget(keys->token);
    *keys = (struct aws_keys){0};
}

int aws_keys_set(struct aws_keys *keys, const char *id, const char *secret, const char *token,
                 struct err *err)
{
    struct aws_keys made = {.id = strdup(id), .secret = strdup(secret)};
    bool has_token = token && *token;
    if (has_token)
        made.token = strdup(token);
    if (!made.id || !made.secret || (has_token && !made.token)) {
        aws_keys_done(&made);
        return err_set(err, -ENOMEM, "no memory for credentials");
    }
    aws_keys_done(keys);
    *keys = made;
    return 0;
}

/* ---- the request in its canonical form ---- */

struct url {
    struct str host, path, query; /* of the URL, as they stand there */
};

static bool split_url(const char *url, struct url *out)
{
    const char *at = strstr(url, "://");
    bool is_plain = strncasecmp(url, "http:", 5) == 0;
    if (!at)
        return false;
    at += 3;
    size_t len = strcspn(at, "/?#");
    out->host = str_make(at, len);
    const char *user = memrchr(at, '@', len);
    if (user)
        out->host = str_from(out->host, (size_t)(user + 1 - at));
    /* The port that goes without saying is not in the header Host either. */
    struct str port = is_plain ? STR(":80") : STR(":443");
    if (out->host.len > port.len && str_eq(str_from(out->host, out->host.len - port.len), port))
        out->host.len -= port.len;
    at += len;
    len = strcspn(at, "?#");
    out->path = len ? str_make(at, len) : STR("/");
    at += len;
    out->query = *at == '?' ? str_make(at + 1, strcspn(at + 1, "#")) : STR("");
    return out->host.len > 0;
}

/* As in RFC 3986; a '%' that is there already becomes "%25", which is what AWS does, too. */
static void put_path(struct text *out, struct str path)
{
    for (uint32_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.at[i];
        if ((c < 0x80 && isalnum(c)) || (c && strchr("-._~/", c)))
            text_add(out, &c, 1);
        else
            text_format(out, "%%%02X", c);
    }
}

struct pair {
    struct str name, value;
};

static int compare_str(struct str a, struct str b)
{
    uint32_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.at, b.at, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = compare_str(x->name, y->name);
    return order ? order : compare_str(x->value, y->value);
}

static bool put_query(struct text *out, struct str query)
{
    struct pair pairs[PAIRS_MAX];
    size_t n = 0;
    while (query.len > 0) {
        const char *end = memchr(query.at, '&', query.len);
        struct str part = str_upto(query, end ? (size_t)(end - query.at) : query.len);
        query = str_from(query, (size_t)part.len + 1);
        if (part.len == 0)
            continue;
        if (n == PAIRS_MAX)
            return false;
        const char *sign = memchr(part.at, '=', part.len);
        size_t len = sign ? (size_t)(sign - part.at) : part.len;
        pairs[n++] = (struct pair){str_upto(part, len), str_from(part, len + 1)};
    }
    if (n)
        qsort(pairs, n, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < n; i++) {
        text_put(out, i ? "&" : "");
        text_add(out, pairs[i].name.at, pairs[i].name.len);
        text_put(out, "=");
        text_add(out, pairs[i].value.at, pairs[i].value.len);
    }
    return true;
}

/* What is sent by libcurl or changed by proxies is not signed. */
static bool is_signed(const char *name)
{
    static const char *const others[] = {"authorization", "expect", "user-agent", "x-amzn-trace-id",
                                         "transfer-encoding"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcasecmp(name, others[i]) == 0)
            return false;
    return true;
}

static void put_lower(struct text *out, struct str name)
{
    for (uint32_t i = 0; i < name.len; i++)
        text_add(out, &(char){str_lower_char(name.at[i])}, 1);
}

/* Without blanks around it, and with one blank where there are several. */
static void put_trimmed(struct text *out, struct str value)
{
    bool pending = false, begun = false;
    for (uint32_t i = 0; i < value.len; i++) {
        if (isspace((unsigned char)value.at[i])) {
            pending = begun;
            continue;
        }
        text_put(out, pending ? " " : "");
        text_add(out, &value.at[i], 1);
        pending = false;
        begun = true;
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    for (uint32_t i = 0; i < x->name.len && i < y->name.len; i++) {
        int order = str_lower_char(x->name.at[i]) - str_lower_char(y->name.at[i]);
        if (order)
            return order;
    }
    return (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* The headers to `out`, and their names to `names`. */
static void put_headers(const struct cloud_request *request, struct str host, struct text *out,
                        struct text *names)
{
    struct pair pairs[CLOUD_HEADERS_MAX + 1];
    size_t n = 0;
    bool has_host = false;
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct cloud_header *header = &request->headers[i];
        has_host |= strcasecmp(header->name, "host") == 0;
        if (is_signed(header->name))
            pairs[n++] = (struct pair){str_c(header->name), str_c(header->value)};
    }
    if (!has_host)
        pairs[n++] = (struct pair){STR("host"), host};
    qsort(pairs, n, sizeof *pairs, compare_names);
    for (size_t i = 0; i < n; i++) {
        text_put(names, i ? ";" : "");
        put_lower(names, pairs[i].name);
        put_lower(out, pairs[i].name);
        text_put(out, ":");
        put_trimmed(out, pairs[i].value);
        text_put(out, "\n");
    }
}

static void put_digest(struct text *out, const void *bytes, size_t size)
{
    uint8_t digest[HASH_SHA256_SIZE];
    char hex[HEX_SIZE];
    hash_sha256(bytes, size, digest);
    hash_hex(digest, sizeof digest, hex);
    text_add(out, hex, sizeof hex);
}

static int put_request(const struct cloud_request *request, struct text *out, struct text *names,
                       struct err *err)
{
    struct url url;
    if (!split_url(request->url, &url))
        return err_set(err, -EINVAL, "%.200s: this is no URL that can be signed", request->url);
    for (const char *at = request->method; *at; at++)
        text_add(out, &(char){(char)toupper((unsigned char)*at)}, 1);
    text_put(out, "\n");
    put_path(out, url.path);
    text_put(out, "\n");
    if (!put_query(out, url.query))
        return err_set(err, -E2BIG, "a URL with more than %d parameters", PAIRS_MAX);
    text_put(out, "\n");
    put_headers(request, url.host, out, names);
    text_put(out, "\n");
    text_add(out, names->at ? names->at : "", names->size);
    text_put(out, "\n");
    put_digest(out, request->body ? request->body : "", request->body ? request->size : 0);
    return 0;
}

/* ---- the signature ---- */

static void chain(uint8_t key[HASH_SHA256_SIZE], const char *with)
{
    hash_hmac_sha256(key, HASH_SHA256_SIZE, with, strlen(with), key);
}

static int sign(const struct aws_keys *keys, const char *day, const char *region,
                const char *service, const struct text *what, char hex[HEX_SIZE + 1],
                struct err *err)
{
    uint8_t key[HASH_SHA256_SIZE];
    size_t size = strlen(keys->secret) + 4;
    char *first = malloc(size + 1);
    if (!first)
        return err_set(err, -ENOMEM, "no memory for a signature");
    (void)snprintf(first, size + 1, "AWS4%s", keys->secret);
    hash_hmac_sha256(first, size, day, strlen(day), key);
    cloud_forget(first);
    chain(key, region);
    chain(key, service);
    chain(key, "aws4_request");
    hash_hmac_sha256(key, sizeof key, what->at, what->size, key);
    hash_hex(key, sizeof key, hex);
    hex[HEX_SIZE] = '\0';
    explicit_bzero(key, sizeof key);
    return 0;
}

static void wipe(struct text *text)
{
    if (text->at)
        explicit_bzero(text->at, text->size);
    text_done(text);
}

int aws_sign(struct cloud_request *request, const struct aws_keys *keys, const char *region,
             const char *service, int64_t now, struct err *err)
{
    struct text canonical, names, to_sign, header;
    char date[32], day[16], hex[HEX_SIZE + 1];
    time_t seconds = (time_t)(now / 1000000000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || !strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm) ||
        !strftime(day, sizeof day, "%Y%m%d", &tm))
        return err_set(err, -EINVAL, "the clock shows no date");
    text_init(&canonical, CANONICAL_MAX);
    text_init(&names, CANONICAL_MAX);
    text_init(&to_sign, CANONICAL_MAX);
    text_init(&header, CANONICAL_MAX);
    cloud_request_header(request, "Authorization", NULL);
    cloud_request_header(request, "X-Amz-Date", date);
    cloud_request_header(request, "X-Amz-Security-Token", keys->token);
    int result = put_request(request, &canonical, &names, err);
    if (result < 0)
        goto out;
    text_format(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n", date, day, region,
                service);
    put_digest(&to_sign, canonical.at ? canonical.at : "", canonical.size);
    if (canonical.failed || names.failed || to_sign.failed) {
        result = err_set(err, -EMSGSIZE, "a request is too large to be signed");
        goto out;
    }
    result = sign(keys, day, region, service, &to_sign, hex, err);
    if (result < 0)
        goto out;
    text_put(&header, "AWS4-HMAC-SHA256 Credential=");
    text_put(&header, keys->id);
    text_format(&header, "/%s/%s/%s/aws4_request, SignedHeaders=", day, region, service);
    text_add(&header, names.at, names.size);
    text_format(&header, ", Signature=%s", hex);
    if (header.failed) {
        result = err_set(err, -ENOMEM, "no memory for a signature");
        goto out;
    }
    cloud_request_header(request, "Authorization", header.at);
    if (request->failed)
        result = err_set(err, -EINVAL, "credentials that do not fit into a header");
out:
    wipe(&canonical); /* it holds the session token */
    text_done(&names);
    text_done(&to_sign);
    wipe(&header);
    return result;
}
