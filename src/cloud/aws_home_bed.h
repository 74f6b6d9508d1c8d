/* For tests of AWS's credentials: a home with AWS's files, and who gives credentials. */
#ifndef CLOUD_AWS_HOME_BED_H
#define CLOUD_AWS_HOME_BED_H

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

#include "cloud/aws_bed.h"

#define NS INT64_C(1000000000)
#define CREDENTIALS_XML(action, id, expires)                                                       \
    "<" action "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" action             \
    "Result><Credentials><AccessKeyId>" id "</AccessKeyId><SecretAccessKey>s-" id                  \
    "</SecretAccessKey><SessionToken>t-" id "</SessionToken><Expiration>" expires                  \
    "</Expiration></Credentials></" action "Result></" action "Response>"
#define CREDENTIALS_JSON(id, expires)                                                              \
    "{\"Code\": \"Success\", \"AccessKeyId\": \"" id "\", \"SecretAccessKey\": \"s-" id            \
    "\", \"Token\": \"t-" id "\", \"Expiration\": \"" expires "\"}"
#define EXPIRED                                                                                    \
    "<Response><Errors><Error><Code>ExpiredToken</Code><Message>m</Message></Error></Errors>"      \
    "</Response>"
#define LATER  "2015-08-30T18:36:00Z"
#define SOONER "2015-08-30T13:36:00+00:00"

/* A folder of its own as home. */
struct home {
    char path[64], aws[96];
    char pair[80];
};

static inline void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static inline void home_file(const struct home *home, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", home->aws, name);
    write_file(path, text, 0600);
}

static inline struct bed *started(struct home *home, const char *config, const char *credentials)
{
    struct bed *bed = bed_start();
    (void)snprintf(home->path, sizeof home->path, "/tmp/aws_chain_test.XXXXXX");
    assert_non_null(mkdtemp(home->path));
    (void)snprintf(home->aws, sizeof home->aws, "%s/.aws", home->path);
    (void)snprintf(home->pair, sizeof home->pair, "HOME=%s", home->path);
    assert_int_equal(mkdir(home->aws, 0700), 0);
    if (config)
        home_file(home, "config", config);
    if (credentials)
        home_file(home, "credentials", credentials);
    bed_put(bed, home->pair);
    bed_put(bed, "AWS_REGION=eu-west-1");
    return bed;
}

static inline int remove_one(const char *path, const struct stat *facts, int type, struct FTW *at)
{
    (void)facts;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void stopped(struct bed *bed, const struct home *home)
{
    assert_int_equal(nftw(home->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    bed_stop(bed);
}

/* Opens, and calls: the key's id that signs has to be `id`, and the place `origin`. */
static inline void check(struct bed *bed, const struct aws_options *options, const char *id,
                         const char *origin)
{
    struct aws *aws = NULL;
    struct err err = {{0}};
    char signs[160];
    json_t *out = NULL;
    if (bed_open(bed, options, &aws, &err) < 0)
        fail_msg("%s: %s", id, err.text);
    (void)snprintf(signs, sizeof signs, "Credential=%s/", id);
    bed_rule(bed, (struct bed_rule){
                      .when = {"Action=DescribeVpcs", signs}, .status = 200, .body = "<a/>"});
    if (aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, NULL, &err) < 0)
        fail_msg("%s: %s\n%s", id, err.text, bed->asked.at);
    if (!strstr(aws_origin(aws), origin))
        fail_msg("%s is not of %s", aws_origin(aws), origin);
    assert_null(strstr(aws_origin(aws), id));
    pthread_mutex_lock(&bed->lock);
    bed->n_rules--; /* its text ends here */
    pthread_mutex_unlock(&bed->lock);
    json_decref(out);
    aws_close(aws);
    assert_null(bed->traced.at ? strstr(bed->traced.at, id) : NULL);
}

static inline void check_refused(struct bed *bed, const struct aws_options *options, int code,
                                 const char *says)
{
    struct aws *aws = NULL;
    struct err err = {{0}};
    json_t *out = NULL;
    int result = bed_open(bed, options, &aws, &err);
    if (result == 0)
        result = aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, NULL, &err);
    if (result != code || !strstr(err.text, says))
        fail_msg("%d: %s", result, err.text);
    if (strstr(err.text, "secret-word"))
        fail_msg("a secret is told: %s", err.text);
    aws_close(aws);
}

#endif
