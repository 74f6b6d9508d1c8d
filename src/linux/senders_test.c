/* Who sends: headers of packets, and a real listener in a network namespace. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/senders.h"

static const uint16_t ports[] = {4789, 6081, 0};

/* From a heap block of its exact size, so that a read behind it is seen. */
static void take(struct linux_senders *s, const void *bytes, size_t size)
{
    void *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    linux_take_sender(s, copy, size, ports);
    free(copy);
}

static const uint8_t vxlan[] = {0x45, 0, 0, 46,   0, 0,    0,    0, 64, 17, 0, 0, 10, 1, 2, 3, 10,
                                0,    0, 9, 0xc0, 0, 0x12, 0xb5, 0, 26, 0,  0, 8, 0,  0, 0, 0, 0x30,
                                0x39, 0, 1, 2,    3, 4,    5,    6, 7,  8,  9, 10};
static const uint8_t gre[] = {0x46, 0, 0,  40, 0, 0, 0, 0,  64, 47, 0,    0, 10,   1,
                              2,    4, 10, 0,  0, 9, 1, 1,  1,  1,  0xa0, 0, 0x88, 0xbe,
                              0,    0, 0,  0,  0, 0, 0, 77, 1,  2,  3,    4};

static void test_headers(void **state)
{
    (void)state;
    struct linux_senders s = {0};
    take(&s, vxlan, sizeof vxlan);
    take(&s, vxlan, sizeof vxlan);
    take(&s, gre, sizeof gre);
    assert_int_equal(s.n, 2);
    struct addr want;
    assert_true(addr_parse("10.1.2.3", &want));
    assert_true(addr_eq(&s.list[0].from, &want));
    assert_int_equal(s.list[0].port, 4789);
    assert_true(s.list[0].has_id);
    assert_int_equal(s.list[0].id, 12345);
    assert_int_equal(s.list[0].n_packets, 2);
    assert_int_equal(s.list[0].largest, 46);
    assert_int_equal(s.list[1].port, 0);
    assert_int_equal(s.list[1].gre_type, 0x88be);
    assert_true(s.list[1].has_id);
    assert_int_equal(s.list[1].id, 77);
}

static void test_what_is_passed_over(void **state)
{
    (void)state;
    struct linux_senders s = {0};
    for (size_t n = 0; n < 28; n++) /* without all of UDP's header */
        take(&s, vxlan, n);
    assert_int_equal(s.n, 0);
    uint8_t other[sizeof vxlan];
    static const struct {
        uint8_t at, value;
    } changes[] = {{0, 0x65}, {0, 0x44}, {9, 6}, {7, 1}, {23, 0xb6}, {0, 0x4f}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        memcpy(other, vxlan, sizeof other);
        other[changes[i].at] = changes[i].value;
        take(&s, other, sizeof other);
        if (s.n)
            fail_msg("change %zu", i);
    }
    for (size_t n = 0; n < 28; n++)
        take(&s, gre, n);
    assert_int_equal(s.n, 0);
}

static void test_a_full_table(void **state)
{
    (void)state;
    struct linux_senders s = {0};
    uint8_t other[sizeof vxlan];
    memcpy(other, vxlan, sizeof other);
    for (int i = 0; i < 100; i++) {
        other[15] = (uint8_t)i;
        take(&s, other, sizeof other);
    }
    assert_int_equal(s.n, LINUX_SENDERS_MAX);
    assert_int_equal(s.n_more, 100 - LINUX_SENDERS_MAX);
}

static void *send_until_told(void *with)
{
    atomic_bool *over = with;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(6081), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t geneve[] = {0, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 4};
    while (!*over) {
        (void)sendto(fd, geneve, sizeof geneve, 0, (struct sockaddr *)&to, sizeof to);
        (void)usleep(1000);
    }
    close(fd);
    return NULL;
}

static void test_hears(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: no network namespace: %s\n", strerror(errno));
        skip();
    }
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    /* Somebody has the port: raw sockets hear it all the same. */
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(6081)};
    assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    atomic_bool over = false;
    pthread_t sender;
    assert_int_equal(pthread_create(&sender, NULL, send_until_told, &over), 0);
    struct linux_senders s;
    linux_hear_senders(&s, ports, 1);
    over = true;
    assert_int_equal(pthread_join(sender, NULL), 0);
    close(fd);
    assert_true(s.sees_all && !s.hears_nothing);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.list[0].port, 6081);
    assert_true(s.list[0].has_id);
    assert_int_equal(s.list[0].id, 9);
    assert_int_equal(s.list[0].largest, 20 + 8 + 12);
    linux_hear_senders(&s, ports, 0);
    assert_int_equal(s.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_what_is_passed_over),
        cmocka_unit_test(test_a_full_table),
        cmocka_unit_test(test_hears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
