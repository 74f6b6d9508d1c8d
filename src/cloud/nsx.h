/* VMware NSX: its policy API, on premises and in VMware Cloud. Who asks: NSXT_USERNAME and
 * NSXT_PASSWORD (of a manager on premises), or NSXT_VMC_TOKEN (an API token of VMware Cloud, for
 * which the cloud's console gives an access token that lasts half an hour); the names are those
 * that VMware's own tools read. */
#ifndef CLOUD_NSX_H
#define CLOUD_NSX_H

#include "cloud/rest.h"

struct nsx_api;

/* `manager`: a host or an URL, with the reverse proxy's path in VMware Cloud; NULL:
 * NSXT_MANAGER_HOST. -ENOKEY: nobody is named who could ask. */
int nsx_open(const char *manager, struct cloud_http *http, struct nsx_api **out,
             struct err *err) MUST_CHECK;
void nsx_close(struct nsx_api *api);

/* For cloud_rest_call(); paths begin with "/infra". */
struct cloud_rest *nsx_rest(struct nsx_api *api);
/* Whether it is VMware Cloud, where other limits hold. */
bool nsx_is_cloud(const struct nsx_api *api);

/* All pages of a list: its "results" as one. */
int nsx_list(struct nsx_api *api, const char *path, json_t **out, struct err *err) MUST_CHECK;

#endif
