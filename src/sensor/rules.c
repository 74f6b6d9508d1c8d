/* From a configuration to rules: see rules.h. */
#include "sensor/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "source/network.h"
#include "tunnel/tunnel.h"

/* What mirrors put around a packet, the outer and the inner Ethernet header included. */
static uint16_t overhead_of(const struct source *channel)
{
    if (!channel->decoder)
        return 0;
    uint16_t outer_ip = addr_is_v4(&channel->outer) ? 20 : 40;
    const char *name = channel->decoder->name;
    if (strncmp(name, "erspan", 6) == 0)
        return (uint16_t)(outer_ip + 4 + 4 + 8 + 14);
    if (strncmp(name, "gre", 3) == 0)
        return (uint16_t)(outer_ip + 8 + 14);
    return (uint16_t)(outer_ip + 8 + 8 + 14);
}

static bool is_interface(const struct source *s)
{
    return s->decoder == NULL;
}

/* The configured machine of the channel; -1: none. */
static int index_of(const struct rules *rules, const struct source *s)
{
    if (s->part)
        return s->part <= rules->n_parts ? rules->parts[s->part - 1].index : -1;
    if (is_interface(s))
        return -1;
    return config_source_of_channel(rules->config, s->decoder, s->has_id, s->id, &s->outer);
}

static void describe(const void *with, struct source *s)
{
    const struct rules *rules = with;
    const struct config *config = rules->config;
    int index = index_of(rules, s);
    if (index >= 0) {
        const struct config_source *source = &config->sources[index];
        (void)snprintf(s->name, sizeof s->name, "%s", source->name);
        if (source->network_name)
            s->network = source->network;
        s->drop_vlan = source->drop_vlan;
        return;
    }
    if (s->part) { /* it is not configured any more: no packet is given to it */
        s->is_refused = true;
        return;
    }
    if (s->is_forwarded)
        return; /* who forwards was admitted */
    bool admits_all = config_admits_all(config);
    s->is_shared = rules->has_parts;
    if (is_interface(s)) {
        (void)snprintf(s->name, sizeof s->name, "%s", rules_input_name(rules, s->input));
        bool is_default = s->input && s->input <= rules->arrival.n_inputs &&
                          rules->given[s->input - 1].is_default;
        s->refuses_rest = is_default && !admits_all;
    } else {
        s->refuses_rest = !admits_all;
    }
    s->is_refused = s->refuses_rest && !s->is_shared;
}

static uint16_t part(const void *with, const struct source *channel, const struct packet *packet)
{
    const struct rules *rules = with;
    const struct config *config = rules->config;
    int index = -1;
    if (packet->has_mac) {
        index = config_source_of_mac(config, channel->network, packet->src_mac);
        if (index < 0)
            index = config_source_of_mac(config, channel->network, packet->dst_mac);
    }
    if (index < 0 && packet->kind == PACKET_IP)
        index = config_source_of_address(config, channel->network, &packet->src);
    if (index < 0 && packet->kind == PACKET_IP)
        index = config_source_of_address(config, channel->network, &packet->dst);
    return index < 0 ? 0 : rules->part_of[index];
}

static struct stack_options way_of(const struct config_listener *listener,
                                   const struct addr_set *own)
{
    struct stack_options way = {.auto_mirror = false};
    const struct config_wrap *wrap = &listener->wrap;
    bool is_udp = listener->kind == CONFIG_LISTEN_UDP;
    switch ((enum config_wrap_kind)wrap->kind) {
    case CONFIG_WRAP_NONE:
        break;
    case CONFIG_WRAP_DEFAULT:
    case CONFIG_WRAP_AUTO:
        way.auto_mirror = true;
        way.own = listener->kind == CONFIG_LISTEN_INTERFACE ? own : NULL;
        break;
    case CONFIG_WRAP_RAW:
        way.mirror[way.n_mirror++] = &tunnel_raw;
        way.any_port = is_udp;
        break;
    case CONFIG_WRAP_LAYERS:
        for (unsigned i = 0; i < wrap->n_layers; i++)
            way.mirror[way.n_mirror++] = wrap->layers[i];
        way.any_port = is_udp;
        break;
    }
    return way;
}

/* ---- numbers of parts ---- */

/* By the hash of its name: its number, or the free place where that belongs. */
static uint16_t *find_part(const struct rules *rules, uint16_t *places, size_t mask,
                           const char *name)
{
    size_t i = XXH3_64bits(name, strlen(name)) & mask;
    while (places[i] && strcmp(rules->parts[places[i] - 1].name, name) != 0)
        i = (i + 1) & mask;
    return &places[i];
}

/* Those there were keep their numbers, others get new ones. False: no memory. */
static bool number_parts(struct rules *rules, const struct rules *before)
{
    const struct config *config = rules->config;
    size_t n_before = before ? before->n_parts : 0, capacity = 16;
    size_t max =
        n_before + config->n_sources < UINT16_MAX ? n_before + config->n_sources : UINT16_MAX;
    while (capacity < 2 * max)
        capacity *= 2;
    uint16_t *places = calloc(capacity, sizeof *places);
    rules->parts = calloc(max + 1, sizeof *rules->parts);
    rules->part_of = calloc(config->n_sources + 1, sizeof *rules->part_of);
    bool ok = places && rules->parts && rules->part_of;
    for (size_t i = 0; ok && i < n_before; i++) {
        rules->parts[i] = before->parts[i];
        rules->parts[i].index = -1;
        rules->n_parts = i + 1;
        *find_part(rules, places, capacity - 1, rules->parts[i].name) = (uint16_t)(i + 1);
    }
    for (size_t i = 0; ok && i < config->n_sources; i++) {
        char name[SOURCE_NAME_MAX];
        (void)snprintf(name, sizeof name, "%s", config->sources[i].name);
        uint16_t *place = find_part(rules, places, capacity - 1, name);
        if (*place == 0) {
            if (rules->n_parts == max)
                continue; /* 65535 names in one run */
            memcpy(rules->parts[rules->n_parts].name, name, sizeof name);
            *place = (uint16_t)++rules->n_parts;
        }
        rules->parts[*place - 1].index = (int32_t)i;
        rules->part_of[i] = *place;
    }
    free(places);
    return ok;
}

struct rules *rules_new(const struct config *config, const struct rules_input *inputs,
                        size_t n_inputs, const struct addr *own, size_t n_own,
                        struct canary_watch *canaries, const struct rules *before)
{
    struct rules *rules = calloc(1, sizeof *rules);
    if (!rules)
        return NULL;
    struct arrival_rules *arrival = &rules->arrival;
    rules->config = config;
    if (!number_parts(rules, before)) {
        rules_free(rules);
        return NULL;
    }
    arrival->sources = (struct source_rules){.with = rules, .describe = describe, .part = part};
    arrival->networks = config->network_list;
    arrival->inputs = rules->inputs;
    arrival->skip_own = rules->skip_own;
    arrival->drop_vlan = rules->drop_vlan;
    arrival->gated = rules->gated;
    arrival->canaries = canaries;
    for (size_t i = 0; i < n_own; i++)
        (void)addr_set_add(&arrival->own,
                           &own[i]); /* more than 128 addresses: the rest is unknown */
    for (size_t i = 0; i < config->n_sources; i++)
        rules->has_parts |= config->sources[i].n_channels == 0 &&
                            (config->sources[i].n_addresses || config->sources[i].n_macs);
    for (size_t i = 0; i < n_inputs && i < RULES_MAX_INPUTS; i++) {
        const struct config_listener *listener = inputs[i].listener;
        arrival->n_inputs = i + 1;
        rules->given[i] = inputs[i];
        if (!listener)
            continue;
        rules->inputs[i] = way_of(listener, &arrival->own);
        rules->skip_own[i] = inputs[i].is_default;
        rules->drop_vlan[i] = listener->drop_vlan;
        rules->gated[i] = rules_gate_kind(listener);
        if (listener->kind == CONFIG_LISTEN_UDP && arrival->n_ports < ARRIVAL_MAX_PORTS)
            arrival->ports[arrival->n_ports++] = listener->port;
    }
    return rules;
}

/* A channel's outer address is that of the innermost layer of the mirror: the packet's own where
 * there is one layer. On an interface GENEVE may have another one inside. */
enum arrival_gate_kind rules_gate_kind(const struct config_listener *listener)
{
    const struct config_wrap *wrap = &listener->wrap;
    bool has_one =
        wrap->kind == CONFIG_WRAP_RAW || (wrap->kind == CONFIG_WRAP_LAYERS && wrap->n_layers == 1);
    bool is_group = addr_is_v4(&listener->addr) ? listener->addr.b[12] >> 4 == 0xe
                                                : listener->addr.b[0] == 0xff;
    switch ((enum config_listener_kind)listener->kind) {
    case CONFIG_LISTEN_UDP:
        return has_one && !is_group ? ARRIVAL_GATED : ARRIVAL_UNGATED;
    case CONFIG_LISTEN_GRE:
        return has_one ? ARRIVAL_GATED : ARRIVAL_UNGATED;
    case CONFIG_LISTEN_INTERFACE:
        return wrap->kind == CONFIG_WRAP_AUTO ? ARRIVAL_GATED_RING : ARRIVAL_UNGATED;
    case CONFIG_LISTEN_PCAP_OVER_IP:
    case CONFIG_LISTEN_STDIN:
    case CONFIG_LISTEN_NOTHING:
        break;
    }
    return ARRIVAL_UNGATED;
}

/* Networks name channels too, but admit nobody by that. */
bool rules_senders(const struct rules *rules, struct admit_list *out)
{
    const struct config *config = rules->config;
    memset(out, 0, sizeof *out);
    if (config_admits_all(config) || rules->has_parts)
        return false;
    for (size_t i = 0; i < config->n_sources; i++)
        for (size_t k = 0; k < config->sources[i].n_channels; k++) {
            const struct config_channel *channel = &config->sources[i].channels[k];
            if (!channel->has_outer || !admit_add(out, &channel->outer.net, channel->outer.bits))
                return false;
        }
    admit_finish(out);
    return true;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    free(rules->parts);
    free(rules->part_of);
    free(rules);
}

const char *rules_input_name(const void *with, uint16_t input)
{
    const struct rules *rules = with;
    const struct config_listener *listener =
        input && input <= rules->arrival.n_inputs ? rules->given[input - 1].listener : NULL;
    if (!listener)
        return "input";
    switch ((enum config_listener_kind)listener->kind) {
    case CONFIG_LISTEN_INTERFACE:
        return listener->interface;
    case CONFIG_LISTEN_PCAP_OVER_IP:
        return listener->host;
    case CONFIG_LISTEN_STDIN:
        return "stdin";
    case CONFIG_LISTEN_GRE:
        return "gre";
    case CONFIG_LISTEN_UDP:
    case CONFIG_LISTEN_NOTHING:
        break;
    }
    return "udp";
}

void rules_want_configured(const struct rules *rules, size_t index, struct machine_want *out,
                           struct addr *addresses, size_t max_addresses)
{
    const struct config *config = rules->config;
    const struct config_source *source = &config->sources[index];
    size_t n = source->n_addresses < max_addresses ? source->n_addresses : max_addresses;
    *out = (struct machine_want){
        .name = source->name,
        .network = network_name(config->network_list, source->network),
        .network_number = source->network,
        .addresses = addresses,
        .n_addresses = n,
        .has_canary = source->canary && config->canary.enabled,
        .has_cloud_lost = source->lost_before.has,
        .cloud_lost = source->lost_before.n,
        .health = {.expects_both_directions = source->direction == CONFIG_BOTH,
                   .expects_copies =
                       !source->filtered && source->direction == CONFIG_BOTH && !source->truncate,
                   .canary_interval = config->canary.interval},
    };
    for (size_t i = 0; i < n; i++)
        addresses[i] = source->addresses[i].addr; /* may lie in *out */
}

bool rules_want(const void *with, const struct source *channel, struct machine_want *out)
{
    const struct rules *rules = with;
    int index = index_of(rules, channel);
    out->overhead = overhead_of(channel);
    if (index < 0) {
        out->health.canary_interval = rules->config->canary.interval;
        out->has_canary = rules->config->canary.enabled && channel->decoder != NULL;
        out->health.expects_both_directions = channel->decoder != NULL;
        out->health.expects_copies = channel->decoder != NULL;
        return false;
    }
    const char *network = out->network;
    uint16_t network_number = out->network_number, overhead = out->overhead;
    rules_want_configured(rules, (size_t)index, out, out->room, MACHINE_WANT_ROOM);
    out->overhead = overhead;
    if (!rules->config->sources[index].network_name) {
        out->network = network; /* its channel's */
        out->network_number = network_number;
    }
    return true;
}

void rules_admit(const void *with, const struct source *channel, char *out, size_t size)
{
    (void)with;
    char text[ADDR_TEXT_MAX], id[16] = "";
    int len = (int)addr_format(&channel->outer, text);
    if (channel->has_id)
        (void)snprintf(id, sizeof id, ":%u", channel->id);
    if (channel->decoder)
        (void)snprintf(out, size, "sources: [{name: NAME, channel: \"%s%s@%.*s\"}]",
                       channel->decoder->name, id, len, text);
    else
        (void)snprintf(out, size, "sources: [{name: NAME, addresses: [ADDRESS]}]");
}
