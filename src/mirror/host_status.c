/* What mirrors of this machine's interfaces have done, and what a collector gets to know of them:
 * see host.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/interface.h"
#include "mirror/host.h"
#include "mirror/host_parts.h"

static uint64_t number_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return value ? (uint64_t)json_integer_value(value) : 0;
}

/* ---- counters ---- */

/* Packets that passed the interface in that direction since it was made. */
static uint64_t passed(const struct host *host, const char *name, bool in, bool out)
{
    const struct linux_link *link = linux_link_by_name(host->links, host->n_links, name);
    return link ? (in ? link->counters.rx_packets : 0) + (out ? link->counters.tx_packets : 0)
                : UINT64_MAX;
}

static void measure_filter(const struct host *host, const struct mirror_object *object,
                           struct mirror_measure *out)
{
    char name[16];
    bool in = strstr(object->key, " in") != NULL;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(object->key, " "), object->key);
    (void)snprintf(out->what, sizeof out->what, "%.60s", object->key);
    out->n_seen = passed(host, name, in, !in);
    out->n_mirrored = number_of(object->also, "packets");
    out->bytes = number_of(object->also, "bytes");
    out->n_lost = number_of(object->also, "lost");
}

static void measure_table(const struct mirror_object *object, struct mirror_measure *out)
{
    (void)snprintf(out->what, sizeof out->what, "%s %.40s", mirror_text(object->is, "interface"),
                   object->key);
    out->n_seen = number_of(object->also, "seen");
    out->n_mirrored = number_of(object->also, "packets");
    out->bytes = number_of(object->also, "bytes");
    (void)snprintf(out->trouble, sizeof out->trouble, "%s", mirror_text(object->also, "strange"));
}

static void measure_carrier(const struct mirror_object *object, struct mirror_measure *out)
{
    (void)snprintf(out->what, sizeof out->what, "%.40s user", object->key);
    out->n_seen = number_of(object->also, "seen");
    out->n_mirrored = number_of(object->also, "packets");
    out->bytes = number_of(object->also, "bytes");
    out->n_lost = number_of(object->also, "lost");
    if (!json_is_true(json_object_get(object->also, "alive")))
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "its process is gone: cloudspan mirror apply starts it again");
    else
        (void)snprintf(out->trouble, sizeof out->trouble, "%s",
                       mirror_text(object->also, "trouble"));
}

static void measure_link(const struct host *host, const struct mirror_object *object,
                         struct mirror_measure *out)
{
    const char *underlay = mirror_text(object->is, "underlay");
    const struct linux_link *link = linux_link_by_name(host->links, host->n_links, underlay);
    (void)snprintf(out->what, sizeof out->what, "tunnel %.40s", object->key);
    out->n_seen = UINT64_MAX; /* the filters say how much that should be */
    out->n_mirrored = number_of(object->also, "packets");
    out->bytes = number_of(object->also, "bytes");
    out->n_lost = number_of(object->also, "dropped") + number_of(object->also, "errors");
    if (!json_is_true(json_object_get(object->is, "up")))
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "the tunnel's device is down: ip link set %.15s up", object->key);
    else if (link && (!link->is_up || !link->has_carrier))
        (void)snprintf(out->trouble, sizeof out->trouble, "%s, by which copies leave, is down",
                       underlay);
}

/* An interface that is down is said to be by plan, too; `user` tells of it by itself. */
static bool judge_interface(const struct host *host, const struct mirror_object *object,
                            struct mirror_measure *out)
{
    char name[16];
    const char *interface = mirror_text(object->is, "interface");
    if (strcmp(object->kind, "filter") == 0)
        interface = object->key;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(interface, " "), interface);
    const struct linux_link *link = linux_link_by_name(host->links, host->n_links, name);
    if (!link || link->is_up || out->trouble[0])
        return false;
    (void)snprintf(out->trouble, sizeof out->trouble,
                   "%s is down: nothing is mirrored until it is up", name);
    return true;
}

/* What passes a filter may be nothing for a long time. */
static bool is_filtered(const struct mirror_job *job)
{
    static const char option[] = "--filter=";
    size_t i;
    json_t *word;
    json_array_foreach(job->arguments, i, word)
    {
        const char *text = json_string_value(word);
        if (text && strncmp(text, option, strlen(option)) == 0 && text[strlen(option)])
            return true;
    }
    return false;
}

int host_measure(struct mirror_job *job, const struct mirror_set *found,
                 struct mirror_measures *out, struct err *err)
{
    const struct host *host = job->state;
    bool is_said = false;
    out->at = calloc(found->n + 1, sizeof *out->at);
    if (!out->at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < found->n; i++) {
        const struct mirror_object *object = &found->at[i];
        struct mirror_measure *one = &out->at[out->n];
        if (strcmp(object->kind, "filter") == 0)
            measure_filter(host, object, one);
        else if (strcmp(object->kind, "nft") == 0 || strcmp(object->kind, "tee") == 0)
            measure_table(object, one);
        else if (strcmp(object->kind, "carrier") == 0)
            measure_carrier(object, one);
        else if (strcmp(object->kind, "link") == 0)
            measure_link(host, object, one);
        else
            continue;
        if (strcmp(object->kind, "filter") == 0 || strcmp(object->kind, "nft") == 0 ||
            strcmp(object->kind, "tee") == 0)
            is_said = is_said || judge_interface(host, object, one);
        one->is_judged = is_filtered(job);
        out->n++;
    }
    return 0;
}

/* ---- for the collector ---- */

int host_put_channel(const struct mirror_job *job, const struct host_wish *wish,
                     const struct host_tap *tap, char out[MIRROR_CHANNEL_MAX], struct err *err)
{
    static const char *const kinds[MIRROR_N_WRAPS] = {
        [MIRROR_VXLAN] = "vxlan",     [MIRROR_GENEVE] = "geneve",   [MIRROR_GRE] = "gre",
        [MIRROR_ERSPAN1] = "erspan1", [MIRROR_ERSPAN2] = "erspan2", [MIRROR_ERSPAN3] = "erspan3"};
    const struct host *host = job->state;
    const struct linux_link *mirrored =
        linux_link_by_name(host->links, host->n_links, tap->interface);
    char text[ADDR_TEXT_MAX + 1], why[200];
    struct host_way way;
    int method = HOST_AUTO;
    /* A machine that is off has none yet. */
    int result = mirrored ? host_choose(job, wish, mirrored, &method, why, err) : 0;
    if (result == 0)
        result = host_find_way(host, wish, mirrored, host_is_bound(method, wish), &way, err);
    if (result < 0)
        return result;
    text[addr_format(&way.source, text)] = '\0';
    if (wish->has_id)
        (void)snprintf(out, MIRROR_CHANNEL_MAX, "%s:%u@%s", kinds[wish->to.wrap], tap->id, text);
    else
        (void)snprintf(out, MIRROR_CHANNEL_MAX, "%s@%s", kinds[wish->to.wrap], text);
    return 0;
}

void host_put_source(const struct mirror_job *job, const struct host_wish *wish,
                     struct mirror_source *out)
{
    (void)snprintf(out->network, sizeof out->network, "%s", job->network);
    out->filtered = wish->filter || wish->rate;
    out->truncate = wish->snap;
    (void)snprintf(out->direction, sizeof out->direction, "%s",
                   wish->direction == HOST_IN    ? "in"
                   : wish->direction == HOST_OUT ? "out"
                                                 : "both");
    out->collector[addr_format(&wish->to.addr, out->collector)] = '\0';
}

int host_sources(struct mirror_job *job, const struct host_wish *wish, const struct host_tap *taps,
                 size_t n, struct mirror_sources *out, struct err *err)
{
    const struct host *host = job->state;
    if (wish->to.wrap == MIRROR_INTERFACE)
        return 0; /* whoever listens there knows only the interface */
    out->at = calloc(n + 1, sizeof *out->at);
    if (!out->at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct mirror_source *one = &out->at[out->n];
        if (!linux_link_by_name(host->links, host->n_links, taps[i].interface))
            continue;
        int result = host_put_channel(job, wish, &taps[i], one->channels[0], err);
        if (result < 0)
            return result;
        (void)snprintf(one->name, sizeof one->name, "%s", job->machine);
        host_put_source(job, wish, one);
        (void)linux_addresses_of(taps[i].interface, one->addresses, 8); /* none: not known */
        out->n++;
    }
    return 0;
}
