/* Likely server ports: those that Zeek 8.0's default scripts register (likely_server_ports). */
#include "flow/ports.h"

#include <stddef.h>

static const uint16_t tcp_ports[] = {
    21,   22,   25,   53,   80,   81,   88,   135,  139,  143,  389,  443,  445,  502,   563,  585,
    587,  614,  631,  636,  989,  990,  992,  993,  995,  1080, 1434, 1883, 2811, 3128,  3268, 3306,
    3389, 5222, 5223, 5269, 5432, 6379, 6666, 6667, 6668, 6669, 8000, 8080, 8888, 20000,
};

static const uint16_t udp_ports[] = {
    53,   67,   88,   123,  137,  161,  162,  389,  443,  514,  1812,  2123,
    2152, 3389, 3544, 4011, 4789, 5060, 5072, 5353, 5355, 6081, 20000,
};

static bool has(const uint16_t *ports, size_t n, uint16_t port)
{
    for (size_t i = 0; i < n; i++)
        if (ports[i] == port)
            return true;
    return false;
}

bool port_is_server_tcp(uint16_t port)
{
    return has(tcp_ports, sizeof tcp_ports / sizeof tcp_ports[0], port);
}

bool port_is_server_udp(uint16_t port)
{
    return has(udp_ports, sizeof udp_ports / sizeof udp_ports[0], port);
}
