/* The owner of a UDP port: see port_owner.h. */
#include "linux/port_owner.h"

#include <dirent.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux/rtnl.h"
#include "linux/text.h"

struct search {
    uint16_t port;
    struct linux_owner *out;
};

/* The port of a tunnel device; 0: it has none. Its kind comes before its data. */
static uint16_t tunnel_port(struct reader info, char *kind, size_t size)
{
    uint16_t type, port = 0;
    struct reader value;
    while (rtnl_next(&info, &type, &value)) {
        if (type == IFLA_INFO_KIND)
            rtnl_text(value, kind, size);
        if (type != IFLA_INFO_DATA)
            continue;
        uint16_t want = strcmp(kind, "vxlan") == 0    ? IFLA_VXLAN_PORT
                        : strcmp(kind, "geneve") == 0 ? IFLA_GENEVE_PORT
                                                      : 0;
        struct reader data = value, one;
        while (want && rtnl_next(&data, &type, &one))
            if (type == want)
                port = rd_be16(&one);
    }
    return port;
}

static void take_link(uint16_t message, struct reader body, void *with)
{
    struct search *s = with;
    struct reader value;
    uint16_t type, port = 0;
    char name[32] = "", kind[16] = "";
    rd_skip(&body, 8); /* family, type, index */
    uint32_t flags = rtnl_u32(&body);
    rd_skip(&body, 4);
    while (rtnl_next(&body, &type, &value)) {
        if (type == IFLA_IFNAME)
            rtnl_text(value, name, sizeof name);
        if (type == IFLA_LINKINFO)
            port = tunnel_port(value, kind, sizeof kind);
    }
    /* A device that is down has no socket. */
    if (message != RTM_NEWLINK || port != s->port || !(flags & IFF_UP))
        return;
    s->out->kind = LINUX_OWNER_DEVICE;
    memcpy(s->out->name, name, sizeof name);
    memcpy(s->out->device_kind, kind, sizeof kind);
}

bool linux_parse_udp_socket(const char *line, struct linux_udp_socket *out)
{
    /* sl: local:port remote:port st tx:rx tr:when retries uid timeout inode ref pointer drops */
    const char *at = strchr(line, ':'), *end = strchr(line, '\n');
    uint64_t port, inode, dropped = 0, ignored;
    if (!at || (end && at > end))
        return false;
    at++;
    at += strspn(at, " ");
    at += strspn(at, "0123456789ABCDEFabcdef"); /* too long for a number in udp6 */
    if (*at != ':' || !text_number(&at, 16, &port) || port > UINT16_MAX)
        return false;
    /* remote, st, tx:rx, tr:when, retries, uid, timeout */
    for (int i = 0; i < 7; i++) {
        at += strspn(at, " ");
        size_t len = strcspn(at, " \n");
        if (len == 0)
            return false;
        at += len;
    }
    if (!text_number(&at, 10, &inode) || !text_number(&at, 10, &ignored))
        return false;
    at += strspn(at, " ");
    at += strcspn(at, " \n");
    (void)text_number(&at, 10, &dropped); /* older kernels have none */
    *out = (struct linux_udp_socket){(uint16_t)port, inode, dropped};
    return true;
}

/* Whose descriptor the socket is; false where no process that we may look into has it. */
static bool find_process(uint64_t inode, struct linux_owner *out)
{
    char want[48], path[300], link[64];
    (void)snprintf(want, sizeof want, "socket:[%llu]", (unsigned long long)inode);
    bool found = false;
    DIR *processes = opendir("/proc");
    for (struct dirent *p; processes && !found && (p = readdir(processes));) {
        const char *at = p->d_name;
        uint64_t pid;
        if (!text_number(&at, 10, &pid) || *at)
            continue;
        (void)snprintf(path, sizeof path, "/proc/%llu/fd", (unsigned long long)pid);
        DIR *fds = opendir(path);
        for (struct dirent *f; fds && !found && (f = readdir(fds));) {
            ssize_t n = readlinkat(dirfd(fds), f->d_name, link, sizeof link - 1);
            link[n > 0 ? n : 0] = '\0';
            found = strcmp(link, want) == 0;
        }
        if (fds)
            closedir(fds);
        if (!found)
            continue;
        (void)snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
        if (text_read(path, out->name, sizeof out->name) <= 0)
            (void)snprintf(out->name, sizeof out->name, "a program");
        out->pid = (pid_t)pid;
    }
    if (processes)
        closedir(processes);
    return found;
}

void linux_find_port_owner(uint16_t port, struct linux_owner *out)
{
    static const char *const tables[] = {"/proc/net/udp", "/proc/net/udp6"};
    *out = (struct linux_owner){0};
    uint64_t inode = 0;
    for (int i = 0; i < 2; i++) {
        char *text = text_read_all(tables[i]);
        for (const char *line = text; line; line = text_next_line(line)) {
            struct linux_udp_socket one;
            if (!linux_parse_udp_socket(line, &one) || one.port != port)
                continue;
            out->kind = LINUX_OWNER_UNKNOWN;
            out->n_dropped += one.n_dropped;
            if (one.inode)
                inode = one.inode;
        }
        free(text);
    }
    if (inode && find_process(inode, out)) {
        out->kind = LINUX_OWNER_PROGRAM;
        return;
    }
    struct ifinfomsg all = {.ifi_family = AF_UNSPEC};
    struct search search = {.port = port, .out = out};
    /* Without an answer the table above has said that it is held, and not by whom. */
    (void)!rtnl_ask(RTM_GETLINK, NLM_F_DUMP, &all, sizeof all, take_link, &search, NULL);
}

bool linux_port_owner(uint16_t port, char *out, size_t size)
{
    struct linux_owner owner;
    linux_find_port_owner(port, &owner);
    out[0] = '\0';
    switch (owner.kind) {
    case LINUX_OWNER_NOBODY:
        return false;
    case LINUX_OWNER_DEVICE:
        (void)snprintf(out, size, "the kernel's %s device %s", owner.device_kind, owner.name);
        return true;
    case LINUX_OWNER_PROGRAM:
        (void)snprintf(out, size, "%s (pid %d)", owner.name, (int)owner.pid);
        return true;
    case LINUX_OWNER_UNKNOWN:
        (void)snprintf(out, size, "a program of another user");
        return true;
    }
    return false;
}
