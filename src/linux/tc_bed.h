/* For unit tests of tc: interfaces in a network namespace, frames sent and counted there. Include
 * cmocka first. */
#ifndef LINUX_TC_BED_H
#define LINUX_TC_BED_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/netns_bed.h"
#include "linux/link.h"
#include "linux/nl_bed.h"
#include "linux/tc.h"

/* e0 is mirrored, its other end is e1; m0 takes the copies, they come out of m1; o0
 * and o1 are somebody else's. */

static struct {
    int entered;
    uint32_t e0, m0, o0;
    int from_e0, from_e1, at_e1, at_m1, at_o1;
} bed = {.entered = -1};

static inline int open_port(const char *name, int protocol)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    int room = 16 << 20;
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons((uint16_t)protocol),
                             .sll_ifindex = (int)if_nametoindex(name)};
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static inline bool enter(void)
{
    static const char *const lines[] = {"ip link add e0 type veth peer name e1",
                                        "ip link add m0 type veth peer name m1",
                                        "ip link add o0 type veth peer name o1",
                                        "ip link set e0 up",
                                        "ip link set e1 up",
                                        "ip link set m0 up",
                                        "ip link set m1 up",
                                        "ip link set o0 up",
                                        "ip link set o1 up"};
    if (bed.entered < 0) {
        bed.entered = bed_enter_with_witness();
        for (size_t i = 0; bed.entered && i < sizeof lines / sizeof *lines; i++)
            assert_int_equal(bed_do(lines[i]), 0);
        if (bed.entered) {
            bed.e0 = if_nametoindex("e0");
            bed.m0 = if_nametoindex("m0");
            bed.o0 = if_nametoindex("o0");
            bed.from_e0 = open_port("e0", 0);
            bed.from_e1 = open_port("e1", 0);
            bed.at_e1 = open_port("e1", ETH_P_ALL);
            bed.at_m1 = open_port("m1", ETH_P_ALL);
            bed.at_o1 = open_port("o1", ETH_P_ALL);
        }
    }
    return bed.entered;
}

static const uint8_t sender_mac[6] = {2, 0xc5, 0xc5, 1, 2, 3};

/* A UDP datagram to that port, in a frame of `size`. */
static inline void send_frame(int fd, uint16_t port, size_t size)
{
    uint8_t frame[2048] = {2, 0xc5, 0xc5, 9, 9, 9};
    static const uint8_t ip[] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 17,
                                 0,    0, 10, 1, 0, 1, 10,   1, 0,  2};
    memcpy(frame + 6, sender_mac, 6);
    frame[12] = 8;
    memcpy(frame + 14, ip, sizeof ip);
    frame[16] = (uint8_t)((size - 14) >> 8);
    frame[17] = (uint8_t)(size - 14);
    frame[36] = (uint8_t)(port >> 8);
    frame[37] = (uint8_t)port;
    assert_int_equal(send(fd, frame, size, 0), size);
}

/* How many of those frames came; others (IPv6 speaks by itself) are not counted. */
static inline unsigned arrived(int fd)
{
    uint8_t frame[2048];
    unsigned n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 50) > 0) {
        ssize_t size = recv(fd, frame, sizeof frame, 0);
        if (size >= 14 && memcmp(frame + 6, sender_mac, 6) == 0)
            n++;
    }
    return n;
}

static inline void must(int code, const struct err *err)
{
    if (code)
        fail_msg("%d: %s", code, err->text);
}

static inline struct linux_tc_want mirror_want(void)
{
    return (struct linux_tc_want){.link = bed.e0,
                                  .direction = LINUX_TC_OUT,
                                  .prio = 100,
                                  .match = LINUX_TC_U32,
                                  .mirror_to = bed.m0,
                                  .cookie = {0xc1, 0x0d},
                                  .cookie_size = 2};
}

static inline size_t list(enum linux_tc_direction direction, struct linux_tc_filter *out,
                          size_t max)
{
    struct linux_tc_filter *all = NULL;
    struct err err;
    size_t n = 0, n_filters = 0;
    must(linux_tc_list(bed.e0, direction, &all, &n, &err), &err);
    for (size_t i = 0; i < n; i++)
        if (!all[i].is_table && n_filters < max)
            out[n_filters++] = all[i];
    free(all);
    return n_filters;
}

static inline void begin_clsact(void)
{
    struct err err;
    int left = linux_tc_remove_clsact(bed.e0, &err); /* by a test that failed */
    assert_true(left == 0 || left == -ENOENT);
    must(linux_tc_add_clsact(bed.e0, &err), &err);
    (void)arrived(bed.at_e1);
    (void)arrived(bed.at_m1);
    (void)arrived(bed.at_o1);
}

static inline void end_clsact(void)
{
    struct err err;
    must(linux_tc_remove_clsact(bed.e0, &err), &err);
}

/* False: this kernel has not got it, and nothing was made. */
static inline bool is_had(int code, const struct err *err)
{
    if (code == 0)
        return true;
    struct linux_tc_filter f[2];
    print_message("not tried: %s\n", err->text);
    assert_true(code == -ENOENT || code == -EOPNOTSUPP);
    assert_int_equal(list(LINUX_TC_OUT, f, 2), 0);
    return false;
}

#endif
