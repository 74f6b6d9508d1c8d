/* The doctor's checks of interfaces, queues, ways and ports. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/doctor.h"
#include "linux/firewall.h"
#include "linux/host.h"
#include "linux/interface.h"
#include "linux/port_owner.h"

#define WANTED_BUFFER                                                                              \
    (32u << 20) /* a quarter of a second at 1 Gbit/s, of what the kernel counts                    \
                 */
#define WANTED_BACKLOG 10000
#define FULL_FRAME     1514 /* what a machine with an MTU of 1500 sends, and its mirror wraps */

static void check_buffers(struct doctor *d)
{
    uint64_t most;
    char mend[128];
    if (!linux_sysctl("net/core/rmem_max", &most)) {
        doctor_unknown(d, "net.core.rmem_max cannot be read");
        return;
    }
    (void)snprintf(mend, sizeof mend, "sudo sysctl -w net.core.rmem_max=%u", WANTED_BUFFER);
    if (most >= WANTED_BUFFER)
        doctor_ok(d, "a socket may have %" PRIu64 " MiB (net.core.rmem_max)", most >> 20);
    else if (linux_capabilities() & (UINT64_C(1) << 12)) /* CAP_NET_ADMIN passes the limit */
        doctor_ok(d, "net.core.rmem_max is %" PRIu64 " KiB, which this user may exceed",
                  most >> 10);
    else
        doctor_warn(d, true, mend,
                    "a socket may have %" PRIu64 " KiB (net.core.rmem_max); a burst needs %u MiB",
                    most >> 10, WANTED_BUFFER >> 20);
}

static void check_backlog(struct doctor *d)
{
    uint64_t most;
    struct linux_softnet softnet;
    char mend[128];
    (void)snprintf(mend, sizeof mend, "sudo sysctl -w net.core.netdev_max_backlog=%u",
                   WANTED_BACKLOG);
    if (!linux_softnet(&softnet)) {
        doctor_unknown(d, "/proc/net/softnet_stat cannot be read");
        return;
    }
    if (!linux_sysctl("net/core/netdev_max_backlog", &most))
        most = 0; /* not every container may see it */
    if (softnet.n_dropped > 0)
        doctor_warn(d, true, mend,
                    "the kernel dropped %" PRIu64
                    " packets since its start, since the backlog of a "
                    "processor was full (netdev_max_backlog is %" PRIu64 ")",
                    softnet.n_dropped, most);
    else if (most && most < WANTED_BACKLOG)
        doctor_warn(d, false, mend,
                    "netdev_max_backlog is %" PRIu64
                    ", which a burst fills; nothing was dropped yet",
                    most);
    else
        doctor_ok(d, "no packet was dropped in the kernel's backlog");
    /* Squeezed turns are only a delay; many of them mean that the processor has too much to do. */
    if (softnet.n_packets > 100000 && softnet.n_squeezed > softnet.n_packets / 100)
        doctor_warn(d, false,
                    "sudo sysctl -w net.core.netdev_budget=1200 net.core.netdev_budget_usecs=8000",
                    "%" PRIu64 " turns of the kernel ended with packets left over (of %" PRIu64
                    " packets)",
                    softnet.n_squeezed, softnet.n_packets);
}

static void judge_loss(struct doctor *d, const struct linux_interface *f)
{
    char mend[200] = "";
    if (f->ring && f->ring < f->max_ring)
        (void)snprintf(mend, sizeof mend, "sudo ethtool -G %s rx %" PRIu32, f->name, f->max_ring);
    if (f->n_missed || f->n_fifo)
        doctor_warn(d, true, mend,
                    "%s lost %" PRIu64 " packets before the kernel had them (ring of %" PRIu32
                    " descriptors, at most %" PRIu32 ")",
                    f->name, f->n_missed > f->n_fifo ? f->n_missed : f->n_fifo, f->ring,
                    f->max_ring);
    else if (f->n_card_dropped)
        doctor_warn(d, true, mend, "%s counts %" PRIu64 " packets as %s (driver %s)", f->name,
                    f->n_card_dropped, f->card_counter, f->driver);
    else
        doctor_ok(d, "%s lost none of %" PRIu64 " packets", f->name, f->n_packets);
    /* Also those of protocols that nobody here speaks, so it is no proof of loss. */
    if (f->n_dropped > f->n_packets / 100 && f->n_dropped > 100)
        doctor_warn(d, false, "", "%s: the kernel passed over %" PRIu64 " of %" PRIu64 " packets",
                    f->name, f->n_dropped, f->n_packets);
}

static void judge_offloads(struct doctor *d, const struct linux_interface *f)
{
    char mend[128];
    if (f->lro == 1) {
        (void)snprintf(mend, sizeof mend, "sudo ethtool -K %s lro off", f->name);
        doctor_warn(d, true, mend,
                    "%s joins packets in the card (LRO): sizes and counts in the logs are wrong",
                    f->name);
    }
    if (f->gro_hw == 1 || f->gro == 1) {
        (void)snprintf(mend, sizeof mend, "sudo ethtool -K %s gro off", f->name);
        doctor_warn(
            d, false, mend,
            "%s joins packets (GRO): harmless for VXLAN and GENEVE to a socket, but watching "
            "the interface itself sees packets larger than were sent",
            f->name);
    }
    if (f->lro != 1 && f->gro != 1 && f->gro_hw != 1)
        doctor_ok(d, "%s gives packets as they came", f->name);
}

void doctor_judge_interface(struct doctor *d, const struct linux_interface *f)
{
    char mend[160];
    if (!f->is_up || !f->has_carrier) {
        (void)snprintf(mend, sizeof mend, "sudo ip link set %s up", f->name);
        doctor_warn(d, true, f->is_up ? "" : mend, "%s is %s", f->name,
                    f->is_up ? "up, but without a carrier" : "down");
        return;
    }
    judge_loss(d, f);
    judge_offloads(d, f);
    if (f->max_queues > 1 && f->n_queues == 1) {
        (void)snprintf(mend, sizeof mend, "sudo ethtool -L %s combined %" PRIu32, f->name,
                       f->max_queues);
        doctor_warn(d, false, mend,
                    "%s receives on one queue of %" PRIu32 ": one processor takes all packets",
                    f->name, f->max_queues);
    }
    if (f->rp_filter == 1) {
        (void)snprintf(mend, sizeof mend,
                       "sudo sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.%s.rp_filter=2",
                       f->name);
        doctor_warn(d, false, mend,
                    "%s drops packets whose sender is reached by another interface (rp_filter is "
                    "strict)",
                    f->name);
    }
}

static void check_interfaces(struct doctor *d)
{
    for (size_t i = 0; i < d->n_interfaces; i++) {
        struct linux_interface facts;
        struct err err;
        if (linux_interface_facts(d->interfaces[i], &facts, &err) < 0)
            doctor_unknown(d, "%s", err.text);
        else
            doctor_judge_interface(d, &facts);
    }
    if (d->n_interfaces == 0)
        doctor_warn(d, true, "ip link", "no interface is up");
}

/* What the wrapping adds to a full frame: outer IP, UDP, and the mirror's own header. */
/* An interface that nobody says to be the mirror's (then `interface` is set) is only a hint. */
static void judge_mtu(struct doctor *d, const char *where, uint32_t mtu, const char *interface)
{
    static const struct {
        const char *name;
        uint32_t size;
    } wraps[] = {{"VXLAN", 36}, {"VXLAN of tagged frames", 40}, {"VXLAN over IPv6", 56}};
    uint32_t need = FULL_FRAME + wraps[2].size;
    char mend[160] = "", fits[160] = "";
    for (int i = 0; i < 3; i++) {
        if (mtu < FULL_FRAME + wraps[i].size)
            (void)snprintf(fits + strlen(fits), sizeof fits - strlen(fits), "%s%s needs %u",
                           *fits ? ", " : "", wraps[i].name, FULL_FRAME + wraps[i].size);
    }
    if (interface)
        (void)snprintf(mend, sizeof mend,
                       "sudo ip link set %s mtu 9000    # here and on all machines of the way, or\n"
                       "lower the monitored machines' MTU to %" PRIu32,
                       interface, mtu > need - 1500 ? mtu - (need - 1500) : 0);
    if (*fits)
        doctor_warn(d, !interface, mend,
                    "%s has an MTU of %" PRIu32 ": full packets of 1500 arrive in fragments or cut "
                    "(%s)",
                    where, mtu, fits);
    else
        doctor_ok(d, "%s has an MTU of %" PRIu32 ", enough for wrapped packets of 1500", where,
                  mtu);
}

static void check_mtu(struct doctor *d)
{
    struct linux_interface facts;
    struct err err;
    for (size_t i = 0; i < d->n_interfaces; i++)
        if (linux_interface_facts(d->interfaces[i], &facts, &err) == 0)
            judge_mtu(d, facts.name, facts.mtu, facts.name);
}

static void check_way(struct doctor *d)
{
    if (!d->has_from)
        return;
    char from[ADDR_TEXT_MAX + 1], where[160];
    from[addr_format(&d->from, from)] = '\0';
    struct linux_route route;
    struct linux_interface facts;
    struct err err;
    if (linux_route_to(&d->from, &route, &err) < 0) {
        doctor_warn(d, true, "ip route", "%s", err.text);
        return;
    }
    if (linux_interface_facts(route.interface, &facts, &err) < 0) {
        doctor_unknown(d, "%s", err.text);
        return;
    }
    uint32_t mtu = route.mtu && route.mtu < facts.mtu ? route.mtu : facts.mtu;
    (void)snprintf(where, sizeof where, "the way to %s (by %s)", from, route.interface);
    judge_mtu(d, where, mtu, NULL);
    if (d->interface && strcmp(d->interface, route.interface) != 0)
        doctor_warn(d, facts.rp_filter == 1, "ip route get ADDR", "%s is reached by %s, not by %s",
                    from, route.interface, d->interface);
}

static void check_ports(struct doctor *d)
{
    for (size_t i = 0; d->ports[i]; i++) {
        struct linux_owner owner;
        char text[96], mend[128];
        linux_find_port_owner(d->ports[i], &owner);
        if (!linux_port_owner(d->ports[i], text, sizeof text)) {
            doctor_ok(d, "UDP port %u is free", d->ports[i]);
            continue;
        }
        bool ours = owner.kind == LINUX_OWNER_PROGRAM && strcmp(owner.name, "cloudspan") == 0;
        if (owner.kind == LINUX_OWNER_DEVICE)
            (void)snprintf(mend, sizeof mend, "sudo ip link del %s    # if nothing else needs it",
                           owner.name);
        else if (owner.kind == LINUX_OWNER_PROGRAM)
            (void)snprintf(mend, sizeof mend, "kill %d    # if nothing else needs it",
                           (int)owner.pid);
        else
            (void)snprintf(mend, sizeof mend, "sudo ss -lunp sport = :%u", d->ports[i]);
        if (owner.n_dropped)
            doctor_warn(d, true, ours ? "sudo sysctl -w net.core.rmem_max=33554432" : "",
                        "the sockets of UDP port %u (%s) dropped %" PRIu64 " packets", d->ports[i],
                        text, owner.n_dropped);
        if (ours)
            doctor_ok(d, "UDP port %u is held by %s", d->ports[i], text);
        else
            doctor_warn(d, true, mend, "UDP port %u is held by %s: watch cannot listen there",
                        d->ports[i], text);
    }
}

static void check_firewall(struct doctor *d)
{
    for (size_t i = 0; d->ports[i]; i++) {
        struct linux_firewall f;
        struct err err;
        char mend[300];
        int result = linux_firewall(d->ports[i], &f, &err);
        if (result == -ENOENT) {
            doctor_unknown(d,
                           "nft is not installed: a firewall of another kind may drop UDP port %u",
                           d->ports[i]);
            return;
        }
        if (result < 0) {
            doctor_unknown(d, "%s; sudo cloudspan doctor can", err.text);
            return;
        }
        (void)snprintf(mend, sizeof mend, "sudo nft insert rule %s %s %s udp dport %u accept",
                       f.family, f.table, f.chain, d->ports[i]);
        if (f.verdict == LINUX_FIREWALL_DROPS)
            doctor_warn(d, true, mend, "a rule of %s %s drops UDP port %u", f.family, f.table,
                        d->ports[i]);
        else if (f.verdict == LINUX_FIREWALL_CLOSED)
            doctor_warn(d, true, mend,
                        "no rule of %s %s accepts UDP port %u, and its policy is drop", f.family,
                        f.table, d->ports[i]);
        else
            doctor_ok(d, "no rule of nftables drops UDP port %u", d->ports[i]);
    }
}

static void check_conntrack(struct doctor *d)
{
    uint64_t now, most;
    if (!linux_sysctl("net/netfilter/nf_conntrack_count", &now) ||
        !linux_sysctl("net/netfilter/nf_conntrack_max", &most)) {
        doctor_ok(d, "this machine follows no connections of its own");
        return;
    }
    if (now >= most - most / 10)
        doctor_warn(d, true,
                    "sudo nft add table ip raw '{ chain pre { type filter hook prerouting priority "
                    "raw; udp dport { 4789, 6081 } notrack; }; }'",
                    "the firewall follows %" PRIu64 " of at most %" PRIu64
                    " connections, and drops what is new when it is full",
                    now, most);
    else
        doctor_ok(d, "the firewall follows %" PRIu64 " of at most %" PRIu64 " connections", now,
                  most);
}

const struct doctor_check doctor_network_checks[] = {
    {"buffers", "receive buffers of sockets", check_buffers},
    {"backlog", "the kernel's queue before sockets", check_backlog},
    {"interface", "what the interfaces lose or change", check_interfaces},
    {"mtu", "room for wrapped packets", check_mtu},
    {"way", "the way from a sender", check_way},
    {"ports", "who holds the ports", check_ports},
    {"firewall", "what the firewall drops", check_firewall},
    {"conntrack", "the table of followed connections", check_conntrack},
    {0}};
