/* A finding's ends: see tell.h. */
#include "hunt/tell.h"

#include <stdio.h>

/* A share of lost packets from which on it is said. */
#define LOSS_SAID 0.01

static void put(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
}

static void lower_by_loss(const struct hunt_judge *judge, struct finding *finding,
                          const struct hunt_host *host)
{
    double loss = hunt_loss_of(judge, host);
    if (loss < LOSS_SAID)
        return;
    finding->confidence *= 1 - (loss < 0.9 ? loss : 0.9);
    finding_because(finding, "%.0f %% of the packets of %s were lost on their way here", loss * 100,
                    tell_addr(&host->addr).at);
}

void tell_source(const struct hunt_judge *judge, struct finding *finding,
                 const struct hunt_host *host)
{
    finding->src = *host;
    finding->has_src = true;
    put(finding->src_machine, sizeof finding->src_machine, hunt_machine_of(judge, host));
    put(finding->src_network, sizeof finding->src_network, hunt_network_of(judge, host->network));
    lower_by_loss(judge, finding, host);
}

void tell_destination(const struct hunt_judge *judge, struct finding *finding,
                      const struct hunt_host *host)
{
    finding->dst = *host;
    finding->has_dst = true;
    put(finding->dst_machine, sizeof finding->dst_machine, hunt_machine_of(judge, host));
}

void tell_name(struct finding *finding, struct str name)
{
    (void)snprintf(finding->name, sizeof finding->name, "%.*s", (int)str_upto(name, 255).len,
                   name.at ? name.at : "");
}

void tell_port(struct finding *finding, uint16_t port, uint8_t proto, struct str service)
{
    const char *words = proto == HUNT_TCP    ? "tcp"
                        : proto == HUNT_UDP  ? "udp"
                        : proto == HUNT_ICMP ? "icmp"
                                             : "other";
    (void)snprintf(finding->ports, sizeof finding->ports, "%u:%s:%.*s", (unsigned)port, words,
                   service.len > 0 ? (int)str_upto(service, 64).len : 0,
                   service.at ? service.at : "");
}

struct tell_text tell_addr(const struct addr *addr)
{
    struct tell_text text;
    text.at[addr_format(addr, text.at)] = '\0';
    return text;
}

struct tell_words tell_words(struct str text)
{
    struct tell_words words = {{0}};
    uint32_t n = 0;
    for (; n < text.len && n + 1 < sizeof words.at; n++) {
        char c = text.at[n];
        words.at[n] = c >= ' ' && c != 0x7f ? c : '?';
    }
    words.at[n] = '\0';
    return words;
}
