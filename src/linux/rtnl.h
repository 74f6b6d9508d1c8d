/* Questions to the kernel's routing socket: one request, and its answers one after another.
 * No file of this folder may be named as one of the kernel's own <linux/…>: it would hide it. */
#ifndef LINUX_RTNL_H
#define LINUX_RTNL_H

#include "base/err.h"
#include "base/reader.h"

/* Fields are in the processor's own byte order, unlike those on a wire. */
static inline uint16_t rtnl_u16(struct reader *r)
{
    const uint8_t *p = rd_bytes(r, 2);
    uint16_t v = 0;
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t rtnl_u32(struct reader *r)
{
    const uint8_t *p = rd_bytes(r, 4);
    uint32_t v = 0;
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t rtnl_u64(struct reader *r)
{
    const uint8_t *p = rd_bytes(r, 8);
    uint64_t v = 0;
    if (p)
        memcpy(&v, p, sizeof v);
    return v;
}

/* The next attribute; false at the end. `type` is without its flags. */
bool rtnl_next(struct reader *attributes, uint16_t *type, struct reader *value);

/* Text of an attribute, cut to `size` with its NUL. */
void rtnl_text(struct reader value, char *out, size_t size);

/* Sends one request of `type` (RTM_GETLINK …; NLM_F_DUMP in `flags` for all) whose body is `size`
 * bytes, and calls `take` for each answer with what follows the message's header. The kernel's
 * refusal comes back as its errno. */
int rtnl_ask(uint16_t type, uint16_t flags, const void *body, size_t size,
             void (*take)(uint16_t type, struct reader body, void *with), void *with,
             struct err *err) MUST_CHECK;

#endif
