/* What our things in the kernel are known by: see host.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "mirror/host.h"
#include "mirror/host_parts.h"

#define PREFIX "cloudspan "
#define OWNS   " clsact"
#define VM     "."

static const uint8_t magic[3] = {'c', 's', 'p'};

void host_put_alias(const char *mirror, bool owns_clsact, char out[LINUX_ALIAS_MAX])
{
    (void)snprintf(out, LINUX_ALIAS_MAX, PREFIX "%s%s", mirror, owns_clsact ? OWNS : "");
}

bool host_read_alias(const char *alias, char out_mirror[MIRROR_NAME_MAX], bool *out_owns_clsact)
{
    if (strncmp(alias, PREFIX, strlen(PREFIX)) != 0)
        return false;
    const char *name = alias + strlen(PREFIX);
    size_t len = strcspn(name, " ");
    if (len == 0 || len >= MIRROR_NAME_MAX || (name[len] && strcmp(name + len, OWNS) != 0))
        return false;
    memcpy(out_mirror, name, len);
    out_mirror[len] = '\0';
    *out_owns_clsact = name[len] != '\0';
    return true;
}

static bool is_bare(const struct mirror_job *job)
{
    return strcmp(job->provider->name, "vm") != 0;
}

void host_put_mark(const struct mirror_job *job, char out[MIRROR_NAME_MAX])
{
    if (is_bare(job))
        (void)snprintf(out, MIRROR_NAME_MAX, "%s", job->name);
    else
        (void)snprintf(out, MIRROR_NAME_MAX, VM "%.*s", HOST_MARKED_MAX - 1, job->name);
}

const char *host_read_mark(const struct mirror_job *job, const char *mark)
{
    bool is_vm = mark != host_name_of(mark);
    return is_bare(job) == is_vm ? NULL : host_name_of(mark);
}

const char *host_name_of(const char *mark)
{
    return strncmp(mark, VM, strlen(VM)) == 0 ? mark + strlen(VM) : mark;
}

const char *host_mark(const struct mirror_job *job)
{
    const struct host *host = job->state;
    return host->mark;
}

static void mark(const void *bytes, size_t size, uint8_t out[6])
{
    uint8_t digest[HASH_SHA256_SIZE];
    hash_sha256(bytes, size, digest);
    memcpy(out, digest, 6);
}

void host_name_mark(const char *mirror, uint8_t out[6])
{
    mark(mirror, strlen(mirror), out);
}

void host_content_mark(const void *bytes, size_t size, uint8_t out[6])
{
    mark(bytes, size, out);
}

/* 'c' 's' 'p', flags, the mirror (6), the content (6). */
void host_put_cookie(const struct host_cookie *cookie, uint8_t out[LINUX_TC_COOKIE_MAX])
{
    memcpy(out, magic, sizeof magic);
    out[3] = cookie->owns_clsact;
    memcpy(out + 4, cookie->mirror, 6);
    memcpy(out + 10, cookie->content, 6);
}

bool host_read_cookie(const uint8_t *bytes, size_t size, struct host_cookie *out)
{
    if (size != LINUX_TC_COOKIE_MAX || memcmp(bytes, magic, sizeof magic) != 0 || bytes[3] > 1)
        return false;
    out->owns_clsact = bytes[3];
    memcpy(out->mirror, bytes + 4, 6);
    memcpy(out->content, bytes + 10, 6);
    return true;
}

bool host_read_six(const char *text, char between, uint8_t out[6])
{
    for (int i = 0; i < 6; i++) {
        char digits[3] = {text[0], text[0] ? text[1] : '\0', '\0'}, *end;
        out[i] = (uint8_t)strtoul(digits, &end, 16);
        if (end != digits + 2)
            return false;
        text += 2;
        if (i < 5 && between && *text++ != between)
            return false;
    }
    return true;
}

bool host_filter_cookie(const struct mirror_job *job, const struct mirror_object *want,
                        uint8_t out[LINUX_TC_COOKIE_MAX])
{
    struct host_cookie cookie = {.owns_clsact = json_is_true(json_object_get(want->is, "clsact"))};
    host_name_mark(host_mark(job), cookie.mirror);
    if (!host_read_six(mirror_text(want->is, "content"), 0, cookie.content))
        return false;
    host_put_cookie(&cookie, out);
    return true;
}

/* ERSPAN's and GRE's devices may be named by the name of the interface, as long as it fits. */
void host_device_name(const char *mirror, const char *interface, char out[16])
{
    char both[MIRROR_NAME_MAX + 20];
    uint8_t digest[6];
    char hex[13] = "";
    if (strcmp(mirror, interface) == 0 && strlen(interface) <= 12) {
        (void)snprintf(out, 16, "cs-%s", interface);
        return;
    }
    (void)snprintf(both, sizeof both, "%s %s", mirror, interface);
    mark(both, strlen(both), digest);
    hash_hex(digest, 6, hex);
    (void)snprintf(out, 16, "cs-%.12s", hex);
}

void host_content_text(const json_t *program, uint64_t rate, bool forgets, char out[13])
{
    uint8_t digest[6];
    json_t *both = json_pack("[OIb]", program, (json_int_t)rate, forgets);
    char *text = json_dumps(both, JSON_COMPACT);
    mark(text ? text : "", text ? strlen(text) : 0, digest);
    for (int i = 0; i < 6; i++)
        (void)snprintf(out + i * 2, 3, "%02x", digest[i]);
    free(text);
    json_decref(both);
}

void host_digest_text(const char *bytes, size_t size, char out[13])
{
    uint8_t digest[6];
    mark(bytes, size, digest);
    for (int i = 0; i < 6; i++)
        (void)snprintf(out + i * 2, 3, "%02x", digest[i]);
}
