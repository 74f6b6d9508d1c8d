/* Google Cloud: application default credentials, calls of the Compute Engine, Network Security and
 * Logging interfaces, lists in pages, and operations. See "How Application Default Credentials
 * works" and the reference of each interface. */
#ifndef CLOUD_GOOGLE_H
#define CLOUD_GOOGLE_H

#include <jansson.h>

#include "cloud/http.h"
#include "cloud/rest.h"

struct google;

/* All may be NULL: then the environment and gcloud's files say. */
struct google_options {
    const char *project;
    const char *endpoint; /* for all interfaces, in the place of https://….googleapis.com */
};

enum google_service { GOOGLE_COMPUTE, GOOGLE_SECURITY, GOOGLE_LOGGING, GOOGLE_N_SERVICES };

/* Finds credentials and a project. -ENOKEY: there are none; the sentence lists what was tried. */
int google_open(const struct google_options *options, struct cloud_http *http, struct google **out,
                struct err *err) MUST_CHECK;
void google_close(struct google *google);
const char *google_project(const struct google *google);
/* Where the credentials come from: "the service account of FILE". Never the credentials. */
const char *google_origin(const struct google *google);

/* One call, as cloud_rest_want(). `path` begins behind the version: "/projects/p/zones/z/…". */
int google_call(struct google *google, enum google_service service, const char *method,
                const char *path, const json_t *body, struct cloud_reply *out,
                struct err *err) MUST_CHECK;

/* All pages of a list: one array (owned by the caller) of what is in `member`. Where the answers
 * are by zone or region ({"items": {"zones/z": {"instances": […]}}}), `within` names the lists in
 * them; NULL: they are not. */
int google_all(struct google *google, enum google_service service, const char *path,
               const char *member, const char *within, json_t **out, struct err *err) MUST_CHECK;

/* A POST, PATCH or DELETE that begins an operation, to its end: until it has succeeded, or has
 * failed with what its code means. A call of Compute gets a requestId, so that twice is as good as
 * once. A DELETE of what is gone is 0. */
int google_finish(struct google *google, enum google_service service, const char *method,
                  const char *path, const json_t *body, struct err *err) MUST_CHECK;

/* ns since the epoch. */
int64_t google_now(const struct google *google);

#endif
