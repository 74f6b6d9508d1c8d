/* The texts of a reply's answers, while they are put together and while they are kept. */
#ifndef PROTO_DNS_ANSWERS_H
#define PROTO_DNS_ANSWERS_H

#include "proto/dns_message.h"

void dns_answers_init(struct dns_answers *answers, struct pool *pool);
void dns_answers_done(struct dns_answers *answers);

/* An answer is begun, added to, and ended; one without any text is not kept. */
void dns_answers_begin(struct dns_answers *answers, uint32_t ttl);
void dns_answers_add(struct dns_answers *answers, const void *bytes, size_t size);
void dns_answers_add_number(struct dns_answers *answers, unsigned number);
void dns_answers_end(struct dns_answers *answers);

static inline void dns_answers_add_str(struct dns_answers *answers, struct str text)
{
    dns_answers_add(answers, text.at, text.len);
}

#define dns_answers_add_text(answers, literal) dns_answers_add_str(answers, STR(literal))

static inline struct str dns_answers_packed(const struct dns_answers *answers)
{
    return str_make(answers->at, answers->used);
}

/* Takes the next answer off the front of `packed`; false when there is none. */
bool dns_answers_next(struct str *packed, struct dns_answer_item *out_item, struct str *out_text);

#endif
