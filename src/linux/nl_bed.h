/* For unit tests: requests as text, and iproute2 as a witness of what the kernel made of them. */
#ifndef LINUX_NL_BED_H
#define LINUX_NL_BED_H

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "capture/netns_bed.h"
#include "linux/nl.h"
#include "linux/rtnl.h"

/* "3=76783000 18{1=76786c616e00 2{1=07000000}}": numbers of attributes, what they hold, those that
 * are marked as holding others in braces. */
static inline void bed_put_attributes(struct text *text, struct reader at)
{
    bool is_first = true;
    while (rd_left(&at) >= 4) {
        struct reader head = at, value;
        uint16_t type;
        rd_skip(&head, 2);
        bool is_nest = rtnl_u16(&head) & NLA_F_NESTED;
        if (!rtnl_next(&at, &type, &value)) {
            text_put(text, " ?");
            return;
        }
        text_format(text, is_first ? "%u" : " %u", type);
        is_first = false;
        if (is_nest) {
            text_put(text, "{");
            bed_put_attributes(text, value);
            text_put(text, "}");
            continue;
        }
        text_put(text, "=");
        while (rd_left(&value) > 0)
            text_format(text, "%02x", rd_u8(&value));
    }
}

/* All messages, one a line: type, flags, the fixed header in hexadecimal, attributes. */
static inline char *bed_request_text(const struct nl_request *request, size_t head_size)
{
    struct text text;
    struct reader r = rd_make(request->bytes, request->size);
    size_t n;
    text_init(&text, 65536);
    while (rd_left(&r) >= 16) {
        uint32_t size = rtnl_u32(&r);
        unsigned type = rtnl_u16(&r), flags = rtnl_u16(&r);
        rd_skip(&r, 8);
        struct reader body = rd_sub(&r, size - 16);
        text_format(&text, "%u %x ", type, flags);
        for (size_t i = 0; i < head_size; i++)
            text_format(&text, "%02x", rd_u8(&body));
        text_put(&text, " ");
        bed_put_attributes(&text, body);
        text_put(&text, "\n");
    }
    return text_take(&text, &n);
}

/* What a program writes to its standard output, on the heap, and its exit code; NULL: it is not
 * there. `line` is cut at its spaces; a '~' becomes one. */
static inline char *bed_run(const char *line, int *out_code)
{
    char words[1024], *arguments[64] = {0}, *at = words;
    size_t n = 0;
    (void)snprintf(words, sizeof words, "%s", line);
    while (*at && n < 63) {
        arguments[n++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
        for (char *c = arguments[n - 1]; *c; c++)
            if (*c == '~')
                *c = ' ';
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return NULL;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    pid_t pid;
    int code = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    struct text text;
    text_init(&text, 1u << 20);
    char bytes[4096];
    ssize_t got;
    while (code == 0 && (got = read(ends[0], bytes, sizeof bytes)) > 0)
        text_add(&text, bytes, (size_t)got);
    close(ends[0]);
    int status = 0;
    if (code == 0 && waitpid(pid, &status, 0) == pid)
        *out_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code != 0)
        return NULL;
    size_t n_all;
    return text_take(&text, &n_all);
}

/* 0, or the exit code; -1: no such program. */
static inline int bed_do(const char *line)
{
    int code = -1;
    free(bed_run(line, &code));
    return code;
}

/* A network namespace in which iproute2 may work; false, and says why, where that is not to be had.
 * Without root the program would lose what this process has in its own user namespace. */
static inline bool bed_enter_with_witness(void)
{
    if (geteuid() != 0) {
        printf("skipped: only root has a network namespace for other programs\n");
        return false;
    }
    if (bed_do("ip -V") != 0 || bed_do("tc -V") != 0) {
        printf("skipped: no iproute2 to look with\n");
        return false;
    }
    return bed_enter_netns();
}

/* The JSON that it prints; NULL: none. */
static inline json_t *bed_json(const char *line)
{
    int code = -1;
    char *all = bed_run(line, &code);
    json_t *json = all && code == 0 ? json_loads(all, 0, NULL) : NULL;
    free(all);
    return json;
}

/* The value at a path of keys and numbers, "0.linkinfo.info_data.id"; NULL: not there. */
static inline json_t *bed_at(json_t *json, const char *path)
{
    while (json && *path) {
        char key[64];
        size_t len = strcspn(path, ".");
        (void)snprintf(key, sizeof key, "%.*s", (int)len, path);
        json = json_is_array(json) ? json_array_get(json, strtoul(key, NULL, 10))
                                   : json_object_get(json, key);
        path += len + (path[len] == '.');
    }
    return json;
}

static inline json_int_t bed_number(json_t *json, const char *path)
{
    json_t *at = bed_at(json, path);
    return json_is_integer(at) ? json_integer_value(at) : -1;
}

static inline const char *bed_word(json_t *json, const char *path)
{
    json_t *at = bed_at(json, path);
    return json_is_string(at) ? json_string_value(at) : "";
}

#endif
