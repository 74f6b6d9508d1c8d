/* What a carrier in the background tells the one who started it. */
#ifndef CARRY_START_H
#define CARRY_START_H

#include "base/err.h"
#include "carry/carry.h"

struct start_word {
    int code;       /* 0: it runs; or a negative errno */
    struct err why; /* then */
};

/* Once; closes the descriptor. */
void start_tell(int fd, int code, const struct err *err);

#endif
