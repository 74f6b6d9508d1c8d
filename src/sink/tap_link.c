/* Asks the kernel about an interface (rtnetlink), and turns off all that would make the machine act
 * on what comes from it: see tap_link.h. */
#include "sink/tap_link.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
    struct nlmsghdr head;
    struct ifinfomsg info;
    struct rtattr name_head;
    char name[IFNAMSIZ];
};

static int ask(const char *name, int index, uint8_t *out, size_t room, ssize_t *out_size)
{
    struct request request = {
        .head = {.nlmsg_len = sizeof request,
                 .nlmsg_type = RTM_GETLINK,
                 .nlmsg_flags = NLM_F_REQUEST},
        .info = {.ifi_index = index},
        .name_head = {.rta_len = sizeof(struct rtattr) + IFNAMSIZ, .rta_type = IFLA_IFNAME},
    };
    if (name)
        (void)snprintf(request.name, sizeof request.name, "%s", name);
    else
        request.head.nlmsg_len = NLMSG_LENGTH(sizeof request.info);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    int result = 0;
    if (send(fd, &request, request.head.nlmsg_len, 0) < 0 ||
        (*out_size = recv(fd, out, room, 0)) < 0)
        result = -errno;
    close(fd);
    return result;
}

static void take_kind(struct rtattr *info, struct tap_link *out)
{
    int left = (int)RTA_PAYLOAD(info);
    for (struct rtattr *a = RTA_DATA(info); RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == IFLA_INFO_KIND)
            (void)snprintf(out->kind, sizeof out->kind, "%.*s", (int)RTA_PAYLOAD(a),
                           (const char *)RTA_DATA(a));
}

static void take_attributes(struct rtattr *first, int left, struct tap_link *out)
{
    bool peer_is_elsewhere = false;
    for (struct rtattr *a = first; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        int number = 0;
        if (RTA_PAYLOAD(a) >= sizeof number)
            memcpy(&number, RTA_DATA(a), sizeof number);
        switch (a->rta_type) {
        case IFLA_IFNAME:
            (void)snprintf(out->name, sizeof out->name, "%.*s", (int)RTA_PAYLOAD(a),
                           (const char *)RTA_DATA(a));
            break;
        case IFLA_MTU:
            out->mtu = (uint32_t)number;
            break;
        case IFLA_MASTER:
            out->master = number;
            break;
        case IFLA_LINK:
            out->peer = number;
            break;
        case IFLA_LINK_NETNSID:
            peer_is_elsewhere = true;
            break;
        case IFLA_LINKINFO:
            take_kind(a, out);
            break;
        default:
            break;
        }
    }
    if (peer_is_elsewhere || strcmp(out->kind, "veth") != 0)
        out->peer = 0;
}

int tap_link_find(const char *name, int index, struct tap_link *out, struct err *err)
{
    _Alignas(struct nlmsghdr) uint8_t answer[16384];
    struct tap_link found = {0};
    ssize_t size = 0;
    int result = ask(name, index, answer, sizeof answer, &size);
    if (result < 0)
        return err_set(err, result, "interface %s: %s", name ? name : "?", strerror(-result));
    struct nlmsghdr *head = (struct nlmsghdr *)answer;
    if (!NLMSG_OK(head, (uint32_t)size))
        return err_set(err, -EPROTO, "interface %s: the kernel's answer is cut", name ? name : "?");
    if (head->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(head);
        result = error->error < 0 ? error->error : -EPROTO;
        return err_set(err, result, "interface %s: %s", name ? name : "?", strerror(-result));
    }
    const struct ifinfomsg *info = NLMSG_DATA(head);
    found.index = info->ifi_index;
    take_attributes((struct rtattr *)((uint8_t *)NLMSG_DATA(head) + NLMSG_ALIGN(sizeof *info)),
                    (int)IFLA_PAYLOAD(head), &found);
    *out = found;
    return 0;
}

static bool is_link_local(const struct sockaddr *address)
{
    struct sockaddr_in6 in6;
    if (address->sa_family != AF_INET6)
        return false;
    memcpy(&in6, address, sizeof in6);
    return IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr); /* the kernel's own: goes with IPv6 */
}

static int check_addresses(const char *name, struct err *err)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return err_set(err, -errno, "interface %s: its addresses: %s", name, strerror(errno));
    bool has = false;
    for (const struct ifaddrs *a = all; a; a = a->ifa_next)
        if (a->ifa_addr && strcmp(a->ifa_name, name) == 0 &&
            (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6))
            has = has || !is_link_local(a->ifa_addr);
    freeifaddrs(all);
    if (has)
        return err_set(err, -EINVAL,
                       "interface %s has an IP address: this machine would answer mirrored "
                       "packets; give --tap an interface without one",
                       name);
    return 0;
}

static int check_one(const struct tap_link *link, struct err *err)
{
    if (link->master)
        return err_set(err, -EINVAL,
                       "interface %s belongs to a bridge (or a bond): mirrored packets would get "
                       "into a real network; take it out, or give --tap another",
                       link->name);
    return check_addresses(link->name, err);
}

int tap_link_check(const struct tap_link *link, struct err *err)
{
    struct tap_link peer;
    int result = check_one(link, err);
    if (result < 0 || link->peer == 0)
        return result;
    result = tap_link_find(NULL, link->peer, &peer, err);
    if (result == 0)
        result = check_one(&peer, err);
    if (result < 0)
        err_wrap(err, "interface %s: its other end", link->name);
    return result;
}

/* One value below /proc/sys/net; false: it is not what it should be. No file: there is no IPv6. */
static bool set_value(const char *family, const char *name, const char *key, char value)
{
    char path[128], now = 0;
    (void)snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", family, name, key);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return true;
    if (fd < 0)
        fd = open(path, O_RDONLY | O_CLOEXEC); /* a container's: perhaps it is right already */
    if (fd < 0)
        return false;
    bool good = pread(fd, &now, 1, 0) == 1 && now == value;
    if (!good)
        good = write(fd, &value, 1) == 1;
    close(fd);
    return good;
}

static const struct {
    const char *family, *key;
    char value;
} deaf[] = {
    {"ipv6", "disable_ipv6", '1'},        {"ipv4", "rp_filter", '1'},
    {"ipv4", "forwarding", '0'},          {"ipv4", "accept_local", '0'},
    {"ipv4", "route_localnet", '0'},      {"ipv4", "arp_ignore", '8'},
    {"ipv4", "accept_redirects", '0'},    {"ipv4", "send_redirects", '0'},
    {"ipv4", "src_valid_mark", '0'},      {"ipv4", "proxy_arp", '0'},
    {"ipv4", "accept_source_route", '0'},
};

static int make_deaf(const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof deaf / sizeof *deaf; i++)
        if (!set_value(deaf[i].family, name, deaf[i].key, deaf[i].value))
            return err_set(err, -EPERM,
                           "interface %s: cannot set net.%s.conf.%s.%s to %c, without which this "
                           "machine may act on mirrored packets",
                           name, deaf[i].family, name, deaf[i].key, deaf[i].value);
    return 0;
}

static int set_flags(int fd, struct ifreq *request)
{
    if (ioctl(fd, SIOCGIFFLAGS, request) < 0)
        return -errno;
    request->ifr_flags |= IFF_UP | IFF_NOARP;
    return ioctl(fd, SIOCSIFFLAGS, request) < 0 ? -errno : 0;
}

int tap_link_prepare(const struct tap_link *link, uint32_t mtu, struct err *err)
{
    struct tap_link peer;
    int result = make_deaf(link->name, err);
    if (result == 0 && link->peer) {
        result = tap_link_find(NULL, link->peer, &peer, err);
        if (result == 0)
            result = make_deaf(peer.name, err);
    }
    if (result < 0)
        return result;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, -errno, "interface %s: %s", link->name, strerror(errno));
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", link->name);
    request.ifr_mtu = (int)mtu;
    if (mtu && ioctl(fd, SIOCSIFMTU, &request) < 0)
        result = err_set(err, -errno, "interface %s: MTU %u: %s", link->name, mtu, strerror(errno));
    if (result == 0 && (result = set_flags(fd, &request)) < 0)
        (void)err_set(err, result, "interface %s: cannot set it up: %s", link->name,
                      strerror(-result));
    close(fd);
    return result;
}
