/* Parameters of AWS's Query protocol as a form: see aws_query.h. */
#include "cloud/aws_query.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 8
#define NAME_MAX_ 512

/* As forms are: a blank is a plus, and all but letters, digits and _.-~ is escaped. */
static void put_value(struct text *out, const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c == ' ')
            text_put(out, "+");
        else if ((c < 0x80 && isalnum(c)) || (c && strchr("_.-~", c)))
            text_add(out, &c, 1);
        else
            text_format(out, "%%%02X", c);
    }
}

static void put_pair(struct text *out, const char *name, const char *value, size_t size)
{
    text_put(out, out->size ? "&" : "");
    put_value(out, name, strlen(name));
    text_put(out, "=");
    put_value(out, value, size);
}

static int put(struct text *out, enum aws_style style, const char *name, const json_t *value,
               unsigned depth, struct err *err);

static int put_under(struct text *out, enum aws_style style, const char *prefix, const char *name,
                     const json_t *value, unsigned depth, struct err *err)
{
    char whole[NAME_MAX_];
    int len = snprintf(whole, sizeof whole, "%s%s%s", prefix, *prefix ? "." : "", name);
    if (len < 0 || (size_t)len >= sizeof whole || depth > DEPTH_MAX)
        return err_set(err, -EINVAL, "parameter %s: nested too deeply", prefix);
    return put(out, style, whole, value, depth, err);
}

static int put_list(struct text *out, enum aws_style style, const char *name, const json_t *list,
                    unsigned depth, struct err *err)
{
    size_t n = json_array_size(list);
    if (n == 0 && style == AWS_STYLE_QUERY)
        put_pair(out, name, "", 0);
    for (size_t i = 0; i < n; i++) {
        char number[40];
        (void)snprintf(number, sizeof number, "%s%zu", style == AWS_STYLE_QUERY ? "member." : "",
                       i + 1);
        int result = put_under(out, style, name, number, json_array_get(list, i), depth + 1, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int put_object(struct text *out, enum aws_style style, const char *name,
                      const json_t *object, unsigned depth, struct err *err)
{
    /* jansson walks an object that is not const; nothing is changed. */
    json_t *walked = json_incref((json_t *)(uintptr_t)object);
    void *at = json_object_iter(walked);
    int result = 0;
    for (; at && result == 0; at = json_object_iter_next(walked, at))
        result = put_under(out, style, name, json_object_iter_key(at), json_object_iter_value(at),
                           depth + 1, err);
    json_decref(walked);
    return result;
}

static int put(struct text *out, enum aws_style style, const char *name, const json_t *value,
               unsigned depth, struct err *err)
{
    char number[64];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(out, style, name, value, depth, err);
    case JSON_ARRAY:
        return put_list(out, style, name, value, depth, err);
    case JSON_STRING:
        put_pair(out, name, json_string_value(value), json_string_length(value));
        return 0;
    case JSON_INTEGER:
        (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        put_pair(out, name, number, strlen(number));
        return 0;
    case JSON_REAL:
        (void)snprintf(number, sizeof number, "%.17g", json_real_value(value));
        put_pair(out, name, number, strlen(number));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        put_pair(out, name, json_is_true(value) ? "true" : "false", json_is_true(value) ? 4 : 5);
        return 0;
    case JSON_NULL:
        return 0;
    }
    return err_set(err, -EINVAL, "parameter %s: nothing that can be sent", name);
}

int aws_query_put(struct text *out, enum aws_style style, const char *action, const char *version,
                  const json_t *parameters, struct err *err)
{
    put_pair(out, "Action", action, strlen(action));
    put_pair(out, "Version", version, strlen(version));
    int result = parameters ? put_object(out, style, "", parameters, 0, err) : 0;
    if (result == 0 && out->failed)
        return err_set(err, -EMSGSIZE, "%s: more parameters than a request can hold", action);
    return result;
}
