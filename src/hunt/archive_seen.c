/* When names and addresses were seen first, and which findings were told: see archive.h. */
#include "hunt/archive_parts.h"
#include "hunt/lateral.h"

#include <errno.h>
#include <stdlib.h>

#define HOUR_MS     3600000
#define DAY_S       86400
#define DAY_MS      86400000
#define SEEN_DAYS   90
#define TOLD_DAYS   30
#define AGAIN_AFTER DAY_S
#define GROW_FROM   4096

/* ---- first seen ---- */

struct seen {
    int64_t key, first, last;
};

struct all_seen {
    struct seen *at;
    size_t n, room;
    bool failed;
    uint64_t secret;
};

static void add_seen(struct all_seen *all, uint64_t key, int64_t first, int64_t last)
{
    if (all->n == all->room) {
        size_t room = all->room ? 2 * all->room : GROW_FROM;
        struct seen *more = realloc(all->at, room * sizeof *more);
        if (!more) {
            all->failed = true;
            return;
        }
        all->at = more;
        all->room = room;
    }
    all->at[all->n++] = (struct seen){(int64_t)key, first, last};
}

static void add_name(void *with, const void *key, const void *value)
{
    const struct asked_value *asked = value;
    add_seen(with, ((const struct asked_key *)key)->name, asked->first, asked->last);
}

static void add_address(void *with, const void *key, const void *value)
{
    struct all_seen *all = with;
    const struct pair_sum *sum = &((const struct pair_value *)value)->sum;
    if (sum->way == HUNT_OUT || sum->way == HUNT_OUTSIDE)
        add_seen(all, hunt_first_seen_key(all->secret, &((const struct pair_key *)key)->dst),
                 sum->first, sum->last);
}

static void add_edge(void *with, const void *key, const void *value)
{
    struct all_seen *all = with;
    const struct lateral_value *edge = value;
    if (lateral_is_remembered(edge))
        add_seen(all, lateral_memory_key(all->secret, key), edge->first_success, edge->last);
}

/* That edges were looked at, whether there were any or not, in as long as anything was seen. */
static void add_edges_begin(struct all_seen *all)
{
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < all->n; i++) {
        first = all->at[i].first < first ? all->at[i].first : first;
        last = all->at[i].last > last ? all->at[i].last : last;
    }
    if (all->n > 0)
        add_seen(all, lateral_memory_begin(all->secret), first, last);
}

static int by_key(const void *left, const void *right)
{
    const struct seen *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

/* One entry a key. In their order they are put in several times as fast as by chance. */
static void sort_seen(struct all_seen *all)
{
    size_t n = 0;
    if (all->n)
        qsort(all->at, all->n, sizeof *all->at, by_key);
    for (size_t i = 0; i < all->n; i++) {
        struct seen *into = n ? &all->at[n - 1] : NULL;
        const struct seen *one = &all->at[i];
        if (into && into->key == one->key) {
            into->first = one->first < into->first ? one->first : into->first;
            into->last = one->last > into->last ? one->last : into->last;
        } else {
            all->at[n++] = *one;
        }
    }
    all->n = n;
}

static int put_seen(struct hunt_archive *a, const struct all_seen *all, int64_t *newest,
                    int64_t *oldest, struct err *err)
{
    sqlite3_stmt *put = NULL;
    bool ok = sqlite3_prepare_v2(a->db,
                                 "INSERT INTO seen VALUES(?1, ?2, ?3) ON CONFLICT(key) DO UPDATE"
                                 " SET first = min(first, ?2), last = max(last, ?3)"
                                 " WHERE ?2 < first OR ?3 > last + ?4",
                                 -1, &put, NULL) == SQLITE_OK;
    for (size_t i = 0; ok && i < all->n; i++) {
        const struct seen *one = &all->at[i];
        *newest = one->last > *newest ? one->last : *newest;
        *oldest = one->first < *oldest ? one->first : *oldest;
        ok = sqlite3_bind_int64(put, 1, one->key) == SQLITE_OK &&
             sqlite3_bind_int64(put, 2, one->first) == SQLITE_OK &&
             sqlite3_bind_int64(put, 3, one->last) == SQLITE_OK &&
             sqlite3_bind_int64(put, 4, HOUR_MS) == SQLITE_OK && sqlite3_step(put) == SQLITE_DONE &&
             sqlite3_reset(put) == SQLITE_OK;
    }
    int result = ok ? 0 : archive_trouble(a, err);
    sqlite3_finalize(put);
    return result;
}

/* By the logs' own time, so that old logs can be looked at; but no later than now, as one line of
 * another century must not make everything old. */
static int forget_seen(struct hunt_archive *a, int64_t newest, struct err *err)
{
    int64_t now = archive_now(a);
    if (now < a->expired + DAY_S)
        return 0;
    int64_t last = newest < now * 1000 + DAY_MS ? newest : now * 1000;
    last -= (int64_t)SEEN_DAYS * DAY_MS;
    int result = archive_put(a, "DELETE FROM seen WHERE last < ?", &last, 1, err);
    if (result == 0)
        a->expired = now;
    return result;
}

int hunt_archive_learn(struct hunt_archive *a, const struct hunt_engine *engine, struct err *err)
{
    struct books books = hunt_engine_books(engine);
    int64_t newest = INT64_MIN, oldest = INT64_MAX, before;
    if (a->read_only)
        return err_set(err, -EROFS, "%s is open for reading only", a->path);
    int result = archive_begin(a, err);
    if (result < 0)
        return result;
    for (size_t i = 0; result == 0 && i < books.n; i++) {
        if (archive_days_has(&a->learned, books.at[i]))
            continue;
        struct books one = {.at = &books.at[i], .n = 1};
        struct all_seen all = {.secret = a->secret};
        books_each(&one, &asked_table, 1, add_name, &all);
        books_each(&one, &pair_table, 1, add_address, &all);
        books_each(&one, &lateral_table, 1, add_edge, &all);
        add_edges_begin(&all);
        sort_seen(&all);
        result = all.failed ? err_set(err, -ENOMEM, "out of memory")
                            : put_seen(a, &all, &newest, &oldest, err);
        free(all.at);
    }
    if (result == 0 && newest != INT64_MIN) {
        result = archive_get_meta(a, "newest", &before, err);
        newest = result == 0 && before > newest ? before : newest;
        if (result == 0 || result == -ENOENT)
            result = archive_set_meta(a, "newest", newest, err);
        if (result == 0)
            result = archive_get_meta(a, "since", &before, err);
        if (result == -ENOENT || (result == 0 && oldest < before))
            result = archive_set_meta(a, "since", oldest, err);
        if (result == 0)
            result = forget_seen(a, newest, err);
        if (result == 0)
            result = archive_set_meta(a, "due", 0, err);
    }
    result = archive_end(a, result, err);
    for (size_t i = 0; result == 0 && i < books.n; i++)
        archive_days_note(&a->learned, books.at[i]);
    return result;
}

int64_t hunt_archive_first_seen(struct hunt_archive *a, uint64_t key)
{
    int64_t first = HUNT_UNSET;
    if (!a->ask_seen &&
        sqlite3_prepare_v3(a->db, "SELECT first FROM seen WHERE key = ?", -1,
                           SQLITE_PREPARE_PERSISTENT, &a->ask_seen, NULL) != SQLITE_OK)
        return HUNT_UNSET;
    if (sqlite3_bind_int64(a->ask_seen, 1, (int64_t)key) == SQLITE_OK &&
        sqlite3_step(a->ask_seen) == SQLITE_ROW)
        first = sqlite3_column_int64(a->ask_seen, 0);
    (void)sqlite3_reset(a->ask_seen); /* says again what the step said */
    return first;
}

int64_t hunt_archive_history(struct hunt_archive *a)
{
    struct err err;
    int64_t since;
    return archive_get_meta(a, "since", &since, &err) == 0 ? since : HUNT_UNSET;
}

/* ---- findings that were told ---- */

struct told {
    int64_t id;
    int64_t level;      /* that was told last */
    int64_t now;        /* of the last time it was found */
    int64_t told, seen; /* s */
};

static int get_told(struct hunt_archive *a, struct told *told, bool *out_there, struct err *err)
{
    sqlite3_stmt *ask = NULL;
    int code = SQLITE_ERROR;
    if (sqlite3_prepare_v2(a->db, "SELECT level, now, told, seen FROM told WHERE id = ?", -1, &ask,
                           NULL) == SQLITE_OK &&
        sqlite3_bind_int64(ask, 1, told->id) == SQLITE_OK)
        code = sqlite3_step(ask);
    *out_there = code == SQLITE_ROW;
    if (code == SQLITE_ROW) {
        told->level = sqlite3_column_int64(ask, 0);
        told->now = sqlite3_column_int64(ask, 1);
        told->told = sqlite3_column_int64(ask, 2);
        told->seen = sqlite3_column_int64(ask, 3);
    }
    int result = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : archive_trouble(a, err);
    sqlite3_finalize(ask);
    return result;
}

static int put_told(struct hunt_archive *a, const struct told *told, struct err *err)
{
    const int64_t numbers[] = {told->id, told->level, told->now, told->told, told->seen};
    return archive_put(a, "INSERT OR REPLACE INTO told VALUES(?, ?, ?, ?, ?)", numbers, 5, err);
}

static int forget_told(struct hunt_archive *a, int64_t now, struct err *err)
{
    if (now < a->told_expired + DAY_S)
        return 0;
    int64_t last = now - (int64_t)TOLD_DAYS * DAY_S;
    int result = archive_put(a, "DELETE FROM told WHERE seen < ?", &last, 1, err);
    if (result == 0)
        a->told_expired = now;
    return result;
}

int hunt_archive_tell(struct hunt_archive *a, struct finding *finding, bool *out_tell,
                      struct err *err)
{
    int64_t now = archive_now(a), level = finding->severity;
    struct told told = {.id = (int64_t)finding->id};
    bool is_known = false, tell;
    int result = a->read_only ? 0 : forget_told(a, now, err);
    if (result == 0)
        result = get_told(a, &told, &is_known, err);
    if (result < 0)
        return result;
    if (!is_known)
        tell = true;
    else if (level > told.level)
        tell = true;
    else /* it fell, and rises again */
        tell = level > told.now && now - told.told >= AGAIN_AFTER;
    bool is_same = is_known && !tell && level == told.now && now - told.seen < DAY_S / 2;
    told.level = tell ? level : told.level;
    told.told = tell ? now : told.told;
    told.now = level;
    told.seen = now;
    if (!a->read_only && !is_same)
        result = put_told(a, &told, err);
    if (result < 0)
        return result;
    finding->is_new = !is_known;
    *out_tell = tell;
    return 0;
}
