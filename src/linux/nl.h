/* Requests to the kernel's routing socket whose attributes libmnl builds, one or several in a
 * datagram; their acknowledgements, with the kernel's own words where it refuses; and dumps. What
 * comes back is read with linux/rtnl.h. */
#ifndef LINUX_NL_H
#define LINUX_NL_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reader.h"

#define NL_REQUEST_MAX  40960 /* a BPF program of 4096 instructions, and then some */
#define NL_MESSAGES_MAX 8

/* Not to be copied while it is built. */
struct nl_request {
    size_t at, size; /* where the message that is built begins, and all that was built before */
    unsigned n_messages;
    uint32_t optional; /* a bit for each message */
    bool is_full;      /* something did not fit: nl_ask refuses it */
    unsigned char bytes[NL_REQUEST_MAX] __attribute__((aligned(8)));
};

/* Begins the first or the next message: RTM_NEWLINK …, with the fixed header that belongs to it.
 * NLM_F_REQUEST and, where it is no dump, NLM_F_ACK are set anyway. */
void nl_init(struct nl_request *request);
void nl_message(struct nl_request *request, uint16_t type, uint16_t flags, const void *head,
                size_t size);

/* The kernel may refuse the message just begun: that is no failure. */
void nl_message_is_optional(struct nl_request *request);

/* Attributes of the message just begun. */
void nl_put(struct nl_request *request, uint16_t type, const void *bytes, size_t size);
void nl_put_u8(struct nl_request *request, uint16_t type, uint8_t value);
void nl_put_u16(struct nl_request *request, uint16_t type, uint16_t value);
void nl_put_be16(struct nl_request *request, uint16_t type, uint16_t value);
void nl_put_u32(struct nl_request *request, uint16_t type, uint32_t value);
void nl_put_be32(struct nl_request *request, uint16_t type, uint32_t value);
void nl_put_text(struct nl_request *request, uint16_t type, const char *text);

/* An attribute that holds others. */
size_t nl_nest(struct nl_request *request, uint16_t type);
void nl_nest_end(struct nl_request *request, size_t nest);

typedef void nl_take(uint16_t type, struct reader body, void *with);

/* Sends it and calls `take` (may be NULL) for each message of the answer, with what follows its
 * header. Gives the first refusal, as "the kernel's words" or, where it has none, those of the
 * errno: the caller puts in front what was to be done (err_wrap). -EAGAIN: what was dumped changed
 * meanwhile; ask again. -EPERM says what is missing. */
int nl_ask(const struct nl_request *request, nl_take *take, void *with, struct err *err) MUST_CHECK;

#endif
