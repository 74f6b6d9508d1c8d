/* Where packets come from: the short spelling of a listener, its keys, and what encapsulations are
 * called. */
#include <errno.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "base/options.h"
#include "sensor/config_parts.h"

#define DEFAULT_BUFFER (32u << 20)
#define DEFAULT_RING   (64u << 20)

/* Encapsulations that are no decoder's, or have another name there. */
static const struct {
    const char *name;
    enum config_wrap_kind kind;
} plain_wraps[] = {
    {"auto", CONFIG_WRAP_AUTO},
    {"none", CONFIG_WRAP_NONE},
    {"raw", CONFIG_WRAP_RAW},
    {NULL, CONFIG_WRAP_DEFAULT},
};

static const struct tunnel_decoder *layer_by_name(const char *name, size_t len)
{
    static const struct {
        const char *name;
        const struct tunnel_decoder *decoder;
    } others[] = {
        {"gre-in-udp", &tunnel_gre_udp},
        {"erspan", &tunnel_gre}, /* which gives to ERSPAN of whatever type */
        {NULL, NULL},
    };
    for (size_t i = 0; others[i].name; i++)
        if (str_eq_nocase(str_make(name, len), str_c(others[i].name)))
            return others[i].decoder;
    return tunnel_by_name(name, len);
}

static int unknown_wrap(const char *name, size_t len, struct err *err)
{
    char asked[64], end[NEAREST_TEXT_MAX];
    (void)snprintf(asked, sizeof asked, "%.*s", len < sizeof asked ? (int)len : 60, name);
    struct nearest nearest = nearest_begin(asked);
    for (size_t i = 0; tunnel_decoders[i]; i++)
        if (tunnel_decoders[i]->is_mirror)
            nearest_try(&nearest, tunnel_decoders[i]->name);
    for (size_t i = 0; plain_wraps[i].name; i++)
        nearest_try(&nearest, plain_wraps[i].name);
    nearest_try(&nearest, "gre-in-udp");
    nearest_try(&nearest, "geneve+vxlan");
    return err_set(err, -EINVAL, "unknown encapsulation '%s'%s", asked,
                   nearest_text(&nearest, end));
}

int config_parse_wrap(const char *text, struct config_wrap *out, struct err *err)
{
    for (size_t i = 0; plain_wraps[i].name; i++) {
        if (strcmp(plain_wraps[i].name, text) == 0) {
            *out = (struct config_wrap){.kind = plain_wraps[i].kind};
            return 0;
        }
    }
    struct config_wrap wrap = {.kind = CONFIG_WRAP_LAYERS};
    for (const char *p = text;;) {
        size_t len = strcspn(p, "+");
        const struct tunnel_decoder *layer = layer_by_name(p, len);
        if (!layer)
            return unknown_wrap(p, len, err);
        if (wrap.n_layers == STACK_MIRROR_MAX)
            return err_set(err, -EINVAL, "more than %d layers", STACK_MIRROR_MAX);
        wrap.layers[wrap.n_layers++] = layer;
        p += len;
        if (!*p++)
            break;
    }
    *out = wrap;
    return 0;
}

static int take_wrap(void *at, const char *text, struct err *err)
{
    return config_parse_wrap(text, at, err);
}

static bool put_wrap(const void *at, FILE *out)
{
    const struct config_wrap *wrap = at;
    for (size_t i = 0; plain_wraps[i].name; i++)
        if ((int)plain_wraps[i].kind == wrap->kind)
            fputs(plain_wraps[i].name, out);
    for (uint8_t i = 0; i < wrap->n_layers; i++)
        fprintf(out, "%s%s", i ? "+" : "", wrap->layers[i]->name);
    return wrap->kind != CONFIG_WRAP_DEFAULT;
}

const struct yaml_form config_form_wrap = {take_wrap, put_wrap, NULL};

/* A listener is of one kind only. */
static int set_kind(struct config_listener *l, enum config_listener_kind kind, struct err *err)
{
    if (l->kind != CONFIG_LISTEN_NOTHING)
        return err_set(err, -EINVAL,
                       "a listener is one of udp, interface, gre and pcap-over-ip, not two");
    l->kind = (int)kind;
    return 0;
}

static int take_udp(void *at, const char *text, struct err *err)
{
    struct config_listener *l = at;
    int result = set_kind(l, CONFIG_LISTEN_UDP, err);
    return result < 0 ? result : config_parse_endpoint(text, false, &l->addr, &l->port, err);
}

static bool put_udp(const void *at, FILE *out)
{
    const struct config_listener *l = at;
    if (l->kind != CONFIG_LISTEN_UDP)
        return false;
    fputc('"', out);
    config_put_endpoint(&l->addr, l->port, out);
    fputc('"', out);
    return true;
}

const struct yaml_form config_form_udp = {take_udp, put_udp, NULL};

static int take_gre(void *at, const char *text, struct err *err)
{
    struct config_listener *l = at;
    int result = set_kind(l, CONFIG_LISTEN_GRE, err);
    if (result < 0 || strcmp(text, "any") == 0)
        return result;
    if (!addr_parse(text, &l->addr))
        return err_set(err, -EINVAL, "'%s' is neither an IP address of this host nor 'any'", text);
    return 0;
}

static bool put_gre(const void *at, FILE *out)
{
    static const struct addr any;
    const struct config_listener *l = at;
    if (l->kind != CONFIG_LISTEN_GRE)
        return false;
    if (addr_eq(&l->addr, &any))
        fputs("any", out);
    else
        (void)config_form_address.put(&(struct config_address){.addr = l->addr}, out);
    return true;
}

const struct yaml_form config_form_gre = {take_gre, put_gre, NULL};

static int take_interface(void *at, const char *text, struct err *err)
{
    struct config_listener *l = at;
    int result = set_kind(l, CONFIG_LISTEN_INTERFACE, err);
    if (result < 0 || config_parse_interface(text, l->interface))
        return result;
    return err_set(err, -EINVAL, "'%s' is not the name of an interface (1 to %d characters)", text,
                   CONFIG_INTERFACE_MAX - 1);
}

static bool put_interface(const void *at, FILE *out)
{
    const struct config_listener *l = at;
    if (l->kind != CONFIG_LISTEN_INTERFACE)
        return false;
    yaml_put_text(l->interface, out);
    return true;
}

const struct yaml_form config_form_interface = {take_interface, put_interface, NULL};

/* "HOST:PORT"; an IPv6 address in brackets. */
static int take_over_ip(void *at, const char *text, struct err *err)
{
    struct config_listener *l = at;
    uint64_t port;
    int result = set_kind(l, CONFIG_LISTEN_PCAP_OVER_IP, err);
    if (result < 0)
        return result;
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len == 0 || len > 253 || !options_number(colon + 1, 65535, &port) || port == 0 ||
        strcspn(text, " \t\n\r/") != strlen(text))
        return err_set(err, -EINVAL, "'%s' is not HOST:PORT", text);
    if (text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return err_set(err, -EINVAL, "'%s': an IPv6 address stands in [ ] before its port", text);
    }
    l->host = strndup(text, len);
    l->port = (uint16_t)port;
    return l->host ? 0 : err_set(err, -ENOMEM, "no memory for the configuration");
}

static bool put_over_ip(const void *at, FILE *out)
{
    const struct config_listener *l = at;
    if (l->kind == CONFIG_LISTEN_STDIN) {
        fputs("\"-\"", out);
        return true;
    }
    if (l->kind != CONFIG_LISTEN_PCAP_OVER_IP)
        return false;
    fprintf(out, strchr(l->host, ':') ? "\"[%s]:%u\"" : "\"%s:%u\"", l->host, l->port);
    return true;
}

static int take_over_ip_or_stdin(void *at, const char *text, struct err *err)
{
    return strcmp(text, "-") == 0 ? set_kind(at, CONFIG_LISTEN_STDIN, err)
                                  : take_over_ip(at, text, err);
}

const struct yaml_form config_form_over_ip = {take_over_ip_or_stdin, put_over_ip, NULL};

static int take_buffer(void *at, const char *text, struct err *err)
{
    uint64_t size;
    if (!options_size(text, &size) || size < 65536 || size > 1ull << 34)
        return err_set(err, -EINVAL, "'%s' is not a size from 64K to 16G", text);
    *(uint64_t *)at = size;
    return 0;
}

static bool put_buffer(const void *at, FILE *out)
{
    uint64_t size = *(const uint64_t *)at;
    if (size)
        yaml_put_size(size, out);
    return size != 0;
}

const struct yaml_form config_form_buffer = {take_buffer, put_buffer, NULL};

/* By the port, where it is one of a mirror's. */
static const struct tunnel_decoder *decoder_of_port(uint16_t port)
{
    for (size_t i = 0; tunnel_decoders[i]; i++) {
        const struct tunnel_decoder *d = tunnel_decoders[i];
        for (size_t p = 0; d->is_mirror && p < sizeof d->udp_ports / sizeof d->udp_ports[0]; p++)
            if (port != 0 && d->udp_ports[p] == port)
                return d;
    }
    return NULL;
}

static int finish_udp(struct config_listener *l, struct err *err)
{
    if (l->wrap.kind == CONFIG_WRAP_DEFAULT) {
        const struct tunnel_decoder *decoder = decoder_of_port(l->port);
        if (!decoder)
            return err_set(err, -EINVAL,
                           "port %u does not say what comes; add 'encapsulation: vxlan' or another",
                           l->port);
        l->wrap = (struct config_wrap){CONFIG_WRAP_LAYERS, 1, {decoder}};
    }
    if (l->wrap.kind == CONFIG_WRAP_LAYERS && l->wrap.layers[0]->udp_ports[0] == 0)
        return err_set(err, -EINVAL, "%s does not come in UDP%s", l->wrap.layers[0]->name,
                       l->wrap.layers[0] == &tunnel_gre ? "; gre-in-udp does" : "");
    if (l->wrap.kind == CONFIG_WRAP_NONE || l->wrap.kind == CONFIG_WRAP_AUTO)
        return err_set(err, -EINVAL,
                       "a UDP port needs its encapsulation by name; raw is a frame and no more");
    return 0;
}

int config_listener_finish(void *listener, struct err *err)
{
    struct config_listener *l = listener;
    bool is_interface = l->kind == CONFIG_LISTEN_INTERFACE;
    bool is_socket = l->kind == CONFIG_LISTEN_UDP || l->kind == CONFIG_LISTEN_GRE;
    if (l->kind == CONFIG_LISTEN_NOTHING)
        return err_set(err, -EINVAL,
                       "a listener has one of the keys udp, interface, gre and pcap-over-ip");
    if (l->ring && !is_interface)
        return err_set(err, -EINVAL, "'ring' is for interfaces; %s",
                       is_socket ? "the key here is 'buffer'" : "here it means nothing");
    if (l->filter && !is_interface)
        return err_set(err, -EINVAL, "'filter' of a listener is for interfaces");
    if (l->buffer && !is_socket)
        return err_set(err, -EINVAL, "'buffer' is for udp and gre; %s",
                       is_interface ? "the key here is 'ring'" : "here it means nothing");
    if (l->wrap.kind == CONFIG_WRAP_RAW && l->kind != CONFIG_LISTEN_UDP)
        return err_set(err, -EINVAL, "'raw' is for UDP; plain traffic is 'none'");
    if (l->kind == CONFIG_LISTEN_GRE) {
        if (l->wrap.kind == CONFIG_WRAP_DEFAULT)
            l->wrap = (struct config_wrap){CONFIG_WRAP_LAYERS, 1, {&tunnel_gre}};
        else if (l->wrap.kind != CONFIG_WRAP_LAYERS || l->wrap.layers[0]->ip_protos[0] != 47)
            return err_set(err, -EINVAL, "here the encapsulation is gre, or begins with it");
    }
    if (is_socket && !l->buffer)
        l->buffer = DEFAULT_BUFFER;
    if (is_interface && !l->ring)
        l->ring = DEFAULT_RING;
    if (l->kind == CONFIG_LISTEN_UDP)
        return finish_udp(l, err);
    if (l->wrap.kind == CONFIG_WRAP_DEFAULT)
        l->wrap.kind = CONFIG_WRAP_AUTO;
    return 0;
}

/* "udp::ADDR:PORT[:KIND]": the address in brackets where it has colons. */
static int take_url(struct config_listener *l, const char *text, struct err *err)
{
    char copy[ADDR_TEXT_MAX + 8];
    const char *port = text[0] == '[' ? strchr(text, ']') : text;
    port = port ? strchr(port, ':') : NULL;
    size_t len = port ? (size_t)(port - text) + 1 + strcspn(port + 1, ":") : strlen(text);
    if (!port || len >= sizeof copy)
        return err_set(err, -EINVAL, "'udp::%s' is not udp::ADDRESS:PORT:ENCAPSULATION", text);
    memcpy(copy, text, len);
    copy[len] = '\0';
    int result = take_udp(l, copy, err);
    if (result < 0 || text[len] == '\0')
        return result;
    return config_parse_wrap(text + len + 1, &l->wrap, err);
}

/* "ENCAPSULATION[:PORT]". */
static int take_short(struct config_listener *l, const char *text, struct err *err)
{
    char name[64];
    size_t len = strcspn(text, ":");
    uint64_t port = 0;
    if (len >= sizeof name)
        return unknown_wrap(text, len, err);
    memcpy(name, text, len);
    name[len] = '\0';
    int result = config_parse_wrap(name, &l->wrap, err);
    if (result < 0)
        return result;
    if (text[len] && (!options_number(text + len + 1, 65535, &port) || port == 0))
        return err_set(err, -EINVAL, "'%s' is not a port from 1 to 65535", text + len + 1);
    if (!text[len] && l->wrap.n_layers > 0)
        port = l->wrap.layers[0]->udp_ports[0];
    if (port == 0)
        return err_set(err, -EINVAL, "'%s' needs a port: %s:PORT", name, name);
    l->port = (uint16_t)port;
    return set_kind(l, CONFIG_LISTEN_UDP, err);
}

static int take_listener(void *at, const char *text, struct err *err)
{
    struct config_listener *l = at;
    struct str s = str_c(text);
    if (str_eq(s, STR("-")))
        return set_kind(l, CONFIG_LISTEN_STDIN, err);
    if (str_starts(s, STR("udp::")))
        return take_url(l, text + 5, err);
    if (str_starts(s, STR("udp:")))
        return take_udp(l, text + 4, err);
    if (str_starts(s, STR("pcap-over-ip:")))
        return take_over_ip(l, text + 13, err);
    if (str_starts(s, STR("interface:")))
        return take_interface(l, text + 10, err);
    if (str_eq(s, STR("gre")) || str_eq(s, STR("erspan")))
        return set_kind(l, CONFIG_LISTEN_GRE, err);
    if (str_starts(s, STR("gre:")))
        return take_gre(l, text + 4, err);
    return take_short(l, text, err);
}

static void drop_listener(void *at)
{
    struct config_listener *l = at;
    free(l->host);
    l->host = NULL;
}

const struct yaml_form config_form_listener = {take_listener, NULL, drop_listener};

int config_parse_listener(const char *text, struct config_listener *out, struct err *err)
{
    struct config_listener l = {.kind = CONFIG_LISTEN_NOTHING};
    int result = take_listener(&l, text, err);
    if (result == 0)
        result = config_listener_finish(&l, err);
    if (result == 0)
        *out = l;
    else {
        config_listener_done(&l);
        err_wrap(err, "listener '%s'", text);
    }
    return result;
}

void config_listener_done(struct config_listener *listener)
{
    drop_listener(listener);
    free(listener->filter);
    listener->filter = NULL;
}
