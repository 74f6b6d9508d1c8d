/* The immutable table of who has which address, and the decision what of the learned is believed;
 * see address_book.h. The workers' counting is in address_learner.c. */
#include "source/address_book.h"

#include <stdlib.h>
#include <sys/random.h>

#include "source/address_learner.h"

#define MIN_PACKETS  200
#define NEARLY_ALL   0.9
#define OTHERS_MOST  0.6
#define MIN_OTHERS   4
#define MIN_OUTER    20 /* packets with an address that is the outer one as well */
#define MIN_BY_MAC   50
#define SHARE_BY_MAC 0.05 /* of the packets, for one of several addresses */

struct address_book {
    uint64_t secret;
    size_t n_entries, mask;
    struct address_entry *entries;
    uint32_t *table; /* index of an entry + 1; 0: free */
};

static uint64_t hash(const struct address_book *book, uint16_t network, const struct addr *addr)
{
    uint64_t words[2];
    memcpy(words, addr->b, sizeof words);
    uint64_t a = words[0] ^ book->secret ^ network, b = words[1] ^ 0x9e3779b97f4a7c15ull;
    __extension__ unsigned __int128 product =
        (unsigned __int128)(a * 0xbf58476d1ce4e5b9ull + book->secret) * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static struct address_entry *find(const struct address_book *book, uint16_t network,
                                  const struct addr *addr)
{
    size_t at = (size_t)hash(book, network, addr) & book->mask;
    for (; book->table[at]; at = (at + 1) & book->mask) {
        struct address_entry *entry = &book->entries[book->table[at] - 1];
        if (addr_eq(&entry->addr, addr) && entry->network == network)
            return entry;
    }
    return NULL;
}

uint16_t address_book_find(const struct address_book *book, uint16_t network,
                           const struct addr *addr)
{
    const struct address_entry *entry = find(book, network, addr);
    return entry ? entry->machine : 0;
}

/* There is room: the table was made for as many as can come. */
static void add(struct address_book *book, const struct address_entry *entry)
{
    size_t at = (size_t)hash(book, entry->network, &entry->addr) & book->mask;
    while (book->table[at])
        at = (at + 1) & book->mask;
    book->entries[book->n_entries] = *entry;
    book->table[at] = (uint32_t)++book->n_entries;
}

static bool is_host(const struct addr *a)
{
    if (addr_is_v4(a)) {
        uint8_t first = a->b[12];
        return first != 0 && first != 127 && first < 224;
    }
    static const struct addr none = {{0}};
    static const struct addr loopback = {{[15] = 1}};
    bool link_local = a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80; /* the same in every network */
    return a->b[0] != 0xff && !link_local && !addr_eq(a, &none) && !addr_eq(a, &loopback);
}

/* All that the workers saw of one machine in one IP version. */
struct sum {
    uint64_t n;
    uint64_t others;
    struct address_candidate addrs[4 * ADDRESS_N_KEPT];
    size_t n_addrs;
    struct address_mac macs[4 * ADDRESS_N_KEPT];
    size_t n_macs;
    struct addr outer;
    bool has_outer;
};

static void sum_addr(struct sum *sum, const struct address_candidate *c)
{
    if (c->n == 0)
        return;
    for (size_t i = 0; i < sum->n_addrs; i++)
        if (addr_eq(&sum->addrs[i].addr, &c->addr)) {
            sum->addrs[i].n += c->n;
            if (sum->addrs[i].mac == c->mac)
                sum->addrs[i].n_mac += c->n_mac;
            return;
        }
    if (sum->n_addrs < sizeof sum->addrs / sizeof *sum->addrs)
        sum->addrs[sum->n_addrs++] = *c;
}

static void sum_mac(struct sum *sum, const struct address_mac *m)
{
    if (m->n == 0)
        return;
    for (size_t i = 0; i < sum->n_macs; i++)
        if (sum->macs[i].mac == m->mac) {
            sum->macs[i].n += m->n;
            return;
        }
    if (sum->n_macs < sizeof sum->macs / sizeof *sum->macs)
        sum->macs[sum->n_macs++] = *m;
}

static void sum_up(struct sum *sum, struct address_learner *const learners[], size_t n_learners,
                   uint16_t machine, unsigned int version)
{
    memset(sum, 0, sizeof(*sum));
    for (size_t i = 0; i < n_learners; i++) {
        struct address_learned l;
        if (!address_learner_read(learners[i], machine, version, &l))
            continue;
        sum->n += l.n;
        sum->others |= l.others | l.others_before;
        for (size_t k = 0; k < ADDRESS_N_KEPT; k++) {
            sum_addr(sum, &l.addrs[k]);
            sum_mac(sum, &l.macs[k]);
        }
        if (l.n && l.has_outer) {
            sum->outer = l.outer;
            sum->has_outer = true;
        }
    }
}

/* In nearly every packet, and no other is in most. -1: none is. */
static int lone_addr(const struct sum *sum)
{
    int at = -1;
    for (size_t i = 0; i < sum->n_addrs; i++) {
        double share = (double)sum->addrs[i].n / (double)sum->n;
        if (share >= NEARLY_ALL && at < 0)
            at = (int)i;
        else if (share > OTHERS_MOST)
            return -1;
    }
    return at >= 0 && __builtin_popcountll(sum->others) > MIN_OTHERS ? at : -1;
}

static uint64_t lone_mac(const struct sum *sum)
{
    uint64_t mac = 0;
    for (size_t i = 0; i < sum->n_macs; i++) {
        double share = (double)sum->macs[i].n / (double)sum->n;
        if (share >= NEARLY_ALL && !mac)
            mac = sum->macs[i].mac;
        else if (share > OTHERS_MOST)
            return 0;
    }
    return mac;
}

static bool goes_with(const struct address_candidate *c, uint64_t mac)
{
    return c->mac == mac && c->n_mac * 20 >= c->n * 19;
}

/* Marks what goes with the machine's MAC, unless the machine is a router. */
static void believe_by_mac(const struct sum *sum, uint64_t mac, bool *own)
{
    uint64_t explained = 0;
    size_t n = 0;
    for (size_t i = 0; i < sum->n_addrs; i++)
        if (goes_with(&sum->addrs[i], mac)) {
            explained += sum->addrs[i].n;
            n++;
        }
    if (n > ADDRESS_N_OWN || (double)explained < NEARLY_ALL * (double)sum->n)
        return;
    for (size_t i = 0; i < sum->n_addrs; i++) {
        const struct address_candidate *c = &sum->addrs[i];
        if (goes_with(c, mac) && c->n >= MIN_BY_MAC &&
            (double)c->n >= SHARE_BY_MAC * (double)sum->n)
            own[i] = true;
    }
}

/* Which of the sum's addresses are the machine's own. `mac` is its MAC where that is known, from
 * this IP version or the other. */
static void believe(const struct sum *sum, uint64_t *mac, bool *own)
{
    for (size_t i = 0; i < sum->n_addrs; i++)
        if (sum->has_outer && sum->addrs[i].n >= MIN_OUTER &&
            addr_eq(&sum->addrs[i].addr, &sum->outer))
            own[i] = true;
    if (sum->n < MIN_PACKETS)
        return;
    int lone = lone_addr(sum);
    if (lone >= 0)
        own[lone] = true;
    for (size_t i = 0; i < sum->n_addrs && !*mac; i++)
        if (own[i] && sum->addrs[i].mac && goes_with(&sum->addrs[i], sum->addrs[i].mac))
            *mac = sum->addrs[i].mac;
    if (!*mac)
        *mac = lone_mac(sum);
    if (*mac)
        believe_by_mac(sum, *mac, own);
}

/* Two machines that show the same address: nobody's, and a third must not get it either. */
#define DISPUTED UINT16_MAX

static void learn(struct address_book *book, const struct sum *sum, const bool *own,
                  uint16_t machine, uint16_t network)
{
    for (size_t i = 0; i < sum->n_addrs; i++) {
        const struct addr *addr = &sum->addrs[i].addr;
        if (!own[i] || !is_host(addr))
            continue;
        struct address_entry *known = find(book, network, addr);
        if (!known)
            add(book,
                &(struct address_entry){.addr = *addr, .network = network, .machine = machine});
        else if (!known->configured && known->machine != machine)
            known->machine = DISPUTED;
    }
}

static bool init(struct address_book *book, size_t room)
{
    size_t size = 16;
    while (size < 2 * room)
        size *= 2;
    book->mask = size - 1;
    book->entries = calloc(room ? room : 1, sizeof(*book->entries));
    book->table = calloc(size, sizeof(*book->table));
    if (getrandom(&book->secret, sizeof book->secret, GRND_NONBLOCK) < 0)
        book->secret = 0; /* learned addresses are few: no great harm */
    return book->entries && book->table;
}

/* Disputed ones are taken out of sight, which keeps their places in the table. */
static void settle(struct address_book *book)
{
    for (size_t i = 0; i < book->n_entries; i++)
        if (book->entries[i].machine == DISPUTED)
            book->entries[i].machine = 0;
}

struct address_book *address_book_make(const struct address_entry *configured, size_t n_configured,
                                       struct address_learner *const learners[], size_t n_learners,
                                       const uint16_t *network_of, uint16_t max_machine)
{
    struct address_book *book = calloc(1, sizeof(*book));
    struct sum *sums = calloc(2, sizeof(*sums));
    size_t per_machine = sizeof sums->addrs / sizeof *sums->addrs;
    size_t room = n_configured;
    if (n_learners)
        room += 2 * (ADDRESS_N_OWN + 1) * (size_t)max_machine;
    if (!book || !sums || !init(book, room)) {
        free(sums);
        address_book_free(book);
        return NULL;
    }
    for (size_t i = 0; i < n_configured; i++)
        if (!find(book, configured[i].network, &configured[i].addr)) {
            add(book, &configured[i]);
            book->entries[book->n_entries - 1].configured = true;
        }
    for (uint32_t machine = 1; n_learners && machine <= max_machine; machine++) {
        bool own[2][sizeof sums->addrs / sizeof *sums->addrs];
        memset(own, 0, sizeof own);
        uint64_t mac = 0;
        for (unsigned int v = 0; v < 2; v++)
            sum_up(&sums[v], learners, n_learners, (uint16_t)machine, v);
        for (unsigned int turn = 0; turn < 4; turn++) /* what one version says of the MAC */
            believe(&sums[turn % 2], &mac, own[turn % 2]);
        for (unsigned int v = 0; v < 2; v++) {
            size_t n = 0;
            for (size_t i = 0; i < per_machine; i++)
                if (own[v][i] && ++n > ADDRESS_N_OWN + 1)
                    own[v][i] = false;
            learn(book, &sums[v], own[v], (uint16_t)machine, network_of[machine]);
        }
    }
    settle(book);
    free(sums);
    return book;
}

void address_book_free(struct address_book *book)
{
    if (!book)
        return;
    free(book->entries);
    free(book->table);
    free(book);
}

bool address_book_pick(const struct address_book *book, uint16_t machine, uint64_t random,
                       struct addr *out)
{
    size_t n = 0;
    for (size_t i = 0; i < book->n_entries; i++)
        n += book->entries[i].machine == machine;
    if (n == 0 || machine == 0)
        return false;
    size_t skip = random % n;
    for (size_t i = 0; i < book->n_entries; i++)
        if (book->entries[i].machine == machine && skip-- == 0) {
            *out = book->entries[i].addr;
            return true;
        }
    return false;
}

size_t address_book_count(const struct address_book *book)
{
    return book->n_entries;
}

const struct address_entry *address_book_entry(const struct address_book *book, size_t n)
{
    return &book->entries[n];
}
