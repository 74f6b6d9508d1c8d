/* Settings of a running watch's hunts, on their way to the thread that goes by them. */
#ifndef SENSOR_HUNTER_ORDERS_H
#define SENSOR_HUNTER_ORDERS_H

#include "hunt/engine.h"
#include "hunt/safelist.h"

/* Both are its own. */
struct hunter_orders {
    struct hunt_settings *settings; /* on the heap; NULL: none */
    int lists;                      /* what lists_put wrote; -1: the files themselves are read */
};

/* Frees what it has; it has none then. */
void hunter_orders_drop(struct hunter_orders *orders);
/* An engine that goes by them, and the safelist. */
int hunter_orders_engine(const struct hunter_orders *orders, uint64_t secret,
                         struct hunt_engine **out, struct hunt_safelist **out_safelist,
                         struct err *err) MUST_CHECK;
/* They are put in the place of those that the engine goes by. `orders` has none then, `current`
 * and `safelist` are changed; or after an error nothing is changed. */
int hunter_orders_take(struct hunter_orders *orders, struct hunt_engine *engine,
                       struct hunter_orders *current, struct hunt_safelist **safelist,
                       struct err *err) MUST_CHECK;

#endif
