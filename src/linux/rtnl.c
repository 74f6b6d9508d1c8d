/* rtnetlink with a plain socket: see rtnl.h. A message: size u32, type u16, flags u16, sequence
 * u32, port u32, then a body and attributes (size u16, type u16, value), all padded to four. */
#include "linux/rtnl.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX   65536
#define REQUEST_MAX  256
#define MESSAGE_HEAD 16
#define N_READS_MAX  100000 /* of a dump that never ends */

static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

static void skip_padding(struct reader *r, size_t size)
{
    size_t more = padded(size) - size;
    rd_skip(r, more < rd_left(r) ? more : rd_left(r));
}

bool rtnl_next(struct reader *attributes, uint16_t *type, struct reader *value)
{
    uint16_t size = rtnl_u16(attributes);
    *type = rtnl_u16(attributes) & NLA_TYPE_MASK;
    if (!rd_ok(attributes) || size < 4)
        return false;
    *value = rd_sub(attributes, size - 4u);
    skip_padding(attributes, size);
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

static int send_request(int fd, uint16_t type, uint16_t flags, const void *body, size_t size)
{
    unsigned char bytes[REQUEST_MAX] = {0};
    struct nlmsghdr head = {.nlmsg_len = (uint32_t)(MESSAGE_HEAD + size),
                            .nlmsg_type = type,
                            .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                            .nlmsg_seq = 1};
    if (size > sizeof bytes - MESSAGE_HEAD)
        return -EMSGSIZE;
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + MESSAGE_HEAD, body, size);
    ssize_t n = send(fd, bytes, MESSAGE_HEAD + padded(size), 0);
    return n < 0 ? -errno : 0;
}

/* One datagram of answers. 1: that was all. */
static int take_answers(struct reader r, void (*take)(uint16_t, struct reader, void *), void *with)
{
    while (rd_left(&r) >= MESSAGE_HEAD) {
        uint32_t size = rtnl_u32(&r);
        uint16_t type = rtnl_u16(&r), flags = rtnl_u16(&r);
        rd_skip(&r, 8);
        if (size < MESSAGE_HEAD)
            return -EBADMSG;
        struct reader body = rd_sub(&r, size - MESSAGE_HEAD);
        skip_padding(&r, size);
        if (!rd_ok(&body))
            return -EBADMSG;
        if (type == NLMSG_DONE)
            return 1;
        if (type == NLMSG_ERROR) {
            int32_t code = (int32_t)rtnl_u32(&body);
            return code < 0 ? code : 1;
        }
        take(type, body, with);
        if (!(flags & NLM_F_MULTI))
            return 1;
    }
    return 0;
}

int rtnl_ask(uint16_t type, uint16_t flags, const void *body, size_t size,
             void (*take)(uint16_t type, struct reader body, void *with), void *with,
             struct err *err)
{
    unsigned char *answer = malloc(ANSWER_MAX);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int result = !answer ? -ENOMEM : fd < 0 ? -errno : 0;
    if (!result)
        result = send_request(fd, type, flags, body, size);
    for (unsigned i = 0; !result && i < N_READS_MAX; i++) {
        ssize_t n = recv(fd, answer, ANSWER_MAX, 0);
        if (n < 0 && errno == EINTR)
            continue;
        result = n < 0 ? -errno : take_answers(rd_make(answer, (size_t)n), take, with);
    }
    if (fd >= 0)
        close(fd);
    free(answer);
    if (result >= 0)
        return 0;
    return err_set(err, result, "asking the kernel for its interfaces and routes: %s",
                   strerror(-result));
}
