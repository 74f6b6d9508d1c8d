/* Writing and reading the status file: see status.h.
 *
 * The lock is one of fcntl, not flock: it can be asked for without being taken, so that a reader
 * never keeps a carrier from starting, and the kernel says whose it is, so that nobody has to
 * believe a number in a file. It belongs to the process: no other descriptor of the file may be
 * closed in it, and a child does not inherit it. */
#include "carry/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define TROUBLE_LASTS (60 * (int64_t)1000000000)

static const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

int status_holder(int fd, bool *out_held, pid_t *out_pid)
{
    struct flock lock = whole;
    if (fcntl(fd, F_GETLK, &lock) < 0)
        return -errno;
    *out_held = lock.l_type != F_UNLCK;
    *out_pid = *out_held && lock.l_pid > 0 ? lock.l_pid : 0;
    return 0;
}

/* Whether the open file still has that name: its holder may have removed it meanwhile. */
static bool is_at(int fd, const char *path)
{
    struct stat open_one, named;
    return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
           open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

static int refuse(struct err *err, int code, const char *path)
{
    return err_set(err, code, "status file %s: %s", path, strerror(-code));
}

/* The locked descriptor, of a file that has the name. */
static int open_locked(const char *path, bool *out_is_new, struct err *err)
{
    for (;;) {
        bool is_new = true;
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 && errno == EEXIST) {
            is_new = false;
            fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
            if (fd < 0 && errno == ENOENT)
                continue;
        }
        if (fd < 0)
            return refuse(err, -errno, path);
        if (fcntl(fd, F_SETLK, &whole) < 0) {
            int code = errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
            (void)close(fd); /* we hold no lock of it */
            if (code != -EBUSY)
                return refuse(err, code, path);
            return err_set(err, code, "status file %s: a carrier has it already", path);
        }
        struct stat facts;
        if (is_at(fd, path) && fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode)) {
            *out_is_new = is_new;
            return fd;
        }
        bool is_other = lstat(path, &facts) == 0 && !S_ISREG(facts.st_mode);
        (void)close(fd); /* nothing was written */
        if (is_other)
            return refuse(err, -EEXIST, path);
    }
}

static bool is_page(const struct status_page *page)
{
    return memcmp(page->magic, STATUS_MAGIC, sizeof page->magic) == 0;
}

/* Of the first `size` bytes of a file, whether it may be taken over or removed. One that a carrier
 * left which was killed while it began has no magic yet. */
static bool is_ours(const struct status_page *page, ssize_t size)
{
    static const char nothing[sizeof page->magic];
    if (size == 0 || (size >= (ssize_t)sizeof page->magic && is_page(page)))
        return true;
    return size == sizeof *page && memcmp(page->magic, nothing, sizeof nothing) == 0;
}

/* A file of somebody else's is left alone. */
static int check_old(int fd, const char *path, struct err *err)
{
    struct status_page old;
    ssize_t n = pread(fd, &old, sizeof old, 0);
    if (n < 0)
        return refuse(err, -errno, path);
    if (!is_ours(&old, n))
        return err_set(err, -EEXIST, "%s: is there, and is no status file of ours", path);
    return 0;
}

int status_create(const struct carry_options *options, struct status *out, struct err *err)
{
    const char *path = options->status;
    bool is_new = false;
    int fd = open_locked(path, &is_new, err);
    if (fd < 0)
        return fd;
    int result = check_old(fd, path, err);
    void *page = MAP_FAILED;
    if (result == 0 && ftruncate(fd, sizeof(struct status_page)) < 0)
        result = refuse(err, -errno, path);
    /* A full disk is noticed now, and not by a signal at the first count. */
    int code = result == 0 ? posix_fallocate(fd, 0, sizeof(struct status_page)) : 0;
    if (code)
        result = refuse(err, -code, path);
    if (result == 0) {
        page = mmap(NULL, sizeof(struct status_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED)
            result = refuse(err, -errno, path);
    }
    if (result < 0) {
        if (is_new)
            (void)unlink(path);
        (void)close(fd); /* with the lock */
        return result;
    }
    *out = (struct status){.fd = fd, .is_new = is_new, .page = page};
    *out->page = (struct status_page){.version = STATUS_VERSION,
                                      .size = sizeof(struct status_page),
                                      .state = CARRY_STARTING,
                                      .pid = getpid(),
                                      .since = clock_now(),
                                      .id = options->id};
    (void)snprintf(out->page->name, sizeof out->page->name, "%s", options->name);
    (void)snprintf(out->page->interface, sizeof out->page->interface, "%s", options->interface);
    carry_put_target(options, out->page->to);
    /* Last: what has it is complete. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(out->page->magic, STATUS_MAGIC, sizeof out->page->magic);
    return 0;
}

void status_set(struct status *status, enum carry_state state)
{
    status->page->state = state;
}

void status_trouble(struct status *status, const char *text)
{
    (void)snprintf(status->page->trouble, sizeof status->page->trouble, "%s", text); /* or cut */
    status->page->trouble_at = text[0] ? clock_now() : 0;
}

void status_close(struct status *status, const char *path, bool remove)
{
    if (!status->page)
        return;
    if (remove && is_at(status->fd, path))
        (void)unlink(path); /* where it stays, it is a leftover like that of a killed one */
    (void)munmap(status->page, sizeof *status->page); /* it was mapped so */
    (void)close(status->fd);
    status->page = NULL;
}

int status_remove(int fd, const char *path)
{
    struct status_page page;
    if (fcntl(fd, F_SETLK, &whole) < 0)
        return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
    ssize_t n = pread(fd, &page, sizeof page, 0);
    if (n < 0)
        return -errno;
    if (!is_ours(&page, n))
        return -EEXIST;
    return is_at(fd, path) && unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Texts of the page end somewhere. */
#define TAKE_TEXT(to, from) (void)snprintf(to, sizeof(to), "%.*s", (int)sizeof(from) - 1, from)

int carry_status_read(const char *path, struct carry_status *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return refuse(err, -errno, path);
    struct status_page page;
    ssize_t n = pread(fd, &page, sizeof page, 0);
    int code = n < 0 ? -errno : 0;
    bool is_held = false;
    pid_t holder = 0;
    if (code == 0)
        code = status_holder(fd, &is_held, &holder);
    (void)close(fd); /* only read */
    if (code < 0)
        return refuse(err, code, path);
    if (n < (ssize_t)sizeof page || !is_page(&page))
        return err_set(err, -EBADMSG, "%s: is no status file of a carrier%s", path,
                       is_held ? " yet" : "");
    if (page.version != STATUS_VERSION || page.size != sizeof page)
        return err_set(err, -EBADMSG,
                       "%s: was written by another version of this program; the carrier can be "
                       "stopped all the same",
                       path);
    *out = (struct carry_status){.alive = is_held,
                                 .pid = is_held ? holder : page.pid,
                                 .state = page.state,
                                 .since = page.since,
                                 .id = page.id,
                                 .counters = page.counters};
    TAKE_TEXT(out->name, page.name);
    TAKE_TEXT(out->interface, page.interface);
    TAKE_TEXT(out->to, page.to);
    bool is_recent = page.state == CARRY_WAITING || page.state == CARRY_FAILED ||
                     clock_now() - page.trouble_at < TROUBLE_LASTS;
    if (is_recent)
        TAKE_TEXT(out->trouble, page.trouble);
    return 0;
}

int carry_counters_read(const char *path, struct carry_counters *out, bool *out_alive,
                        struct err *err)
{
    struct carry_status status;
    int result = carry_status_read(path, &status, err);
    if (result < 0)
        return result;
    *out = status.counters;
    *out_alive = status.alive;
    return 0;
}

uint64_t carry_lost(const struct carry_counters *counters)
{
    return counters->n_not_cut + counters->n_ring_lost + counters->n_full + counters->n_denied +
           counters->n_unreachable + counters->n_too_large + counters->n_error;
}
