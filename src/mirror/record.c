/* Files of sources for `watch`: see record.h. */
#include "mirror/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state.h"

#define RECORD_MAX (16u << 20)

/* Control characters, line breaks that no editor shows, what is no character: a configuration has
 * none of them. */
static bool is_refused(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           (c & 0xfffe) == 0xfffe;
}

/* A YAML string in double quotes, all of it ASCII. One of JSON would nearly be the same: but what
 * is beyond 16 bits it writes as two halves, which YAML does not put together again. Bytes that are
 * no UTF-8 become \xNN, and what is refused \uNNNN, as visible characters. */
static void put_string(const char *string, size_t max, struct text *out)
{
    size_t len = strnlen(string, max);
    text_put(out, "\"");
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t size = text_utf8(string + at, len - at, &code);
        if (!size)
            text_format(out, "\\\\x%02x", (unsigned)(uint8_t)string[at]);
        else if (is_refused(code))
            text_format(out, "\\\\u%04x", (unsigned)code);
        else if (code == '"' || code == '\\')
            text_format(out, "\\%c", (char)code);
        else if (code >= 0x20 && code < 0x7f)
            text_add(out, string + at, 1);
        else
            text_format(out, code > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)code);
        at += size ? size : 1;
    }
    text_put(out, "\"");
}

/* A list of texts of `size` bytes each; nothing where it is empty. `many`: the key where there are
 * several. */
static void put_list(const char *key, const char *many, const char *texts, size_t size, size_t n,
                     struct text *out)
{
    size_t n_there = 0;
    while (n_there < n && texts[n_there * size])
        n_there++;
    if (n_there == 0)
        return;
    text_format(out, "\n    %s: %s", n_there > 1 ? many : key, n_there > 1 ? "[" : "");
    for (size_t i = 0; i < n_there; i++) {
        text_put(out, i ? ", " : "");
        put_string(texts + i * size, size, out);
    }
    text_put(out, n_there > 1 ? "]" : "");
}

/* `collector`: the record's. */
static void put_source(const struct mirror_source *source, const char *collector, struct text *out)
{
    text_put(out, "  - name: ");
    put_string(source->name, sizeof source->name, out);
    put_list("channel", "channels", source->channels[0], sizeof source->channels[0],
             MIRROR_CHANNELS_MAX, out);
    put_list("mac", "mac", source->macs[0], sizeof source->macs[0], MIRROR_CHANNELS_MAX, out);
    if (source->network[0]) {
        text_put(out, "\n    network: ");
        put_string(source->network, sizeof source->network, out);
    }
    put_list("addresses", "addresses", source->addresses[0], sizeof source->addresses[0], 8, out);
    if (source->direction[0] && strcmp(source->direction, "both") != 0)
        text_format(out, "\n    direction: %s", source->direction);
    if (source->filtered)
        text_put(out, "\n    filtered: true");
    if (source->truncate)
        text_format(out, "\n    truncate: %u", source->truncate);
    if (source->leaks_tag)
        text_put(out, "\n    drop-vlan: true");
    if (source->machine[0]) {
        text_put(out, "\n    machine: ");
        put_string(source->machine, sizeof source->machine, out);
    }
    if (source->has_lost)
        text_format(out, "\n    lost-before: %llu", (unsigned long long)source->n_lost);
    if (source->collector[0] && strcmp(source->collector, collector) != 0) {
        text_put(out, "\n    collector: ");
        put_string(source->collector, sizeof source->collector, out);
    }
    text_put(out, "\n");
}

void mirror_record_text(const struct mirror_sources *sources, const char *title, struct text *out)
{
    const char *collector = sources->n ? sources->at[0].collector : "";
    text_format(out, "# %s\n", title);
    if (collector[0]) {
        text_put(out, "collector: ");
        put_string(collector, sizeof sources->at->collector, out);
        text_put(out, "\n");
    }
    text_put(out, "sources:\n");
    for (size_t i = 0; i < sources->n; i++)
        put_source(&sources->at[i], collector, out);
}

static void path_of(const char *folder, const struct mirror_job *job, const char *end,
                    char out[512])
{
    (void)snprintf(out, 512, "%s/sources/%s-%s.yaml%s", folder, job->provider->name, job->name,
                   end);
}

static int write_file(const char *path, const struct text *text, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    int result = 0;
    for (size_t at = 0; result == 0 && at < text->size;) {
        ssize_t n = write(fd, text->at + at, text->size - at);
        if (n < 0 && errno != EINTR)
            result = -errno;
        else if (n > 0)
            at += (size_t)n;
    }
    if (result == 0 && fsync(fd) < 0)
        result = -errno;
    close(fd);
    if (result == 0)
        return 0;
    (void)unlink(path); /* it is no whole one */
    return err_set(err, result, "%s: %s", path, strerror(-result));
}

static void text_of(const struct mirror_job *job, const struct mirror_sources *sources,
                    struct text *out)
{
    char title[96];
    text_init(out, RECORD_MAX);
    (void)snprintf(title, sizeof title, "Made by cloudspan mirror apply %s (%s).",
                   job->provider->name, job->name);
    mirror_record_text(sources, title, out);
}

int mirror_record_write(const char *folder, const struct mirror_job *job,
                        const struct mirror_sources *sources, char out_path[512], struct err *err)
{
    char path[512], fresh[512], home[STATE_FOLDER_MAX + 16];
    struct text text;
    (void)snprintf(home, sizeof home, "%s/sources", folder);
    int result = state_make(home, err);
    if (result < 0)
        return result;
    text_of(job, sources, &text);
    path_of(folder, job, "", path);
    path_of(folder, job, ".new", fresh);
    result = text.failed ? err_set(err, -ENOMEM, "out of memory") : write_file(fresh, &text, err);
    text_done(&text);
    if (result == 0 && rename(fresh, path) < 0)
        result = err_set(err, -errno, "%s: %s", path, strerror(errno));
    if (result == 0)
        (void)snprintf(out_path, 512, "%s", path);
    return result;
}

bool mirror_record_is(const char *folder, const struct mirror_job *job,
                      const struct mirror_sources *sources, char out_path[512])
{
    char part[4096];
    struct text text;
    size_t at = 0;
    ssize_t n = -1;
    path_of(folder, job, "", out_path);
    int fd = open(out_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return sources->n == 0 && errno == ENOENT;
    text_of(job, sources, &text);
    while (!text.failed && (n = read(fd, part, sizeof part)) > 0 && (size_t)n <= text.size - at &&
           memcmp(text.at + at, part, (size_t)n) == 0)
        at += (size_t)n;
    bool is_same = n == 0 && at == text.size && sources->n > 0;
    text_done(&text);
    close(fd);
    return is_same;
}

int mirror_record_remove(const char *folder, const struct mirror_job *job, struct err *err)
{
    char path[512];
    path_of(folder, job, "", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}
