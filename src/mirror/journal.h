/* What was done, so that it can be gone on with and undone: a small database (SQLite) in the state
 * folder. Every step is written before it is done, and again when it is done. The journal is a
 * help, not the truth: what is there is found by its marks. */
#ifndef MIRROR_JOURNAL_H
#define MIRROR_JOURNAL_H

#include "base/err.h"
#include "mirror/object.h"

struct mirror_journal;

/* `write`: makes the folder and the file where they lack, and holds the lock that keeps a second
 * writer out (-EBUSY) until it is closed. Without: a journal that is not there is an empty one. */
int mirror_journal_open(const char *folder, bool write, struct mirror_journal **out,
                        struct err *err) MUST_CHECK;

/* For writing; where another writer is at work, waits for its end, `patience_ms` at most. When a
 * machine starts, several mirrors are made at once. */
int mirror_journal_wait(const char *folder, int patience_ms, struct mirror_journal **out,
                        struct err *err) MUST_CHECK;

void mirror_journal_close(struct mirror_journal *journal);

struct mirror_entry {
    char provider[24];
    char name[32];
    char machine[64];
    json_t *arguments; /* owned: the options of its apply, an array of strings */
    bool applied;      /* its last apply came to its end */
};

/* All mirrors, by provider and name. */
int mirror_journal_list(struct mirror_journal *journal, struct mirror_entry **out, size_t *out_n,
                        struct err *err) MUST_CHECK;
void mirror_entries_free(struct mirror_entry *entries, size_t n);

/* An apply begins, or has come to its end; a mirror is no more. */
int mirror_journal_begin(struct mirror_journal *journal, const struct mirror_entry *entry,
                         struct err *err) MUST_CHECK;
int mirror_journal_end(struct mirror_journal *journal, const char *provider, const char *name,
                       struct err *err) MUST_CHECK;
int mirror_journal_forget(struct mirror_journal *journal, const char *provider, const char *name,
                          struct err *err) MUST_CHECK;

enum mirror_journal_state {
    MIRROR_MAKING,
    MIRROR_MADE,
    MIRROR_UNMAKING,
    MIRROR_UNMADE,
    MIRROR_LACKED, /* it may lack, and was refused: kept until the next apply begins */
};

/* One step of one object. On disk when it returns. Its `also` is kept with MIRROR_MADE and
 * MIRROR_LACKED. */
int mirror_journal_step(struct mirror_journal *journal, const char *provider, const char *name,
                        const struct mirror_object *object, int state, struct err *err) MUST_CHECK;

/* The recorded objects of a mirror, in the order they were made, without the unmade ones and those
 * it lacks; `also` has {"state": "making"}, and in "known" what was kept. */
int mirror_journal_objects(const struct mirror_journal *journal, const char *provider,
                           const char *name, struct mirror_set *out, struct err *err) MUST_CHECK;

/* Those that its last apply could not make; `also` is what was kept. */
int mirror_journal_lacks(const struct mirror_journal *journal, const char *provider,
                         const char *name, struct mirror_set *out, struct err *err) MUST_CHECK;

/* The last counters that were seen, for the next look. NULL: none. The caller owns them. */
json_t *mirror_journal_sample(struct mirror_journal *journal, const char *provider,
                              const char *name);
int mirror_journal_keep_sample(struct mirror_journal *journal, const char *provider,
                               const char *name, const json_t *sample, struct err *err) MUST_CHECK;

#endif
