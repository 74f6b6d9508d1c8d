/* The archiver: see live.h. It keeps nothing in memory: what is to be done is seen from the names
 * in the folders, so that a start after a kill goes on where the last run was.
 *
 *     .DAY.conn.B-E.log.finished   and nothing in DAY/:  pack it into DAY/.conn.B-E.log.part, write
 *                                  that to the disk, give it its name, write the folder to the disk
 *                                  and there is DAY/conn.B-E.log.gz:  a minute later it goes */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/pack.h"
#include "log/set.h"

#define STAY_SECONDS 60 /* a finished file stays, for who reads it still */

int log_write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The day's folder, made where it is not there. */
static int open_day(const struct log_live *live, const char *day)
{
    if (mkdirat(live->dir_fd, day, 0750) == 0)
        (void)fsync(live->dir_fd); /* a loss of power may cost the entry, where it cannot */
    else if (errno != EEXIST)
        return -errno;
    int fd = openat(live->dir_fd, day, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Gives the packed file its name, unless somebody else has it: nothing is overwritten. */
static int publish(int day_fd, const char *part, const char *name)
{
    if (renameat2(day_fd, part, day_fd, name, RENAME_NOREPLACE) == 0)
        return fsync(day_fd) < 0 ? -errno : 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    struct stat st; /* a file system without it; nobody else of ours writes here */
    if (fstatat(day_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    if (renameat(day_fd, part, day_fd, name) < 0)
        return -errno;
    return fsync(day_fd) < 0 ? -errno : 0;
}

static int pack(const struct log_live *live, const char *finished, int day_fd, const char *part,
                const volatile int *stop, struct log_archive_result *out)
{
    int result = 0;
    struct stat before, after;
    int in = openat(live->live_fd, finished, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int to = openat(day_fd, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (in < 0 || to < 0 || fstat(in, &before) < 0) {
        result = -errno;
        goto out;
    }
    result = log_pack(in, to, stop);
    if (result < 0)
        goto out;
    /* The mode whatever the umask is: see live.h. The time of the last record is the file's. */
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, before.st_mtim};
    if (fchmod(to, 0644) < 0 || futimens(to, times) < 0 || fsync(to) < 0 || fstat(to, &after) < 0)
        result = -errno;
out:
    if (in >= 0)
        (void)close(in); /* only read */
    if (to >= 0 && close(to) < 0 && result == 0)
        result = -errno;
    if (result == 0) {
        out->n_bytes_in += (uint64_t)before.st_size;
        out->n_bytes_out += (uint64_t)after.st_size;
    }
    return result;
}

/* Somebody else has made a file of the name that this one was to get: it gets the next one. */
static int name_again(const struct log_live *live, const char *finished,
                      const struct log_archived *a)
{
    char name[LOG_FINISHED_SIZE];
    int result = log_finished_name(live, a->name, a->day, a->begin, a->end, name);
    if (result == 0 && renameat(live->live_fd, finished, live->live_fd, name) < 0)
        result = -errno;
    return result;
}

static int archive(const struct log_live *live, const char *finished, const struct log_archived *a,
                   const volatile int *stop, struct log_archive_result *out, struct err *err)
{
    char name[LOG_ARCHIVED_SIZE], part[LOG_ARCHIVED_SIZE + 8], plain[LOG_ARCHIVED_SIZE];
    struct log_mended mended;
    log_archived_format(a, log_pack_suffix, name);
    log_archived_format(a, "", plain);
    (void)snprintf(part, sizeof part, ".%s.part", plain);
    int result = log_mend(live, finished, &mended);
    int day_fd = result == 0 ? open_day(live, a->day) : -1;
    if (result == 0 && day_fd < 0)
        result = day_fd;
    if (result == 0)
        result = pack(live, finished, day_fd, part, stop, out);
    if (result == 0)
        result = publish(day_fd, part, name);
    if (result < 0 && day_fd >= 0)
        (void)unlinkat(day_fd, part, 0); /* or it is overwritten at the next try */
    if (day_fd >= 0)
        (void)close(day_fd); /* only listed */
    if (result == -EEXIST)
        return name_again(live, finished, a);
    if (result == 0)
        out->n_archived++;
    else if (result != -ECANCELED)
        (void)err_set(err, result, "%s/%s: cannot be archived (it will be tried again): %s", a->day,
                      name, strerror(-result));
    return result;
}

struct finished {
    char file[LOG_FINISHED_SIZE];
    struct log_archived archived;
};

static bool comes_before(const struct log_archived *a, const struct log_archived *b)
{
    int order = strcmp(a->day, b->day);
    return order < 0 || (order == 0 && strcmp(a->begin, b->begin) < 0);
}

/* Takes away what was archived a minute ago, and finds the oldest that is not archived. */
static int look(const struct log_live *live, struct finished *oldest, bool *found,
                struct log_archive_result *out, struct err *err)
{
    int fd = openat(live->live_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int result = err_set(err, -errno, "finished logs: cannot be listed: %s", strerror(errno));
        if (fd >= 0)
            (void)close(fd); /* nothing was written */
        return result;
    }
    int64_t now = log_live_now(live);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct log_archived a;
        struct stat st;
        if (!log_finished_parse(entry->d_name, &a) ||
            fstatat(live->live_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (!log_is_archived(live, &a, st.st_size)) {
            out->n_pending++;
            if (*found && !comes_before(&a, &oldest->archived))
                continue;
            *found = true;
            oldest->archived = a;
            log_finished_format(&a, oldest->file);
        } else if (now >= st.st_mtim.tv_sec && now < st.st_mtim.tv_sec + STAY_SECONDS) {
            out->n_kept++;
        } else if (unlinkat(live->live_fd, entry->d_name, 0) == 0) {
            out->n_removed++;
        }
    }
    (void)closedir(dir); /* nothing was written */
    return 0;
}

int log_archive_step(struct log_set *set, const volatile int *stop, struct log_archive_result *out,
                     struct err *err)
{
    *out = (struct log_archive_result){0};
    struct finished oldest;
    bool found = false;
    int result = look(set->live, &oldest, &found, out, err);
    if (result < 0 || !found)
        return result;
    result = archive(set->live, oldest.file, &oldest.archived, stop, out, err);
    if (result < 0)
        return result == -ECANCELED ? 0 : result;
    if (out->n_archived) {
        out->n_pending--;
        out->n_kept++;
    }
    return 0;
}
