/* Marks of files, by path and by beginning. */
#include "hunt/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hunt/value.h"

#define STAYS_NS (INT64_C(2) * 86400 * 1000000000)

uint64_t marks_hash(const char *head, size_t size)
{
    return size ? value_hash(str_make(head, size)) : 0;
}

static bool fits(const struct hunt_mark *mark, const char *head, size_t size)
{
    return mark->n_hashed > 0 && mark->n_hashed <= size &&
           marks_hash(head, mark->n_hashed) == mark->beginning;
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(const struct hunt_mark *const *)a)->path,
                  (*(const struct hunt_mark *const *)b)->path);
}

const struct hunt_mark *marks_of_path(const struct marks *marks, const char *path)
{
    for (size_t low = 0, high = marks->n; low < high;) {
        size_t middle = (low + high) / 2;
        int order = strcmp(marks->by_path[middle]->path, path);
        if (order == 0)
            return marks->by_path[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool marks_unchanged(const struct marks *marks, const struct files_one *file)
{
    const struct hunt_mark *mark = file->stream ? NULL : marks_of_path(marks, file->path);
    return mark && mark->size == file->size && mark->modified == file->modified;
}

/* Another file took the name: what a plain one begins with says so. */
static bool is_replaced(const struct hunt_mark *mark)
{
    char head[MARKS_HASHED];
    int fd = open(mark->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
    if (fd >= 0)
        close(fd);
    bool packed = n >= 2 && (uint8_t)head[0] == 0x1f && (uint8_t)head[1] == 0x8b;
    return n >= 0 && !packed && !fits(mark, head, (size_t)n);
}

static int by_mark(const void *a, const void *b)
{
    const struct hunt_mark *x = *(const struct hunt_mark *const *)a;
    const struct hunt_mark *y = *(const struct hunt_mark *const *)b;
    return (x > y) - (x < y);
}

/* Those whose path is none of the files'. */
static void free_others(struct marks *marks, const struct hunt_mark **found, size_t n)
{
    size_t n_replaced = marks->n_free;
    for (size_t i = 0; i < n_replaced; i++)
        found[n + i] = marks->free[i];
    n += n_replaced;
    if (n)
        qsort(found, n, sizeof *found, by_mark);
    for (size_t i = 0; i < marks->n; i++)
        if (n == 0 || !bsearch(&marks->by_path[i], found, n, sizeof *found, by_mark))
            marks->free[marks->n_free++] = marks->by_path[i];
}

int marks_init(struct marks *marks, const struct hunt_mark *given, size_t n,
               const struct files *files, struct err *err)
{
    *marks = (struct marks){0};
    if (n == 0)
        return 0;
    marks->by_path = calloc(n, sizeof *marks->by_path);
    marks->free = calloc(n, sizeof *marks->free);
    marks->replaced = calloc(n, sizeof *marks->replaced);
    marks->is_found = calloc(n, sizeof *marks->is_found);
    const struct hunt_mark **taken = calloc(files->n + 1, sizeof *taken);
    size_t n_taken = 0;
    if (!marks->by_path || !marks->free || !marks->replaced || !marks->is_found || !taken) {
        free(taken);
        marks_done(marks);
        return err_set(err, -ENOMEM, "no memory for %zu marks of logs", n);
    }
    for (size_t i = 0; i < n; i++)
        if (given[i].path)
            marks->by_path[marks->n++] = &given[i];
    if (marks->n)
        qsort(marks->by_path, marks->n, sizeof *marks->by_path, by_path);
    for (size_t i = 0; i < files->n; i++) {
        const struct files_one *file = &files->at[i];
        const struct hunt_mark *mark = marks_of_path(marks, file->path);
        if (!mark)
            continue;
        if (marks_unchanged(marks, file) || file->stream || !is_replaced(mark)) {
            taken[n_taken++] = mark;
        } else {
            marks->replaced[marks->n_free] = true;
            marks->free[marks->n_free++] = mark;
        }
    }
    free_others(marks, taken, n_taken);
    free(taken);
    return 0;
}

void marks_done(struct marks *marks)
{
    free(marks->by_path);
    free(marks->free);
    free(marks->replaced);
    free(marks->is_found);
    *marks = (struct marks){0};
}

static bool is_of_log(const struct hunt_mark *mark, enum hunt_log log)
{
    const char *slash = strrchr(mark->path, '/');
    enum hunt_log named;
    return files_log_of(slash ? slash + 1 : mark->path, &named) && named == log;
}

const struct hunt_mark *marks_find(const struct marks *marks, const struct files_one *file,
                                   enum hunt_log log, const char *head, size_t size)
{
    const struct hunt_mark *own = marks_of_path(marks, file->path), *found = NULL;
    uint32_t n_hashed = 0;
    uint64_t hash = 0;
    if (file->stream)
        return NULL;
    if (own && fits(own, head, size))
        return own;
    for (size_t i = 0; i < marks->n_free; i++) {
        const struct hunt_mark *mark = marks->free[i];
        if (mark->n_hashed == 0 || mark->n_hashed > size)
            continue;
        if (mark->n_hashed != n_hashed) {
            n_hashed = mark->n_hashed;
            hash = marks_hash(head, n_hashed);
        }
        if (hash == mark->beginning && is_of_log(mark, log) &&
            (!found || mark->offset > found->offset))
            found = mark;
    }
    return found;
}

bool marks_free_of(const struct marks *marks, const struct hunt_mark *mark, size_t *out_at)
{
    for (size_t i = 0; i < marks->n_free; i++)
        if (marks->free[i] == mark) {
            *out_at = i;
            return true;
        }
    return false;
}

bool marks_keep(const struct hunt_mark *mark, bool replaced, struct hunt_mark *out)
{
    char path[PATH_MAX];
    const char *slash = strrchr(mark->path, '/');
    int folder = slash ? (int)(slash + 1 - mark->path) : 0;
    *out = *mark;
    if (replaced) {
        /* Its log is still what the name ends in. */
        int n = snprintf(path, sizeof path, "%.*s%016llx_%s", folder, mark->path,
                         (unsigned long long)mark->beginning, mark->path + folder);
        out->path = n > 0 && (size_t)n < sizeof path ? strdup(path) : NULL;
    } else {
        out->path = strdup(mark->path);
    }
    return out->path != NULL;
}

bool marks_stays(const struct hunt_mark *mark, int64_t newest)
{
    struct stat st;
    return mark->modified > newest - STAYS_NS || stat(mark->path, &st) == 0;
}
