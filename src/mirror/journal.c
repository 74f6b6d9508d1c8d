/* What was done, in SQLite: see journal.h. */
#include "mirror/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/state.h"

#define VERSION 2
#define WAIT_MS 5000 /* for who reads or writes the file at this moment */
#define ASK_MS  50   /* how often is asked whether another writer is done */

struct mirror_journal {
    sqlite3 *db; /* NULL: there is none, and nothing is written */
    int lock;    /* -1: only read */
    int version;
    char path[STATE_FOLDER_MAX + 32];
};

static const char *const state_names[] = {
    [MIRROR_MAKING] = "making", [MIRROR_MADE] = "made",     [MIRROR_UNMAKING] = "unmaking",
    [MIRROR_UNMADE] = "unmade", [MIRROR_LACKED] = "lacked",
};

static const char schema[] =
    "CREATE TABLE mirror(provider TEXT, name TEXT, machine TEXT, arguments TEXT, begun INTEGER,"
    " applied INTEGER, sample TEXT, PRIMARY KEY(provider, name));"
    "CREATE TABLE object(provider TEXT, name TEXT, kind TEXT, key TEXT, state TEXT, at INTEGER,"
    " is_ TEXT, on_ TEXT, why TEXT, also TEXT, PRIMARY KEY(provider, name, kind, key));"
    "CREATE TABLE step(number INTEGER PRIMARY KEY, at INTEGER, provider TEXT, name TEXT,"
    " kind TEXT, key TEXT, state TEXT);"
    "PRAGMA user_version = 2;";

/* Of 1, which had no `also`. */
static const char upgrade[] = "ALTER TABLE object ADD COLUMN also TEXT; PRAGMA user_version = 2;";

static int trouble(const struct mirror_journal *j, struct err *err)
{
    int code = sqlite3_errcode(j->db);
    int result = code == SQLITE_FULL       ? -ENOSPC
                 : code == SQLITE_BUSY     ? -EBUSY
                 : code == SQLITE_NOMEM    ? -ENOMEM
                 : code == SQLITE_NOTADB   ? -EBADMSG
                 : code == SQLITE_READONLY ? -EROFS
                                           : -EIO;
    const char *more = code == SQLITE_NOTADB || code == SQLITE_CORRUPT
                           ? "; move it away: mirrors are found by their marks all the same"
                       : code == SQLITE_READONLY
                           ? "; its last writer was killed: cloudspan mirror status as the one "
                             "who may write it brings it in order"
                           : "";
    return err_set(err, result, "the journal %s: %s%s", j->path, sqlite3_errmsg(j->db), more);
}

/* ---- opening ---- */

static int check_version(struct mirror_journal *j, bool write, struct err *err)
{
    sqlite3_stmt *ask = NULL;
    int version = 0;
    bool is_read = sqlite3_prepare_v2(j->db, "PRAGMA user_version", -1, &ask, NULL) == SQLITE_OK &&
                   sqlite3_step(ask) == SQLITE_ROW;
    if (is_read)
        version = sqlite3_column_int(ask, 0);
    sqlite3_finalize(ask);
    if (!is_read)
        return trouble(j, err);
    if (version < 0 || version > VERSION)
        return err_set(err, -EPROTO, "the journal %s is of a newer cloudspan", j->path);
    j->version = version;
    if (version == VERSION || (version > 0 && !write))
        return 0;
    if (!write) { /* killed while it was made: nothing is in it */
        sqlite3_close(j->db);
        j->db = NULL;
        return 0;
    }
    char script[sizeof schema + 32];
    (void)snprintf(script, sizeof script, "BEGIN;%sCOMMIT;", version == 0 ? schema : upgrade);
    j->version = VERSION;
    return sqlite3_exec(j->db, script, NULL, NULL, NULL) == SQLITE_OK ? 0 : trouble(j, err);
}

static int take_lock(struct mirror_journal *j, const char *folder, struct err *err)
{
    char path[STATE_FOLDER_MAX + 32];
    int result = state_make(folder, err);
    if (result < 0)
        return result;
    (void)snprintf(path, sizeof path, "%s/mirror.lock", folder);
    j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->lock < 0 && errno == EACCES)
        return err_set(err, -EACCES,
                       "%s may not be written by this user: do it as root, or name another state "
                       "folder with --state",
                       path);
    if (j->lock < 0)
        return err_set(err, -errno, "%s cannot be opened: %s (another state folder: --state)", path,
                       strerror(errno));
    if (flock(j->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK
               ? err_set(err, -EBUSY,
                         "another cloudspan mirror is at work on this machine (it holds %s): try "
                         "again when it is done",
                         path)
               : err_set(err, -errno, "%s cannot be locked: %s", path, strerror(errno));
}

int mirror_journal_open(const char *folder, bool write, struct mirror_journal **out,
                        struct err *err)
{
    struct mirror_journal *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(err, -ENOMEM, "out of memory");
    j->lock = -1;
    (void)snprintf(j->path, sizeof j->path, "%s/mirror.db", folder);
    int result = write ? take_lock(j, folder, err) : 0;
    bool is_there = write || access(j->path, R_OK) == 0;
    if (!is_there && errno != ENOENT && errno != ENOTDIR)
        result = err_set(err, -errno, "the journal %s: %s", j->path, strerror(errno));
    if (result == 0 && is_there) {
        /* Also to look only: what a killed writer left half written has to be undone first. SQLite
         * takes a file that may not be written for one to read. */
        int flags = SQLITE_OPEN_READWRITE | (write ? SQLITE_OPEN_CREATE : 0);
        if (sqlite3_open_v2(j->path, &j->db, flags, NULL) != SQLITE_OK)
            result = trouble(j, err);
        else
            (void)sqlite3_busy_timeout(j->db, WAIT_MS); /* fails only without a database */
        if (result == 0 && write &&
            sqlite3_exec(j->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL) != SQLITE_OK)
            result = trouble(j, err);
        if (result == 0)
            result = check_version(j, write, err);
    }
    if (result < 0) {
        mirror_journal_close(j);
        return result;
    }
    *out = j;
    return 0;
}

int mirror_journal_wait(const char *folder, int patience_ms, struct mirror_journal **out,
                        struct err *err)
{
    static const struct timespec pause = {0, ASK_MS * 1000000l};
    for (int left = patience_ms;; left -= ASK_MS) {
        int result = mirror_journal_open(folder, true, out, err);
        if (result != -EBUSY || left <= 0)
            return result;
        (void)nanosleep(&pause, NULL); /* a shorter pause is no harm */
    }
}

void mirror_journal_close(struct mirror_journal *journal)
{
    if (!journal)
        return;
    sqlite3_close(journal->db);
    if (journal->lock >= 0)
        close(journal->lock);
    free(journal);
}

/* ---- statements ---- */

/* Runs one statement; every '?' is a text, NULL ends them. */
static int execute(struct mirror_journal *j, struct err *err, const char *sql,
                   const char *const *texts)
{
    sqlite3_stmt *statement = NULL;
    if (!j->db || j->lock < 0)
        return err_set(err, -EROFS, "the journal %s is open for reading only", j->path);
    bool ok = sqlite3_prepare_v2(j->db, sql, -1, &statement, NULL) == SQLITE_OK;
    for (int i = 0; ok && texts[i]; i++)
        ok = sqlite3_bind_text(statement, i + 1, texts[i], -1, SQLITE_TRANSIENT) == SQLITE_OK;
    ok = ok && sqlite3_step(statement) == SQLITE_DONE;
    int result = ok ? 0 : trouble(j, err);
    sqlite3_finalize(statement);
    return result;
}

static const char *column(sqlite3_stmt *row, int i)
{
    const char *text = (const char *)sqlite3_column_text(row, i);
    return text ? text : "";
}

static json_t *column_json(sqlite3_stmt *row, int i)
{
    json_t *json = json_loads(column(row, i), JSON_DECODE_ANY, NULL);
    if (!json_is_null(json))
        return json;
    json_decref(json);
    return NULL;
}

static void put_now(char out[24])
{
    (void)snprintf(out, 24, "%lld", (long long)time(NULL));
}

/* ---- mirrors ---- */

int mirror_journal_list(struct mirror_journal *journal, struct mirror_entry **out, size_t *out_n,
                        struct err *err)
{
    struct mirror_entry *entries = NULL;
    size_t n = 0;
    sqlite3_stmt *rows = NULL;
    int code = SQLITE_DONE;
    if (journal->db &&
        sqlite3_prepare_v2(journal->db,
                           "SELECT provider, name, machine, arguments, applied IS NOT NULL"
                           " FROM mirror ORDER BY provider, name",
                           -1, &rows, NULL) != SQLITE_OK)
        return trouble(journal, err);
    while (journal->db && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        struct mirror_entry *more = realloc(entries, (n + 1) * sizeof *more);
        if (!more) {
            code = SQLITE_NOMEM;
            break;
        }
        entries = more;
        struct mirror_entry *entry = &entries[n++];
        *entry = (struct mirror_entry){.arguments = column_json(rows, 3),
                                       .applied = sqlite3_column_int(rows, 4) != 0};
        (void)snprintf(entry->provider, sizeof entry->provider, "%s", column(rows, 0));
        (void)snprintf(entry->name, sizeof entry->name, "%s", column(rows, 1));
        (void)snprintf(entry->machine, sizeof entry->machine, "%s", column(rows, 2));
    }
    int result = code == SQLITE_DONE ? 0 : trouble(journal, err);
    sqlite3_finalize(rows);
    if (result < 0) {
        mirror_entries_free(entries, n);
        return result;
    }
    *out = entries;
    *out_n = n;
    return 0;
}

void mirror_entries_free(struct mirror_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_decref(entries[i].arguments);
    free(entries);
}

int mirror_journal_begin(struct mirror_journal *journal, const struct mirror_entry *entry,
                         struct err *err)
{
    char now[24], *arguments = json_dumps(entry->arguments, JSON_COMPACT);
    put_now(now);
    int result = execute(journal, err,
                         "INSERT INTO mirror(provider, name, machine, arguments, begun)"
                         " VALUES(?, ?, ?, ?, ?) ON CONFLICT(provider, name) DO UPDATE SET"
                         " machine = excluded.machine, arguments = excluded.arguments,"
                         " begun = excluded.begun, applied = NULL, sample = NULL",
                         (const char *const[]){entry->provider, entry->name, entry->machine,
                                               arguments ? arguments : "[]", now, NULL});
    free(arguments);
    if (result == 0) /* this apply tries them again */
        result = execute(journal, err,
                         "DELETE FROM object WHERE provider = ? AND name = ? AND state = 'lacked'",
                         (const char *const[]){entry->provider, entry->name, NULL});
    if (result == 0) /* the list of steps is for people, and must not grow for ever */
        result = execute(journal, err,
                         "DELETE FROM step WHERE number < (SELECT max(number) FROM step) - 10000",
                         (const char *const[]){NULL});
    return result;
}

int mirror_journal_end(struct mirror_journal *journal, const char *provider, const char *name,
                       struct err *err)
{
    char now[24];
    put_now(now);
    return execute(journal, err, "UPDATE mirror SET applied = ? WHERE provider = ? AND name = ?",
                   (const char *const[]){now, provider, name, NULL});
}

int mirror_journal_forget(struct mirror_journal *journal, const char *provider, const char *name,
                          struct err *err)
{
    const char *const which[] = {provider, name, NULL};
    int result = execute(journal, err, "DELETE FROM object WHERE provider = ? AND name = ?", which);
    if (result == 0)
        result = execute(journal, err, "DELETE FROM mirror WHERE provider = ? AND name = ?", which);
    return result;
}

/* ---- objects ---- */

int mirror_journal_step(struct mirror_journal *journal, const char *provider, const char *name,
                        const struct mirror_object *object, int state, struct err *err)
{
    bool has_also = object->also && (state == MIRROR_MADE || state == MIRROR_LACKED);
    char now[24],
        *is = json_dumps(object->is, JSON_COMPACT), *on = json_dumps(object->on, JSON_COMPACT),
        *also = has_also ? json_dumps(object->also, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *word = state_names[state];
    put_now(now);
    int result = execute(journal, err, "BEGIN IMMEDIATE", (const char *const[]){NULL});
    if (result == 0)
        result = execute(
            journal, err,
            "INSERT INTO step(at, provider, name, kind, key, state)"
            " VALUES(?, ?, ?, ?, ?, ?)",
            (const char *const[]){now, provider, name, object->kind, object->key, word, NULL});
    if (result == 0)
        result =
            execute(journal, err,
                    "INSERT INTO object(provider, name, kind, key, state, at, is_, on_, why,"
                    " also) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT(provider, name, kind, key) DO UPDATE SET"
                    " state = excluded.state, at = excluded.at, is_ = excluded.is_,"
                    " on_ = excluded.on_, why = excluded.why,"
                    " also = coalesce(excluded.also, also)",
                    (const char *const[]){provider, name, object->kind, object->key, word, now,
                                          is ? is : "{}", on ? on : "[]", object->why, also, NULL});
    if (result == 0 && state == MIRROR_UNMADE)
        result = execute(journal, err,
                         "DELETE FROM object WHERE provider = ? AND name = ? AND kind = ?"
                         " AND key = ?",
                         (const char *const[]){provider, name, object->kind, object->key, NULL});
    if (result == 0)
        result = execute(journal, err, "COMMIT", (const char *const[]){NULL});
    if (result < 0 && journal->db) /* result says why; where nothing was begun, nothing is undone */
        (void)sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
    free(is);
    free(on);
    free(also);
    return result;
}

static int objects(const struct mirror_journal *journal, const char *provider, const char *name,
                   bool lacked, struct mirror_set *out, struct err *err)
{
    sqlite3_stmt *rows = NULL;
    int code = SQLITE_DONE;
    char ask[200];
    if (!journal->db)
        return 0;
    (void)snprintf(ask, sizeof ask,
                   "SELECT kind, key, state, is_, on_, why, %s FROM object"
                   " WHERE provider = ? AND name = ? AND state %s 'lacked' ORDER BY rowid",
                   journal->version < 2 ? "NULL" : "also", lacked ? "=" : "<>");
    if (sqlite3_prepare_v2(journal->db, ask, -1, &rows, NULL) != SQLITE_OK ||
        sqlite3_bind_text(rows, 1, provider, -1, SQLITE_TRANSIENT) != SQLITE_OK ||
        sqlite3_bind_text(rows, 2, name, -1, SQLITE_TRANSIENT) != SQLITE_OK) {
        int result = trouble(journal, err);
        sqlite3_finalize(rows);
        return result;
    }
    while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
        json_t *is = column_json(rows, 3);
        struct mirror_object *object =
            mirror_set_add(out, column(rows, 0), column(rows, 1), is ? is : json_object());
        if (!object)
            break;
        object->on = column_json(rows, 4);
        json_t *also = column_json(rows, 6);
        object->also =
            lacked ? also : json_pack("{ss so*}", "state", column(rows, 2), "known", also);
        mirror_object_why(object, "%s", column(rows, 5));
    }
    int result = code == SQLITE_DONE ? 0 : trouble(journal, err);
    sqlite3_finalize(rows);
    if (result == 0 && out->failed)
        result = err_set(err, -ENOMEM, "out of memory");
    return result;
}

int mirror_journal_objects(const struct mirror_journal *journal, const char *provider,
                           const char *name, struct mirror_set *out, struct err *err)
{
    return objects(journal, provider, name, false, out, err);
}

int mirror_journal_lacks(const struct mirror_journal *journal, const char *provider,
                         const char *name, struct mirror_set *out, struct err *err)
{
    return objects(journal, provider, name, true, out, err);
}

/* ---- counters ---- */

json_t *mirror_journal_sample(struct mirror_journal *journal, const char *provider,
                              const char *name)
{
    sqlite3_stmt *row = NULL;
    json_t *sample = NULL;
    if (journal->db &&
        sqlite3_prepare_v2(journal->db, "SELECT sample FROM mirror WHERE provider = ? AND name = ?",
                           -1, &row, NULL) == SQLITE_OK &&
        sqlite3_bind_text(row, 1, provider, -1, SQLITE_TRANSIENT) == SQLITE_OK &&
        sqlite3_bind_text(row, 2, name, -1, SQLITE_TRANSIENT) == SQLITE_OK &&
        sqlite3_step(row) == SQLITE_ROW)
        sample = column_json(row, 0);
    sqlite3_finalize(row);
    return sample;
}

int mirror_journal_keep_sample(struct mirror_journal *journal, const char *provider,
                               const char *name, const json_t *sample, struct err *err)
{
    char *text = json_dumps(sample, JSON_COMPACT);
    int result =
        execute(journal, err, "UPDATE mirror SET sample = ? WHERE provider = ? AND name = ?",
                (const char *const[]){text ? text : "null", provider, name, NULL});
    free(text);
    return result;
}
