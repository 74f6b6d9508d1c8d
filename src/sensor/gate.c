/* When unknown senders are refused in the kernel: see gate.h. Whoever floods in pulses, to have the
 * gate open at the begin of each, finds it closed for twice as long every time, up to ten minutes.
 */
#include "sensor/gate.h"

#define SECOND        1000000000ll
#define CLOSE_ABOVE   5000 /* packets a second: a core looks at some hundred times as many */
#define CLOSE_DROPPED 500  /* the same while the kernel drops packets of everybody */
#define OPEN_BELOW    1000
#define HOLD_FIRST    (10 * SECOND)
#define HOLD_LAST     (600 * SECOND)
#define FORGET_AFTER  (1800 * SECOND) /* open for so long: the hold begins with the first again */

static void close_gate(struct gate *gate, int64_t ticks)
{
    bool is_long_ago = gate->hold == 0 || ticks - gate->changed >= FORGET_AFTER;
    gate->hold = is_long_ago ? HOLD_FIRST : 2 * gate->hold;
    if (gate->hold > HOLD_LAST)
        gate->hold = HOLD_LAST;
    gate->is_closed = true;
    gate->changed = gate->quiet_since = ticks;
}

bool gate_step(struct gate *gate, uint64_t n_refused, uint64_t n_dropped, int64_t ticks)
{
    int64_t span = ticks - gate->last;
    if (gate->has_last && span <= 0)
        return gate->is_closed;
    if (gate->has_last) {
        uint64_t n = n_refused > gate->last_refused ? n_refused - gate->last_refused : 0;
        bool drops = n_dropped > gate->last_dropped;
        gate->rate = (double)n * 1e9 / (double)span;
        if (!gate->is_closed) {
            if (gate->rate > (drops ? CLOSE_DROPPED : CLOSE_ABOVE))
                close_gate(gate, ticks);
        } else if (gate->rate >= OPEN_BELOW) {
            gate->quiet_since = ticks;
        } else if (ticks - gate->quiet_since >= gate->hold) {
            gate->is_closed = false;
            gate->changed = ticks;
        }
    }
    gate->has_last = true;
    gate->last = ticks;
    gate->last_refused = n_refused;
    gate->last_dropped = n_dropped;
    return gate->is_closed;
}
