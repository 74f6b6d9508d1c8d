/* Filter expressions of libpcap, applied to the inner packet. */
#ifndef SENSOR_FILTER_H
#define SENSOR_FILTER_H

#include "base/err.h"
#include "net/packet.h"

struct filter;

int filter_compile(const char *expression, struct filter **out, struct err *err) MUST_CHECK;
void filter_free(struct filter *filter);

/* Whether the packet, without the mirror's layers, passes. */
bool filter_passes(const struct filter *filter, const struct packet *p);

#endif
