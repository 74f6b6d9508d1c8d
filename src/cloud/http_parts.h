/* What http.c and http_call.c share. */
#ifndef CLOUD_HTTP_PARTS_H
#define CLOUD_HTTP_PARTS_H

#include <curl/curl.h>

#include "cloud/http.h"

struct cloud_http {
    const struct cloud_world *world;
    CURL *curl;
    uint32_t slow_ms; /* what every call waits since the cloud asked to be spared */
    bool only_once;   /* the request may not reach the cloud twice */
    bool was_sent;    /* the last one was, or a part of it */
    const char *ca, *certificate, *key; /* see cloud_http_trust() */
};

#endif
