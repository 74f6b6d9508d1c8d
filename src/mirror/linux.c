/* Mirrors of an interface of this Linux machine, by what its kernel has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mirror/host.h"

struct wish {
    struct host_wish host;
    const char *interface;
    const char *netns;
    bool lists_methods;
};

enum row { ROW_INTERFACE = HOST_N_ROWS, ROW_NETNS, ROW_LIST };

static const struct option_row rows[] = {
    HOST_OPTION_ROWS[ROW_INTERFACE] = {'i', "interface", "IFACE", false, "what is mirrored"},
    [ROW_NETNS] = {0, "netns", "NAME|PID", false,
                   "in that network namespace: of ip netns, or a container's process"},
    [ROW_LIST] = {0, "list-methods", NULL, false,
                  "say which methods this kernel has, and why not the others"},
    {0},
};

static int wish_take(int row, const char *value, void *with, struct err *err)
{
    struct wish *wish = with;
    if (row < HOST_N_ROWS)
        return host_take(row, value, &wish->host, err);
    switch ((enum row)row) {
    case ROW_INTERFACE:
        if (!*value || strlen(value) >= sizeof((struct host_tap *)0)->interface)
            return err_set(err, -EINVAL, "--interface: '%s' is no name of an interface", value);
        wish->interface = value;
        return 0;
    case ROW_NETNS:
        wish->netns = value;
        return 0;
    case ROW_LIST:
        wish->lists_methods = true;
        return 0;
    }
    return 0;
}

static int wish_check(struct mirror_job *job, struct err *err)
{
    struct wish *wish = job->wish;
    if (!job->name[0] && wish->interface) {
        int len = snprintf(job->name, sizeof job->name, "%s%s%s", wish->netns ? wish->netns : "",
                           wish->netns ? "." : "", wish->interface);
        if (len < 0 || (size_t)len >= sizeof job->name)
            return err_set(err, -EINVAL, "this mirror needs a shorter name: --name");
    }
    if (job->partial)
        return 0;
    if (!wish->interface)
        return err_set(err, -EINVAL, "which interface? --interface eth0");
    if (!wish->host.direction)
        wish->host.direction = HOST_BOTH;
    return host_check(&wish->host, 1, err);
}

static bool answer(const struct mirror_job *job, bool json, struct text *out, int *result,
                   struct err *err)
{
    const struct wish *wish = job->wish;
    if (wish->lists_methods)
        *result = host_list_methods(json, out, err);
    return wish->lists_methods;
}

static int open_here(struct mirror_job *job, struct err *err)
{
    const struct wish *wish = job->wish;
    return host_open(job, wish ? wish->netns : NULL, sizeof(struct host), err);
}

static struct host_tap tap_of(const struct wish *wish)
{
    struct host_tap tap = {.id = wish->host.id};
    (void)snprintf(tap.interface, sizeof tap.interface, "%s", wish->interface);
    return tap;
}

static int want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                struct err *err)
{
    const struct wish *wish = job->wish;
    struct host_tap tap = tap_of(wish);
    return host_want(job, &wish->host, &tap, 1, out, remarks, err);
}

static int prove(struct mirror_job *job, struct text *said, struct err *err)
{
    const struct wish *wish = job->wish;
    struct host_tap tap = tap_of(wish);
    return host_prove(job, &wish->host, &tap, 1, said, err);
}

static int sources(struct mirror_job *job, const struct mirror_set *wanted,
                   struct mirror_sources *out, struct err *err)
{
    const struct wish *wish = job->wish;
    struct host_tap tap = tap_of(wish);
    (void)wanted;
    return host_sources(job, &wish->host, &tap, 1, out, err);
}

const struct mirror_provider provider_linux = {
    .name = "linux",
    .summary = "Mirrors an interface of this Linux machine to a collector",
    .usage = "plan|apply linux --interface IFACE --to KIND:ADDR --id N [OPTION]…\n"
             "       cloudspan mirror status|remove linux [--interface IFACE | --name NAME]\n"
             "       cloudspan mirror linux --list-methods",
    .more = "What each method keeps and can is in cloudspan-mirror-linux(1).\n",
    .options = rows,
    .wish_size = sizeof(struct wish),
    .wish_take = wish_take,
    .wish_check = wish_check,
    .answer = answer,
    .open = open_here,
    .close = host_close,
    .want = want,
    .find = host_find,
    .names = host_names,
    .make = host_make,
    .unmake = host_unmake,
    .prove = prove,
    .measure = host_measure,
    .sources = sources,
    .describe = host_describe,
    .command = host_command,
};
