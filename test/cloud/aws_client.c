/* For tests of the AWS client against AWS's own: reads questions, one JSON object a line, and
 * answers each with one.
 *   {"do": "sign", "method", "url", "headers", "body", "id", "secret", "token", "region",
 *    "service", "now"}              {"headers": {…}}
 *   {"do": "query", "ec2", "action", "version", "parameters"}      {"body": "…"}
 *   {"do": "read", "body"}          {"name": "…", "value": …}
 *   {"do": "endpoint", "env", "service", "region"}                 {"url": "…"}
 *   {"do": "find", "env", "profile"}  {"id": the access key's id, "origin": "…", "region": "…"}
 * What is refused is {"error": "…", "code": errno}. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

static const char *text_of(const json_t *asked, const char *name)
{
    return json_string_value(json_object_get(asked, name));
}

static const char *env_get(const char *name, void *with)
{
    return json_string_value(json_object_get(with, name));
}

static int sign(const json_t *asked, json_t *out, struct err *err)
{
    struct aws_keys keys = {0};
    json_t *headers = json_object_get(asked, "headers"), *value, *made = json_object();
    const char *name;
    struct cloud_request request = {.method = text_of(asked, "method"),
                                    .url = text_of(asked, "url"),
                                    .body = text_of(asked, "body")};
    request.size = request.body ? strlen(request.body) : 0;
    json_object_foreach(headers, name, value)
        cloud_request_header(&request, name, json_string_value(value));
    int result = aws_keys_set(&keys, text_of(asked, "id"), text_of(asked, "secret"),
                              text_of(asked, "token"), err);
    if (result == 0)
        result = aws_sign(&request, &keys, text_of(asked, "region"), text_of(asked, "service"),
                          json_integer_value(json_object_get(asked, "now")) * 1000000000, err);
    for (size_t i = 0; i < request.n_headers; i++)
        json_object_set_new(made, request.headers[i].name, json_string(request.headers[i].value));
    json_object_set_new(out, "headers", made);
    cloud_request_done(&request);
    aws_keys_done(&keys);
    return result;
}

static int query(const json_t *asked, json_t *out, struct err *err)
{
    struct text text;
    text_init(&text, 1u << 20);
    int result = aws_query_put(
        &text, json_is_true(json_object_get(asked, "ec2")) ? AWS_STYLE_EC2 : AWS_STYLE_QUERY,
        text_of(asked, "action"), text_of(asked, "version"), json_object_get(asked, "parameters"),
        err);
    json_object_set_new(out, "body", json_string(text.at ? text.at : ""));
    text_done(&text);
    return result;
}

static int read_answer(const json_t *asked, json_t *out, struct err *err)
{
    const char *body = text_of(asked, "body");
    char name[64] = "";
    json_t *value;
    int result = aws_xml_read(body, strlen(body), &value, name, err);
    json_object_set_new(out, "name", json_string(name));
    json_object_set_new(out, "value", value ? value : json_null());
    return result;
}

static int endpoint(const json_t *asked, json_t *out, struct err *err)
{
    char url[512] = "";
    struct aws aws = {.env = {env_get, json_object_get(asked, "env")}, .profile = "default"};
    int result = aws_files_read(&aws.env, &aws.files, err);
    if (result < 0)
        return result;
    result = aws_endpoint(&aws, aws_service_of(text_of(asked, "service")), text_of(asked, "region"),
                          url, sizeof url, err);
    json_object_set_new(out, "url", json_string(url));
    aws_files_free(aws.files);
    return result;
}

static int find(const json_t *asked, json_t *out, struct err *err)
{
    const struct aws_env env = {env_get, json_object_get(asked, "env")};
    const struct aws_options options = {.profile = text_of(asked, "profile")};
    const struct aws_keys *keys;
    struct cloud_http *http = NULL;
    struct aws *aws = NULL;
    int result = cloud_http_open(NULL, &http, err);
    if (result == 0)
        result = aws_open_with(&options, &env, http, &aws, err);
    if (result == 0)
        result = aws_source_keys(aws, aws->source, false, &keys, err);
    if (result == 0) {
        json_object_set_new(out, "id", json_string(keys->id));
        json_object_set_new(out, "origin", json_string(aws_origin(aws)));
        json_object_set_new(out, "region", json_string(aws_region(aws)));
    }
    aws_close(aws);
    cloud_http_close(http);
    return result;
}

static int answer(const json_t *asked, json_t *out, struct err *err)
{
    static const struct {
        const char *name;
        int (*run)(const json_t *asked, json_t *out, struct err *err);
    } verbs[] = {{"sign", sign},
                 {"query", query},
                 {"read", read_answer},
                 {"endpoint", endpoint},
                 {"find", find}};
    const char *name = text_of(asked, "do");
    for (size_t i = 0; name && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].run(asked, out, err);
    return err_set(err, -EINVAL, "no such question");
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        struct err err = {{0}};
        json_t *asked = json_loads(line, 0, NULL), *out = json_object();
        int code = asked ? answer(asked, out, &err) : err_set(&err, -EINVAL, "no JSON");
        if (code < 0) {
            json_object_clear(out);
            json_object_set_new(out, "error", json_string(err.text));
            json_object_set_new(out, "code", json_integer(-code));
        }
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(asked);
        json_decref(out);
    }
    free(line);
    return 0;
}
