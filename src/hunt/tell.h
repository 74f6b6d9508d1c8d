/* What all hunts say of a finding's ends, and what values keep of time. */
#ifndef HUNT_TELL_H
#define HUNT_TELL_H

#include "hunt/hunt.h"

/* The end, its machine and network; confidence is lowered by what its mirror lost, with a sentence.
 */
void tell_source(const struct hunt_judge *judge, struct finding *finding,
                 const struct hunt_host *host);
void tell_destination(const struct hunt_judge *judge, struct finding *finding,
                      const struct hunt_host *host);
void tell_name(struct finding *finding, struct str name);
void tell_port(struct finding *finding, uint16_t port, uint8_t proto, struct str service);

struct tell_text {
    char at[ADDR_TEXT_MAX + 1];
};
struct tell_text tell_addr(const struct addr *addr);

/* At most `max` characters of a text from the wire, ended by a NUL, with what cannot be printed as
 * '?'. */
struct tell_words {
    char at[128];
};
struct tell_words tell_words(struct str text);

/* `first` and `last` of a value that begins zeroed; `n` is what it counted before. */
static inline void tell_see(int64_t *first, int64_t *last, uint64_t n, int64_t ms)
{
    if (n == 0 || ms < *first)
        *first = ms;
    if (n == 0 || ms > *last)
        *last = ms;
}

static inline void tell_merge_times(int64_t *first, int64_t *last, uint64_t n, int64_t other_first,
                                    int64_t other_last, uint64_t other_n)
{
    if (other_n == 0)
        return;
    if (n == 0 || other_first < *first)
        *first = other_first;
    if (n == 0 || other_last > *last)
        *last = other_last;
}

/* The value is of the window, and was touched since the last judging. */
static inline bool tell_is_due(const struct hunt_judge *judge, int64_t first, int64_t last,
                               uint32_t touched)
{
    return last >= judge->from && first <= judge->to && touched >= judge->since_round;
}

#endif
