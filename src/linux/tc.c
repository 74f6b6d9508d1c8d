/* The clsact qdisc and its filters: see tc.h. */
#include "linux/tc.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "linux/rtnl.h"
#include "linux/tc_parts.h"

#define FILTERS_MAX    65536
#define N_TRIES        8
#define U32_HANDLE_MAX 0xfff
#define BURST_SECONDS  200

static const char *const words[] = {[LINUX_TC_IN] = "ingress", [LINUX_TC_OUT] = "egress"};

struct hook_search {
    uint32_t link;
    enum linux_tc_hook found;
};

/* The message is like a filter's, and of whatever interface. */
static void take_qdisc(uint16_t type, struct reader body, void *with)
{
    struct hook_search *search = with;
    struct reader value;
    uint16_t attribute;
    char kind[16] = "";
    rd_skip(&body, 4);
    uint32_t link = rtnl_u32(&body);
    rd_skip(&body, 12);
    if (type != RTM_NEWQDISC || link != search->link)
        return;
    while (rtnl_next(&body, &attribute, &value))
        if (attribute == TCA_KIND)
            rtnl_text(value, kind, sizeof kind);
    if (strcmp(kind, "clsact") == 0)
        search->found = LINUX_TC_CLSACT;
    else if (strcmp(kind, "ingress") == 0)
        search->found = LINUX_TC_INGRESS;
}

int linux_tc_get_hook(uint32_t link, enum linux_tc_hook *out, struct err *err)
{
    struct nl_request request;
    struct tcmsg head = {.tcm_ifindex = (int)link};
    struct hook_search search = {.link = link};
    nl_init(&request);
    nl_message(&request, RTM_GETQDISC, NLM_F_DUMP, &head, sizeof head);
    int result = -EAGAIN;
    for (unsigned i = 0; i < N_TRIES && result == -EAGAIN; i++)
        result = nl_ask(&request, take_qdisc, &search, err);
    if (result) {
        err_wrap(err, "listing the qdiscs of interface %u", link);
        return result;
    }
    *out = search.found;
    return 0;
}

static void put_clsact(struct nl_request *request, uint16_t type, uint16_t flags, uint32_t link)
{
    struct tcmsg head = {.tcm_ifindex = (int)link,
                         .tcm_parent = TC_H_CLSACT,
                         .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0)};
    nl_init(request);
    nl_message(request, type, flags, &head, sizeof head);
    nl_put_text(request, TCA_KIND, "clsact");
}

int linux_tc_add_clsact(uint32_t link, struct err *err)
{
    struct nl_request request;
    put_clsact(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, link);
    int result = nl_ask(&request, NULL, NULL, err);
    if (result)
        err_wrap(err, "adding the clsact qdisc to interface %u", link);
    return result;
}

int linux_tc_remove_clsact(uint32_t link, struct err *err)
{
    struct nl_request request;
    enum linux_tc_hook hook;
    /* The kernel would take an `ingress` qdisc for it. */
    int result = linux_tc_get_hook(link, &hook, err);
    if (result)
        return result;
    if (hook != LINUX_TC_CLSACT)
        return err_set(err, -ENOENT, "interface %u has no clsact qdisc", link);
    put_clsact(&request, RTM_DELQDISC, 0, link);
    result = nl_ask(&request, NULL, NULL, err);
    if (result)
        err_wrap(err, "removing the clsact qdisc of interface %u", link);
    return result;
}

struct filters {
    struct linux_tc_filter *list;
    size_t n, capacity;
    int failure;
};

static void take_filter(uint16_t type, struct reader body, void *with)
{
    struct filters *filters = with;
    if (type != RTM_NEWTFILTER || filters->failure)
        return;
    if (filters->n == filters->capacity) {
        size_t capacity = filters->capacity ? filters->capacity * 2 : 8;
        struct linux_tc_filter *list =
            capacity > FILTERS_MAX ? NULL : reallocarray(filters->list, capacity, sizeof *list);
        if (!list) {
            filters->failure = capacity > FILTERS_MAX ? -E2BIG : -ENOMEM;
            return;
        }
        filters->list = list;
        filters->capacity = capacity;
    }
    if (linux_tc_read(body, &filters->list[filters->n]))
        filters->n++;
}

int linux_tc_list(uint32_t link, enum linux_tc_direction direction, struct linux_tc_filter **out,
                  size_t *out_n, struct err *err)
{
    struct nl_request request;
    struct tcmsg head = tc_head(link, direction, 0, 0, 0);
    struct filters filters = {0};
    enum linux_tc_hook hook;
    int result = linux_tc_get_hook(link, &hook, err);
    if (result)
        return result;
    /* An `ingress` qdisc would show its filters for either direction. */
    bool has_hook =
        hook == LINUX_TC_CLSACT || (hook == LINUX_TC_INGRESS && direction == LINUX_TC_IN);
    nl_init(&request);
    nl_message(&request, RTM_GETTFILTER, NLM_F_DUMP, &head, sizeof head);
    result = has_hook ? -EAGAIN : 0;
    for (unsigned i = 0; i < N_TRIES && result == -EAGAIN; i++) {
        filters.n = 0;
        result = nl_ask(&request, take_filter, &filters, err);
    }
    if (result == 0 && filters.failure)
        result = err_set(err, filters.failure, "%s", strerror(-filters.failure));
    if (result) {
        free(filters.list);
        err_wrap(err, "listing the %s filters of interface %u", words[direction], link);
        return result;
    }
    *out = filters.list;
    *out_n = filters.n;
    return 0;
}

static int check(const struct linux_tc_want *want, struct err *err)
{
    if (want->prio == 0)
        return err_set(err, -EINVAL, "a filter needs a prio");
    if (want->match == LINUX_TC_U32 &&
        (want->n_keys > LINUX_TC_KEYS_MAX || want->handle > U32_HANDLE_MAX))
        return err_set(err, -EINVAL, "u32 has %d keys at most, and handles up to %d",
                       LINUX_TC_KEYS_MAX, U32_HANDLE_MAX);
    if (want->match == LINUX_TC_BPF &&
        (!want->program || want->n_instructions == 0 || want->n_instructions > BPF_MAXINSNS))
        return err_set(err, -EINVAL, "a BPF program has 1 to %d instructions", BPF_MAXINSNS);
    if ((want->verdict == LINUX_TC_MIRROR) != (want->mirror_to != 0))
        return err_set(err, -EINVAL,
                       "a filter that mirrors, and no other, needs an interface for it");
    if (want->cookie_size > LINUX_TC_COOKIE_MAX)
        return err_set(err, -EINVAL, "a cookie has %d bytes at most", LINUX_TC_COOKIE_MAX);
    if (want->verdict != LINUX_TC_MIRROR && (want->rate || want->forgets_route))
        return err_set(err, -EINVAL, "only a filter that mirrors can limit the rate of it");
    if (want->rate && want->rate < LINUX_TC_RATE_MIN)
        return err_set(err, -ERANGE, "a rate is %d bytes a second at least", LINUX_TC_RATE_MIN);
    if (want->rate && want->burst / want->rate > BURST_SECONDS)
        return err_set(err, -ERANGE, "a burst of %u bytes takes more than %d seconds at this rate",
                       want->burst, BURST_SECONDS);
    return 0;
}

/* The tables of u32 belong to the qdisc: of one prio, either direction shows the filters of both.
 */
static int check_other_direction(const struct linux_tc_want *want, struct err *err)
{
    enum linux_tc_direction other = want->direction == LINUX_TC_IN ? LINUX_TC_OUT : LINUX_TC_IN;
    struct linux_tc_filter *list = NULL;
    size_t n = 0;
    int result = linux_tc_list(want->link, other, &list, &n, err);
    for (size_t i = 0; i < n && result == 0; i++)
        if (list[i].prio == want->prio && strcmp(list[i].kind, "u32") == 0)
            result = err_set(err, -EEXIST, "a u32 filter of the other direction has this prio");
    free(list);
    return result;
}

int linux_tc_add(const struct linux_tc_want *want, struct err *err)
{
    struct nl_request request;
    int result = check(want, err);
    if (result == 0 && want->match == LINUX_TC_U32)
        result = check_other_direction(want, err);
    if (result == 0) {
        nl_init(&request);
        linux_tc_put(&request, want);
        result = nl_ask(&request, NULL, NULL, err);
        if (result == -ENOSPC && want->match == LINUX_TC_U32 && want->handle)
            result = err_set(err, -EEXIST, "handle %#x is taken", want->handle);
    }
    if (result)
        err_wrap(err, "adding an %s filter of prio %u to interface %u", words[want->direction],
                 want->prio, want->link);
    return result;
}

/* Of u32 the tables stay when their last filter goes, and with them the prio. */
static int sweep_tables(uint32_t link, enum linux_tc_direction direction,
                        const struct linux_tc_filter *filter, struct err *err)
{
    struct linux_tc_filter *list = NULL;
    struct nl_request request;
    size_t n = 0, n_tables = 0;
    int result = linux_tc_list(link, direction, &list, &n, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < n; i++) {
        if (list[i].prio != filter->prio || list[i].chain != filter->chain)
            continue;
        n_tables++;
        if (!list[i].is_table || strcmp(list[i].kind, "u32") != 0) {
            n_tables = 0; /* somebody else's is in it */
            break;
        }
    }
    free(list);
    if (n_tables == 0)
        return 0;
    struct tcmsg head = tc_head(link, direction, filter->prio, filter->protocol, 0);
    nl_init(&request);
    nl_message(&request, RTM_DELTFILTER, 0, &head, sizeof head);
    nl_put_text(&request, TCA_KIND, filter->kind);
    if (filter->chain)
        nl_put_u32(&request, TCA_CHAIN, filter->chain);
    return nl_ask(&request, NULL, NULL, err);
}

int linux_tc_remove(uint32_t link, enum linux_tc_direction direction,
                    const struct linux_tc_filter *filter, struct err *err)
{
    struct nl_request request;
    /* Without one of these the kernel would take away more than one. */
    if (filter->prio == 0 || filter->handle == 0 || !filter->kind[0] || filter->is_table)
        return err_set(err, -EINVAL, "that is not one filter");
    struct tcmsg head = tc_head(link, direction, filter->prio, filter->protocol, filter->handle);
    nl_init(&request);
    nl_message(&request, RTM_DELTFILTER, 0, &head, sizeof head);
    nl_put_text(&request, TCA_KIND, filter->kind);
    if (filter->chain)
        nl_put_u32(&request, TCA_CHAIN, filter->chain);
    int result = nl_ask(&request, NULL, NULL, err);
    enum linux_tc_hook hook;
    if (result == -EINVAL && linux_tc_get_hook(link, &hook, NULL) == 0 && hook == LINUX_TC_NONE)
        result = err_set(err, -ENOENT, "it is gone, and its qdisc with it");
    if (result == 0 && strcmp(filter->kind, "u32") == 0)
        result = sweep_tables(link, direction, filter, err);
    if (result)
        err_wrap(err, "removing the %s filter of prio %u from interface %u", words[direction],
                 filter->prio, link);
    return result;
}

uint16_t linux_tc_free_prio(const struct linux_tc_filter *filters, size_t n, uint16_t from)
{
    for (uint32_t prio = from ? from : 1; prio <= LINUX_TC_PRIO_MAX; prio++) {
        bool is_taken = false;
        for (size_t i = 0; i < n && !is_taken; i++)
            is_taken = filters[i].prio == prio;
        if (!is_taken)
            return (uint16_t)prio;
    }
    return 0;
}
