/* One DNS message while it is looked at: what the parts of the analyzer hand to each other.
 * Step lifetime, on the stack, and too big to be cleared: dns_message_init sets what must be set.
 */
#ifndef PROTO_DNS_MESSAGE_H
#define PROTO_DNS_MESSAGE_H

#include "proto/analyzer.h"

/* Characters in a name's text, dots between labels included; Zeek keeps as many. */
#define DNS_NAME_MAX 512

struct dns_name {
    uint32_t len;
    char text[DNS_NAME_MAX + 8]; /* copied eight at a time */
};

/* Texts of answers, packed: for each an item, then its characters. They go to the log at once, or
 * are kept with a reply that waits for its query. */
struct dns_answer_item {
    uint32_t ttl;
    uint32_t len; /* last: dns_answers_end writes it */
};

#define DNS_ANSWERS_INLINE 2048
#define DNS_ANSWERS_MAX    (1u << 20)

struct dns_answers {
    struct pool *pool;
    char *at; /* `inside`, or a block of the pool */
    uint32_t used, capacity;
    uint32_t begun; /* where the answer that is being written begins */
    bool full;      /* the answer that is being written did not fit */
    char inside[DNS_ANSWERS_INLINE];
};

enum {
    DNS_FLAG_QR = 0x8000,
    DNS_FLAG_AA = 0x0400,
    DNS_FLAG_TC = 0x0200,
    DNS_FLAG_RD = 0x0100,
    DNS_FLAG_RA = 0x0080,
};

struct dns_message {
    struct analysis *a;
    struct reader all;  /* the whole message: compression pointers point into it */
    struct reader rest; /* what was not read yet */

    /* The header. */
    uint16_t id, flags;
    uint16_t n_questions, n_answers, n_authority, n_additional;

    bool netbios_responder; /* the responder's port is 137 */
    bool is_answer;         /* a reply of opcode 0: its answers are logged */
    bool has_question;      /* at least one could be read; below is the last one */
    bool has_answer;        /* at least one of a kind that is logged */
    bool quiet;             /* what is read was read before: nothing goes to weird.log */
    const char *violation;  /* this is not DNS: why; or NULL */

    uint16_t qtype, qclass;
    struct dns_name question;
    struct dns_name answered; /* owner of the first answer, when has_answer */
    struct dns_answers answers;

    /* The record that is being looked at. */
    uint16_t type, class;
    uint32_t ttl;
    uint16_t rd_size;
    struct reader owner; /* begins with its name */
};

static inline unsigned dns_opcode(const struct dns_message *m)
{
    return m->flags >> 11 & 0xf;
}

static inline void dns_weird(struct dns_message *m, const char *name)
{
    if (!m->quiet)
        analysis_weird(m->a, name, (struct str){0});
}

/* With a number in weird.log's addl. */
void dns_weird_number(struct dns_message *m, const char *name, unsigned number);

#endif
