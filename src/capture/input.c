/* The bytes of one capture file: opening it, telling compressions by their magic, pausing it. */
#include "capture/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST_WAIT_MS 250
#define PIPE_SIZE       (1 << 20)

/* What a file may begin with besides a capture. */
struct input_magic {
    uint8_t bytes[INPUT_MAGIC_SIZE];
    uint8_t size;
    const struct input_codec *codec; /* NULL: not read here, and `refusal` says what to do */
    const char *refusal;
};

static const struct input_magic magics[] = {
    {{0x1f, 0x8b}, 2, &input_gzip, NULL},
    {{0x28, 0xb5, 0x2f, 0xfd}, 4, &input_zstd, NULL},
    {{0x50, 0x2a, 0x4d, 0x18}, 4, &input_zstd, NULL}, /* skippable frame: pzstd writes it first */
    {{0xfd, '7', 'z', 'X', 'Z', 0},
     6,
     NULL,
     "xz-compressed: unpack it with \"xz -dc\" into a pipe"},
    {{'B', 'Z', 'h'}, 3, NULL, "bzip2-compressed: unpack it with \"bzip2 -dc\" into a pipe"},
    {{0x04, 0x22, 0x4d, 0x18}, 4, NULL, "lz4-compressed: unpack it with \"lz4 -dc\" into a pipe"},
    {{'P', 'K', 3, 4}, 4, NULL, "a zip archive: unpack it with \"unzip -p\" into a pipe"},
    {{'s', 'n', 'o', 'o', 'p', 0}, 6, NULL, "a snoop capture: convert it with \"editcap -F pcap\""},
};

/* False: it was stopped. A signal may reach another thread, so that nothing interrupts poll(). */
static bool wait_for_bytes(const struct input *input)
{
    struct pollfd poll_fd = {.fd = input->fd, .events = POLLIN};
    while (!atomic_load_explicit(input->watch->stopped, memory_order_relaxed)) {
        int n = poll(&poll_fd, 1, LONGEST_WAIT_MS);
        if (n > 0)
            return true;
        if (n < 0 && errno == EINTR && input->watch->opening)
            return false; /* nobody can say stop yet */
    }
    return false;
}

static ssize_t read_fd(const struct input *input, void *bytes, size_t size)
{
    if (input->may_wait && input->watch && !wait_for_bytes(input))
        return -EINTR;
    ssize_t n;
    do
        n = read(input->fd, bytes, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int open_fd(const struct input *input, struct stat *status, struct err *err)
{
    bool standard = strcmp(input->name, "-") == 0;
    int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                      : open(input->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_set(err, -errno, "%s: cannot be opened: %s", input->shown, strerror(errno));
    if (fstat(fd, status) != 0) {
        int code = -errno;
        (void)close(fd);
        return err_set(err, code, "%s: %s", input->shown, strerror(-code));
    }
    return fd;
}

/* At the start, and after a pause. */
static int resume(struct input *input, struct err *err)
{
    struct stat status;
    int fd = open_fd(input, &status, err);
    if (fd < 0)
        return fd;
    if (status.st_dev != input->device || status.st_ino != input->inode) {
        (void)close(fd);
        return err_set(err, -ESTALE, "%s: another file took its place while it was read",
                       input->shown);
    }
    if (lseek(fd, (off_t)input->offset, SEEK_SET) < 0) {
        int code = -errno;
        (void)close(fd);
        return err_set(err, code, "%s: %s", input->shown, strerror(-code));
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only advice */
    input->fd = fd;
    return 0;
}

static void count_read(const struct input *input, size_t n)
{
    if (input->watch)
        atomic_fetch_add_explicit(input->watch->n_read, n, memory_order_relaxed);
}

ssize_t input_read_packed(struct input *input, void *bytes, size_t size, struct err *err)
{
    if (input->n_magic > 0) {
        size_t n = input->n_magic < size ? input->n_magic : size;
        memcpy(bytes, input->magic, n);
        memmove(input->magic, input->magic + n, input->n_magic - n);
        input->n_magic = (uint8_t)(input->n_magic - n);
        return (ssize_t)n;
    }
    if (input->fd < 0) {
        int code = resume(input, err);
        if (code < 0)
            return code;
    }
    ssize_t n = read_fd(input, bytes, size);
    if (n < 0)
        return err_set(err, (int)n, "%s: cannot be read on at byte %llu: %s", input->shown,
                       (unsigned long long)input->offset, strerror((int)-n));
    input->offset += (uint64_t)n;
    count_read(input, (size_t)n);
    return n;
}

/* The first bytes, which are read again or kept. */
static int read_magic(struct input *input, struct err *err)
{
    size_t n = 0;
    while (n < INPUT_MAGIC_SIZE) {
        ssize_t got = read_fd(input, input->magic + n, INPUT_MAGIC_SIZE - n);
        if (got < 0)
            return err_set(err, (int)got, "%s: cannot be read: %s", input->shown,
                           strerror((int)-got));
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n == 0)
        return err_set(err, -EINVAL, "%s: is empty: not a capture file (pcap or pcapng)",
                       input->shown);
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const struct input_magic *magic = &magics[i];
        if (n < magic->size || memcmp(input->magic, magic->bytes, magic->size) != 0)
            continue;
        if (!magic->codec)
            return err_set(err, -EINVAL, "%s: is %s", input->shown, magic->refusal);
        input->codec = magic->codec;
    }
    off_t at = lseek(input->fd, -(off_t)n, SEEK_CUR);
    input->n_magic = at < 0 ? (uint8_t)n : 0;
    input->offset = at < 0 ? n : (uint64_t)at;
    count_read(input, input->n_magic);
    return 0;
}

const char *input_shown(const char *name)
{
    return strcmp(name, "-") == 0 ? "standard input" : name;
}

int input_open(struct input *out, const char *name, const struct input_watch *watch, uint64_t *size,
               struct err *err)
{
    struct input input = {
        .name = name,
        .shown = input_shown(name),
        .watch = watch,
        .fd = -1,
    };
    struct stat status;
    int code = open_fd(&input, &status, err);
    if (code < 0)
        return code;
    input.fd = code;
    input.device = status.st_dev;
    input.inode = status.st_ino;
    if (S_ISDIR(status.st_mode)) {
        code = err_set(err, -EISDIR, "%s: is a directory, not a capture file", input.shown);
        goto out;
    }
    if (isatty(input.fd)) {
        code =
            err_set(err, -EINVAL, "%s: is a terminal: give a capture file or a pipe", input.shown);
        goto out;
    }
    input.seekable = S_ISREG(status.st_mode) && strcmp(name, "-") != 0;
    input.may_wait = !S_ISREG(status.st_mode);
    if (S_ISFIFO(status.st_mode))
        (void)fcntl(input.fd, F_SETPIPE_SZ,
                    PIPE_SIZE); /* fewer, larger reads where it is allowed */
    code = read_magic(&input, err);
    if (code < 0)
        goto out;
    *size = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
    *out = input;
    return 0;
out:
    (void)close(input.fd);
    return code;
}

ssize_t input_read(struct input *input, void *bytes, size_t size, struct err *err)
{
    if (input->codec && !input->unpacker) {
        int code = input->codec->begin(input, err);
        if (code < 0)
            return code;
    }
    if (input->codec)
        return input->codec->read(input, bytes, size, err);
    return input_read_packed(input, bytes, size, err);
}

static void end_unpacking(struct input *input)
{
    if (input->unpacker)
        input->codec->end(input);
    input->unpacker = NULL;
}

int input_rewind(struct input *input, struct err *err)
{
    end_unpacking(input);
    if (lseek(input->fd, 0, SEEK_SET) < 0)
        return err_set(err, -errno, "%s: %s", input->shown, strerror(errno));
    (void)posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only advice */
    input->offset = 0;
    return 0;
}

void input_pause(struct input *input)
{
    if (!input->seekable || input->fd < 0)
        return;
    (void)close(input->fd); /* nothing was written */
    input->fd = -1;
}

void input_close(struct input *input)
{
    end_unpacking(input);
    if (input->fd >= 0)
        (void)close(input->fd); /* nothing was written */
    input->fd = -1;
}
