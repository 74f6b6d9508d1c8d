/* Ports on which servers are likely: used to guess who opened a connection whose start was missed.
 */
#ifndef FLOW_PORTS_H
#define FLOW_PORTS_H

#include <stdbool.h>
#include <stdint.h>

bool port_is_server_tcp(uint16_t port);
bool port_is_server_udp(uint16_t port);

#endif
