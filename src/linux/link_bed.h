/* For link's unit tests: tunnels of every kind. */
#ifndef LINUX_LINK_BED_H
#define LINUX_LINK_BED_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "linux/link.h"

static inline struct addr bed_address(const char *text)
{
    struct addr a = {{0}};
    if (!addr_parse(text, &a))
        abort();
    return a;
}

#define V4_LOCAL  "10.9.0.1"
#define V4_REMOTE "10.9.0.2"
#define V6_LOCAL  "fd09::1"
#define V6_REMOTE "fd09::2"

/* Every kind, the number of its first message's fixed header and attributes, and what is read back
 * of them. Index 0x21222324. */
static const struct {
    const char *kind, *local, *remote;
    struct linux_tunnel tunnel;
    const char *info;
} bed_tunnels[] = {
    {"vxlan",
     V4_LOCAL,
     V4_REMOTE,
     {.id = 0x1092, .port = 4789, .underlay = 3, .ttl = 64},
     "1=76786c616e00 2{2=0a090002 4=0a090001 3=03000000 5=40 1=92100000 15=12b5 18=00 7=00}"},
    {"vxlan",
     V6_LOCAL,
     V6_REMOTE,
     {.id = 7, .port = 8472, .ttl = 64, .df = LINUX_DF_SET},
     "1=76786c616e00 2{16=fd090000000000000000000000000002 17=fd090000000000000000000000000001 "
     "5=40 1=07000000 15=2118 29=01 18=00 7=00}"},
    {"geneve",
     NULL,
     V4_REMOTE,
     {.id = 0xffffff, .port = 6081, .ttl = 1, .df = LINUX_DF_INHERIT},
     "1=67656e65766500 2{2=0a090002 3=01 1=ffffff00 5=17c1 13=02 8=00}"},
    {"geneve",
     NULL,
     V6_REMOTE,
     {.id = 1, .port = 6081, .ttl = 64},
     "1=67656e65766500 2{7=fd090000000000000000000000000002 3=40 1=01000000 5=17c1 8=00}"},
    {"gretap",
     V4_LOCAL,
     V4_REMOTE,
     {.ttl = 64},
     "1=67726574617000 2{7=0a090002 6=0a090001 8=40 2=0000 3=0000 10=00 19=01}"},
    {"gretap",
     V4_LOCAL,
     V4_REMOTE,
     {.id = 0x01020304, .has_id = true, .ttl = 64, .underlay = 2, .df = LINUX_DF_SET},
     "1=67726574617000 2{7=0a090002 6=0a090001 1=02000000 8=40 2=2000 3=2000 4=01020304 "
     "5=01020304 10=01 19=00}"},
    {"gretap",
     V4_LOCAL,
     V4_REMOTE,
     {.ttl = 64, .df = LINUX_DF_INHERIT},
     "1=67726574617000 2{7=0a090002 6=0a090001 8=40 2=0000 3=0000 10=00 19=00}"},
    {"gretap",
     V6_LOCAL,
     V6_REMOTE,
     {.id = 5, .has_id = true, .ttl = 64},
     "1=69703667726574617000 2{7=fd090000000000000000000000000002 "
     "6=fd090000000000000000000000000001 8=40 2=2000 3=2000 4=00000005 5=00000005 13=01000000}"},
    {"erspan",
     V4_LOCAL,
     V4_REMOTE,
     {.erspan = LINUX_ERSPAN_1, .ttl = 64},
     "1=65727370616e00 2{7=0a090002 6=0a090001 8=40 2=0000 3=0000 10=00 19=01 22=00}"},
    {"erspan",
     V4_LOCAL,
     V4_REMOTE,
     {.erspan = LINUX_ERSPAN_2, .id = 1023, .has_id = true, .ttl = 64, .erspan_index = 0xabcde},
     "1=65727370616e00 2{7=0a090002 6=0a090001 8=40 2=3000 3=3000 4=000003ff 5=000003ff 10=00 "
     "19=01 22=01 21=debc0a00}"},
    {"erspan",
     V4_LOCAL,
     V4_REMOTE,
     {.erspan = LINUX_ERSPAN_3,
      .id = 1,
      .has_id = true,
      .ttl = 64,
      .erspan_is_egress = true,
      .erspan_hardware = 7},
     "1=65727370616e00 2{7=0a090002 6=0a090001 8=40 2=3000 3=3000 4=00000001 5=00000001 10=00 "
     "19=01 22=02 23=01 24=0700}"},
    {"erspan",
     V6_LOCAL,
     V6_REMOTE,
     {.erspan = LINUX_ERSPAN_2, .id = 9, .has_id = true, .ttl = 64, .erspan_index = 1},
     "1=6970366572737061"
     "6e00 2{7=fd090000000000000000000000000002 "
     "6=fd090000000000000000000000000001 8=40 2=3000 3=3000 4=00000009 5=00000009 13=01000000 "
     "22=01 21=01000000}"},
};
#define BED_TUNNELS (sizeof bed_tunnels / sizeof *bed_tunnels)

static inline struct linux_link_want bed_want_of(size_t i, const char *name)
{
    struct linux_link_want want = {.name = name, .kind = bed_tunnels[i].kind};
    want.tunnel = bed_tunnels[i].tunnel;
    want.tunnel.remote = bed_address(bed_tunnels[i].remote);
    if (bed_tunnels[i].local)
        want.tunnel.local = bed_address(bed_tunnels[i].local);
    return want;
}

static inline bool bed_is_gre(size_t i)
{
    return strcmp(bed_tunnels[i].kind, "gretap") == 0 || strcmp(bed_tunnels[i].kind, "erspan") == 0;
}

static inline bool bed_is_v6(size_t i)
{
    return strchr(bed_tunnels[i].remote, ':') != NULL;
}

#endif
