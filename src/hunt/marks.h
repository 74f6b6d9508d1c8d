/* How far files were read by a run before, and under which names they may be now: Zeek and we
 * write conn.log, and an hour later it is 2026-11-22/conn.14:00:00-15:00:00.log.gz. What was read
 * of the one is not read again of the other. */
#ifndef HUNT_MARKS_H
#define HUNT_MARKS_H

#include "hunt/files.h"
#include "hunt/read.h"

#define MARKS_HASHED 4096

struct marks {
    const struct hunt_mark **by_path; /* sorted */
    size_t n;
    const struct hunt_mark **free; /* those whose file is not under its name any more */
    size_t n_free;
    bool *replaced; /* of each of these: another file has its path now */
    bool *is_found; /* of each of these: it turned up, under another name or written anew */
};

/* `given` stays the caller's, and is pointed to. */
int marks_init(struct marks *marks, const struct hunt_mark *given, size_t n,
               const struct files *files, struct err *err) MUST_CHECK;
void marks_done(struct marks *marks);

/* NULL: there is none. */
const struct hunt_mark *marks_of_path(const struct marks *marks, const char *path);
/* Nothing was written to it since. */
bool marks_unchanged(const struct marks *marks, const struct files_one *file);
/* The mark of the file that begins with these bytes; NULL: none of it was read. */
const struct hunt_mark *marks_find(const struct marks *marks, const struct files_one *file,
                                   enum hunt_log log, const char *head, size_t size);
/* Marks that stay though their files are not among those of this run: the file is somewhere, or was
 * there until lately, and may turn up under another name. */
bool marks_stays(const struct hunt_mark *mark, int64_t newest);
/* Its place among the free ones; false: it is none of them. */
bool marks_free_of(const struct marks *marks, const struct hunt_mark *mark, size_t *out_at);
/* A copy, whose path is the caller's to free; `replaced`: under a path that no file has. False: no
 * memory. */
bool marks_keep(const struct hunt_mark *mark, bool replaced, struct hunt_mark *out);

uint64_t marks_hash(const char *head, size_t size); /* 0 of nothing */

#endif
