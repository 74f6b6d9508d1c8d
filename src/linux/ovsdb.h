/* A client of OVSDB, the database in which Open vSwitch keeps what it is told (RFC 7047): JSON-RPC
 * over a Unix or TCP socket. One question at a time, each with a time limit; answers are bounded.
 */
#ifndef LINUX_OVSDB_H
#define LINUX_OVSDB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ovsdb;

/* `where`: "unix:PATH", "tcp:HOST[:PORT]" (6640), or NULL: the socket of this machine's Open
 * vSwitch, $OVS_RUNDIR/db.sock or where packages put it. `timeout_ms`: for the connection, and for
 * each question later. */
int ovsdb_open(const char *where, int timeout_ms, struct ovsdb **out, struct err *err) MUST_CHECK;
void ovsdb_close(struct ovsdb *db);

/* As ovs-vsctl --db takes it. */
const char *ovsdb_where(const struct ovsdb *db);

/* Whether it is of this machine: by a Unix socket. */
bool ovsdb_is_local(const struct ovsdb *db);

/* One method of the protocol. Takes `params` over, also when it fails; the caller owns *out. */
int ovsdb_call(struct ovsdb *db, const char *method, json_t *params, json_t **out,
               struct err *err) MUST_CHECK;

/* Whether the database Open_vSwitch has the column. Asks for the schema once. */
int ovsdb_has_column(struct ovsdb *db, const char *table, const char *column, bool *out,
                     struct err *err) MUST_CHECK;

/* Whether any client holds the lock. ovs-vswitchd holds "ovs_vswitchd" as long as it runs. */
int ovsdb_lock_is_held(struct ovsdb *db, const char *lock, bool *out, struct err *err) MUST_CHECK;

/* --- Transactions on the database Open_vSwitch ---------------------------------------------------
 *
 * Operations are added one after another; memory that lacks is said at the end. All of them happen,
 * or none. */

struct ovsdb_transaction {
    json_t *operations;
    bool failed;
};

void ovsdb_begin(struct ovsdb_transaction *t);
void ovsdb_cancel(struct ovsdb_transaction *t);

/* All of these take the JSON values over, also when they fail. `where`: an array of conditions,
 * ovsdb_where_is() and its like, or json_array() for all rows; NULL is memory that lacked.
 * `columns` ends with NULL. */
void ovsdb_select(struct ovsdb_transaction *t, const char *table, json_t *where,
                  const char *const *columns);
/* `name`: what operations of this transaction call the new row; see ovsdb_named(). */
void ovsdb_insert(struct ovsdb_transaction *t, const char *table, json_t *row, const char *name);
void ovsdb_update(struct ovsdb_transaction *t, const char *table, json_t *where, json_t *row);
/* `mutator`: "insert" and "delete" of sets and maps, "+=" of numbers. */
void ovsdb_mutate(struct ovsdb_transaction *t, const char *table, json_t *where, const char *column,
                  const char *mutator, json_t *value);
void ovsdb_delete(struct ovsdb_transaction *t, const char *table, json_t *where);
/* All fails (-EAGAIN) unless the rows of `where` have exactly these values in these columns now.
 * `rows`: an array of objects; an empty one: there is no such row. */
void ovsdb_expect(struct ovsdb_transaction *t, const char *table, json_t *where, json_t *rows,
                  const char *const *columns);

/* The transaction is used up, also when it fails. *out, which may be NULL: an array with what each
 * operation gave; the caller owns it. Refused: the sentence says which operation, and the
 * database's own words. */
int ovsdb_commit(struct ovsdb *db, struct ovsdb_transaction *t, json_t **out,
                 struct err *err) MUST_CHECK;

/* The rows that a select gave: NULL: none, or not so many. */
const json_t *ovsdb_row(const json_t *results, size_t operation, size_t row);

/* --- Values --------------------------------------------------------------------------------------
 *
 * A set of one is written as its element. A value of another type than asked for is as one that is
 * not there. */

size_t ovsdb_n(const json_t *set);
const json_t *ovsdb_at(const json_t *set, size_t i);
bool ovsdb_has(const json_t *set, const json_t *element);

/* Of the only, or first, element. NULL or false: there is none. */
const char *ovsdb_text(const json_t *value);
const char *ovsdb_uuid(const json_t *value);
bool ovsdb_number(const json_t *value, int64_t *out);
bool ovsdb_true(const json_t *value);

/* Of a map of strings, or of strings to numbers. */
const char *ovsdb_map_text(const json_t *map, const char *key);
bool ovsdb_map_number(const json_t *map, const char *key, int64_t *out);
/* The i-th pair; false: there are fewer. */
bool ovsdb_map_at(const json_t *map, size_t i, const char **key, const json_t **value);

/* New values; NULL: no memory. The arguments that are JSON are taken over. */
json_t *ovsdb_new_uuid(const char *uuid);
json_t *ovsdb_named(const char *name); /* a row that this transaction inserts */
json_t *ovsdb_new_set(json_t *array);
json_t *ovsdb_new_map(json_t *object);
/* One condition, in the array that `where` wants. */
json_t *ovsdb_where_is(const char *column, json_t *value);
json_t *ovsdb_where_uuid(const char *uuid);

#endif
