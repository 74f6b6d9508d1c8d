/* Which UDP ports are those of tunnels in the monitored traffic: see stack.h. Asked for every UDP
 * packet, so the answer is one bit of 8 KiB for most. */
#include "tunnel/stack.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

#define N_PORTS     65536
#define N_OF(array) (sizeof(array) / sizeof(array)[0])

/* Filled once before main, and only read afterwards: one bit a port, then the list is asked. */
static uint64_t monitored_ports[N_PORTS / 64];

__attribute__((constructor)) static void fill_monitored_ports(void)
{
    for (size_t i = 0; tunnel_decoders[i]; i++) {
        const uint16_t *ports = tunnel_decoders[i]->zeek_ports;
        for (size_t p = 0; p < N_OF(tunnel_decoders[i]->zeek_ports) && ports[p] != 0; p++)
            monitored_ports[ports[p] / 64] |= 1ull << (ports[p] % 64);
    }
}

static const struct tunnel_decoder *monitored(uint16_t port)
{
    for (size_t i = 0; tunnel_decoders[i]; i++) {
        const uint16_t *ports = tunnel_decoders[i]->zeek_ports;
        for (size_t p = 0; p < N_OF(tunnel_decoders[i]->zeek_ports) && ports[p] != 0; p++)
            if (ports[p] == port)
                return tunnel_decoders[i];
    }
    return NULL;
}

const struct tunnel_decoder *stack_udp_tunnel(uint16_t sport, uint16_t dport)
{
    if (unlikely(monitored_ports[dport / 64] >> (dport % 64) & 1))
        return monitored(dport);
    if (unlikely(monitored_ports[sport / 64] >> (sport % 64) & 1))
        return monitored(sport);
    return NULL;
}
