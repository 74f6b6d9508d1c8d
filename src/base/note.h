/* Diagnostics on standard error: the only place that writes them. */
#ifndef BASE_NOTE_H
#define BASE_NOTE_H

enum note_level { NOTE_ERROR, NOTE_WARN, NOTE_INFO, NOTE_DEBUG };

/* The only global that changes after start: set once by the command line (-v, -q). */
void note_set_level(enum note_level level);

/* One line, "cloudspan: warning: …". Bytes that are not printable are written as \xNN, since names
 * and texts may come from the wire. Where standard error is the journal (JOURNAL_STREAM says so),
 * the line begins with its priority, <3> to <7>. */
void note(enum note_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
