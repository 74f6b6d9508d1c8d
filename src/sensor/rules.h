/* What a configuration means for packets: for the workers (sensor/arrival.h) and for the control
 * thread's machines. Made as a whole, then only read; replaced when the configuration or this
 * host's addresses change. */
#ifndef SENSOR_RULES_H
#define SENSOR_RULES_H

#include "sensor/arrival.h"
#include "sensor/config.h"
#include "sensor/machines.h"

#define RULES_MAX_INPUTS 63

struct parts;

struct rules_input {
    const struct config_listener *listener;
    bool is_default; /* the default route's interface, which nobody named: what is neither a
                      * mirror's nor admitted is not logged, nor is this host's own traffic */
};

struct rules {
    struct arrival_rules arrival;
    const struct config *config;
    struct stack_options inputs[RULES_MAX_INPUTS];
    bool skip_own[RULES_MAX_INPUTS], drop_vlan[RULES_MAX_INPUTS];
    uint8_t gated[RULES_MAX_INPUTS];
    struct rules_input given[RULES_MAX_INPUTS];
    bool has_parts;      /* machines are told apart by inner addresses or MACs */
    uint16_t *number_of; /* of the configuration's sources: sensor/parts.h */
    uint32_t *place_of;  /* by number: place + 1; 0: not in this configuration */
    size_t n_numbers;    /* of place_of */
};

/* `inputs`: by their numbers, from 1 on; of one that is not used, listener is NULL. `config` must
 * stay as long as the rules; the rest is copied. `parts`: of all rules of a run. NULL: no memory.
 */
struct rules *rules_new(const struct config *config, const struct rules_input *inputs,
                        size_t n_inputs, const struct addr *own, size_t n_own,
                        struct canary_watch *canaries, struct parts *parts);
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
