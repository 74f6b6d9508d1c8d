/* For unit tests: a host in a network namespace of its own, whose kernel can what the test says.
 * Include cmocka first.
 *
 *     e0 10.1.0.1/24, fd01::1/64 – e1        what is mirrored
 *     m0 10.9.0.1/24, fd09::1/64 – m1        another interface; collectors are 10.9.0.2, fd09::2
 */
#ifndef MIRROR_HOST_BED_H
#define MIRROR_HOST_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "capture/netns_bed.h"
#include "linux/link_bed.h"
#include "linux/nl_bed.h"
#include "mirror/host.h"
#include "mirror/host_parts.h"
#include "mirror/set_bed.h"

static inline void must(const char *line)
{
    if (bed_do(line) != 0)
        fail_msg("%s", line);
}

/* False, and says why, where that is not allowed here. */
static inline bool enter(void)
{
    static int entered = -1;
    if (entered < 0) {
        entered = bed_enter_with_witness();
        if (entered) {
            must("ip link add e0 type veth peer name e1");
            must("ip link add m0 type veth peer name m1");
            must("ip addr add 10.1.0.1/24 dev e0");
            must("ip addr add fd01::1/64 dev e0 nodad");
            must("ip addr add 10.9.0.1/24 dev m0");
            must("ip addr add fd09::1/64 dev m0 nodad");
            must("ip link set e0 up");
            must("ip link set e1 up");
            must("ip link set m0 up");
            must("ip link set m1 up");
        }
    }
    return entered;
}

/* With a kernel that has everything. */
static inline struct host bed_host(void)
{
    struct host host = {.has_features = true, .home = -1};
    struct err err = {""};
    for (int i = 0; i < LINUX_FEATURES; i++)
        host.features[i].answer = LINUX_FEATURE_YES;
    if (host_refresh(&host, &err) < 0)
        fail_msg("%s", err.text);
    return host;
}

static inline void bed_lacks(struct host *host, int feature)
{
    host->features[feature].answer = LINUX_FEATURE_NO;
    (void)snprintf(host->features[feature].why, sizeof host->features[feature].why, "no %s",
                   linux_feature_table[feature].name);
}

static inline const struct linux_link *bed_link(const struct host *host, const char *name)
{
    const struct linux_link *link = linux_link_by_name(host->links, host->n_links, name);
    if (!link)
        fail_msg("there is no %s", name);
    return link;
}

/* A wish as after its check. */
static inline struct host_wish bed_wish_to(const char *to)
{
    struct host_wish wish = {.has_to = true, .has_id = true, .id = 7, .direction = HOST_BOTH};
    struct err err;
    if (mirror_parse_target(to, (1u << MIRROR_N_WRAPS) - 1, &wish.to, &err) < 0)
        fail_msg("%s", err.text);
    return wish;
}

#endif
