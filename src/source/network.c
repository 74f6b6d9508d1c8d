/* Networks: see network.h. */
#include "source/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/options.h"
#include "tunnel/tunnel.h"

#define MAX_NETWORKS  1024
#define MAX_SELECTORS 8192

struct network {
    char name[NETWORK_NAME_MAX];
    char uuid[NETWORK_UUID_LEN + 1];
};

struct selector {
    const struct tunnel_decoder *decoder; /* NULL: any */
    bool has_id, has_prefix;
    uint32_t id;
    struct addr net;
    uint8_t bits; /* of the prefix, of 128 */
    uint16_t network;
};

struct network_list {
    uint16_t n_networks;
    uint16_t n_selectors;
    struct network networks[MAX_NETWORKS];
    struct selector selectors[MAX_SELECTORS];
};

static void set_uuid(struct network *network)
{
    XXH128_hash_t h = XXH3_128bits(network->name, strlen(network->name));
    (void)snprintf(network->uuid, sizeof network->uuid, "%08x-%04x-8%03x-%04x-%012llx",
                   (unsigned)(h.high64 >> 32), (unsigned)(h.high64 >> 16 & 0xffff),
                   (unsigned)(h.high64 & 0xfff), (unsigned)(h.low64 >> 48 & 0x3fff) | 0x8000,
                   (unsigned long long)(h.low64 & 0xffffffffffffull));
}

static void add_network(struct network_list *list, const char *name, size_t len)
{
    struct network *network = &list->networks[list->n_networks++];
    memcpy(network->name, name, len);
    network->name[len] = '\0';
    set_uuid(network);
}

struct network_list *network_list_new(void)
{
    struct network_list *list = calloc(1, sizeof *list);
    if (list)
        add_network(list, "default", 7);
    return list;
}

void network_list_free(struct network_list *list)
{
    free(list);
}

static int find_or_add(struct network_list *list, const char *name, size_t len, struct err *err)
{
    if (len == 0 || len >= NETWORK_NAME_MAX)
        return err_set(err, -EINVAL, "a network's name has 1 to %d characters",
                       NETWORK_NAME_MAX - 1);
    for (int i = 0; i < list->n_networks; i++)
        if (strlen(list->networks[i].name) == len && memcmp(list->networks[i].name, name, len) == 0)
            return i;
    if (list->n_networks == MAX_NETWORKS)
        return err_set(err, -EINVAL, "more than %d networks", MAX_NETWORKS);
    add_network(list, name, len);
    return list->n_networks - 1;
}

int network_list_number(struct network_list *list, const char *name, struct err *err)
{
    return find_or_add(list, name, strlen(name), err);
}

static bool parse_prefix(char *text, struct selector *out)
{
    char *slash = strchr(text, '/');
    uint64_t bits = 128;
    if (slash)
        *slash = '\0';
    if (!addr_parse(text, &out->net))
        return false;
    bool v4 = addr_is_v4(&out->net);
    if (slash && (!options_number(slash + 1, v4 ? 32 : 128, &bits)))
        return false;
    out->bits = (uint8_t)(slash && v4 ? bits + 96 : bits);
    out->has_prefix = true;
    return true;
}

static bool parse_selector(char *text, struct selector *out)
{
    uint64_t id;
    char *colon = strchr(text, ':');
    const struct tunnel_decoder *decoder =
        colon ? tunnel_by_name(text, (size_t)(colon - text)) : NULL;
    if (decoder || !strpbrk(text, ".:")) {
        if (!options_number(decoder ? colon + 1 : text, UINT32_MAX, &id))
            return false;
        out->decoder = decoder;
        out->has_id = true;
        out->id = (uint32_t)id;
        return true;
    }
    return parse_prefix(text, out);
}

int network_list_add(struct network_list *list, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return err_set(err, -EINVAL, "network '%s': is not NAME=SELECTOR[,SELECTOR…]", text);
    int number = find_or_add(list, text, (size_t)(equals - text), err);
    if (number < 0)
        return number;
    for (const char *p = equals + 1;;) {
        char one[80];
        size_t len = strcspn(p, ",");
        struct selector selector = {.network = (uint16_t)number};
        if (len >= sizeof one || len == 0)
            return err_set(err, -EINVAL, "network '%s': an empty or too long selector", text);
        memcpy(one, p, len);
        one[len] = '\0';
        if (!parse_selector(one, &selector))
            return err_set(
                err, -EINVAL,
                "network '%s': '%.*s' is neither KIND:ID, nor an ID, nor an outer address", text,
                (int)len, p);
        if (list->n_selectors == MAX_SELECTORS)
            return err_set(err, -EINVAL, "more than %d selectors of networks", MAX_SELECTORS);
        list->selectors[list->n_selectors++] = selector;
        p += len;
        if (!*p++)
            return 0;
    }
}

static bool in_prefix(const struct addr *a, const struct selector *s)
{
    size_t whole = s->bits / 8;
    if (memcmp(a->b, s->net.b, whole) != 0)
        return false;
    unsigned rest = s->bits % 8;
    return rest == 0 || (a->b[whole] ^ s->net.b[whole]) >> (8 - rest) == 0;
}

uint16_t network_of(const struct network_list *list, const struct tunnel_decoder *decoder,
                    const struct addr *outer, bool has_id, uint32_t id)
{
    for (unsigned i = 0; list && i < list->n_selectors; i++) {
        const struct selector *s = &list->selectors[i];
        if (s->has_id ? has_id && s->id == id && (!s->decoder || s->decoder == decoder)
                      : in_prefix(outer, s))
            return s->network;
    }
    return 0;
}

const char *network_name(const struct network_list *list, uint16_t number)
{
    return list->networks[number].name;
}

const char *network_uuid(const struct network_list *list, uint16_t number)
{
    static const char nobody[NETWORK_UUID_LEN + 1] = "00000000-0000-8000-8000-000000000000";
    return list ? list->networks[number].uuid : nobody;
}
