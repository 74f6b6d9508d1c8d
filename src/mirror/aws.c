/* AWS VPC Traffic Mirroring: the provider's options. See aws.h. */
#include "mirror/aws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum row {
    ROW_VPC = CLOUD_N_SELECT,
    ROW_TO,
    ROW_DIRECTION,
    ROW_FILTER,
    ROW_NO_DNS,
    ROW_LENGTH,
    ROW_NUMBER,
    ROW_CAPACITY,
    ROW_OPEN,
    ROW_CANARY,
    ROW_REGION,
    ROW_PROFILE,
    ROW_ROLE,
    ROW_ENDPOINT,
    ROW_POLICY,
    N_ROWS
};

static const struct option_row rows[N_ROWS + 1] = {
    CLOUD_SELECT_ROWS,
    [ROW_VPC] = {0, "vpc", "VPC", false,
                 "all interfaces of this VPC's instances, also later ones; may be repeated"},
    [ROW_TO] = {0, "to", "TARGET", false,
                "self (an interface of this machine), eni-…, nlb:ARN, gwlbe:vpce-…, or tmt-…\n"
                "(a target that is there already); may be repeated"},
    [ROW_DIRECTION] = {0, "direction", "DIR", false,
                       "in, out or both (default), as the mirrored machine sees it"},
    [ROW_FILTER] = {0, "filter", "RULE", false,
                    "[in|out] accept|reject [PROTO] [port N[-M]] [sport …] [dport …]\n"
                    "[net CIDR] [src CIDR] [dst CIDR]; may be repeated, in order (default:\n"
                    "everything)"},
    [ROW_NO_DNS] = {0, "no-dns", NULL, false, "without the queries to Amazon's own DNS resolver"},
    [ROW_LENGTH] = {0, "length", "N", false, "only the first N bytes of a packet (1 to 8500)"},
    [ROW_NUMBER] = {0, "session-number", "N", false,
                    "at which place among the sessions of an interface (1 to 32766; the\n"
                    "lowest whose filter accepts a packet gets it; default: behind others')"},
    [ROW_CAPACITY] = {0, "capacity", "N", false,
                      "how many sources an interface takes as target (default: 10, or 100\n"
                      "where the instance's type is known to take them)"},
    [ROW_OPEN] = {0, "open-security-group", NULL, false,
                  "also allow the copies (UDP 4789) in the target's security group"},
    [ROW_CANARY] = {0, "allow-canary", "PORTS", true,
                    "also allow UDP from the collector in the sources' security groups, so\n"
                    "that watch can prove that a mirror is alive"},
    [ROW_REGION] = {0, "region", "NAME", false, "default: as for AWS's own tools"},
    [ROW_PROFILE] = {0, "profile", "NAME", false, "of the files in ~/.aws"},
    [ROW_ROLE] = {0, "role", "ARN", false, "a role that is assumed"},
    [ROW_ENDPOINT] = {0, "endpoint", "URL", false, "another place than AWS's own for all calls"},
    [ROW_POLICY] = {0, "iam-policy", NULL, false,
                    "print the IAM policy that this program needs, and exit"},
    {0}};

/* ---- taking ---- */

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int take_to(const char *value, struct aws_wish *wish, struct err *err)
{
    struct aws_to to = {.id = value};
    if (wish->n_to == AWS_TO_MAX)
        return err_set(err, -E2BIG, "--to: more than %d targets", AWS_TO_MAX);
    if (strcmp(value, "self") == 0)
        to = (struct aws_to){.kind = AWS_TO_SELF};
    else if (starts(value, "eni-"))
        to.kind = AWS_TO_INTERFACE;
    else if (starts(value, "tmt-"))
        to.kind = AWS_TO_TARGET;
    else if (starts(value, "nlb:arn:"))
        to = (struct aws_to){AWS_TO_NLB, value + 4};
    else if (starts(value, "gwlbe:vpce-"))
        to = (struct aws_to){AWS_TO_GWLBE, value + 6};
    else
        return err_set(err, -EINVAL,
                       "--to: '%s' is none of self, eni-…, nlb:arn:aws:elasticloadbalancing:…, "
                       "gwlbe:vpce-…, tmt-…",
                       value);
    if (strlen(value) >= MIRROR_KEY_MAX || (to.id && strpbrk(to.id, " \t\n'\"")))
        return err_set(err, -EINVAL, "--to: '%.60s…' is no id of AWS's", value);
    wish->to[wish->n_to++] = to;
    return 0;
}

static int take_canary(const char *value, struct aws_wish *wish, struct err *err)
{
    wish->lets_canary = true;
    wish->canary_max = UINT16_MAX;
    if (value && !aws_take_range(value, &wish->canary_min, &wish->canary_max))
        return err_set(err, -EINVAL, "--allow-canary: '%s' is neither a port nor PORT-PORT", value);
    return 0;
}

static int take_number(const char *option, const char *value, uint32_t max, uint32_t *out,
                       struct err *err)
{
    uint64_t number;
    if (!options_number(value, max, &number) || number == 0)
        return err_set(err, -EINVAL, "%s: '%s' is no number (1 to %u)", option, value, max);
    *out = (uint32_t)number;
    return 0;
}

static int take(int row, const char *value, void *with, struct err *err)
{
    struct aws_wish *wish = with;
    if (row < CLOUD_N_SELECT)
        return cloud_select_take(row, value, &wish->select, err);
    switch ((enum row)row) {
    case ROW_VPC:
        if (!starts(value, "vpc-") || strlen(value) >= 32)
            return err_set(err, -EINVAL, "--vpc: '%s' is no id of a VPC (vpc-…)", value);
        if (wish->n_vpcs == AWS_VPCS_MAX)
            return err_set(err, -E2BIG, "--vpc: more than %d", AWS_VPCS_MAX);
        wish->vpcs[wish->n_vpcs++] = value;
        return 0;
    case ROW_TO:
        return take_to(value, wish, err);
    case ROW_DIRECTION:
        return mirror_option_direction(value, &wish->direction, err);
    case ROW_FILTER:
        return aws_take_filter(value, wish, err);
    case ROW_NO_DNS:
        wish->no_dns = true;
        return 0;
    case ROW_LENGTH:
        return take_number("--length", value, AWS_NLB_LENGTH, &wish->length, err);
    case ROW_NUMBER:
        return take_number("--session-number", value, AWS_NUMBER_MAX, &wish->number, err);
    case ROW_CAPACITY:
        return take_number("--capacity", value, 10000, &wish->capacity, err);
    case ROW_OPEN:
        wish->opens = true;
        return 0;
    case ROW_CANARY:
        return take_canary(value, wish, err);
    case ROW_REGION:
        wish->options.region = value;
        return 0;
    case ROW_PROFILE:
        wish->options.profile = value;
        return 0;
    case ROW_ROLE:
        wish->options.role = value;
        return 0;
    case ROW_ENDPOINT:
        wish->options.endpoint = value;
        return 0;
    case ROW_POLICY:
        wish->policy = true;
        return 0;
    case N_ROWS:
        break;
    }
    return 0;
}

/* ---- checking ---- */

static int check(struct mirror_job *job, struct err *err)
{
    struct aws_wish *wish = job->wish;
    if (!wish->direction)
        wish->direction = AWS_BOTH;
    if (!job->name[0] && wish->n_vpcs)
        (void)snprintf(job->name, sizeof job->name, "%s", wish->vpcs[0]);
    if (job->partial)
        return 0;
    if (wish->n_vpcs == 0 && cloud_select_is_empty(&wish->select))
        return err_set(err, -EINVAL,
                       "what is to be mirrored? --vpc VPC, --tag EXPR, --subnet, --instance, or "
                       "--all-instances of the region");
    if (wish->n_to == 0)
        return err_set(err, -EINVAL,
                       "where to? --to self (this machine), eni-…, nlb:ARN or gwlbe:vpce-…");
    for (size_t i = 0; i < wish->n_to; i++)
        for (size_t j = 0; j < i; j++)
            if (wish->to[i].id == wish->to[j].id ||
                (wish->to[i].id && wish->to[j].id && strcmp(wish->to[i].id, wish->to[j].id) == 0))
                return err_set(err, -EINVAL, "--to: %s is given twice",
                               wish->to[i].id ? wish->to[i].id : "self");
    if (!job->name[0])
        (void)snprintf(job->name, sizeof job->name, "all");
    return 0;
}

static bool answer(const struct mirror_job *job, bool json, struct text *out, int *result,
                   struct err *err)
{
    const struct aws_wish *wish = job->wish;
    (void)json; /* it is JSON */
    (void)err;
    if (!wish->policy)
        return false;
    aws_put_policy(out);
    *result = 0;
    return true;
}

/* ---- the connection ---- */

static int call(void *with, const char *service, const char *action, const json_t *parameters,
                json_t **out, struct cloud_refusal *refusal, struct err *err)
{
    struct aws_mirror *state = with;
    return aws_call(state->aws, service, action, parameters, out, refusal, err);
}

static int all(void *with, const char *action, const json_t *parameters, const char *set,
               json_t **out, struct cloud_refusal *refusal, struct err *err)
{
    struct aws_mirror *state = with;
    return aws_ec2_all(state->aws, action, parameters, set, out, refusal, err);
}

static int metadata(void *with, const char *path, struct text *out, struct err *err)
{
    struct aws_mirror *state = with;
    return aws_metadata(state->aws, path, out, err);
}

static bool wait_ms(void *with, uint32_t ms)
{
    struct aws_mirror *state = with;
    return cloud_http_wait(state->http, ms);
}

static int64_t now(void *with)
{
    struct aws_mirror *state = with;
    return cloud_http_now(state->http);
}

static int open_cloud(struct mirror_job *job, struct err *err)
{
    static const struct aws_options none;
    const struct aws_wish *wish = job->wish;
    struct aws_mirror *state = calloc(1, sizeof *state);
    if (!state)
        return err_set(err, -ENOMEM, "out of memory");
    job->state = state;
    state->calls = (struct aws_calls){call, all, metadata, wait_ms, now, state};
    int result = cloud_http_open(job->world, &state->http, err);
    if (result == 0)
        result = aws_open(wish ? &wish->options : &none, state->http, &state->aws, err);
    if (result < 0)
        return result;
    (void)snprintf(state->region, sizeof state->region, "%s", aws_region(state->aws));
    aws_notes_read(job);
    return 0;
}

void aws_mirror_done(struct aws_mirror *state)
{
    json_decref(state->filters);
    json_decref(state->targets);
    json_decref(state->sessions);
    json_decref(state->subnets);
    json_decref(state->groups);
    json_decref(state->ids);
    json_decref(state->pending);
    json_decref(state->notes);
    json_decref(state->own);
    for (size_t i = 0; i < state->n_places; i++) {
        json_decref(state->places[i].groups);
        json_decref(state->places[i].facts);
    }
    cloud_inventory_done(&state->nics);
    free(state->spots);
}

static int again(struct mirror_job *job, struct err *err)
{
    struct aws_mirror *state = job->state;
    struct aws_mirror kept = {.http = state->http, .aws = state->aws, .calls = state->calls};
    (void)err;
    memcpy(kept.region, state->region, sizeof kept.region);
    aws_mirror_done(state);
    *state = kept;
    aws_notes_read(job);
    return 0;
}

static void close_cloud(struct mirror_job *job)
{
    struct aws_mirror *state = job->state;
    if (!state)
        return;
    aws_mirror_done(state);
    aws_close(state->aws);
    cloud_http_close(state->http);
    free(state);
    job->state = NULL;
}

static const struct mirror_verb verbs[] = {
    {"adopt", "SESSION… [--name NAME] [OPTION]…",
     "Takes sessions that were made by hand into a mirror", aws_adopt},
    {"target", "create SUBNET | attach ENI [INSTANCE] | move ENI INSTANCE | delete ENI",
     "A collector's interface of its own, that can change its machine", aws_target_verb},
    {0},
};

const struct mirror_provider provider_aws = {
    .name = "aws",
    .summary = "Mirrors network interfaces of AWS by VPC Traffic Mirroring",
    .usage = "plan|apply|status|remove|follow aws --vpc VPC --to self|ENI|nlb:ARN|gwlbe:VPCE "
             "[OPTION]…",
    .more = "Credentials and the region are found as by AWS's own tools.\n",
    .options = rows,
    .wish_size = sizeof(struct aws_wish),
    .wish_take = take,
    .wish_check = check,
    .answer = answer,
    .open = open_cloud,
    .close = close_cloud,
    .again = again,
    .want = aws_want,
    .find = aws_find,
    .names = aws_names,
    .make = aws_make,
    .may_change = aws_may_change,
    .change = aws_change,
    .unmake = aws_unmake,
    .prove = aws_prove,
    .keeps = true,
    .verbs = verbs,
    .cover = aws_cover,
    .blame = aws_blame,
    .forget = aws_forget,
    .measure = aws_measure,
    .sources = aws_sources,
    .describe = aws_describe,
    .command = aws_command,
};
