/* Mirrors in user space as things that are made and found: a process for each interface. */
#ifndef MIRROR_HOST_CARRIER_H
#define MIRROR_HOST_CARRIER_H

#include "mirror/host.h"

int host_find_carriers(const struct mirror_job *job, struct mirror_set *out,
                       struct err *err) MUST_CHECK;
int host_make_carrier(const struct mirror_job *job, const struct mirror_object *want,
                      struct err *err) MUST_CHECK;
int host_unmake_carrier(const struct mirror_job *job, const struct mirror_object *have,
                        struct err *err) MUST_CHECK;

/* Each carrier that runs in this network namespace; `to` is spelled as --to. */
int host_each_carrier(void (*take)(const char *mirror, const char *interface, const char *to,
                                   void *with),
                      void *with, struct err *err) MUST_CHECK;

/* Names of the mirrors that status files tell of. */
int host_carrier_names(void (*take)(const char *name, void *with), void *with,
                       struct err *err) MUST_CHECK;

#endif
