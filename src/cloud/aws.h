/* AWS: credentials, regions and signed calls of the Query protocol (EC2, ELB, STS, CloudWatch) and
 * of JSON 1.1 (CloudTrail). Signature Version 4. Parameters and answers are JSON here, so that
 * whoever calls sees neither XML nor "Filter.1.Value.2". */
#ifndef CLOUD_AWS_H
#define CLOUD_AWS_H

#include <jansson.h>

#include "cloud/http.h"
#include "cloud/rest.h"

struct aws;

/* All may be NULL: then the environment and the files say, in the order of AWS's own tools. */
struct aws_options {
    const char *profile;
    const char *region;
    const char *endpoint; /* for all services; else AWS_ENDPOINT_URL_EC2 …, AWS_ENDPOINT_URL */
    const char *role;     /* an ARN that is assumed with what is found */
};

/* Finds a region and where credentials come from; only the metadata service is asked for them
 * already, the others when the first call needs them. `http` has to stay, and trusts what
 * AWS_CA_BUNDLE or the profile's ca_bundle says until the client is closed. -ENOKEY: there are
 * none; the sentence lists what was tried. -EINVAL, -ELOOP, -EACCES: what the files say is wrong,
 * goes in a circle, wants an MFA code. */
int aws_open(const struct aws_options *options, struct cloud_http *http, struct aws **out,
             struct err *err) MUST_CHECK;
void aws_close(struct aws *aws);
const char *aws_region(const struct aws *aws);
/* Where the credentials come from: "profile web of ~/.aws/credentials". Never the credentials. */
const char *aws_origin(const struct aws *aws);

/* A call of `service`: "ec2", "elasticloadbalancing", "sts", "monitoring" (Query), "cloudtrail"
 * (JSON 1.1). `parameters` is an object, borrowed, of texts, numbers, booleans, lists and objects;
 * as Query, a list {"Filter": [{"Name": "vpc-id", "Value": ["vpc-1"]}]} becomes
 * Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1 for EC2, and Filter.member.1… for the others.
 *
 * *out (owned by the caller) is the answer's root element: an element with children is an object,
 * one whose children are all called "item" or "member" is a list (also with none), one with text is
 * a text; the empty element is null, and a list's reader takes it for an empty list. Numbers and
 * booleans stay texts. A dry run that would have worked (DryRunOperation) is an empty object.
 *
 * What is throttled, passing, or refused for credentials that are over or for this machine's clock,
 * is asked again here; a request that creates something is told apart from a second one by the
 * caller's ClientToken, and is only then sent again after its answer was lost.
 *
 * Refused: *refusal has AWS's code and message, and the result is -ENOENT (….NotFound), -EACCES
 * (UnauthorizedOperation, AuthFailure …), -EKEYEXPIRED (credentials), -EDQUOT (…LimitExceeded),
 * -EEXIST (…AlreadyExists, Duplicate), -EBUSY (…InUse, DependencyViolation), -EAGAIN (throttled, or
 * AWS's own trouble, to the end), -EOPNOTSUPP (this interface or type can't), -EINVAL, else -EIO.
 * `refusal` may be NULL.
 */
int aws_call(struct aws *aws, const char *service, const char *action, const json_t *parameters,
             json_t **out, struct cloud_refusal *refusal, struct err *err) MUST_CHECK;

/* All pages of an EC2 Describe: the items of `set` ("networkInterfaceSet") as one list; 250 000 at
 * most. A page's size is chosen here, but where `parameters` has ids, which EC2 does not allow. */
int aws_ec2_all(struct aws *aws, const char *action, const json_t *parameters, const char *set,
                json_t **out, struct cloud_refusal *refusal, struct err *err) MUST_CHECK;

/* What the metadata service (IMDSv2) has under /latest/`path`: "meta-data/mac",
 * "dynamic/instance-identity/document". -ENOENT: it has not; -EHOSTUNREACH: this is no instance, or
 * the hop limit keeps its answers away. */
int aws_metadata(struct aws *aws, const char *path, struct text *out, struct err *err) MUST_CHECK;

#endif
