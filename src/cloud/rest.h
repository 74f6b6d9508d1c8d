/* JSON over HTTP with a token in a header: what OpenStack, Azure, Google and NSX have in common. */
#ifndef CLOUD_REST_H
#define CLOUD_REST_H

#include <jansson.h>

#include "cloud/http.h"

/* Why a cloud said no, in its own words. */
struct cloud_refusal {
    long status;
    char code[96]; /* "TapMirrorTunnelConflict"; "": it gave none */
    char message[384];
};

struct cloud_rest {
    struct cloud_http *http;
    const char *name; /* "Neutron", for errors */
    char base[512];   /* what paths are put behind: "https://host:9696"; no slash at its end */
    /* Puts what authorises into the headers; `renew`: what was put last was refused. NULL: nothing
     * is needed. */
    int (*authorize)(struct cloud_rest *rest, struct cloud_request *request, bool renew,
                     struct err *err);
    /* Reads the code and the message out of the body of a refusal. NULL: looks for the usual
     * places: error.code, error.message, NeutronError.type … */
    void (*explain)(const json_t *body, struct cloud_refusal *out);
    enum cloud_verdict (*judge)(const struct cloud_response *response, void *with); /* or NULL */
    void *with; /* judge's, too */
};

#define CLOUD_LOCATION_MAX 4097 /* Azure wants 4 KiB to be taken */

struct cloud_reply {
    long status;
    json_t *body;                       /* owned; NULL: it had none, or was no JSON */
    char location[CLOUD_LOCATION_MAX];  /* "": no such header */
    char operation[CLOUD_LOCATION_MAX]; /* Azure-AsyncOperation */
    uint32_t retry_after_ms;            /* 0: it did not say */
    struct cloud_refusal refusal;       /* where status is 400 or more */
};

void cloud_reply_done(struct cloud_reply *reply);

/* `path` begins with a slash, or is a whole URL of the same host ("next" of a page: of http:// and
 * https://, the base's is taken); another host's is refused with -EINVAL, as it would get the
 * token. `body` is borrowed; NULL: none. Every answer is a success here; cloud_rest_want() is for
 * those that want only good ones. What is not a POST is asked again after a lost answer; so is a
 * POST whose query has Google's requestId. */
int cloud_rest_call(struct cloud_rest *rest, const char *method, const char *path,
                    const json_t *body, struct cloud_reply *out, struct err *err) MUST_CHECK;

/* As above; a status of 400 or more is a failure: -ENOENT (404, 410), -EACCES (401, 403),
 * -EEXIST (409), -EBUSY (423), -EDQUOT (a quota: where refusal.code says so), -EINVAL (400, 412,
 * 422), -EAGAIN (429, and 5xx at last), -EIO; err is "NAME: METHOD PATH: CODE: MESSAGE".
 * *out has the refusal and the body then, too: cloud_reply_done() after each call, whatever came of
 * it. */
int cloud_rest_want(struct cloud_rest *rest, const char *method, const char *path,
                    const json_t *body, struct cloud_reply *out, struct err *err) MUST_CHECK;

#endif
