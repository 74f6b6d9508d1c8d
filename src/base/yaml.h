/* Configuration from tables: the same rows read a YAML document into a struct, write it back, free
 * what it owns, and print what there is to configure.
 *
 * The reader is strict: an unknown key, a key that comes twice, a value of another kind or out of
 * its range is an error that names file, line and column, and the nearest known word. A value is
 * what its row says and nothing else: `no` is a boolean only where a boolean is wanted, and 12:30
 * is a text. `<<` takes over what a mapping lacks from another, or from several. */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stdio.h>

#include "base/yaml_tree.h"

/* What a value is, and the type of the member it goes to. */
enum yaml_kind {
    YAML_TEXT,   /* char *, owned; min..max characters (max 0: 4095) */
    YAML_BOOL,   /* bool */
    YAML_COUNT,  /* uint32_t */
    YAML_SIZE,   /* uint64_t, bytes: 512M */
    YAML_TIME,   /* int64_t, nanoseconds: 200ms, 30s, 5m, 1h, 7d, 1h30m */
    YAML_SHARE,  /* uint8_t, percent: 80% */
    YAML_WORD,   /* int: the number of the word in `words` */
    YAML_FORM,   /* what `form` makes of a text */
    YAML_MAP,    /* a struct, by `rows`; with a form, a text may stand for it */
    YAML_IGNORE, /* `key` is how such keys begin: they are for the author's anchors */
};

enum yaml_shape {
    YAML_ONE,
    YAML_LIST,  /* a list; one value may stand without its brackets */
    YAML_NAMED, /* of YAML_MAP: a mapping of names to structs */
};

/* Values of a kind of their own. */
struct yaml_form {
    /* Fills `at` from the text; the error is a sentence without file and place. */
    int (*take)(void *at, const char *text, struct err *err);
    /* Writes the text that would be taken again; false: there is none. */
    bool (*put)(const void *at, FILE *out);
    /* Frees what `at` owns; NULL: nothing. */
    void (*drop)(void *at);
};

/* Where something was written. */
struct yaml_place {
    uint32_t line, column; /* from 1 on; 0: nowhere */
    uint16_t file;         /* what was given to yaml_take */
};

/* The table ends with a row without key, and has at most 64 rows. */
struct yaml_row {
    const char *key;
    const char *value; /* what the reference calls it: "SIZE"; NULL: by its kind */
    const char *help;  /* lines of at most 72 characters */
    enum yaml_kind kind;
    enum yaml_shape shape;
    size_t at; /* offset of the member; of a list: of the pointer to its items */
    uint64_t min, max;
    const char *const *words; /* ended by NULL */
    const struct yaml_form *form;
    const struct yaml_row *rows;
    const char *zero; /* the word for 0 or NULL: "off", "auto"; NULL: 0 is not special */

    /* Lists: offset of the size_t that counts; of an item: its size, its limit; of the char * that
     * has its name (YAML_NAMED), of the struct yaml_place that says where it was written. */
    size_t count_at, item_size, max_items, name_at, place_at;
    bool has_place;
    bool replaces; /* in a later file the list begins anew; others grow */
    bool again;    /* another spelling of another row: not written back */

    /* Items and YAML_MAP: defaults of zeroed memory; and a last look at what was read, whose error
     * is a sentence without file and place. Both may be NULL. */
    void (*init)(void *item);
    int (*finish)(void *item, struct err *err);
};

/* Reads the document into `target`, which has its defaults, or what other files said: values of
 * this document are put over those. `file` goes into places. On failure `target` is partly filled;
 * give it to yaml_drop. */
int yaml_take(const struct yaml_doc *doc, const struct yaml_row *rows, uint16_t file, void *target,
              struct err *err) MUST_CHECK;

/* Frees all that was taken, not `target` itself. */
void yaml_drop(const struct yaml_row *rows, void *target);

/* Writes all of it as a document that gives the same when it is read. Write errors are in `out`. */
void yaml_put(const struct yaml_row *rows, const void *target, FILE *out);

/* Writes every key, what it takes, its default and its help. `target` holds the defaults. */
void yaml_reference(const struct yaml_row *rows, const void *target, FILE *out);

/* Calls `each` for every row, with its path: "outputs.logs.folder". Stops at what is not 0. */
int yaml_each(const struct yaml_row *rows,
              int (*each)(const char *path, const struct yaml_row *row, void *with), void *with);

/* A text as a YAML scalar, in quotation marks where one is needed. */
void yaml_put_text(const char *text, FILE *out);

/* Values by themselves, as rows take them; for forms and command lines. */
bool yaml_value_bool(const char *text, bool *out);
bool yaml_value_time(const char *text, int64_t *out);
bool yaml_value_share(const char *text, uint8_t *out);
void yaml_put_time(int64_t ns, FILE *out);
void yaml_put_size(uint64_t bytes, FILE *out);

#endif
