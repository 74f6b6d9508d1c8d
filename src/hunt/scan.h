/* What is kept of connections that came to nothing, for scans; shared with the unit test. */
#ifndef HUNT_SCAN_H
#define HUNT_SCAN_H

#include "hunt/distinct.h"
#include "hunt/gather.h"

enum scan_kind {
    SCAN_SOURCE,     /* all of a source: bounds what it may fill */
    SCAN_HORIZONTAL, /* one port on many hosts */
    SCAN_VERTICAL,   /* many ports of one host */
};

struct scan_key {
    struct hunt_host src, dst; /* dst is zeroed unless vertical */
    uint16_t port;             /* of horizontal ones; ICMP: type << 8 */
    uint8_t proto, kind;
};

struct scan_value {
    int64_t first, last; /* ms: of failed ones */
    uint64_t n_failed, n_answered;
    uint32_t n_keys[2]; /* SCAN_SOURCE: keys of the other kinds, horizontal and vertical */
    uint32_t ways;      /* 1 << enum hunt_way */
    uint32_t unused;
    double n_things; /* of `failed`: counting an estimate anew for each connection costs too much */
    struct distinct failed, answered;
    struct gather_stretch minute, five, hour; /* failed ones that were new, in that time */
    struct book_series events;                /* of failed ones */
};

#define SCAN_KEYS_MAX                                                                              \
    4096 /* of a source, day and kind; what is more counts for the source alone                    \
          */
#define SCAN_EVENTS_MAX 4096 /* of a key, for the pictures */

/* Settings. The numbers are of different hosts, or ports of a host, that did not answer. */
struct scan_settings {
    uint32_t in_minute, in_five, in_hour, in_day;
    uint8_t share; /* percent of all tried that have to have failed */
};

extern const struct book_table scan_table;

#endif
