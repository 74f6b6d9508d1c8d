/* The files that hunts take lists from: feeds and safelists. Who may not open files (the process
 * that parses packets) gets them from one who may, all of them in one descriptor:
 *
 *     4 bytes: enum lists_kind | 4: size of the name | 8: size of the text | name | text | ...
 *
 * in the byte order of the machine. */
#ifndef HUNT_LISTS_H
#define HUNT_LISTS_H

#include "hunt/feeds.h"
#include "hunt/safelist.h"

struct hunt_settings;

#define LISTS_MAX_SIZE ((uint64_t)512 << 20) /* of all texts together */

/* Calls `take` for each file: the paths, and the *.txt and *.csv beneath those that are folders, in
 * the order of their names. What is wrong with a path is an error, with a file of a folder counted.
 */
struct lists_walk {
    int (*take)(void *with, const char *path, struct err *err);
    void *with;
    uint64_t n_files, n_unreadable;
};
int lists_walk(const char *const *paths, size_t n, struct lists_walk *walk,
               struct err *err) MUST_CHECK;

/* Writes what the files of the settings hold. */
int lists_put(int fd, const struct hunt_settings *settings, struct err *err) MUST_CHECK;

/* Reads what lists_put wrote, from the beginning. The caller's, both; NULL: there are none of the
 * kind. `secret` is for the feeds' hashes. */
int lists_take(int fd, uint64_t secret, struct feeds **out_feeds,
               struct hunt_safelist **out_safelist, struct err *err) MUST_CHECK;

/* The same from the files themselves. */
int lists_load(const struct hunt_settings *settings, uint64_t secret, struct feeds **out_feeds,
               struct hunt_safelist **out_safelist, struct err *err) MUST_CHECK;

#endif
