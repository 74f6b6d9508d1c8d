/* Whose packet it is, told by one collector to the next: an option of the GENEVE header (RFC 8926)
 * that packets are forwarded in, since the outer address is then the forwarder's. Not critical, so
 * that other receivers skip it; its class is from the range for experiments.
 *
 *      0                   1                   2                   3
 *     +-------------------------------+---------------+-----+---------+
 *     |      Option class 0xFFC5      |0|   Type 1    |  0  | Length  |
 *     +---------------+-----------+-+-+---------------+-----+---------+
 *     |   Version 1   |     0     |D|I|   how size    |   name size   |    I: the id is there
 *     +---------------+-----------+-+-+---------------+---------------+    D (two bits): 1 ingress,
 *     |                              id                               |       2 egress, 0 unknown
 *     +---------------------------------------------------------------+
 *     |   the mirror's sender, 16 bytes (IPv4 as ::ffff:a.b.c.d),     |
 *     |   all zero: not known                                         |
 *     +---------------------------------------------------------------+
 *     :   how it came ("vxlan"), then the machine's name, then zeros  :
 *     :   to a multiple of 4 bytes                                    :
 *     +---------------------------------------------------------------+
 *
 * Who receives it must trust the sender before he believes it. */
#ifndef NET_ORIGIN_H
#define NET_ORIGIN_H

#include "base/reader.h"
#include "base/str.h"
#include "net/addr.h"

#define ORIGIN_CLASS    0xffc5
#define ORIGIN_TYPE     1
#define ORIGIN_NAME_MAX 64
#define ORIGIN_HOW_MAX  24
#define ORIGIN_MAX_SIZE (4 + 24 + ORIGIN_HOW_MAX + ORIGIN_NAME_MAX) /* with the option's header */

struct origin {
    bool has_id;
    uint32_t id;        /* VNI, key, session id */
    uint8_t direction;  /* 0 both or unknown, 1 ingress, 2 egress */
    struct addr sender; /* all zero: not known */
    struct str how;     /* encapsulation; may be empty */
    struct str name;    /* the machine's; may be empty */
};

/* Writes the option with its header and gives its size; texts that are too long are cut. */
size_t origin_encode(const struct origin *origin, uint8_t out[ORIGIN_MAX_SIZE]);

/* `data` is what follows the option's header. The texts of `out` point into it. */
bool origin_decode(struct reader data, struct origin *out);

#endif
