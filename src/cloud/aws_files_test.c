/* AWS's files as botocore reads them. */
#include "cloud/aws_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct aws_files *parsed(enum aws_file file, const char *text)
{
    struct aws_files *files = aws_files_new();
    struct err err = {{0}};
    assert_non_null(files);
    if (aws_files_parse(files, file, text, strlen(text), &err) < 0)
        fail_msg("%s", err.text);
    return files;
}

static void is(const struct aws_files *files, const char *kind, const char *name, const char *key,
               const char *expected)
{
    const char *value = aws_files_get(files, kind, name, key);
    if (!value || !expected ? value != expected : strcmp(value, expected) != 0)
        fail_msg("%s %s %s: %s", kind, name, key, value ? value : "nothing");
}

static void test_config(void **state)
{
    struct aws_files *files = parsed(AWS_FILE_CONFIG, "\xef\xbb\xbf# comment\r\n"
                                                      "[default]\r\n"
                                                      "Region = eu-west-1 \r\n"
                                                      "; another\r\n"
                                                      "empty =\r\n"
                                                      "[ profile \"a b\" ]\n"
                                                      "role_arn: arn:aws:iam::1:role/x\n"
                                                      "s3 =\n"
                                                      "  addressing_style = path\n"
                                                      "\tinner=1\n"
                                                      "  # comment\n"
                                                      "\n"
                                                      "  more = 2\n"
                                                      "after = x = y # z\n"
                                                      "long = one\n"
                                                      "    two\n"
                                                      "[profile\tquoted']\nk=v\n"
                                                      "[sso-session corp]\nsso_region = r\n"
                                                      "[services local]\nec2 =\n"
                                                      "  endpoint_url = http://h\n"
                                                      "[other]\nk = v\n  w = x\n"
                                                      "[profiles]\nk = v\n"
                                                      "[profile none]\n"
                                                      "[default]\nregion = us-east-1\n"
                                                      "last = 1");
    (void)state;
    is(files, "profile", "default", "region", "us-east-1");
    is(files, "profile", "default", "last", "1");
    is(files, "profile", "default", "empty", NULL);
    is(files, "profile", "a b", "role_arn", "arn:aws:iam::1:role/x");
    is(files, "profile", "a b", "addressing_style", NULL);
    is(files, "profile", "a b", "s3.addressing_style", "path");
    is(files, "profile", "a b", "s3.inner", "1");
    is(files, "profile", "a b", "s3.more", "2");
    is(files, "profile", "a b", "after", "x = y # z");
    is(files, "profile", "a b", "long", "one\ntwo");
    is(files, "profile", "quoted'", "k", "v");
    is(files, "sso-session", "corp", "sso_region", "r");
    is(files, "services", "local", "ec2.endpoint_url", "http://h");
    is(files, "profile", "other", "k", NULL);
    assert_true(aws_files_has(files, "profile", "none"));
    assert_true(aws_files_has(files, "sso-session", "corp"));
    assert_false(aws_files_has(files, "profile", "corp"));
    assert_false(aws_files_has(files, "profile", "other"));
    assert_false(aws_files_has(files, "profile", "s"));
    aws_files_free(files);
}

static void test_both(void **state)
{
    struct aws_files *files = parsed(AWS_FILE_CONFIG, "[profile a]\nk = config\nl = config\n[b]\n");
    struct err err;
    static const char credentials[] = "[a]\nk = credentials\n[profile c]\nk = v\n";
    (void)state;
    assert_int_equal(
        aws_files_parse(files, AWS_FILE_CREDENTIALS, credentials, strlen(credentials), &err), 0);
    is(files, "profile", "a", "k", "credentials");
    is(files, "profile", "a", "l", "config");
    assert_string_equal(aws_files_of(files, AWS_FILE_CONFIG, "profile", "a", "k"), "config");
    assert_null(aws_files_of(files, AWS_FILE_CREDENTIALS, "profile", "a", "l"));
    assert_false(aws_files_has(files, "profile", "b"));
    assert_false(aws_files_has(files, "profile", "c"));
    aws_files_free(files);
}

/* The line is named, and what it says is not: it may be a secret. */
static void test_wrong(void **state)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"[default]\nsecret-word\n", ":2: neither"},
        {"key = secret-word\n", ":1: a setting before"},
        {"\n\n[secret-word\n", ":3: a section's name"},
        {"[default]\n= secret-word\n", ":2: neither"},
        {"[default]\nblock =\n  secret-word\n", ":3: neither"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct aws_files *files = aws_files_new();
        struct err err = {{0}};
        assert_int_equal(
            aws_files_parse(files, AWS_FILE_CONFIG, wrong[i].text, strlen(wrong[i].text), &err),
            -EINVAL);
        if (!strstr(err.text, wrong[i].says) || strstr(err.text, "secret"))
            fail_msg("%zu: %s", i, err.text);
        aws_files_free(files);
    }
}

static const char *no_env(const char *name, void *with)
{
    const char *const *pairs = with;
    size_t len = strlen(name);
    for (size_t i = 0; pairs[i]; i++)
        if (strncmp(pairs[i], name, len) == 0 && pairs[i][len] == '=')
            return pairs[i] + len + 1;
    return NULL;
}

static void test_places(void **state)
{
    char folder[] = "/tmp/aws_files_test.XXXXXX", home[64], path[64], named[96];
    const char *pairs[4] = {home};
    struct aws_env env = {no_env, pairs};
    struct aws_files *files;
    struct err err = {{0}};
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(home, sizeof home, "HOME=%s", folder);
    (void)snprintf(path, sizeof path, "%s/mine", folder);
    (void)snprintf(named, sizeof named, "AWS_CONFIG_FILE=~/mine");
    assert_int_equal(aws_files_read(&env, &files, &err), 0); /* nothing is there */
    assert_non_null(strstr(aws_files_path(files, AWS_FILE_CONFIG), "/.aws/config"));
    assert_null(aws_files_trouble(files, AWS_FILE_CONFIG));
    aws_files_free(files);
    pairs[1] = named;
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs("[default]\nregion = r\n", f) > 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(aws_files_read(&env, &files, &err), 0);
    assert_string_equal(aws_files_path(files, AWS_FILE_CONFIG), path);
    is(files, "profile", "default", "region", "r");
    assert_true(aws_files_is_open(files, AWS_FILE_CONFIG));
    assert_false(aws_files_is_open(files, AWS_FILE_CREDENTIALS));
    aws_files_free(files);
    /* A folder where a file should be; a file with a NUL; one that is too large. */
    pairs[1] = "AWS_CONFIG_FILE=/tmp";
    assert_int_equal(aws_files_read(&env, &files, &err), -EISDIR);
    assert_non_null(strstr(err.text, "/tmp"));
    pairs[1] = named;
    f = fopen(path, "we");
    assert_int_equal(fwrite("[a]\0", 1, 4, f), 4);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(aws_files_read(&env, &files, &err), -EILSEQ);
    assert_int_equal(truncate(path, 2 << 20), 0);
    assert_int_equal(aws_files_read(&env, &files, &err), -EFBIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_many(void **state)
{
    struct aws_files *files = aws_files_new();
    struct err err = {{0}};
    struct text text;
    (void)state;
    text_init(&text, 1u << 20);
    text_put(&text, "[default]\n");
    for (int i = 0; i < 10000; i++)
        text_format(&text, "k%d = v\n", i);
    assert_int_equal(aws_files_parse(files, AWS_FILE_CONFIG, text.at, text.size, &err), -EINVAL);
    assert_non_null(strstr(err.text, "more settings than fit"));
    text_done(&text);
    aws_files_free(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config), cmocka_unit_test(test_both), cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_places), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
