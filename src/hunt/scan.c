/* Scans: one port on many hosts (horizontal), many ports of one host (vertical), or both. What
 * counts is how many different ones did not answer, in a minute, five minutes, an hour and the day;
 * a source that is answered nearly everywhere (a monitoring system, a resolver, a file-sharing
 * client) does not scan, whatever the number.
 *
 * A scan is one finding, not thousands: what a source did is put together when there is more than a
 * little of it. Its score rises by decades, so that it is told again at 100, 1000, 10,000. */
#include "hunt/scan.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MINUTE     60000ll
#define AT(member) offsetof(struct scan_settings, member)

static const struct yaml_row scan_rows[] = {
    {.key = "in-a-minute",
     .help = "so many that do not answer, within a minute, are a scan",
     .kind = YAML_COUNT,
     .at = AT(in_minute),
     .min = 3,
     .max = 1000000},
    {.key = "in-5-minutes",
     .help = "or so many within five minutes",
     .kind = YAML_COUNT,
     .at = AT(in_five),
     .min = 3,
     .max = 1000000},
    {.key = "in-an-hour",
     .help = "or so many within an hour",
     .kind = YAML_COUNT,
     .at = AT(in_hour),
     .min = 3,
     .max = 1000000},
    {.key = "in-a-day",
     .help = "or so many in the window, however slowly",
     .kind = YAML_COUNT,
     .at = AT(in_day),
     .min = 3,
     .max = 1000000},
    {.key = "failed",
     .help = "of all hosts or ports that were tried, at least this share failed",
     .kind = YAML_SHARE,
     .at = AT(share),
     .min = 1,
     .max = 100},
    {.key = NULL},
};

static void scan_defaults(void *settings)
{
    *(struct scan_settings *)settings = (struct scan_settings){
        .in_minute = 10, .in_five = 15, .in_hour = 100, .in_day = 200, .share = 35};
}

static void scan_merge(void *into, const void *from)
{
    struct scan_value *a = into;
    const struct scan_value *b = from;
    if (b->n_failed > 0 && (a->n_failed == 0 || b->first < a->first))
        a->first = b->first;
    if (b->n_failed > 0 && (a->n_failed == 0 || b->last > a->last))
        a->last = b->last;
    a->n_failed += b->n_failed;
    a->n_answered += b->n_answered;
    a->n_keys[0] += b->n_keys[0];
    a->n_keys[1] += b->n_keys[1];
    a->ways |= b->ways;
    distinct_merge(&a->failed, &b->failed);
    a->n_things = distinct_count(&a->failed);
    distinct_merge(&a->answered, &b->answered);
    gather_stretch_merge(&a->minute, &b->minute);
    gather_stretch_merge(&a->five, &b->five);
    gather_stretch_merge(&a->hour, &b->hour);
}

const struct book_table scan_table = {
    .name = "scan",
    .version = 1,
    .key_size = sizeof(struct scan_key),
    .value_size = sizeof(struct scan_value),
    .series_at = {offsetof(struct scan_value, events)},
    .n_series = 1,
    .merge = scan_merge,
};

/* ---- taking ---- */

/* A source of which so few failed is not looked at more closely: most connections are answered, and
 * looking up each pair would cost more than all the rest. */
#define SCAN_SUSPECT 8

static void scan_add_failed(struct book *book, struct scan_value *value, enum hunt_way way,
                            uint64_t hash, const struct book_event *event)
{
    int64_t ts = event->ts;
    if (value->n_failed == 0 || ts < value->first)
        value->first = ts;
    if (value->n_failed == 0 || ts > value->last)
        value->last = ts;
    value->n_failed++;
    value->ways |= 1u << way;
    if (value->events.n < SCAN_EVENTS_MAX)
        book_add_event(book, &value->events, event);
    if (!distinct_add(&value->failed, hash))
        return;
    double before = value->n_things;
    double now = value->n_things = distinct_count(&value->failed);
    gather_stretch_add(&value->minute, ts, MINUTE, before, now, value->n_failed);
    gather_stretch_add(&value->five, ts, 5 * MINUTE, before, now, value->n_failed);
    gather_stretch_add(&value->hour, ts, 60 * MINUTE, before, now, value->n_failed);
}

/* Failing there is a service's life: resolvers and time clients ask many that do not answer, and
 * announcements to the local network have no answer. */
static bool scan_is_usual(const struct hunt_record *record, enum hunt_way way)
{
    if (gather_is_group(&record->resp.addr))
        return true;
    if (record->proto != HUNT_UDP)
        return false;
    switch (record->resp_port) {
    case 53:
    case 123:
        return way != HUNT_INSIDE;
    case 67:
    case 68:
    case 546:
    case 547:
    case 1900:
    case 3702:
    case 5353:
    case 5355:
        return true;
    default:
        return false;
    }
}

static void scan_add_answered(struct scan_value *value, uint64_t hash)
{
    value->n_answered++;
    distinct_add(&value->answered, hash);
}

static void scan_take_answered(const struct hunt_take *take, const struct hunt_record *record,
                               struct scan_key *key)
{
    uint64_t host = book_hash(take->book, str_make(&record->resp, sizeof(record->resp)));
    /* Answers on high ports are kept only where something failed before: file sharing has one for
     * each port. On low ports, which nearly all connections have, one look is enough where the port
     * never failed. */
    if (record->resp_port < 1024) {
        key->kind = SCAN_HORIZONTAL;
        key->port = record->resp_port;
        struct scan_value *value = book_at(take->book, &scan_table, key, NULL);
        if (value)
            scan_add_answered(value, host);
        if (!value || value->n_failed == 0)
            return;
    }
    key->kind = SCAN_SOURCE;
    key->port = 0;
    key->proto = 0;
    struct scan_value *source = book_find(take->book, &scan_table, key);
    if (!source || source->n_failed < SCAN_SUSPECT)
        return;
    uint64_t port = book_hash(take->book, str_make(&record->resp_port, sizeof(uint16_t)));
    scan_add_answered(source, host ^ (port * 31));
    key->proto = record->proto;
    struct scan_value *value;
    if (record->resp_port >= 1024) {
        key->kind = SCAN_HORIZONTAL;
        key->port = record->resp_port;
        value = book_find(take->book, &scan_table, key);
        if (value)
            scan_add_answered(value, host);
    }
    key->kind = SCAN_VERTICAL;
    key->port = 0;
    key->dst = record->resp;
    value = book_find(take->book, &scan_table, key);
    if (value)
        scan_add_answered(value, port);
}

static void scan_take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (record->log != HUNT_CONN || !record->has_ends)
        return;
    enum hunt_way way = hunt_way(take->scope, &record->orig.addr, &record->resp.addr);
    if (way == HUNT_OUTSIDE || (way == HUNT_IN && !take->scope->include_inbound) ||
        scan_is_usual(record, way))
        return;
    struct scan_key key;
    memset(&key, 0, sizeof(key));
    key.src = record->orig;
    key.proto = record->proto;
    if (!gather_is_failed(record)) {
        scan_take_answered(take, record, &key);
        return;
    }

    /* The port alone is no thing to count for pings: their code is always 0. */
    uint16_t port =
        record->proto == HUNT_ICMP ? (uint16_t)(record->orig_port << 8) : record->resp_port;
    uint64_t of_host = book_hash(take->book, str_make(&record->resp, sizeof(record->resp)));
    uint64_t of_port = book_hash(take->book, str_make(&port, sizeof(port)));
    struct book_event event = {.ts = hunt_ms(record->ts), .failed = true};

    key.kind = SCAN_SOURCE;
    key.proto = 0;
    struct scan_value *source = book_at(take->book, &scan_table, &key, NULL);
    if (!source)
        return;
    scan_add_failed(take->book, source, way, of_host ^ (of_port * 31), &event);
    uint32_t n_keys[2] = {source->n_keys[0], source->n_keys[1]};
    bool is_suspect = source->n_things >= SCAN_SUSPECT;
    key.proto = record->proto;

    for (int kind = SCAN_HORIZONTAL; kind <= SCAN_VERTICAL; kind++) {
        /* A place for each pair that failed once would be most of the book: a source's first few
         * different failures are not counted for its pairs. */
        if (kind == SCAN_VERTICAL && (record->proto == HUNT_ICMP || !is_suspect))
            break;
        key.kind = (uint8_t)kind;
        key.port = kind == SCAN_HORIZONTAL ? port : 0;
        memset(&key.dst, 0, sizeof(key.dst));
        if (kind == SCAN_VERTICAL)
            key.dst = record->resp;
        bool is_new = false;
        struct scan_value *value = n_keys[kind - SCAN_HORIZONTAL] < SCAN_KEYS_MAX
                                       ? book_at(take->book, &scan_table, &key, &is_new)
                                       : book_find(take->book, &scan_table, &key);
        if (value)
            scan_add_failed(take->book, value, way, kind == SCAN_HORIZONTAL ? of_host : of_port,
                            &event);
        n_keys[kind - SCAN_HORIZONTAL] += is_new;
    }
    key.kind = SCAN_SOURCE;
    key.port = 0;
    key.proto = 0;
    memset(&key.dst, 0, sizeof(key.dst));
    source = book_find(take->book, &scan_table, &key);
    if (source)
        memcpy(source->n_keys, n_keys, sizeof(n_keys));
}

/* The port of the source, which every failed connection and most of the others look up. */
static void scan_fetch(const struct hunt_take *take, const struct hunt_record *record,
                       unsigned step)
{
    struct scan_key key;
    if (record->log != HUNT_CONN || !record->has_ends || record->proto == HUNT_ICMP ||
        (record->resp_port >= 1024 && !gather_is_failed(record)))
        return;
    memset(&key, 0, sizeof(key));
    key.src = record->orig;
    key.proto = record->proto;
    key.kind = SCAN_HORIZONTAL;
    key.port = record->resp_port;
    book_fetch(take->book, &scan_table, &key, step);
}

/* ---- judging ---- */

struct scan_item {
    struct scan_key key;
    struct scan_value value;
    double n, score;
    const char *pace; /* "in a minute" */
    double n_in_pace;
};

struct scan_walk {
    const struct hunt_judge *judge;
    struct gather items;
};

static double scan_score(double n, uint32_t ways)
{
    double score = 0.45 + 0.2 * log10(n / 10);
    if (ways & 1u << HUNT_INSIDE)
        score += 0.1;
    else if (ways == 1u << HUNT_IN)
        score -= 0.25; /* the Internet scans all day */
    return score < 0.2 ? 0.2 : score > 0.95 ? 0.95 : score;
}

static bool scan_weigh(const struct scan_settings *settings, struct scan_item *item)
{
    const struct scan_value *value = &item->value;
    /* An estimate may be above what came at all. */
    item->n = fmin(value->n_things, (double)value->n_failed);
    const struct {
        double n;
        uint32_t limit;
        const char *text;
    } paces[] = {
        {value->minute.most, settings->in_minute, "within a minute"},
        {value->five.most, settings->in_five, "within five minutes"},
        {value->hour.most, settings->in_hour, "within an hour"},
        {item->n, settings->in_day, "in the window, slowly"},
    };
    item->pace = NULL;
    for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]) && !item->pace; i++) {
        /* What is counted in a stretch are differences of an estimate: never more than all. */
        if (paces[i].n + 0.5 >= paces[i].limit) {
            item->pace = paces[i].text;
            item->n_in_pace = paces[i].n < item->n ? paces[i].n : item->n;
        }
    }
    if (!item->pace)
        return false;
    double answered = distinct_count(&value->answered);
    if (item->n * 100 < settings->share * (item->n + answered))
        return false;
    item->score = scan_score(item->n, value->ways);
    return true;
}

static void scan_each(void *with, const void *key, const void *value)
{
    struct scan_walk *walk = with;
    const struct scan_settings *settings = walk->judge->settings;
    /* Nearly all have too few for any limit: what a limit counts are failed ones. */
    uint32_t least = settings->in_minute;
    least = settings->in_five < least ? settings->in_five : least;
    least = settings->in_hour < least ? settings->in_hour : least;
    least = settings->in_day < least ? settings->in_day : least;
    if (((const struct scan_value *)value)->n_failed < least)
        return;
    struct scan_item item;
    memcpy(&item.key, key, sizeof(item.key));
    memcpy(&item.value, value, sizeof(item.value));
    if (item.value.last < walk->judge->from)
        return;
    if (scan_weigh(settings, &item))
        (void)gather_add(&walk->items, &item); /* what is left out is counted by it */
}

/* By source; of a source its own sum first, then horizontal ones, the largest first. */
static int scan_order(const void *a, const void *b)
{
    const struct scan_item *x = a, *y = b;
    int order = gather_order_host(&x->key.src, &y->key.src);
    if (order != 0)
        return order;
    if (x->key.kind != y->key.kind)
        return x->key.kind < y->key.kind ? -1 : 1;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return memcmp(&x->key, &y->key, sizeof(x->key));
}

static void scan_port_text(const struct scan_key *key, char out[48])
{
    const char *proto = key->proto == HUNT_TCP ? "tcp" : key->proto == HUNT_UDP ? "udp" : "other";
    if (key->proto == HUNT_ICMP)
        snprintf(out, 48, "icmp:%u/0", key->port >> 8);
    else
        snprintf(out, 48, "%u:%s", key->port, proto);
}

static void scan_tell_numbers(struct finding *finding, const struct scan_item *item)
{
    const struct scan_value *value = &item->value;
    double answered = distinct_count(&value->answered);
    finding->score = item->score;
    finding->n = value->n_failed;
    finding->first = value->first;
    finding->last = value->last;
    /* Few are counted exactly; of many the estimate is within a tenth or two. */
    finding->confidence *= value->failed.estimated ? 0.9 : 0.8;
    finding_number(finding, "n_failed", (double)value->n_failed);
    finding_number(finding, "most_in_minute", value->minute.most);
    finding_number(finding, "most_in_5_minutes", value->five.most);
    finding_number(finding, "most_in_hour", value->hour.most);
    finding_number(finding, "n_answered", answered);
    finding->events_of = &scan_table;
    memcpy(finding->events_key, &item->key, sizeof(item->key));
    finding->events_series = 0;
    if (value->ways & 1u << HUNT_INSIDE)
        finding_because(finding, "inside the network, where machines know whom they want");
    else if (value->ways == 1u << HUNT_IN)
        finding_because(finding, "from outside, where scanning never ends");
}

static void scan_tell_one(const struct hunt_judge *judge, const struct scan_item *item)
{
    const struct scan_value *value = &item->value;
    double answered = distinct_count(&value->answered);
    bool is_vertical = item->key.kind == SCAN_VERTICAL;
    const char *about = value->failed.estimated ? "about " : "";
    char port[48];
    scan_port_text(&item->key, port);

    struct finding finding;
    finding_init(&finding, judge->hunt);
    gather_ends(judge, &finding, &item->key.src, is_vertical ? &item->key.dst : NULL, value->first,
                value->last);
    if (is_vertical) {
        snprintf(finding.title, sizeof(finding.title),
                 "vertical scan: %s%.0f ports of this host did not answer", about, item->n);
        finding_number(&finding, "n_ports", item->n);
    } else {
        /* It is another scan than of another port: the name is in the finding's id. */
        snprintf(finding.name, sizeof(finding.name), "many hosts, %s", port);
        snprintf(finding.ports, sizeof(finding.ports), "%s", port);
        snprintf(finding.title, sizeof(finding.title),
                 "horizontal scan of %s: %s%.0f hosts did not answer", port, about, item->n);
        finding_number(&finding, "n_hosts", item->n);
    }
    finding_because(&finding, "%.0f new %s without an answer %s", item->n_in_pace,
                    is_vertical ? "ports" : "hosts", item->pace);
    finding_because(&finding, "%.0f %% of those that were tried failed (%.0f did answer)",
                    100 * item->n / (item->n + answered), answered);
    scan_tell_numbers(&finding, item);
    findings_add(judge->findings, &finding);
}

/* More than a little of one source is one finding. */
static void scan_tell_many(const struct hunt_judge *judge, const struct scan_item *items, size_t n,
                           const struct scan_item *source)
{
    size_t n_ports = 0, n_hosts = 0;
    double most_hosts = 0, most_ports = 0;
    struct finding finding;
    finding_init(&finding, judge->hunt);
    struct scan_item sum = source ? *source : items[0];
    gather_ends(judge, &finding, &sum.key.src, NULL, sum.value.first, sum.value.last);
    char ports[sizeof(finding.ports)] = "";
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (items[i].score > sum.score)
            sum.score = items[i].score;
        if (items[i].key.kind == SCAN_VERTICAL) {
            n_hosts++;
            most_ports = fmax(most_ports, items[i].n);
        } else if (items[i].key.kind == SCAN_HORIZONTAL) {
            n_ports++;
            most_hosts = fmax(most_hosts, items[i].n);
            char port[48];
            scan_port_text(&items[i].key, port);
            int len = snprintf(ports + used, sizeof(ports) - used, "%s%s", used ? "," : "", port);
            if (len > 0 && (size_t)len < sizeof(ports) - used)
                used += (size_t)len;
            else
                ports[used] = 0;
        }
    }
    memcpy(finding.ports, ports, sizeof(ports));
    if (n == 0)
        snprintf(finding.title, sizeof(finding.title),
                 "scan: %.0f ports of different hosts did not answer", sum.n);
    else
        snprintf(
            finding.title, sizeof(finding.title),
            "scan: %zu ports of up to %.0f hosts, %zu hosts on up to %.0f ports did not answer",
            n_ports, most_hosts, n_hosts, most_ports);
    if (n_ports > 0)
        finding_because(&finding, "%zu ports were tried on many hosts, one on %.0f", n_ports,
                        most_hosts);
    if (n_hosts > 0)
        finding_because(&finding, "%zu hosts were tried on many ports, one on %.0f", n_hosts,
                        most_ports);
    if (source &&
        (source->value.n_keys[0] >= SCAN_KEYS_MAX || source->value.n_keys[1] >= SCAN_KEYS_MAX))
        finding_because(&finding,
                        "so many that single hosts and ports are not told apart any more");
    finding_number(&finding, "n_ports", (double)n_ports);
    finding_number(&finding, "n_hosts", (double)n_hosts);
    finding_number(&finding, "most_hosts_of_a_port", most_hosts);
    finding_number(&finding, "most_ports_of_a_host", most_ports);
    scan_tell_numbers(&finding, &sum);
    findings_add(judge->findings, &finding);
}

/* Up to so many of either kind are told singly. */
#define SCAN_SINGLE 3

static void scan_judge(const struct hunt_judge *judge)
{
    struct scan_walk walk = {.judge = judge};
    gather_init(&walk.items, sizeof(struct scan_item), 200000);
    struct books window = gather_window(judge);
    books_each(&window, &scan_table, judge->n_threads, scan_each, &walk);
    gather_sort(&walk.items, scan_order);
    const struct scan_item *items = (const struct scan_item *)(const void *)walk.items.items;
    for (size_t i = 0, end; i < walk.items.n; i = end) {
        end = i + 1;
        while (end < walk.items.n && gather_order_host(&items[i].key.src, &items[end].key.src) == 0)
            end++;
        const struct scan_item *source = items[i].key.kind == SCAN_SOURCE ? &items[i] : NULL;
        size_t from = source ? i + 1 : i;
        size_t n_vertical = 0;
        for (size_t k = from; k < end; k++)
            n_vertical += items[k].key.kind == SCAN_VERTICAL;
        size_t n_horizontal = end - from - n_vertical;
        /* A port of this host and one of that: no row is long, the sum is. Outside that is file
         * sharing; inside there is none. */
        bool is_mixed = end == from && source->value.ways == 1u << HUNT_INSIDE;
        if (n_vertical > SCAN_SINGLE || n_horizontal > SCAN_SINGLE || is_mixed) {
            scan_tell_many(judge, items + from, end - from, source);
        } else {
            for (size_t k = from; k < end; k++)
                scan_tell_one(judge, &items[k]);
        }
    }
    gather_done(&walk.items);
}

static const struct book_table *const scan_tables[] = {&scan_table, NULL};

const struct hunt hunt_scan = {
    .name = "scan",
    .title = "Scans",
    .summary = "many hosts or ports that did not answer one source, in minutes or over a day",
    .logs = HUNT_LOG_BIT(HUNT_CONN),
    .tables = scan_tables,
    .settings = scan_rows,
    .settings_size = sizeof(struct scan_settings),
    .defaults = scan_defaults,
    .take = scan_take,
    .fetch = scan_fetch,
    .judge = scan_judge,
};
