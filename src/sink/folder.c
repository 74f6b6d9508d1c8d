/* Names, ages and leftovers of rolling packet files: see folder.h. */
#include "sink/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "sink/block.h"

#define PREFIX     "cloudspan-"
#define SUFFIX     ".pcapng"
#define PART       ".part"
#define STAMP_LEN  19 /* 20261122-033503-000 */
#define LABEL_MAX  64
#define MAX_NUMBER 1000
#define WINDOW     (256u << 10)

struct finished {
    char name[FOLDER_NAME_MAX];
    uint64_t size;
};

struct folder {
    int fd;
    struct finished *files; /* the oldest first */
    size_t n_files, capacity;
    uint64_t size;
};

/* One that has any of these bytes is as it was; all others become '_'. No dot in front: it would
 * not be seen, or be taken for a part of the path. */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static void make_label(struct str label, char out[LABEL_MAX + 1])
{
    label = str_upto(label, LABEL_MAX);
    for (uint32_t i = 0; i < label.len; i++)
        out[i] = is_plain(label.at[i]) && !(i == 0 && label.at[i] == '.') ? label.at[i] : '_';
    out[label.len] = 0;
}

static bool all_digits(struct str text)
{
    for (uint32_t i = 0; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return true;
}

static struct str cut_end(struct str text, struct str end)
{
    if (text.len > end.len && str_eq(str_from(text, text.len - end.len), end))
        text.len -= end.len;
    return text;
}

/* Whether the name is of the pattern. */
static bool is_ours(const char *name, bool *out_part)
{
    struct str all = str_c(name);
    struct str text = cut_end(all, STR(PART));
    *out_part = text.len < all.len;
    struct str base = cut_end(text, STR(SUFFIX));
    if (all.len >= FOLDER_NAME_MAX || base.len == text.len || !str_starts(base, STR(PREFIX)))
        return false;
    struct str rest = str_from(base, sizeof PREFIX - 1);
    if (rest.len < STAMP_LEN || rest.at[8] != '-' || rest.at[15] != '-')
        return false;
    return all_digits(str_upto(rest, 8)) && all_digits(str_upto(str_from(rest, 9), 6)) &&
           all_digits(str_upto(str_from(rest, 16), 3)) &&
           (rest.len == STAMP_LEN || rest.at[STAMP_LEN] == '.');
}

static void stamp(int64_t now, char out[24])
{
    time_t seconds = (time_t)(now / 1000000000);
    struct tm tm = {0};
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(out, 24, "%Y%m%d-%H%M%S", &tm);
}

static void forget_oldest(struct folder *folder)
{
    folder->size -= folder->files[0].size;
    folder->n_files--;
    memmove(folder->files, folder->files + 1, folder->n_files * sizeof *folder->files);
}

/* At the end. When there is no room it is not: the file stays, and the next start sees it. */
static bool append(struct folder *folder, const char *name, uint64_t size)
{
    if (folder->n_files == folder->capacity) {
        size_t capacity = folder->capacity ? folder->capacity * 2 : 64;
        struct finished *files = capacity > FOLDER_MAX_FILES
                                     ? NULL
                                     : reallocarray(folder->files, capacity, sizeof *files);
        if (!files)
            return false;
        folder->files = files;
        folder->capacity = capacity;
    }
    struct finished *file = &folder->files[folder->n_files++];
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    file->size = size;
    folder->size += size;
    return true;
}

/* Where it belongs: a new file is nearly always the youngest. */
static void remember(struct folder *folder, const char *name, uint64_t size)
{
    if (!append(folder, name, size))
        return;
    size_t at = folder->n_files - 1;
    struct finished file = folder->files[at];
    for (; at > 0 && strcmp(folder->files[at - 1].name, name) > 0; at--)
        folder->files[at] = folder->files[at - 1];
    folder->files[at] = file;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct finished *)a)->name, ((const struct finished *)b)->name);
}

/* The final name of one that ends in ".part". */
static void final_name(const char *name, char out[FOLDER_NAME_MAX])
{
    struct str text = cut_end(str_c(name), STR(PART));
    memcpy(out, text.at, text.len);
    out[text.len] = 0;
}

/* Where the last whole block ends, and how many blocks there are. */
static uint64_t whole_size(int fd, uint64_t size, uint64_t *out_n_blocks)
{
    uint8_t *window = malloc(WINDOW);
    uint64_t at = 0, start = 0, filled = 0;
    *out_n_blocks = 0;
    while (window && size - at >= 8) {
        if (at < start || at + 8 > start + filled) {
            ssize_t n = pread(fd, window, WINDOW, (off_t)at);
            if (n < 8)
                break;
            start = at;
            filled = (uint64_t)n;
        }
        const uint8_t *head = window + (at - start);
        if (!block_whole(head, size - at))
            break;
        at += block_size(head);
        ++*out_n_blocks;
    }
    free(window);
    return at;
}

/* A file that nobody finished. */
static void recover(struct folder *folder, const char *name)
{
    int fd = openat(folder->fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return;
    }
    uint64_t n_blocks;
    uint64_t size = whole_size(fd, (uint64_t)st.st_size, &n_blocks);
    if (size < (uint64_t)st.st_size && ftruncate(fd, (off_t)size) < 0) {
        close(fd);
        return;
    }
    folder_finish(folder, fd, name, n_blocks > 2 ? size : 0); /* a section, an interface, packets */
}

/* With the folder locked, so that no file is seen between its making and its locking. */
static void look(struct folder *folder, bool for_parts)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        bool is_part;
        struct stat st;
        if (!is_ours(entry->d_name, &is_part) || is_part != for_parts)
            continue;
        if (is_part)
            recover(folder, entry->d_name);
        else if (fstatat(folder->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISREG(st.st_mode))
            (void)append(folder, entry->d_name, (uint64_t)st.st_size);
    }
    closedir(dir);
    if (!for_parts && folder->n_files)
        qsort(folder->files, folder->n_files, sizeof *folder->files, by_name);
}

int folder_open(const char *path, struct folder **out, struct err *err)
{
    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        return err_set(err, -errno, "folder %s: cannot make it: %s", path, strerror(errno));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "folder %s: cannot open it: %s", path, strerror(errno));
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
        int code = -errno;
        close(fd);
        return err_set(err, code, "folder %s: cannot write to it: %s", path, strerror(-code));
    }
    struct folder *folder = calloc(1, sizeof *folder);
    if (!folder) {
        close(fd);
        return err_set(err, -ENOMEM, "out of memory");
    }
    folder->fd = fd;
    (void)flock(fd, LOCK_EX); /* a file system without locks has one writer, or bad luck */
    look(folder, false);
    look(folder, true);
    (void)flock(fd, LOCK_UN);
    *out = folder;
    return 0;
}

void folder_close(struct folder *folder)
{
    if (!folder)
        return;
    close(folder->fd);
    free(folder->files);
    free(folder);
}

static int create_numbered(struct folder *folder, const char *when, const char *label,
                           char out_name[FOLDER_NAME_MAX])
{
    for (int i = 0; i < MAX_NUMBER; i++) {
        char name[FOLDER_NAME_MAX];
        (void)snprintf(out_name, FOLDER_NAME_MAX, PREFIX "%s-%03d%s%s" SUFFIX PART, when, i,
                       label[0] ? "." : "", label);
        final_name(out_name, name);
        if (faccessat(folder->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            continue;
        int fd = openat(folder->fd, out_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        if (fd >= 0 || errno != EEXIST)
            return fd >= 0 ? fd : -errno;
    }
    return -EEXIST;
}

int folder_create(struct folder *folder, struct str label, int64_t now,
                  char out_name[FOLDER_NAME_MAX])
{
    char when[24], plain[LABEL_MAX + 1];
    stamp(now, when);
    make_label(label, plain);
    (void)flock(folder->fd, LOCK_EX);
    int fd = create_numbered(folder, when, plain, out_name);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX | LOCK_NB);
    (void)flock(folder->fd, LOCK_UN);
    return fd;
}

void folder_finish(struct folder *folder, int fd, const char *name, uint64_t size)
{
    char final[FOLDER_NAME_MAX];
    final_name(name, final);
    if (size == 0)
        (void)unlinkat(folder->fd, name, 0); /* nothing was in it */
    else if (renameat2(folder->fd, name, folder->fd, final, RENAME_NOREPLACE) == 0 ||
             (errno == EINVAL && renameat(folder->fd, name, folder->fd, final) == 0))
        remember(folder, final, size);
    close(fd);
}

uint64_t folder_size(const struct folder *folder)
{
    return folder->size;
}

size_t folder_n_files(const struct folder *folder)
{
    return folder->n_files;
}

bool folder_remove_oldest(struct folder *folder)
{
    while (folder->n_files > 0) {
        int result = unlinkat(folder->fd, folder->files[0].name, 0);
        bool gone = result < 0 && errno == ENOENT; /* somebody was faster: it freed nothing now */
        forget_oldest(folder);
        if (result == 0)
            return true;
        if (!gone)
            return false; /* not allowed: the next would not be either */
    }
    return false;
}

bool folder_remove_older(struct folder *folder, int64_t than)
{
    char when[24];
    if (folder->n_files == 0)
        return false;
    stamp(than, when);
    struct str begun = str_upto(str_from(str_c(folder->files[0].name), sizeof PREFIX - 1), 15);
    return memcmp(begun.at, when, 15) < 0 && folder_remove_oldest(folder);
}

uint64_t folder_disk_size(const struct folder *folder)
{
    struct statvfs vfs;
    return fstatvfs(folder->fd, &vfs) == 0 ? (uint64_t)vfs.f_blocks * vfs.f_frsize : 0;
}
