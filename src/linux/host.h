/* Facts of the machine that decide whether packets are lost: queues, memory, processors, clock. */
#ifndef LINUX_HOST_H
#define LINUX_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A value of /proc/sys, "net/core/rmem_max". */
bool linux_sysctl(const char *name, uint64_t *out);

/* /proc/net/softnet_stat: one line a processor, in hexadecimal. */
struct linux_softnet {
    uint64_t n_packets, n_dropped; /* dropped: the backlog was full */
    uint64_t n_squeezed;           /* turns that ended with packets left */
    unsigned n_processors;
};
void linux_parse_softnet(const char *text, struct linux_softnet *out);
bool linux_softnet(struct linux_softnet *out);

/* Bytes; of /proc/meminfo. False where a line is missing. */
struct linux_memory {
    uint64_t total, available;
};
bool linux_parse_memory(const char *text, struct linux_memory *out);
bool linux_memory(struct linux_memory *out);

/* The first line of /proc/stat: ticks since the start of the machine. */
struct linux_ticks {
    uint64_t all, idle, stolen;
};
bool linux_parse_ticks(const char *text, struct linux_ticks *out);
bool linux_ticks(struct linux_ticks *out);

/* The least memory limit of this process's control groups, in bytes; false: there is none. */
bool linux_memory_limit(uint64_t *out);

/* The path of version 2 in /proc/self/cgroup, "/system.slice/x.service". */
bool linux_parse_cgroup(const char *text, char *out, size_t size);

/* Whether the kernel's clock is kept by a time service; *out_error_us: the estimated error. */
bool linux_clock_is_kept(int64_t *out_error_us);

/* Capabilities of this process that are in force, one bit each (1 << CAP_NET_RAW). */
uint64_t linux_capabilities(void);

#endif
