/* A collector's interface of its own: see aws.h. */
#include <errno.h>

#include "mirror/aws.h"

int aws_target_verb(struct mirror_job *job, const char *const *words, size_t n_words, bool is_yes,
                    bool json, struct text *out, struct err *err)
{
    (void)job, (void)words, (void)n_words, (void)is_yes, (void)json, (void)out;
    return err_set(err, -ENOSYS, "target: not there yet");
}
