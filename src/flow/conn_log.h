/* conn.log: one row when a connection is over. open_conn.log: the same for one that is still open.
 */
#ifndef FLOW_CONN_LOG_H
#define FLOW_CONN_LOG_H

#include "flow/flow.h"

extern const struct log_schema conn_schema, open_conn_schema;

void conn_log(struct flow_context *context, const struct flow *f);
/* As it stands now: duration, bytes and packets since its beginning. */
void conn_log_open(struct flow_context *context, const struct flow *f);

/* Zeek's conn_state: "SF", "S0" … */
const char *conn_state(const struct flow *f);

/* Bytes of payload that went in this direction, by sequence numbers for TCP. */
uint64_t conn_payload_bytes(const struct flow *f, int dir);

#endif
