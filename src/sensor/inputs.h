/* The listeners of a running watch: opened by the parent, given to the workers, opened again when
 * an interface comes or a connection ends; what both a ring and a socket see goes to the ring
 * alone. Belongs to the control thread. */
#ifndef SENSOR_INPUTS_H
#define SENSOR_INPUTS_H

#include "sensor/services.h"
#include "sensor/snapshot.h"
#include "sensor/workers.h"

struct inputs;

struct inputs_options {
    struct parent *parent;
    struct workers *workers;
    uint64_t steer_secret;
    /* What the user should know: a listener was refused, an interface has come. */
    void (*say)(void *with, bool is_warning, const char *text);
    void *with;
};

struct inputs *inputs_new(const struct inputs_options *options);
/* Closes nothing that workers have: they are stopped first. */
void inputs_free(struct inputs *inputs);

/* Listens on these from now on. What was listened on before and is still in the list stays as it
 * is, under the same number; inputs_given says the numbers, for rules: make these first, set them
 * second, then call inputs_open. */
void inputs_set(struct inputs *inputs, const struct services_list *list);
size_t inputs_given(const struct inputs *inputs, struct rules_input out[RULES_MAX_INPUTS]);

/* Opens what is not open and due; call it often. Gives how many are open. */
size_t inputs_open(struct inputs *inputs, int64_t ticks);

/* Those whom the kernel lets through from now on, and one of `one_in` packets of others, where that
 * can be told (rules_gate_kind); NULL: everybody. `own`: this host's addresses, that mirrors are
 * sent to. All are copied. */
void inputs_admit(struct inputs *inputs, const struct admit_list *senders, uint32_t one_in,
                  const struct addr *own, size_t n_own);

/* Whether the only reason why none is open is that this process may not; err: the first refusal. */
void inputs_first_refusal(const struct inputs *inputs, struct err *err);

/* Fills in the snapshot's inputs. False: no memory. */
bool inputs_snapshot(const struct inputs *inputs, struct snapshot *out);

/* What the kernel dropped, of all; of rings alone, or of sockets alone. */
uint64_t inputs_dropped(const struct inputs *inputs);
uint64_t inputs_dropped_by(const struct inputs *inputs, bool rings);
/* Only that something is listened on that waits for its interface or its other end. */
bool inputs_waiting(const struct inputs *inputs);

#endif
