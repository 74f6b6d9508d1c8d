/* Signals, pauses and traces of `cloudspan mirror`: see mirror_world.h. */
#include "cmd/mirror_world.h"

#include <poll.h>
#include <signal.h>

#include "base/clock.h"
#include "base/note.h"

static volatile sig_atomic_t was_interrupted;

static void interrupt(int number)
{
    (void)number;
    was_interrupted = 1;
}

void mirror_catch_signals(void)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    (void)sigaction(SIGINT, &action, NULL); /* these can't fail with good numbers */
    (void)sigaction(SIGTERM, &action, NULL);
}

bool mirror_is_stopped(void)
{
    return was_interrupted;
}

static bool is_stopped(void *with)
{
    (void)with;
    return was_interrupted;
}

/* In short pieces: a signal may come just before it sleeps, and then does not wake it. */
static bool wait_ms(uint32_t ms, void *with)
{
    int64_t end = clock_ticks() + (int64_t)ms * 1000000;
    (void)with;
    while (!was_interrupted) {
        int64_t left = (end - clock_ticks()) / 1000000;
        if (left <= 0)
            return true;
        (void)poll(NULL, 0, left < 200 ? (int)left + 1 : 200); /* a shorter pause is no harm */
    }
    return false;
}

static void trace(const char *line, void *with)
{
    (void)with;
    note(NOTE_INFO, "%s", line);
}

const struct cloud_world mirror_world = {.wait = wait_ms, .is_stopped = is_stopped, .trace = trace};
