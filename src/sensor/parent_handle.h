/* The handle that parent_start gives, on either side. */
#ifndef SENSOR_PARENT_HANDLE_H
#define SENSOR_PARENT_HANDLE_H

#include <pthread.h>

#include "sensor/parent_parts.h"

struct parent {
    const struct parent_options *options;
    int fd;      /* the socket to the other side; -1: closed */
    pid_t child; /* 0 in the packet process */

    /* the parent's */
    int signals;       /* a signalfd */
    sigset_t old_mask; /* of before the fork: what hooks get */
    struct hooks hooks;

    /* the packet process's */
    pthread_mutex_t lock; /* one question at a time */
};

#endif
