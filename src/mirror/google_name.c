/* Google's names, paths and audit log: see google.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/str.h"
#include "mirror/google.h"

#define BLAME_DAYS 14 /* how far back the audit log is asked; Google keeps 400 */

const char *google_path(const char *url)
{
    const char *at = strstr(url, "projects/");
    return at ? at : url;
}

const char *google_last(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool google_part(const char *path, const char *type, char out[GOOGLE_NAME_MAX])
{
    size_t len = strlen(type);
    for (const char *at = strstr(path, type); at; at = strstr(at + 1, type)) {
        size_t n = at[len] == '/' ? strcspn(at + len + 1, "/") : 0;
        if ((at != path && at[-1] != '/') || n == 0 || n >= GOOGLE_NAME_MAX)
            continue;
        memcpy(out, at + len + 1, n);
        out[n] = '\0';
        return true;
    }
    return false;
}

void google_put_stem(const char *mirror, char out[48])
{
    uint8_t digest[HASH_SHA256_SIZE];
    char hex[5] = "";
    size_t n = (size_t)snprintf(out, 48, "%s", GOOGLE_PREFIX);
    bool same = true;
    for (const char *at = mirror; *at && n + 6 < 48; at++) {
        char c = str_lower_char(*at);
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        same &= good && c == *at;
        out[n++] = good ? c : '-';
    }
    out[n] = '\0';
    if (same)
        return;
    hash_sha256(mirror, strlen(mirror), digest);
    hash_hex(digest, 2, hex);
    (void)snprintf(out + n, 48 - n, "-%.4s", hex);
}

bool google_is_ours(const json_t *thing, const char *mirror)
{
    char mark[MIRROR_NAME_MAX + sizeof GOOGLE_MARK];
    (void)snprintf(mark, sizeof mark, "%s%s", GOOGLE_MARK, mirror);
    return strcmp(mirror_text(thing, "description"), mark) == 0 &&
           strncmp(mirror_text(thing, "name"), GOOGLE_PREFIX, sizeof GOOGLE_PREFIX - 1) == 0;
}

static int order(const void *a, const void *b)
{
    const json_t *const *one = a, *const *other = b;
    const char *x = json_string_value(*one), *y = json_string_value(*other);
    return strcmp(x ? x : "", y ? y : "");
}

json_t *google_sorted(json_t *texts)
{
    size_t n = json_array_size(texts);
    json_t **at = calloc(n + 1, sizeof(json_t *)), *out = at ? json_array() : NULL;
    for (size_t i = 0; at && i < n; i++)
        at[i] = json_array_get(texts, i);
    if (at)
        qsort(at, n, sizeof(json_t *), order);
    for (size_t i = 0; out && i < n; i++)
        if ((i == 0 || !json_equal(at[i], at[i - 1])) && json_array_append(out, at[i]) < 0) {
            json_decref(out);
            out = NULL;
        }
    free(at);
    json_decref(texts);
    return out;
}

bool google_has(const json_t *texts, const char *text)
{
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *one = json_string_value(json_array_get(texts, i));
        if (one && strcmp(one, text) == 0)
            return true;
    }
    return false;
}

json_t *google_url(const char *path)
{
    char url[GOOGLE_PATH_MAX + 64];
    (void)snprintf(url, sizeof url, "https://www.googleapis.com/compute/v1/%s", path);
    return json_string(url);
}

void google_put_option(struct text *out, const char *option, const char *value)
{
    text_format(out, " --%s=", option);
    text_shell(out, value);
}

void google_put_list(struct text *out, const char *option, const json_t *list)
{
    struct text all;
    text_init(&all, 64u << 10);
    for (size_t i = 0; i < json_array_size(list); i++) {
        text_put(&all, i ? "," : "");
        text_put(&all, json_string_value(json_array_get(list, i)));
    }
    if (all.size)
        google_put_option(out, option, all.at);
    text_done(&all);
}

/* ---- all mirrors ---- */

int google_marked_names(const json_t *things, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                        struct err *err)
{
    char(*names)[MIRROR_NAME_MAX] = calloc(json_array_size(things) + 1, sizeof *names);
    size_t n = 0, i;
    json_t *thing;
    if (!names)
        return err_set(err, -ENOMEM, "out of memory");
    json_array_foreach((json_t *)(uintptr_t)things, i, thing)
    {
        const char *mark = mirror_text(thing, "description");
        size_t len = sizeof GOOGLE_MARK - 1;
        bool is_new = strncmp(mark, GOOGLE_MARK, len) == 0 && mirror_name_is_good(mark + len) &&
                      google_is_ours(thing, mark + len);
        for (size_t k = 0; is_new && k < n; k++)
            is_new = strcmp(names[k], mark + len) != 0;
        if (is_new)
            (void)snprintf(names[n++], MIRROR_NAME_MAX, "%s", mark + len);
    }
    *out = names;
    *out_n = n;
    return 0;
}

/* ---- who did it ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return m > 0 && n >= m && strcmp(text + n - m, end) == 0;
}

int google_blame(struct google *google, const char *method, const struct mirror_set *missing,
                 void (*put)(const struct mirror_object *object, char out[GOOGLE_PATH_MAX]),
                 struct text *out, struct err *err)
{
    time_t since = (time_t)(google_now(google) / 1000000000) - BLAME_DAYS * 86400;
    struct tm tm;
    char at[32], filter[256], project[80];
    struct cloud_reply reply = {0};
    json_t *entry;
    if (!gmtime_r(&since, &tm) || strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return err_set(err, -ERANGE, "the clock is wrong");
    (void)snprintf(filter, sizeof filter, "protoPayload.methodName:\"%.80s\" AND timestamp>=\"%s\"",
                   method, at);
    (void)snprintf(project, sizeof project, "projects/%s", google_project(google));
    json_t *body = json_pack("{s:[s], s:s, s:s, s:i}", "resourceNames", project, "filter", filter,
                             "orderBy", "timestamp desc", "pageSize", 500);
    int result =
        body ? google_call(google, GOOGLE_LOGGING, "POST", "/entries:list", body, &reply, err)
             : err_set(err, -ENOMEM, "out of memory");
    json_decref(body);
    for (size_t i = 0; result == 0 && i < missing->n; i++) {
        char end[GOOGLE_PATH_MAX];
        size_t k;
        put(&missing->at[i], end);
        json_array_foreach(json_object_get(reply.body, "entries"), k, entry)
        {
            const json_t *payload = json_object_get(entry, "protoPayload");
            const char *who =
                mirror_text(json_object_get(payload, "authenticationInfo"), "principalEmail");
            if (!ends_with(mirror_text(payload, "resourceName"), end))
                continue;
            text_format(out, "%s %s was deleted by %.100s at %.40s\n", missing->at[i].kind,
                        missing->at[i].key, *who ? who : "Google itself",
                        mirror_text(entry, "timestamp"));
            break;
        }
    }
    cloud_reply_done(&reply);
    return result;
}
