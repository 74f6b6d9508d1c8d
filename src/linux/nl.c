/* Requests to the routing socket: see nl.h. Every message asks for its acknowledgement, so the end
 * of the answers is known; a dump ends by a message of its own.
 *
 * An acknowledgement: error i32 (0, or a negative errno), the header of the message it is for, the
 * rest of that message unless the flag CAPPED is set, then attributes if the flag ACK_TLVS is. */
#include "linux/nl.h"

#include <assert.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "linux/rtnl.h"

#define ANSWER_MAX   65536
#define MESSAGE_HEAD 16
#define N_READS_MAX  100000 /* of a dump that never ends */
#define WORDS_MAX    160
#define WAIT_SECONDS                                                                               \
    10 /* the kernel has answered before send() is back; this is for the unforeseen */

static struct nlmsghdr *built(struct nl_request *request)
{
    return (struct nlmsghdr *)(void *)(request->bytes + request->at);
}

void nl_init(struct nl_request *request)
{
    request->at = request->size = 0;
    request->n_messages = 0;
    request->optional = 0;
    request->is_full = false;
}

void nl_message(struct nl_request *request, uint16_t type, uint16_t flags, const void *head,
                size_t size)
{
    if (request->n_messages == NL_MESSAGES_MAX ||
        request->size + MESSAGE_HEAD + size + MNL_ALIGNTO > sizeof request->bytes) {
        request->is_full = true;
        return;
    }
    request->at = request->size;
    struct nlmsghdr *message = mnl_nlmsg_put_header(built(request));
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
        message->nlmsg_flags |= NLM_F_ACK;
    message->nlmsg_seq = ++request->n_messages;
    memcpy(mnl_nlmsg_put_extra_header(message, size), head, size);
    request->size = request->at + message->nlmsg_len;
}

void nl_message_is_optional(struct nl_request *request)
{
    assert(request->n_messages > 0);
    request->optional |= 1u << (request->n_messages - 1);
}

void nl_put(struct nl_request *request, uint16_t type, const void *bytes, size_t size)
{
    struct nlmsghdr *message = built(request);
    /* The last is libmnl's arithmetic: lengths of attributes have 16 bits. */
    if (request->is_full || request->n_messages == 0 || size > UINT16_MAX - 8 ||
        !mnl_attr_put_check(message, sizeof request->bytes - request->at, type, size, bytes)) {
        request->is_full = true;
        return;
    }
    request->size = request->at + message->nlmsg_len;
}

void nl_put_u8(struct nl_request *request, uint16_t type, uint8_t value)
{
    nl_put(request, type, &value, sizeof value);
}

void nl_put_u16(struct nl_request *request, uint16_t type, uint16_t value)
{
    nl_put(request, type, &value, sizeof value);
}

void nl_put_be16(struct nl_request *request, uint16_t type, uint16_t value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    nl_put(request, type, bytes, sizeof bytes);
}

void nl_put_u32(struct nl_request *request, uint16_t type, uint32_t value)
{
    nl_put(request, type, &value, sizeof value);
}

void nl_put_be32(struct nl_request *request, uint16_t type, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    nl_put(request, type, bytes, sizeof bytes);
}

void nl_put_text(struct nl_request *request, uint16_t type, const char *text)
{
    nl_put(request, type, text, strlen(text) + 1);
}

size_t nl_nest(struct nl_request *request, uint16_t type)
{
    size_t nest = request->size;
    nl_put(request, type | NLA_F_NESTED, NULL, 0);
    return nest;
}

void nl_nest_end(struct nl_request *request, size_t nest)
{
    if (request->is_full)
        return;
    if (request->size - nest > UINT16_MAX) {
        request->is_full = true;
        return;
    }
    mnl_attr_nest_end(built(request), (struct nlattr *)(void *)(request->bytes + nest));
}

struct conversation {
    const struct nl_request *request;
    nl_take *take;
    void *with;
    unsigned n_acknowledged;
    int refusal;           /* the first that counts */
    char words[WORDS_MAX]; /* the kernel's, about it */
    bool is_over, is_inconsistent;
};

static void take_words(struct reader attributes, char out[WORDS_MAX])
{
    uint16_t type;
    struct reader value;
    out[0] = '\0';
    while (rtnl_next(&attributes, &type, &value))
        if (type == NLMSGERR_ATTR_MSG)
            rtnl_text(value, out, WORDS_MAX);
}

static void take_acknowledgement(struct conversation *c, uint16_t flags, uint32_t sequence,
                                 struct reader body)
{
    int32_t code = (int32_t)rtnl_u32(&body);
    uint32_t size = rtnl_u32(&body);
    rd_skip(&body, MESSAGE_HEAD - 4);
    if (!(flags & NLM_F_CAPPED) && size > MESSAGE_HEAD)
        rd_skip(&body, MNL_ALIGN(size) - MESSAGE_HEAD);
    c->n_acknowledged++;
    c->is_over = c->n_acknowledged == c->request->n_messages;
    bool is_optional = sequence >= 1 && sequence <= NL_MESSAGES_MAX &&
                       (c->request->optional & 1u << (sequence - 1));
    if (code >= 0 || is_optional || c->refusal)
        return;
    c->refusal = code;
    if (flags & NLM_F_ACK_TLVS)
        take_words(body, c->words);
}

static int take_answers(struct conversation *c, struct reader r)
{
    while (rd_left(&r) >= MESSAGE_HEAD) {
        uint32_t size = rtnl_u32(&r);
        uint16_t type = rtnl_u16(&r), flags = rtnl_u16(&r);
        uint32_t sequence = rtnl_u32(&r);
        rd_skip(&r, 4);
        if (size < MESSAGE_HEAD)
            return -EBADMSG;
        struct reader body = rd_sub(&r, size - MESSAGE_HEAD);
        size_t padding = MNL_ALIGN(size) - size;
        rd_skip(&r, padding < rd_left(&r) ? padding : rd_left(&r));
        if (!rd_ok(&body))
            return -EBADMSG;
        if (flags & NLM_F_DUMP_INTR)
            c->is_inconsistent = true;
        if (type == NLMSG_DONE) {
            int32_t code = rd_left(&body) >= 4 ? (int32_t)rtnl_u32(&body) : 0;
            c->is_over = true;
            if (code < 0 && !c->refusal) {
                c->refusal = code;
                if (flags & NLM_F_ACK_TLVS)
                    take_words(body, c->words);
            }
        } else if (type == NLMSG_ERROR) {
            take_acknowledgement(c, flags, sequence, body);
        } else if (type >= NLMSG_MIN_TYPE && c->take) {
            c->take(type, body, c->with);
        }
    }
    return 0;
}

static int open_socket(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), on = 1;
    if (fd < 0)
        return -errno;
    /* Old kernels have neither: then there are no words, and more to skip. */
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    struct timeval wait = {.tv_sec = WAIT_SECONDS};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

/* One datagram of the kernel's; those of anybody else are passed over (0). */
static ssize_t receive(int fd, void *bytes, size_t size)
{
    struct sockaddr_nl from = {0};
    socklen_t from_size = sizeof from;
    ssize_t n = recvfrom(fd, bytes, size, MSG_TRUNC, (struct sockaddr *)&from, &from_size);
    if (n < 0)
        return errno == EINTR ? 0 : errno == EAGAIN ? -ETIMEDOUT : -errno;
    if ((size_t)n > size)
        return -EMSGSIZE;
    return from.nl_pid == 0 ? n : 0;
}

static int converse(struct conversation *c, int fd, unsigned char *answer)
{

    if (send(fd, c->request->bytes, c->request->size, 0) < 0)
        return -errno;
    for (unsigned i = 0; !c->is_over; i++) {
        ssize_t n = i < N_READS_MAX ? receive(fd, answer, ANSWER_MAX) : -EBADMSG;
        int result = n < 0 ? (int)n : take_answers(c, rd_make(answer, (size_t)n));
        if (result)
            return result;
    }
    return c->refusal ? c->refusal : c->is_inconsistent ? -EAGAIN : 0;
}

int nl_ask(const struct nl_request *request, nl_take *take, void *with, struct err *err)
{
    struct conversation c = {.request = request, .take = take, .with = with};
    if (request->is_full || request->n_messages == 0)
        return err_set(err, -EMSGSIZE, "the request to the kernel is too long");
    unsigned char *answer = malloc(ANSWER_MAX);
    if (!answer)
        return err_set(err, -ENOMEM, "no memory for the kernel's answer");
    int fd = open_socket();
    int result = fd < 0 ? fd : converse(&c, fd, answer);
    if (fd >= 0)
        close(fd);
    free(answer);
    if (result == 0)
        return 0;
    if (result == -EPERM || result == -EACCES)
        return err_set(err, result, "%s: needs CAP_NET_ADMIN", strerror(-result));
    if (c.words[0] && result == c.refusal)
        return err_set(err, result, "%s (kernel: %s)", strerror(-result), c.words);
    return err_set(err, result, "%s", strerror(-result));
}
