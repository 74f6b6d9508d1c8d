/* What hunts keep from run to run, in one SQLite file: finished and growing days' books, how far
 * each file was read, when names and addresses were seen first, which findings were told. One
 * thread at a time. */
#ifndef HUNT_ARCHIVE_H
#define HUNT_ARCHIVE_H

#include "hunt/engine.h"
#include "hunt/read.h"

struct hunt_archive;

/* `path` is made where it lacks (0600), its folder is not; ":memory:" is kept nowhere. A file of
 * another version or in disorder is put aside (NAME.bad), which `err` tells in words with a result
 * of 1. `read_only`: nothing is written, and a file that is not there is an empty one. Else no
 * other process may have it open so: after a few seconds of waiting the result is -EBUSY. */
int hunt_archive_open(const char *path, bool read_only, struct hunt_archive **out,
                      struct err *err) MUST_CHECK;
void hunt_archive_close(struct hunt_archive *archive);

/* Of the hashes in books; made once, by chance. */
uint64_t hunt_archive_secret(const struct hunt_archive *archive);

/* Books of the days that end after `from` (ms since the epoch) are added to the engine, the newest
 * first, as far as its memory goes. Settings that change what is kept (the networks that are
 * internal, say) make them void: then nothing is loaded, and the marks are gone. 1: `err` says what
 * of the archive could not be used. */
int hunt_archive_load(struct hunt_archive *archive, const struct hunt_settings *settings,
                      int64_t from, struct hunt_engine *engine, struct err *err) MUST_CHECK;
/* Books and marks, of which what was learned and told stays: all is read again. Not of one that is
 * read only. */
int hunt_archive_forget(struct hunt_archive *archive, struct err *err) MUST_CHECK;
/* How far files were read for the books; ask after hunt_archive_load. The caller frees them. */
int hunt_archive_marks(struct hunt_archive *archive, struct hunt_mark **out, size_t *out_n,
                       struct err *err) MUST_CHECK;
/* Books that changed, and marks (all there are from now on), in one transaction: after a kill both
 * are of before, or of now. */
int hunt_archive_save(struct hunt_archive *archive, const struct hunt_settings *settings,
                      const struct hunt_engine *engine, const struct hunt_mark *marks, size_t n,
                      struct err *err) MUST_CHECK;

/* First seen: books' names and external addresses are put in; 90 days after they were seen last
 * they go. Keys as those of hunt_engine_history. */
int hunt_archive_learn(struct hunt_archive *archive, const struct hunt_engine *engine,
                       struct err *err) MUST_CHECK;
int64_t hunt_archive_first_seen(struct hunt_archive *archive, uint64_t key); /* ms; HUNT_UNSET */
/* Since when there is such a memory, ms; HUNT_UNSET: nothing was learned yet. */
int64_t hunt_archive_history(struct hunt_archive *archive);

/* Whether a finding is to be told: new, or of a higher level than when it was told last; a level
 * that fell and rises again is told again after 24 hours. Says `is_new`, and remembers it for 30
 * days. */
int hunt_archive_tell(struct hunt_archive *archive, struct finding *finding, bool *out_tell,
                      struct err *err) MUST_CHECK;

#endif
