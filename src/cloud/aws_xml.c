/* Answers of AWS's Query protocol, XML, as JSON: see aws_query.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xml.h"
#include "cloud/aws_query.h"

/* An answer has at most a thousand objects of a hundred elements or two; an element becomes at most
 * some 200 bytes besides its text. */
#define ELEMENTS_MAX (1u << 20)
#define NAME_SIZE    64 /* of an element; AWS's are half as long */

/* An open element. */
struct level {
    json_t *list;   /* of the children called "item" or "member"; NULL: none */
    json_t *object; /* of the others */
    const char *item_name;
};

struct tree {
    struct level levels[XML_DEPTH_MAX];
    struct text text; /* of the innermost element */
    char *scratch;
    uint32_t n_elements;
    char root_name[NAME_SIZE];
    json_t *root;
};

/* JSON is UTF-8; what is none becomes question marks. */
static json_t *text_value(const struct text *text)
{
    json_t *value = json_stringn(text->at, text->size);
    if (value)
        return value;
    char *copy = malloc(text->size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text->at, text->size);
    for (size_t i = 0; i < text->size;) {
        uint32_t code;
        size_t size = text_utf8(copy + i, text->size - i, &code);
        if (size == 0)
            copy[i] = '?';
        i += size ? size : 1;
    }
    value = json_stringn(copy, text->size);
    free(copy);
    return value;
}

static json_t *take_value(struct level *level, const struct text *text)
{
    json_t *list = level->list, *object = level->object;
    const char *item_name = level->item_name;
    *level = (struct level){0};
    if (object && list) { /* neither one nor the other */
        if (json_object_set_new(object, item_name, list) < 0) {
            json_decref(object);
            return NULL;
        }
        return object;
    }
    if (object || list)
        return object ? object : list;
    return text->size ? text_value(text) : json_null();
}

static bool name_of(const struct xml *xml, char out[NAME_SIZE])
{
    const struct reader *name = &xml->path[xml->depth - 1];
    size_t size = rd_left(name);
    if (size >= NAME_SIZE)
        return false;
    memcpy(out, name->at, size);
    out[size] = '\0';
    return true;
}

static bool add_named(json_t *object, const char *name, json_t *value)
{
    json_t *before = json_object_get(object, name);
    if (!before)
        return json_object_set_new(object, name, value) == 0;
    if (json_is_array(before))
        return json_array_append_new(before, value) == 0;
    json_t *list = json_array();
    if (!list || json_array_append(list, before) < 0 || json_array_append_new(list, value) < 0 ||
        json_object_set(object, name, list) < 0) {
        json_decref(list);
        return false;
    }
    json_decref(list);
    return true;
}

/* `value` becomes the parent's. */
static bool add(struct level *parent, const char *name, json_t *value)
{
    bool is_item = strcmp(name, "item") == 0, is_member = strcmp(name, "member") == 0;
    json_t **to = is_item || is_member ? &parent->list : &parent->object;
    if (!*to)
        *to = is_item || is_member ? json_array() : json_object();
    if (!*to) {
        json_decref(value);
        return false;
    }
    if (is_item || is_member) {
        parent->item_name = is_item ? "item" : "member";
        return json_array_append_new(*to, value) == 0;
    }
    return add_named(*to, name, value);
}

static void drop_text(struct tree *tree)
{
    tree->text.size = 0;
    if (tree->text.at)
        tree->text.at[0] = '\0';
}

/* False: no memory, or nothing that AWS would write. */
static bool take_event(struct tree *tree, const struct xml *xml, int event)
{
    char name[NAME_SIZE];
    if (event == XML_OPEN) {
        drop_text(tree);
        if (xml->depth == 1 && !name_of(xml, tree->root_name))
            return false;
        return ++tree->n_elements <= ELEMENTS_MAX;
    }
    if (event == XML_TEXT) {
        if (!xml_text(xml, tree->scratch, rd_left(&xml->text) + 1))
            return false;
        text_put(&tree->text, tree->scratch);
        return !tree->text.failed;
    }
    json_t *value = take_value(&tree->levels[xml->depth - 1], &tree->text);
    drop_text(tree);
    if (!value || !name_of(xml, name)) {
        json_decref(value);
        return false;
    }
    if (xml->depth > 1)
        return add(&tree->levels[xml->depth - 2], name, value);
    tree->root = value;
    return true;
}

int aws_xml_read(const char *bytes, size_t size, json_t **out, char *out_name, struct err *err)
{
    struct xml xml = xml_make(bytes, size);
    struct tree *tree = calloc(1, sizeof *tree);
    int event = XML_BAD;
    *out = NULL;
    if (tree)
        tree->scratch = malloc(size + 1);
    if (!tree || !tree->scratch) {
        free(tree);
        return err_set(err, -ENOMEM, "no memory for an answer");
    }
    text_init(&tree->text, size);
    while ((event = xml_next(&xml)) > XML_END)
        if (!take_event(tree, &xml, event))
            break;
    for (size_t i = 0; i < XML_DEPTH_MAX; i++) {
        json_decref(tree->levels[i].list);
        json_decref(tree->levels[i].object);
    }
    if (event == XML_END) {
        *out = tree->root;
        if (out_name)
            memcpy(out_name, tree->root_name, NAME_SIZE);
    } else {
        json_decref(tree->root);
    }
    if (tree->text.at)
        explicit_bzero(tree->text.at, tree->text.capacity);
    explicit_bzero(tree->scratch, size + 1);
    text_done(&tree->text);
    free(tree->scratch);
    free(tree);
    return *out ? 0 : err_set(err, -EPROTO, "an answer that is no XML as AWS writes it");
}

/* ---- refusals ---- */

static void copy_text(const json_t *object, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text && !out[0])
        (void)snprintf(out, size, "%s", text);
}

static const char *status_text(long status)
{
    switch (status) {
    case 400:
        return "the request was not understood";
    case 401:
    case 403:
        return "it is not allowed";
    case 404:
        return "there is no such thing; is the endpoint the right one?";
    case 407:
        return "a proxy wants to know who asks";
    case 429:
        return "too many requests";
    default:
        return status >= 500 ? "AWS has a trouble of its own" : "an answer without a reason";
    }
}

static json_t *first(json_t *value)
{
    return json_is_array(value) ? json_array_get(value, 0) : value;
}

void aws_explain(const char *bytes, size_t size, long status, struct cloud_refusal *out)
{
    struct err ignored; /* a proxy's page is no XML; the status says enough then */
    json_t *body = NULL;
    char name[NAME_SIZE] = "";
    *out = (struct cloud_refusal){.status = status};
    if (size && bytes[0] == '{') {
        body = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
        const char *type = json_string_value(json_object_get(body, "__type"));
        const char *mark = type ? strrchr(type, '#') : NULL;
        if (type)
            (void)snprintf(out->code, sizeof out->code, "%s", mark ? mark + 1 : type);
        copy_text(body, "code", out->code, sizeof out->code);
        copy_text(body, "Code", out->code, sizeof out->code);
        copy_text(body, "message", out->message, sizeof out->message);
        copy_text(body, "Message", out->message, sizeof out->message);
    } else if (size && aws_xml_read(bytes, size, &body, name, &ignored) == 0) {
        json_t *errors = json_object_get(body, "Errors");
        json_t *error = first(json_object_get(errors ? first(errors) : body, "Error"));
        copy_text(error, "Code", out->code, sizeof out->code);
        copy_text(error, "Message", out->message, sizeof out->message);
    }
    json_decref(body);
    /* Only AWS can read it, and it would take the place of all else. */
    char *encoded = strstr(out->message, " Encoded authorization failure message");
    if (encoded)
        *encoded = '\0';
    if (!out->message[0])
        (void)snprintf(out->message, sizeof out->message, "HTTP %ld: %s", status,
                       status_text(status));
}

void aws_json_forget(json_t *json)
{
    if (json_is_string(json)) {
        /* jansson gives it as const, as others may have it, too; here nobody has. */
        const char *text = json_string_value(json);
        explicit_bzero((char *)(uintptr_t)text, json_string_length(json));
    } else if (json_is_array(json)) {
        for (size_t i = 0; i < json_array_size(json); i++)
            aws_json_forget(json_incref(json_array_get(json, i)));
    } else if (json_is_object(json)) {
        for (void *at = json_object_iter(json); at; at = json_object_iter_next(json, at))
            aws_json_forget(json_incref(json_object_iter_value(at)));
    }
    json_decref(json);
}
