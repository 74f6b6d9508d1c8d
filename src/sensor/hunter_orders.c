/* Settings of a running watch's hunts: see hunter_orders.h. */
#include "sensor/hunter_orders.h"

#include <stdlib.h>
#include <unistd.h>

#include "hunt/lists.h"

void hunter_orders_drop(struct hunter_orders *orders)
{
    if (orders->settings)
        hunt_settings_done(orders->settings);
    free(orders->settings);
    if (orders->lists >= 0)
        close(orders->lists);
    *orders = (struct hunter_orders){.lists = -1};
}

static int read_lists(const struct hunter_orders *orders, uint64_t secret, struct feeds **out_feeds,
                      struct hunt_safelist **out_safelist, struct err *err)
{
    return orders->lists >= 0 ? lists_take(orders->lists, secret, out_feeds, out_safelist, err)
                              : lists_load(orders->settings, secret, out_feeds, out_safelist, err);
}

int hunter_orders_engine(const struct hunter_orders *orders, uint64_t secret,
                         struct hunt_engine **out, struct hunt_safelist **out_safelist,
                         struct err *err)
{
    struct hunt_settings *settings = orders->settings;
    struct feeds *feeds = NULL;
    struct hunt_safelist *safelist = NULL;
    struct hunt_engine *engine = NULL;
    int result = read_lists(orders, secret, &feeds, &safelist, err);
    if (result < 0)
        return result;
    size_t n_feeds = settings->n_feeds;
    settings->n_feeds = 0; /* they are read already */
    result = hunt_engine_new(settings, secret, &engine, err);
    settings->n_feeds = n_feeds;
    if (result == 0)
        result = hunt_engine_change(engine, settings, feeds, err);
    if (result < 0) {
        hunt_engine_free(engine);
        feeds_free(feeds);
        hunt_safelist_free(safelist);
        return result;
    }
    *out = engine;
    *out_safelist = safelist;
    return 0;
}

int hunter_orders_take(struct hunter_orders *orders, struct hunt_engine *engine,
                       struct hunter_orders *current, struct hunt_safelist **safelist,
                       struct err *err)
{
    struct feeds *feeds = NULL;
    struct hunt_safelist *other = NULL;
    int result = read_lists(orders, hunt_engine_secret(engine), &feeds, &other, err);
    if (result == 0)
        result = hunt_engine_change(engine, orders->settings, feeds, err);
    if (result < 0) {
        feeds_free(feeds);
        hunt_safelist_free(other);
        return result;
    }
    hunt_safelist_free(*safelist);
    *safelist = other;
    hunter_orders_drop(current);
    *current = *orders;
    *orders = (struct hunter_orders){.lists = -1};
    return 0;
}
