/* Who holds a UDP port of this machine: a tunnel device of the kernel, or a program. */
#ifndef LINUX_PORT_OWNER_H
#define LINUX_PORT_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum linux_owner_kind {
    LINUX_OWNER_NOBODY,
    LINUX_OWNER_DEVICE,  /* name: of the interface, kind: "vxlan" or "geneve" */
    LINUX_OWNER_PROGRAM, /* name: of the program, pid */
    LINUX_OWNER_UNKNOWN  /* held, but by a process that we may not look into */
};

struct linux_owner {
    enum linux_owner_kind kind;
    char name[32];
    char device_kind[16];
    pid_t pid;
    uint64_t n_dropped; /* by its sockets, since they were made */
};

/* Of this network namespace. */
void linux_find_port_owner(uint16_t port, struct linux_owner *out);

/* In words: "the kernel's vxlan device vxlan0", "zeek (pid 812)", "another user's program". False
 * and "" where nobody holds it. */
bool linux_port_owner(uint16_t port, char *out, size_t size);

/* One line of /proc/net/udp or udp6. */
struct linux_udp_socket {
    uint16_t port;
    uint64_t inode; /* 0: the kernel's own */
    uint64_t n_dropped;
};

/* False where the line is none (the heading). */
bool linux_parse_udp_socket(const char *line, struct linux_udp_socket *out);

#endif
