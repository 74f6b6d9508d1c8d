/* What the providers of clouds have in common: the machines of a cloud with their network
 * interfaces, which of them the user wants, the id that each one's copies carry, what `status` says
 * of coverage, and what the collector's watch gets to know.
 *
 *     wish:    cloud_select_take() of the common options
 *     want:    the provider lists all interfaces into an inventory, and says why one can't be
 *              mirrored; cloud_select() takes out what was not asked for; cloud_give_ids() numbers
 *              the rest; the provider wants an object for each that is left
 *     status:  cloud_cover() of the inventory and what was found
 *     record:  cloud_sources() */
#ifndef MIRROR_CLOUD_H
#define MIRROR_CLOUD_H

#include "cloud/http.h"
#include "mirror/provider.h"

#define CLOUD_NICS_MAX      20000
#define CLOUD_ADDRESSES_MAX 8

enum cloud_fate {
    CLOUD_WANTED,
    CLOUD_NOT_SELECTED, /* the user did not ask for it */
    CLOUD_EXCLUDED,     /* the user asked not to */
    CLOUD_UNFIT,        /* it can't be mirrored: `why` */
    CLOUD_OWN,          /* the collector's: mirroring it would be a loop */
};

/* A network interface. Texts are owned, and never NULL ("" is not known). */
struct cloud_nic {
    char *id;      /* what the cloud calls it: eni-…, a UUID, /subscriptions/… */
    char *machine; /* what the cloud calls its machine: i-…; "": it has none */
    char *name;    /* the machine's, for people: its tag Name; "": the id serves */
    char *network; /* VPC, virtual network */
    char *subnet;  /* id; a selection may name it by id or by name or by CIDR */
    char *subnet_name;
    char *zone;
    char *type;      /* of the machine: m5.large */
    char *outer;     /* the address its copies come from, where the cloud says so */
    char *collector; /* where its copies go, where not all of the mirror go to one; "any": to all */
    char mac[18];    /* lower case; "" */
    char addresses[CLOUD_ADDRESSES_MAX][48]; /* "" ends */
    json_t *tags;   /* owned object of texts: the machine's, then the interface's own */
    uint32_t order; /* 0: the machine's first */
    enum cloud_fate fate;
    char why[200];      /* of a fate that is not CLOUD_WANTED: "interface type lambda" */
    uint32_t id_number; /* VNI, key or session that its copies carry */
    bool has_id;
};

struct cloud_inventory {
    struct cloud_nic *at;
    size_t n, capacity;
    bool failed; /* memory, or CLOUD_NICS_MAX; asked once */
};

/* NULL: no memory, or too many. Good until the next one is added. Texts are copied; members that
 * take texts are set by cloud_nic_text(&nic->zone, "…"), and have no control characters: people
 * read them. */
struct cloud_nic *cloud_inventory_add(struct cloud_inventory *inventory, const char *id);
void cloud_nic_text(struct cloud_inventory *inventory, char **member, const char *text);
/* In the one form that addresses have here; what is none, is there already or is too much is left
 * out. */
void cloud_nic_address(struct cloud_nic *nic, const char *address);
void cloud_inventory_done(struct cloud_inventory *inventory);
/* What a machine is called: its name, else its id, else the interface's id. */
const char *cloud_nic_label(const struct cloud_nic *nic);

/* ---- which of them: --tag, --subnet, --instance, --exclude, --zone ---- */

struct cloud_select {
    /* Expressions of tags, in the order given; all must hold.
     *   env=prod and not (role=db or role=cache)   Name=web-*   backup   "a key"="a value" */
    const char *tags[16], *exclude[16];
    const char *subnets[64], *machines[256], *zones[16]; /* ids, names or patterns with * and ? */
    size_t n_tags, n_exclude, n_subnets, n_machines, n_zones;
    bool all; /* --all-machines: without it and without any of these, a selection is asked for */
};

/* Rows of options; a provider puts CLOUD_SELECT_ROWS at the start of its table, and gives rows
 * below CLOUD_N_SELECT to cloud_select_take(). */
enum {
    CLOUD_ROW_TAG,
    CLOUD_ROW_SUBNET,
    CLOUD_ROW_MACHINE,
    CLOUD_ROW_ZONE,
    CLOUD_ROW_EXCLUDE,
    CLOUD_ROW_EVERY,
    CLOUD_N_SELECT
};
#define CLOUD_SELECT_ROWS                                                                          \
    [CLOUD_ROW_TAG] = {0, "tag", "EXPR", false,                                                    \
                       "machines whose tags fulfil this: KEY, KEY=VALUE with * and ?, and, or,\n"  \
                       "not, (); may be repeated: all must hold"},                                 \
    [CLOUD_ROW_SUBNET] = {0, "subnet", "NAME", false,                                              \
                          "interfaces in this subnet, by id or name; may be repeated"},            \
    [CLOUD_ROW_MACHINE] = {0, "instance", "NAME", false,                                           \
                           "this machine, by id or name, with * and ?; may be repeated"},          \
    [CLOUD_ROW_ZONE] = {0, "zone", "NAME", false, "machines in this zone; may be repeated"},       \
    [CLOUD_ROW_EXCLUDE] = {0, "exclude", "EXPR", false,                                            \
                           "but not those whose tags fulfil this; may be repeated"},               \
    [CLOUD_ROW_EVERY] = {0, "all-instances", NULL, false, "all machines"}

int cloud_select_take(int row, const char *value, struct cloud_select *select,
                      struct err *err) MUST_CHECK;
/* Whether the expression holds; err says where it is wrong ("--tag: …"). */
int cloud_tag_check(const char *option, const char *expression, struct err *err) MUST_CHECK;
bool cloud_tag_holds(const char *expression, const json_t *tags);
bool cloud_select_is_empty(const struct cloud_select *select);
/* Sets the fate of each that is still CLOUD_WANTED. Remarks are: names that no interface has, tags
 * that no machine has, and those that were asked for and are CLOUD_UNFIT, by reason. */
void cloud_select(const struct cloud_select *select, struct cloud_inventory *inventory,
                  struct text *remarks);

/* ---- ids ---- */

struct cloud_ids {
    uint32_t min, max;     /* both included */
    const uint32_t *taken; /* by others */
    size_t n_taken;
};

/* Gives each wanted interface an id: the one that `kept` (object: interface's id -> number; what
 * exists, or the journal knows) has for it, else one that follows from the mirror's name and the
 * interface's id, so that a mirror made anew has the same; the next free one where it is taken.
 * A kept one outside of the range, or that others have taken, is not kept. That of an interface
 * which is no longer wanted is given to another one only when there are no others.
 * -ENOSPC: there are none left. */
int cloud_give_ids(const char *mirror, const json_t *kept, const struct cloud_ids *ids,
                   struct cloud_inventory *inventory, struct err *err) MUST_CHECK;

/* ---- what is said of it ---- */

/* `has`: whether an interface is mirrored now; else why not, in `why`. */
int cloud_cover(const struct cloud_inventory *inventory,
                bool (*has)(const struct cloud_nic *nic, char why[200], void *with), void *with,
                struct mirror_coverage *out, struct err *err) MUST_CHECK;

/* One source for each machine with wanted interfaces: a channel "KIND:ID@OUTER" each where it has
 * an id, its MACs and addresses. `kind`: "vxlan", "gre" …, and interfaces without an id are left
 * out, for they send nothing; NULL: no channels. Each gets the members of `like` that are not of a
 * machine; where the collector is not known, it is "any". Where interfaces of one machine have
 * several collectors, it is several sources, as where not all that it has fits into one. Which
 * machine a source is says its `machine`: to the name something may have been added. */
int cloud_sources(const struct cloud_inventory *inventory, const char *kind,
                  const struct mirror_source *like, struct mirror_sources *out,
                  struct err *err) MUST_CHECK;

/* Prices, with their date, as a remark: "about 21 USD a day (2 sessions, 0.015 USD an hour each;
 * prices of us-east-1 as of 2026-11)". */
void cloud_put_cost(struct text *out, size_t n, const char *unit, double usd_an_hour,
                    const char *as_of);

#endif
