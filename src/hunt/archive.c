/* The file of what hunts keep: opening it, and what its statements share. See archive.h.
 *
 * It is written ahead (WAL): a kill at any moment leaves the last whole transaction, and a
 * transaction costs no waiting for the disk, so that each alert can be one. */
#include "hunt/archive_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 5000
#define ASK_MS      50

#define TEXT(number)  TEXT_(number)
#define TEXT_(number) #number

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER);"
    "CREATE TABLE book(day INTEGER, piece INTEGER, bytes BLOB, PRIMARY KEY(day, piece));"
    "CREATE TABLE mark(path BLOB PRIMARY KEY, offset INTEGER, size INTEGER, modified INTEGER,"
    " beginning INTEGER, n_hashed INTEGER, first INTEGER, last INTEGER);"
    "CREATE TABLE seen(key INTEGER PRIMARY KEY, first INTEGER, last INTEGER);"
    "CREATE TABLE told(id INTEGER PRIMARY KEY, level INTEGER, now INTEGER, told INTEGER,"
    " seen INTEGER);"
    "PRAGMA application_id = " TEXT(ARCHIVE_ID) ";"
                                                "PRAGMA user_version = " TEXT(ARCHIVE_VERSION) ";";

/* ---- what statements share ---- */

int64_t archive_now(const struct hunt_archive *archive)
{
    return archive->clock ? archive->clock : (int64_t)time(NULL);
}

bool archive_is_bad(const struct hunt_archive *a)
{
    int code = a->db ? sqlite3_errcode(a->db) : SQLITE_OK;
    return code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
}

int archive_trouble(const struct hunt_archive *a, struct err *err)
{
    int code = a->db ? sqlite3_errcode(a->db) : SQLITE_NOMEM;
    const char *more = "";
    int result = -EIO;
    if (code == SQLITE_FULL) {
        result = -ENOSPC;
        more = "; nothing of this was kept: make room, or name another file with --state";
    } else if (code == SQLITE_BUSY) {
        result = -EBUSY;
        more = "; another process has it: try again when it is done";
    } else if (code == SQLITE_NOMEM) {
        result = -ENOMEM;
    } else if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
        result = -EBADMSG;
        more = ARCHIVE_HINT;
    } else if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM) {
        result = -EACCES;
        more = "; it and its folder have to be writable for this user (another file: --state)";
    }
    return err_set(err, result, "%s: %s%s", a->path,
                   a->db ? sqlite3_errmsg(a->db) : "out of memory", more);
}

void archive_no_hint(struct err *err)
{
    char *hint = strstr(err->text, ARCHIVE_HINT);
    if (hint)
        *hint = '\0';
}

int archive_do(struct hunt_archive *a, const char *sql, struct err *err)
{
    return sqlite3_exec(a->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : archive_trouble(a, err);
}

int archive_put(struct hunt_archive *a, const char *sql, const int64_t *numbers, int n,
                struct err *err)
{
    sqlite3_stmt *put = NULL;
    bool ok = sqlite3_prepare_v2(a->db, sql, -1, &put, NULL) == SQLITE_OK;
    for (int i = 0; ok && i < n; i++)
        ok = sqlite3_bind_int64(put, i + 1, numbers[i]) == SQLITE_OK;
    ok = ok && sqlite3_step(put) == SQLITE_DONE;
    int result = ok ? 0 : archive_trouble(a, err);
    sqlite3_finalize(put);
    return result;
}

int archive_get_meta(struct hunt_archive *a, const char *name, int64_t *out, struct err *err)
{
    sqlite3_stmt *ask = NULL;
    int code = SQLITE_ERROR, result = 0;
    if (sqlite3_prepare_v2(a->db, "SELECT value FROM meta WHERE name = ?", -1, &ask, NULL) ==
            SQLITE_OK &&
        sqlite3_bind_text(ask, 1, name, -1, SQLITE_STATIC) == SQLITE_OK)
        code = sqlite3_step(ask);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(ask, 0);
    else
        result = code == SQLITE_DONE ? -ENOENT : archive_trouble(a, err);
    sqlite3_finalize(ask);
    return result;
}

int archive_set_meta(struct hunt_archive *a, const char *name, int64_t value, struct err *err)
{
    sqlite3_stmt *put = NULL;
    bool ok = sqlite3_prepare_v2(a->db, "INSERT OR REPLACE INTO meta VALUES(?, ?)", -1, &put,
                                 NULL) == SQLITE_OK &&
              sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
              sqlite3_bind_int64(put, 2, value) == SQLITE_OK && sqlite3_step(put) == SQLITE_DONE;
    int result = ok ? 0 : archive_trouble(a, err);
    sqlite3_finalize(put);
    return result;
}

int archive_begin(struct hunt_archive *a, struct err *err)
{
    return archive_do(a, "BEGIN IMMEDIATE", err);
}

int archive_end(struct hunt_archive *a, int result, struct err *err)
{
    if (result >= 0) {
        int ended = archive_do(a, "COMMIT", err);
        result = ended < 0 ? ended : result;
    }
    if (result < 0) /* it fails where SQLite did it already */
        (void)sqlite3_exec(a->db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/* ---- opening ---- */

static int take_lock(struct hunt_archive *a, int patience_ms, struct err *err)
{
    static const struct timespec pause = {0, ASK_MS * 1000000l};
    size_t size = strlen(a->path) + sizeof ".lock";
    char *path = malloc(size);
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    (void)snprintf(path, size, "%s.lock", a->path);
    int result = 0;
    a->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (a->lock < 0)
        result = err_set(err, -errno, "%s cannot be opened: %s (another file: --state)", path,
                         strerror(errno));
    while (result == 0 && flock(a->lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            result = err_set(err, -errno, "%s cannot be locked: %s", path, strerror(errno));
        else if (patience_ms <= 0)
            result = err_set(err, -EBUSY,
                             "another cloudspan hunts with %s (it holds %s): try again when it is "
                             "done, or name another file with --state",
                             a->path, path);
        else
            (void)nanosleep(&pause, NULL); /* a shorter pause is no harm */
        patience_ms -= ASK_MS;
    }
    free(path);
    return result;
}

static int make_schema(struct hunt_archive *a, struct err *err)
{
    if (!a->secret && getrandom(&a->secret, sizeof a->secret, 0) != sizeof a->secret)
        return err_set(err, -EIO, "the system gives no random numbers");
    int result = archive_do(a, schema, err);
    if (result == 0)
        result = archive_set_meta(a, "secret", (int64_t)a->secret, err);
    return archive_end(a, result, err);
}

static bool ask_number(struct hunt_archive *a, const char *sql, int64_t *out)
{
    sqlite3_stmt *ask = NULL;
    bool ok = sqlite3_prepare_v2(a->db, sql, -1, &ask, NULL) == SQLITE_OK &&
              sqlite3_step(ask) == SQLITE_ROW;
    if (ok)
        *out = sqlite3_column_int64(ask, 0);
    sqlite3_finalize(ask);
    return ok;
}

/* 0, or an error; -EBADMSG: it is in disorder or of another program, with the reason. */
static int check_file(struct hunt_archive *a, struct err *err)
{
    int64_t id, version, n_tables, secret;
    if (!ask_number(a, "PRAGMA application_id", &id) ||
        !ask_number(a, "PRAGMA user_version", &version) ||
        !ask_number(a, "SELECT count(*) FROM sqlite_master", &n_tables))
        return archive_trouble(a, err);
    if (id == 0 && version == 0 && n_tables == 0)
        return make_schema(a, err); /* new, or its maker was killed */
    if (id != ARCHIVE_ID)
        return err_set(err, -EBADMSG, "%s is not an archive of hunts", a->path);
    if (version != ARCHIVE_VERSION)
        return err_set(err, -EBADMSG, "%s is of another version (%lld, this one is %d)", a->path,
                       (long long)version, ARCHIVE_VERSION);
    int result = archive_get_meta(a, "secret", &secret, err);
    if (result == -ENOENT)
        return err_set(err, -EBADMSG, "%s has no secret", a->path);
    if (result == 0)
        a->secret = (uint64_t)secret;
    return result;
}

static int open_file(struct hunt_archive *a, const char *path, struct err *err)
{
    bool in_memory = strcmp(path, ":memory:") == 0;
    if (!a->read_only && !in_memory) { /* SQLite would let others read it */
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0)
            close(fd);
        else if (errno != EEXIST)
            return err_set(err, -errno, "%s cannot be made: %s (another file: --state)", path,
                           strerror(errno));
    }
    if (sqlite3_open_v2(path, &a->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return archive_trouble(a, err);
    (void)sqlite3_busy_timeout(a->db, PATIENCE_MS); /* fails only without a database */
    int result = 0;
    if (!a->read_only)
        result = archive_do(a,
                            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                            "PRAGMA cache_size = -32768; PRAGMA journal_size_limit = 4194304",
                            err);
    if (result == 0)
        result = check_file(a, err);
    if (result == 0 && a->read_only && !in_memory)
        result = archive_do(a, "PRAGMA query_only = 1", err);
    return result;
}

static void close_file(struct hunt_archive *a)
{
    (void)sqlite3_finalize(a->ask_seen); /* says again what its last step said */
    a->ask_seen = NULL;
    (void)sqlite3_close(a->db); /* all statements are finalized: it cannot be busy */
    a->db = NULL;
}

/* With what was written ahead, which belongs to it; an older one put aside goes. */
static int put_aside(const struct hunt_archive *a, struct err *err)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    size_t size = strlen(a->path) + 16;
    char *from = malloc(size), *to = malloc(size);
    int result = from && to ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (unsigned i = 0; result == 0 && i < 3; i++) {
        (void)snprintf(from, size, "%s%s", a->path, ends[i]);
        (void)snprintf(to, size, "%s.bad%s", a->path, ends[i]);
        if (rename(from, to) < 0 && (i == 0 || errno != ENOENT))
            result =
                err_set(err, -errno, "%s cannot be put aside as %s: %s", from, to, strerror(errno));
    }
    free(from);
    free(to);
    return result;
}

int archive_renew(struct hunt_archive *a, struct err *err)
{
    close_file(a);
    a->stored.n = a->learned.n = 0;
    a->is_void = false;
    if (a->read_only)
        return open_file(a, ":memory:", err);
    int result = strcmp(a->path, ":memory:") != 0 ? put_aside(a, err) : 0;
    return result < 0 ? result : open_file(a, a->path, err);
}

int archive_open(const char *path, bool read_only, int patience_ms, struct hunt_archive **out,
                 struct err *err)
{
    bool in_memory = strcmp(path, ":memory:") == 0;
    struct hunt_archive *a = calloc(1, sizeof *a);
    char *copy = strdup(path);
    if (!a || !copy) {
        free(a);
        free(copy);
        return err_set(err, -ENOMEM, "out of memory");
    }
    a->path = copy;
    a->lock = -1;
    a->read_only = read_only;
    struct err why = {""};
    int result = read_only || in_memory ? 0 : take_lock(a, patience_ms, err);
    if (result == 0 && read_only && !in_memory && access(path, F_OK) < 0 && errno == ENOENT)
        path = ":memory:";
    if (result == 0)
        result = open_file(a, path, &why);
    if (result < 0 && why.text[0]) {
        bool is_bad = result == -EBADMSG;
        result = is_bad ? archive_renew(a, err) : result;
        archive_no_hint(&why);
        if (is_bad && result == 0)
            result = err_set(err, 1, "%s; %s", why.text,
                             read_only ? "it is taken for an empty one"
                                       : "it was put aside (as .bad), and the logs are read again");
        else if (!is_bad)
            *(err ? err : &why) = why;
    }
    if (result < 0) {
        hunt_archive_close(a);
        return result;
    }
    *out = a;
    return result;
}

int hunt_archive_open(const char *path, bool read_only, struct hunt_archive **out, struct err *err)
{
    return archive_open(path, read_only, PATIENCE_MS, out, err);
}

void hunt_archive_close(struct hunt_archive *archive)
{
    if (!archive)
        return;
    close_file(archive);
    if (archive->lock >= 0)
        close(archive->lock);
    free(archive->path);
    free(archive);
}

uint64_t hunt_archive_secret(const struct hunt_archive *archive)
{
    return archive->secret;
}
