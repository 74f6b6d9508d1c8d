/* The texts of a reply's answers, packed one behind the other.
 *
 * A message of 64 KiB can hold thousands of records whose names point to the same long text, so
 * what is kept has its own limit, DNS_ANSWERS_MAX; answers past it are left out. Most replies fit
 * the room on the stack. */
#include "proto/dns_answers.h"

void dns_answers_init(struct dns_answers *answers, struct pool *pool)
{
    answers->pool = pool;
    answers->at = answers->inside;
    answers->used = 0;
    answers->capacity = sizeof answers->inside;
}

void dns_answers_done(struct dns_answers *answers)
{
    if (answers->at != answers->inside)
        pool_put(answers->pool, answers->at, answers->capacity);
    answers->at = answers->inside;
}

static bool make_room(struct dns_answers *answers, size_t size)
{
    uint32_t capacity = answers->capacity;
    while (capacity - answers->used < size) {
        if (capacity >= DNS_ANSWERS_MAX)
            return false;
        capacity *= 2;
    }
    char *grown = pool_get(answers->pool, capacity);
    if (!grown)
        return false;
    memcpy(grown, answers->at, answers->used);
    if (answers->at != answers->inside)
        pool_put(answers->pool, answers->at, answers->capacity);
    answers->at = grown;
    answers->capacity = capacity;
    return true;
}

void dns_answers_add(struct dns_answers *answers, const void *bytes, size_t size)
{
    if (answers->full || size == 0)
        return;
    if (answers->capacity - answers->used < size && !make_room(answers, size)) {
        answers->full = true;
        return;
    }
    memcpy(answers->at + answers->used, bytes, size);
    answers->used += (uint32_t)size;
}

void dns_answers_add_number(struct dns_answers *answers, unsigned number)
{
    char digits[10];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    dns_answers_add(answers, digits + at, sizeof digits - at);
}

void dns_answers_begin(struct dns_answers *answers, uint32_t ttl)
{
    struct dns_answer_item item = {.ttl = ttl};
    answers->full = false;
    answers->begun = answers->used;
    dns_answers_add(answers, &item, sizeof item);
}

void dns_answers_end(struct dns_answers *answers)
{
    uint32_t text = answers->begun + (uint32_t)sizeof(struct dns_answer_item);
    if (answers->full || answers->used == text) {
        answers->used = answers->begun;
        return;
    }
    uint32_t len = answers->used - text;
    memcpy(answers->at + text - sizeof len, &len, sizeof len);
}

bool dns_answers_next(struct str *packed, struct dns_answer_item *out_item, struct str *out_text)
{
    if (packed->len == 0)
        return false;
    memcpy(out_item, packed->at, sizeof *out_item);
    *out_text = str_make(packed->at + sizeof *out_item, out_item->len);
    *packed = str_from(*packed, sizeof *out_item + out_item->len);
    return true;
}
