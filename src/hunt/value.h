/* The values of log columns from their text: numbers, times, addresses, escaped strings. All of it
 * is bounded by the text's length, and nothing rounds twice. */
#ifndef HUNT_VALUE_H
#define HUNT_VALUE_H

#include "base/str.h"
#include "net/addr.h"

/* "12", "1.5", "9.5e-07" as multiples of 10^-scale, finer ones rounded to the nearest. False: that
 * is no number. What is too large becomes INT64_MAX (or INT64_MIN). */
bool value_decimal(struct str text, unsigned scale, int64_t *out);

/* A time as ns since the epoch: seconds with a fraction, or as Zeek's JSON has it if asked for:
 * "2020-05-02T01:23:45.678901Z", or a whole number of milliseconds. Too large ones become
 * INT64_MAX (or INT64_MIN). */
bool value_time(struct str text, int64_t *out);
bool value_time_json(struct str text, int64_t *out);

bool value_addr(struct str text, struct addr *out);

/* Never 0; the same in every run. */
uint64_t value_hash(struct str text);

/* Both write at most `text.len` bytes, and give their number. TSV: \xNN and \\. JSON: what may
 * stand between quotes, and \\xNN of what is no visible ASCII, as Zeek writes bytes that are no
 * UTF-8. */
size_t value_unescape_tsv(struct str text, char *out);
size_t value_unescape_json(struct str text, char *out);

#endif
