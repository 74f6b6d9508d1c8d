/* Days' books and the marks of files, which belong together: see archive.h. A book lies in pieces
 * of some hundred KiB, a row each, so that neither way needs memory for the whole. The pieces of a
 * day's second book are numbered from 2^32 on, those of its third from 2 * 2^32, and so on. */
#include "hunt/archive_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hunt/book_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MS_PER_DAY     86400000
#define PATH_SIZE_MAX  4096
#define MARKS_MAX      10000000
#define FIRST_OF(part) ((int64_t)(part) << 32) /* piece */

/* ---- what books depend on ---- */

static uint64_t add_hash(uint64_t hash, const void *bytes, size_t size)
{
    return XXH3_64bits_withSeed(bytes, size, hash + size);
}

static uint64_t add_prefixes(uint64_t hash, const struct hunt_prefix *prefixes, size_t n)
{
    hash = add_hash(hash, &n, sizeof n);
    for (size_t i = 0; i < n; i++) {
        hash = add_hash(hash, prefixes[i].net.b, sizeof prefixes[i].net.b);
        hash = add_hash(hash, &prefixes[i].bits, 1);
    }
    return hash;
}

static uint64_t add_texts(uint64_t hash, char *const *texts, size_t n)
{
    hash = add_hash(hash, &n, sizeof n);
    for (size_t i = 0; i < n; i++)
        hash = add_hash(hash, texts[i], strlen(texts[i]));
    return hash;
}

/* Of the settings that decide what is kept, of the hunts that keep, and of the tables' layout. */
static int64_t fingerprint(const struct hunt_settings *settings)
{
    const struct hunt_scope *scope = &settings->scope;
    const struct book_table *const *tables;
    size_t n = hunt_tables(&tables);
    uint64_t hash = add_prefixes(BOOK_FORMAT, scope->internal, scope->n_internal);
    hash = add_prefixes(hash, scope->always, scope->n_always);
    hash = add_prefixes(hash, scope->never, scope->n_never);
    hash = add_texts(hash, scope->always_domains, scope->n_always_domains);
    hash = add_texts(hash, scope->never_domains, scope->n_never_domains);
    hash = add_hash(hash, &scope->include_inbound, sizeof scope->include_inbound);
    hash = add_texts(hash, settings->off, settings->n_off);
    for (size_t i = 0; i < n; i++) {
        const uint16_t facts[] = {tables[i]->version, tables[i]->key_size, tables[i]->value_size};
        hash = add_hash(hash, tables[i]->name, strlen(tables[i]->name));
        hash = add_hash(hash, facts, sizeof facts);
    }
    return (int64_t)hash;
}

/* ---- loading ---- */

/* days->n: it is not there. */
static size_t place_of(const struct archive_days *days, const struct book *book)
{
    size_t i = 0;
    while (i < days->n &&
           (days->at[i].day != book_day(book) || days->at[i].part != book_part(book)))
        i++;
    return i;
}

void archive_days_note(struct archive_days *days, const struct book *book)
{
    size_t i = place_of(days, book);
    if (i == ARCHIVE_BOOKS) { /* the oldest is forgotten: it will hardly change any more */
        i = 0;
        for (size_t k = 1; k < days->n; k++)
            i = days->at[k].day < days->at[i].day ? k : i;
    }
    days->n += i == days->n;
    days->at[i].day = book_day(book);
    days->at[i].part = book_part(book);
    days->at[i].book = book;
    days->at[i].n_changes = book_changes(book);
}

bool archive_days_has(const struct archive_days *days, const struct book *book)
{
    size_t i = place_of(days, book);
    return i < days->n && days->at[i].book == book && days->at[i].n_changes == book_changes(book);
}

bool archive_days_knows(const struct archive_days *days, int64_t day)
{
    for (size_t i = 0; i < days->n; i++)
        if (days->at[i].day == day)
            return true;
    return false;
}

/* `out` stays NULL where the day has no such part. */
static int load_book(struct hunt_archive *a, int64_t day, unsigned part, size_t memory,
                     struct book **out, struct err *err)
{
    const struct book_table *const *tables;
    size_t n_tables = hunt_tables(&tables);
    struct book_loading *loading = book_load_begin(tables, n_tables, memory, a->secret);
    sqlite3_stmt *rows = NULL;
    if (!loading)
        return err_set(err, -ENOMEM, "out of memory");
    int code = SQLITE_ERROR, result = 0;
    bool is_there = false;
    if (sqlite3_prepare_v2(a->db,
                           "SELECT bytes FROM book WHERE day = ? AND piece >= ? AND piece < ?"
                           " ORDER BY piece",
                           -1, &rows, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(rows, 1, day) == SQLITE_OK &&
        sqlite3_bind_int64(rows, 2, FIRST_OF(part)) == SQLITE_OK &&
        sqlite3_bind_int64(rows, 3, FIRST_OF(part + 1)) == SQLITE_OK)
        while (result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW) {
            is_there = true;
            const void *bytes = sqlite3_column_blob(rows, 0);
            int size = sqlite3_column_bytes(rows, 0);
            result = book_load_take(loading, bytes ? bytes : "", (size_t)size, err);
        }
    if (result == 0 && code != SQLITE_DONE)
        result = archive_trouble(a, err);
    sqlite3_finalize(rows);
    if (result == 0 && is_there)
        result = book_load_end(loading, out, err);
    else
        book_load_cancel(loading);
    if (result < 0 || !is_there || (book_day(*out) == day && book_part(*out) == part))
        return result;
    book_free(*out);
    *out = NULL;
    return err_set(err, -EBADMSG, "%s: the book of a day is of another day", a->path);
}

/* Days of books that end after `from`, the newest first. */
static int list_days(struct hunt_archive *a, int64_t from, int64_t *out, size_t *out_n,
                     struct err *err)
{
    sqlite3_stmt *rows = NULL;
    int code = SQLITE_ERROR;
    *out_n = 0;
    bool is_strange = false;
    if (sqlite3_prepare_v2(a->db,
                           "SELECT day, min(piece), max(piece) FROM book WHERE day >= ?"
                           " GROUP BY day ORDER BY day DESC",
                           -1, &rows, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(rows, 1, from / MS_PER_DAY - (from % MS_PER_DAY < 0)) == SQLITE_OK)
        while ((code = sqlite3_step(rows)) == SQLITE_ROW && *out_n < ARCHIVE_DAYS) {
            out[(*out_n)++] = sqlite3_column_int64(rows, 0);
            is_strange |= sqlite3_column_int64(rows, 1) < 0 ||
                          sqlite3_column_int64(rows, 2) >= FIRST_OF(BOOK_PARTS);
        }
    int result = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : archive_trouble(a, err);
    sqlite3_finalize(rows);
    if (result == 0 && is_strange)
        return err_set(err, -EBADMSG, "%s: a piece of a book has a number that none has", a->path);
    return result;
}

/* Without its books the marks would say that files need not be read. */
static int drop_books(struct hunt_archive *a, struct err *err)
{
    a->is_void = true;
    if (a->read_only)
        return 0;
    int result = archive_begin(a, err);
    if (result == 0)
        result = archive_do(a, "DELETE FROM book; DELETE FROM mark;", err);
    return archive_end(a, result, err);
}

static int load_all(struct hunt_archive *a, const struct hunt_settings *settings, int64_t from,
                    struct book **books, size_t *n_books, struct err *err)
{
    int64_t days[ARCHIVE_DAYS], was = 0;
    size_t n = 0;
    uint64_t memory = hunt_settings_memory(settings), used = 0;
    memory -= memory / 4; /* for what else the engine has, and for what comes */
    int result = archive_get_meta(a, "settings", &was, err);
    if (result == -ENOENT)
        return 0;
    if (result == 0 && was != fingerprint(settings)) {
        result = drop_books(a, err);
        return result < 0 ? result
                          : err_set(err, 1,
                                    "%s: books of other settings are not used; the logs are read "
                                    "again",
                                    a->path);
    }
    if (result == 0)
        result = list_days(a, from, days, &n, err);
    if (n > settings->days)
        n = settings->days;
    struct err said = {""};
    for (size_t i = 0; result >= 0 && i < n * BOOK_PARTS; i++) {
        struct book *book = NULL;
        if (i % BOOK_PARTS == 0 && used >= memory)
            break; /* of a day all, or nothing */
        result = load_book(a, days[i / BOOK_PARTS], (unsigned)(i % BOOK_PARTS),
                           (size_t)(used < memory ? memory - used : 0), &book, err);
        if (result == 1 && err)
            said = *err;
        if (!book)
            continue;
        used += book_used(book);
        books[(*n_books)++] = book;
    }
    if (result >= 0 && said.text[0])
        return err_set(err, 1, "%s", said.text);
    return result < 0 ? result : 0;
}

int hunt_archive_load(struct hunt_archive *archive, const struct hunt_settings *settings,
                      int64_t from, struct hunt_engine *engine, struct err *err)
{
    struct book *books[ARCHIVE_BOOKS];
    size_t n = 0;
    struct err why = {""};
    int result = load_all(archive, settings, from, books, &n, &why);
    if (result == -EBADMSG) { /* all of them, since the marks are of all */
        while (n > 0)
            book_free(books[--n]);
        result = archive_is_bad(archive) ? archive_renew(archive, err) : drop_books(archive, err);
        if (result < 0)
            return result;
        archive_no_hint(&why);
        /* Where SQLite said it, the file is named there. */
        bool is_named = strncmp(why.text, archive->path, strlen(archive->path)) == 0;
        return err_set(err, 1, "%s%s%s; the logs are read again", is_named ? "" : archive->path,
                       is_named ? "" : ": ", why.text);
    }
    int64_t due = 0;
    struct err unused;
    bool is_due = result >= 0 && archive_get_meta(archive, "due", &due, &unused) == 0 && due != 0;
    while (n > 0) { /* the oldest first */
        n--;
        if (result < 0) {
            book_free(books[n]);
            continue;
        }
        archive_days_note(&archive->stored, books[n]);
        if (!is_due)
            archive_days_note(&archive->learned, books[n]);
        hunt_engine_add_book(engine, books[n]);
    }
    return result == 0 ? 0 : err_set(err, result, "%s", why.text);
}

int hunt_archive_forget(struct hunt_archive *a, struct err *err)
{
    int result = a->read_only ? 0 : drop_books(a, err);
    a->is_void = true;
    return result < 0 ? result : 0;
}

/* ---- marks ---- */

int hunt_archive_marks(struct hunt_archive *a, struct hunt_mark **out, size_t *out_n,
                       struct err *err)
{
    struct hunt_mark *marks = NULL;
    size_t n = 0, room = 0;
    sqlite3_stmt *rows = NULL;
    int code = SQLITE_DONE, result = 0;
    if (!a->is_void &&
        sqlite3_prepare_v2(a->db,
                           "SELECT path, offset, size, modified, beginning, n_hashed, first, last"
                           " FROM mark ORDER BY path",
                           -1, &rows, NULL) != SQLITE_OK)
        return archive_trouble(a, err);
    while (rows && result == 0 && (code = sqlite3_step(rows)) == SQLITE_ROW && n < MARKS_MAX) {
        const char *path = (const char *)sqlite3_column_blob(rows, 0);
        int size = sqlite3_column_bytes(rows, 0);
        if (!path || size <= 0 || size >= PATH_SIZE_MAX || memchr(path, '\0', (size_t)size))
            continue;
        if (n == room) {
            room = room ? 2 * room : 64;
            struct hunt_mark *more = realloc(marks, room * sizeof *more);
            if (!more) {
                result = err_set(err, -ENOMEM, "out of memory");
                break;
            }
            marks = more;
        }
        marks[n] = (struct hunt_mark){.path = strndup(path, (size_t)size),
                                      .offset = (uint64_t)sqlite3_column_int64(rows, 1),
                                      .size = (uint64_t)sqlite3_column_int64(rows, 2),
                                      .modified = sqlite3_column_int64(rows, 3),
                                      .beginning = (uint64_t)sqlite3_column_int64(rows, 4),
                                      .n_hashed = (uint32_t)sqlite3_column_int64(rows, 5),
                                      .first = sqlite3_column_int64(rows, 6),
                                      .last = sqlite3_column_int64(rows, 7)};
        if (!marks[n].path)
            result = err_set(err, -ENOMEM, "out of memory");
        else
            n++;
    }
    if (result == 0 && code != SQLITE_DONE && code != SQLITE_ROW)
        result = archive_trouble(a, err);
    sqlite3_finalize(rows);
    if (result < 0) {
        hunt_marks_free(marks, n);
        return result;
    }
    *out = marks;
    *out_n = n;
    return 0;
}

static int save_marks(struct hunt_archive *a, const struct hunt_mark *marks, size_t n,
                      struct err *err)
{
    sqlite3_stmt *put = NULL;
    int result = archive_do(a, "DELETE FROM mark", err);
    if (result < 0)
        return result;
    bool ok =
        sqlite3_prepare_v2(a->db, "INSERT OR REPLACE INTO mark VALUES(?, ?, ?, ?, ?, ?, ?, ?)", -1,
                           &put, NULL) == SQLITE_OK;
    for (size_t i = 0; ok && i < n; i++) {
        const struct hunt_mark *mark = &marks[i];
        ok = sqlite3_bind_blob(put, 1, mark->path, (int)strlen(mark->path), SQLITE_STATIC) ==
                 SQLITE_OK &&
             sqlite3_bind_int64(put, 2, (int64_t)mark->offset) == SQLITE_OK &&
             sqlite3_bind_int64(put, 3, (int64_t)mark->size) == SQLITE_OK &&
             sqlite3_bind_int64(put, 4, mark->modified) == SQLITE_OK &&
             sqlite3_bind_int64(put, 5, (int64_t)mark->beginning) == SQLITE_OK &&
             sqlite3_bind_int64(put, 6, mark->n_hashed) == SQLITE_OK &&
             sqlite3_bind_int64(put, 7, mark->first) == SQLITE_OK &&
             sqlite3_bind_int64(put, 8, mark->last) == SQLITE_OK &&
             sqlite3_step(put) == SQLITE_DONE && sqlite3_reset(put) == SQLITE_OK;
    }
    result = ok ? 0 : archive_trouble(a, err);
    sqlite3_finalize(put);
    return result;
}

/* ---- saving ---- */

struct pieces {
    struct hunt_archive *archive;
    sqlite3_stmt *put;
    int64_t day, n;
};

static int put_piece(void *with, const void *frame, size_t size, struct err *err)
{
    struct pieces *pieces = with;
    if (sqlite3_bind_int64(pieces->put, 1, pieces->day) == SQLITE_OK &&
        sqlite3_bind_int64(pieces->put, 2, pieces->n++) == SQLITE_OK &&
        sqlite3_bind_blob(pieces->put, 3, frame, (int)size, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(pieces->put) == SQLITE_DONE && sqlite3_reset(pieces->put) == SQLITE_OK)
        return 0;
    return archive_trouble(pieces->archive, err);
}

static int save_book(struct hunt_archive *a, const struct book *book, struct err *err)
{
    const struct book_table *const *tables;
    size_t n_tables = hunt_tables(&tables);
    unsigned part = book_part(book);
    struct pieces pieces = {.archive = a, .day = book_day(book), .n = FIRST_OF(part)};
    const int64_t before[] = {book_day(book), FIRST_OF(part), FIRST_OF(part + 1)};
    int result = archive_put(a, "DELETE FROM book WHERE day = ? AND piece >= ? AND piece < ?",
                             before, 3, err);
    if (result < 0)
        return result;
    if (sqlite3_prepare_v2(a->db, "INSERT INTO book VALUES(?, ?, ?)", -1, &pieces.put, NULL) !=
        SQLITE_OK)
        return archive_trouble(a, err);
    result = book_save_to(book, tables, n_tables, put_piece, &pieces, err);
    sqlite3_finalize(pieces.put);
    return result;
}

/* Books of this day that were neither loaded nor saved by this run: it had no room for them, say.
 */
static bool is_foreign(struct hunt_archive *a, int64_t day)
{
    sqlite3_stmt *ask = NULL;
    bool found = !archive_days_knows(&a->stored, day) &&
                 sqlite3_prepare_v2(a->db, "SELECT 1 FROM book WHERE day = ? LIMIT 1", -1, &ask,
                                    NULL) == SQLITE_OK &&
                 sqlite3_bind_int64(ask, 1, day) == SQLITE_OK && sqlite3_step(ask) == SQLITE_ROW;
    sqlite3_finalize(ask);
    return found;
}

/* A book that changed, and the one of the day before it: a connection that goes over midnight is
 * taken out of it when it ends, which no change of its own shows. */
static bool is_to_be_saved(const struct hunt_archive *a, const struct books *books, size_t i)
{
    size_t next = i + 1;
    while (next < books->n && book_part(books->at[next]) != book_part(books->at[i]))
        next++;
    return !archive_days_has(&a->stored, books->at[i]) ||
           (next < books->n && !archive_days_has(&a->stored, books->at[next]));
}

static int drop_old(struct hunt_archive *a, struct err *err)
{
    int64_t days[ARCHIVE_DAYS];
    size_t n;
    int result = list_days(a, INT64_MIN, days, &n, err);
    return result < 0 || n < ARCHIVE_DAYS
               ? result
               : archive_put(a, "DELETE FROM book WHERE day < ?", &days[n - 1], 1, err);
}

int hunt_archive_save(struct hunt_archive *a, const struct hunt_settings *settings,
                      const struct hunt_engine *engine, const struct hunt_mark *marks, size_t n,
                      struct err *err)
{
    struct books books = hunt_engine_books(engine);
    if (a->read_only)
        return err_set(err, -EROFS, "%s is open for reading only", a->path);
    int result = archive_begin(a, err);
    if (result < 0)
        return result;
    bool saved[ARCHIVE_BOOKS] = {false}, is_due = false;
    for (size_t i = 0; i < books.n && i < ARCHIVE_BOOKS; i++)
        saved[i] = is_to_be_saved(a, &books, i) && !is_foreign(a, book_day(books.at[i]));
    for (size_t i = 0; result == 0 && i < books.n && i < ARCHIVE_BOOKS; i++) {
        if (!saved[i])
            continue;
        result = save_book(a, books.at[i], err);
        is_due = is_due || !archive_days_has(&a->learned, books.at[i]);
    }
    if (result == 0 && is_due) /* a kill before they are learned must not leave them unlearned */
        result = archive_set_meta(a, "due", 1, err);
    if (result == 0)
        result = drop_old(a, err);
    if (result == 0)
        result = save_marks(a, marks, n, err);
    if (result == 0)
        result = archive_set_meta(a, "settings", fingerprint(settings), err);
    result = archive_end(a, result, err);
    for (size_t i = 0; result == 0 && i < books.n && i < ARCHIVE_BOOKS; i++)
        if (saved[i])
            archive_days_note(&a->stored, books.at[i]);
    if (result == 0)
        a->is_void = false;
    return result;
}
