/* Finished files and their names, and what a killed run left: half lines are cut, the closing line
 * is added, and the file becomes a finished one, which the archiver takes. Each step can be the
 * last before another kill: done again, it gives the same. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/set.h"

#define SUFFIX     ".finished"
#define BLOCK_SIZE 65536

/* ---- names ---- */

void log_finished_format(const struct log_archived *a, char out[LOG_FINISHED_SIZE])
{
    char base[LOG_ARCHIVED_SIZE];
    log_archived_format(a, "", base);
    (void)snprintf(out, LOG_FINISHED_SIZE, ".%s.%s" SUFFIX, a->day, base);
}

bool log_finished_parse(const char *file, struct log_archived *out)
{
    char day[LOG_DAY_SIZE];
    if (file[0] != '.' || strlen(file) < LOG_DAY_SIZE + 1 || file[LOG_DAY_SIZE] != '.')
        return false;
    memcpy(day, file + 1, LOG_DAY_SIZE - 1);
    day[LOG_DAY_SIZE - 1] = '\0';
    return log_archived_parse(day, file + LOG_DAY_SIZE + 1, SUFFIX, out);
}

/* In the day's folder, packed or not; its name's size, or -1 when there is none. */
static off_t archived_size(const struct log_live *live, const struct log_archived *a,
                           const char *suffix)
{
    char path[LOG_DAY_SIZE + LOG_ARCHIVED_SIZE], base[LOG_ARCHIVED_SIZE];
    struct stat st;
    log_archived_format(a, suffix, base);
    (void)snprintf(path, sizeof path, "%s/%s", a->day, base);
    if (fstatat(live->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return -1;
    if (suffix[0] == '\0')
        return st.st_size;
    /* gzip: the size of what is packed are the last four bytes. */
    uint8_t last[4];
    int fd = openat(live->dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    bool read = st.st_size >= 4 && pread(fd, last, 4, st.st_size - 4) == 4;
    (void)close(fd); /* nothing was written */
    return read ? (off_t)((uint32_t)last[3] << 24 | (uint32_t)last[2] << 16 |
                          (uint32_t)last[1] << 8 | last[0])
                : -1;
}

bool log_is_archived(const struct log_live *live, const struct log_archived *a, int64_t size)
{
    off_t packed = archived_size(live, a, ".gz");
    return packed == (off_t)((uint64_t)size & 0xffffffff) || archived_size(live, a, "") == size;
}

/* Anything of this name, whatever it is. */
static bool is_taken(const struct log_live *live, const struct log_archived *a)
{
    char base[LOG_ARCHIVED_SIZE], path[LOG_DAY_SIZE + LOG_ARCHIVED_SIZE];
    char finished[LOG_FINISHED_SIZE];
    struct stat st;
    log_finished_format(a, finished);
    if (fstatat(live->live_fd, finished, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    for (int packed = 0; packed < 2; packed++) {
        log_archived_format(a, packed ? ".gz" : "", base);
        (void)snprintf(path, sizeof path, "%s/%s", a->day, base);
        if (fstatat(live->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return true;
    }
    return false;
}

int log_finished_name(const struct log_live *live, const char *name, const char *day,
                      const char *begin, const char *end, char out[LOG_FINISHED_SIZE])
{
    struct log_archived a = {.repeat = 1};
    (void)snprintf(a.name, sizeof a.name, "%s", name);
    (void)snprintf(a.day, sizeof a.day, "%s", day);
    (void)snprintf(a.begin, sizeof a.begin, "%s", begin);
    (void)snprintf(a.end, sizeof a.end, "%s", end);
    while (is_taken(live, &a))
        if (++a.repeat > LOG_REPEATS_MAX)
            return -EEXIST;
    log_finished_format(&a, out);
    return 0;
}

/* ---- mending ---- */

static ssize_t read_at(int fd, char *out, size_t size, off_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, out + done, size - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* Where the last newline before `end` is, or -1; -2: the file cannot be read. */
static off_t newline_before(int fd, off_t end, char *block)
{
    while (end > 0) {
        size_t size = end < BLOCK_SIZE ? (size_t)end : BLOCK_SIZE;
        off_t begin = end - (off_t)size;
        if (read_at(fd, block, size, begin) != (ssize_t)size)
            return -2;
        const char *at = memrchr(block, '\n', size);
        if (at)
            return begin + (at - block);
        end = begin;
    }
    return -1;
}

/* What the file says of itself at its begin. */
static int read_head(int fd, off_t size, char *block, struct log_mended *out)
{
    ssize_t n = read_at(fd, block, BLOCK_SIZE - 1, 0);
    if (n < 0)
        return (int)n;
    if (n > size)
        n = (ssize_t)size;
    block[n] = '\0';
    bool tsv = strncmp(block, "#separator", 10) == 0;
    const char *line = block;
    while (tsv && *line == '#') {
        if (strncmp(line, "#open\t", 6) == 0)
            (void)snprintf(out->opened, sizeof out->opened, "%.*s", (int)strcspn(line + 6, "\n"),
                           line + 6);
        const char *end = strchr(line, '\n');
        line = end ? end + 1 : "";
    }
    out->tsv = tsv;
    out->has_records = *line != '\0';
    if (!tsv && strncmp(line, "{\"ts\":", 6) == 0)
        out->first = strtod(line + 6, NULL);
    return 0;
}

static int add_close(const struct log_live *live, int fd, off_t size, char *block, int64_t when)
{
    off_t before = newline_before(fd, size - 1, block);
    if (before < -1)
        return -EIO;
    if (read_at(fd, block, 7, before + 1) == 7 && memcmp(block, "#close\t", 7) == 0)
        return 0;
    char text[80];
    size_t len = log_stamp(text, sizeof text, "#close", when, live->utc);
    ssize_t n = pwrite(fd, text, len, size);
    if (n == (ssize_t)len)
        return 0;
    int result = n < 0 ? -errno : -ENOSPC;
    (void)!ftruncate(fd, size); /* what is left of it is a half line, which the next try cuts */
    return result;
}

int log_mend(const struct log_live *live, const char *file, struct log_mended *out)
{
    *out = (struct log_mended){0};
    struct stat st;
    int result = 0;
    char *block = malloc(BLOCK_SIZE);
    int fd = openat(live->live_fd, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (!block || fd < 0 || fstat(fd, &st) < 0) {
        result = block ? -errno : -ENOMEM;
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        result = -EINVAL;
        goto out;
    }
    out->modified = st.st_mtim.tv_sec;
    off_t last = newline_before(fd, st.st_size, block);
    if (last < -1) {
        result = -EIO;
        goto out;
    }
    off_t size = last + 1;
    if (size < st.st_size) {
        if (ftruncate(fd, size) < 0) {
            result = -errno;
            goto out;
        }
        out->n_cut_bytes = (uint64_t)(st.st_size - size);
    }
    result = read_head(fd, size, block, out);
    if (result == 0 && out->tsv && out->has_records)
        result = add_close(live, fd, size, block, out->modified);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
    (void)futimens(fd, times); /* when the last record came, as before */
out:
    if (fd >= 0)
        (void)close(fd); /* an error of the disk shows when the file is packed */
    free(block);
    return result;
}

/* ---- leftovers ---- */

/* "2026-11-22-14-00-00": the day, and the time with colons. */
static bool opened_parse(const char *text, char day[LOG_DAY_SIZE], char clock[LOG_CLOCK_SIZE])
{
    char candidate[LOG_ARCHIVED_SIZE];
    struct log_archived a;
    if (strlen(text) != 19 || text[10] != '-')
        return false;
    memcpy(day, text, LOG_DAY_SIZE - 1);
    day[LOG_DAY_SIZE - 1] = '\0';
    (void)snprintf(clock, LOG_CLOCK_SIZE, "%.2s:%.2s:%.2s", text + 11, text + 14, text + 17);
    (void)snprintf(candidate, sizeof candidate, "x.%s-%s.log", clock, clock);
    return log_archived_parse(day, candidate, "", &a);
}

/* When the file was begun: as it says, or by its first record, but in the period of its last. */
static void begin_of(const struct log_live *live, const struct log_mended *m,
                     char day[LOG_DAY_SIZE], char clock[LOG_CLOCK_SIZE])
{
    if (opened_parse(m->opened, day, clock))
        return;
    int64_t begin = log_period_begin(m->modified, live->period, live->utc);
    if (m->first > (double)begin && m->first <= (double)m->modified)
        begin = (int64_t)m->first;
    log_period_day(begin, live->utc, day);
    log_period_clock(begin, live->utc, clock);
}

int log_put_aside(const struct log_live *live, const char *file, struct log_recovered *counts,
                  struct err *err)
{
    struct log_mended mended;
    int result = log_mend(live, file, &mended);
    if (result < 0 && result != -ENOSPC && result != -EDQUOT)
        return err_set(err, result, "%s of a run before: cannot be put in order: %s", file,
                       strerror(-result));
    counts->n_cut_bytes += mended.n_cut_bytes;
    if (!mended.has_records) {
        if (unlinkat(live->live_fd, file, 0) < 0)
            return err_set(err, -errno, "%s of a run before: cannot be removed: %s", file,
                           strerror(errno));
        counts->n_empty++;
        return 0;
    }
    char name[LOG_NAME_MAX + 1], finished[LOG_FINISHED_SIZE];
    char day[LOG_DAY_SIZE], begin[LOG_CLOCK_SIZE], end[LOG_CLOCK_SIZE];
    (void)snprintf(name, sizeof name, "%.*s", (int)(strlen(file) - 4), file);
    begin_of(live, &mended, day, begin);
    log_period_clock(mended.modified, live->utc, end);
    result = log_finished_name(live, name, day, begin, end, finished);
    if (result == 0 && renameat(live->live_fd, file, live->live_fd, finished) < 0)
        result = -errno;
    if (result < 0)
        return err_set(err, result, "%s of a run before: cannot be finished: %s", file,
                       strerror(-result));
    counts->n_files++;
    return 0;
}

/* "NAME.log" with a name that a log of ours may have. */
static bool is_live_name(const char *file)
{
    size_t len = strlen(file);
    return len > 4 && strcmp(file + len - 4, ".log") == 0 && log_name_fits(file, len - 4);
}

int log_recover(struct log_live *live, struct err *err)
{
    int fd = openat(live->live_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int result = err_set(err, -errno, "cannot be listed: %s", strerror(errno));
        if (fd >= 0)
            (void)close(fd); /* nothing was written */
        return result;
    }
    struct log_recovered *counts = &live->recovered;
    int result = 0;
    struct dirent *entry;
    struct log_archived archived;
    struct stat st;
    while (result == 0 && (entry = readdir(dir))) {
        if (is_live_name(entry->d_name) &&
            fstatat(live->live_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            result = log_put_aside(live, entry->d_name, counts, err);
    }
    rewinddir(dir);
    while ((entry = readdir(dir)))
        counts->n_waiting += log_finished_parse(entry->d_name, &archived);
    counts->n_waiting -= counts->n_files;
    (void)closedir(dir); /* nothing was written */
    return result;
}
