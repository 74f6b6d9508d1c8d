/* The environment as the AWS client sees it; tests put their own in place. */
#ifndef CLOUD_AWS_ENV_H
#define CLOUD_AWS_ENV_H

#include <stdbool.h>

struct aws_env {
    const char *(*get)(const char *name, void *with); /* NULL: getenv */
    void *with;
};

/* NULL: it is not there, or empty. */
const char *aws_env_get(const struct aws_env *env, const char *name);

/* As AWS's tools read switches: "true"; and "1". */
bool aws_is_true(const char *value);

#endif
