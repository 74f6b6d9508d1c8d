/* Services of the Internet that machines ask by themselves, again and again, for a good reason.
 * hunt_known_service is declared in hunt.h. */
#ifndef HUNT_SERVICES_H
#define HUNT_SERVICES_H

#include "base/str.h"

/* A DNS zone under which many names, long ones too, are asked for by design: block lists, reverse
 * lookups, virus scanners that ask with a file's hash, content networks. In words; NULL: none.
 * Nobody else can put a name server of his own under these. */
const char *services_of_zone(struct str name);

/* Top-level names of private networks (.local, .lan ...), in which what does not exist is noise. */
bool services_is_private(struct str name);

/* `suffix` itself, or a name below it; case is ignored. */
bool services_is_below(struct str name, struct str suffix);

#endif
