/* What the files of the configuration share among themselves: see config.h for everybody else. */
#ifndef SENSOR_CONFIG_PARTS_H
#define SENSOR_CONFIG_PARTS_H

#include "sensor/config.h"

/* The keys whose rows are known when this is built; `hunts` lacks its own. */
extern const struct yaml_row config_rows[];

/* The rows of all keys, with those that hunts bring. NULL: no memory. */
struct config_table *config_table_new(void);
void config_table_free(struct config_table *table);
const struct yaml_row *config_table_rows(const struct config_table *table);

/* Puts the defaults into zeroed memory; false: no memory. */
bool config_set_defaults(struct config *config);

extern const struct yaml_form config_form_address;  /* struct config_address */
extern const struct yaml_form config_form_mac;      /* struct config_mac */
extern const struct yaml_form config_form_prefix;   /* struct config_prefix */
extern const struct yaml_form config_form_channel;  /* struct config_channel */
extern const struct yaml_form config_form_endpoint; /* struct config_endpoint */
extern const struct yaml_form config_form_forward;  /* struct config_forward */
extern const struct yaml_form config_form_tap;      /* struct config_tap */
extern const struct yaml_form config_form_wrap;     /* struct config_wrap */
extern const struct yaml_form config_form_listener; /* struct config_listener, short */
extern const struct yaml_form config_form_udp;      /* struct config_listener, its keys … */
extern const struct yaml_form config_form_gre;
extern const struct yaml_form config_form_interface;
extern const struct yaml_form config_form_over_ip;
extern const struct yaml_form config_form_buffer; /* uint64_t; 0 is not written */
extern const struct yaml_form config_form_lost;   /* struct config_lost */

void config_wrap_put(const struct config_wrap *wrap, FILE *out);

/* The defaults of what was not said, and what does not go together. */
int config_listener_finish(void *listener, struct err *err);

/* "[ADDR:]PORT", "[V6]:PORT", "ADDR" where `port` has a default (not 0) before. */
int config_parse_endpoint(const char *text, bool needs_addr, struct addr *addr, uint16_t *port,
                          struct err *err) MUST_CHECK;
bool config_parse_interface(const char *text, char out[CONFIG_INTERFACE_MAX]);
void config_put_endpoint(const struct addr *addr, uint16_t port, FILE *out);

/* What one value alone does not show: names, networks; makes config->network_list. */
int config_check(struct config *config, struct err *err) MUST_CHECK;

/* Makes config->index; two sources with the same channel, address or MAC are refused. */
int config_index_make(struct config *config, struct err *err) MUST_CHECK;
void config_index_free(struct config_index *index);

/* An empty one with its defaults, to which files are added. */
int config_new(struct config **out, struct err *err) MUST_CHECK;

/* Adds one file; the records of mirrors. */
int config_add_file(struct config *config, const char *path, struct err *err) MUST_CHECK;
int config_add_records(struct config *config, struct err *err) MUST_CHECK;

/* Names of the .yaml and .yml files in a folder, by their bytes, for free(): each, and the list.
 * A folder that is not there has none. */
int config_list_files(const char *folder, char ***out, size_t *out_n, struct err *err) MUST_CHECK;

/* "FILE: sentence (line L, column C)end". */
int config_refuse(const struct config *config, const struct yaml_place *place, struct err *err,
                  const char *end, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
