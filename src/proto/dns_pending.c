/* Queries and replies that wait for each other within a connection, as Zeek keeps them: a queue for
 * each transaction id, at most 51 ids and 51 rows for each. Looking an id up walks the few ids. */
#include "proto/dns_pending.h"

#include <assert.h>

#define MAX_IDS  51 /* max_pending_query_ids 50: the next new id finds it too many */
#define MAX_ROWS 51 /* max_pending_msgs 50 */

struct dns_row *dns_row_keep(struct pool *pool, const struct dns_row *row)
{
    uint32_t size = (uint32_t)sizeof *row + row->query.len + row->answers.len;
    struct dns_row *kept = pool_get(pool, size);
    if (!kept)
        return NULL;
    *kept = *row;
    kept->size = size;
    kept->next = NULL;
    char *texts = (char *)(kept + 1);
    if (str_set(row->query)) {
        memcpy(texts, row->query.at, row->query.len);
        kept->query.at = texts;
    }
    if (row->answers.len > 0) {
        memcpy(texts + row->query.len, row->answers.at, row->answers.len);
        kept->answers.at = texts + row->query.len;
    }
    return kept;
}

void dns_row_free(struct pool *pool, struct dns_row *row)
{
    if (row)
        pool_put(pool, row, row->size);
}

static struct dns_queue *find(const struct dns_pending *pending, uint16_t id)
{
    for (uint16_t i = 0; i < pending->n; i++)
        if (pending->queues[i].id == id)
            return &pending->queues[i];
    return NULL;
}

static struct dns_row *take_from(struct dns_pending *pending, struct dns_queue *queue)
{
    struct dns_row *row = queue->head;
    queue->head = row->next;
    row->next = NULL;
    if (--queue->n == 0) {
        struct dns_queue *end = pending->queues + --pending->n;
        memmove(queue, queue + 1, (size_t)(end - queue) * sizeof *queue);
    }
    return row;
}

struct dns_row *dns_pending_take(struct dns_pending *pending, uint16_t id)
{
    struct dns_queue *queue = find(pending, id);
    return queue ? take_from(pending, queue) : NULL;
}

struct dns_row *dns_pending_take_any(struct dns_pending *pending)
{
    return pending->n > 0 ? take_from(pending, pending->queues) : NULL;
}

enum dns_pending_room dns_pending_room(const struct dns_pending *pending, uint16_t id)
{
    const struct dns_queue *queue = find(pending, id);
    if (queue)
        return queue->n >= MAX_ROWS ? DNS_TOO_MANY_ROWS : DNS_ROOM;
    return pending->n >= MAX_IDS ? DNS_TOO_MANY_IDS : DNS_ROOM;
}

static bool grow(struct dns_pending *pending, struct pool *pool)
{
    uint16_t capacity = pending->capacity ? (uint16_t)(pending->capacity * 4) : 4;
    struct dns_queue *queues = pool_get(pool, capacity * sizeof *queues);
    if (!queues)
        return false;
    if (pending->queues) {
        memcpy(queues, pending->queues, pending->n * sizeof *queues);
        pool_put(pool, pending->queues, pending->capacity * sizeof *queues);
    }
    pending->queues = queues;
    pending->capacity = capacity;
    return true;
}

bool dns_pending_add(struct dns_pending *pending, struct pool *pool, struct dns_row *row)
{
    struct dns_queue *queue = find(pending, row->id);
    if (queue) {
        queue->tail->next = row;
        queue->tail = row;
        queue->n++;
        return true;
    }
    if (pending->n == pending->capacity && !grow(pending, pool))
        return false;
    pending->queues[pending->n++] =
        (struct dns_queue){.head = row, .tail = row, .id = row->id, .n = 1};
    return true;
}

void dns_pending_done(struct dns_pending *pending, struct pool *pool)
{
    assert(pending->n == 0);
    if (pending->queues)
        pool_put(pool, pending->queues, pending->capacity * sizeof *pending->queues);
    *pending = (struct dns_pending){0};
}
