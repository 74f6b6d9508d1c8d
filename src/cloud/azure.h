/* Azure Resource Manager: credentials in the order of Azure's own SDKs, calls, lists in pages, and
 * operations that take their time. See the "Azure REST API reference" and "Track asynchronous Azure
 * operations". */
#ifndef CLOUD_AZURE_H
#define CLOUD_AZURE_H

#include <jansson.h>

#include "cloud/http.h"
#include "cloud/rest.h"

struct azure;

/* All may be NULL: then the environment says. */
struct azure_options {
    const char *subscription;
    const char *endpoint; /* of the Resource Manager, for clouds other than the public one; else it
                           * follows from AZURE_AUTHORITY_HOST */
    /* What `az account get-access-token --output json --resource RESOURCE` prints, on the heap;
     * -ENOENT: there is no az here. NULL: it is not asked. */
    int (*ask_cli)(const char *resource, char **out, struct err *err);
};

/* Finds credentials and a subscription. -ENOKEY: there are none; the sentence lists what was tried.
 */
int azure_open(const struct azure_options *options, struct cloud_http *http, struct azure **out,
               struct err *err) MUST_CHECK;
void azure_close(struct azure *azure);
const char *azure_subscription(const struct azure *azure);
/* Where the credentials come from: "managed identity". Never the credentials. */
const char *azure_origin(const struct azure *azure);

/* One call, as cloud_rest_want(). `path` has its query: "?api-version=…". */
int azure_call(struct azure *azure, const char *method, const char *path, const json_t *body,
               struct cloud_reply *out, struct err *err) MUST_CHECK;

/* All pages of a list: one array (owned by the caller). */
int azure_all(struct azure *azure, const char *path, json_t **out, struct err *err) MUST_CHECK;

/* A PUT, PATCH or DELETE, to its end: until the operation has succeeded, or has failed (-EBUSY,
 * or what its code means). While another operation on the same thing goes on, it is asked again.
 * `if_match`: the etag that it must still have (else -ESTALE); NULL: any. A DELETE of what is gone
 * is 0. */
int azure_finish(struct azure *azure, const char *method, const char *path, const json_t *body,
                 const char *if_match, struct err *err) MUST_CHECK;

/* The instance metadata service, /metadata/instance: what machine this is. -EHOSTUNREACH: this is
 * none of Azure's. */
int azure_metadata(struct cloud_http *http, json_t **out, struct err *err) MUST_CHECK;

#endif
