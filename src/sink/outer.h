/* What is around a packet that is sent to another collector: the VXLAN or GENEVE header, and the
 * sockets of UDP that it leaves by.
 *
 *     +-+-+-+-+-+-+-+-+---------------+     +---+-----------+-+-+-----------+---------------+
 *     |0 0 0 0 1 0 0 0|  0            |     | 0 |  Opt len  |0|0|     0     | Protocol type |
 *     +---------------+-------+-------+     +---+-----------+-+-+-----------+-------+-------+
 *     |         VNI           |   0   |     |                VNI                    |   0   |
 *     +-----------------------+-------+     +---------------------------------------+-------+
 *     :  RFC 7348: Ethernet frame     :     :  RFC 8926: options, then the packet           :
 */
#ifndef SINK_OUTER_H
#define SINK_OUTER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define OUTER_SIZE        8 /* of either header, without options */
#define OUTER_TYPE_BRIDGE 0x6558

void outer_put_vxlan(uint32_t vni, uint8_t out[OUTER_SIZE]);
/* `options_size` in bytes, a multiple of 4; `protocol`: OUTER_TYPE_BRIDGE, or an EtherType. */
void outer_put_geneve(uint32_t vni, uint16_t protocol, uint32_t options_size,
                      uint8_t out[OUTER_SIZE]);

/* Which of several sockets a packet leaves by: the same for both directions of a connection; for
 * what is none, the same for a pair of hosts. `link`: enum link_type. */
uint32_t outer_hash(uint16_t link, const uint8_t *bytes, uint32_t size);

/* FNV-1a of more bytes. NULL: none. */
#define OUTER_HASH_START 2166136261u
uint32_t outer_hash_bytes(uint32_t hash, const void *bytes, size_t size);

/* A socket that sends to `to`, without DF: rather in fragments than not at all. `from`: NULL, or
 * the address to send from, of the same family, with port 0. Gives the descriptor or a negative
 * errno; -EADDRNOTAVAIL: `from` is no address of this machine. */
int outer_socket(const struct sockaddr *to, socklen_t to_size, const struct sockaddr *from,
                 socklen_t from_size);

#endif
