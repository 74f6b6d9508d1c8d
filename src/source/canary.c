/* Sending canaries and hearing what the way there says of them; see canary.h.
 *
 * A probe is outstanding until the time-out, then missed; its socket stays open for a while longer,
 * since this host's ARP gives up after three seconds; its bytes are recognised for a while longer
 * still, so that a late copy does not become a connection in the logs. */
#include "source/canary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "source/canary_socket.h"

#define SECOND       ((int64_t)1000000000)
#define TIMEOUT      (2 * SECOND)
#define LISTEN_AFTER (4 * SECOND) /* after the time-out: for who answers late */
#define HIDE_AFTER   (10 * SECOND)
#define STAYS_ALIVE  (60 * SECOND) /* who answered one, though the next ones are ignored */
#define N_PROBES     1024

enum stage { STAGE_FREE, STAGE_OUT, STAGE_LISTEN, STAGE_HIDE };

struct probe {
    enum stage stage;
    uint16_t machine;
    int fd;       /* -1: none */
    int64_t sent; /* ticks */
    bool came_back;
    enum canary_answer answer;
};

struct of_machine {
    struct canary_state state;
    int64_t replied; /* ticks: when the last missed one was sent that it answered itself */
    struct addr router;
    bool has_router;
};

struct canary {
    struct canary_options options;
    struct canary_watch *watch;
    struct probe probes[N_PROBES];
    uint32_t n_used; /* no probe is beyond */
    uint32_t n_sockets;
    struct of_machine *machines;
};

/* A random number of the kernel's for every choice: what is to be unpredictable is drawn, never
 * derived. */
struct draw {
    uint32_t size, port, is_common, from;
    uint8_t payload[CANARY_SIZE_MAX];
};

/* Services that ignore, or answer shortly, what they do not understand, and log nothing of it. */
static const uint16_t common_ports[] = {53, 123, 443, 500, 5353};

/* No port of an encapsulation: the probe would be taken apart as one. */
static const uint16_t tunnel_ports[] = {2152, 3544, 4500, 4754, 4755, 4789, 4790,
                                        5072, 6080, 6081, 6635, 7932, 8472, 37008};

struct canary *canary_new(const struct canary_options *options)
{
    struct canary *canary = calloc(1, sizeof(*canary));
    if (!canary)
        return NULL;
    canary->options = *options;
    if (canary->options.timeout <= 0)
        canary->options.timeout = TIMEOUT;
    if (canary->options.max_sockets == 0)
        canary->options.max_sockets = 128;
    for (size_t i = 0; i < N_PROBES; i++)
        canary->probes[i].fd = -1;
    canary->watch = canary_watch_new(N_PROBES);
    canary->machines = calloc((size_t)options->max_machine + 1, sizeof(*canary->machines));
    if (!canary->watch || !canary->machines) {
        canary_free(canary);
        return NULL;
    }
    return canary;
}

static void close_socket(struct canary *canary, struct probe *probe)
{
    if (probe->fd < 0)
        return;
    close(probe->fd);
    probe->fd = -1;
    canary->n_sockets--;
}

void canary_free(struct canary *canary)
{
    if (!canary)
        return;
    for (size_t i = 0; i < N_PROBES; i++)
        close_socket(canary, &canary->probes[i]);
    canary_watch_free(canary->watch);
    free(canary->machines);
    free(canary);
}

void canary_change(struct canary *canary, const struct canary_options *options)
{
    memcpy(canary->options.from, options->from, sizeof canary->options.from);
    canary->options.n_from = options->n_from;
    canary->options.port_low = options->port_low;
    canary->options.port_high = options->port_high;
}

struct canary_watch *canary_watch(struct canary *canary)
{
    return canary->watch;
}

void canary_enable(struct canary *canary, uint16_t machine, bool enabled)
{
    if (machine <= canary->options.max_machine)
        canary->machines[machine].state.enabled = enabled;
}

const struct canary_state *canary_state(const struct canary *canary, uint16_t machine)
{
    return &canary->machines[machine <= canary->options.max_machine ? machine : 0].state;
}

bool canary_router(const struct canary *canary, uint16_t machine, struct addr *out)
{
    if (machine > canary->options.max_machine || !canary->machines[machine].has_router)
        return false;
    *out = canary->machines[machine].router;
    return true;
}

static bool is_tunnel_port(uint16_t port)
{
    for (size_t i = 0; i < sizeof tunnel_ports / sizeof *tunnel_ports; i++)
        if (tunnel_ports[i] == port)
            return true;
    return false;
}

static uint16_t choose_port(const struct canary_options *options, const struct draw *draw)
{
    uint32_t low = options->port_low, high = options->port_high;
    if (low == 0 && high == 0) {
        if (draw->is_common % 4 == 0)
            return common_ports[draw->port % (sizeof common_ports / sizeof *common_ports)];
        low = 10000;
        high = 65535;
    }
    if (high < low)
        high = low;
    uint32_t n = high - low + 1, start = draw->port % n;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t port = (uint16_t)(low + (start + i) % n);
        if (!is_tunnel_port(port))
            return port;
    }
    return (uint16_t)(low + start);
}

/* NULL: the route decides. */
static const struct addr *choose_from(const struct canary_options *options, const struct addr *to,
                                      const struct draw *draw)
{
    const struct addr *fit[CANARY_MAX_FROM];
    size_t n = 0;
    for (size_t i = 0; i < options->n_from && i < CANARY_MAX_FROM; i++)
        if (addr_is_v4(&options->from[i]) == addr_is_v4(to))
            fit[n++] = &options->from[i];
    return n ? fit[draw->from % n] : NULL;
}

/* A free one; else the one that is hidden the longest. */
static struct probe *find_place(struct canary *canary)
{
    struct probe *oldest = NULL;
    for (uint32_t i = 0; i < N_PROBES; i++) {
        struct probe *probe = &canary->probes[i];
        if (probe->stage == STAGE_FREE)
            return probe;
        if (probe->stage != STAGE_OUT && (!oldest || probe->sent < oldest->sent))
            oldest = probe;
    }
    return oldest;
}

/* Room for one more socket: the oldest that only listens goes. */
static bool make_room(struct canary *canary)
{
    if (canary->n_sockets < canary->options.max_sockets)
        return true;
    struct probe *oldest = NULL;
    for (uint32_t i = 0; i < canary->n_used; i++) {
        struct probe *probe = &canary->probes[i];
        if (probe->stage == STAGE_LISTEN && probe->fd >= 0 &&
            (!oldest || probe->sent < oldest->sent))
            oldest = probe;
    }
    if (!oldest)
        return false;
    close_socket(canary, oldest);
    return true;
}

static void note_sent(struct canary *canary, uint16_t machine, const struct addr *from, int64_t now)
{
    struct canary_state *state = &canary->machines[machine].state;
    state->n_sent++;
    state->last_sent = now;
    if (from)
        state->from[addr_format(from, state->from)] = '\0';
}

static void take_answer(struct of_machine *of, const struct probe *probe)
{
    of->state.answer = probe->answer;
    if (probe->answer == CANARY_REPLIED)
        of->replied = probe->sent;
}

/* Not every one is answered by who lives: some come to a service that ignores them, and a kernel
 * refuses only so many a second. */
static void miss(struct canary *canary, const struct probe *probe)
{
    struct of_machine *of = &canary->machines[probe->machine];
    bool is_alive = of->state.answer == CANARY_REPLIED && probe->sent - of->replied < STAYS_ALIVE;
    of->state.n_missed_in_row++;
    if (probe->answer != CANARY_NONE || !is_alive)
        take_answer(of, probe);
}

int canary_send(struct canary *canary, uint16_t machine, const struct addr *to, int64_t ticks,
                int64_t now, struct err *err)
{
    struct draw draw;
    if (machine == 0 || machine > canary->options.max_machine)
        return err_set(err, -EINVAL, "canary: there is no machine %u", machine);
    if (getrandom(&draw, sizeof draw, 0) != (ssize_t)sizeof draw)
        return err_set(err, -EAGAIN, "canary: the kernel gives no random bytes");
    struct probe *place = find_place(canary);
    if (!place || !make_room(canary))
        return err_set(err, -EAGAIN, "canary: %u are out already", canary->n_sockets);

    struct canary_probe probe = {.dst = *to, .machine = machine};
    probe.dport = choose_port(&canary->options, &draw);
    probe.size = (uint16_t)(CANARY_SIZE_MIN + draw.size % (CANARY_SIZE_MAX - CANARY_SIZE_MIN + 1));
    memcpy(probe.payload, draw.payload, probe.size);
    struct probe next = {.stage = STAGE_OUT, .machine = machine, .fd = -1, .sent = ticks};
    int rc = canary_socket_open(choose_from(&canary->options, to, &draw), to, probe.dport,
                                &probe.src, &probe.sport, &next.fd, err);
    if (rc == -ENETUNREACH || rc == -EHOSTUNREACH) {
        next.answer = CANARY_NO_ROUTE;
        note_sent(canary, machine, NULL, now);
        miss(canary, &next);
        return 0;
    }
    if (rc < 0)
        return rc;
    uint32_t at = (uint32_t)(place - canary->probes);
    close_socket(canary, place);
    canary_watch_clear(canary->watch, at);
    if (!canary_watch_own(canary->watch, &probe.src)) {
        close(next.fd);
        return err_set(err, -ENOSPC, "canary: this host has too many addresses of its own");
    }
    /* Before it is sent: its copy may be faster than the next line. */
    canary_watch_put(canary->watch, at, &probe);
    ssize_t n = send(next.fd, probe.payload, probe.size, MSG_DONTWAIT | MSG_NOSIGNAL);
    rc = n < 0 ? -errno : 0;
    if (rc == -ENETUNREACH || rc == -EHOSTUNREACH)
        next.answer = CANARY_NO_ROUTE;
    else if (rc == -ECONNREFUSED)
        next.answer = CANARY_REPLIED;
    else if (rc < 0) {
        canary_watch_clear(canary->watch, at);
        close(next.fd);
        place->stage = STAGE_FREE;
        return err_set(err, rc,
                       rc == -EPERM ? "canary: this host's own firewall refuses it: allow UDP to "
                                      "the monitored machines (%s)"
                                    : "canary: cannot be sent: %s",
                       strerror(-rc));
    }
    *place = next;
    canary->n_sockets++;
    if (at >= canary->n_used)
        canary->n_used = at + 1;
    note_sent(canary, machine, &probe.src, now);
    return 0;
}

static void come_back(struct canary *canary, struct probe *probe, int64_t now)
{
    struct canary_state *state = &canary->machines[probe->machine].state;
    probe->came_back = true;
    state->ever_came_back = true;
    state->n_back++;
    state->n_missed_in_row = 0;
    state->answer = CANARY_NONE;
    state->last_back = now;
}

/* The machine's own word stands over what a router says. */
static void hear(struct canary *canary, struct probe *probe)
{
    struct addr by;
    bool has_by = false;
    enum canary_answer answer = canary_socket_hear(probe->fd, &by, &has_by);
    if (answer == CANARY_NONE || probe->answer == CANARY_REPLIED)
        return;
    probe->answer = answer;
    struct of_machine *of = &canary->machines[probe->machine];
    if (answer != CANARY_REPLIED && has_by) {
        of->router = by;
        of->has_router = true;
    }
    if (probe->stage == STAGE_LISTEN && !probe->came_back && of->state.n_missed_in_row > 0)
        take_answer(of, probe);
}

static void step(struct canary *canary, uint32_t at, int64_t ticks, int64_t now)
{
    struct probe *probe = &canary->probes[at];
    int64_t age = ticks - probe->sent;
    if (probe->fd >= 0)
        hear(canary, probe);
    switch (probe->stage) {
    case STAGE_FREE:
        return;
    case STAGE_OUT:
        if (age >= canary->options.timeout)
            canary_watch_late(canary->watch, at);
        if (canary_watch_seen(canary->watch, at)) {
            come_back(canary, probe, now);
            canary_watch_late(canary->watch, at);
        } else if (age >= canary->options.timeout) {
            miss(canary, probe);
        } else {
            return;
        }
        probe->stage = STAGE_LISTEN;
        return;
    case STAGE_LISTEN:
        /* One that came back needs no answer, but its socket keeps this host from refusing what
         * the machine says to it. */
        if (age < canary->options.timeout + LISTEN_AFTER)
            return;
        close_socket(canary, probe);
        probe->stage = STAGE_HIDE;
        return;
    case STAGE_HIDE:
        if (age < canary->options.timeout + LISTEN_AFTER + HIDE_AFTER)
            return;
        canary_watch_clear(canary->watch, at);
        probe->stage = STAGE_FREE;
        return;
    }
}

void canary_poll(struct canary *canary, int64_t ticks, int64_t now)
{
    for (uint32_t i = 0; i < canary->n_used; i++)
        step(canary, i, ticks, now);
    while (canary->n_used > 0 && canary->probes[canary->n_used - 1].stage == STAGE_FREE)
        canary->n_used--;
}
