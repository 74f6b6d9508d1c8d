/* Listeners of a running watch: see inputs.h.
 *
 * Rings are opened first. Sockets then leave to them what comes in by their interfaces: the port is
 * held (a closed one would answer, and the answer be mirrored), and every packet is seen once. */
#include "sensor/inputs.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/datagrams.h"
#include "capture/rawip.h"
#include "capture/stream.h"
#include "tunnel/tunnel.h"

#define SECOND      1000000000ll
#define RETRY_FIRST SECOND
#define RETRY_LAST  (30 * SECOND)
#define MAX_FDS     PARENT_MAX_FDS

enum slot_state { SLOT_FREE, SLOT_DUE, SLOT_OPEN, SLOT_REFUSED };

struct slot {
    enum slot_state state;
    struct config_listener listener; /* copied by value; its texts are of the list */
    uint16_t place;                  /* in the parent's list */
    bool is_default, wanted;
    int64_t next_try, pause;
    int ifindex;         /* of a ring that is open */
    int fds[2][MAX_FDS]; /* of sockets, as the workers have them, for steering; by family */
    unsigned n_fds[2];
    int holds[2];
    struct sock_filter *filter; /* of a ring, without those whom we refuse; NULL: not known yet */
    unsigned filter_size;       /* instructions; 0: none */
    uint16_t link;              /* of a ring */
    int code;                   /* why it is not open */
    char why[160];
    bool said;
};

struct inputs {
    struct inputs_options options;
    struct steer_key key;
    struct slot slots[RULES_MAX_INPUTS]; /* number - 1 */
    int excluded[STEER_MAX_EXCLUDED];
    unsigned n_excluded;
    bool is_gated;
    struct admit admit;
    struct admit_list senders, own;
};

struct inputs *inputs_new(const struct inputs_options *options)
{
    struct inputs *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->options = *options;
    steer_key_init(&in->key, options->steer_secret);
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++)
        in->slots[i].holds[0] = in->slots[i].holds[1] = -1;
    return in;
}

static void close_holds(struct slot *slot)
{
    free(slot->filter);
    slot->filter = NULL;
    for (int family = 0; family < 2; family++) {
        if (slot->holds[family] >= 0)
            close(slot->holds[family]);
        slot->holds[family] = -1;
        slot->n_fds[family] = 0;
    }
}

void inputs_free(struct inputs *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++)
        close_holds(&in->slots[i]);
    free(in);
}

/* ---- which there are ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_listener(const struct config_listener *a, const struct config_listener *b)
{
    return a->kind == b->kind && a->wrap.kind == b->wrap.kind &&
           a->wrap.n_layers == b->wrap.n_layers &&
           memcmp(a->wrap.layers, b->wrap.layers, a->wrap.n_layers * sizeof a->wrap.layers[0]) ==
               0 &&
           addr_eq(&a->addr, &b->addr) && a->port == b->port &&
           strcmp(a->interface, b->interface) == 0 && same_text(a->host, b->host) &&
           same_text(a->filter, b->filter) && a->buffer == b->buffer && a->ring == b->ring &&
           a->drop_vlan == b->drop_vlan;
}

static struct slot *find_slot(struct inputs *in, const struct config_listener *listener)
{
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++)
        if (in->slots[i].state != SLOT_FREE && !in->slots[i].wanted &&
            same_listener(&in->slots[i].listener, listener))
            return &in->slots[i];
    return NULL;
}

static uint16_t number_of(const struct inputs *in, const struct slot *slot)
{
    return (uint16_t)(slot - in->slots + 1);
}

static void refresh_excluded(struct inputs *in);
static void steer_all(struct inputs *in);

void inputs_set(struct inputs *in, const struct services_list *list)
{
    struct slot *slots[RULES_MAX_INPUTS] = {NULL};
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++)
        in->slots[i].wanted = false;
    for (size_t i = 0; i < list->n_inputs; i++) {
        slots[i] = find_slot(in, list->inputs[i].listener);
        if (slots[i])
            slots[i]->wanted = true;
    }
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++) {
        struct slot *slot = &in->slots[i];
        if (slot->state == SLOT_FREE || slot->wanted)
            continue;
        workers_remove(in->options.workers, number_of(in, slot));
        close_holds(slot);
        slot->state = SLOT_FREE;
        slot->ifindex = 0;
    }
    for (size_t i = 0; i < list->n_inputs; i++) {
        struct slot *slot = slots[i];
        for (size_t k = 0; k < RULES_MAX_INPUTS && !slot; k++)
            if (in->slots[k].state == SLOT_FREE) {
                slot = &in->slots[k];
                slot->state = SLOT_DUE;
                slot->next_try = 0;
                slot->pause = RETRY_FIRST;
                slot->code = 0;
                slot->said = false;
            }
        if (!slot)
            return; /* not more than there are slots: the list is no longer */
        slot->listener = *list->inputs[i].listener;
        slot->place = (uint16_t)i;
        slot->is_default = list->inputs[i].is_default;
        slot->wanted = true;
    }
    refresh_excluded(in);
}

size_t inputs_given(const struct inputs *in, struct rules_input out[RULES_MAX_INPUTS])
{
    size_t n = 0;
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++) {
        bool used = in->slots[i].state != SLOT_FREE;
        out[i] = (struct rules_input){.listener = used ? &in->slots[i].listener : NULL,
                                      .is_default = in->slots[i].is_default};
        if (used)
            n = i + 1;
    }
    return n;
}

/* ---- opening ---- */

static struct steer_group group_of(const struct inputs *in)
{
    return (struct steer_group){.key = &in->key, .n_workers = workers_n(in->options.workers)};
}

/* UDP ports on which an interface's packets are taken for a mirror's, but for GENEVE's: what is in
 * there may have another sender. */
static unsigned mirror_ports(uint16_t out[STEER_MAX_PORTS])
{
    unsigned n = 0;
    for (size_t i = 0; tunnel_decoders[i]; i++) {
        const struct tunnel_decoder *d = tunnel_decoders[i];
        for (size_t k = 0; k < sizeof d->udp_ports / sizeof *d->udp_ports; k++)
            if (d->is_mirror && d != &tunnel_geneve && d->udp_ports[k] && n < STEER_MAX_PORTS)
                out[n++] = d->udp_ports[k];
    }
    return n;
}

/* The filter that a ring was opened with is kept, and put behind ours. */
static int admit_ring(struct inputs *in, struct slot *slot, struct err *err)
{
    uint16_t ports[STEER_MAX_PORTS];
    struct admit_ring ring = {.admit = in->admit,
                              .own = &in->own,
                              .ports = ports,
                              .n_ports = mirror_ports(ports),
                              .has_ethernet = slot->link == LINK_ETHERNET};
    if (!in->is_gated && !slot->filter)
        return 0; /* it is as it was opened */
    struct bpf_code *code = malloc(sizeof *code);
    int result = code ? 0 : err_set(err, -ENOMEM, "no memory for a filter");
    if (result == 0 && !slot->filter && slot->n_fds[0]) {
        result = admit_get_filter(slot->fds[0][0], code->at, err);
        slot->filter_size = result > 0 ? (unsigned)result : 0;
        slot->filter = result < 0 ? NULL : calloc(slot->filter_size + 1, sizeof *slot->filter);
        if (slot->filter)
            memcpy(slot->filter, code->at, slot->filter_size * sizeof *slot->filter);
        result = slot->filter ? 0 : result < 0 ? result : err_set(err, -ENOMEM, "no memory");
    }
    if (result == 0 && in->is_gated)
        result = admit_program_ring(&ring, slot->filter, slot->filter_size, code, err);
    for (unsigned i = 0; i < slot->n_fds[0] && result == 0; i++)
        result = in->is_gated
                     ? admit_set_filter(slot->fds[0][i], code->at, code->n, err)
                     : admit_set_filter(slot->fds[0][i], slot->filter, slot->filter_size, err);
    free(code);
    return result;
}

void inputs_admit(struct inputs *in, const struct admit_list *senders, uint32_t one_in,
                  const struct addr *own, size_t n_own)
{
    in->is_gated = senders != NULL;
    if (senders)
        in->senders = *senders;
    in->admit = (struct admit){.senders = &in->senders, .one_in = one_in};
    memset(&in->own, 0, sizeof in->own);
    for (size_t i = 0; i < n_own; i++)
        (void)admit_add(&in->own, &own[i], 128); /* what is too many is let through */
    admit_finish(&in->own);
    steer_all(in);
}

/* The rings have changed: sockets that are open leave other interfaces out. */
static void refresh_excluded(struct inputs *in)
{
    in->n_excluded = 0;
    for (size_t i = 0; i < RULES_MAX_INPUTS && in->n_excluded < STEER_MAX_EXCLUDED; i++)
        if (in->slots[i].state == SLOT_OPEN && in->slots[i].ifindex > 0 &&
            in->slots[i].listener.wrap.kind != CONFIG_WRAP_NONE)
            in->excluded[in->n_excluded++] = in->slots[i].ifindex;
    steer_all(in);
}

/* Everything that is open gets its program anew. */
static void steer_all(struct inputs *in)
{
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++) {
        struct slot *slot = &in->slots[i];
        if (slot->state != SLOT_OPEN)
            continue;
        struct err err;
        int result = 0;
        bool may_gate = in->is_gated && rules_gate_kind(&slot->listener) != ARRIVAL_UNGATED;
        struct steer_excluded excluded = {
            .ifindexes = in->excluded, .n = in->n_excluded, .admit = may_gate ? &in->admit : NULL};
        if (slot->listener.kind == CONFIG_LISTEN_UDP && slot->n_fds[0]) {
            struct datagram_options options = {
                .address = slot->listener.addr,
                .port = slot->listener.port,
                .kind = services_steer_kind(&slot->listener),
                .group = group_of(in),
                .excluded = excluded,
            };
            result = datagrams_steer(slot->fds[0][0], &options, &err);
        } else if (slot->listener.kind == CONFIG_LISTEN_GRE) {
            for (int family = 0; family < 2; family++) {
                struct rawip_options options = {
                    .is_ipv6 = family == 1, .group = group_of(in), .excluded = excluded};
                for (unsigned k = 0; k < slot->n_fds[family] && result == 0; k++)
                    result = rawip_steer(slot->fds[family][k], k, &options, &err);
            }
        } else if (rules_gate_kind(&slot->listener) == ARRIVAL_GATED_RING) {
            result = admit_ring(in, slot, &err);
        }
        if (result < 0)
            in->options.say(in->options.with, true, err.text);
    }
}

/* Attaches what the parent opened; takes all the descriptors. */
static int attach(struct inputs *in, struct slot *slot, int family, int *fds, size_t n_fds,
                  const struct services_listened *opened, struct err *err)
{
    uint16_t number = number_of(in, slot);
    int result = 0;
    size_t n_workers = opened->n_workers < n_fds ? opened->n_workers : n_fds;
    if (opened->has_hold && n_fds > n_workers)
        slot->holds[family] = fds[--n_fds];
    slot->n_fds[family] = 0;
    for (size_t i = 0; i < n_fds; i++) {
        struct live_source *source = NULL;
        if (result < 0 || i >= n_workers) {
            close(fds[i]);
            continue;
        }
        switch ((enum config_listener_kind)slot->listener.kind) {
        case CONFIG_LISTEN_INTERFACE:
            result = ring_attach(fds[i], &opened->shape, number, &source, err);
            break;
        case CONFIG_LISTEN_UDP:
            result = datagrams_attach(fds[i], number, &source, err);
            break;
        case CONFIG_LISTEN_GRE:
            result = rawip_attach(fds[i], number, &source, err);
            break;
        case CONFIG_LISTEN_PCAP_OVER_IP:
        case CONFIG_LISTEN_STDIN:
            result = stream_attach(fds[i], number, &source, err);
            break;
        case CONFIG_LISTEN_NOTHING:
            result = err_set(err, -EINVAL, "a listener of no kind");
            break;
        }
        if (result < 0) {
            close(fds[i]);
            continue;
        }
        slot->fds[family][slot->n_fds[family]++] = fds[i];
        workers_add(in->options.workers, (unsigned)i, number, source,
                    slot->listener.kind == CONFIG_LISTEN_INTERFACE);
    }
    return result;
}

static int open_family(struct inputs *in, struct slot *slot, int family, struct err *err)
{
    struct services_listen ask = {.place = slot->place,
                                  .n_workers = (uint16_t)workers_n(in->options.workers),
                                  .is_ipv6 = family == 1,
                                  .n_excluded = (uint16_t)in->n_excluded};
    struct services_listened opened;
    int fds[MAX_FDS];
    size_t n_fds;
    for (unsigned i = 0; i < in->n_excluded; i++)
        ask.excluded[i] = in->excluded[i];
    int result = services_listen(in->options.parent, &ask, fds, &n_fds, &opened, err);
    if (result < 0)
        return result;
    if (slot->listener.kind == CONFIG_LISTEN_INTERFACE)
        slot->ifindex = opened.shape.ifindex;
    slot->link = opened.shape.link;
    return attach(in, slot, family, fds, n_fds, &opened, err);
}

static const char *kind_name(const struct slot *slot)
{
    switch ((enum config_listener_kind)slot->listener.kind) {
    case CONFIG_LISTEN_INTERFACE:
        return "interface";
    case CONFIG_LISTEN_UDP:
        return "udp";
    case CONFIG_LISTEN_GRE:
        return "gre";
    case CONFIG_LISTEN_PCAP_OVER_IP:
        return "pcap-over-ip";
    case CONFIG_LISTEN_STDIN:
        return "standard input";
    case CONFIG_LISTEN_NOTHING:
        break;
    }
    return "nothing";
}

static void name_slot(const struct slot *slot, char out[64])
{
    char address[ADDR_TEXT_MAX + 1];
    address[addr_format(&slot->listener.addr, address)] = '\0';
    const struct config_wrap *wrap = &slot->listener.wrap;
    const char *inside = wrap->kind == CONFIG_WRAP_RAW ? "raw"
                         : wrap->kind == CONFIG_WRAP_LAYERS && wrap->n_layers
                             ? wrap->layers[0]->name
                             : "";
    switch ((enum config_listener_kind)slot->listener.kind) {
    case CONFIG_LISTEN_INTERFACE:
        (void)snprintf(out, 64, "interface %s", slot->listener.interface);
        return;
    case CONFIG_LISTEN_UDP:
        (void)snprintf(out, 64, strchr(address, ':') ? "udp [%.40s]:%u %s" : "udp %s:%u %s",
                       address, slot->listener.port, inside);
        return;
    case CONFIG_LISTEN_PCAP_OVER_IP:
        (void)snprintf(out, 64, "pcap-over-ip %.40s:%u", slot->listener.host, slot->listener.port);
        return;
    case CONFIG_LISTEN_GRE:
    case CONFIG_LISTEN_STDIN:
    case CONFIG_LISTEN_NOTHING:
        (void)snprintf(out, 64, "%s", kind_name(slot));
        return;
    }
}

/* Whether it is worth another try by itself. */
static bool may_come(const struct slot *slot, int code)
{
    switch ((enum config_listener_kind)slot->listener.kind) {
    case CONFIG_LISTEN_INTERFACE:
        return code == -ENODEV || code == -ENETDOWN || code == -ENXIO;
    case CONFIG_LISTEN_PCAP_OVER_IP:
        return true;
    case CONFIG_LISTEN_UDP:
    case CONFIG_LISTEN_GRE:
        return code == -EADDRINUSE || code == -EADDRNOTAVAIL || code == -ENODEV;
    case CONFIG_LISTEN_STDIN:
    case CONFIG_LISTEN_NOTHING:
        return false;
    }
    return false;
}

static void say(const struct inputs *in, bool is_warning, const struct slot *slot, const char *text)
{
    char name[64], line[256];
    name_slot(slot, name);
    (void)snprintf(line, sizeof line, "%s: %s", name, text);
    in->options.say(in->options.with, is_warning, line);
}

static void try_open(struct inputs *in, struct slot *slot, int64_t ticks)
{
    struct err err = {""};
    int result = open_family(in, slot, 0, &err);
    if (result == 0 && slot->listener.kind == CONFIG_LISTEN_GRE) {
        struct err other;
        (void)open_family(in, slot, 1, &other); /* a host without IPv6 has none of it */
    }
    if (result == 0) {
        if (slot->said)
            say(in, false, slot, "listening");
        slot->state = SLOT_OPEN;
        slot->code = 0;
        slot->why[0] = '\0';
        slot->said = false;
        slot->pause = RETRY_FIRST;
        if (slot->ifindex)
            refresh_excluded(in);
        else if (in->is_gated)
            steer_all(in); /* the parent knows nothing of the senders */
        return;
    }
    slot->code = result;
    slot->state = may_come(slot, result) ? SLOT_DUE : SLOT_REFUSED;
    (void)snprintf(slot->why, sizeof slot->why, "%.140s%s", err.text,
                   slot->state == SLOT_DUE ? "; waiting for it" : "");
    slot->next_try = ticks + slot->pause;
    if (slot->listener.kind == CONFIG_LISTEN_INTERFACE)
        slot->pause = RETRY_FIRST; /* it costs nothing to look */
    else
        slot->pause = slot->pause * 2 < RETRY_LAST ? slot->pause * 2 : RETRY_LAST;
    bool is_expected = slot->is_default || (in->n_excluded == 0 && result == -EPERM &&
                                            slot->listener.kind == CONFIG_LISTEN_GRE);
    if (!slot->said)
        in->options.say(in->options.with, !is_expected, slot->why);
    slot->said = true;
}

/* Workers say that an input broke: it is open no more. */
static void take_broken(struct inputs *in, int64_t ticks)
{
    uint16_t number;
    int code;
    while (workers_broken(in->options.workers, &number, &code)) {
        if (number == 0 || number > RULES_MAX_INPUTS)
            continue;
        struct slot *slot = &in->slots[number - 1];
        if (slot->state != SLOT_OPEN)
            continue;
        workers_remove(in->options.workers, number);
        close_holds(slot);
        slot->ifindex = 0;
        slot->code = code;
        bool again = slot->listener.kind == CONFIG_LISTEN_INTERFACE || may_come(slot, code);
        slot->state = again ? SLOT_DUE : SLOT_REFUSED;
        slot->next_try = ticks + RETRY_FIRST;
        bool ended = code == -EPIPE;
        (void)snprintf(slot->why, sizeof slot->why, "%s",
                       ended               ? "the other side has ended it"
                       : code == -ENODEV   ? "the interface is gone; waiting for it"
                       : code == -ENETDOWN ? "the interface is down; waiting for it"
                       : code == -EBADMSG  ? "what came is no capture"
                                           : strerror(-code));
        if (!ended || again)
            say(in, true, slot, slot->why);
        slot->said = true;
        refresh_excluded(in);
    }
}

size_t inputs_open(struct inputs *in, int64_t ticks)
{
    size_t n_open = 0;
    take_broken(in, ticks);
    for (int rings = 1; rings >= 0; rings--)
        for (size_t i = 0; i < RULES_MAX_INPUTS; i++) {
            struct slot *slot = &in->slots[i];
            bool is_ring = slot->listener.kind == CONFIG_LISTEN_INTERFACE;
            if (slot->state == SLOT_DUE && is_ring == (rings == 1) && slot->next_try <= ticks)
                try_open(in, slot, ticks);
        }
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++)
        n_open += in->slots[i].state == SLOT_OPEN;
    return n_open;
}

void inputs_first_refusal(const struct inputs *in, struct err *err)
{
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++)
        if (in->slots[i].state == SLOT_REFUSED || in->slots[i].state == SLOT_DUE) {
            (void)err_set(err, 0, "%s", in->slots[i].why); /* the code is not of use here */
            return;
        }
    (void)err_set(err, 0, "nothing is listened on");
}

bool inputs_waiting(const struct inputs *in)
{
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++)
        if (in->slots[i].state == SLOT_DUE)
            return true;
    return false;
}

uint64_t inputs_dropped(const struct inputs *in)
{
    return inputs_dropped_by(in, true) + inputs_dropped_by(in, false);
}

uint64_t inputs_dropped_by(const struct inputs *in, bool rings)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++) {
        if ((in->slots[i].listener.kind == CONFIG_LISTEN_INTERFACE) != rings)
            continue;
        struct live_counters counters;
        workers_count_input(in->options.workers, (uint16_t)(i + 1), &counters);
        sum += counters.n_kernel_dropped;
    }
    return sum;
}

bool inputs_snapshot(const struct inputs *in, struct snapshot *out)
{
    out->inputs = calloc(RULES_MAX_INPUTS, sizeof *out->inputs);
    if (!out->inputs)
        return false;
    for (size_t i = 0; i < RULES_MAX_INPUTS; i++) {
        const struct slot *slot = &in->slots[i];
        if (slot->state == SLOT_FREE)
            continue;
        struct snapshot_input *input = &out->inputs[out->n_inputs++];
        struct live_counters counters;
        workers_count_input(in->options.workers, (uint16_t)(i + 1), &counters);
        name_slot(slot, input->name);
        input->ok = slot->state == SLOT_OPEN;
        bool is_held =
            input->ok && !slot->ifindex && in->n_excluded > 0 &&
            (slot->listener.kind == CONFIG_LISTEN_UDP || slot->listener.kind == CONFIG_LISTEN_GRE);
        (void)snprintf(input->state, sizeof input->state, "%s",
                       is_held     ? "listening; held for the interfaces above"
                       : input->ok ? "listening"
                                   : slot->why);
        input->n_packets = counters.n_frames;
        input->n_bytes = counters.n_bytes;
        input->n_dropped = counters.n_kernel_dropped;
    }
    return true;
}
