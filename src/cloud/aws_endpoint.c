/* The hosts of AWS's services: by region, partition, FIPS and dual stack; or what the user says. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cloud/aws_impl.h"

static const struct aws_service services[] = {
    {"ec2", "EC2", "2016-11-15", .is_ec2 = true, .is_fips_in_gov = true},
    {"elasticloadbalancing", "ELASTIC_LOAD_BALANCING_V2", "2015-12-01", .is_fips_in_gov = true},
    {"sts", "STS", "2011-06-15", .is_fips_in_gov = true},
    {"monitoring", "CLOUDWATCH", "2010-08-01", .is_fips_in_gov = true, .is_fips_in_gov_dual = true},
    {"cloudtrail", "CLOUDTRAIL", .target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
     .is_fips_in_gov = true},
    {"portal.sso", "SSO", .is_fips_in_gov = true},
    {"oidc", "SSO_OIDC", .is_fips_in_gov = true},
};

const struct aws_service *aws_service_of(const char *name)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    return NULL;
}

/* It becomes a part of a host's name, and of what is signed. */
bool aws_region_is_valid(const char *region)
{
    size_t len = strlen(region);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)region[i];
        if (c >= 0x80 || (!isalnum(c) && c != '-') || (c == '-' && (i == 0 || i + 1 == len)))
            return false;
    }
    return len > 0 && len < 40;
}

static const struct partition {
    const char *prefix;        /* of the region */
    const char *domain, *dual; /* of hosts that have IPv6, too */
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws"},
};

static const struct partition *partition_of(const char *region)
{
    size_t i = 0;
    while (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) != 0)
        i++;
    return &partitions[i];
}

/* What the user put in the place of AWS's own: the option, the environment, the profile; each for
 * the service before that for all. */
static const char *given(const struct aws *aws, const struct aws_service *service)
{
    char name[80], key[96];
    if (aws->endpoint)
        return aws->endpoint;
    if (aws_is_true(aws_setting(aws, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                                "ignore_configured_endpoint_urls")))
        return NULL;
    (void)snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", service->id);
    const char *url = aws_env_get(&aws->env, name);
    if (!url)
        url = aws_env_get(&aws->env, "AWS_ENDPOINT_URL");
    const char *set = aws_files_get(aws->files, "profile", aws->profile, "services");
    if (!url && set) {
        (void)snprintf(key, sizeof key, "%s.endpoint_url", service->id);
        for (char *at = key; *at; at++)
            *at = str_lower_char(*at);
        url = aws_files_get(aws->files, "services", set, key);
    }
    return url ? url : aws_files_get(aws->files, "profile", aws->profile, "endpoint_url");
}

static bool is_url(const char *url)
{
    size_t at = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    return at && url[at] && url[at] != '/' && !strpbrk(url, " \t\r\n?#@");
}

/* In the government's regions the plain names are FIPS's already. */
static bool has_fips_name(const struct aws_service *service, const char *region, bool fips,
                          bool dual)
{
    bool is_plain = dual ? service->is_fips_in_gov_dual : service->is_fips_in_gov;
    return fips && !(is_plain && strncmp(region, "us-gov-", 7) == 0);
}

int aws_endpoint(const struct aws *aws, const struct aws_service *service, const char *region,
                 char *out, size_t size, struct err *err)
{
    const struct partition *partition = partition_of(region);
    bool fips = aws_is_true(aws_setting(aws, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"));
    bool dual =
        aws_is_true(aws_setting(aws, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"));
    const char *url = given(aws, service);
    int len;
    if (url && !is_url(url))
        return err_set(err, -EINVAL,
                       "the endpoint of %s is no URL like https://HOST:PORT (AWS_ENDPOINT_URL, "
                       "endpoint_url)",
                       service->name);
    if (url)
        len = snprintf(out, size, "%s%s", url, url[strlen(url) - 1] == '/' ? "" : "/");
    else
        len = snprintf(out, size, "https://%s%s.%s.%s/", service->name,
                       has_fips_name(service, region, fips, dual) ? "-fips" : "", region,
                       dual ? partition->dual : partition->domain);
    if (len < 0 || (size_t)len >= size)
        return err_set(err, -ENAMETOOLONG, "the endpoint of %s is too long", service->name);
    return 0;
}
