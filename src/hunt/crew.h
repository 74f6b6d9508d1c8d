/* Threads that do a task's pieces together with the one that gives it. They wait between two tasks,
 * so that short ones pay, too. */
#ifndef HUNT_CREW_H
#define HUNT_CREW_H

#include "base/err.h"

struct crew;

/* `n_threads`: with the giver's own. Fewer are a crew as well, and 1 is none: NULL is given then,
 * or where no thread can be had, and everything works with that. */
struct crew *crew_new(unsigned n_threads);
void crew_free(struct crew *crew);

/* Calls `piece` with 0 to n - 1, each once, in any order and several at a time; comes back when all
 * of them are done. By one thread at a time, and not from a piece. */
void crew_do(struct crew *crew, unsigned n, void (*piece)(void *with, unsigned i), void *with);

#endif
