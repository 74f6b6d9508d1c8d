/* Attributes of the routing socket, and plain questions to it: see rtnl.h. An attribute: size u16,
 * type u16, value, padded to four. */
#include "linux/rtnl.h"

#include <errno.h>
#include <string.h>

#include "linux/nl.h"

bool rtnl_next(struct reader *attributes, uint16_t *type, struct reader *value)
{
    uint16_t size = rtnl_u16(attributes);
    *type = rtnl_u16(attributes) & NLA_TYPE_MASK;
    if (!rd_ok(attributes) || size < 4)
        return false;
    *value = rd_sub(attributes, size - 4u);
    size_t padding = (4u - size % 4u) % 4u;
    rd_skip(attributes, padding < rd_left(attributes) ? padding : rd_left(attributes));
    return rd_ok(value);
}

void rtnl_text(struct reader value, char *out, size_t size)
{
    size_t n = 0;
    while (rd_left(&value) > 0 && n + 1 < size) {
        char c = (char)rd_u8(&value);
        if (!c)
            break;
        out[n++] = c;
    }
    out[n] = '\0';
}

int rtnl_ask(uint16_t type, uint16_t flags, const void *body, size_t size,
             void (*take)(uint16_t type, struct reader body, void *with), void *with,
             struct err *err)
{
    struct nl_request request;
    nl_init(&request);
    nl_message(&request, type, flags, body, size);
    int result = nl_ask(&request, take, with, err);
    /* What changed meanwhile was told before or after the change: good enough for these questions.
     */
    if (result == 0 || result == -EAGAIN)
        return 0;
    err_wrap(err, "asking the kernel for its interfaces and routes");
    return result;
}
