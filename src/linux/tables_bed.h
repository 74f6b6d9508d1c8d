/* For unit tests of mirrors by nftables and iptables: a namespace with e0, which is mirrored, and
 * m0, which the copies leave by. Both are taps: what comes out of them is read byte by byte.
 * Include cmocka first. */
#ifndef LINUX_TABLES_BED_H
#define LINUX_TABLES_BED_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/program.h"
#include "capture/netns_bed.h"
#include "linux/exclusion_bed.h"
#include "linux/nl_bed.h"

#define GATEWAY4 "169.254.99.2"
#define GATEWAY6 "fe80::c5"

static struct {
    int entered;
    int e0, m0;  /* the taps */
    int from_e0; /* a socket that sends out of e0 */
} bed = {.entered = -1};

/* `program`: what the test cannot do without. No address of e0 is one of the table of packets:
 * nobody answers. */
static inline bool enter(const char *program)
{
    static const char *const lines[] = {
        "ip link set e0 address 02:00:00:00:00:02",
        "ip addr add 10.1.0.9/24 dev e0",
        "ip addr add 2001:db8:1::5/64 dev e0 nodad",
        "ip route add default via 10.1.0.2 dev e0",
        "ip -6 route add default via 2001:db8:1::2 dev e0",
        "ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:01 dev e0",
        "ip neigh add 2001:db8:1::2 lladdr 02:00:00:00:00:01 dev e0",
        "ip neigh add " GATEWAY4 " lladdr 02:c5:00:00:00:01 dev m0",
        "ip neigh add " GATEWAY6 " lladdr 02:c5:00:00:00:01 dev m0",
        "ip route add " GATEWAY4 " dev m0",
        "ip -6 route add " GATEWAY6 " dev m0",
    };
    if (bed.entered >= 0)
        return bed.entered;
    bed.entered = bed_enter_netns();
    if (bed.entered && (bed_do("ip -V") != 0 || bed_do(program) != 0)) {
        printf("skipped: no iproute2, or no %s\n", program);
        bed.entered = 0;
    }
    bed.e0 = bed.entered ? bed_tap("e0", IFF_TAP) : -1;
    bed.m0 = bed.entered ? bed_tap("m0", IFF_TAP) : -1;
    if (bed.entered && (bed.e0 < 0 || bed.m0 < 0)) {
        printf("skipped: no taps here\n");
        bed.entered = 0;
    }
    if (!bed.entered)
        return false;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(bed_do(lines[i]), 0);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("e0")};
    bed.from_e0 = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bed.from_e0, (struct sockaddr *)&at, sizeof at), 0);
    return true;
}

static inline void must(int code, const struct err *err)
{
    if (code)
        fail_msg("%d: %s", code, err->text);
}

/* What a user would do with what --print gives, with the programs that the test has in its PATH. */
static inline void bed_do_script(const char *script)
{
    static const char *const arguments[] = {"-e", NULL};
    struct program_result result;
    struct text text;
    struct err err;
    text_init(&text, 1u << 20);
    text_put(&text, "PATH='");
    text_put(&text, getenv("PATH") ?: "");
    text_put(&text, ":/usr/sbin:/sbin'\n");
    text_put(&text, script);
    assert_false(text.failed);
    const struct program sh = {.name = "sh",
                               .package = "dash",
                               .arguments = arguments,
                               .in = text.at,
                               .in_size = text.size};
    must(program_run(&sh, &result, &err), &err);
    if (result.exit_code != 0)
        fail_msg("%s\n%s", script, result.complaint);
    program_done(&result);
    text_done(&text);
}

/* Lets frames out of e0 go their way. */
static inline void drain(int tap)
{
    uint8_t bytes[70000];
    while (read(tap, bytes, sizeof bytes) > 0)
        ;
}

/* What came out of m0 and holds the bytes; the last one is kept. What IPv6 says by itself does not
 * count. `wait`: ms. */
struct copies {
    unsigned n;
    size_t size;
    uint8_t last[70000];
};

static inline void take_copies(const void *mark, size_t mark_size, struct copies *out)
{
    static uint8_t bytes[70000];
    ssize_t size;
    out->n = 0;
    while ((size = read(bed.m0, bytes, sizeof bytes)) > 0)
        if (memmem(bytes, (size_t)size, mark, mark_size)) {
            out->n++;
            out->size = (size_t)size;
            memcpy(out->last, bytes, (size_t)size);
        }
    drain(bed.e0);
}

/* One packet of the table, as a frame, and how many copies of it there are. A mark behind all of it
 * tells it from others. */
static inline unsigned send_row(const struct bed_row *row, unsigned tags, bool is_received,
                                struct frame_bed *b, struct copies *copies)
{
    bed_make_packet(b, row);
    bed_put_sum(b);
    bed_put_tags(b, tags);
    drain(bed.m0);
    ssize_t n = is_received ? write(bed.e0, frame_bytes(b), frame_size(b))
                            : send(bed.from_e0, frame_bytes(b), frame_size(b), 0);
    assert_int_equal(n, frame_size(b));
    size_t head = 14 + 4 * (size_t)tags; /* its IP header's end may be changed: look behind it */
    size_t skip = head + (frame_bytes(b)[head] >> 4 == 4 ? 20 : 40);
    take_copies(frame_bytes(b) + skip, frame_size(b) - skip, copies);
    return copies->n;
}

/* A datagram of `size`, by the routes. */
static inline void send_datagram(const char *to, uint16_t port, const void *bytes, size_t size)
{
    struct addr address = bed_addr(to);
    struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool v4 = addr_is_v4(&address);
    memcpy(&to4.sin_addr, address.b + 12, 4);
    memcpy(&to6.sin6_addr, address.b, 16);
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    ssize_t n = v4 ? sendto(fd, bytes, size, 0, (const struct sockaddr *)&to4, sizeof to4)
                   : sendto(fd, bytes, size, 0, (const struct sockaddr *)&to6, sizeof to6);
    if (n != (ssize_t)size)
        fail_msg("to %s: %s", to, strerror(errno));
    close(fd);
}

static inline unsigned copies_of_datagram(const char *to, uint16_t port, size_t size,
                                          struct copies *copies)
{
    static char bytes[60000];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "datagram", 8);
    drain(bed.m0);
    send_datagram(to, port, bytes, size);
    take_copies("datagram", 8, copies);
    return copies->n;
}

#endif
