/* For tc*.c only. */
#ifndef LINUX_TC_PARTS_H
#define LINUX_TC_PARTS_H

#include <linux/rtnetlink.h>
#include <stdint.h>

#include "linux/tc.h"

/* The fixed header of a message about a filter, or (prio, protocol and handle 0) about all. */
struct tcmsg tc_head(uint32_t link, enum linux_tc_direction direction, uint16_t prio,
                     uint16_t protocol, uint32_t handle);

/* How long so many bytes take at so many a second, in the kernel's ticks of 64 ns; at most what it
 * can count. */
uint32_t tc_ticks(uint64_t bytes, uint64_t rate);

#endif
