/* Who may send: see admit.h. The list and its search tree. An address is four words; the tree for a
 * word asks for ranges that do not overlap, and each of them says "yes" or goes on with the next
 * word. A range that goes on is a single number: all prefixes of more bits that begin alike. IPv4
 * needs the last word only. */
#include "capture/admit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define V4_BITS 96 /* of ::ffff:0:0/96 */

static const struct addr v4_net = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};

static bool covers(const struct admit_prefix *prefix, const struct addr *addr)
{
    size_t whole = prefix->bits / 8;
    if (memcmp(prefix->net.b, addr->b, whole) != 0)
        return false;
    unsigned rest = prefix->bits % 8;
    return rest == 0 || ((prefix->net.b[whole] ^ addr->b[whole]) >> (8 - rest)) == 0;
}

bool admit_add(struct admit_list *list, const struct addr *net, unsigned bits)
{
    assert(bits <= 128);
    if (list->n == ADMIT_MAX)
        return false;
    struct admit_prefix *prefix = &list->at[list->n++];
    *prefix = (struct admit_prefix){.bits = (uint8_t)bits};
    memcpy(prefix->net.b, net->b, bits / 8);
    if (bits % 8)
        prefix->net.b[bits / 8] = net->b[bits / 8] & (uint8_t)(0xff00u >> bits % 8);
    return true;
}

static int by_net(const void *left, const void *right)
{
    const struct admit_prefix *a = left, *b = right;
    int order = addr_order(&a->net, &b->net);
    return order ? order : (int)a->bits - (int)b->bits;
}

void admit_finish(struct admit_list *list)
{
    unsigned n = 0;
    qsort(list->at, list->n, sizeof *list->at, by_net);
    for (unsigned i = 0; i < list->n; i++)
        if (n == 0 || !covers(&list->at[n - 1], &list->at[i].net))
            list->at[n++] = list->at[i];
    list->n = n;
}

bool admit_has(const struct admit_list *list, const struct addr *addr)
{
    unsigned low = 0, high = list->n; /* of those whose net is not above the address, the last */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (addr_order(&list->at[middle].net, addr) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && covers(&list->at[low - 1], addr);
}

/* ---- the tree ---- */

struct tree {
    struct bpf_asm *b;
    uint32_t at; /* of the address */
    unsigned yes, no;
};

/* Prefixes that begin alike up to `word`, which is not the end of any. */
struct part {
    const struct admit_prefix *at;
    unsigned n, word;
};

static uint32_t word_of(const struct addr *addr, unsigned word)
{
    const uint8_t *b = addr->b + 4 * word;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t low_of(const struct part *part)
{
    return word_of(&part->at->net, part->word);
}

static unsigned bits_of(const struct part *part)
{
    return part->at->bits - 32 * part->word;
}

/* The last number of the first prefix's range. */
static uint32_t high_of(const struct part *part)
{
    unsigned bits = bits_of(part);
    return low_of(part) | (bits >= 32 ? 0 : UINT32_MAX >> bits);
}

/* How many from `i` on have one range together. */
static unsigned alike(const struct part *part, unsigned i)
{
    const struct part from = {part->at + i, part->n - i, part->word};
    unsigned n = 1;
    if (bits_of(&from) <= 32)
        return 1;
    while (n < from.n && word_of(&from.at[n].net, part->word) == low_of(&from))
        n++;
    return n;
}

static void put_tree(const struct tree *tree, const struct part *part);

/* One range: goes to yes or no, or on with the next word. */
static void put_leaf(const struct tree *tree, const struct part *part)
{
    if (bits_of(part) > 32) {
        const struct part rest = {part->at, part->n, part->word + 1};
        bpf_if(tree->b, BPF_JEQ, low_of(part), 0, tree->no);
        put_tree(tree, &rest);
        return;
    }
    uint32_t low = low_of(part), high = high_of(part);
    if (low == high) {
        bpf_if(tree->b, BPF_JEQ, low, tree->yes, tree->no);
        return;
    }
    if (low > 0)
        bpf_if(tree->b, BPF_JGE, low, 0, tree->no);
    bpf_if(tree->b, BPF_JGT, high, tree->no, tree->yes);
}

/* Where the second half of the ranges begins; 0: there is one range. */
static unsigned half_of(const struct part *part)
{
    unsigned half = part->n / 2;
    for (unsigned i = 0;;) {
        unsigned next = i + alike(part, i);
        if (next == part->n)
            return i;
        if (next > half)
            return i > 0 && half - i < next - half ? i : next;
        i = next;
    }
}

/* A is the word of the part. */
static void put_ranges(const struct tree *tree, const struct part *part)
{
    unsigned half = half_of(part);
    if (half == 0) {
        put_leaf(tree, part);
        return;
    }
    const struct part left = {part->at, half, part->word};
    const struct part right = {part->at + half, part->n - half, part->word};
    unsigned upper = bpf_label(tree->b);
    bpf_if(tree->b, BPF_JGE, low_of(&right), upper, 0);
    put_ranges(tree, &left);
    bpf_here(tree->b, upper);
    put_ranges(tree, &right);
}

static void put_tree(const struct tree *tree, const struct part *part)
{
    bpf_put(tree->b, BPF_LD | BPF_W | BPF_ABS, tree->at + 4 * part->word);
    put_ranges(tree, part);
}

static void put_family(struct bpf_asm *b, const struct admit_list *list, bool v4, uint32_t at,
                       unsigned yes, unsigned no)
{
    struct admit_list some = {.n = 0};
    for (unsigned i = 0; i < list->n; i++) {
        const struct admit_prefix *prefix = &list->at[i];
        bool is_v4 = prefix->bits >= V4_BITS && addr_is_v4(&prefix->net);
        if (prefix->bits == 0 || (v4 && prefix->bits <= V4_BITS && covers(prefix, &v4_net))) {
            bpf_go(b, yes); /* all of them */
            return;
        }
        if (is_v4 == v4)
            some.at[some.n++] = *prefix;
    }
    if (some.n == 0) {
        bpf_go(b, no);
        return;
    }
    const struct tree tree = {b, v4 ? at - 12 : at, yes, no};
    const struct part part = {some.at, some.n, v4 ? 3 : 0};
    put_tree(&tree, &part);
}

/* The address of the IP packet at `at`, of which the version is known. */
static void put_address(struct bpf_asm *b, const struct admit_list *list, uint32_t at, bool source,
                        unsigned yes, unsigned no)
{
    unsigned v6 = bpf_label(b);
    bpf_put(b, BPF_LD | BPF_B | BPF_ABS, at);
    bpf_put(b, BPF_ALU | BPF_AND | BPF_K, 0xf0);
    bpf_if(b, BPF_JEQ, 0x60, v6, 0);
    put_family(b, list, true, at + (source ? 12 : 16), yes, no);
    bpf_here(b, v6);
    put_family(b, list, false, at + (source ? 8 : 24), yes, no);
}

void admit_put_sender(struct bpf_asm *b, const struct admit *admit, uint32_t at, unsigned refused)
{
    unsigned yes = bpf_label(b), no = bpf_label(b);
    put_address(b, admit->senders, at, true, yes, no);
    bpf_here(b, no);
    if (admit->one_in == 0) {
        bpf_go(b, refused);
    } else {
        bpf_put(b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
        bpf_if(b, BPF_JGE, UINT32_MAX / admit->one_in, refused, 0);
    }
    bpf_here(b, yes);
}

/* ---- rings ---- */

enum { TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd };
enum { PROTO_UDP = 17, PROTO_GRE = 47 };

/* Goes on only where there are `size` bytes from `at` on. A is lost. */
static void put_need(struct bpf_asm *b, uint32_t at, uint32_t size, unsigned other)
{
    bpf_put(b, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_if(b, BPF_JGE, at + size, 0, other);
}

/* An IP packet at `at`: falls through where it is a mirror's, with all of its IP header. */
static void put_is_mirror(struct bpf_asm *b, const struct admit_ring *ring, uint32_t at,
                          unsigned other)
{
    unsigned v4 = bpf_label(b), v6 = bpf_label(b), udp = bpf_label(b), mirror = bpf_label(b);
    put_need(b, at, 20, other);
    bpf_put(b, BPF_LD | BPF_B | BPF_ABS, at);
    bpf_put(b, BPF_ALU | BPF_AND | BPF_K, 0xf0);
    bpf_if(b, BPF_JEQ, 0x40, v4, 0);
    bpf_if(b, BPF_JEQ, 0x60, v6, other);

    bpf_here(b, v6);
    put_need(b, at, 48, other);
    bpf_put(b, BPF_LDX | BPF_W | BPF_IMM, 40);
    bpf_put(b, BPF_LD | BPF_B | BPF_ABS, at + 6);
    bpf_if(b, BPF_JEQ, PROTO_GRE, mirror, 0);
    bpf_if(b, BPF_JEQ, PROTO_UDP, udp, other);

    bpf_here(b, v4);
    bpf_put(b, BPF_LD | BPF_H | BPF_ABS, at + 6);
    bpf_if(b, BPF_JSET, 0x3fff, other, 0); /* a fragment */
    bpf_put(b, BPF_LD | BPF_B | BPF_ABS, at + 9);
    bpf_if(b, BPF_JEQ, PROTO_GRE, mirror, 0);
    bpf_if(b, BPF_JEQ, PROTO_UDP, 0, other);
    bpf_put(b, BPF_LDX | BPF_B | BPF_MSH, at);
    bpf_put(b, BPF_MISC | BPF_TXA, 0);
    bpf_put(b, BPF_ALU | BPF_ADD | BPF_K, at + 8);
    bpf_put(b, BPF_MISC | BPF_TAX, 0);
    bpf_put(b, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_if(b, BPF_JGE | BPF_X, 0, 0, other);
    bpf_put(b, BPF_LDX | BPF_B | BPF_MSH, at);

    bpf_here(b, udp);
    bpf_put(b, BPF_LD | BPF_H | BPF_IND, at + 2);
    for (unsigned i = 0; i < ring->n_ports; i++)
        bpf_if(b, BPF_JEQ, ring->ports[i], mirror, 0);
    bpf_go(b, other);
    bpf_here(b, mirror);
    unsigned to_us = bpf_label(b);
    put_address(b, ring->own, at, false, to_us, other);
    bpf_here(b, to_us);
}

int admit_program_ring(const struct admit_ring *ring, const struct sock_filter *base,
                       unsigned n_base, struct bpf_code *out, struct err *err)
{
    struct bpf_asm *b = malloc(sizeof *b);
    if (!b)
        return err_set(err, -ENOMEM, "no memory for a filter");
    bpf_begin(b);
    unsigned other = bpf_label(b), refused = bpf_label(b), done = bpf_label(b);
    uint32_t at = ring->has_ethernet ? 14 : 0;
    if (ring->has_ethernet) {
        unsigned ip = bpf_label(b);
        put_need(b, 0, 14, other);
        bpf_put(b, BPF_LD | BPF_H | BPF_ABS, 12);
        bpf_if(b, BPF_JEQ, TYPE_IPV4, ip, 0);
        bpf_if(b, BPF_JEQ, TYPE_IPV6, ip, other);
        bpf_here(b, ip);
    }
    put_is_mirror(b, ring, at, other);
    admit_put_sender(b, &ring->admit, at, refused);
    bpf_go(b, done);
    bpf_here(b, refused);
    bpf_put(b, BPF_RET | BPF_K, 0);
    bpf_here(b, other);
    bpf_here(b, done);
    if (n_base == 0)
        bpf_put(b, BPF_RET | BPF_K, UINT32_MAX);
    int code = bpf_finish(b, out, err);
    free(b);
    if (code < 0)
        return code;
    if (out->n + n_base > BPF_CODE_MAX)
        return err_set(err, -E2BIG, "a packet filter of more than %d instructions", BPF_CODE_MAX);
    if (n_base) /* jumps are relative: it may move */
        memcpy(out->at + out->n, base, n_base * sizeof *base);
    out->n = (unsigned short)(out->n + n_base);
    return 0;
}

int admit_get_filter(int fd, struct sock_filter *out, struct err *err)
{
    socklen_t n = 0; /* instructions, not bytes */
    if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) < 0)
        return err_set(err, -errno, "the kernel does not tell a socket's filter: %s",
                       strerror(errno));
    if (n > BPF_CODE_MAX)
        return err_set(err, -E2BIG, "a socket's filter is longer than any can be");
    if (n > 0 && getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, out, &n) < 0)
        return err_set(err, -errno, "the kernel does not tell a socket's filter: %s",
                       strerror(errno));
    return (int)n;
}

int admit_set_filter(int fd, const struct sock_filter *filter, unsigned n, struct err *err)
{
    const struct sock_fprog program = {.len = (unsigned short)n,
                                       .filter = (struct sock_filter *)(uintptr_t)filter};
    int unused = 0;
    int result = n > 0 ? setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)
                       : setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
    if (result < 0 && !(n == 0 && errno == ENOENT)) /* there was none */
        return err_set(err, -errno, "the kernel does not take a filter: %s", strerror(errno));
    return 0;
}
