/* JSON-RPC with Open vSwitch's database: see ovsdb.h and RFC 7047, section 4. Messages follow each
 * other with nothing between them; a scanner that knows strings and braces finds where one ends. */
#include "linux/ovsdb.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reader.h"
#include "linux/ovsdb_connect.h"

#define MESSAGE_MAX (16u << 20) /* a database of thousands of ports, all of it */
#define READ_SIZE   65536
#define N_OTHER_MAX 1000 /* messages that are no answer, while one is waited for */

struct ovsdb {
    int fd, timeout_ms;
    struct ovsdb_place place;
    json_int_t n_asked; /* ids of questions */

    /* What was read and not used yet. */
    char *in;
    size_t size, capacity;

    /* How far it was scanned, and what for. */
    struct {
        size_t at;
        unsigned depth;
        bool in_string, escaped;
    } scan;

    json_t *schema; /* NULL: not asked for yet */
};

int ovsdb_open(const char *where, int timeout_ms, struct ovsdb **out, struct err *err)
{
    struct ovsdb *db = calloc(1, sizeof *db);
    if (!db)
        return err_set(err, -ENOMEM, "out of memory");
    db->fd = -1;
    db->timeout_ms = timeout_ms;
    int64_t deadline = clock_ticks() + (int64_t)timeout_ms * 1000000;
    int result = ovsdb_connect(where, deadline, &db->place, &db->fd, err);
    if (result) {
        ovsdb_close(db);
        return result;
    }
    *out = db;
    return 0;
}

void ovsdb_close(struct ovsdb *db)
{
    if (!db)
        return;
    if (db->fd >= 0)
        (void)close(db->fd);
    json_decref(db->schema);
    free(db->in);
    free(db);
}

const char *ovsdb_where(const struct ovsdb *db)
{
    return db->place.where;
}

bool ovsdb_is_local(const struct ovsdb *db)
{
    return db->place.is_local;
}

static int hung_up(const struct ovsdb *db, int why, struct err *err)
{
    return err_set(err, -EPIPE, "Open vSwitch's database at %s hung up%s%s", db->place.where,
                   why ? ": " : "", why ? strerror(why) : "");
}

static int garbage(const struct ovsdb *db, const char *what, struct err *err)
{
    return err_set(err, -EBADMSG, "Open vSwitch's database at %s: %s; is it another program?",
                   db->place.where, what);
}

static int send_message(struct ovsdb *db, json_t *message, int64_t deadline, struct err *err)
{
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    int result = 0;
    size_t size = strlen(text);
    for (size_t at = 0; at < size && !result;) {
        ssize_t n = send(db->fd, text + at, size - at, MSG_NOSIGNAL);
        if (n >= 0)
            at += (size_t)n;
        else if (errno == EAGAIN || errno == EINTR)
            result = ovsdb_wait_socket(db->fd, POLLOUT, deadline, db->place.where, err);
        else
            result = hung_up(db, errno, err);
    }
    free(text);
    return result;
}

/* The size of the first message; 0: its end is not there yet. -EBADMSG: it is none. */
static int scan_message(struct ovsdb *db, size_t *out_size)
{
    struct reader r = rd_make(db->in + db->scan.at, db->size - db->scan.at);
    *out_size = 0;
    while (rd_left(&r) > 0 && *out_size == 0) {
        char c = (char)rd_u8(&r);
        db->scan.at++;
        if (db->scan.in_string) {
            bool ends = c == '"' && !db->scan.escaped;
            db->scan.escaped = c == '\\' && !db->scan.escaped;
            db->scan.in_string = !ends;
        } else if (c == '{' || c == '[') {
            db->scan.depth++;
        } else if (c == '"' && db->scan.depth > 0) {
            db->scan.in_string = true;
        } else if ((c == '}' || c == ']') && db->scan.depth > 0) {
            if (--db->scan.depth == 0)
                *out_size = db->scan.at;
        } else if (db->scan.depth == 0 && !strchr(" \t\r\n", c)) {
            return -EBADMSG;
        }
    }
    return 0;
}

static int read_more(struct ovsdb *db, int64_t deadline, struct err *err)
{
    if (db->capacity - db->size < READ_SIZE) {
        size_t capacity = db->capacity ? db->capacity * 2 : 2 * READ_SIZE;
        if (capacity > MESSAGE_MAX)
            return garbage(db, "a message longer than 16 MiB", err);
        char *in = realloc(db->in, capacity);
        if (!in)
            return err_set(err, -ENOMEM, "out of memory");
        db->in = in;
        db->capacity = capacity;
    }
    for (;;) {
        ssize_t n = recv(db->fd, db->in + db->size, READ_SIZE, 0);
        if (n > 0) {
            db->size += (size_t)n;
            return 0;
        }
        if (n == 0)
            return hung_up(db, 0, err);
        if (errno != EAGAIN && errno != EINTR)
            return hung_up(db, errno, err);
        int result = ovsdb_wait_socket(db->fd, POLLIN, deadline, db->place.where, err);
        if (result)
            return result;
    }
}

static int read_message(struct ovsdb *db, int64_t deadline, json_t **out, struct err *err)
{
    for (;;) {
        size_t size = 0;
        if (db->in && scan_message(db, &size) < 0)
            return garbage(db, "what came is no JSON", err);
        if (size > 0) {
            json_t *message = json_loadb(db->in, size, 0, NULL);
            memmove(db->in, db->in + size, db->size - size);
            db->size -= size;
            memset(&db->scan, 0, sizeof db->scan);
            if (!json_is_object(message)) {
                json_decref(message);
                return garbage(db, "what came is no JSON-RPC", err);
            }
            *out = message;
            return 0;
        }
        int result = read_more(db, deadline, err);
        if (result)
            return result;
    }
}

/* The server asks whether we are there. Others than echo are notifications, which nobody asked for.
 */
static int answer_request(struct ovsdb *db, const json_t *message, int64_t deadline,
                          struct err *err)
{
    const char *method = json_string_value(json_object_get(message, "method"));
    json_t *id = json_object_get(message, "id"), *params = json_object_get(message, "params");
    if (!method || strcmp(method, "echo") != 0 || !id || json_is_null(id))
        return 0;
    return send_message(db, json_pack("{s:O, s:n, s:O?}", "id", id, "error", "result", params),
                        deadline, err);
}

static int take_answer(struct ovsdb *db, const char *method, const json_t *message, json_t **out,
                       struct err *err)
{
    const json_t *error = json_object_get(message, "error");
    json_t *result = json_object_get(message, "result");
    if (error && !json_is_null(error)) {
        const char *what =
            json_string_value(json_is_object(error) ? json_object_get(error, "error") : error);
        const char *details = json_string_value(json_object_get(error, "details"));
        return err_set(err, -EPROTO, "Open vSwitch's database at %s refuses to %s: %.100s%s%.200s",
                       db->place.where, method, what ? what : "it does not say why",
                       details ? ": " : "", details ? details : "");
    }
    if (!result)
        return garbage(db, "an answer without a result", err);
    *out = json_incref(result);
    return 0;
}

int ovsdb_call(struct ovsdb *db, const char *method, json_t *params, json_t **out, struct err *err)
{
    int64_t deadline = clock_ticks() + (int64_t)db->timeout_ms * 1000000;
    json_int_t id = ++db->n_asked;
    int result = send_message(
        db,
        params ? json_pack("{s:s, s:o, s:I}", "method", method, "params", params, "id", id) : NULL,
        deadline, err);
    for (unsigned i = 0; !result && i < N_OTHER_MAX; i++) {
        json_t *message = NULL;
        result = read_message(db, deadline, &message, err);
        if (result)
            return result;
        const json_t *of = json_object_get(message, "id");
        bool ours = !json_object_get(message, "method") && json_is_integer(of) &&
                    json_integer_value(of) == id;
        result = ours ? take_answer(db, method, message, out, err)
                      : answer_request(db, message, deadline, err);
        json_decref(message);
        if (ours)
            return result;
    }
    return result ? result : garbage(db, "it talks, and does not answer", err);
}

int ovsdb_has_column(struct ovsdb *db, const char *table, const char *column, bool *out,
                     struct err *err)
{
    if (!db->schema) {
        int result =
            ovsdb_call(db, "get_schema", json_pack("[s]", "Open_vSwitch"), &db->schema, err);
        if (result)
            return result;
    }
    const json_t *tables = json_object_get(db->schema, "tables");
    const json_t *columns = json_object_get(json_object_get(tables, table), "columns");
    *out = json_object_get(columns, column) != NULL;
    return 0;
}

int ovsdb_lock_is_held(struct ovsdb *db, const char *lock, bool *out, struct err *err)
{
    json_t *answer = NULL;
    int result = ovsdb_call(db, "lock", json_pack("[s]", lock), &answer, err);
    if (result)
        return result;
    bool got = json_is_true(json_object_get(answer, "locked"));
    json_decref(answer);
    answer = NULL;
    /* Also takes back the place in the queue. */
    result = ovsdb_call(db, "unlock", json_pack("[s]", lock), &answer, err);
    json_decref(answer);
    if (!result)
        *out = !got;
    return result;
}
