/* What one value of the configuration alone does not show: names that come twice, networks that are
 * not there, channels that a network cannot have. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "sensor/config_parts.h"
#include "source/network.h"

int config_refuse(const struct config *config, const struct yaml_place *place, struct err *err,
                  const char *end, const char *format, ...)
{
    char sentence[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return err_set(err, -EINVAL, "%s: %s (line %u, column %u)%s", config->files[place->file],
                   sentence, place->line, place->column, end ? end : "");
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* Whether the channel is one that a network may be named by; its text for network_list_add. */
static int selector_text(const struct config_channel *channel, char *out, size_t size)
{
    FILE *f = fmemopen(out, size, "w");
    if (!f)
        return -ENOMEM;
    if (channel->erspan)
        fprintf(f, "erspan2:%u,erspan3:%u", channel->id, channel->id);
    else if (channel->has_id && !channel->decoder)
        fprintf(f, "%u", channel->id);
    else
        config_put_channel(channel, f);
    return fclose(f) == 0 ? 0 : -ENOMEM;
}

static int add_channel(struct config *config, const struct config_network *network,
                       const struct config_channel *channel, struct err *err)
{
    char text[128], line[sizeof text + NETWORK_NAME_MAX + 1];
    bool one = channel->has_id != channel->has_outer;
    if (!one || (channel->has_outer && (channel->decoder || channel->erspan)))
        return config_refuse(
            config, &channel->place, err, NULL,
            "network '%s': its channels are KIND:ID, or an id, or an outer address "
            "or prefix, and not two of them at once",
            network->name);
    int result = selector_text(channel, text, sizeof text);
    if (result < 0)
        return err_set(err, result, "no memory for the configuration");
    (void)snprintf(line, sizeof line, "%s=%s", network->name, text);
    struct err inner;
    if (network_list_add(config->network_list, line, &inner) < 0)
        return config_refuse(config, &channel->place, err, NULL, "%s", inner.text);
    return 0;
}

static int check_network(struct config *config, struct config_network *network, struct err *err)
{
    if (has_control(network->name) || strpbrk(network->name, "=,"))
        return config_refuse(config, &network->place, err, NULL,
                             "a network's name has no '=', ',' or control characters");
    struct err inner;
    int number = network_list_number(config->network_list, network->name, &inner);
    if (number < 0)
        return config_refuse(config, &network->place, err, NULL, "%s", inner.text);
    network->number = (uint16_t)number;
    for (size_t i = 0; i < network->n_channels; i++) {
        int result = add_channel(config, network, &network->channels[i], err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int unknown_network(struct config *config, const struct config_source *source,
                           struct err *err)
{
    struct nearest nearest = nearest_begin(source->network_name);
    char end[NEAREST_TEXT_MAX];
    for (size_t i = 0; i < config->n_networks; i++)
        nearest_try(&nearest, config->networks[i].name);
    return config_refuse(config, &source->place, err, nearest_text(&nearest, end),
                         "source '%s': there is no network '%.60s'", source->name,
                         source->network_name);
}

/* The network that is named, or else the first channel's. */
static int set_network(struct config *config, struct config_source *source, struct err *err)
{
    if (!source->network_name) {
        static const struct addr nobody;
        const struct config_channel *c = source->channels;
        if (source->n_channels > 0)
            source->network =
                network_of(config->network_list, c->erspan ? &tunnel_erspan2 : c->decoder,
                           c->has_outer ? &c->outer.net : &nobody, c->has_id, c->id);
        return 0;
    }
    for (size_t i = 0; i < config->n_networks; i++) {
        if (strcmp(config->networks[i].name, source->network_name) == 0) {
            source->network = config->networks[i].number;
            return 0;
        }
    }
    if (strcmp(source->network_name, network_name(config->network_list, 0)) == 0)
        return 0;
    return unknown_network(config, source, err);
}

static int check_source(struct config *config, struct config_source *source, struct err *err)
{
    if (!source->name)
        return config_refuse(config, &source->place, err, NULL, "a source needs a name");
    if (has_control(source->name))
        return config_refuse(config, &source->place, err, NULL,
                             "a source's name has no control characters");
    if (source->n_channels + source->n_addresses + source->n_macs == 0)
        return config_refuse(config, &source->place, err, NULL,
                             "source '%s': nothing says which packets are its own; it needs a "
                             "channel, addresses or a mac",
                             source->name);
    return set_network(config, source, err);
}

static int name_order(const void *left, const void *right)
{
    const struct config_source *const *a = left, *const *b = right;
    int order = strcmp((*a)->name, (*b)->name);
    if (order != 0)
        return order;
    return *a < *b ? -1 : *a > *b;
}

static int check_names(struct config *config, struct err *err)
{
    size_t n = config->n_sources;
    const struct config_source **sorted = calloc(n ? n : 1, sizeof *sorted);
    if (!sorted)
        return err_set(err, -ENOMEM, "no memory for the configuration");
    for (size_t i = 0; i < n; i++)
        sorted[i] = &config->sources[i];
    qsort(sorted, n, sizeof *sorted, name_order);
    int result = 0;
    for (size_t i = 1; i < n && result == 0; i++) {
        const struct config_source *first = sorted[i - 1], *second = sorted[i];
        if (strcmp(first->name, second->name) == 0)
            result = config_refuse(config, &second->place, err, NULL,
                                   "there is a source '%s' already (%s, line %u)", second->name,
                                   config->files[first->place.file], first->place.line);
    }
    free(sorted);
    return result;
}

int config_check(struct config *config, struct err *err)
{
    config->network_list = network_list_new();
    if (!config->network_list)
        return err_set(err, -ENOMEM, "no memory for the configuration");
    for (size_t i = 0; i < config->n_networks; i++) {
        int result = check_network(config, &config->networks[i], err);
        if (result < 0)
            return result;
    }
    for (size_t i = 0; i < config->n_sources; i++) {
        int result = check_source(config, &config->sources[i], err);
        if (result < 0)
            return result;
    }
    return check_names(config, err);
}
