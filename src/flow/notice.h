/* notice.log: what a person should look at. */
#ifndef FLOW_NOTICE_H
#define FLOW_NOTICE_H

#include "flow/flow.h"

extern const struct log_schema notice_schema;

/* `note` as Zeek spells kinds of notices ("Weird::Activity"); `f` may be NULL, `sub` unset. */
void notice(struct flow_context *context, const struct flow *f, const char *note,
            const char *message, struct str sub);

/* About hosts rather than a connection; either may be NULL. */
void notice_about(struct flow_context *context, const char *note, const char *message,
                  struct str sub, const struct addr *src, const struct addr *dst);

#endif
