/* Packets into a pcapng file: as they came, without the mirror's layers, in nanoseconds; an
 * interface for each link type. For tcpdump, Wireshark, Zeek and Suricata to read. */
#ifndef SINK_PCAPNG_H
#define SINK_PCAPNG_H

#include <stdint.h>

#include "base/err.h"

struct pcapng_sink;

/* Makes or empties the file. */
int pcapng_open(const char *path, struct pcapng_sink **out, struct err *err) MUST_CHECK;

/* `size` bytes of a frame that had `wire_size`. What the disk refuses is counted. */
void pcapng_write(struct pcapng_sink *sink, int64_t ts, uint16_t link, const uint8_t *bytes,
                  uint32_t size, uint32_t wire_size);

/* -EIO when packets could not be written: err says how many and why. Frees it. */
int pcapng_close(struct pcapng_sink *sink, struct err *err) MUST_CHECK;

#endif
