/* Networks: address spaces that may hold the same addresses (VPCs, projects, sites), and which of
 * them a channel of the mirror belongs to. With nothing said there is one, named "default". */
#ifndef SOURCE_NETWORK_H
#define SOURCE_NETWORK_H

#include "base/err.h"
#include "net/addr.h"

#define NETWORK_NAME_MAX 40
#define NETWORK_UUID_LEN 36

struct network_list;
struct tunnel_decoder;

struct network_list *network_list_new(void);
void network_list_free(struct network_list *list);

/* "NAME=SELECTOR[,SELECTOR…]": a SELECTOR is KIND:ID (vxlan:101), an ID of any kind, or an outer
 * address or prefix of the senders (10.1.0.0/16). The same name may be added to several times. */
int network_list_add(struct network_list *list, const char *text, struct err *err) MUST_CHECK;

/* The number of the network of this name, which is made where there is none yet; negative: refused.
 */
int network_list_number(struct network_list *list, const char *name, struct err *err) MUST_CHECK;

/* The network's number for a channel; 0: the default one. The first selector that fits decides. */
uint16_t network_of(const struct network_list *list, const struct tunnel_decoder *decoder,
                    const struct addr *outer, bool has_id, uint32_t id);

const char *network_name(const struct network_list *list, uint16_t number);

/* RFC 9562 version 8, made of the name: the same for all runs and collectors. Not NUL-ended. */
const char *network_uuid(const struct network_list *list, uint16_t number);

#endif
