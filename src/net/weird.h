/* Notes on a packet what is odd about it, while it is taken apart. */
#ifndef NET_WEIRD_H
#define NET_WEIRD_H

#include "net/packet.h"

/* `source` as weird.log has it, or NULL. With `has_addr` the addresses are those of the packet's
 * IP header, which was decoded. */
void weird_add(struct packet *packet, const char *name, const char *source, bool has_addr);

/* The same, with a text for weird.log's addl. */
void weird_add_text(struct packet *packet, const char *name, const char *source, bool has_addr,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
