/* Which packets are mirrored: see exclusion.h. libpcap compiles the conditions; the blocks that it
 * gives are put behind each other here, each once for every place at which an IP header may begin
 * behind VLAN tags. */
#include "linux/exclusion.h"

#include <errno.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define LINES_MAX 4096 /* what the kernel takes */
#define MAC_SIZE  14
#define TAG_SIZE  4
#define N_VIEWS   3 /* no tag in the bytes, one, two */

/* Of the kernel's linux/filter.h: what it knows of a frame beside its bytes. */
#define META_TAG      (0xfffff000u + 44)
#define META_HAS_TAG  (0xfffff000u + 48)
#define META_TAG_TYPE (0xfffff000u + 60)
#define META_TYPE     (0xfffff000u + 4)
#define TYPE_LOOPBACK 5

bool linux_exclusion_eq(const struct linux_exclusion *a, const struct linux_exclusion *b)
{
    return addr_eq(&a->collector, &b->collector) && a->protocol == b->protocol &&
           a->port == b->port;
}

void linux_exclusion_put(const struct linux_exclusion *exclusion, char out[LINUX_EXCLUSION_TEXT])
{
    char address[ADDR_TEXT_MAX];
    int len = (int)addr_format(&exclusion->collector, address);
    if (exclusion->protocol == IPPROTO_UDP)
        (void)snprintf(out, LINUX_EXCLUSION_TEXT, "udp %.*s %u", len, address, exclusion->port);
    else
        (void)snprintf(out, LINUX_EXCLUSION_TEXT, "gre %.*s", len, address);
}

void linux_bpf_done(struct linux_bpf *bpf)
{
    free(bpf->at);
    *bpf = (struct linux_bpf){0};
}

/* Where a jump goes that is resolved at the end; all of them are BPF_JA, which reaches far. */
enum place {
    PLACE_NONE,
    PLACE_EXCLUDED, /* and one for each view */
    PLACE_USER = PLACE_EXCLUDED + N_VIEWS,
    PLACE_USER_TAGGED,
    PLACE_N,

    PLACE_YES, /* not jumped to: the program ends there */
    PLACE_NO
};

struct maker {
    struct linux_bpf_line *at;
    size_t n;
    uint8_t *places;        /* of the lines: where each jumps to */
    size_t starts[PLACE_N]; /* lines */
    bool is_full;
};

static void put(struct maker *m, unsigned code, uint32_t k, unsigned yes, unsigned no,
                enum place place)
{
    if (m->n == LINES_MAX) {
        m->is_full = true;
        return;
    }
    m->places[m->n] = (uint8_t)place;
    m->at[m->n++] = (struct linux_bpf_line){
        .code = (uint16_t)code, .yes = (uint8_t)yes, .no = (uint8_t)no, .k = k};
}

static void go(struct maker *m, enum place place)
{
    if (place > PLACE_N)
        put(m, BPF_RET | BPF_K, place == PLACE_YES ? 0xffffffff : 0, 0, 0, PLACE_NONE);
    else
        put(m, BPF_JMP | BPF_JA, 0, 0, 0, place);
}

static void here(struct maker *m, enum place place)
{
    m->starts[place] = m->n;
}

static void resolve(struct maker *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->places[i] != PLACE_NONE)
            m->at[i].k = (uint32_t)(m->starts[m->places[i]] - i - 1);
}

/* Moves what a load reads behind tags that are in the bytes. */
static void see_behind(struct linux_bpf_line *line, uint32_t tags_size)
{
    unsigned class = BPF_CLASS(line->code), mode = BPF_MODE(line->code);
    bool is_load = (class == BPF_LD && (mode == BPF_ABS || mode == BPF_IND)) ||
                   (class == BPF_LDX && mode == BPF_MSH);
    if (is_load && line->k >= MAC_SIZE - 2) /* the type too */
        line->k += tags_size;
}

/* Shows the tag that the kernel has taken out where it was. False: not all of it is read, or it is
 * read together with what is before or behind it. */
static bool see_tag(struct linux_bpf_line *line)
{
    static const unsigned sizes[] = {[BPF_W >> 3] = 4, [BPF_H >> 3] = 2, [BPF_B >> 3] = 1};
    unsigned class = BPF_CLASS(line->code), mode = BPF_MODE(line->code);
    bool is_load = (class == BPF_LD && (mode == BPF_ABS || mode == BPF_IND)) ||
                   (class == BPF_LDX && mode == BPF_MSH);
    if (!is_load)
        return true;
    unsigned size_code = BPF_SIZE(line->code) >> 3;
    if (size_code >= sizeof sizes / sizeof *sizes)
        return false;
    unsigned size = sizes[size_code];
    if (line->k >= MAC_SIZE - 2 + TAG_SIZE) {
        line->k -= TAG_SIZE;
        return true;
    }
    if (mode == BPF_ABS && size == 2 && (line->k == MAC_SIZE - 2 || line->k == MAC_SIZE)) {
        line->code = BPF_LD | BPF_W | BPF_ABS;
        line->k = line->k == MAC_SIZE ? META_TAG : META_TAG_TYPE;
        return true;
    }
    return mode == BPF_ABS && line->k + size <= MAC_SIZE - 2;
}

/* Adds a compiled block; it has as many lines, so that its own jumps stay right. */
static void put_block(struct maker *m, const struct bpf_program *block, uint32_t tags_size,
                      bool with_tag, enum place yes, enum place no)
{
    for (unsigned i = 0; i < block->bf_len; i++) {
        const struct bpf_insn *from = &block->bf_insns[i];
        struct linux_bpf_line line = {
            .code = from->code, .yes = from->jt, .no = from->jf, .k = from->k};
        if (BPF_CLASS(line.code) == BPF_RET) {
            go(m, line.k ? yes : no);
            continue;
        }
        see_behind(&line, tags_size);
        if (with_tag && !see_tag(&line)) {
            /* That part of the program is for frames without a tag, and is not come to. */
            line.code = BPF_CLASS(line.code) | BPF_IMM;
            line.k = 0;
        }
        put(m, line.code, line.k, line.yes, line.no, PLACE_NONE);
    }
}

static int compile(const char *expression, enum linux_packet packet, struct bpf_program *out,
                   struct err *err)
{
    pcap_t *pcap = pcap_open_dead(packet == LINUX_PACKET_IP ? DLT_RAW : DLT_EN10MB, 0x40000);
    int code = 0;
    if (!pcap)
        return err_set(err, -ENOMEM, "no memory for a filter");
    if (pcap_compile(pcap, out, expression, 1, PCAP_NETMASK_UNKNOWN) != 0)
        code = err_set(err, -EINVAL, "filter \"%.200s\": %s", expression, pcap_geterr(pcap));
    pcap_close(pcap);
    return code;
}

/* Errors of ICMP that quote a packet of the tunnel: its header, and where it has one its port. No
 * header has options. The length is asked first: reading behind the end of a packet would end the
 * program. */
static void describe_errors(const struct linux_exclusion *e, uint32_t start, struct text *out)
{
    const uint8_t *b = e->collector.b;
    bool v4 = addr_is_v4(&e->collector);
    if (v4)
        text_format(out,
                    "(len >= %u and ip[0] = 0x45 and ip[9] = 1 and ip[6:2] & 0x1fff = 0 and "
                    "(ip[20] = 3 or ip[20] = 11 or ip[20] = 12) and ip[37] = %u and ip[44:4] = "
                    "0x%02x%02x%02x%02x",
                    start + 52, e->protocol, b[12], b[13], b[14], b[15]);
    else
        text_format(out,
                    "(len >= %u and ip6[6] = 58 and ip6[40] >= 1 and ip6[40] <= 4 and ip6[54] = %u",
                    start + 92, e->protocol);
    for (unsigned i = 0; !v4 && i < 16; i += 4)
        text_format(out, " and ip6[%u:4] = 0x%02x%02x%02x%02x", 72 + i, b[i], b[i + 1], b[i + 2],
                    b[i + 3]);
    if (e->protocol == IPPROTO_UDP)
        text_format(out, " and %s = %u", v4 ? "ip[50:2]" : "ip6[90:2]", e->port);
    text_put(out, ")");
}

/* Packets of the tunnel; `start`: where the IP header is. */
static void describe_tunnel(const struct linux_exclusion *e, uint32_t start, struct text *out)
{
    char address[ADDR_TEXT_MAX];
    int len = (int)addr_format(&e->collector, address);
    bool v4 = addr_is_v4(&e->collector), is_udp = e->protocol == IPPROTO_UDP;
    unsigned head = v4 ? 20 : 40;
    text_format(out, "(len >= %u and %s dst %.*s and ", start + head, v4 ? "ip" : "ip6", len,
                address);
    if (v4 && is_udp)
        text_format(out, "ip[9] = 17 and (ip[6:2] & 0x1fff != 0 or udp dst port %u)) or ", e->port);
    else if (v4)
        text_format(out, "ip[9] = %u) or ", e->protocol);
    else if (is_udp)
        text_format(out,
                    "((ip6[6] = 17 and len >= %u and ip6[42:2] = %u) or (ip6[6] = 44 and len >= %u "
                    "and ip6[40] = 17 and (ip6[42:2] & 0xfff8 != 0 or (len >= %u and ip6[50:2] = "
                    "%u))))) or ",
                    start + 44, e->port, start + 48, start + 52, e->port);
    else
        text_format(out, "(ip6[6] = %u or (ip6[6] = 44 and len >= %u and ip6[40] = %u))) or ",
                    e->protocol, start + 48, e->protocol);
}

static int put_exclusions(struct maker *m, const struct linux_exclusion *exclusions, size_t n,
                          enum linux_packet packet, unsigned view, struct err *err)
{
    uint32_t tags_size = view * TAG_SIZE;
    uint32_t start = packet == LINUX_PACKET_IP ? 0 : MAC_SIZE + tags_size;
    struct bpf_program block;
    struct text text;
    text_init(&text, 65536);
    for (size_t i = 0; i < n; i++) {
        text_put(&text, i > 0 ? " or " : "");
        describe_tunnel(&exclusions[i], start, &text);
        describe_errors(&exclusions[i], start, &text);
    }
    int code = text.failed ? err_set(err, -ENOMEM, "no memory for a filter")
                           : compile(text.at, packet, &block, err);
    text_done(&text);
    if (code < 0)
        return code;
    here(m, (enum place)(PLACE_EXCLUDED + view));
    put_block(m, &block, tags_size, false, PLACE_NO, PLACE_USER);
    pcap_freecode(&block);
    return 0;
}

/* Goes to the view for the number of tags that are in the bytes. */
static void put_views(struct maker *m)
{
    static const uint32_t types[] = {0x8100, 0x88a8, 0x9100}; /* those libpcap knows as tags */
    for (unsigned view = 0; view < N_VIEWS; view++) {
        if (view + 1 < N_VIEWS) {
            put(m, BPF_LD | BPF_H | BPF_ABS, MAC_SIZE - 2 + view * TAG_SIZE, 0, 0, PLACE_NONE);
            for (unsigned i = 0; i < 3; i++) /* each passes over the others and the jump */
                put(m, BPF_JMP | BPF_JEQ | BPF_K, types[i], 3 - i, 0, PLACE_NONE);
        }
        go(m, (enum place)(PLACE_EXCLUDED + view));
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static bool names_vlan(const char *expression)
{
    for (const char *at = expression; (at = strstr(at, "vlan")); at += 4)
        if ((at == expression || !is_word(at[-1])) && !is_word(at[4]))
            return true;
    return false;
}

/* Bytes of a tag that is not in the frame cannot be shown one by one. */
static bool asks_for_bytes(const char *expression)
{
    const char *at = strstr(expression, "ether");
    while (at && at[5 + strspn(at + 5, " \t")] != '[')
        at = strstr(at + 5, "ether");
    return at;
}

static int put_user(struct maker *m, const char *expression, enum linux_packet packet,
                    struct err *err)
{
    struct bpf_program block;
    int code = compile(expression, packet, &block, err);
    if (code < 0)
        return code;
    bool by_tag = packet == LINUX_PACKET_ETHERNET && names_vlan(expression);
    if (by_tag && asks_for_bytes(expression)) {
        pcap_freecode(&block);
        return err_set(
            err, -EINVAL,
            "filter \"%.200s\": vlan and ether[…] do not go together: the kernel keeps the "
            "tag apart from the frame's bytes",
            expression);
    }
    if (by_tag) {
        put(m, BPF_LD | BPF_W | BPF_ABS, META_HAS_TAG, 0, 0, PLACE_NONE);
        put(m, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0, PLACE_NONE);
        go(m, PLACE_USER_TAGGED);
    }
    put_block(m, &block, 0, false, PLACE_YES, PLACE_NO);
    here(m, PLACE_USER_TAGGED);
    if (by_tag)
        put_block(m, &block, 0, true, PLACE_YES, PLACE_NO);
    pcap_freecode(&block);
    return 0;
}

int linux_exclusion_filter(const struct linux_exclusion *exclusions, size_t n,
                           const char *expression, enum linux_packet packet, struct linux_bpf *out,
                           struct err *err)
{
    struct maker m = {.at = calloc(LINES_MAX, sizeof *m.at), .places = calloc(LINES_MAX, 1)};
    int code = m.at && m.places ? 0 : err_set(err, -ENOMEM, "no memory for a filter");
    bool has_user = expression && expression[strspn(expression, " \t\n")];
    unsigned n_views = packet == LINUX_PACKET_IP ? 1 : N_VIEWS;
    if (code == 0 && n > 0 && n_views > 1)
        put_views(&m);
    for (unsigned view = 0; code == 0 && n > 0 && view < n_views; view++)
        code = put_exclusions(&m, exclusions, n, packet, view, err);
    here(&m, PLACE_USER);
    if (code == 0 && has_user)
        code = put_user(&m, expression, packet, err);
    else if (code == 0)
        go(&m, PLACE_YES);
    if (code == 0 && m.is_full)
        code = err_set(err, -E2BIG, "the filter becomes a program of more than %d instructions",
                       LINES_MAX);
    if (code == 0) {
        resolve(&m);
        *out = (struct linux_bpf){.at = m.at, .n = m.n};
        m.at = NULL;
    }
    free(m.at);
    free(m.places);
    return code;
}

int linux_check_filter(const char *expression, enum linux_packet packet, struct err *err)
{
    struct linux_bpf bpf = {0};
    int code = linux_exclusion_filter(NULL, 0, expression, packet, &bpf, err);
    linux_bpf_done(&bpf);
    return code;
}

int linux_exclude_loopback(struct linux_bpf *bpf, struct err *err)
{
    static const struct linux_bpf_line front[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, META_TYPE},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, TYPE_LOOPBACK},
        {BPF_RET | BPF_K, 0, 0, 0},
    };
    static const struct linux_bpf_line everything = {BPF_RET | BPF_K, 0, 0, 0xffffffff};
    size_t n_front = sizeof front / sizeof *front, n_rest = bpf->n ? bpf->n : 1;
    if (n_front + n_rest > LINES_MAX)
        return err_set(err, -E2BIG, "the filter's program is longer than the kernel takes");
    struct linux_bpf_line *at = calloc(n_front + n_rest, sizeof *at);
    if (!at)
        return err_set(err, -ENOMEM, "out of memory");
    memcpy(at, front, sizeof front);
    memcpy(at + n_front, bpf->n ? bpf->at : &everything, n_rest * sizeof *at);
    free(bpf->at);
    bpf->at = at;
    bpf->n = n_front + n_rest;
    return 0;
}
