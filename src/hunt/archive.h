/* What hunts keep from run to run, in one SQLite file: finished and growing days' books, how far
 * each file was read, when names and addresses were seen first, which findings were told. */
#ifndef HUNT_ARCHIVE_H
#define HUNT_ARCHIVE_H

#include "hunt/engine.h"
#include "hunt/read.h"

struct hunt_archive;

/* `path` is made where it lacks (0600). A file of another version or in disorder is put aside
 * (NAME.bad), which `err` tells in words with a result of 1. `read_only`: nothing is written. */
int hunt_archive_open(const char *path, bool read_only, struct hunt_archive **out,
                      struct err *err) MUST_CHECK;
void hunt_archive_close(struct hunt_archive *archive);

/* Of the hashes in books; made once, by chance. */
uint64_t hunt_archive_secret(const struct hunt_archive *archive);

/* Marks of files in these folders. */
int hunt_archive_marks(struct hunt_archive *archive, struct hunt_mark **out, size_t *out_n,
                       struct err *err) MUST_CHECK;
/* Books of the days from `from` on are added to the engine. Settings that change what is kept (the
 * networks that are internal, say) make them void: then nothing is loaded, and the marks are gone.
 */
int hunt_archive_load(struct hunt_archive *archive, const struct hunt_settings *settings,
                      int64_t from, struct hunt_engine *engine, struct err *err) MUST_CHECK;
/* Books and marks in one transaction: after a kill both are of before, or of now. */
int hunt_archive_save(struct hunt_archive *archive, const struct hunt_settings *settings,
                      const struct hunt_engine *engine, const struct hunt_mark *marks, size_t n,
                      struct err *err) MUST_CHECK;

/* First seen: books' names and external addresses are put in; 90 days after they were seen last
 * they go. */
int hunt_archive_learn(struct hunt_archive *archive, const struct hunt_engine *engine,
                       struct err *err) MUST_CHECK;
int64_t hunt_archive_first_seen(struct hunt_archive *archive, uint64_t key); /* ms; HUNT_UNSET */

/* Whether a finding is to be told: new, or of a higher level than when it was told last. Says
 * `is_new`, and remembers it. */
int hunt_archive_tell(struct hunt_archive *archive, struct finding *finding, bool *out_tell,
                      struct err *err) MUST_CHECK;

#endif
