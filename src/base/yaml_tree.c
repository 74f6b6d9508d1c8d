/* YAML documents as trees: see yaml_tree.h. The events come from libyaml; before it sees a byte,
 * the text is looked through here for what it would take, or would refuse without saying where:
 * bytes that are not UTF-8, control characters, tabs as indentation. */
#include "base/yaml_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "base/reader.h"

/* A list or mapping that is not closed yet. */
struct open_node {
    uint32_t number;
    uint32_t last; /* its youngest child */
};

struct anchor {
    char *name;
    uint32_t node;
};

struct builder {
    struct yaml_doc *doc;
    struct err *err;
    struct open_node open[YAML_MAX_DEPTH + 1];
    unsigned depth;
    uint32_t n_anchors;
    struct anchor anchors[YAML_MAX_ANCHORS];
};

static int refuse_at(const char *name, size_t line, size_t column, struct err *err,
                     const char *what)
{
    return err_set(err, -EINVAL, "%s: %s (line %zu, column %zu)", name, what, line, column);
}

int yaml_refuse(const struct yaml_doc *doc, const struct yaml_node *node, struct err *err,
                const char *end, const char *format, ...)
{
    char sentence[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return err_set(err, -EINVAL, "%s: %s (line %u, column %u)%s", doc->name, sentence, node->line,
                   node->column, end ? end : "");
}

bool yaml_is_null(const struct yaml_doc *doc, const struct yaml_node *node)
{
    if (node->type != YAML_IS_TEXT || !node->plain)
        return false;
    struct str text = str_make(yaml_text(doc, node), node->len);
    return text.len == 0 || str_eq(text, STR("~")) || str_eq_nocase(text, STR("null"));
}

/* The next character; 0xffffffff: what is there is not UTF-8. */
static uint32_t next_character(struct reader *r)
{
    const uint32_t bad = UINT32_MAX;
    uint32_t c = rd_u8(r);
    if (c < 0x80)
        return c;
    unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (c < 0xc2 || c > 0xf4)
        return bad;
    c &= 0x3fu >> more;
    for (unsigned i = 0; i < more; i++) {
        uint8_t b = rd_peek_u8(r, 0);
        if (b >> 6 != 2)
            return bad;
        rd_skip(r, 1);
        c = c << 6 | (b & 0x3f);
    }
    bool surrogate = c >= 0xd800 && c < 0xe000;
    return c < least[more] || c > 0x10ffff || surrogate ? bad : c;
}

/* Line feeds and tabs aside. */
static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c < 0xa0);
}

/* Line breaks that no editor shows, and what is no character. */
static bool is_hidden(uint32_t c)
{
    return c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff;
}

/* After the spaces that a line begins with comes a tab, and then something. */
static bool is_tab_indent(struct reader rest)
{
    while (rd_peek_u8(&rest, 0) == ' ' || rd_peek_u8(&rest, 0) == '\t')
        rd_skip(&rest, 1);
    uint8_t c = rd_peek_u8(&rest, 0);
    return rd_left(&rest) > 0 && c != '\n' && c != '\r' && c != '#';
}

/* What stands behind the % of a directive that says which YAML this is. */
static bool is_version(struct reader rest)
{
    const uint8_t *word = rd_bytes(&rest, 5);
    return word && memcmp(word, "YAML ", 5) == 0;
}

/* `r` begins behind the byte-order mark. */
static int check_text(struct reader r, const char *name, struct err *err)
{
    size_t line = 1, column = 1;
    bool indent = true; /* nothing but spaces so far in this line */
    while (rd_left(&r) > 0) {
        uint32_t c = next_character(&r);
        if (c == UINT32_MAX)
            return refuse_at(name, line, column, err, "this is not UTF-8");
        if (c == '\t' && indent && is_tab_indent(r))
            return refuse_at(name, line, column, err,
                             "a tab in the indentation; YAML wants spaces");
        /* libyaml's time for tags grows with the square of their number. */
        if (c == '%' && column == 1 && !is_version(r))
            return refuse_at(name, line, column, err, "directives (%…) are not used here");
        bool lf = c == '\n', cr = c == '\r';
        if (is_control(c) && !cr)
            return refuse_at(name, line, column, err, "a control character");
        if (is_hidden(c))
            return refuse_at(name, line, column, err,
                             "a character that cannot be seen (a line separator or the like)");
        /* Of a line's tabs only the first is looked at: the rest of it has been seen then. */
        indent = lf || cr || (indent && c == ' ');
        column++;
        if (lf || (cr && rd_peek_u8(&r, 0) != '\n')) {
            line++;
            column = 1;
        }
    }
    return 0;
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "no memory for the configuration");
}

static int refuse_event(const struct builder *b, const yaml_event_t *event, const char *what)
{
    return refuse_at(b->doc->name, event->start_mark.line + 1, event->start_mark.column + 1, b->err,
                     what);
}

/* Appends a node; its number, 0 is never given. */
static int add_node(struct builder *b, const yaml_event_t *event, uint32_t *out)
{
    struct yaml_doc *doc = b->doc;
    if (doc->n_nodes >= YAML_MAX_NODES)
        return refuse_event(b, event, "the document has too many values");
    if (doc->n_nodes == doc->n_places) {
        uint32_t n = doc->n_places * 2;
        struct yaml_node *grown = realloc(doc->nodes, n * sizeof *grown);
        if (!grown)
            return no_memory(b->err);
        doc->nodes = grown;
        doc->n_places = n;
    }
    doc->nodes[doc->n_nodes] = (struct yaml_node){
        .line = (uint32_t)event->start_mark.line + 1,
        .column = (uint32_t)event->start_mark.column + 1,
        .weight = 1,
    };
    *out = doc->n_nodes++;
    return 0;
}

static int add_text(struct builder *b, const yaml_event_t *event, struct yaml_node *node)
{
    struct yaml_doc *doc = b->doc;
    size_t len = event->data.scalar.length;
    const char *text = (const char *)event->data.scalar.value;
    /* Escapes make what cannot be written as it is. */
    for (struct reader r = rd_make(text, len); rd_left(&r) > 0;) {
        uint32_t c = next_character(&r);
        if (is_control(c) || is_hidden(c) || c == UINT32_MAX)
            return refuse_event(b, event, "a control character in a text");
    }
    /* A text of the document is at most twice as long as it is written: sizes do not overflow. */
    if (doc->texts_room - doc->texts_size < len + 1) {
        size_t room = 2 * ((size_t)doc->texts_room + len + 1);
        char *grown = realloc(doc->texts, room);
        if (!grown)
            return no_memory(b->err);
        doc->texts = grown;
        doc->texts_room = (uint32_t)room;
    }
    node->text = doc->texts_size;
    node->len = (uint32_t)len;
    memcpy(doc->texts + doc->texts_size, text, len);
    doc->texts[doc->texts_size + len] = '\0';
    doc->texts_size += (uint32_t)len + 1;
    return 0;
}

/* Whether the innermost open node is a mapping that waits for a key. */
static bool wants_key(const struct builder *b)
{
    if (b->depth == 0)
        return false;
    const struct yaml_node *parent = yaml_node(b->doc, b->open[b->depth - 1].number);
    return parent->type == YAML_IS_MAP && parent->n % 2 == 0;
}

/* Hangs a node into the innermost open one. What it weighs is counted when it is complete. */
static void link_node(struct builder *b, uint32_t number)
{
    struct yaml_doc *doc = b->doc;
    if (b->depth == 0) {
        doc->root = number;
        return;
    }
    struct open_node *parent = &b->open[b->depth - 1];
    if (parent->last)
        doc->nodes[parent->last].next = number;
    else
        doc->nodes[parent->number].first = number;
    parent->last = number;
    doc->nodes[parent->number].n++;
}

/* A complete child makes its parent heavier and higher. */
static int count_node(struct builder *b, uint32_t number, const yaml_event_t *event)
{
    if (b->depth == 0)
        return 0;
    const struct yaml_node *node = &b->doc->nodes[number];
    struct yaml_node *parent = &b->doc->nodes[b->open[b->depth - 1].number];
    if (node->weight > YAML_MAX_WEIGHT - parent->weight)
        return refuse_event(b, event, "the document is too large when its aliases are followed");
    if (b->depth + node->height > YAML_MAX_DEPTH)
        return refuse_event(b, event, "lists and mappings are too deep inside each other");
    parent->weight += node->weight;
    if (parent->height < node->height + 1)
        parent->height = (uint8_t)(node->height + 1);
    return 0;
}

static int add_anchor(struct builder *b, const yaml_event_t *event, const yaml_char_t *name,
                      uint32_t node)
{
    if (!name)
        return 0;
    if (wants_key(b))
        return refuse_event(b, event, "an anchor on a key");
    for (uint32_t i = 0; i < b->n_anchors; i++)
        if (strcmp(b->anchors[i].name, (const char *)name) == 0)
            return refuse_event(b, event, "an anchor of this name is there already");
    if (b->n_anchors == YAML_MAX_ANCHORS)
        return refuse_event(b, event, "too many anchors");
    char *copy = strdup((const char *)name);
    if (!copy)
        return no_memory(b->err);
    b->anchors[b->n_anchors++] = (struct anchor){copy, node};
    return 0;
}

static int take_alias(struct builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    uint32_t i = 0, number;
    while (i < b->n_anchors && strcmp(b->anchors[i].name, name) != 0)
        i++;
    if (i == b->n_anchors)
        return refuse_event(b, event, "an alias without an anchor before it");
    if (wants_key(b))
        return refuse_event(b, event, "an alias as a key");
    for (unsigned d = 0; d < b->depth; d++)
        if (b->open[d].number == b->anchors[i].node)
            return refuse_event(b, event, "an alias inside of what it stands for");
    int result = add_node(b, event, &number);
    if (result < 0)
        return result;
    struct yaml_node *node = &b->doc->nodes[number];
    struct yaml_node copy = b->doc->nodes[b->anchors[i].node];
    copy.line = node->line;
    copy.column = node->column;
    copy.next = 0;
    *node = copy;
    link_node(b, number);
    return count_node(b, number, event);
}

static int take_text(struct builder *b, const yaml_event_t *event)
{
    if (event->data.scalar.tag)
        return refuse_event(b, event, "tags (!…) are not used here");
    uint32_t number;
    int result = add_node(b, event, &number);
    if (result < 0)
        return result;
    struct yaml_node *node = &b->doc->nodes[number];
    node->type = YAML_IS_TEXT;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    result = add_text(b, event, node);
    if (result == 0)
        result = add_anchor(b, event, event->data.scalar.anchor, number);
    if (result < 0)
        return result;
    link_node(b, number);
    return count_node(b, number, event);
}

static int open_collection(struct builder *b, const yaml_event_t *event, enum yaml_type type,
                           const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (tag)
        return refuse_event(b, event, "tags (!…) are not used here");
    if (wants_key(b))
        return refuse_event(b, event, "a list or mapping as a key");
    if (b->depth == YAML_MAX_DEPTH)
        return refuse_event(b, event, "lists and mappings are too deep inside each other");
    uint32_t number;
    int result = add_node(b, event, &number);
    if (result == 0)
        result = add_anchor(b, event, anchor, number);
    if (result < 0)
        return result;
    b->doc->nodes[number].type = (uint8_t)type;
    b->doc->nodes[number].height = 1;
    link_node(b, number);
    b->open[b->depth++] = (struct open_node){.number = number};
    return 0;
}

static int close_collection(struct builder *b, const yaml_event_t *event)
{
    uint32_t number = b->open[--b->depth].number;
    return count_node(b, number, event);
}

static int take_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->doc->root ? refuse_event(b, event, "a second document in one file") : 0;
    case YAML_ALIAS_EVENT:
        return take_alias(b, event);
    case YAML_SCALAR_EVENT:
        return take_text(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(b, event, YAML_IS_LIST, event->data.sequence_start.anchor,
                               event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_collection(b, event, YAML_IS_MAP, event->data.mapping_start.anchor,
                               event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(b, event);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

/* What libyaml did not understand, in its words. */
static int refuse_syntax(const struct builder *b, const yaml_parser_t *parser)
{
    char what[200];
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(b->err);
    const char *problem = parser->problem ? parser->problem : "this is not YAML";
    /* What an IPv6 address in brackets gives. */
    if (strcmp(problem, "did not find expected node content") == 0)
        problem = "a text that begins with [ or the like stands in quotation marks";
    if (parser->context)
        (void)snprintf(what, sizeof what, "%s, %s that begins in line %zu", problem,
                       parser->context, parser->context_mark.line + 1);
    else
        (void)snprintf(what, sizeof what, "%s", problem);
    return refuse_at(b->doc->name, parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                     b->err, what);
}

static int build(struct builder *b, struct reader text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return no_memory(b->err);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.at, rd_left(&text));
    int result = 0;
    for (bool more = true; more && result == 0;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            result = refuse_syntax(b, &parser);
            break;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        result = take_event(b, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return result;
}

static struct yaml_doc *doc_new(const char *name)
{
    struct yaml_doc *doc = calloc(1, sizeof *doc);
    if (!doc)
        return NULL;
    doc->name = strdup(name);
    doc->n_places = 64;
    doc->nodes = calloc(doc->n_places, sizeof *doc->nodes);
    doc->n_nodes = 1; /* 0 means none */
    doc->texts_room = 1024;
    doc->texts = malloc(doc->texts_room);
    if (doc->name && doc->nodes && doc->texts)
        return doc;
    yaml_doc_free(doc);
    return NULL;
}

void yaml_doc_free(struct yaml_doc *doc)
{
    if (!doc)
        return;
    free(doc->name);
    free(doc->nodes);
    free(doc->texts);
    free(doc);
}

int yaml_parse(const char *bytes, size_t size, const char *name, struct yaml_doc **out,
               struct err *err)
{
    if (size > YAML_MAX_SIZE)
        return err_set(err, -EFBIG, "%s: larger than %u bytes", name, YAML_MAX_SIZE);
    struct reader text = rd_make(bytes, size), mark = text;
    if (rd_be24(&mark) == 0xefbbbf) /* it would count as a column */
        text = mark;
    int result = check_text(text, name, err);
    if (result < 0)
        return result;
    struct builder *b = calloc(1, sizeof *b);
    struct yaml_doc *doc = doc_new(name);
    if (!b || !doc) {
        result = no_memory(err);
        goto out;
    }
    b->doc = doc;
    b->err = err;
    result = build(b, text);
    if (result == 0) {
        *out = doc;
        doc = NULL;
    }
out:
    for (uint32_t i = 0; b && i < b->n_anchors; i++)
        free(b->anchors[i].name);
    free(b);
    yaml_doc_free(doc);
    return result;
}

/* All of a file, one byte more than is allowed at most. */
static int read_all(int fd, const char *path, char **out, size_t *out_size, struct err *err)
{
    size_t size = 0, room = 65536;
    char *bytes = malloc(room);
    for (;;) {
        if (!bytes)
            return no_memory(err);
        ssize_t n = read(fd, bytes + size, room - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = -errno;
            free(bytes);
            return err_set(err, code, "%s: %s", path, strerror(-code));
        }
        size += (size_t)n;
        if (n == 0 || size > YAML_MAX_SIZE)
            break;
        if (size == room) {
            room *= 2;
            char *grown = realloc(bytes, room);
            if (!grown)
                free(bytes);
            bytes = grown;
        }
    }
    *out = bytes;
    *out_size = size;
    return 0;
}

int yaml_parse_file(const char *path, struct yaml_doc **out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int code = -errno;
        return err_set(err, code, "%s: %s", path, strerror(-code));
    }
    char *bytes = NULL;
    size_t size = 0;
    int result = read_all(fd, path, &bytes, &size, err);
    (void)close(fd); /* it was only read */
    if (result == 0)
        result = yaml_parse(bytes, size, path, out, err);
    free(bytes);
    return result;
}
