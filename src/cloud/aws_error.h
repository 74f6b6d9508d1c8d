/* What AWS's error codes mean: one table of them. */
#ifndef CLOUD_AWS_ERROR_H
#define CLOUD_AWS_ERROR_H

#include "cloud/rest.h"

enum aws_fault {
    AWS_FAULT_FINAL,    /* again would be in vain */
    AWS_FAULT_PASSING,  /* AWS's own trouble */
    AWS_FAULT_THROTTLE, /* asked too often */
    AWS_FAULT_EXPIRED,  /* the credentials are; or the request, where the clock is wrong */
    AWS_FAULT_CLOCK,    /* may be for a wrong clock */
};

/* The errno of it, negative, as aws.h lists them. */
int aws_error_code(const struct cloud_refusal *refusal);
enum aws_fault aws_error_fault(const struct cloud_refusal *refusal);
/* What the user can do: "; …", or "". */
const char *aws_error_advice(const struct cloud_refusal *refusal, const char *action);

#endif
