/* What a configuration means for packets: for the workers (sensor/arrival.h) and for the control
 * thread's machines. Made as a whole, then only read; replaced when the configuration or this
 * host's addresses change. */
#ifndef SENSOR_RULES_H
#define SENSOR_RULES_H

#include "sensor/arrival.h"
#include "sensor/config.h"
#include "sensor/machines.h"

#define RULES_MAX_INPUTS 63

struct rules_input {
    const struct config_listener *listener;
    bool is_default; /* the default route's interface, which nobody named: what is neither a
                      * mirror's nor admitted is not logged, nor is this host's own traffic */
};

/* A machine that can be told apart in a shared channel. Its place + 1 is its number there for as
 * long as the run: machines come, go, and change their places in the configuration. */
struct rules_part {
    char name[SOURCE_NAME_MAX];
    int32_t index; /* of the configuration; -1: not there any more */
};

struct rules {
    struct arrival_rules arrival;
    const struct config *config;
    struct stack_options inputs[RULES_MAX_INPUTS];
    bool skip_own[RULES_MAX_INPUTS], drop_vlan[RULES_MAX_INPUTS];
    uint8_t gated[RULES_MAX_INPUTS];
    struct rules_input given[RULES_MAX_INPUTS];
    bool has_parts; /* machines are told apart by inner addresses or MACs */
    struct rules_part *parts;
    size_t n_parts;
    uint16_t *part_of; /* by the index in the configuration; 0: there are too many */
};

/* `inputs`: by their numbers, from 1 on; of one that is not used, listener is NULL. `config` must
 * stay as long as the rules; the rest is copied. `before`: the rules that these replace, or NULL.
 * NULL: no memory. */
struct rules *rules_new(const struct config *config, const struct rules_input *inputs,
                        size_t n_inputs, const struct addr *own, size_t n_own,
                        struct canary_watch *canaries, const struct rules *before);
void rules_free(struct rules *rules);

/* What the kernel can refuse of a listener's packets by the outer address alone. */
enum arrival_gate_kind rules_gate_kind(const struct config_listener *listener);
/* All outer addresses that anybody who is admitted may send from. False: these are not known, or
 * too many; then all has to be looked at. */
bool rules_senders(const struct rules *rules, struct admit_list *out);

/* For machines_options: `with` is a struct rules. */
bool rules_want(const void *with, const struct source *channel, struct machine_want *out);
void rules_admit(const void *with, const struct source *channel, char *out, size_t size);
const char *rules_input_name(const void *with, uint16_t input);

/* What is known of the configured machine `index`. */
void rules_want_configured(const struct rules *rules, size_t index, struct machine_want *out,
                           struct addr *addresses, size_t max_addresses);

#endif
