/* OpenStack's Networking API v2.0, and Tap as a Service in it: lists with all their pages, what the
 * cloud offers, quotas, and refusals in words that help. Nova's list of servers is here, too. */
#ifndef CLOUD_NEUTRON_H
#define CLOUD_NEUTRON_H

#include "cloud/rest.h"

#define NEUTRON_LIST_MAX 20000

struct neutron {
    struct cloud_rest rest; /* whose base ends with /v2.0 after neutron_init() */
};

/* Puts the version behind the address that the catalogue has, where it is not there. */
int neutron_init(struct neutron *neutron, const struct cloud_rest *rest,
                 struct err *err) MUST_CHECK;

/* All of a collection: "ports", "taas/tap_flows". `query`: "device_id=…&status=DOWN", escaped;
 * NULL: none. *out is a list of objects, owned by the caller. */
int neutron_all(struct neutron *neutron, const char *collection, const char *query, json_t **out,
                struct err *err) MUST_CHECK;

/* One of it: `resource` is what its object is called, "port". *out is that object. -ENOENT. */
int neutron_get(struct neutron *neutron, const char *collection, const char *resource,
                const char *id, json_t **out, struct err *err) MUST_CHECK;

/* Makes or changes (id is given) one; `attributes` is taken over, also when it fails. *out may be
 * NULL. */
int neutron_put(struct neutron *neutron, const char *collection, const char *resource,
                const char *id, json_t *attributes, json_t **out, struct cloud_refusal *refusal,
                struct err *err) MUST_CHECK;

/* Of what is gone already: 0. */
int neutron_delete(struct neutron *neutron, const char *collection, const char *id,
                   struct err *err) MUST_CHECK;

/* Aliases of the extensions that the cloud has, as an object whose keys they are. */
int neutron_extensions(struct neutron *neutron, json_t **out, struct err *err) MUST_CHECK;

/* How many of a resource ("tap_flow") the project may have, and has. *limit is -1 where there is no
 * limit, or the cloud does not say; *used -1 where it does not say. */
void neutron_quota(struct neutron *neutron, const char *project, const char *resource,
                   int64_t *limit, int64_t *used);

/* Servers of the project with their names and tags, by Nova: `nova` is its service. */
int neutron_servers(struct cloud_rest *nova, json_t **out, struct err *err) MUST_CHECK;

#endif
