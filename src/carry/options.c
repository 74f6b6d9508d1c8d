/* The command line of a carrier, read and written: see carry.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carry/carry.h"
#include "carry/limit.h"
#include "sink/forward.h"

enum row {
    ROW_INTERFACE,
    ROW_TO,
    ROW_ID,
    ROW_FROM,
    ROW_DIRECTION,
    ROW_SNAP,
    ROW_RATE_LIMIT,
    ROW_FILTER,
    ROW_STATUS,
    ROW_NAME,
    ROW_USER,
    ROW_MEMORY,
    ROW_READY,
};

const struct option_row carry_rows[] = {
    [ROW_INTERFACE] = {'i', "interface", "NAME", false, "whose traffic is mirrored"},
    [ROW_TO] = {0, "to", "TUNNEL", false, "vxlan:ADDR or geneve:ADDR, with :PORT behind it"},
    [ROW_ID] = {0, "id", "VNI", false, "the mirror's number in the tunnel, 0 to 16777215"},
    [ROW_FROM] = {0, "from", "ADDR", false, "the address of this machine to send from"},
    [ROW_DIRECTION] = {0, "direction", "DIR", false, "in, out, or both (default)"},
    [ROW_SNAP] = {0, "snap", "BYTES", false, "only so much of each frame"},
    [ROW_RATE_LIMIT] = {0, "rate-limit", "BYTES", false, "only so many bytes of frames a second"},
    [ROW_FILTER] = {0, "filter", "EXPR", false, "only what this passes; as tcpdump -i takes it"},
    [ROW_STATUS] = {0, "status", "FILE", false, "where it says how it is, and is known by"},
    [ROW_NAME] = {0, "name", "NAME", false, "of the mirror, for messages"},
    [ROW_USER] = {0, "user", "NAME", false, "whom it runs as (default: cloudspan, or nobody)"},
    [ROW_MEMORY] = {0, "memory", "BYTES", false, "of the ring that frames wait in (default 32M)"},
    [ROW_READY] = {0, "ready", "FD", false, "told once when it runs, or why not"},
    {0},
};

#define DEFAULT_MEMORY (32u << 20)
#define LEAST_MEMORY   (2u << 20)
#define MOST_MEMORY    (2048u << 20)
#define LEAST_SNAP     14 /* less is no frame */
#define MOST_SNAP      65535

static int take_text(const char *value, char *out, size_t size, const char *what, struct err *err)
{
    size_t len = strlen(value);
    if (len == 0 || len >= size)
        return err_set(err, -EINVAL, "%s: %s", what, len ? "too long" : "is empty");
    memcpy(out, value, len + 1);
    return 0;
}

static int take_address(const char *value, const char *what, struct addr *out, struct err *err)
{
    static const struct addr none;
    struct addr addr;
    if (!addr_parse(value, &addr))
        return err_set(err, -EINVAL, "%s: %s is no address", what, value);
    bool is_v4 = addr_is_v4(&addr);
    bool is_many = is_v4 ? addr.b[12] >= 224 : addr.b[0] == 0xff;
    bool is_none = is_v4 ? addr.b[12] == 0 : addr_eq(&addr, &none);
    if (is_many || is_none)
        return err_set(err, -EINVAL, "%s: %s is no address of one machine", what, value);
    if (!is_v4 && addr.b[0] == 0xfe && (addr.b[1] & 0xc0) == 0x80)
        return err_set(err, -EINVAL,
                       "%s: %s is link-local: an address that says the way by itself is needed",
                       what, value);
    *out = addr;
    return 0;
}

static int take_target(const char *value, struct carry_options *options, struct err *err)
{
    struct forward_options target;
    int result = forward_parse(value, &target, err);
    if (result == 0)
        result = take_address(target.host, "--to", &options->to, err);
    if (result < 0)
        return result;
    options->wrap = target.kind == FORWARD_GENEVE ? CARRY_GENEVE : CARRY_VXLAN;
    options->port = (uint16_t)strtoul(target.port, NULL, 10);
    return 0;
}

static int take_number(const char *value, const char *what, uint64_t least, uint64_t most,
                       uint64_t *out, struct err *err)
{
    if (!options_size(value, out) || *out < least || *out > most)
        return err_set(err, -EINVAL, "%s: %s is no number from %llu to %llu", what, value,
                       (unsigned long long)least, (unsigned long long)most);
    return 0;
}

static int take_direction(const char *value, int *out, struct err *err)
{
    static const char *const words[] = {
        [CARRY_BOTH] = "both", [CARRY_IN] = "in", [CARRY_OUT] = "out"};
    for (int i = 0; i < 3; i++)
        if (strcmp(value, words[i]) == 0) {
            *out = i;
            return 0;
        }
    return err_set(err, -EINVAL, "--direction: %s is none of in, out, both", value);
}

int carry_take(int row, const char *value, void *with, struct err *err)
{
    struct carry_options *o = with;
    uint64_t n = 0;
    int result = 0;
    switch ((enum row)row) {
    case ROW_INTERFACE:
        return take_text(value, o->interface, sizeof o->interface, "--interface", err);
    case ROW_TO:
        return take_target(value, o, err);
    case ROW_ID:
        result = take_number(value, "--id", 0, 0xffffff, &n, err);
        o->id = (uint32_t)n;
        break;
    case ROW_FROM:
        o->has_from = true;
        return take_address(value, "--from", &o->from, err);
    case ROW_DIRECTION:
        return take_direction(value, &o->direction, err);
    case ROW_SNAP:
        result = take_number(value, "--snap", LEAST_SNAP, MOST_SNAP, &n, err);
        o->snap = (uint32_t)n;
        break;
    case ROW_RATE_LIMIT:
        return take_number(value, "--rate-limit", 1, LIMIT_MAX_RATE, &o->rate_limit, err);
    case ROW_FILTER:
        return take_text(value, o->filter, sizeof o->filter, "--filter", err);
    case ROW_STATUS:
        return take_text(value, o->status, sizeof o->status, "--status", err);
    case ROW_NAME:
        return take_text(value, o->name, sizeof o->name, "--name", err);
    case ROW_USER:
        return take_text(value, o->user, sizeof o->user, "--user", err);
    case ROW_MEMORY:
        return take_number(value, "--memory", LEAST_MEMORY, MOST_MEMORY, &o->memory, err);
    case ROW_READY:
        result = take_number(value, "--ready", 3, 1 << 20, &n, err);
        o->ready_fd = (int)n;
        break;
    }
    return result;
}

static uint16_t port_of(const struct carry_options *options)
{
    return options->port ? options->port : options->wrap == CARRY_GENEVE ? 6081 : 4789;
}

int carry_check(struct carry_options *options, struct err *err)
{
    static const struct addr none;
    if (!options->interface[0])
        return err_set(err, -EINVAL, "--interface is needed: whose traffic is mirrored");
    if (addr_eq(&options->to, &none))
        return err_set(err, -EINVAL, "--to is needed: vxlan:ADDR or geneve:ADDR of the collector");
    if (!options->status[0])
        return err_set(err, -EINVAL, "--status is needed: a file that the mirror is known by");
    if (options->has_from && addr_is_v4(&options->from) != addr_is_v4(&options->to))
        return err_set(err, -EINVAL, "--from and --to: one is IPv4, the other IPv6");
    if (options->id > 0xffffff)
        return err_set(err, -EINVAL, "--id: %u is more than 24 bits hold", options->id);
    if (options->rate_limit > LIMIT_MAX_RATE)
        return err_set(err, -EINVAL, "--rate-limit: no more than 8G can be counted");
    options->port = port_of(options);
    if (options->memory == 0)
        options->memory = DEFAULT_MEMORY;
    return 0;
}

void carry_put_target(const struct carry_options *options, char out[CARRY_TARGET_MAX])
{
    char to[ADDR_TEXT_MAX + 1];
    to[addr_format(&options->to, to)] = 0;
    bool is_v4 = addr_is_v4(&options->to);
    (void)snprintf(out, CARRY_TARGET_MAX, is_v4 ? "%s:%s:%u" : "%s:[%s]:%u",
                   options->wrap == CARRY_GENEVE ? "geneve" : "vxlan", to, port_of(options));
}

static void put(struct carry_arguments *out, char **text, const char *option, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* "--option" and its value. The text has room for the longest of all. */
static void put(struct carry_arguments *out, char **text, const char *option, const char *format,
                ...)
{
    char *end = out->text + sizeof out->text;
    out->at[out->n++] = *text;
    *text += snprintf(*text, (size_t)(end - *text), "%s", option) + 1;
    if (!format)
        return;
    va_list args;
    va_start(args, format);
    out->at[out->n++] = *text;
    *text += vsnprintf(*text, (size_t)(end - *text), format, args) + 1;
    va_end(args);
}

void carry_put_arguments(const struct carry_options *options, struct carry_arguments *out)
{
    char to[CARRY_TARGET_MAX], from[ADDR_TEXT_MAX + 1];
    carry_put_target(options, to);
    from[addr_format(&options->from, from)] = 0;
    char *text = out->text;
    out->n = 0;
    put(out, &text, "mirror", NULL);
    put(out, &text, "carry", NULL);
    put(out, &text, "--interface", "%s", options->interface);
    put(out, &text, "--to", "%s", to);
    put(out, &text, "--id", "%u", options->id);
    if (options->has_from)
        put(out, &text, "--from", "%s", from);
    if (options->direction != CARRY_BOTH)
        put(out, &text, "--direction", "%s", options->direction == CARRY_IN ? "in" : "out");
    if (options->snap)
        put(out, &text, "--snap", "%u", options->snap);
    if (options->rate_limit)
        put(out, &text, "--rate-limit", "%llu", (unsigned long long)options->rate_limit);
    if (options->filter[0])
        put(out, &text, "--filter", "%s", options->filter);
    put(out, &text, "--status", "%s", options->status);
    if (options->name[0])
        put(out, &text, "--name", "%s", options->name);
    if (options->user[0])
        put(out, &text, "--user", "%s", options->user);
    if (options->memory)
        put(out, &text, "--memory", "%llu", (unsigned long long)options->memory);
    if (options->ready_fd)
        put(out, &text, "--ready", "%d", options->ready_fd);
    out->at[out->n] = NULL;
}
