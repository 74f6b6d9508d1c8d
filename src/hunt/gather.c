/* Gathering what is found in tables, and what hunts say alike. */
#include "hunt/gather.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gather_init(struct gather *gather, size_t item_size, size_t max)
{
    *gather = (struct gather){.item_size = item_size, .max = max};
    pthread_mutex_init(&gather->lock, NULL);
}

void gather_done(struct gather *gather)
{
    pthread_mutex_destroy(&gather->lock);
    free(gather->items);
    gather->items = NULL;
}

bool gather_add(struct gather *gather, const void *item)
{
    bool added = false;
    pthread_mutex_lock(&gather->lock);
    if (gather->n == gather->capacity && gather->n < gather->max) {
        size_t capacity = gather->capacity ? 2 * gather->capacity : 64;
        if (capacity > gather->max)
            capacity = gather->max;
        char *items = realloc(gather->items, capacity * gather->item_size);
        if (items) {
            gather->items = items;
            gather->capacity = capacity;
        }
    }
    if (gather->n < gather->capacity) {
        memcpy(gather->items + gather->n++ * gather->item_size, item, gather->item_size);
        added = true;
    } else {
        gather->n_left_out++;
    }
    pthread_mutex_unlock(&gather->lock);
    return added;
}

void gather_sort(struct gather *gather, int (*order)(const void *a, const void *b))
{
    if (gather->n > 1)
        qsort(gather->items, gather->n, gather->item_size, order);
}

static int64_t gather_day(int64_t ms)
{
    int64_t day = ms / GATHER_MS_DAY;
    return ms % GATHER_MS_DAY < 0 ? day - 1 : day;
}

static size_t gather_first_of_window(const struct hunt_judge *judge)
{
    size_t i = 0;
    while (i < judge->books.n && book_day(judge->books.at[i]) < gather_day(judge->from))
        i++;
    return i;
}

struct books gather_window(const struct hunt_judge *judge)
{
    size_t i = gather_first_of_window(judge);
    return (struct books){.at = i < judge->books.n ? judge->books.at + i : NULL,
                          .n = judge->books.n - i};
}

struct books gather_history(const struct hunt_judge *judge)
{
    return (struct books){.at = judge->books.at, .n = gather_first_of_window(judge)};
}

double gather_history_days(const struct hunt_judge *judge)
{
    struct books history = gather_history(judge);
    if (history.n == 0)
        return 0;
    int64_t begin = book_day(history.at[0]) * GATHER_MS_DAY;
    return judge->from > begin ? (double)(judge->from - begin) / (double)GATHER_MS_DAY : 0;
}

int gather_order_host(const struct hunt_host *a, const struct hunt_host *b)
{
    int order = addr_order(&a->addr, &b->addr);
    if (order != 0)
        return order;
    return a->network < b->network ? -1 : a->network > b->network;
}

bool gather_is_group(const struct addr *addr)
{
    if (!addr_is_v4(addr))
        return addr->b[0] == 0xff;
    return (addr->b[12] >= 224 && addr->b[12] < 240) || addr->b[15] == 255 || addr->b[12] == 0;
}

bool gather_is_failed(const struct hunt_record *conn)
{
    if (conn->proto == HUNT_ICMP)
        return conn->conn.resp_pkts == HUNT_UNSET || conn->conn.resp_pkts == 0;
    switch (conn->conn.state) {
    case HUNT_S0:
    case HUNT_REJ:
    case HUNT_RSTOS0:
    case HUNT_RSTRH:
    case HUNT_SH:
        return true;
    case HUNT_RSTO:
    case HUNT_RSTR:
        return conn->conn.resp_bytes == HUNT_UNSET || conn->conn.resp_bytes == 0;
    case HUNT_STATE_NONE:
    case HUNT_S1:
    case HUNT_SF:
    case HUNT_S2:
    case HUNT_S3:
    case HUNT_SHR:
    case HUNT_OTH:
        return false;
    }
    return false;
}

void gather_ends(const struct hunt_judge *judge, struct finding *finding,
                 const struct hunt_host *src, const struct hunt_host *dst, int64_t first,
                 int64_t last)
{
    struct pair_key key;
    memset(&key, 0, sizeof(key));
    key.src = *src;
    if (dst)
        key.dst = *dst;
    struct pair_value value;
    memset(&value, 0, sizeof(value));
    value.sum.first = first;
    value.sum.last = last;
    finding_of_pair(judge, finding, &key, &value);
    if (dst)
        return;
    memset(&finding->dst, 0, sizeof(finding->dst));
    finding->has_dst = false;
    finding->dst_machine[0] = 0;
    finding->name[0] = 0;
}

void gather_bytes_text(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 999.5 && unit < 5) {
        value /= 1000;
        unit++;
    }
    snprintf(out, 32, unit && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void gather_time_text(double seconds, char out[32])
{
    uint64_t s = seconds < 0 || !isfinite(seconds) ? 0
                 : seconds > 1e12                  ? (uint64_t)1e12
                                                   : (uint64_t)(seconds + 0.5);
    if (s < 120)
        snprintf(out, 32, "%" PRIu64 " s", s);
    else if (s < 2 * 3600)
        snprintf(out, 32, "%" PRIu64 " min", s / 60);
    else if (s < 48 * 3600)
        snprintf(out, 32, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%" PRIu64 " days %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

void gather_host_text(const struct hunt_judge *judge, const struct hunt_host *host, char out[128])
{
    char addr[ADDR_TEXT_MAX];
    int len = (int)addr_format(&host->addr, addr);
    const char *machine = hunt_machine_of(judge, host);
    if (machine[0])
        snprintf(out, 128, "%.*s (%.64s)", len, addr, machine);
    else
        snprintf(out, 128, "%.*s", len, addr);
}

void gather_stretch_add(struct gather_stretch *stretch, int64_t ts, int64_t width, double before,
                        double now, uint64_t n)
{
    if (stretch->start == 0 || ts - stretch->start >= width || ts < stretch->start - width) {
        stretch->start = ts;
        stretch->base = before;
        stretch->base_n = n - 1;
    }
    double rose = fmin(now - stretch->base, (double)(n - stretch->base_n));
    if (rose > stretch->most)
        stretch->most = rose;
}

void gather_stretch_merge(struct gather_stretch *into, const struct gather_stretch *from)
{
    if (from->most > into->most)
        *into = *from;
}
