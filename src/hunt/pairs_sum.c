/* Sums of a pair, by address or by name, and its ports. */
#include "hunt/pairs_parts.h"

#define OTHER_PORTS 61

void pairs_sum_touch(const struct pairs *pairs, struct pair_sum *sum, int64_t ts)
{
    sum->touched = pairs->round;
    if (sum->first == 0 && sum->last == 0)
        sum->first = sum->last = ts;
    if (ts < sum->first)
        sum->first = ts;
    if (ts > sum->last)
        sum->last = ts;
}

struct port_of {
    struct hunt_host src, dst;
    book_name name, service;
    uint64_t duration;
    uint16_t port;
    uint8_t proto;
};

static bool is_port(const struct pair_port *at, const struct port_of *port)
{
    return at->service == port->service && at->port == port->port && at->proto == port->proto;
}

/* The first three are in the value; a slot that is zeroed is free, or just that port. */
static struct pair_port *place_of(struct pair_sum *sum, const struct port_of *port)
{
    static const struct pair_port none;
    for (unsigned i = 0; i < PAIR_PORTS; i++) {
        struct pair_port *at = &sum->ports[i];
        if (is_port(at, port))
            return at;
        if (memcmp(at, &none, sizeof none) != 0)
            continue;
        *at =
            (struct pair_port){.service = port->service, .port = port->port, .proto = port->proto};
        return at;
    }
    return NULL;
}

static struct port_value *other_place_of(struct book *book, struct pair_sum *sum,
                                         const struct port_of *port)
{
    struct port_key key = {.src = port->src,
                           .name = port->name,
                           .service = port->service,
                           .port = port->port,
                           .proto = port->proto};
    if (port->name == 0)
        key.dst = port->dst;
    if (sum->n_other_ports >= OTHER_PORTS)
        return book_find(book, &port_table, &key);
    bool is_new;
    struct port_value *value = book_at(book, &port_table, &key, &is_new);
    if (value && is_new)
        sum->n_other_ports++;
    return value;
}

static void add_port(struct book *book, struct pair_sum *sum, const struct port_of *port, int sign)
{
    struct pair_port *at = place_of(sum, port);
    struct port_value *other = at ? NULL : other_place_of(book, sum, port);
    if (at && (sign > 0 || at->n > 0)) {
        at->n += (uint32_t)sign;
        at->duration += sign < 0 ? -port->duration : port->duration;
    } else if (other && (sign > 0 || other->n > 0)) {
        other->n += (uint64_t)(int64_t)sign;
        other->duration += sign < 0 ? -port->duration : port->duration;
    }
}

void pairs_sum_conn(struct pairs *pairs, struct book *book, struct pair_sum *sum,
                    const struct conn_facts *conn, book_name name)
{
    pairs_sum_touch(pairs, sum, conn->ts);
    sum->n++;
    sum->n_failed += conn->failed;
    sum->bytes_up += conn->up;
    sum->bytes_down += conn->down;
    sum->payload_up += conn->payload_up;
    sum->payload_down += conn->payload_down;
    sum->missed += conn->missed;
    sum->duration += conn->duration;
    if (conn->duration > sum->longest)
        sum->longest = conn->duration;
    sum->states |= 1u << conn->state;
    struct port_of port = {.src = conn->src,
                           .dst = conn->dst,
                           .name = name,
                           .service = conn->service,
                           .duration = conn->duration,
                           .port = conn->port,
                           .proto = conn->proto};
    add_port(book, sum, &port, 1);
}

static void add(uint64_t *sum, uint64_t value, int sign)
{
    *sum += sign < 0 ? -value : value;
}

void pairs_sum_open(struct pairs *pairs, struct book *book, struct pair_sum *sum,
                    const struct open_value *open, book_name name, int sign)
{
    pairs_sum_touch(pairs, sum, open->ts);
    add(&sum->n_open, 1, sign);
    add(&sum->bytes_up, open->up, sign);
    add(&sum->bytes_down, open->down, sign);
    add(&sum->payload_up, open->payload_up, sign);
    add(&sum->payload_down, open->payload_down, sign);
    add(&sum->missed, open->missed, sign);
    add(&sum->duration, open->duration, sign);
    add(&sum->open_duration, open->duration, sign);
    add(&sum->open_bytes, open->up + open->down, sign);
    if (open->duration > sum->longest)
        sum->longest = open->duration;
    struct port_of port = {.src = open->src,
                           .dst = open->dst,
                           .name = name,
                           .service = open->service,
                           .duration = open->duration,
                           .port = open->port,
                           .proto = open->proto};
    add_port(book, sum, &port, sign);
}
