/* The watch's HTTP server, on the loopback: GET /metrics for Prometheus, GET /healthz for whoever
 * looks after services. It has a thread of its own and knows nothing of packets: what it says comes
 * from callbacks that give copies.
 *
 * Only requests whose Host is this machine by number (or "localhost") are answered, so that a page
 * on the web can not read them through a name that it makes point here. */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct web;

struct web_options {
    int listen_fd; /* of web_listen; taken over, also when web_start fails */

    /* Both are called from the server's thread. */
    char *(*metrics)(size_t *out_size, void *with); /* on the heap; NULL: there is nothing now */
    bool (*is_healthy)(void *with);
    void *with;
    const char *metrics_type; /* Content-Type of /metrics; of the caller, lives as long */

    unsigned n_connections; /* at once; 0: 32 */
    unsigned n_per_address; /* at once, of one client address; 0: 16 */
    unsigned idle_seconds;  /* 0: 10 */
};

/* "127.0.0.1:4790", "[::1]:4790": gives a listening descriptor. Port 0: the kernel chooses.
 * -EINVAL: it is no such text. To be called before the process gives up its rights. */
int web_listen(const char *address, struct err *err) MUST_CHECK;

/* The port that the descriptor has; 0: none. */
unsigned web_port(int listen_fd);

/* Starts the thread. */
int web_start(const struct web_options *options, struct web **out, struct err *err) MUST_CHECK;

/* Ends the connections and the thread. Accepts NULL. */
void web_stop(struct web *web);

#endif
