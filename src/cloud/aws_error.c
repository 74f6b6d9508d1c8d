/* AWS's error codes: see aws_error.h. "Error codes for the Amazon EC2 API"; "Common errors" of the
 * other services. */
#include "cloud/aws_error.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The first row that fits counts. "*X" is the end of a code, "X*" its beginning. */
static const struct row {
    const char *code;
    int result;
    enum aws_fault fault;
    const char *advice;
} rows[] = {
    {"RequestLimitExceeded", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"EC2ThrottledException", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"Throttling*", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"ThrottledException", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"RequestThrottled*", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"TooManyRequestsException", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"SlowDown", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"PriorRequestNotComplete", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"BandwidthLimitExceeded", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"TransactionInProgressException", -EAGAIN, AWS_FAULT_THROTTLE, NULL},
    {"IDPCommunicationError", -EAGAIN, AWS_FAULT_PASSING, NULL},
    {"InternalError", -EAGAIN, AWS_FAULT_PASSING, NULL},
    {"InternalFailure", -EAGAIN, AWS_FAULT_PASSING, NULL},
    {"InternalServiceError*", -EAGAIN, AWS_FAULT_PASSING, NULL},
    {"Unavailable", -EAGAIN, AWS_FAULT_PASSING, NULL},
    {"ServiceUnavailable*", -EAGAIN, AWS_FAULT_PASSING, NULL},
    {"RequestTimeout*", -EAGAIN, AWS_FAULT_PASSING, NULL},

    {"ExpiredToken*", -EKEYEXPIRED, AWS_FAULT_EXPIRED,
     "; the session's credentials are over: get new ones"},
    {"RequestExpired", -EKEYEXPIRED, AWS_FAULT_EXPIRED,
     "; the session's credentials are over, or this machine's clock is wrong"},
    {"SignatureDoesNotMatch", -EACCES, AWS_FAULT_CLOCK,
     "; is the secret key the one of this access key?"},
    {"InvalidSignatureException", -EACCES, AWS_FAULT_CLOCK,
     "; is the secret key the one of this access key?"},
    {"RequestTimeTooSkewed", -EACCES, AWS_FAULT_CLOCK, "; is this machine's clock right?"},
    {"RequestInTheFuture", -EACCES, AWS_FAULT_CLOCK, "; is this machine's clock right?"},
    {"AuthFailure", -EACCES, AWS_FAULT_CLOCK,
     "; are the credentials of this account, and is the region one that it uses?"},

    {"UnauthorizedOperation", -EACCES, AWS_FAULT_FINAL,
     "; the identity needs this action in its IAM policy"},
    {"AccessDenied*", -EACCES, AWS_FAULT_FINAL,
     "; the identity needs this action in its IAM policy"},
    {"OptInRequired", -EACCES, AWS_FAULT_FINAL, "; the account has not switched this region on"},
    {"InvalidClientTokenId", -EACCES, AWS_FAULT_FINAL,
     "; AWS does not know this access key: is it still there, and of this partition?"},
    {"UnrecognizedClientException", -EACCES, AWS_FAULT_FINAL,
     "; AWS does not know this access key: is it still there, and of this partition?"},
    {"InvalidAccessKeyId", -EACCES, AWS_FAULT_FINAL, "; AWS does not know this access key"},
    {"MissingAuthenticationToken*", -EACCES, AWS_FAULT_FINAL, NULL},
    {"IncompleteSignature*", -EACCES, AWS_FAULT_FINAL, NULL},
    {"InvalidIdentityToken", -EACCES, AWS_FAULT_FINAL, NULL},
    {"NotAuthorized*", -EACCES, AWS_FAULT_FINAL, NULL},
    {"UnauthorizedException", -EACCES, AWS_FAULT_FINAL, NULL},
    {"ForbiddenException", -EACCES, AWS_FAULT_FINAL, NULL},
    {"Blocked", -EACCES, AWS_FAULT_FINAL, "; AWS has blocked the account"},
    {"PendingVerification", -EACCES, AWS_FAULT_FINAL, "; AWS has not verified the account yet"},

    {"*LimitExceeded", -EDQUOT, AWS_FAULT_FINAL, NULL},
    {"*LimitExceededException", -EDQUOT, AWS_FAULT_FINAL, NULL},
    {"TooMany*", -EDQUOT, AWS_FAULT_FINAL, NULL},
    {"InsufficientFreeAddressesInSubnet", -EDQUOT, AWS_FAULT_FINAL, NULL},

    {"IdempotentParameterMismatch", -EINVAL, AWS_FAULT_FINAL, NULL},
    {"*AlreadyExists", -EEXIST, AWS_FAULT_FINAL, NULL},
    {"*AlreadyExistsException", -EEXIST, AWS_FAULT_FINAL, NULL},
    {"Duplicate*", -EEXIST, AWS_FAULT_FINAL, NULL},
    {"*.Duplicate", -EEXIST, AWS_FAULT_FINAL, NULL},

    {"*InUse", -EBUSY, AWS_FAULT_FINAL, NULL},
    {"*InUseException", -EBUSY, AWS_FAULT_FINAL, NULL},
    {"DependencyViolation", -EBUSY, AWS_FAULT_FINAL, NULL},
    {"IncorrectState*", -EBUSY, AWS_FAULT_FINAL, NULL},
    {"IncorrectInstanceState", -EBUSY, AWS_FAULT_FINAL, NULL},

    {"*.NotFound", -ENOENT, AWS_FAULT_FINAL, NULL},
    {"*NotFound", -ENOENT, AWS_FAULT_FINAL, NULL},
    {"*NotFoundException", -ENOENT, AWS_FAULT_FINAL, NULL},
    {"NoSuchEntity*", -ENOENT, AWS_FAULT_FINAL, NULL},

    {"Unsupported*", -EOPNOTSUPP, AWS_FAULT_FINAL, NULL},
    {"*NotSupported", -EOPNOTSUPP, AWS_FAULT_FINAL, NULL},
    {"*NotSupportedException", -EOPNOTSUPP, AWS_FAULT_FINAL, NULL},
    {"InvalidAction", -EOPNOTSUPP, AWS_FAULT_FINAL,
     "; this endpoint does not know the call: is it EC2, and of today?"},

    {"DryRunOperation", 0, AWS_FAULT_FINAL, NULL},

    {"Invalid*", -EINVAL, AWS_FAULT_FINAL, NULL},
    {"Malformed*", -EINVAL, AWS_FAULT_FINAL, NULL},
    {"Missing*", -EINVAL, AWS_FAULT_FINAL, NULL},
    {"Unknown*", -EINVAL, AWS_FAULT_FINAL, NULL},
    {"Validation*", -EINVAL, AWS_FAULT_FINAL, NULL},
    {"*Malformed", -EINVAL, AWS_FAULT_FINAL, NULL},
    {"OperationNotPermitted*", -EINVAL, AWS_FAULT_FINAL, NULL},
};

static bool fits(const char *pattern, const char *code)
{
    size_t len = strlen(pattern), size = strlen(code);
    if (pattern[0] == '*')
        return size >= len - 1 && strcmp(code + size - (len - 1), pattern + 1) == 0;
    if (pattern[len - 1] == '*')
        return strncmp(code, pattern, len - 1) == 0;
    return strcmp(code, pattern) == 0;
}

static const struct row *row_of(const char *code)
{
    for (size_t i = 0; *code && i < sizeof rows / sizeof *rows; i++)
        if (fits(rows[i].code, code))
            return &rows[i];
    return NULL;
}

/* An interface or an instance type that cannot be mirrored is an "InvalidParameterValue". */
static bool says_unsupported(const char *message)
{
    static const char *const words[] = {"not supported", "unsupported", "not support"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(message, words[i]))
            return true;
    return false;
}

int aws_error_code(const struct cloud_refusal *refusal)
{
    const struct row *row = row_of(refusal->code);
    int result = row ? row->result : 0;
    if (row && (result != -EINVAL || !says_unsupported(refusal->message)))
        return result;
    if (row || says_unsupported(refusal->message))
        return -EOPNOTSUPP;
    switch (refusal->status) {
    case 401:
    case 403:
        return -EACCES;
    case 404:
        return -ENOENT;
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return -EAGAIN;
    default:
        return -EIO;
    }
}

enum aws_fault aws_error_fault(const struct cloud_refusal *refusal)
{
    const struct row *row = row_of(refusal->code);
    if (row && row->fault != AWS_FAULT_FINAL)
        return row->fault;
    switch (refusal->status) {
    case 429:
        return AWS_FAULT_THROTTLE;
    case 500:
    case 502:
    case 503:
    case 504:
    case 509:
        return AWS_FAULT_PASSING;
    default:
        return AWS_FAULT_FINAL;
    }
}

const char *aws_error_advice(const struct cloud_refusal *refusal, const char *action)
{
    const struct row *row = row_of(refusal->code);
    if (strncmp(refusal->code, "AccessDenied", 12) == 0 && strncmp(action, "AssumeRole", 10) == 0)
        return "; the role's trust policy has to name who assumes it, whose own policy has to "
               "allow it";
    return row && row->advice ? row->advice : "";
}
