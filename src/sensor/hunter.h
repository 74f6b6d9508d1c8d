/* The hunts of a running watch: a thread that reads the log lines as they are written, judges what
 * changed every few seconds, and says what it found. The packet path gives it copies of lines and
 * never waits for it: when it falls behind, lines are left out and counted.
 *
 * What it knows it keeps in an archive beside the logs, every few minutes and at the end, so that a
 * restart goes on with a week's history and tells nothing a second time. */
#ifndef SENSOR_HUNTER_H
#define SENSOR_HUNTER_H

#include "hunt/engine.h"
#include "log/record.h"

struct hunter;

struct hunter_options {
    struct hunt_settings *settings; /* on the heap; taken over, also when it fails */
    struct log_set *logs;           /* whose lines are read */
    const char *archive;            /* a file; NULL: nothing is kept */
    int64_t save_every;             /* ns; 0: ten minutes */
    /* What lists_put wrote of the settings' feeds and safelists, taken over; -1: the files are
     * read.
     */
    int lists;
};

/* Before the first writer of the logs is made. What is wrong with the archive is a note
 * (hunter_take_note), no failure. */
int hunter_start(const struct hunter_options *options, struct hunter **out,
                 struct err *err) MUST_CHECK;

/* Other settings, as with hunter_start; the thread takes them soon, and says in a note what is
 * wrong with them, in which case those of before stay. All that it knows it keeps, and judges anew.
 * What the settings say of days and memory is not looked at. */
void hunter_change(struct hunter *hunter, struct hunt_settings *settings, int lists);

/* All lines that were written are read and judged, the archive is saved, the thread ends. Findings
 * may still be taken. */
void hunter_stop(struct hunter *hunter);
void hunter_free(struct hunter *hunter); /* stops it, where that was not done */

/* The next finding to tell: new, or of a higher level than when it was told. False: none. */
bool hunter_take(struct hunter *hunter, struct finding *out);

/* A sentence for people: what went wrong, what was left out. False: there is none. */
#define HUNTER_NOTE_MAX 640
bool hunter_take_note(struct hunter *hunter, char out[HUNTER_NOTE_MAX]);

/* What is found now, the worst first, at most `max`; gives their number. */
size_t hunter_findings(struct hunter *hunter, struct finding *out, size_t max);

struct hunter_counts {
    uint64_t n_lines;                 /* read */
    uint64_t n_lost;                  /* lines: it fell behind, or was out of memory */
    uint64_t n_bad;                   /* lines that were not understood */
    uint64_t n_refused;               /* keys, events and names that found no room in its memory */
    uint64_t n_hidden;                /* findings that a safelist hides */
    uint64_t n_of[HUNT_CRITICAL + 1]; /* findings now, by enum hunt_severity */
    uint64_t n_pairs;
    uint64_t memory; /* bytes */
    int64_t judged;  /* ns since the epoch; 0: not yet */
    int64_t judging; /* ns that the last judging took */
};
void hunter_count(struct hunter *hunter, struct hunter_counts *out);

#endif
