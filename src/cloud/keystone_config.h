/* Who asks an OpenStack cloud, and where it is: OS_* of the environment, clouds.yaml, secure.yaml.
 */
#ifndef CLOUD_KEYSTONE_CONFIG_H
#define CLOUD_KEYSTONE_CONFIG_H

#include "base/err.h"

enum keystone_key {
    KEYSTONE_AUTH_TYPE,
    KEYSTONE_AUTH_URL,
    KEYSTONE_USERNAME,
    KEYSTONE_USER_ID,
    KEYSTONE_PASSWORD,
    KEYSTONE_USER_DOMAIN_NAME,
    KEYSTONE_USER_DOMAIN_ID,
    KEYSTONE_PROJECT_NAME,
    KEYSTONE_PROJECT_ID,
    KEYSTONE_PROJECT_DOMAIN_NAME,
    KEYSTONE_PROJECT_DOMAIN_ID,
    KEYSTONE_DEFAULT_DOMAIN_NAME,
    KEYSTONE_DEFAULT_DOMAIN_ID,
    KEYSTONE_TOKEN,
    KEYSTONE_APP_ID,
    KEYSTONE_APP_NAME,
    KEYSTONE_APP_SECRET,
    KEYSTONE_REGION,
    KEYSTONE_INTERFACE,
    KEYSTONE_CACERT,
    KEYSTONE_CERT,
    KEYSTONE_KEY,
    KEYSTONE_NETWORK_OVERRIDE,
    KEYSTONE_COMPUTE_OVERRIDE,
    KEYSTONE_IDENTITY_VERSION,
    KEYSTONE_VERIFY,
    KEYSTONE_INSECURE,
    KEYSTONE_N_KEYS
};

struct keystone_config {
    char *value[KEYSTONE_N_KEYS]; /* owned; NULL: not given */
    char origin[512];
};

/* `cloud`: NULL: OS_CLOUD, or else the environment alone, or the only one of the file. Refused is
 * what would be less safe than it looks: unverified certificates. */
int keystone_config_read(const char *cloud, struct keystone_config *out,
                         struct err *err) MUST_CHECK;
void keystone_config_done(struct keystone_config *config);

#endif
