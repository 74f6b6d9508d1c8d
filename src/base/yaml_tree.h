/* One YAML document as a tree, made of libyaml's events. What the document may be is bounded: its
 * size, its depth, its number of nodes, and what its aliases make of it. Values are texts: nothing
 * is taken for a number, a date or a boolean here. */
#ifndef BASE_YAML_TREE_H
#define BASE_YAML_TREE_H

#include "base/err.h"
#include "base/str.h"

#define YAML_MAX_SIZE    (8u << 20) /* bytes of a document */
#define YAML_MAX_DEPTH   16         /* lists and mappings inside each other, aliases followed */
#define YAML_MAX_NODES   (1u << 20) /* of a document, as it is written */
#define YAML_MAX_WEIGHT  (1u << 20) /* of a document, aliases followed */
#define YAML_MAX_ANCHORS 128

enum yaml_type { YAML_IS_TEXT, YAML_IS_LIST, YAML_IS_MAP };

/* An alias is a node with its own place and the contents of what it stands for. */
struct yaml_node {
    uint8_t type;          /* enum yaml_type */
    bool plain;            /* a text without quotation marks */
    uint8_t height;        /* levels of lists and mappings, itself included */
    uint32_t line, column; /* from 1 on; the column in characters */
    uint32_t first, next;  /* numbers of nodes; 0: none. In a mapping: key, value, key, value … */
    uint32_t n;            /* children */
    uint32_t weight;       /* nodes it stands for */
    uint32_t text, len;    /* of a text */
};

struct yaml_doc {
    char *name; /* the file's, for errors */
    struct yaml_node *nodes;
    uint32_t n_nodes, n_places;
    char *texts; /* each ended by a NUL; no control characters but tabs and line feeds */
    uint32_t texts_size, texts_room;
    uint32_t root; /* 0: the document is empty */
};

/* `name` is what errors call it. A byte-order mark is skipped. */
int yaml_parse(const char *bytes, size_t size, const char *name, struct yaml_doc **out,
               struct err *err) MUST_CHECK;
/* Reads and parses a file. -ENOENT when it is not there. May block where it is a pipe. */
int yaml_parse_file(const char *path, struct yaml_doc **out, struct err *err) MUST_CHECK;
void yaml_doc_free(struct yaml_doc *doc);

static inline const struct yaml_node *yaml_node(const struct yaml_doc *doc, uint32_t number)
{
    return &doc->nodes[number];
}

/* NUL-ended; valid as long as the document. "" for what is no text. */
static inline const char *yaml_text(const struct yaml_doc *doc, const struct yaml_node *node)
{
    return node->type == YAML_IS_TEXT ? doc->texts + node->text : "";
}

/* A plain empty value, `~` or `null`: the key was written and nothing behind it. */
bool yaml_is_null(const struct yaml_doc *doc, const struct yaml_node *node);

/* "FILE: sentence (line L, column C)end"; `end` may be NULL. */
int yaml_refuse(const struct yaml_doc *doc, const struct yaml_node *node, struct err *err,
                const char *end, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
