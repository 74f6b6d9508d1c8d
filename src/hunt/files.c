/* Walks log folders. Links are followed, and no folder or file is taken twice, whatever its names.
 *
 * Our own live folder has finished files that are archived some moments later, under another name
 * in another folder. Folders with hidden files are therefore looked at first: what is finished then
 * and not found in the archive is read where it is, or, when it is gone by then, in the archive. */
#include "hunt/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS_PER_S    INT64_C(1000000000)
#define FOLDERS_MAX 100000

struct seen {
    uint64_t device, inode;
};

struct walk {
    const struct files_want *want;
    struct files *out;
    struct seen *folders;
    size_t n_folders;
    bool no_memory;
    uint64_t n_packed; /* logs that are packed with something else than gzip */
    char *packed;      /* the first of them */
};

static void say(struct walk *walk, const char *path, int error, const char *what)
{
    char text[PATH_MAX + 128];
    if (!walk->want->say)
        return;
    snprintf(text, sizeof text, "%s: %s%s%s", path, what, error ? ": " : "",
             error ? strerror(error) : "");
    walk->want->say(walk->want->with, text);
}

static void unreadable(struct walk *walk, const char *path, int error)
{
    walk->out->n_unreadable++;
    say(walk, path, error, "cannot be read");
}

/* False: it was there already, or there is no room. */
static bool enter(struct walk *walk, const struct stat *st)
{
    for (size_t i = 0; i < walk->n_folders; i++)
        if (walk->folders[i].inode == st->st_ino && walk->folders[i].device == st->st_dev)
            return false;
    if (walk->n_folders == FOLDERS_MAX)
        return false;
    if ((walk->n_folders & (walk->n_folders - 1)) == 0) {
        size_t capacity = walk->n_folders ? walk->n_folders * 2 : 1;
        struct seen *grown = realloc(walk->folders, capacity * sizeof *grown);
        if (!grown) {
            walk->no_memory = true;
            return false;
        }
        walk->folders = grown;
    }
    walk->folders[walk->n_folders++] = (struct seen){st->st_dev, st->st_ino};
    return true;
}

static struct files_one *add(struct walk *walk, const char *path, const struct stat *st)
{
    struct files *files = walk->out;
    if (files->n == FILES_MAX) {
        files->full = true;
        return NULL;
    }
    if (files->n == files->capacity) {
        size_t capacity = files->capacity ? files->capacity * 2 : 64;
        struct files_one *grown = realloc(files->at, capacity * sizeof *grown);
        if (!grown) {
            walk->no_memory = true;
            return NULL;
        }
        files->at = grown;
        files->capacity = capacity;
    }
    struct files_one *one = &files->at[files->n];
    *one = (struct files_one){.path = strdup(path)};
    if (!one->path) {
        walk->no_memory = true;
        return NULL;
    }
    one->size = st->st_size > 0 ? (uint64_t)st->st_size : 0;
    one->modified = (int64_t)st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
    one->device = st->st_dev;
    one->inode = st->st_ino;
    files->n++;
    return one;
}

/* DIR/2026-11-22/conn.14:00:00-15:00:00.log of
 * DIR/.live/.2026-11-22.conn.14:00:00-15:00:00.log.finished
 */
static char *archived_name(const char *folder, const char *name)
{
    char path[PATH_MAX], real[PATH_MAX];
    if (!realpath(folder, real))
        return NULL;
    char *slash = strrchr(real, '/');
    size_t len = strlen(name) - strlen(".finished");
    if (!slash || len < 12)
        return NULL;
    *slash = '\0';
    int n = snprintf(path, sizeof path, "%s/%.10s/%.*s", real, name + 1, (int)len - 12, name + 12);
    return n > 0 && (size_t)n < sizeof path ? strdup(path) : NULL;
}

/* Days are by the clock of whoever wrote the logs: one more is looked at. */
static bool is_too_old(const struct walk *walk, int64_t day)
{
    return walk->want->since > 0 && day != FILES_NO_DAY &&
           day + 2 <= walk->want->since / (86400 * NS_PER_S);
}

static void take_file(struct walk *walk, const char *folder, const char *path, const char *name,
                      int64_t day, const struct stat *st)
{
    struct files_name read;
    if (!files_name_read(name, &read)) {
        walk->out->n_other++;
        if (files_is_packed_otherwise(name) && walk->n_packed++ == 0)
            walk->packed = strdup(path);
        return;
    }
    if (!S_ISREG(st->st_mode)) {
        walk->out->n_odd++;
        say(walk, path, 0, "is named like a log and is no file; it is not read");
        return;
    }
    if (read.day == FILES_NO_DAY)
        read.day = day;
    if (!(walk->want->logs & HUNT_LOG_BIT(read.log)) || is_too_old(walk, read.day))
        return;
    struct files_one *one = add(walk, path, st);
    if (!one)
        return;
    one->name = read;
    one->named = true;
    if (read.finished)
        one->later = archived_name(folder, name);
}

static int by_name(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    /* `current` is first: see above. */
    int x_first = strcmp(x, "current") == 0, y_first = strcmp(y, "current") == 0;
    return x_first != y_first ? y_first - x_first : strcmp(x, y);
}

/* All names of a folder, sorted; NULL: it cannot be read. */
static char **names_of(struct walk *walk, const char *path, size_t *out_n)
{
    DIR *dir = opendir(path);
    char **names = NULL;
    size_t n = 0, capacity = 0;
    if (!dir) {
        unreadable(walk, path, errno);
        return NULL;
    }
    for (struct dirent *entry; (entry = readdir(dir)) && n < FILES_MAX;) {
        const char *name = entry->d_name;
        struct files_name read;
        if (name[0] == '.' && !(files_name_read(name, &read) && read.finished))
            continue;
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            char **grown = realloc(names, capacity * sizeof *grown);
            if (!grown)
                break;
            names = grown;
        }
        names[n] = strdup(name);
        if (!names[n])
            break;
        n++;
    }
    closedir(dir);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    *out_n = n;
    return names;
}

static void walk_folder(struct walk *walk, const char *path, int64_t day, int depth)
{
    size_t n = 0;
    char **names = names_of(walk, path, &n);
    for (size_t i = 0; i < n; i++) {
        char inner[PATH_MAX];
        struct stat st;
        int64_t inner_day = day;
        int len = snprintf(inner, sizeof inner, "%s/%s", path, names[i]);
        if (len < 0 || (size_t)len >= sizeof inner)
            unreadable(walk, path, ENAMETOOLONG);
        else if (stat(inner, &st) < 0)
            unreadable(walk, inner, errno);
        else if (!S_ISDIR(st.st_mode))
            take_file(walk, path, inner, names[i], day, &st);
        else if (depth < FILES_DEPTH_MAX && enter(walk, &st)) {
            (void)files_day_of(names[i], &inner_day);
            if (!is_too_old(walk, inner_day))
                walk_folder(walk, inner, inner_day, depth + 1);
        }
        free(names[i]);
    }
    free(names);
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A path that the user gave. */
static int take_path(struct walk *walk, const char *path, struct err *err)
{
    char real[PATH_MAX];
    struct stat st = {0};
    if (strcmp(path, "-") == 0) {
        struct files_one *one = add(walk, path, &st);
        if (one) {
            one->stream = true;
            one->name.day = FILES_NO_DAY;
        }
        return 0;
    }
    if (stat(path, &st) < 0)
        return err_set(err, -errno, "%s: cannot be read: %s", path, strerror(errno));
    /* Marks know files by their paths, from wherever we are started. A pipe has none. */
    if ((!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) || !realpath(path, real)) {
        if (strlen(path) >= sizeof real)
            return err_set(err, -ENAMETOOLONG, "%s: its name is too long", path);
        memcpy(real, path, strlen(path) + 1);
    }
    int64_t day = FILES_NO_DAY;
    if (S_ISDIR(st.st_mode)) {
        (void)files_day_of(last_name(real), &day);
        if (enter(walk, &st))
            walk_folder(walk, real, day, 0);
        return 0;
    }
    struct files_one *one = add(walk, real, &st);
    if (!one)
        return 0;
    one->stream = !S_ISREG(st.st_mode);
    one->named = files_name_read(last_name(path), &one->name) ||
                 files_name_read(last_name(real), &one->name);
    if (!one->named)
        one->name = (struct files_name){.day = FILES_NO_DAY};
    return 0;
}

static void drop(struct files_one *one)
{
    free(one->path);
    free(one->later);
    *one = (struct files_one){0};
}

static size_t stem_len(const char *path)
{
    size_t len = strlen(path);
    return len > 3 && strcmp(path + len - 3, ".gz") == 0 ? len - 3 : len;
}

static int compare_stems(const char *a, const char *b)
{
    size_t x = stem_len(a), y = stem_len(b);
    int order = memcmp(a, b, x < y ? x : y);
    return order ? order : (x > y) - (x < y);
}

/* By what the path is without ".gz"; the newest of them first, the plain one of equals. */
static int by_stem(const void *a, const void *b)
{
    const struct files_one *x = a, *y = b;
    int order = compare_stems(x->path, y->path);
    if (order)
        return order;
    if (x->modified != y->modified)
        return x->modified > y->modified ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int by_inode(const void *a, const void *b)
{
    const struct files_one *x = a, *y = b;
    if (x->stream != y->stream)
        return x->stream - y->stream;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return strcmp(x->path, y->path);
}

static int by_time(const void *a, const void *b)
{
    const struct files_one *x = a, *y = b;
    if (x->name.day != y->name.day)
        return x->name.day < y->name.day ? -1 : 1;
    if (x->name.hour != y->name.hour)
        return x->name.hour - y->name.hour;
    if (x->name.log != y->name.log)
        return x->name.log < y->name.log ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* Keeps what is not like the one before it. */
static void drop_doubles(struct files *files, bool by_path)
{
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++) {
        struct files_one *one = &files->at[i], *before = n ? &files->at[n - 1] : NULL;
        bool same = before && !one->stream && !before->stream &&
                    (by_path ? compare_stems(one->path, before->path) == 0
                             : one->inode == before->inode && one->device == before->device);
        if (same) {
            files->n_same++;
            drop(one);
        } else {
            files->at[n++] = *one;
        }
    }
    files->n = n;
}

/* Finished files whose archived form was found; the files are sorted by their stems. */
static void drop_archived(struct files *files)
{
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++) {
        struct files_one *one = &files->at[i];
        bool found = false;
        for (size_t low = 0, high = files->n; one->later && low < high && !found;) {
            size_t middle = (low + high) / 2;
            int order = compare_stems(files->at[middle].path, one->later);
            found = order == 0;
            if (order < 0)
                low = middle + 1;
            else
                high = middle;
        }
        one->stream |= found; /* a mark for the second pass: the search needs them all in place */
    }
    for (size_t i = 0; i < files->n; i++) {
        struct files_one *one = &files->at[i];
        if (one->later && one->stream) {
            files->n_same++;
            drop(one);
        } else {
            files->at[n++] = *one;
        }
    }
    files->n = n;
}

/* Of files in the order of time: those of days long before the newest one go. */
static void drop_old(struct files *files, uint32_t n_days)
{
    int64_t newest = INT64_MIN;
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++)
        if (files->at[i].name.day != FILES_NO_DAY)
            newest = files->at[i].name.day;
    for (size_t i = 0; i < files->n; i++) {
        int64_t day = files->at[i].name.day;
        if (day != FILES_NO_DAY && day <= newest - (int64_t)n_days) {
            drop(&files->at[i]);
            files->n_old++;
        } else {
            files->at[n++] = files->at[i];
        }
    }
    files->n = n;
}

/* One line, not one a file: there may be thousands of them. */
static void say_packed(struct walk *walk)
{
    char what[160];
    if (walk->n_packed == 0 || !walk->packed)
        return;
    int n = snprintf(what, sizeof what, "is packed, and not with gzip; it is not read");
    if (walk->n_packed > 1 && n > 0)
        (void)snprintf(what + n, sizeof what - (size_t)n, ", and %llu more like it",
                       (unsigned long long)walk->n_packed - 1);
    say(walk, walk->packed, 0, what);
}

int files_find(const struct files_want *want, struct files *out, struct err *err)
{
    struct walk walk = {.want = want, .out = out};
    int result = 0;
    *out = (struct files){0};
    for (size_t i = 0; result == 0 && i < want->n_paths; i++)
        result = take_path(&walk, want->paths[i], err);
    free(walk.folders);
    say_packed(&walk);
    free(walk.packed);
    if (result == 0 && walk.no_memory)
        result = err_set(err, -ENOMEM, "no memory for the names of %zu log files", out->n);
    if (result < 0) {
        files_done(out);
        return result;
    }
    if (out->full)
        say(&walk, "logs", 0, "there are more than a million files; the others are not read");
    if (out->n == 0)
        return 0;
    qsort(out->at, out->n, sizeof *out->at, by_inode);
    drop_doubles(out, false);
    qsort(out->at, out->n, sizeof *out->at, by_stem);
    drop_doubles(out, true);
    drop_archived(out);
    if (out->n)
        qsort(out->at, out->n, sizeof *out->at, by_time);
    if (want->n_days)
        drop_old(out, want->n_days);
    return 0;
}

void files_done(struct files *files)
{
    for (size_t i = 0; i < files->n; i++)
        drop(&files->at[i]);
    free(files->at);
    *files = (struct files){0};
}
