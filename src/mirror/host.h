/* Mirrors of this machine's own interfaces, by its kernel: what the providers of Linux hosts and of
 * virtual machines share. A *tap* here is one interface that is mirrored; a mirror has one or more.
 *
 * What a tap consists of, in the order it is made:
 *
 *     link       the tunnel's device, unless copies go out of an interface as they are
 *     route, neighbour   for copies of the IP layer: who is at the tunnel's other end
 *     clsact     the hook of tc, unless there is one
 *     filter     of tc: what is left out, then what copies; one of each direction
 *     nft        a table
 *     tee        rules of iptables
 *     carrier    a process that copies in user space
 *     unit       that makes all this again at the next start of the machine
 *
 * Marks: the link's alias "cloudspan NAME", the filters' cookie, the names of tables and chains,
 * the carrier's status file, the unit's name. A clsact qdisc can have no mark: that it is ours is
 * said by the link's alias and the cookies ("clsact"), or by the journal. */
#ifndef MIRROR_HOST_H
#define MIRROR_HOST_H

#include "linux/exclusion.h"
#include "linux/features.h"
#include "linux/link.h"
#include "linux/tc.h"
#include "mirror/option.h"
#include "mirror/provider.h"
#include "mirror/target.h"

enum host_method { HOST_AUTO, HOST_TC, HOST_NFT, HOST_USER, HOST_NFT_IP, HOST_TEE, HOST_N_METHODS };

enum host_direction { HOST_IN = MIRROR_IN, HOST_OUT = MIRROR_OUT, HOST_BOTH = MIRROR_BOTH };

/* "auto", "tc", …; NULL: no such one. */
const char *host_method_name(int method);
int host_parse_method(const char *text, int *out, struct err *err) MUST_CHECK;

/* What is wished, of all taps alike. Texts are borrowed from the command line. */
struct host_wish {
    struct mirror_target to;
    bool has_to, has_id, has_gateway, persist;
    uint32_t id;   /* of the first tap; each further one has one more */
    int method;    /* enum host_method */
    int direction; /* enum host_direction; 0: both */
    const char *filter;
    uint32_t snap;
    uint64_t rate; /* bytes a second; 0: no limit */
    const char *via;
    struct addr gateway;
    const char *netns;

    /* Said by the provider. */
    bool is_bridged; /* what is mirrored passes a bridge, and not this machine's IP layer */
    bool may_grow;   /* there may be more than one tap, now or later */
};

/* Options that all host providers have: the first rows of their tables, and what takes them. */
enum host_row {
    HOST_ROW_TO,
    HOST_ROW_ID,
    HOST_ROW_METHOD,
    HOST_ROW_DIRECTION,
    HOST_ROW_FILTER,
    HOST_ROW_SNAP,
    HOST_ROW_RATE,
    HOST_ROW_VIA,
    HOST_ROW_GATEWAY,
    HOST_ROW_PERSIST,
    HOST_N_ROWS
};
#define HOST_OPTION_ROWS                                                                           \
    [HOST_ROW_TO] = {0, "to", "KIND:ADDR[:PORT]", false,                                           \
                     "the collector: vxlan:10.9.0.2, geneve:, gre:, erspan1:, erspan2:,\n"         \
                     "erspan3:, [ADDR6] in brackets; or interface:NAME, copies as they are"},      \
    [HOST_ROW_ID] = {0, "id", "N", false,                                                          \
                     "VNI, GRE key or ERSPAN session id that the copies carry"},                   \
    [HOST_ROW_METHOD] = {0, "method", "METHOD", false,                                             \
                         "auto (default), tc, nft, user, nft-ip or tee; --list-methods"},          \
    [HOST_ROW_DIRECTION] = {0, "direction", "DIR", false,                                          \
                            "in, out or both (default), as the mirrored machine sees it"},         \
    [HOST_ROW_FILTER] = {0, "filter", "EXPR", false,                                               \
                         "only what this pcap-filter(7) lets through"},                            \
    [HOST_ROW_SNAP] = {0, "snap", "N", false, "only the first N bytes of a frame (user)"},         \
    [HOST_ROW_RATE] = {0, "rate-limit", "SIZE", false,                                             \
                       "at most so many bytes a second of each direction, K, M or G; what is\n"    \
                       "above passes without a copy (tc, nft, user)"},                             \
    [HOST_ROW_VIA] = {0, "via", "IFACE", false,                                                    \
                      "the interface that copies leave by (default: another one than the\n"        \
                      "mirrored one if the collector can be reached there)"},                      \
    [HOST_ROW_GATEWAY] = {0, "gateway", "ADDR", false,                                             \
                          "the neighbour that copies are handed to, for interface: with nft-ip\n"  \
                          "or tee"},                                                               \
    [HOST_ROW_PERSIST] = {0, "persist", NULL, false,                                               \
                          "also a systemd unit, which makes it again when the machine starts"},

int host_take(int row, const char *value, struct host_wish *wish, struct err *err) MUST_CHECK;
int host_check(const struct host_wish *wish, size_t n_taps, struct err *err) MUST_CHECK;

/* Whether it has all that is asked for: snap length, limit, filter, encapsulation. */
bool host_method_suits(int method, const struct host_wish *wish);

struct host_tap {
    char interface[16];
    uint32_t id;
    bool is_far_end; /* what it receives, the mirrored machine has sent: a tap, the end of a veth */
};

/* Which directions of the interface are mirrored: HOST_IN, HOST_OUT or both. */
int host_tap_directions(const struct host_wish *wish, const struct host_tap *tap);

/* What the machine says, asked once. */
struct host {
    char mark[MIRROR_NAME_MAX]; /* what its things are known by: "eth0"; ".web-1" */
    struct linux_link *links;
    size_t n_links;
    struct linux_feature_state features[LINUX_FEATURES];
    bool has_features;
    int home; /* the network namespace that this process came from, while it is in another; or -1 */

    /* The namespace is no more, and with it what was in it: a mirror in it can only be taken away.
     * Why: a sentence. */
    bool is_gone;
    struct err why_gone;
};

/* For job->state, of `size` bytes that begin with a struct host; the others are zero. `netns`: a
 * name or a process id, NULL: this one. */
int host_open(struct mirror_job *job, const char *netns, size_t size, struct err *err) MUST_CHECK;
void host_close(struct mirror_job *job);
int host_refresh(struct host *host, struct err *err) MUST_CHECK;

/* ---- what a tap should be (host_want.c, host_way.c) ---- */

/* How copies get to the collector, as the kernel's routes have it. `mirrored`: NULL where it is not
 * there yet. */
struct host_way {
    char out[16]; /* the interface they leave by */
    uint32_t out_index, mtu;
    struct addr source;   /* of the outer packets */
    bool passes_mirrored; /* they pass the mirrored interface, and have to be left out there */
};
/* `can_bind`: the tunnel's device can be told by which interface it leaves; else only the way that
 * the routes say is of use. */
int host_find_way(const struct host *host, const struct host_wish *wish,
                  const struct linux_link *mirrored, bool can_bind, struct host_way *out,
                  struct err *err) MUST_CHECK;

/* Refuses copies that would be copied again, by this mirror or by another one. `way`: NULL where
 * copies leave by an interface as they are (wish->to.device). */
int host_check_loops(const struct host *host, const struct host_wish *wish,
                     const struct linux_link *mirrored, const struct host_way *way,
                     struct err *err) MUST_CHECK;

/* Whether the tunnel's device can leave by one interface only; else copies go as the routes say. */
bool host_is_bound(int method, const struct host_wish *wish);

/* The method to take: what is wished, or the best that this kernel has. `why`: of auto. */
int host_choose(const struct mirror_job *job, const struct host_wish *wish,
                const struct linux_link *mirrored, int *out, char why[200],
                struct err *err) MUST_CHECK;
/* Whether this kernel has all that the method needs for this wish; else what lacks, a sentence. */
bool host_can(const struct host *host, int method, const struct host_wish *wish, char why[200]);

int host_want(struct mirror_job *job, const struct host_wish *wish, const struct host_tap *taps,
              size_t n, struct mirror_set *out, struct text *remarks, struct err *err) MUST_CHECK;

/* The tunnel's device of a tap. */
void host_device_name(const char *mirror, const char *interface, char out[16]);

/* ---- marks (host_mark.c) ---- */

/* Mirrors of two providers are in one kernel: what is known by the name of a mirror of `linux` is,
 * of one of `vm`, known by the name behind a point, with which no name begins. `mark` of a mirror,
 * and its name again (host_read_mark: NULL: it is of the other provider). */
#define HOST_MARKED_MAX (MIRROR_NAME_MAX - 1) /* of a mirror of `vm`: its name with the NUL */
const char *host_name_of(const char *mark);
void host_put_mark(const struct mirror_job *job, char out[MIRROR_NAME_MAX]);
const char *host_read_mark(const struct mirror_job *job, const char *mark);
const char *host_mark(const struct mirror_job *job);

/* "cloudspan NAME" and " clsact" where that is ours, too. */
void host_put_alias(const char *mirror, bool owns_clsact, char out[LINUX_ALIAS_MAX]);
bool host_read_alias(const char *alias, char out_mirror[MIRROR_NAME_MAX], bool *out_owns_clsact);

struct host_cookie {
    bool owns_clsact;
    uint8_t mirror[6];  /* of the mirror's name */
    uint8_t content[6]; /* of what cannot be read back: the program, the limit */
};
void host_name_mark(const char *mirror, uint8_t out[6]);
void host_content_mark(const void *bytes, size_t size, uint8_t out[6]);
void host_put_cookie(const struct host_cookie *cookie, uint8_t out[LINUX_TC_COOKIE_MAX]);
bool host_read_cookie(const uint8_t *bytes, size_t size, struct host_cookie *out);

/* ---- what there is, making, unmaking ---- */

int host_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
int host_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
               struct err *err);
int host_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
int host_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);

/* One marked frame out of each tap: it has to come out once. */
int host_prove(struct mirror_job *job, const struct host_wish *wish, const struct host_tap *taps,
               size_t n, struct text *said, struct err *err) MUST_CHECK;

int host_measure(struct mirror_job *job, const struct mirror_set *found,
                 struct mirror_measures *out, struct err *err);
int host_sources(struct mirror_job *job, const struct host_wish *wish, const struct host_tap *taps,
                 size_t n, struct mirror_sources *out, struct err *err) MUST_CHECK;

/* "vxlan:101@10.9.0.1": how the copies of a tap are known at the collector. */
int host_put_channel(const struct mirror_job *job, const struct host_wish *wish,
                     const struct host_tap *tap, char out[MIRROR_CHANNEL_MAX],
                     struct err *err) MUST_CHECK;
/* All but the name, the channels and the addresses. */
void host_put_source(const struct mirror_job *job, const struct host_wish *wish,
                     struct mirror_source *out);

void host_describe(const struct mirror_object *object, struct text *out);
void host_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                  struct text *out);

/* --list-methods. */
int host_list_methods(bool json, struct text *out, struct err *err) MUST_CHECK;

#endif
