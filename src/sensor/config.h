/* The configuration of `cloudspan watch`: what its YAML files say, as plain data, and which machine
 * a channel, an address or a MAC belongs to. All of it is made at once by config_load and does not
 * change until config_free; on a reload a second one is loaded, and takes the place of the first
 * only when it is good.
 *
 * What each key means is in the table of config_schema.c, which config_reference prints. */
#ifndef SENSOR_CONFIG_H
#define SENSOR_CONFIG_H

#include "base/yaml.h"
#include "hunt/config.h"
#include "net/addr.h"
#include "tunnel/stack.h"

struct network_list;

#define CONFIG_FILE "/etc/cloudspan/cloudspan.yaml"

/* In the state folder (base/state.h): what `cloudspan mirror apply` recorded, here or elsewhere. */
#define CONFIG_RECORDS "sources"

/* In a record: it is for every collector that has it in its state folder. */
#define CONFIG_ANY_COLLECTOR "any"

#define CONFIG_NAME_MAX      64  /* of a source, with its NUL */
#define CONFIG_INTERFACE_MAX 16  /* of an interface, with its NUL */
#define CONFIG_MAX_OF_SOURCE 256 /* channels, addresses, MACs */
#define CONFIG_MAX_SOURCES   16384
#define CONFIG_MAX_NETWORKS  1000
#define CONFIG_MAX_FILES     256

/* What a listener's packets are wrapped in. */
enum config_wrap_kind {
    CONFIG_WRAP_DEFAULT, /* not said; config_load puts what fits in its place */
    CONFIG_WRAP_AUTO,    /* a mirror's packets for this host's own addresses; the rest is plain */
    CONFIG_WRAP_NONE,    /* what comes is the monitored traffic */
    CONFIG_WRAP_RAW,     /* of a UDP datagram: it holds a frame and nothing else */
    CONFIG_WRAP_LAYERS,
};

struct config_wrap {
    int kind; /* enum config_wrap_kind */
    uint8_t n_layers;
    const struct tunnel_decoder *layers[STACK_MIRROR_MAX]; /* outermost first */
};

/* "vxlan", "geneve+vxlan", "gre-in-udp", "raw", "auto", "none". */
int config_parse_wrap(const char *text, struct config_wrap *out, struct err *err) MUST_CHECK;

enum config_listener_kind {
    CONFIG_LISTEN_NOTHING, /* never in a loaded configuration */
    CONFIG_LISTEN_UDP,
    CONFIG_LISTEN_GRE,          /* a raw IP socket: GRE and ERSPAN */
    CONFIG_LISTEN_INTERFACE,    /* AF_PACKET */
    CONFIG_LISTEN_PCAP_OVER_IP, /* a TCP connection that a capture comes through */
    CONFIG_LISTEN_STDIN,        /* a capture on standard input */
};

struct config_listener {
    int kind; /* enum config_listener_kind */
    struct config_wrap wrap;
    struct addr addr; /* UDP, GRE: "::" is every address of both families */
    uint16_t port;    /* UDP, pcap-over-IP */
    char interface[CONFIG_INTERFACE_MAX];
    char *host;      /* pcap-over-IP; owned */
    uint64_t buffer; /* UDP, GRE: of the socket, bytes */
    uint64_t ring;   /* interface: bytes */
    char *filter;    /* interface: a pcap filter for the kernel; owned; or NULL */
    bool drop_vlan;  /* the outermost tag of the monitored frame is taken off */
    struct yaml_place place;
};

/* "udp::ADDR:PORT:KIND" as Zeek spells it, or short: "vxlan", "geneve:6081", "gre", "gre:ADDR",
 * "interface:NAME", "pcap-over-ip:HOST:PORT", "-". `out` has all its defaults then; give it to
 * config_listener_done. */
int config_parse_listener(const char *text, struct config_listener *out,
                          struct err *err) MUST_CHECK;
void config_listener_done(struct config_listener *listener);

struct config_prefix {
    struct addr net;
    uint8_t bits; /* of 128: an IPv4 prefix has 96 more */
};

bool config_prefix_has(const struct config_prefix *prefix, const struct addr *addr);

/* "KIND[:ID][@OUTER[/BITS]]", or an id of any kind, or an outer address or prefix alone. */
struct config_channel {
    const struct tunnel_decoder *decoder; /* NULL: any */
    bool erspan;                          /* any type of ERSPAN; decoder is NULL */
    bool has_id, has_outer;
    uint32_t id;
    struct config_prefix outer;
    struct yaml_place place;
};

int config_parse_channel(const char *text, struct config_channel *out, struct err *err) MUST_CHECK;
void config_put_channel(const struct config_channel *channel, FILE *out);

struct config_address {
    struct addr addr;
    struct yaml_place place;
};

struct config_mac {
    uint8_t b[6];
    struct yaml_place place;
};

struct config_network {
    char *name;
    uint16_t number; /* in config->network_list */
    struct config_channel *channels;
    size_t n_channels;
    struct config_prefix *addresses; /* that are inside; none: not known */
    size_t n_addresses;
    struct yaml_place place;
};

enum config_direction { CONFIG_BOTH, CONFIG_IN, CONFIG_OUT };

/* A count that need not be there. */
struct config_lost {
    bool has;
    uint64_t n;
};

/* A monitored machine. */
struct config_source {
    char *name;
    char *network_name;     /* NULL: its first channel's network */
    uint16_t network;       /* its number in config->network_list */
    int direction;          /* enum config_direction: what its mirror was asked for */
    bool filtered;          /* its mirror has a filter: missing copies prove nothing */
    bool canary, drop_vlan; /* of config->canary.enabled; as a listener's */
    uint32_t truncate;      /* bytes its mirror cuts packets to on purpose; 0: it does not */
    struct config_lost lost_before; /* packets that the cloud says it could not mirror */
    char *collector;                /* of a record: whose machine this is; NULL: the record's */
    char *machine;                  /* of a record: its cloud's id of it; NULL: not known */
    struct config_channel *channels;
    size_t n_channels;
    struct config_address *addresses;
    size_t n_addresses;
    struct config_mac *macs;
    size_t n_macs;
    struct yaml_place place;
};

/* An address and a port to serve on, or off. */
struct config_endpoint {
    bool on;
    struct addr addr;
    uint16_t port;
};

/* A collector to which all packets are sent on. */
struct config_forward {
    const struct tunnel_decoder *decoder; /* vxlan */
    struct addr addr;
    uint16_t port;
};

struct config_tap {
    char name[CONFIG_INTERFACE_MAX];
};

enum config_admit { CONFIG_ADMIT_AUTO, CONFIG_ADMIT_CONFIGURED, CONFIG_ADMIT_ALL };

struct config_logs {
    char *folder;   /* NULL: none are written */
    int format;     /* enum log_format */
    int64_t rotate; /* ns; 0: never */
    int64_t keep;   /* ns; 0: for ever */
    uint8_t disk_share;
    bool utc, community_id, ja3, ja4;
};

struct config_pcap {
    char *folder; /* NULL: none are written */
    uint64_t rotate_size;
    int64_t rotate_time, keep; /* ns; 0: never, for ever */
    uint8_t disk_share;
    bool per_source;
    uint32_t snap_length; /* 0: whole packets */
};

struct config {
    struct config_listener *listeners;
    size_t n_listeners;
    struct config_network *networks;
    size_t n_networks;
    struct config_source *sources;
    size_t n_sources;
    size_t n_named; /* of the sources: so many the files say themselves; records say the rest */
    int admit;      /* enum config_admit */
    char *filter;   /* a pcap filter for the inner packet; or NULL */
    struct {
        bool enabled;
        int64_t interval; /* ns */
        struct config_address *from;
        size_t n_from;
        uint32_t *ports;
        size_t n_ports;
    } canary;
    struct {
        bool remove;
        int64_t window; /* ns */
    } duplicates;
    struct {
        struct config_logs logs;
        struct config_pcap pcap;
        struct config_tap *taps;
        size_t n_taps;
        struct config_forward *forwards;
        size_t n_forwards;
        char *stream; /* a path, "-" is standard output; NULL: none */
    } outputs;
    struct {
        uint64_t memory;          /* bytes; 0: a share of the machine's */
        uint32_t workers;         /* 0: by the processors */
        uint32_t sources;         /* channels and machines that are told apart */
        uint32_t rate_per_source; /* packets a second; 0: no limit */
    } limits;
    struct config_endpoint metrics;
    char *socket; /* NULL: where the command may put it */
    char **on_alarm;
    size_t n_on_alarm;
    char *user;      /* NULL: the one who started it */
    char *collector; /* of the last file that said one: no more than a word there; or NULL */
    struct hunt_config hunts;

    struct config_table *table; /* the rows of all keys */

    /* Made of the above by config_load. */
    struct network_list *network_list;
    struct config_index *index;
    char **files; /* that were read, in their order; of struct yaml_place */
    size_t n_files;
};

/* Reads `path` and then the .yaml files of conf.d beside it, by name; later ones add to lists and
 * replace single values. After them what mirrors recorded, as far as it is for a collector with an
 * address of this machine, and no source of it has a name that is there already. NULL: CONFIG_FILE
 * where there is one, else the defaults. On failure *out is left as it was. */
int config_load(const char *path, struct config **out, struct err *err) MUST_CHECK;
/* These files and no others. */
int config_load_files(const char *const *paths, size_t n, struct config **out,
                      struct err *err) MUST_CHECK;
/* A text instead of a file; `name` is what errors call it. */
int config_load_text(const char *text, size_t size, const char *name, struct config **out,
                     struct err *err) MUST_CHECK;
void config_free(struct config *config);

/* The same configuration with what the records of mirrors say now; its own files are not read
 * again: they may be half edited. `config` is of config_load, in the same process. */
int config_load_records(const struct config *config, struct config **out,
                        struct err *err) MUST_CHECK;
/* Another number as soon as a record came, went or was written anew, or this machine's addresses,
 * by which it knows its records, are other ones. */
uint64_t config_records_mark(void);
/* Whether both say the same of the machine, but for what its cloud lost. */
bool config_source_is_same(const struct config_source *a, const struct config_source *b);

/* All of it as one document, with the defaults; what is loaded from that is the same. */
void config_dump(const struct config *config, FILE *out);

/* Every key, what it takes, its default and what it is for. */
void config_reference(FILE *out);
int config_each_key(int (*each)(const char *path, const struct yaml_row *row, void *with),
                    void *with);

/* Whether senders that no source names are accepted. */
bool config_admits_all(const struct config *config);

/* For the packet side: no allocation, a few hashes at most. The index of the source, or -1. Of
 * several sources that fit, the channel that says more decides: one with an id before one without,
 * then one with a kind, then the longest prefix. */
int config_source_of_channel(const struct config *config, const struct tunnel_decoder *decoder,
                             bool has_id, uint32_t id, const struct addr *outer);
/* `network` is a number of config->network_list. */
int config_source_of_address(const struct config *config, uint16_t network,
                             const struct addr *inner);
int config_source_of_mac(const struct config *config, uint16_t network, const uint8_t mac[6]);

#endif
