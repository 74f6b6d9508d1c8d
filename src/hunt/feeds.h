/* Lists of known-bad addresses, networks, names and fingerprints, from files: one entry a line, as
 * the public ones are written. Put together once, then only read, from any thread.
 *
 * A line is an address, a network (10.0.0.0/8), a name (names below it fit too), "host:port" or a
 * URL (by its host), or a fingerprint (JA3, JA3S, HASSH: 32 hexadecimal digits; a certificate's: 40
 * or 64; JA4), and may go on with what it is, after a blank, a comma or a semicolon. In a line of
 * /etc/hosts the second word counts. '#', ';' and "//" begin comments. */
#ifndef HUNT_FEEDS_H
#define HUNT_FEEDS_H

#include "base/err.h"
#include "base/str.h"
#include "net/addr.h"

struct feeds;

struct feeds_counts {
    uint64_t n_files;
    uint64_t n_entries;    /* different ones */
    uint64_t n_refused;    /* lines that are none of the above, or too long */
    uint64_t n_too_wide;   /* networks that would be a good part of the Internet: wider than /8, or
                            * /16 of IPv6 */
    uint64_t n_left_out;   /* entries above the limit, or for which there is no memory */
    uint64_t n_unreadable; /* files in folders */
};

#define FEEDS_MAX_ENTRIES 4000000
#define FEEDS_MAX_FILES   1000

/* Files, and folders of *.txt and *.csv. A path that is not there is an error; a file in a folder
 * that cannot be read is counted. `secret` is for hashes. */
int feeds_load(const char *const *paths, size_t n, uint64_t secret, struct feeds **out,
               struct err *err) MUST_CHECK;
void feeds_free(struct feeds *feeds);
void feeds_count(const struct feeds *feeds, struct feeds_counts *out);

/* Entries of one text; `name` is the feed's. */
void feeds_take(struct feeds *feeds, const char *name, struct str text);
struct feeds *feeds_new(uint64_t secret); /* NULL: no memory */

/* "feed.txt", or "feed.txt: what it is"; NULL: on none. `feeds` may be NULL. */
const char *feeds_of_addr(const struct feeds *feeds, const struct addr *addr);
const char *feeds_of_name(const struct feeds *feeds, struct str name);
const char *feeds_of_fingerprint(const struct feeds *feeds, struct str fingerprint);

#endif
