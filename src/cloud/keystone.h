/* OpenStack: who asks, by Keystone's Identity API v3, and where its services are. Credentials come
 * from the environment (OS_*) and from clouds.yaml, as openstackclient has them. */
#ifndef CLOUD_KEYSTONE_H
#define CLOUD_KEYSTONE_H

#include "cloud/rest.h"

struct keystone;

/* All may be NULL: then the environment and the files say. Borrowed until keystone_open() is done.
 */
struct keystone_options {
    const char *cloud; /* of clouds.yaml */
    const char *region;
    const char *project; /* name or id */
};

/* Asks for a token of a project. -ENOKEY: nothing says who asks; the sentence lists what was tried.
 * -EACCES: Keystone does not believe it. */
int keystone_open(const struct keystone_options *options, struct cloud_http *http,
                  struct keystone **out, struct err *err) MUST_CHECK;
void keystone_close(struct keystone *keystone);

/* The id of the project that the token is for. */
const char *keystone_project(const struct keystone *keystone);
/* Where the credentials come from: "cloud web of /etc/openstack/clouds.yaml". */
const char *keystone_origin(const struct keystone *keystone);

/* Of the catalogue, or what overrides it: fills in `out`, whose calls have the token then, which is
 * renewed when it ends. `type`: "network", "compute". `version`: what of a service's API version to
 * ask for, "compute 2.26"; NULL: none. -ENOENT: the catalogue has it not. `out` is good as long as
 * `keystone`. */
int keystone_service(struct keystone *keystone, const char *type, const char *name,
                     const char *version, struct cloud_rest *out, struct err *err) MUST_CHECK;

#endif
