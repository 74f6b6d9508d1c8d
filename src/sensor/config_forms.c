/* Values of the configuration that are neither numbers nor words: addresses, channels, endpoints.
 * Each is taken from a text, and written back as one. */
#include <errno.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "base/options.h"
#include "sensor/config_parts.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static void put_addr(const struct addr *addr, FILE *out)
{
    char text[ADDR_TEXT_MAX];
    fprintf(out, "%.*s", (int)addr_format(addr, text), text);
}

static int take_address(void *at, const char *text, struct err *err)
{
    struct config_address *address = at;
    if (addr_parse(text, &address->addr))
        return 0;
    return err_set(err, -EINVAL, "'%s' is not an IP address", text);
}

static bool put_address(const void *at, FILE *out)
{
    const struct config_address *address = at;
    /* A colon at the beginning or the end would mean something to YAML. */
    const char *quote = addr_is_v4(&address->addr) ? "" : "\"";
    fputs(quote, out);
    put_addr(&address->addr, out);
    fputs(quote, out);
    return true;
}

const struct yaml_form config_form_address = {take_address, put_address, NULL};

static bool hex_digit(char c, uint8_t *out)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, str_lower_char(c)) : NULL;
    if (at)
        *out = (uint8_t)(at - digits);
    return at != NULL;
}

static int take_mac(void *at, const char *text, struct err *err)
{
    struct config_mac *mac = at;
    uint8_t bytes[6], high = 0, low = 0;
    const char *p = text;
    for (int i = 0; i < 6; i++) {
        if (!hex_digit(p[0], &high) || !hex_digit(p[1], &low) ||
            (i < 5 ? p[2] != ':' && p[2] != '-' : p[2] != '\0'))
            return err_set(err, -EINVAL, "'%s' is not a MAC address such as 02:00:00:00:00:01",
                           text);
        bytes[i] = (uint8_t)(high << 4 | low);
        p += 3;
    }
    if (bytes[0] & 1)
        return err_set(err, -EINVAL, "%s is an address of a group, not of a machine", text);
    memcpy(mac->b, bytes, 6);
    return 0;
}

static bool put_mac(const void *at, FILE *out)
{
    const uint8_t *b = ((const struct config_mac *)at)->b;
    fprintf(out, "\"%02x:%02x:%02x:%02x:%02x:%02x\"", b[0], b[1], b[2], b[3], b[4], b[5]);
    return true;
}

const struct yaml_form config_form_mac = {take_mac, put_mac, NULL};

bool config_prefix_has(const struct config_prefix *prefix, const struct addr *addr)
{
    size_t whole = prefix->bits / 8;
    unsigned rest = prefix->bits % 8;
    return memcmp(prefix->net.b, addr->b, whole) == 0 &&
           (rest == 0 || (prefix->net.b[whole] ^ addr->b[whole]) >> (8 - rest) == 0);
}

/* Whether the text is an address or a prefix at all; `bad_bits` is one whose address goes on behind
 * the prefix. */
static bool parse_prefix(const char *text, struct config_prefix *out, bool *bad_bits)
{
    char copy[ADDR_TEXT_MAX + 8];
    size_t len = strlen(text);
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len + 1);
    char *slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    struct config_prefix prefix = {.bits = 128};
    if (!addr_parse(copy, &prefix.net))
        return false;
    bool v4 = strchr(copy, ':') == NULL;
    if (slash) {
        uint64_t bits;
        if (!options_number(slash + 1, v4 ? 32 : 128, &bits))
            return false;
        prefix.bits = (uint8_t)(v4 ? bits + 96 : bits);
    }
    struct addr masked = prefix.net;
    for (unsigned i = prefix.bits; i < 128; i++)
        masked.b[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    *bad_bits = !addr_eq(&masked, &prefix.net);
    *out = prefix;
    out->net = masked;
    return true;
}

static void put_prefix_text(const struct config_prefix *prefix, FILE *out)
{
    put_addr(&prefix->net, out);
    if (prefix->bits == 128)
        return;
    fprintf(out, "/%u", addr_is_v4(&prefix->net) ? prefix->bits - 96u : prefix->bits);
}

static int refuse_bits(const char *text, const struct config_prefix *prefix, struct err *err)
{
    char addr[ADDR_TEXT_MAX];
    int len = (int)addr_format(&prefix->net, addr);
    return err_set(err, -EINVAL, "'%s' is an address in a prefix; the prefix is %.*s%s", text, len,
                   addr, strchr(text, '/'));
}

static int take_prefix(void *at, const char *text, struct err *err)
{
    struct config_prefix prefix;
    bool bad_bits;
    if (!parse_prefix(text, &prefix, &bad_bits))
        return err_set(err, -EINVAL, "'%s' is not an address or a prefix such as 10.0.0.0/8", text);
    if (bad_bits)
        return refuse_bits(text, &prefix, err);
    *(struct config_prefix *)at = prefix;
    return 0;
}

static bool put_prefix(const void *at, FILE *out)
{
    fputc('"', out);
    put_prefix_text(at, out);
    fputc('"', out);
    return true;
}

const struct yaml_form config_form_prefix = {take_prefix, put_prefix, NULL};

/* The largest id that the field of the wire holds. */
static uint32_t max_id(const struct config_channel *channel)
{
    static const struct {
        const struct tunnel_decoder *decoder;
        uint32_t max;
    } limits[] = {
        {&tunnel_vxlan, 0xffffff}, {&tunnel_vxlan_gpe, 0xffffff}, {&tunnel_geneve, 0xffffff},
        {&tunnel_nvgre, 0xffffff}, {&tunnel_erspan2, 1023},       {&tunnel_erspan3, 1023},
    };
    for (size_t i = 0; i < N_OF(limits); i++)
        if (limits[i].decoder == channel->decoder)
            return limits[i].max;
    return channel->erspan ? 1023 : UINT32_MAX;
}

static int take_kind(const char *text, size_t len, struct config_channel *out, struct err *err)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : 31, text);
    out->decoder = tunnel_by_name(text, len);
    out->erspan = strcmp(name, "erspan") == 0;
    if (strcmp(name, "gre-in-udp") == 0)
        out->decoder = &tunnel_gre_udp;
    if (out->decoder || out->erspan || strcmp(name, "any") == 0)
        return 0;
    struct nearest nearest = nearest_begin(name);
    char end[NEAREST_TEXT_MAX];
    for (size_t i = 0; tunnel_decoders[i]; i++)
        nearest_try(&nearest, tunnel_decoders[i]->name);
    nearest_try(&nearest, "erspan");
    nearest_try(&nearest, "any");
    return err_set(err, -EINVAL, "unknown encapsulation '%s'%s", name, nearest_text(&nearest, end));
}

/* "KIND[:ID]" or "ID". */
static int take_kind_and_id(char *text, struct config_channel *out, struct err *err)
{
    uint64_t id;
    if (options_number(text, UINT32_MAX, &id)) {
        out->has_id = true;
        out->id = (uint32_t)id;
        return 0;
    }
    char *colon = strchr(text, ':');
    int result = take_kind(text, colon ? (size_t)(colon - text) : strlen(text), out, err);
    if (result < 0 || !colon)
        return result;
    if (!options_number(colon + 1, max_id(out), &id))
        return err_set(err, -EINVAL, "'%s' is not an id from 0 to %u", colon + 1, max_id(out));
    out->has_id = true;
    out->id = (uint32_t)id;
    return 0;
}

int config_parse_channel(const char *text, struct config_channel *out, struct err *err)
{
    struct config_channel channel = {.place = out->place};
    char copy[128];
    bool bad_bits = false;
    size_t len = strlen(text);
    if (len == 0 || len >= sizeof copy)
        return err_set(err, -EINVAL, "a channel is KIND[:ID][@OUTER[/BITS]]");
    memcpy(copy, text, len + 1);
    char *at = strchr(copy, '@');
    const char *outer = at ? at + 1 : copy;
    if (at)
        *at = '\0';
    if (parse_prefix(outer, &channel.outer, &bad_bits)) {
        if (bad_bits)
            return refuse_bits(outer, &channel.outer, err);
        channel.has_outer = true;
    } else if (at) {
        return err_set(err, -EINVAL, "'%s' is not an outer address or prefix", outer);
    }
    if (at || !channel.has_outer) {
        int result = take_kind_and_id(copy, &channel, err);
        if (result < 0)
            return result;
    }
    if (!channel.decoder && !channel.erspan && !channel.has_id && !channel.has_outer)
        return err_set(err, -EINVAL, "'any' needs an id or an outer address");
    *out = channel;
    return 0;
}

void config_put_channel(const struct config_channel *channel, FILE *out)
{
    if (channel->decoder || channel->erspan || channel->has_id) {
        fputs(channel->decoder ? channel->decoder->name : channel->erspan ? "erspan" : "any", out);
        if (channel->has_id)
            fprintf(out, ":%u", channel->id);
        if (channel->has_outer)
            fputc('@', out);
    }
    if (channel->has_outer)
        put_prefix_text(&channel->outer, out);
}

static int take_channel(void *at, const char *text, struct err *err)
{
    return config_parse_channel(text, at, err);
}

static bool put_channel(const void *at, FILE *out)
{
    fputc('"', out);
    config_put_channel(at, out);
    fputc('"', out);
    return true;
}

const struct yaml_form config_form_channel = {take_channel, put_channel, NULL};

int config_parse_endpoint(const char *text, bool needs_addr, struct addr *addr, uint16_t *port,
                          struct err *err)
{
    char copy[ADDR_TEXT_MAX + 8];
    size_t len = strlen(text);
    uint64_t number = *port;
    if (len >= sizeof copy)
        return err_set(err, -EINVAL, "'%s' is not ADDRESS:PORT", text);
    memcpy(copy, text, len + 1);
    if (!needs_addr && options_number(copy, 65535, &number)) {
        memset(addr, 0, sizeof *addr);
    } else {
        char *host = copy, *rest;
        if (copy[0] == '[') {
            host = copy + 1;
            rest = strchr(host, ']');
            if (!rest)
                return err_set(err, -EINVAL, "'%s' lacks the ] of its address", text);
            *rest++ = '\0';
        } else {
            rest = strchr(host, ':');
            /* An IPv6 address without brackets and port. */
            if (rest && strchr(rest + 1, ':'))
                rest = host + len;
            rest = rest ? rest : host + len;
        }
        char mark = *rest;
        *rest = '\0';
        if (!addr_parse(host, addr))
            return err_set(err, -EINVAL, "'%s' is not an IP address", host);
        if (mark && (mark != ':' || !options_number(rest + 1, 65535, &number)))
            return err_set(err, -EINVAL, "'%s' is not ADDRESS:PORT", text);
    }
    if (number == 0)
        return err_set(err, -EINVAL, "'%s' lacks the port, from 1 to 65535", text);
    *port = (uint16_t)number;
    return 0;
}

void config_put_endpoint(const struct addr *addr, uint16_t port, FILE *out)
{
    bool v4 = addr_is_v4(addr);
    fputs(v4 ? "" : "[", out);
    put_addr(addr, out);
    fprintf(out, v4 ? ":%u" : "]:%u", port);
}

static int take_endpoint(void *at, const char *text, struct err *err)
{
    struct config_endpoint endpoint = {.on = true};
    if (strcmp(text, "off") == 0) {
        *(struct config_endpoint *)at = (struct config_endpoint){.on = false};
        return 0;
    }
    int result = config_parse_endpoint(text, true, &endpoint.addr, &endpoint.port, err);
    if (result == 0)
        *(struct config_endpoint *)at = endpoint;
    return result;
}

static bool put_endpoint(const void *at, FILE *out)
{
    const struct config_endpoint *endpoint = at;
    if (!endpoint->on) {
        fputs("off", out);
        return true;
    }
    fputc('"', out);
    config_put_endpoint(&endpoint->addr, endpoint->port, out);
    fputc('"', out);
    return true;
}

const struct yaml_form config_form_endpoint = {take_endpoint, put_endpoint, NULL};

static int take_forward(void *at, const char *text, struct err *err)
{
    struct config_forward forward = {.decoder = &tunnel_vxlan, .port = tunnel_vxlan.udp_ports[0]};
    if (!str_starts(str_c(text), STR("vxlan:")))
        return err_set(err, -EINVAL, "'%s' is not vxlan:ADDRESS[:PORT]", text);
    int result = config_parse_endpoint(text + 6, true, &forward.addr, &forward.port, err);
    if (result == 0)
        *(struct config_forward *)at = forward;
    return result;
}

static bool put_forward(const void *at, FILE *out)
{
    const struct config_forward *forward = at;
    fprintf(out, "\"%s:", forward->decoder->name);
    config_put_endpoint(&forward->addr, forward->port, out);
    fputc('"', out);
    return true;
}

const struct yaml_form config_form_forward = {take_forward, put_forward, NULL};

bool config_parse_interface(const char *text, char out[CONFIG_INTERFACE_MAX])
{
    size_t len = strlen(text);
    if (len == 0 || len >= CONFIG_INTERFACE_MAX || strcspn(text, "/: \t\n\r") != len ||
        strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

static int take_tap(void *at, const char *text, struct err *err)
{
    if (config_parse_interface(text, ((struct config_tap *)at)->name))
        return 0;
    return err_set(err, -EINVAL, "'%s' is not the name of an interface (1 to %d characters)", text,
                   CONFIG_INTERFACE_MAX - 1);
}

static bool put_tap(const void *at, FILE *out)
{
    yaml_put_text(((const struct config_tap *)at)->name, out);
    return true;
}

const struct yaml_form config_form_tap = {take_tap, put_tap, NULL};

static int take_lost(void *at, const char *text, struct err *err)
{
    struct config_lost *lost = at;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return err_set(err, -EINVAL, "'%s' is no number of packets", text);
    *lost = (struct config_lost){.has = true, .n = n};
    return 0;
}

static bool put_lost(const void *at, FILE *out)
{
    const struct config_lost *lost = at;
    if (lost->has)
        fprintf(out, "%llu", (unsigned long long)lost->n);
    return lost->has;
}

const struct yaml_form config_form_lost = {take_lost, put_lost, NULL};
