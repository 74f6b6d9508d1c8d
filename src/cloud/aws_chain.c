/* Where credentials come from, in the order of AWS's own tools. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/aws_impl.h"

struct aws_source *aws_source_new(enum aws_kind kind, struct err *err)
{
    struct aws_source *source = calloc(1, sizeof *source);
    if (source)
        source->kind = kind;
    else
        (void)err_set(err, -ENOMEM, "no memory for credentials");
    return source;
}

void aws_source_free(struct aws_source *source)
{
    while (source) {
        struct aws_source *base = source->base;
        aws_keys_done(&source->keys);
        free(source->role);
        free(source->session);
        cloud_forget(source->external_id);
        free(source->from);
        free(source->region);
        free(source->login);
        free(source);
        source = base;
    }
}

int aws_find_source(struct aws *aws, struct aws_source **out, struct err *err)
{
    const char *id = aws_env_get(&aws->env, "AWS_ACCESS_KEY_ID");
    const char *secret = aws_env_get(&aws->env, "AWS_SECRET_ACCESS_KEY");
    *out = NULL;
    if (!id || !secret)
        return err_set(err, -ENOKEY, "no credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY");
    struct aws_source *source = aws_source_new(AWS_KIND_STATIC, err);
    if (!source)
        return -ENOMEM;
    (void)snprintf(source->origin, sizeof source->origin, "the environment");
    int result =
        aws_keys_set(&source->keys, id, secret, aws_env_get(&aws->env, "AWS_SESSION_TOKEN"), err);
    if (result < 0)
        aws_source_free(source);
    else
        *out = source;
    return result;
}
