/* Reading a tree into a struct by a table of rows: see yaml.h. The recursion follows the table, and
 * is as deep as the tree at most: YAML_MAX_DEPTH. */
#include "base/yaml.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "base/options.h"

#define MAX_ROWS    64
#define MAX_TEXT    4095
#define SHOWN_CHARS 60

struct taker {
    const struct yaml_doc *doc;
    struct err *err;
    uint16_t file;
};

/* A number of characters that does not cut one of UTF-8. */
static int shown(const char *text)
{
    size_t n = strnlen(text, SHOWN_CHARS);
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

static void *member(void *target, size_t offset)
{
    return (char *)target + offset;
}

static int take_map(const struct taker *t, const struct yaml_row *rows, void *target,
                    const struct yaml_node *map);

/* "'KEY' wants WHAT, not 'TEXT'". */
static int refuse_value(const struct taker *t, const struct yaml_row *row,
                        const struct yaml_node *node, const char *wants)
{
    const char *text = yaml_text(t->doc, node);
    const char * or = row->zero ? ", or " : "", *zero = row->zero ? row->zero : "";
    if (node->type != YAML_IS_TEXT)
        return yaml_refuse(t->doc, node, t->err, NULL, "'%s' wants %s%s%s, not a %s", row->key,
                           wants, or, zero, node->type == YAML_IS_LIST ? "list" : "mapping");
    if (yaml_is_null(t->doc, node))
        return yaml_refuse(t->doc, node, t->err, NULL, "'%s' has no value; it wants %s%s%s",
                           row->key, wants, or, zero);
    return yaml_refuse(t->doc, node, t->err, NULL, "'%s' wants %s%s%s, not '%.*s'", row->key, wants,
                       or, zero, shown(text), text);
}

static int take_text(const struct taker *t, const struct yaml_row *row, char **at,
                     const struct yaml_node *node)
{
    size_t min = row->min ? row->min : 1, max = row->max ? row->max : MAX_TEXT;
    const char *text = yaml_text(t->doc, node);
    if (node->len < min || node->len > max) {
        char wants[80];
        (void)snprintf(wants, sizeof wants, "%zu to %zu characters", min, max);
        return refuse_value(t, row, node, wants);
    }
    char *copy = strdup(text);
    if (!copy)
        return err_set(t->err, -ENOMEM, "no memory for the configuration");
    free(*at);
    *at = copy;
    return 0;
}

static int take_count(const struct taker *t, const struct yaml_row *row, uint32_t *at,
                      const struct yaml_node *node)
{
    uint64_t value;
    uint64_t max = row->max ? row->max : UINT32_MAX;
    const char *text = yaml_text(t->doc, node);
    bool octal = text[0] == '0' && text[1]; /* to some readers */
    if (octal || !options_number(text, max, &value) || value < row->min) {
        char wants[80];
        (void)snprintf(wants, sizeof wants, "a number from %" PRIu64 " to %" PRIu64, row->min, max);
        return refuse_value(t, row, node, wants);
    }
    *at = (uint32_t)value;
    return 0;
}

/* What `put` writes of a bound, for a sentence. */
static const char *bound_text(const struct yaml_row *row, uint64_t bound, char out[40])
{
    out[0] = '\0';
    FILE *f = fmemopen(out, 40, "w");
    if (!f)
        return out;
    if (row->kind == YAML_TIME)
        yaml_put_time((int64_t)bound, f);
    else
        yaml_put_size(bound, f);
    (void)fclose(f); /* 40 bytes are enough for any number */
    return out;
}

static int refuse_range(const struct taker *t, const struct yaml_row *row,
                        const struct yaml_node *node, const char *what)
{
    char min[40], max[40], wants[140];
    if (row->max)
        (void)snprintf(wants, sizeof wants, "%s from %s to %s", what,
                       bound_text(row, row->min, min), bound_text(row, row->max, max));
    else
        (void)snprintf(wants, sizeof wants, "%s of at least %s", what,
                       bound_text(row, row->min, min));
    return refuse_value(t, row, node, wants);
}

static bool in_range(const struct yaml_row *row, uint64_t value)
{
    return value >= row->min && (row->max == 0 || value <= row->max);
}

static int take_size(const struct taker *t, const struct yaml_row *row, uint64_t *at,
                     const struct yaml_node *node)
{
    uint64_t value;
    if (!options_size(yaml_text(t->doc, node), &value))
        return refuse_value(t, row, node, "a size such as 512M");
    if (!in_range(row, value))
        return refuse_range(t, row, node, "a size");
    *at = value;
    return 0;
}

static int take_time(const struct taker *t, const struct yaml_row *row, int64_t *at,
                     const struct yaml_node *node)
{
    int64_t value;
    if (!yaml_value_time(yaml_text(t->doc, node), &value))
        return refuse_value(t, row, node, "a time with its unit, such as 30s, 5m or 1h");
    if (!in_range(row, (uint64_t)value))
        return refuse_range(t, row, node, "a time");
    *at = value;
    return 0;
}

static int take_share(const struct taker *t, const struct yaml_row *row, uint8_t *at,
                      const struct yaml_node *node)
{
    uint8_t value;
    if (!yaml_value_share(yaml_text(t->doc, node), &value) || !in_range(row, value))
        return refuse_value(t, row, node, "a share such as 80%");
    *at = value;
    return 0;
}

static int take_word(const struct taker *t, const struct yaml_row *row, int *at,
                     const struct yaml_node *node)
{
    const char *text = yaml_text(t->doc, node);
    struct nearest nearest = nearest_begin(text);
    char wants[200] = "", end[NEAREST_TEXT_MAX];
    for (int i = 0; row->words[i]; i++) {
        if (strcmp(row->words[i], text) == 0) {
            *at = i;
            return 0;
        }
        nearest_try(&nearest, row->words[i]);
        size_t len = strlen(wants);
        (void)snprintf(wants + len, sizeof wants - len, "%s%s",
                       i == 0              ? ""
                       : row->words[i + 1] ? ", "
                                           : " or ",
                       row->words[i]);
    }
    if (node->type != YAML_IS_TEXT || !nearest.word)
        return refuse_value(t, row, node, wants);
    return yaml_refuse(t->doc, node, t->err, nearest_text(&nearest, end),
                       "'%s' wants %s, not '%.*s'", row->key, wants, shown(text), text);
}

/* Puts file and place around a sentence that has neither. */
static int place_error(const struct taker *t, const struct yaml_row *row,
                       const struct yaml_node *node, int code)
{
    struct err inner = {{0}};
    if (t->err)
        inner = *t->err;
    if (code != -EINVAL)
        return code;
    return yaml_refuse(t->doc, node, t->err, NULL, "'%s': %s", row->key, inner.text);
}

static int take_form(const struct taker *t, const struct yaml_row *row, void *at,
                     const struct yaml_node *node)
{
    if (node->type != YAML_IS_TEXT || yaml_is_null(t->doc, node))
        return refuse_value(t, row, node, row->value ? row->value : "a text");
    int result = row->form->take(at, yaml_text(t->doc, node), t->err);
    return result < 0 ? place_error(t, row, node, result) : 0;
}

static int take_struct(const struct taker *t, const struct yaml_row *row, void *at,
                       const struct yaml_node *node)
{
    int result;
    if (node->type == YAML_IS_TEXT && row->form && !yaml_is_null(t->doc, node))
        result = take_form(t, row, at, node);
    else
        result = take_map(t, row->rows, at, node);
    if (result == 0 && row->finish) {
        result = row->finish(at, t->err);
        if (result < 0)
            return place_error(t, row, node, result);
    }
    return result;
}

/* The word for 0. False: it is not that. */
static bool take_zero(const struct taker *t, const struct yaml_row *row, void *at,
                      const struct yaml_node *node)
{
    if (!row->zero || node->type != YAML_IS_TEXT || strcmp(yaml_text(t->doc, node), row->zero) != 0)
        return false;
    switch (row->kind) {
    case YAML_TEXT:
        free(*(char **)at);
        *(char **)at = NULL;
        return true;
    case YAML_COUNT:
        *(uint32_t *)at = 0;
        return true;
    case YAML_SIZE:
        *(uint64_t *)at = 0;
        return true;
    case YAML_TIME:
        *(int64_t *)at = 0;
        return true;
    case YAML_SHARE:
        *(uint8_t *)at = 0;
        return true;
    case YAML_BOOL:
    case YAML_WORD:
    case YAML_FORM:
    case YAML_MAP:
    case YAML_IGNORE:
        return false;
    }
    return false;
}

/* One value. */
static int take_one(const struct taker *t, const struct yaml_row *row, void *at,
                    const struct yaml_node *node)
{
    if (take_zero(t, row, at, node))
        return 0;
    bool wants_text = row->kind != YAML_MAP && row->kind != YAML_IGNORE;
    if (wants_text && row->kind == YAML_TEXT &&
        (node->type != YAML_IS_TEXT || yaml_is_null(t->doc, node)))
        return refuse_value(t, row, node, row->value ? row->value : "a text");
    switch (row->kind) {
    case YAML_TEXT:
        return take_text(t, row, at, node);
    case YAML_BOOL:
        if (node->type == YAML_IS_TEXT && yaml_value_bool(yaml_text(t->doc, node), at))
            return 0;
        return refuse_value(t, row, node, "yes or no");
    case YAML_COUNT:
        return take_count(t, row, at, node);
    case YAML_SIZE:
        return take_size(t, row, at, node);
    case YAML_TIME:
        return take_time(t, row, at, node);
    case YAML_SHARE:
        return take_share(t, row, at, node);
    case YAML_WORD:
        return take_word(t, row, at, node);
    case YAML_FORM:
        return take_form(t, row, at, node);
    case YAML_MAP:
        return take_struct(t, row, at, node);
    case YAML_IGNORE:
        return 0;
    }
    return 0;
}

/* One more item of a list, zeroed and with its defaults. The room doubles when the number reaches a
 * power of two, so that it need not be kept. */
static int add_item(const struct taker *t, const struct yaml_row *row, void *target,
                    const struct yaml_node *node, void **out)
{
    void **items = member(target, row->at);
    size_t *count = member(target, row->count_at);
    if (*count >= row->max_items)
        return yaml_refuse(t->doc, node, t->err, NULL, "'%s' has more than %zu entries", row->key,
                           row->max_items);
    if ((*count & (*count - 1)) == 0) {
        void *grown = realloc(*items, (*count ? *count * 2 : 1) * row->item_size);
        if (!grown)
            return err_set(t->err, -ENOMEM, "no memory for the configuration");
        *items = grown;
    }
    char *item = (char *)*items + *count * row->item_size;
    memset(item, 0, row->item_size);
    if (row->init)
        row->init(item);
    if (row->has_place)
        *(struct yaml_place *)(void *)(item + row->place_at) =
            (struct yaml_place){.line = node->line, .column = node->column, .file = t->file};
    ++*count;
    *out = item;
    return 0;
}

static int take_item(const struct taker *t, const struct yaml_row *row, void *target,
                     const struct yaml_node *node)
{
    void *item;
    int result = add_item(t, row, target, node, &item);
    return result < 0 ? result : take_one(t, row, item, node);
}

static int take_list(const struct taker *t, const struct yaml_row *row, void *target,
                     const struct yaml_node *node)
{
    if (row->replaces) {
        /* A table of this row alone frees this list. */
        const struct yaml_row only[] = {*row, {0}};
        yaml_drop(only, target);
    }
    if (yaml_is_null(t->doc, node))
        return 0; /* all of its lines are comments */
    if (node->type == YAML_IS_TEXT || (node->type == YAML_IS_MAP && row->kind == YAML_MAP))
        return take_item(t, row, target, node);
    if (node->type != YAML_IS_LIST)
        return yaml_refuse(t->doc, node, t->err, NULL, "'%s' wants a list", row->key);
    for (uint32_t i = node->first; i; i = yaml_node(t->doc, i)->next) {
        int result = take_item(t, row, target, yaml_node(t->doc, i));
        if (result < 0)
            return result;
    }
    return 0;
}

/* The item of this name, of an earlier file, or NULL. */
static void *find_named(const struct yaml_row *row, void *target, const char *name)
{
    char *items = *(void **)member(target, row->at);
    size_t count = *(size_t *)member(target, row->count_at);
    for (size_t i = 0; i < count; i++) {
        char *item = items + i * row->item_size;
        if (strcmp(*(char **)(void *)(item + row->name_at), name) == 0)
            return item;
    }
    return NULL;
}

static int take_named(const struct taker *t, const struct yaml_row *row, void *target,
                      const struct yaml_node *map)
{
    if (yaml_is_null(t->doc, map))
        return 0;
    if (map->type != YAML_IS_MAP)
        return yaml_refuse(t->doc, map, t->err, NULL, "'%s' wants names, and a mapping for each",
                           row->key);
    if (map->n / 2 > row->max_items)
        return yaml_refuse(t->doc, map, t->err, NULL, "'%s' has more than %zu entries", row->key,
                           row->max_items);
    for (uint32_t i = map->first; i; i = yaml_node(t->doc, yaml_node(t->doc, i)->next)->next) {
        const struct yaml_node *key = yaml_node(t->doc, i);
        const char *name = yaml_text(t->doc, key);
        for (uint32_t j = map->first; j != i;
             j = yaml_node(t->doc, yaml_node(t->doc, j)->next)->next)
            if (strcmp(yaml_text(t->doc, yaml_node(t->doc, j)), name) == 0)
                return yaml_refuse(t->doc, key, t->err, NULL, "'%.*s' was there before, in line %u",
                                   shown(name), name, yaml_node(t->doc, j)->line);
        void *item = find_named(row, target, name);
        if (!item) {
            const struct yaml_row name_row = {.key = "a name", .max = row->max};
            int result = add_item(t, row, target, key, &item);
            /* A name that is not there would be a NULL for find_named. */
            if (result == 0 && yaml_is_null(t->doc, key))
                result = refuse_value(t, &name_row, key, "some characters");
            if (result == 0)
                result = take_text(t, &name_row, member(item, row->name_at), key);
            if (result < 0)
                return result;
        }
        int result = take_struct(t, row, item, yaml_node(t->doc, key->next));
        if (result < 0)
            return result;
    }
    return 0;
}

static int take_row(const struct taker *t, const struct yaml_row *row, void *target,
                    const struct yaml_node *node)
{
    if (row->kind == YAML_IGNORE)
        return 0;
    switch (row->shape) {
    case YAML_ONE:
        return take_one(t, row, member(target, row->at), node);
    case YAML_LIST:
        return take_list(t, row, target, node);
    case YAML_NAMED:
        return take_named(t, row, target, node);
    }
    return 0;
}

static int unknown_key(const struct taker *t, const struct yaml_row *rows,
                       const struct yaml_node *key)
{
    const char *text = yaml_text(t->doc, key);
    struct nearest nearest = nearest_begin(text);
    char end[NEAREST_TEXT_MAX];
    for (const struct yaml_row *row = rows; row->key; row++)
        if (row->kind != YAML_IGNORE)
            nearest_try(&nearest, row->key);
    return yaml_refuse(t->doc, key, t->err, nearest_text(&nearest, end), "unknown key '%.*s'",
                       shown(text), text);
}

static bool is_row(const struct yaml_row *row, const char *key)
{
    return row->kind == YAML_IGNORE ? strncmp(row->key, key, strlen(row->key)) == 0
                                    : strcmp(row->key, key) == 0;
}

/* What a mapping's keys were, while it is read together with those it takes over. */
struct seen {
    uint32_t line[MAX_ROWS]; /* of each row's key; 0: not yet */
};

static int take_keys(const struct taker *t, const struct yaml_row *rows, void *target,
                     const struct yaml_node *map, bool taken_over, struct seen *seen);

/* `<<: *anchor` or `<<: [*one, *two]`: the first that has a key gives it. */
static int take_over(const struct taker *t, const struct yaml_row *rows, void *target,
                     const struct yaml_node *from, struct seen *seen)
{
    if (from->type == YAML_IS_MAP)
        return take_keys(t, rows, target, from, true, seen);
    if (from->type != YAML_IS_LIST)
        return yaml_refuse(t->doc, from, t->err, NULL, "'<<' wants an alias of a mapping");
    for (uint32_t i = from->first; i; i = yaml_node(t->doc, i)->next) {
        const struct yaml_node *one = yaml_node(t->doc, i);
        if (one->type != YAML_IS_MAP)
            return yaml_refuse(t->doc, one, t->err, NULL, "'<<' wants an alias of a mapping");
        int result = take_keys(t, rows, target, one, true, seen);
        if (result < 0)
            return result;
    }
    return 0;
}

static int take_keys(const struct taker *t, const struct yaml_row *rows, void *target,
                     const struct yaml_node *map, bool taken_over, struct seen *seen)
{
    const struct yaml_node *over = NULL;
    /* The keys of this very mapping, where `seen` is of several. */
    struct seen own = {{0}};
    for (uint32_t i = map->first; i; i = yaml_node(t->doc, yaml_node(t->doc, i)->next)->next) {
        const struct yaml_node *key = yaml_node(t->doc, i), *value = yaml_node(t->doc, key->next);
        const char *text = yaml_text(t->doc, key);
        if (strcmp(text, "<<") == 0 && key->plain) {
            if (over)
                return yaml_refuse(t->doc, key, t->err, NULL, "a second '<<'");
            over = value;
            continue;
        }
        unsigned n = 0;
        while (rows[n].key && !is_row(&rows[n], text))
            n++;
        assert(n < MAX_ROWS);
        if (!rows[n].key)
            return unknown_key(t, rows, key);
        if (rows[n].kind == YAML_IGNORE)
            continue;
        if (own.line[n])
            return yaml_refuse(t->doc, key, t->err, NULL, "'%s' was there before, in line %u", text,
                               own.line[n]);
        own.line[n] = key->line;
        if (taken_over && seen->line[n])
            continue;
        seen->line[n] = key->line;
        int result = take_row(t, &rows[n], target, value);
        if (result < 0)
            return result;
    }
    return over ? take_over(t, rows, target, over, seen) : 0;
}

static int take_map(const struct taker *t, const struct yaml_row *rows, void *target,
                    const struct yaml_node *map)
{
    struct seen seen = {{0}};
    if (yaml_is_null(t->doc, map))
        return 0; /* all of its lines are comments */
    if (map->type != YAML_IS_MAP)
        return yaml_refuse(t->doc, map, t->err, NULL, "here belong keys and values ('%s: …')",
                           rows[0].key);
    return take_keys(t, rows, target, map, false, &seen);
}

int yaml_take(const struct yaml_doc *doc, const struct yaml_row *rows, uint16_t file, void *target,
              struct err *err)
{
    const struct taker t = {.doc = doc, .err = err, .file = file};
    return doc->root ? take_map(&t, rows, target, yaml_node(doc, doc->root)) : 0;
}

static void drop_one(const struct yaml_row *row, void *at)
{
    if (row->kind == YAML_TEXT) {
        free(*(char **)at);
        *(char **)at = NULL;
    }
    if (row->form && row->form->drop)
        row->form->drop(at);
    if (row->kind == YAML_MAP)
        yaml_drop(row->rows, at);
}

void yaml_drop(const struct yaml_row *rows, void *target)
{
    for (const struct yaml_row *row = rows; row->key; row++) {
        if (row->again || row->kind == YAML_IGNORE)
            continue;
        if (row->shape == YAML_ONE) {
            drop_one(row, member(target, row->at));
            continue;
        }
        void **items = member(target, row->at);
        size_t *count = member(target, row->count_at);
        for (size_t i = 0; i < *count; i++) {
            char *item = (char *)*items + i * row->item_size;
            drop_one(row, item);
            if (row->shape == YAML_NAMED)
                free(*(char **)(void *)(item + row->name_at));
        }
        free(*items);
        *items = NULL;
        *count = 0;
    }
}
