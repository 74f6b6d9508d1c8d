/* Entering a network namespace, asking for its interfaces, and whose mirrors are in it: see host.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux/iptables.h"
#include "linux/nft.h"
#include "mirror/host.h"
#include "mirror/host_carrier.h"

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* A process id, or a name as `ip netns` and its kin give them. */
static int open_namespace(const char *name, struct err *err)
{
    char path[128];
    if (is_number(name))
        (void)snprintf(path, sizeof path, "/proc/%.10s/ns/net", name);
    else if (strchr(name, '/') || strlen(name) > 64)
        return err_set(err, -EINVAL, "--netns: '%s' is neither a name nor a process id", name);
    else
        (void)snprintf(path, sizeof path, "/run/netns/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && is_number(name))
        return err_set(err, -ESRCH, "--netns: there is no process %s", name);
    if (fd < 0)
        return err_set(err, -errno,
                       errno == ENOENT ? "--netns: there is no network namespace %s (ip netns list)"
                                       : "--netns: %s cannot be entered without root",
                       name);
    return fd;
}

int host_open(struct mirror_job *job, const char *netns, size_t size, struct err *err)
{
    struct host *host = calloc(1, size);
    if (!host)
        return err_set(err, -ENOMEM, "out of memory");
    host->home = -1;
    host_put_mark(job, host->mark);
    job->state = host;
    if (netns) {
        int there = open_namespace(netns, err);
        /* Of a mirror that was made there a process may be left, or a unit. */
        if ((there == -ENOENT || there == -ESRCH) && job->recorded.n > 0) {
            host->is_gone = true;
            host->why_gone = *err;
            return 0;
        }
        if (there < 0)
            return there;
        int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        int result = home < 0 || setns(there, CLONE_NEWNET) < 0 ? -errno : 0;
        close(there);
        if (result == 0)
            host->home = home;
        else if (home >= 0)
            close(home);
        if (result < 0)
            return err_set(err, result, "--netns: %s cannot be entered: %s", netns,
                           result == -EPERM ? "it takes root" : strerror(-result));
    }
    return host_refresh(host, err);
}

void host_close(struct mirror_job *job)
{
    struct host *host = job->state;
    if (!host)
        return;
    if (host->home >= 0) {
        if (setns(host->home, CLONE_NEWNET) < 0) {
            /* Whoever looks at another mirror next would look in the wrong place. */
            abort();
        }
        close(host->home);
    }
    free(host->links);
    free(host);
    job->state = NULL;
}

int host_refresh(struct host *host, struct err *err)
{
    struct linux_link *links = NULL;
    size_t n = 0;
    int result = linux_links(&links, &n, err);
    if (result < 0)
        return result;
    free(host->links);
    host->links = links;
    host->n_links = n;
    return 0;
}

/* ---- names of mirrors, by their marks ---- */

struct names {
    const struct mirror_job *job;
    char (*at)[MIRROR_NAME_MAX];
    size_t n;
    bool failed;
};

static void add_name(const char *mark, void *with)
{
    struct names *names = with;
    const char *name = host_read_mark(names->job, mark);
    if (!name)
        return;
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i], name) == 0)
            return;
    char(*more)[MIRROR_NAME_MAX] = realloc(names->at, (names->n + 1) * sizeof *more);
    if (!more) {
        names->failed = true;
        return;
    }
    names->at = more;
    (void)snprintf(more[names->n++], MIRROR_NAME_MAX, "%s", name);
}

/* Filters without a tunnel have the digest of a name only: most mirrors are called as the interface
 * is, and that can be tried. */
static void add_by_filters(const struct host *host, struct names *names)
{
    for (size_t i = 0; i < host->n_links; i++) {
        uint8_t mark[6];
        host_name_mark(host->links[i].name, mark);
        for (int d = LINUX_TC_IN; d <= LINUX_TC_OUT; d++) {
            struct linux_tc_filter *filters = NULL;
            size_t n = 0;
            struct err err;
            if (linux_tc_list(host->links[i].index, (enum linux_tc_direction)d, &filters, &n,
                              &err) < 0)
                continue;
            for (size_t k = 0; k < n; k++) {
                struct host_cookie cookie;
                if (host_read_cookie(filters[k].cookie, filters[k].cookie_size, &cookie) &&
                    memcmp(cookie.mirror, mark, sizeof mark) == 0)
                    add_name(host->links[i].name, names);
            }
            free(filters);
        }
    }
}

int host_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
               struct err *err)
{
    const struct host *host = job->state;
    struct names names = {.job = job};
    struct linux_nft_list tables = {0};
    struct linux_tee_list rules = {0};
    for (size_t i = 0; i < host->n_links; i++) {
        char name[MIRROR_NAME_MAX];
        bool owns;
        if (host_read_alias(host->links[i].alias, name, &owns))
            add_name(name, &names);
    }
    add_by_filters(host, &names);
    int result = linux_nft_find(NULL, &tables, err);
    for (size_t i = 0; result == 0 && i < tables.n; i++)
        add_name(tables.at[i].is.mirror, &names);
    if (result == 0)
        result = linux_tee_find(NULL, &rules, err);
    for (size_t i = 0; result == 0 && i < rules.n; i++)
        add_name(rules.at[i].is.mirror, &names);
    if (result == 0)
        result = host_carrier_names(add_name, &names, err);
    linux_nft_list_done(&tables);
    linux_tee_list_done(&rules);
    if (result == 0 && names.failed)
        result = err_set(err, -ENOMEM, "out of memory");
    if (result < 0) {
        free(names.at);
        return result;
    }
    *out = names.at;
    *out_n = names.n;
    return 0;
}
