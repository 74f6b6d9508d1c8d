/* What the two sides of parent.h share. */
#ifndef SENSOR_PARENT_PARTS_H
#define SENSOR_PARENT_PARTS_H

#include <signal.h>
#include <sys/types.h>

#include "sensor/parent.h"

enum parent_kind { PARENT_SERVICE, PARENT_FILE, PARENT_HOOK, PARENT_COUNTS };

struct parent_request {
    uint32_t kind, index, size;
    unsigned char body[PARENT_MAX_SIZE]; /* only `size` bytes of it are sent */
};

struct parent_reply {
    int32_t result;
    uint32_t size;
    char text[sizeof((struct err *)NULL)->text];
    unsigned char body[PARENT_MAX_SIZE];
};

#define PARENT_REQUEST_HEAD offsetof(struct parent_request, body)
#define PARENT_REPLY_HEAD   offsetof(struct parent_reply, body)

/* One message with descriptors. send: 0 or a negative errno. */
int parent_send(int fd, const void *bytes, size_t size, const int *fds, size_t n_fds);
/* The message's size, 0 at the end, or a negative errno. More descriptors than `max_fds` or a
 * message larger than `size` are an error (-EMSGSIZE), and nothing is left open. */
ssize_t parent_receive(int fd, void *bytes, size_t size, int *fds, size_t max_fds, size_t *n_fds);

#define HOOKS_AT_ONCE 4

struct hook_run {
    pid_t pid; /* 0: free */
    unsigned index;
    int64_t deadline; /* monotonic ns: of the next signal; INT64_MAX: killed already */
    bool was_told;    /* SIGTERM was sent */
};

struct hooks {
    struct hook_run runs[HOOKS_AT_ONCE];
    struct parent_hook_counts counts;
};

/* Starts one; `mask` is the signal mask it gets. */
int hooks_start(struct hooks *hooks, unsigned index, const char *const *argv,
                const struct parent_alarm *alarm, int seconds, const sigset_t *mask,
                struct err *err) MUST_CHECK;

/* Reaps those that ended, and signals those that are late. Gives the next deadline, or INT64_MAX.
 */
int64_t hooks_turn(struct hooks *hooks, const struct parent_options *options);

/* Makes all of them late: they are told to end at the next turn. */
void hooks_hurry(struct hooks *hooks);

#endif
