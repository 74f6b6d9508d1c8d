/* Which source a channel, an address or a MAC belongs to: one table, made when the configuration is
 * loaded. A channel of the configuration may leave out the id, the kind or the outer address, or
 * name a prefix: such channels form classes by what they say, and a question is asked once for each
 * class that there is, the one that says most first. */
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sensor/config_parts.h"

enum key_kind { KEY_FREE, KEY_CHANNEL, KEY_ADDRESS, KEY_MAC };

/* Whether a class says the encapsulation. */
enum class_decoder { CLASS_ANY, CLASS_ERSPAN, CLASS_EXACT };

/* Zeroed before it is filled: it is compared as bytes. */
struct key {
    struct addr addr; /* outer and masked, or inner; a MAC in its first bytes */
    const struct tunnel_decoder *decoder;
    uint32_t id;
    uint16_t network;
    uint8_t bits; /* of addr */
    uint8_t kind; /* enum key_kind */
    uint8_t class_decoder, has_id, has_outer, unused[5];
};

struct entry {
    struct key key;
    uint32_t source;
};

struct class
{
    uint8_t has_id, decoder, has_outer, bits;
};

#define MAX_CLASSES 800 /* more than 2 × 3 × (1 + 129) */

struct config_index {
    size_t mask; /* entries, less one: a power of two */
    size_t n_classes;
    struct class classes[MAX_CLASSES];
    struct entry entries[];
};

static struct addr masked(const struct addr *addr, unsigned bits)
{
    struct addr out = *addr;
    size_t whole = bits / 8;
    if (whole < 16) {
        out.b[whole] &= (uint8_t) ~(0xffu >> bits % 8);
        memset(out.b + whole + 1, 0, 15 - whole);
    }
    return out;
}

/* The entry of the key, or the free one where it belongs. */
static struct entry *find(const struct config_index *index, const struct key *key)
{
    struct config_index *writable = (struct config_index *)(uintptr_t)index;
    for (size_t i = XXH3_64bits(key, sizeof *key) & index->mask;; i = (i + 1) & index->mask) {
        struct entry *e = &writable->entries[i];
        if (e->key.kind == KEY_FREE || memcmp(&e->key, key, sizeof *key) == 0)
            return e;
    }
}

static int look_up(const struct config_index *index, const struct key *key)
{
    const struct entry *e = find(index, key);
    return e->key.kind == KEY_FREE ? -1 : (int)e->source;
}

static struct key channel_key(const struct class *class, const struct tunnel_decoder *decoder,
                              uint32_t id, const struct addr *outer)
{
    struct key key;
    memset(&key, 0, sizeof key);
    key.kind = KEY_CHANNEL;
    key.class_decoder = class->decoder;
    if (class->decoder == CLASS_EXACT)
        key.decoder = decoder;
    key.has_id = class->has_id;
    if (class->has_id)
        key.id = id;
    key.has_outer = class->has_outer;
    if (class->has_outer) {
        key.bits = class->bits;
        key.addr = masked(outer, class->bits);
    }
    return key;
}

static struct key address_key(uint16_t network, const struct addr *addr)
{
    struct key key;
    memset(&key, 0, sizeof key);
    key.kind = KEY_ADDRESS;
    key.network = network;
    key.addr = *addr;
    return key;
}

static struct key mac_key(uint16_t network, const uint8_t mac[6])
{
    struct key key;
    memset(&key, 0, sizeof key);
    key.kind = KEY_MAC;
    key.network = network;
    memcpy(key.addr.b, mac, 6);
    return key;
}

static bool is_erspan(const struct tunnel_decoder *decoder)
{
    return decoder == &tunnel_erspan1 || decoder == &tunnel_erspan2 || decoder == &tunnel_erspan3;
}

int config_source_of_channel(const struct config *config, const struct tunnel_decoder *decoder,
                             bool has_id, uint32_t id, const struct addr *outer)
{
    const struct config_index *index = config->index;
    for (size_t i = 0; i < index->n_classes; i++) {
        const struct class *class = &index->classes[i];
        if ((class->has_id && !has_id) || (class->decoder == CLASS_ERSPAN && !is_erspan(decoder)))
            continue;
        struct key key = channel_key(class, decoder, id, outer);
        int source = look_up(index, &key);
        if (source >= 0)
            return source;
    }
    return -1;
}

int config_source_of_address(const struct config *config, uint16_t network,
                             const struct addr *inner)
{
    struct key key = address_key(network, inner);
    return look_up(config->index, &key);
}

int config_source_of_mac(const struct config *config, uint16_t network, const uint8_t mac[6])
{
    struct key key = mac_key(network, mac);
    return look_up(config->index, &key);
}

/* Those that say more come first. */
static int class_order(const void *left, const void *right)
{
    const struct class *a = left, *b = right;
    if (a->has_id != b->has_id)
        return b->has_id - a->has_id;
    if (a->decoder != b->decoder)
        return b->decoder - a->decoder;
    if (a->has_outer != b->has_outer)
        return b->has_outer - a->has_outer;
    return b->bits - a->bits;
}

static struct class class_of(const struct config_channel *channel)
{
    return (struct class){
        .has_id = channel->has_id,
        .decoder = channel->decoder  ? CLASS_EXACT
                   : channel->erspan ? CLASS_ERSPAN
                                     : CLASS_ANY,
        .has_outer = channel->has_outer,
        .bits = channel->has_outer ? channel->outer.bits : 0,
    };
}

static void add_class(struct config_index *index, const struct class *class)
{
    for (size_t i = 0; i < index->n_classes; i++)
        if (class_order(&index->classes[i], class) == 0)
            return;
    index->classes[index->n_classes++] = *class;
}

/* Adds one key of a source; `what` is for the sentence where another source has it. */
static int add_key(struct config *config, const struct key *key, size_t source, const char *what,
                   const struct yaml_place *place, struct err *err)
{
    struct entry *e = find(config->index, key);
    if (e->key.kind == KEY_FREE) {
        e->key = *key;
        e->source = (uint32_t)source;
        return 0;
    }
    const struct config_source *mine = &config->sources[source],
                               *other = &config->sources[e->source];
    if (e->source == source)
        return config_refuse(config, place, err, NULL, "source '%s': this %s is there twice",
                             mine->name, what);
    return config_refuse(config, place, err, NULL,
                         "source '%s': this %s is also that of '%s' (%s, line %u)", mine->name,
                         what, other->name, config->files[other->place.file], other->place.line);
}

static int add_source(struct config *config, size_t number, struct err *err)
{
    const struct config_source *source = &config->sources[number];
    int result = 0;
    for (size_t i = 0; i < source->n_channels && result == 0; i++) {
        const struct config_channel *channel = &source->channels[i];
        struct class class = class_of(channel);
        add_class(config->index, &class);
        struct key key = channel_key(&class, channel->decoder, channel->id, &channel->outer.net);
        result = add_key(config, &key, number, "channel", &channel->place, err);
    }
    for (size_t i = 0; i < source->n_addresses && result == 0; i++) {
        struct key key = address_key(source->network, &source->addresses[i].addr);
        result = add_key(config, &key, number, "address", &source->addresses[i].place, err);
    }
    for (size_t i = 0; i < source->n_macs && result == 0; i++) {
        struct key key = mac_key(source->network, source->macs[i].b);
        result = add_key(config, &key, number, "MAC address", &source->macs[i].place, err);
    }
    return result;
}

int config_index_make(struct config *config, struct err *err)
{
    size_t n = 8, n_keys = 0;
    for (size_t i = 0; i < config->n_sources; i++)
        n_keys += config->sources[i].n_channels + config->sources[i].n_addresses +
                  config->sources[i].n_macs;
    while (n < 2 * n_keys)
        n *= 2;
    config->index = calloc(1, sizeof *config->index + n * sizeof(struct entry));
    if (!config->index)
        return err_set(err, -ENOMEM, "no memory for the configuration");
    config->index->mask = n - 1;
    for (size_t i = 0; i < config->n_sources; i++) {
        int result = add_source(config, i, err);
        if (result < 0)
            return result;
    }
    qsort(config->index->classes, config->index->n_classes, sizeof(struct class), class_order);
    return 0;
}

void config_index_free(struct config_index *index)
{
    free(index);
}
