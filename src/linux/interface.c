/* Facts of an interface, by ethtool's ioctls and /sys: see interface.h. */
#include "linux/interface.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/text.h"

#define MAX_COUNTERS 4096

static bool take_address(const struct sockaddr *from, struct addr *out)
{
    if (!from)
        return false;
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        uint8_t bytes[4];
        memcpy(&in, from, sizeof in);
        memcpy(bytes, &in.sin_addr, sizeof bytes);
        *out = addr_v4(bytes);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, from, sizeof in);
        *out = addr_v6(in.sin6_addr.s6_addr);
        return true;
    }
    return false;
}

size_t linux_own_addresses(struct addr *out, size_t max)
{
    struct ifaddrs *list = NULL;
    size_t n = 0;
    if (getifaddrs(&list) < 0)
        return 0;
    for (struct ifaddrs *one = list; one && n < max; one = one->ifa_next)
        if ((one->ifa_flags & IFF_UP) && take_address(one->ifa_addr, &out[n]))
            n++;
    freeifaddrs(list);
    return n;
}

static bool is_link_local(const struct addr *a)
{
    if (addr_is_v4(a))
        return a->b[12] == 169 && a->b[13] == 254;
    return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

size_t linux_addresses_of(const char *interface, char (*out)[48], size_t max)
{
    struct ifaddrs *list = NULL;
    size_t n = 0;
    if (getifaddrs(&list) < 0)
        return 0;
    for (struct ifaddrs *one = list; one && n < max; one = one->ifa_next) {
        struct addr addr;
        if (strcmp(one->ifa_name, interface) == 0 && take_address(one->ifa_addr, &addr) &&
            !is_link_local(&addr)) {
            out[n][addr_format(&addr, out[n])] = '\0';
            n++;
        }
    }
    freeifaddrs(list);
    return n;
}

size_t linux_interfaces(char (*out)[16], size_t max)
{
    struct if_nameindex *list = if_nameindex();
    size_t n = 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (struct if_nameindex *one = list; one && one->if_index && n < max; one++) {
        struct ifreq request = {0};
        (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", one->if_name);
        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
            continue;
        if ((request.ifr_flags & IFF_UP) && !(request.ifr_flags & IFF_LOOPBACK))
            memcpy(out[n++], request.ifr_name, 16);
    }
    if (fd >= 0)
        close(fd);
    if_freenameindex(list);
    return n;
}

static bool ask_card(int fd, const char *name, void *question)
{
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", name);
    request.ifr_data = question;
    return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

static int flag_of(int fd, const char *name, uint32_t command, uint32_t bit)
{
    struct ethtool_value value = {.cmd = command};
    if (!ask_card(fd, name, &value))
        return -1;
    return (value.data & bit) != 0;
}

bool linux_counts_loss(const char *counter)
{
    static const char *const loss[] = {
        "drop",     "miss",          "no_buf", "nobuf",   "discard",
        "overflow", "out_of_buffer", "fifo",   "no_desc", "allowance_exceeded"};
    static const char *const other[] = {"tx_", "tx-", "xdp", "_tx", ".tx"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (strcasestr(counter, other[i]))
            return false;
    for (size_t i = 0; i < sizeof loss / sizeof *loss; i++)
        if (strcasestr(counter, loss[i]))
            return true;
    return false;
}

static void read_counters(int fd, struct linux_interface *out)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    if (!ask_card(fd, out->name, &driver))
        return;
    (void)snprintf(out->driver, sizeof out->driver, "%.31s", driver.driver);
    uint32_t n = driver.n_stats;
    if (n == 0 || n > MAX_COUNTERS)
        return;
    struct ethtool_gstrings *names = calloc(1, sizeof *names + (size_t)n * ETH_GSTRING_LEN);
    struct ethtool_stats *values = calloc(1, sizeof *values + (size_t)n * sizeof(uint64_t));
    if (names && values) {
        *names = (struct ethtool_gstrings){
            .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = n};
        *values = (struct ethtool_stats){.cmd = ETHTOOL_GSTATS, .n_stats = n};
        if (ask_card(fd, out->name, names) && ask_card(fd, out->name, values)) {
            for (uint32_t i = 0; i < n && i < names->len && i < values->n_stats; i++) {
                char name[ETH_GSTRING_LEN + 1] = "";
                memcpy(name, names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
                if (values->data[i] > out->n_card_dropped && linux_counts_loss(name)) {
                    out->n_card_dropped = values->data[i];
                    (void)snprintf(out->card_counter, sizeof out->card_counter, "%.31s", name);
                }
            }
        }
    }
    free(names);
    free(values);
}

static uint64_t counter_of(const char *interface, const char *name)
{
    char path[96];
    uint64_t n = 0;
    (void)snprintf(path, sizeof path, "/sys/class/net/%.15s/statistics/%.40s", interface, name);
    return text_read_number(path, &n) ? n : 0;
}

static int filter_of(const char *interface)
{
    /* The stricter of "all" and the interface's own holds. */
    const char *const names[] = {"all", interface};
    int most = -1;
    for (int i = 0; i < 2; i++) {
        char path[96];
        uint64_t n;
        (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%.15s/rp_filter", names[i]);
        if (text_read_number(path, &n) && n <= 2 && (int)n > most)
            most = (int)n;
    }
    return most;
}

int linux_interface_facts(const char *name, struct linux_interface *out, struct err *err)
{
    struct linux_interface facts = {.gro = -1, .lro = -1, .gro_hw = -1, .rx_vlan = -1};
    struct ifreq request = {0};
    size_t len = strlen(name);
    if (len == 0 || len >= sizeof facts.name || strchr(name, '/'))
        return err_set(err, -EINVAL, "%s is no name of an interface", name);
    memcpy(facts.name, name, len);
    memcpy(request.ifr_name, facts.name, sizeof facts.name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket: %s", strerror(errno));
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
        int code = -errno;
        close(fd);
        return err_set(err, code, "interface %s: %s", name, strerror(-code));
    }
    facts.is_up = request.ifr_flags & IFF_UP;
    facts.has_carrier = request.ifr_flags & IFF_RUNNING;
    facts.is_loopback = request.ifr_flags & IFF_LOOPBACK;
    if (ioctl(fd, SIOCGIFMTU, &request) == 0)
        facts.mtu = (uint32_t)request.ifr_mtu;
    facts.gro = flag_of(fd, name, ETHTOOL_GGRO, 1);
    facts.lro = flag_of(fd, name, ETHTOOL_GFLAGS, ETH_FLAG_LRO);
    facts.rx_vlan = flag_of(fd, name, ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN);
    struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
    if (ask_card(fd, name, &ring)) {
        facts.ring = ring.rx_pending;
        facts.max_ring = ring.rx_max_pending;
    }
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    if (ask_card(fd, name, &channels)) {
        facts.n_queues = channels.rx_count + channels.combined_count;
        facts.max_queues = channels.max_rx + channels.max_combined;
    }
    read_counters(fd, &facts);
    close(fd);
    facts.n_packets = counter_of(name, "rx_packets");
    facts.n_dropped = counter_of(name, "rx_dropped");
    facts.n_missed = counter_of(name, "rx_missed_errors");
    facts.n_errors = counter_of(name, "rx_errors");
    facts.n_fifo = counter_of(name, "rx_fifo_errors");
    facts.rp_filter = filter_of(name);
    *out = facts;
    return 0;
}
