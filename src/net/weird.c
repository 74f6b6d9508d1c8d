/* The list of what is odd about a packet: see weird.h. What does not fit is dropped: a packet with
 * more than eight faults is made up. */
#include "net/weird.h"

#include <stdarg.h>
#include <stdio.h>

static struct packet_weird *add(struct packet *packet, const char *name, const char *source,
                                bool has_addr)
{
    if (packet->n_weirds == PACKET_MAX_WEIRDS)
        return NULL;
    struct packet_weird *weird = &packet->weirds[packet->n_weirds++];
    weird->name = name;
    weird->source = source;
    /* Zeek reports those without a source past the code that knows of tunnels. */
    weird->in_tunnel = source && packet->n_layers > packet->n_mirror;
    weird->has_addr = has_addr;
    if (has_addr) {
        weird->src = packet->src;
        weird->dst = packet->dst;
    }
    weird->addl[0] = '\0';
    if (packet->n_weirds == 1)
        packet->weird = name;
    return weird;
}

void weird_add(struct packet *packet, const char *name, const char *source, bool has_addr)
{
    (void)add(packet, name, source, has_addr); /* NULL: the list is full */
}

void weird_add_text(struct packet *packet, const char *name, const char *source, bool has_addr,
                    const char *format, ...)
{
    struct packet_weird *weird = add(packet, name, source, has_addr);
    if (!weird)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(weird->addl, sizeof weird->addl, format, args); /* cut is fine */
    va_end(args);
}
