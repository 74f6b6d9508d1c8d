/* Which analyzers look at a connection: by the responder's port at once, by content as soon as the
 * first bytes tell. */
#ifndef PROTO_ATTACH_H
#define PROTO_ATTACH_H

#include "flow/context.h"

/* What the flow layer calls with payload. */
extern const struct flow_payload_ops attach_ops;

#endif
