/* Services of the privileged parent: see services.h. */
#include "sensor/services.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/datagrams.h"
#include "capture/pcap_over_ip.h"
#include "capture/rawip.h"
#include "hunt/lists.h"
#include "linux/interface.h"
#include "linux/port_owner.h"
#include "tunnel/tunnel.h"

#define DUMP_MAX    ((off_t)16 << 20)
#define FILTER_SNAP 262144

/* ---- the list ---- */

static int add_default(struct services_list *list, const char *text, struct err *err)
{
    struct config_listener *listener = &list->defaults[list->n_defaults];
    int result = config_parse_listener(text, listener, err);
    if (result < 0)
        return result;
    list->n_defaults++;
    list->inputs[list->n_inputs++] = (struct rules_input){
        .listener = listener, .is_default = listener->kind == CONFIG_LISTEN_INTERFACE};
    return 0;
}

int services_list_init(struct services_list *list, const struct config *config,
                       const char *interface, struct err *err)
{
    memset(list, 0, sizeof *list);
    if (config->n_listeners > RULES_MAX_INPUTS)
        return err_set(err, -E2BIG, "more than %d listeners", RULES_MAX_INPUTS);
    for (size_t i = 0; i < config->n_listeners; i++)
        list->inputs[list->n_inputs++].listener = &config->listeners[i];
    if (list->n_inputs > 0)
        return 0;
    char text[16 + CONFIG_INTERFACE_MAX];
    (void)snprintf(text, sizeof text, "interface:%s", interface);
    int result = interface[0] ? add_default(list, text, err) : 0;
    if (result == 0)
        result = add_default(list, "vxlan", err);
    if (result == 0)
        result = add_default(list, "geneve", err);
    if (result == 0)
        result = add_default(list, "gre", err);
    if (result < 0)
        services_list_done(list);
    return result;
}

void services_list_done(struct services_list *list)
{
    for (size_t i = 0; i < list->n_defaults; i++)
        config_listener_done(&list->defaults[i]);
    memset(list, 0, sizeof *list);
}

/* ---- the parent ---- */

enum steer_kind services_steer_kind(const struct config_listener *listener)
{
    const struct config_wrap *wrap = &listener->wrap;
    enum steer_kind kind = STEER_ETHERNET;
    if (wrap->kind != CONFIG_WRAP_LAYERS) {
        if (wrap->kind != CONFIG_WRAP_RAW)
            (void)steer_kind_of_port(listener->port, &kind);
        return kind;
    }
    const struct tunnel_decoder *first = wrap->layers[0];
    if (first == &tunnel_vxlan)
        return STEER_VXLAN;
    if (first == &tunnel_vxlan_gpe)
        return STEER_VXLAN_GPE;
    if (first == &tunnel_geneve)
        return wrap->n_layers > 1 ? STEER_GENEVE_VXLAN : STEER_GENEVE;
    if (first == &tunnel_gre_udp)
        return STEER_GRE;
    if (first == &tunnel_tzsp)
        return STEER_TZSP;
    return kind;
}

/* The UDP ports that mirrors are sent to, for an interface. */
static unsigned ports_of(const struct services_list *list, struct steer_port *out)
{
    static const uint16_t usual[] = {4789, 8472, 4790, 6081, 4754, 37008};
    unsigned n = 0;
    for (size_t i = 0; i < list->n_inputs && n < STEER_MAX_PORTS; i++) {
        const struct config_listener *listener = list->inputs[i].listener;
        if (listener->kind == CONFIG_LISTEN_UDP)
            out[n++] = (struct steer_port){listener->port, services_steer_kind(listener)};
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual && n < STEER_MAX_PORTS; i++) {
        bool known = false;
        for (unsigned k = 0; k < n; k++)
            known |= out[k].port == usual[i];
        enum steer_kind kind;
        if (!known && steer_kind_of_port(usual[i], &kind))
            out[n++] = (struct steer_port){usual[i], kind};
    }
    return n;
}

static int compile_filter(const char *text, uint16_t link, struct bpf_program *out, struct err *err)
{
    pcap_t *pcap = pcap_open_dead(link == LINK_ETHERNET ? DLT_EN10MB : DLT_RAW, FILTER_SNAP);
    if (!pcap)
        return err_set(err, -ENOMEM, "out of memory");
    int result = pcap_compile(pcap, out, text, 1, PCAP_NETMASK_UNKNOWN);
    if (result < 0)
        result = err_set(err, -EINVAL, "filter '%s': %s", text, pcap_geterr(pcap));
    pcap_close(pcap);
    return result;
}

static int open_ring(const struct services *s, const struct config_listener *listener,
                     const struct steer_group *group, int *fds, struct services_listened *out,
                     struct err *err)
{
    struct steer_port ports[STEER_MAX_PORTS];
    struct bpf_program program = {0};
    struct sock_fprog filter = {0};
    bool is_wrapped = listener->wrap.kind != CONFIG_WRAP_NONE;
    struct ring_options options = {
        .interface = listener->interface,
        .group = *group,
        .ports = ports,
        .n_ports = is_wrapped ? ports_of(&s->list, ports) : 0,
        .takes_gre = is_wrapped,
    };
    if (listener->ring)
        options.n_blocks = (uint32_t)(listener->ring >> 20 ? listener->ring >> 20 : 1);
    if (listener->filter) {
        int result = compile_filter(listener->filter, LINK_ETHERNET, &program, err);
        if (result < 0)
            return result;
        filter.len = (unsigned short)program.bf_len;
        filter.filter = (struct sock_filter *)(void *)program.bf_insns; /* the same layout */
        options.filter = &filter;
    }
    int result = ring_open(&options, fds, &out->shape, err);
    out->n_workers = (uint16_t)group->n_workers;
    pcap_freecode(&program);
    return result;
}

/* Those that are there move to the front. */
static size_t pack_fds(int *fds, unsigned n_workers, struct services_listened *out)
{
    size_t n = 0;
    for (unsigned i = 0; i < n_workers; i++)
        if (fds[i] >= 0)
            fds[n++] = fds[i];
    out->n_workers = (uint16_t)n;
    out->has_hold = fds[n_workers] >= 0;
    if (out->has_hold)
        fds[n++] = fds[n_workers];
    return n;
}

static int serve_listen(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                        struct err *err)
{
    const struct services *s = with;
    struct services_listen ask;
    struct services_listened *out = reply;
    memcpy(&ask, request, sizeof ask);
    if (ask.place >= s->list.n_inputs || ask.n_workers < 1 || ask.n_workers >= PARENT_MAX_FDS ||
        ask.n_excluded > STEER_MAX_EXCLUDED)
        return err_set(err, -EINVAL, "a request for a listener that nobody configured");
    const struct config_listener *listener = s->list.inputs[ask.place].listener;
    struct steer_key key;
    steer_key_init(&key, s->steer_secret);
    struct steer_group group = {.key = &key, .n_workers = ask.n_workers};
    int excluded[STEER_MAX_EXCLUDED];
    for (unsigned i = 0; i < ask.n_excluded; i++)
        excluded[i] = ask.excluded[i];
    struct steer_excluded without = {.ifindexes = excluded, .n = ask.n_excluded};
    size_t buffer = 0;
    int result = 0;
    switch ((enum config_listener_kind)listener->kind) {
    case CONFIG_LISTEN_INTERFACE:
        result = open_ring(s, listener, &group, fds, out, err);
        *n_fds = result < 0 ? 0 : ask.n_workers;
        return result;
    case CONFIG_LISTEN_UDP: {
        struct datagram_options options = {
            .address = listener->addr,
            .port = listener->port,
            .interface = listener->interface[0] ? listener->interface : NULL,
            .kind = services_steer_kind(listener),
            .group = group,
            .excluded = without,
            .buffer_size = (size_t)listener->buffer,
        };
        result = datagrams_open(&options, fds, &buffer, err);
        break;
    }
    case CONFIG_LISTEN_GRE: {
        struct rawip_options options = {
            .is_ipv6 = ask.is_ipv6,
            .address = listener->addr,
            .group = group,
            .excluded = without,
            .buffer_size = (size_t)listener->buffer,
        };
        result = rawip_open(&options, fds, &buffer, err);
        break;
    }
    case CONFIG_LISTEN_PCAP_OVER_IP:
        result = pcap_over_ip_open(
            &(struct pcap_over_ip_options){.host = listener->host, .port = listener->port}, &fds[0],
            err);
        out->n_workers = 1;
        *n_fds = result < 0 ? 0 : 1;
        return result;
    case CONFIG_LISTEN_STDIN:
        fds[0] = dup(STDIN_FILENO);
        if (fds[0] < 0)
            return err_set(err, -errno, "standard input: %s", strerror(errno));
        out->n_workers = 1;
        *n_fds = 1;
        return 0;
    case CONFIG_LISTEN_NOTHING:
        return err_set(err, -EINVAL, "a listener of no kind");
    }
    char owner[96];
    if (result == -EADDRINUSE && linux_port_owner(listener->port, owner, sizeof owner))
        return err_set(err, result,
                       "UDP port %u is taken by %s; a ring (-i) sees its packets all "
                       "the same",
                       listener->port, owner);
    if (result < 0)
        return result;
    out->buffer_size = buffer;
    *n_fds = pack_fds(fds, ask.n_workers, out);
    return 0;
}

static int serve_host(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                      struct err *err)
{
    (void)request;
    (void)fds;
    (void)n_fds;
    (void)err;
    const struct services *s = with;
    struct services_host *out = reply;
    size_t n = linux_own_addresses(out->own, SERVICES_MAX_OWN);
    out->n_own = (uint32_t)n;
    memcpy(out->interface, s->interface, sizeof out->interface);
    return 0;
}

/* Takes `config`, and hands it on. */
static int hand_on(struct services *s, struct config *config, int *fds, size_t *n_fds,
                   struct err *err)
{
    struct services_list list;
    int result = services_list_init(&list, config, s->interface, err);
    if (result < 0) {
        config_free(config);
        return result;
    }
    int fd = memfd_create("configuration", MFD_CLOEXEC);
    FILE *out = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
    if (!out) {
        result = err_set(err, -errno, "cannot hand the configuration on: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        services_list_done(&list);
        config_free(config);
        return result;
    }
    config_dump(config, out);
    bool ok = fflush(out) == 0;
    ok &= fclose(out) == 0;
    if (!ok) {
        close(fd);
        services_list_done(&list);
        config_free(config);
        return err_set(err, -EIO, "cannot hand the configuration on");
    }
    services_list_done(&s->list);
    config_free(s->config);
    s->config = config;
    s->list = list;
    for (size_t i = 0; i < s->list.n_defaults; i++) /* the list has moved */
        s->list.inputs[i].listener = &s->list.defaults[i];
    fds[0] = fd;
    *n_fds = 1;
    return 0;
}

static int serve_config(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                        struct err *err)
{
    (void)request;
    (void)reply;
    struct services *s = with;
    struct config *config = NULL;
    s->records_mark = config_records_mark(); /* before: what comes meanwhile is seen next time */
    int result = s->load(s->with, &config, err);
    return result < 0 ? result : hand_on(s, config, fds, n_fds, err);
}

static int serve_look(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                      struct err *err)
{
    (void)request;
    (void)fds;
    (void)n_fds;
    (void)err;
    const struct services *s = with;
    struct services_look *out = reply;
    out->is_changed = config_records_mark() != s->records_mark;
    return 0;
}

static int serve_records(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                         struct err *err)
{
    (void)request;
    (void)reply;
    struct services *s = with;
    struct config *config = NULL;
    s->records_mark = config_records_mark();
    int result = config_load_records(s->config, &config, err);
    return result < 0 ? result : hand_on(s, config, fds, n_fds, err);
}

static int serve_lists(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                       struct err *err)
{
    (void)request;
    (void)reply;
    const struct services *s = with;
    int fd = memfd_create("lists", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "cannot hand feeds on: %s", strerror(errno));
    int result = lists_put(fd, &s->config->hunts.common, err);
    if (result < 0) {
        close(fd);
        return result;
    }
    fds[0] = fd;
    *n_fds = 1;
    return 0;
}

const struct parent_service services_table[SERVICES_N] = {
    [SERVICE_LISTEN] = {"listener", sizeof(struct services_listen),
                        sizeof(struct services_listened), serve_listen},
    [SERVICE_HOST] = {"host", 0, sizeof(struct services_host), serve_host},
    [SERVICE_CONFIG] = {"configuration", 0, 0, serve_config},
    [SERVICE_LOOK] = {"look at records", 0, sizeof(struct services_look), serve_look},
    [SERVICE_RECORDS] = {"records", 0, 0, serve_records},
    [SERVICE_LISTS] = {"lists", 0, 0, serve_lists},
};

/* ---- the packet process ---- */

int services_listen(struct parent *parent, const struct services_listen *request, int *fds,
                    size_t *n_fds, struct services_listened *out, struct err *err)
{
    *n_fds = PARENT_MAX_FDS;
    return parent_ask(parent, SERVICE_LISTEN, request, sizeof *request, fds, n_fds, out,
                      sizeof *out, err);
}

int services_host(struct parent *parent, struct services_host *out, struct err *err)
{
    size_t n_fds = 0;
    return parent_ask(parent, SERVICE_HOST, NULL, 0, NULL, &n_fds, out, sizeof *out, err);
}

static int ask_config(struct parent *parent, enum services_kind kind, struct config **out,
                      struct err *err)
{
    int fd = -1;
    size_t n_fds = 1;
    struct stat st;
    int result = parent_ask(parent, kind, NULL, 0, &fd, &n_fds, NULL, 0, err);
    if (result < 0)
        return result;
    if (n_fds != 1)
        return err_set(err, -EPROTO, "the parent sent no configuration");
    if (fstat(fd, &st) < 0 || st.st_size > DUMP_MAX) {
        close(fd);
        return err_set(err, -E2BIG, "the configuration is larger than %lld bytes",
                       (long long)DUMP_MAX);
    }
    size_t size = (size_t)st.st_size, done = 0;
    char *text = malloc(size + 1);
    while (text && done < size) {
        ssize_t n = pread(fd, text + done, size - done, (off_t)done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    close(fd);
    if (!text || done < size)
        result = err_set(err, text ? -EIO : -ENOMEM, "cannot read the configuration");
    else
        result = config_load_text(text, size, "the configuration", out, err);
    free(text);
    return result;
}

int services_config(struct parent *parent, struct config **out, struct err *err)
{
    return ask_config(parent, SERVICE_CONFIG, out, err);
}

int services_records(struct parent *parent, struct config **out, struct err *err)
{
    return ask_config(parent, SERVICE_RECORDS, out, err);
}

bool services_records_changed(struct parent *parent)
{
    struct services_look look = {0};
    size_t n_fds = 0;
    struct err none;
    return parent_ask(parent, SERVICE_LOOK, NULL, 0, NULL, &n_fds, &look, sizeof look, &none) ==
               0 &&
           look.is_changed;
}

int services_lists(struct parent *parent, int *out_fd, struct err *err)
{
    int fd = -1;
    size_t n_fds = 1;
    int result = parent_ask(parent, SERVICE_LISTS, NULL, 0, &fd, &n_fds, NULL, 0, err);
    if (result < 0)
        return result;
    if (n_fds != 1)
        return err_set(err, -EPROTO, "the parent sent no feeds");
    *out_fd = fd;
    return 0;
}
