/* What the two files of filters share: reading the words, and holding findings against them. */
#ifndef HUNT_FILTER_PARTS_H
#define HUNT_FILTER_PARTS_H

#include "hunt/filter.h"

#define FILTER_WORDS_MAX 64

enum filter_key {
    KEY_SEVERITY,
    KEY_SRC,
    KEY_DST,
    KEY_IP,
    KEY_NAME,
    KEY_MACHINE,
    KEY_NETWORK,
    KEY_HUNT,
    KEY_PORT,
    KEY_ID,
    KEY_SCORE,
    KEY_BEACON,
    KEY_CONFIDENCE,
    KEY_DURATION,
    KEY_PERIOD,
    KEY_COUNT,
    KEY_SUBDOMAINS,
    KEY_BYTES,
    KEY_UP,
    KEY_DOWN,
    KEY_INTEL,
    KEY_SORT,
    KEY_FIRST, /* these two only sort */
    KEY_LAST,
};

enum filter_op { FILTER_EQUAL, FILTER_MORE, FILTER_AT_LEAST, FILTER_LESS, FILTER_AT_MOST };

struct filter_word {
    int key; /* enum filter_key; -1: to be looked for anywhere */
    bool not, descending;
    enum filter_op op;
    double number; /* of numbers; of KEY_SORT: by which key */
    char *text;    /* owned; of texts */
    struct hunt_prefix prefix;
    bool has_prefix;
};

const char *filter_key_name(int key); /* "severity" ... */
bool filter_holds(enum filter_op op, double value, double wanted);
bool filter_text_fits(const char *pattern, const char *text);
/* Of "443:tcp:ssl,80:tcp:http". */
bool filter_has_port(const struct filter_word *word, const char *ports);

struct hunt_filter {
    struct filter_word words[FILTER_WORDS_MAX];
    size_t n;
};

#endif
