/* The live folder's files while they are written: see live.h. What was left of an earlier run is
 * put in order by leftover.c, what is finished is archived by archive.c. */
#include "log/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/set.h"

#define SECOND      1000000000ll
#define LIVE_FOLDER ".live"
#define LIVE_LINK   "current"
#define LOCK_FILE   ".lock"

/* ---- the folder ---- */

int64_t log_live_now(const struct log_live *live)
{
    if (live->clock)
        return live->clock(live->with) / SECOND;
    return clock_now() / SECOND;
}

/* The lock goes with the process, however it ends. The file holds its number, for the message. */
static int take_lock(struct log_live *live, const char *folder, struct err *err)
{
    live->lock_fd =
        openat(live->dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (live->lock_fd < 0)
        return err_set(err, -errno, "log folder %s: cannot make " LOCK_FILE " in it: %s", folder,
                       strerror(errno));
    char text[24] = "";
    if (flock(live->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return err_set(err, -errno, "log folder %s: cannot lock it: %s", folder,
                           strerror(errno));
        ssize_t n = pread(live->lock_fd, text, sizeof text - 1, 0);
        unsigned long pid = n > 0 ? strtoul(text, NULL, 10) : 0;
        return err_set(
            err, -EBUSY,
            "log folder %s: another cloudspan watch writes there (process %lu); stop it, "
            "or give another folder with -d",
            folder, pid);
    }
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(live->lock_fd, 0) == 0)
        (void)!pwrite(live->lock_fd, text, (size_t)len, 0); /* only for the message above */
    return 0;
}

static int make_link(const struct log_live *live, const char *folder, struct err *err)
{
    if (symlinkat(LIVE_FOLDER, live->dir_fd, LIVE_LINK) == 0)
        return 0;
    if (errno != EEXIST)
        return err_set(err, -errno, "log folder %s: cannot make the link " LIVE_LINK " in it: %s",
                       folder, strerror(errno));
    char target[sizeof LIVE_FOLDER + 1];
    ssize_t n = readlinkat(live->dir_fd, LIVE_LINK, target, sizeof target);
    if (n == sizeof LIVE_FOLDER - 1 && memcmp(target, LIVE_FOLDER, (size_t)n) == 0)
        return 0;
    return err_set(err, -EEXIST,
                   "log folder %s: " LIVE_LINK " in it is not ours (another program's logs?); move "
                   "it away, or give another folder with -d",
                   folder);
}

static int open_folders(struct log_live *live, const char *folder, struct err *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    live->dir_fd = open(folder, flags);
    if (live->dir_fd < 0)
        return err_set(err, -errno, "log folder %s: cannot open it: %s", folder, strerror(errno));
    int result = take_lock(live, folder, err);
    if (result < 0)
        return result;
    if (mkdirat(live->dir_fd, LIVE_FOLDER, 0750) < 0 && errno != EEXIST)
        return err_set(err, -errno, "log folder %s: cannot make " LIVE_FOLDER " in it: %s", folder,
                       strerror(errno));
    live->live_fd = openat(live->dir_fd, LIVE_FOLDER, flags | O_NOFOLLOW);
    if (live->live_fd < 0)
        return err_set(err, -errno, "log folder %s: cannot open " LIVE_FOLDER " in it: %s", folder,
                       strerror(errno));
    return make_link(live, folder, err);
}

static void close_folders(struct log_live *live)
{
    if (live->live_fd >= 0)
        (void)close(live->live_fd); /* nothing was written through it */
    if (live->dir_fd >= 0)
        (void)close(live->dir_fd);
    if (live->lock_fd >= 0)
        (void)close(live->lock_fd); /* last: now another may come */
}

int log_live_open(struct log_set *set, const struct log_live_options *options, struct err *err)
{
    int64_t period = options->period ? options->period : 3600;
    if (!log_period_fits(period))
        return err_set(
            err, -EINVAL,
            "log files of %lld seconds: a period must be between a minute and a day, and "
            "divide the day",
            (long long)period);
    struct log_live *live = calloc(1, sizeof *live);
    if (!live)
        return err_set(err, -ENOMEM, "out of memory");
    *live = (struct log_live){.dir_fd = -1,
                              .live_fd = -1,
                              .lock_fd = -1,
                              .utc = options->utc,
                              .period = period,
                              .clock = options->clock,
                              .with = options->with};
    tzset(); /* reads the zone's file, which may be out of reach later */
    int result = open_folders(live, set->folder, err);
    if (result == 0) {
        result = log_recover(live, err);
        if (result < 0)
            err_wrap(err, "log folder %s", set->folder);
    }
    if (result < 0) {
        close_folders(live);
        free(live);
        return result;
    }
    live->begin = live->last = log_live_now(live);
    live->end = log_period_end(live->begin, period, live->utc);
    set->live = live;
    return 0;
}

void log_live_close(struct log_set *set)
{
    if (!set->live)
        return;
    close_folders(set->live);
    free(set->live);
    set->live = NULL;
}

/* ---- writing ---- */

static void file_name(const struct log_file *file, char out[LOG_NAME_MAX + 5])
{
    (void)snprintf(out, LOG_NAME_MAX + 5, "%.*s.log", LOG_NAME_MAX, file->schema->name);
}

/* Writes what fits and gives its size; what stands behind the file's whole lines is cut away, then
 * or before the next write. */
static size_t write_lines(struct log_file *file, const char *bytes, size_t size)
{
    if (file->torn && ftruncate(file->fd, file->size) < 0) {
        file->error = errno;
        return 0;
    }
    file->torn = false;
    file->error = 0;
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(file->fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            file->error = n < 0 ? errno : EIO;
            break;
        }
        done += (size_t)n;
    }
    size_t whole = done;
    while (whole > 0 && bytes[whole - 1] != '\n')
        whole--;
    file->size += (off_t)whole;
    if (whole < done)
        file->torn = ftruncate(file->fd, file->size) < 0;
    return whole;
}

static int create(struct log_set *set, const char *name)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
    struct log_recovered counts = {0};
    int fd = openat(set->live->live_fd, name, flags, 0640);
    if (fd < 0 && errno == EEXIST && log_put_aside(set->live, name, &counts, NULL) == 0)
        fd = openat(set->live->live_fd, name, flags, 0640);
    return fd;
}

/* Opens the file and writes its header; leaves none without one. */
static bool open_file(struct log_set *set, struct log_file *file)
{
    char name[LOG_NAME_MAX + 5];
    file_name(file, name);
    file->fd = create(set, name);
    if (file->fd < 0) {
        file->error = errno;
        return false;
    }
    file->size = 0;
    file->torn = false;
    file->n_in_file = 0;
    file->begin = __atomic_load_n(&set->live->begin, __ATOMIC_RELAXED);
    if (set->format != LOG_FORMAT_TSV)
        return true;
    char text[LOG_HEADER_MAX];
    size_t size = log_header(set, file->schema, log_live_now(set->live), set->live->utc, text);
    if (write_lines(file, text, size) == size)
        return true;
    (void)unlinkat(set->live->live_fd, name, 0); /* what stays is found at the next open */
    (void)close(file->fd);
    file->fd = -1;
    return false;
}

static uint64_t count_lines(const char *bytes, size_t size)
{
    uint64_t n = 0;
    for (const char *end = bytes + size;
         bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))); bytes++)
        n++;
    return n;
}

bool log_live_write(struct log_set *set, struct log_file *file, const char *bytes, size_t size,
                    uint64_t n_lines)
{
    pthread_mutex_lock(&file->lock);
    size_t whole = 0;
    if (file->fd >= 0 || open_file(set, file))
        whole = write_lines(file, bytes, size);
    uint64_t n_written = whole == size ? n_lines : count_lines(bytes, whole);
    file->n_in_file += n_written;
    file->n_bytes += whole;
    __atomic_store_n(&file->n_lines, file->n_lines + n_written, __ATOMIC_RELEASE);
    if (n_written < n_lines) {
        file->n_lost += n_lines - n_written;
        file->n_lost_bytes += size - whole;
        file->lost_error = file->error;
        if (file->error == ENOSPC || file->error == EDQUOT)
            __atomic_store_n(&set->live->full, true, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&file->lock);
    return n_written == n_lines;
}

/* ---- the end of a period ---- */

/* On failure the file goes on as it was. */
static int finish_file(struct log_set *set, struct log_file *file, int64_t end, struct err *err)
{
    const struct log_live *live = set->live;
    char name[LOG_NAME_MAX + 5], finished[LOG_FINISHED_SIZE], text[80];
    char day[LOG_DAY_SIZE], from[LOG_CLOCK_SIZE], to[LOG_CLOCK_SIZE];
    file_name(file, name);
    if (file->n_in_file == 0) { /* its lines did not fit, or it has none: no file without records */
        (void)unlinkat(live->live_fd, name, 0);
        (void)close(file->fd);
        file->fd = -1;
        return 0;
    }
    log_period_day(file->begin, live->utc, day);
    log_period_clock(file->begin, live->utc, from);
    log_period_clock(end, live->utc, to);
    int result = log_finished_name(live, file->schema->name, day, from, to, finished);
    off_t size = file->size;
    /* Where there is no room for it, the archiver adds the line before it packs the file. */
    if (result == 0 && set->format == LOG_FORMAT_TSV) {
        size_t len = log_stamp(text, sizeof text, "#close", log_live_now(live), live->utc);
        (void)write_lines(file, text, len);
    }
    /* The minute that it stays begins now, by the same clock that ends it. */
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = log_live_now(live)}};
    (void)futimens(file->fd, times);
    if (result == 0 && renameat(live->live_fd, name, live->live_fd, finished) < 0)
        result = -errno;
    if (result < 0) {
        if (file->size > size) {
            file->size = size;
            file->torn = ftruncate(file->fd, size) < 0;
        }
        return err_set(err, result, "%s/" LIVE_LINK "/%s: cannot finish it, so it goes on: %s",
                       set->folder, name, strerror(-result));
    }
    int closed = close(file->fd);
    file->fd = -1;
    return closed == 0 ? 0
                       : err_set(err, -errno, "%s/" LIVE_LINK "/%s: %s", set->folder, finished,
                                 strerror(errno));
}

/* All files, or those that were opened before `end`; each with its own lock: workers wait for one
 * file at most, and not for long. */
static int finish_files(struct log_set *set, int64_t end, bool all, struct err *err)
{
    pthread_mutex_lock(&set->lock);
    size_t n_files = set->n_files;
    pthread_mutex_unlock(&set->lock);
    int result = 0;
    for (size_t i = 0; i < n_files; i++) {
        struct log_file *file = &set->files[i];
        pthread_mutex_lock(&file->lock);
        int one = 0;
        if (file->fd >= 0 && (all || file->begin < end))
            one = finish_file(set, file, end, result == 0 ? err : NULL);
        pthread_mutex_unlock(&file->lock);
        if (result == 0)
            result = one;
    }
    return result;
}

int64_t log_set_period_end(const struct log_set *set)
{
    return __atomic_load_n(&set->live->end, __ATOMIC_RELAXED) * SECOND;
}

int log_set_rotate(struct log_set *set, struct err *err)
{
    struct log_live *live = set->live;
    int64_t now = log_live_now(live), last = live->last;
    live->last = now;
    bool back = now < live->begin - live->period; /* the clock was set back; a little is borne */
    if (now < live->end && !back)
        return 0;
    int64_t begin = back ? now : log_period_begin(now, live->period, live->utc);
    int64_t end = back ? (last > live->begin ? last : live->begin) : begin;
    /* New files get the new begin from here on, even while others are being finished. */
    __atomic_store_n(&live->begin, begin, __ATOMIC_RELAXED);
    __atomic_store_n(&live->end, log_period_end(now, live->period, live->utc), __ATOMIC_RELAXED);
    int result = finish_files(set, end, back, err);
    return result < 0 ? result : 1;
}

int log_set_finish(struct log_set *set, struct err *err)
{
    set->live->finished = true;
    return finish_files(set, log_live_now(set->live), true, err);
}

/* ---- what it says ---- */

void log_set_recovered(const struct log_set *set, struct log_recovered *out)
{
    *out = set->live ? set->live->recovered : (struct log_recovered){0};
}

size_t log_set_stats(struct log_set *set, struct log_stats *out, size_t max)
{
    pthread_mutex_lock(&set->lock);
    size_t n_files = set->n_files < max ? set->n_files : max;
    pthread_mutex_unlock(&set->lock);
    for (size_t i = 0; i < n_files; i++) {
        struct log_file *file = &set->files[i];
        pthread_mutex_lock(&file->lock);
        out[i] = (struct log_stats){.name = file->schema->name,
                                    .n_lines = file->n_lines,
                                    .n_bytes = file->n_bytes,
                                    .n_lost = file->n_lost,
                                    .lost_error = file->lost_error,
                                    .failing = file->error != 0};
        pthread_mutex_unlock(&file->lock);
    }
    return n_files;
}

bool log_set_take_full(struct log_set *set)
{
    return set->live && __atomic_exchange_n(&set->live->full, false, __ATOMIC_RELAXED);
}
