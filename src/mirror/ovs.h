/* Mirrors of Open vSwitch, by its database: what the files of this provider share.
 *
 * A mirror is one row of the table Mirror and, where the copies go through a tunnel, one port with
 * that tunnel; both carry external_ids:cloudspan=NAME. It is made, changed and unmade in one
 * transaction.
 *
 * ovs-vswitchd keeps the flows that it computed before, as long as packets use them: a mirror that
 * is added to, or taken from, ports that are there already has no effect on the traffic that flows
 * already. What makes it compute all flows anew is a port that comes or goes. So where no tunnel
 * does, the transaction has a port of its own in it, a *nudge*, which goes when ovs-vswitchd has
 * seen it. */
#ifndef MIRROR_OVS_H
#define MIRROR_OVS_H

#include "linux/ovsdb.h"
#include "mirror/option.h"
#include "mirror/provider.h"
#include "mirror/target.h"

#define OVS_MARK "cloudspan" /* external_ids: the mirror's name */
#define OVS_MARK_SINCE                                                                             \
    "cloudspan-since" /* when it was made, and what its ports had seen by then                     \
                       */

#define OVS_NAME_MAX    16 /* of ports, with the NUL: what datapaths take */
#define OVS_MIRRORS_MAX 32 /* of a bridge */

enum ovs_direction { OVS_IN = MIRROR_IN, OVS_OUT = MIRROR_OUT, OVS_BOTH = MIRROR_BOTH };

struct ovs_wish {
    const char *bridge; /* borrowed of the command line, as `where` */
    const char *where;  /* the database; NULL: this machine's */
    json_t *ports;      /* names, sorted; may be NULL or empty */
    json_t *uplinks;    /* names: where the copies leave */
    json_t *vlans;      /* numbers, sorted */
    bool all;
    int direction; /* enum ovs_direction, as the machine behind the port sees it; 0: both */
    struct mirror_target to;
    bool has_to, has_id;
    uint32_t id;
    uint32_t snap; /* bytes; 0: whole frames */
    bool csum;
};

/* ---- what the database says (ovs_state.c) ---- */

enum ovs_table { OVS_ROOT, OVS_BRIDGE, OVS_PORT, OVS_INTERFACE, OVS_MIRROR, OVS_N_TABLES };

/* job->state. Rows are borrowed until the next look. */
struct ovs {
    struct ovsdb *db;
    json_t *rows;    /* of the last look; NULL: there was none */
    bool is_changed; /* this run made or changed the mirror: there is something to prove */
};

int ovs_look(struct ovs *ovs, struct err *err) MUST_CHECK;
const json_t *ovs_row(const struct ovs *ovs, enum ovs_table table, size_t i);
const json_t *ovs_by_uuid(const struct ovs *ovs, enum ovs_table table, const char *uuid);
const json_t *ovs_by_name(const struct ovs *ovs, enum ovs_table table, const char *name);

const json_t *ovs_get(const json_t *row, const char *column);
const char *ovs_uuid(const json_t *row);
const char *ovs_name(const json_t *row);

/* The mirror that a row is part of; NULL: it is not ours. */
const char *ovs_mark(const json_t *row);
bool ovs_is_ours(const json_t *row, const char *mirror);

/* Whether the bridge has the port. */
bool ovs_is_on(const json_t *bridge, const json_t *port);
const json_t *ovs_bridge_of(const struct ovs *ovs, const json_t *port);
/* The i-th of the bridge's mirrors, or ports; NULL: there are fewer. */
const json_t *ovs_mirror_of(const struct ovs *ovs, const json_t *bridge, size_t i);
const json_t *ovs_port_of(const struct ovs *ovs, const json_t *bridge, size_t i);
/* The port's i-th interface. */
const json_t *ovs_interface_of(const struct ovs *ovs, const json_t *port, size_t i);

/* Names of the rows that a column with references has, sorted. */
json_t *ovs_names_of(const struct ovs *ovs, enum ovs_table table, const json_t *references);
json_t *ovs_sorted(json_t *array); /* takes it over */
bool ovs_list_has(const json_t *names, const char *name);

/* Packets of the selected ports until now, as the ports' interfaces count them. One that comes in
 * at a selected port and leaves by another is counted twice, and copied once; one that is sent to
 * all, oftener. */
struct ovs_seen {
    uint64_t n;
    uint64_t least; /* so many copies there have to be, whatever came from where */
};

/* False: that cannot be said. */
bool ovs_count_seen(const struct ovs *ovs, const json_t *bridge, const json_t *is,
                    struct ovs_seen *out);

/* ---- what should be there (ovs_want.c, ovs_way.c) ---- */

/* Attributes of the object "mirror", whose key is the bridge's name:
 *   select_all, select_src_port, select_dst_port, select_vlan, snaplen   as in the table Mirror,
 *                                                       with the ports' names, sorted
 *   output_port, output_vlan   "" and 0: not this
 *   type, options:…            of the tunnel; type "": the output is no tunnel of ours
 *   vlan_mode, tag             of its port: which tags come off the copies; "" and 0: none
 *   leftovers                  ports of ours that are not the output */
int ovs_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err);

/* The tunnel's port, and the nudge. */
void ovs_put_port_name(const char *mirror, char out[OVS_NAME_MAX]);
void ovs_put_nudge_name(const char *mirror, char out[OVS_NAME_MAX]);

/* How the copies leave this machine. */
struct ovs_way {
    bool is_known; /* the database is this machine's, so that its routes are the right ones */
    char interface[16];
    uint32_t mtu;
    struct addr source;
};

/* Refuses a way that there is not, and one that the mirror would mirror. */
int ovs_check_way(const struct ovs *ovs, const struct ovs_wish *wish, const json_t *bridge,
                  struct ovs_way *out, struct text *remarks, struct err *err) MUST_CHECK;

/* ---- making (ovs_make.c), finding (ovs_find.c), counting (ovs_measure.c) ---- */

int ovs_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
int ovs_change(struct mirror_job *job, const struct mirror_object *have,
               const struct mirror_object *want, struct err *err);
int ovs_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);
/* Whether ovs-vswitchd runs. */
int ovs_is_running(const struct ovs *ovs, bool *out, struct err *err) MUST_CHECK;

int ovs_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
/* The first mirror of ours on the bridge; NULL: there is none. */
const json_t *ovs_our_mirror(const struct ovs *ovs, const json_t *bridge, const char *mirror);
/* Its attributes, without those of a tunnel; of no mirror: the bridge alone. */
json_t *ovs_object_of(const struct ovs *ovs, const json_t *bridge, const json_t *mirror);
int ovs_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
              struct err *err);
int ovs_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err);
int ovs_prove(struct mirror_job *job, struct text *said, struct err *err);

/* ---- showing (ovs_show.c) ---- */

int ovs_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err);
void ovs_describe(const struct mirror_object *object, struct text *out);
void ovs_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                 struct text *out);

#endif
