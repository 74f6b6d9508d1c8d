/* Transactions of OVSDB, RFC 7047, sections 4.1.3 and 5.2. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "linux/ovsdb.h"

void ovsdb_begin(struct ovsdb_transaction *t)
{
    t->operations = json_pack("[s]", "Open_vSwitch");
    t->failed = !t->operations;
}

void ovsdb_cancel(struct ovsdb_transaction *t)
{
    json_decref(t->operations);
    t->operations = NULL;
}

static void add(struct ovsdb_transaction *t, json_t *operation)
{
    if (!operation || !t->operations || json_array_append_new(t->operations, operation) < 0)
        t->failed = true;
}

/* NULL: it lacks memory, and `also` is used up. */
static json_t *new_operation(const char *op, const char *table, json_t *where, json_t *also)
{
    if (where)
        return json_pack("{s:s, s:s, s:o}", "op", op, "table", table, "where", where);
    json_decref(also);
    return NULL;
}

static void set_new(struct ovsdb_transaction *t, json_t *operation, const char *key, json_t *value)
{
    if (!value || json_object_set_new(operation, key, value) < 0)
        t->failed = true;
}

static json_t *names(const char *const *columns)
{
    json_t *list = json_array();
    for (size_t i = 0; list && columns[i]; i++)
        if (json_array_append_new(list, json_string(columns[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

void ovsdb_select(struct ovsdb_transaction *t, const char *table, json_t *where,
                  const char *const *columns)
{
    json_t *op = new_operation("select", table, where, NULL);
    set_new(t, op, "columns", names(columns));
    add(t, op);
}

void ovsdb_insert(struct ovsdb_transaction *t, const char *table, json_t *row, const char *name)
{
    json_t *op =
        row ? json_pack("{s:s, s:s, s:o}", "op", "insert", "table", table, "row", row) : NULL;
    if (name)
        set_new(t, op, "uuid-name", json_string(name));
    add(t, op);
}

void ovsdb_update(struct ovsdb_transaction *t, const char *table, json_t *where, json_t *row)
{
    json_t *op = new_operation("update", table, where, row);
    if (op)
        set_new(t, op, "row", row);
    add(t, op);
}

void ovsdb_mutate(struct ovsdb_transaction *t, const char *table, json_t *where, const char *column,
                  const char *mutator, json_t *value)
{
    json_t *op = new_operation("mutate", table, where, value);
    if (op)
        set_new(t, op, "mutations",
                value ? json_pack("[[s, s, o]]", column, mutator, value) : NULL);
    add(t, op);
}

void ovsdb_delete(struct ovsdb_transaction *t, const char *table, json_t *where)
{
    add(t, new_operation("delete", table, where, NULL));
}

void ovsdb_expect(struct ovsdb_transaction *t, const char *table, json_t *where, json_t *rows,
                  const char *const *columns)
{
    json_t *op = new_operation("wait", table, where, rows);
    if (op) {
        set_new(t, op, "rows", rows);
        set_new(t, op, "columns", names(columns));
        set_new(t, op, "until", json_string("=="));
        set_new(t, op, "timeout", json_integer(0));
    }
    add(t, op);
}

static int say_refusal(const json_t *operation, const json_t *answer, struct err *err)
{
    const char *op = json_string_value(json_object_get(operation, "op"));
    const char *table = json_string_value(json_object_get(operation, "table"));
    const char *error = json_string_value(json_object_get(answer, "error"));
    const char *details = json_string_value(json_object_get(answer, "details"));
    if (op && strcmp(op, "wait") == 0 && strcmp(error, "timed out") == 0)
        return err_set(err, -EAGAIN,
                       "Open vSwitch's configuration changed in the meantime (table %s): nothing "
                       "was done, run it again",
                       table);
    char what[80] = "the transaction"; /* an error behind the last one is of all of them */
    if (op)
        (void)snprintf(what, sizeof what, "to %s in table %s", op, table);
    int code = strcmp(error, "permission error") == 0 || strcmp(error, "not allowed") == 0 ? -EPERM
               : strcmp(error, "constraint violation") == 0                                ? -EEXIST
                                                            : -EPROTO;
    return err_set(err, code, "Open vSwitch's database refuses %s: %.60s%s%.250s", what, error,
                   details ? ": " : "", details ? details : "");
}

int ovsdb_commit(struct ovsdb *db, struct ovsdb_transaction *t, json_t **out, struct err *err)
{
    if (t->failed) {
        ovsdb_cancel(t);
        return err_set(err, -ENOMEM, "out of memory");
    }
    json_t *operations = t->operations, *results = NULL;
    t->operations = NULL;
    json_incref(operations);
    int result = ovsdb_call(db, "transact", operations, &results, err);
    size_t n = json_array_size(operations) - 1; /* the first is the database's name */
    if (!result && json_array_size(results) < n)
        result = err_set(err, -EBADMSG, "Open vSwitch's database answered less than it was asked");
    for (size_t i = 0; !result && i < json_array_size(results); i++) {
        const json_t *one = json_array_get(results, i);
        if (json_is_string(json_object_get(one, "error")))
            result = say_refusal(i < n ? json_array_get(operations, i + 1) : NULL, one, err);
    }
    json_decref(operations);
    if (!result && out)
        *out = json_incref(results);
    json_decref(results);
    return result;
}

const json_t *ovsdb_row(const json_t *results, size_t operation, size_t row)
{
    return json_array_get(json_object_get(json_array_get(results, operation), "rows"), row);
}
