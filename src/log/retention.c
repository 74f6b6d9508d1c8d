/* Retention: see retention.h. Day by day, so that the memory is one day's names, however many years
 * there are: a first pass adds up what there is, a second takes away from the oldest on. */
#include "log/retention.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/set.h"

#define MAX_DAYS  36600      /* a century */
#define MAX_FILES (1u << 20) /* of a day */
#define BLOCK     512        /* st_blocks counts these */

struct day {
    char name[LOG_DAY_SIZE];
};

struct file {
    struct log_archived archived;
    bool packed;
    uint64_t n_bytes;
};

struct list {
    void *items;
    size_t n, capacity, item_size, max;
};

struct run {
    const struct log_retention_options *options;
    struct log_retention_result *out;
    struct err *err;
    int64_t now;
    int dir_fd;
    int result;
};

static void *list_add(struct list *list)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 256;
        void *grown =
            list->n < list->max ? reallocarray(list->items, capacity, list->item_size) : NULL;
        if (!grown)
            return NULL;
        list->items = grown;
        list->capacity = capacity;
    }
    return (char *)list->items + list->n++ * list->item_size;
}

static DIR *open_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        (void)close(fd); /* nothing was written */
    return dir;
}

static int compare_days(const void *a, const void *b)
{
    return strcmp(((const struct day *)a)->name, ((const struct day *)b)->name);
}

/* By what they tell of; the order of names that differ only in the log does not matter. */
static int compare_files(const void *a, const void *b)
{
    const struct log_archived *x = &((const struct file *)a)->archived;
    const struct log_archived *y = &((const struct file *)b)->archived;
    int order = strcmp(x->begin, y->begin);
    if (order == 0)
        order = strcmp(x->end, y->end);
    if (order == 0)
        order = x->repeat < y->repeat ? -1 : x->repeat > y->repeat;
    return order ? order : strcmp(x->name, y->name);
}

static int list_days(struct run *run, struct list *out)
{
    DIR *dir = open_folder(run->dir_fd, ".");
    if (!dir)
        return err_set(run->err, -errno, "archived logs: the folder cannot be listed: %s",
                       strerror(errno));
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct tm tm;
        struct day *day = log_day_parse(entry->d_name, &tm) ? list_add(out) : NULL;
        if (day)
            memcpy(day->name, entry->d_name, LOG_DAY_SIZE);
    }
    (void)closedir(dir); /* nothing was written */
    if (out->n)
        qsort(out->items, out->n, sizeof(struct day), compare_days);
    return 0;
}

/* Ours of a day, the oldest first. What cannot be listed is passed over: it may be gone. */
static void list_files(const struct run *run, const struct day *day, struct list *out)
{
    out->n = 0;
    DIR *dir = open_folder(run->dir_fd, day->name);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        struct file f = {.packed = true};
        struct stat st;
        if (!log_archived_parse(day->name, entry->d_name, ".gz", &f.archived)) {
            f.packed = false;
            if (!log_archived_parse(day->name, entry->d_name, "", &f.archived))
                continue;
        }
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        f.n_bytes = (uint64_t)st.st_blocks * BLOCK;
        struct file *file = list_add(out);
        if (file)
            *file = f;
    }
    if (dir)
        (void)closedir(dir); /* nothing was written */
    if (out->n)
        qsort(out->items, out->n, sizeof(struct file), compare_files);
}

static void add_up(const struct run *run, const struct list *files)
{
    const struct file *items = files->items;
    for (size_t i = 0; i < files->n; i++) {
        run->out->n_left++;
        run->out->n_bytes_left += items[i].n_bytes;
    }
}

static bool is_old(const struct run *run, const struct file *file)
{
    return run->options->max_age > 0 &&
           run->now - log_archived_ended(&file->archived, run->options->utc) >
               run->options->max_age;
}

static bool is_too_much(const struct run *run)
{
    const struct log_retention_options *o = run->options;
    const struct log_retention_result *r = run->out;
    return (o->max_share > 0 && (double)r->n_bytes_left > o->max_share * (double)r->disk_bytes) ||
           r->free_bytes < o->min_free;
}

static void take_away(struct run *run, const struct file *file)
{
    char base[LOG_ARCHIVED_SIZE], path[LOG_DAY_SIZE + LOG_ARCHIVED_SIZE];
    log_archived_format(&file->archived, file->packed ? ".gz" : "", base);
    (void)snprintf(path, sizeof path, "%s/%s", file->archived.day, base);
    if (unlinkat(run->dir_fd, path, 0) < 0 && errno != ENOENT) {
        run->out->n_failed++;
        if (run->result == 0)
            run->result = err_set(run->err, -errno, "old log %s: cannot be taken away: %s", path,
                                  strerror(errno));
        return;
    }
    run->out->n_files++;
    run->out->n_bytes += file->n_bytes;
    run->out->free_bytes += file->n_bytes;
    run->out->n_left--;
    run->out->n_bytes_left -= file->n_bytes;
}

/* False when the rest of the days can stay as they are. */
static bool thin_out(struct run *run, const struct day *day, const struct list *files)
{
    const struct file *items = files->items;
    uint64_t n_before = run->out->n_files;
    bool more = true;
    for (size_t i = 0; i < files->n && more; i++) {
        uint64_t n_failed = run->out->n_failed;
        more = is_old(run, &items[i]) || is_too_much(run);
        if (more)
            take_away(run, &items[i]);
        if ((!more || run->out->n_failed > n_failed) && !run->out->oldest.name[0])
            run->out->oldest = items[i].archived;
    }
    /* Only a folder that we emptied: the archiver makes one before it has a file for it. */
    if (run->out->n_files > n_before && unlinkat(run->dir_fd, day->name, AT_REMOVEDIR) == 0)
        run->out->n_folders++;
    return more;
}

static int measure(struct run *run)
{
    struct statvfs disk;
    const struct log_retention_options *o = run->options;
    int failed =
        o->statvfs ? o->statvfs(run->dir_fd, &disk, o->with) : fstatvfs(run->dir_fd, &disk);
    if (failed)
        return err_set(run->err, -errno, "archived logs: the disk's size cannot be read: %s",
                       strerror(errno));
    run->out->disk_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    run->out->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return 0;
}

int log_retention_run(int dir_fd, const struct log_retention_options *options, int64_t now,
                      struct log_retention_result *out, struct err *err)
{
    *out = (struct log_retention_result){0};
    struct run run = {.options = options, .out = out, .err = err, .now = now, .dir_fd = dir_fd};
    struct list days = {.item_size = sizeof(struct day), .max = MAX_DAYS};
    struct list files = {.item_size = sizeof(struct file), .max = MAX_FILES};
    int result = measure(&run);
    if (result == 0)
        result = list_days(&run, &days);
    const struct day *day = days.items;
    for (size_t i = 0; i < days.n && result == 0; i++) {
        list_files(&run, &day[i], &files);
        add_up(&run, &files);
    }
    bool more = result == 0;
    for (size_t i = 0; i < days.n && more; i++) {
        list_files(&run, &day[i], &files);
        more = thin_out(&run, &day[i], &files);
    }
    out->short_of_room = result == 0 && out->free_bytes < options->min_free;
    free(days.items);
    free(files.items);
    return result < 0 ? result : run.result;
}

int log_set_retain(struct log_set *set, const struct log_retention_options *options,
                   struct log_retention_result *out, struct err *err)
{
    struct log_retention_options own = *options;
    own.utc = set->live->utc;
    return log_retention_run(set->live->dir_fd, &own, log_live_now(set->live), out, err);
}
