/* Outer headers, and the sockets for them: see outer.h. */
#include "sink/outer.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/reader.h"
#include "net/packet.h"

#define SEND_BUFFER (4 << 20)
static void put_vni(uint32_t vni, uint8_t *out)
{
    out[4] = (uint8_t)(vni >> 16);
    out[5] = (uint8_t)(vni >> 8);
    out[6] = (uint8_t)vni;
    out[7] = 0;
}

void outer_put_vxlan(uint32_t vni, uint8_t out[OUTER_SIZE])
{
    memset(out, 0, 4);
    out[0] = 8;
    put_vni(vni, out);
}

void outer_put_geneve(uint32_t vni, uint16_t protocol, uint32_t options_size,
                      uint8_t out[OUTER_SIZE])
{
    out[0] = (uint8_t)(options_size / 4);
    out[1] = 0;
    out[2] = (uint8_t)(protocol >> 8);
    out[3] = (uint8_t)protocol;
    put_vni(vni, out);
}

uint32_t outer_hash_bytes(uint32_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; at && i < size; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

uint32_t outer_hash(uint16_t link, const uint8_t *bytes, uint32_t size)
{
    struct reader r = rd_make(bytes, size);
    if (link == LINK_ETHERNET) {
        rd_skip(&r, 12);
        while (rd_left(&r) > 4) {
            uint16_t type = rd_be16(&r);
            if (type != 0x8100 && type != 0x88a8)
                break;
            rd_skip(&r, 2);
        }
    }
    uint8_t version = rd_peek_u8(&r, 0) >> 4;
    bool is_v4 = version == 4;
    if (!is_v4 && version != 6)
        return 0;
    uint32_t header = is_v4 ? (rd_peek_u8(&r, 0) & 0xfu) * 4 : 40;
    uint8_t proto = rd_peek_u8(&r, is_v4 ? 9 : 6);
    bool is_part = is_v4 && (rd_peek_be16(&r, 6) & 0x3fff) != 0;
    struct reader ports = r;
    rd_skip(&r, is_v4 ? 12 : 8);
    size_t width = is_v4 ? 4 : 16;
    uint32_t src = outer_hash_bytes(OUTER_HASH_START, rd_bytes(&r, width), width);
    uint32_t dst = outer_hash_bytes(OUTER_HASH_START, rd_bytes(&r, width), width);
    if ((proto == 6 || proto == 17 || proto == 132) && !is_part) {
        rd_skip(&ports, header);
        src = outer_hash_bytes(src, rd_bytes(&ports, 2), 2);
        dst = outer_hash_bytes(dst, rd_bytes(&ports, 2), 2);
    }
    uint32_t hash = (src + dst) * 2654435761u;
    return hash ^ hash >> 16;
}

int outer_socket(const struct sockaddr *to, socklen_t to_size, const struct sockaddr *from,
                 socklen_t from_size)
{
    const int dont = IP_PMTUDISC_DONT, size = SEND_BUFFER;
    int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (to->sa_family == AF_INET)
        (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof dont);
    else
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &dont, sizeof dont);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* as far as it is allowed */
    if ((from && bind(fd, from, from_size) < 0) || connect(fd, to, to_size) < 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}
