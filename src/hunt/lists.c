/* The files of feeds and safelists: see lists.h. */
#include "hunt/lists.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hunt/engine.h"

#define PATH_SIZE_MAX 4096
#define COPY_SIZE     65536

enum lists_kind { LISTS_FEED = 1, LISTS_SAFELIST };

struct head {
    uint32_t kind, name_size;
    uint64_t size;
};

/* ---- which files ---- */

static int keep_feed_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    const char *end = entry->d_name + (len > 4 ? len - 4 : 0);
    return entry->d_name[0] != '.' && len > 4 &&
           (strcmp(end, ".txt") == 0 || strcmp(end, ".csv") == 0);
}

static int walk_folder(struct lists_walk *walk, const char *path, struct err *err)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, keep_feed_file, alphasort), result = 0;
    if (n < 0)
        return err_set(err, -errno, "folder of feeds %s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char file[PATH_SIZE_MAX];
        int len = snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name), taken = -E2BIG;
        if (walk->n_files < FEEDS_MAX_FILES && len < (int)sizeof file && result == 0)
            taken = walk->take(walk->with, file, err);
        if (taken == -EFBIG || taken == -ENOMEM || taken == -ENOSPC)
            result = taken; /* of all of them, or of where they go to */
        walk->n_unreadable += taken < 0;
        walk->n_files += taken == 0;
        free(names[i]);
    }
    free(names);
    return result;
}

int lists_walk(const char *const *paths, size_t n, struct lists_walk *walk, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        struct stat stat_of;
        if (stat(paths[i], &stat_of) < 0)
            return err_set(err, -errno, "feed %s: %s", paths[i], strerror(errno));
        if (S_ISDIR(stat_of.st_mode)) {
            result = walk_folder(walk, paths[i], err);
        } else {
            result = walk->take(walk->with, paths[i], err);
            walk->n_files += result == 0;
        }
    }
    return result;
}

/* ---- into a descriptor ---- */

struct putting {
    int fd;
    enum lists_kind kind;
    uint64_t size; /* of all texts */
};

static bool write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* As much as was said of it, whatever becomes of the file meanwhile: what follows it is found. */
static int copy_text(struct putting *p, int from, uint64_t size, const char *path, struct err *err)
{
    static const char no_more[COPY_SIZE];
    char *bytes = malloc(COPY_SIZE);
    int result = 0;
    if (!bytes)
        return err_set(err, -ENOMEM, "out of memory");
    while (size > 0) {
        size_t want = size < COPY_SIZE ? (size_t)size : COPY_SIZE;
        ssize_t n = result == 0 ? read(from, bytes, want) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            result = err_set(err, -EIO, "%s: %s", path, strerror(errno));
        want = n > 0 ? (size_t)n : want;
        if (!write_all(p->fd, n > 0 ? bytes : no_more, want)) {
            result = err_set(err, -ENOSPC, "%s: it cannot be handed on: %s", path, strerror(errno));
            break;
        }
        size -= want;
    }
    free(bytes);
    return result;
}

static int put_file(void *with, const char *path, struct err *err)
{
    struct putting *p = with;
    const char *what = p->kind == LISTS_FEED ? "feed" : "safelist";
    struct stat st;
    /* It is not waited for who writes into a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), result = 0;
    if (fd < 0)
        return err_set(err, -errno, "%s %s: %s", what, path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        result = err_set(err, -EINVAL, "%s %s: is no file", what, path);
    else if ((uint64_t)st.st_size > LISTS_MAX_SIZE - p->size)
        result = err_set(err, -EFBIG, "%s %s: all lists together are larger than %llu MiB", what,
                         path, (unsigned long long)LISTS_MAX_SIZE >> 20);
    if (result == 0) {
        struct head head = {p->kind, (uint32_t)strlen(path), (uint64_t)st.st_size};
        p->size += head.size;
        if (!write_all(p->fd, &head, sizeof head) || !write_all(p->fd, path, head.name_size))
            result = err_set(err, -ENOSPC, "%s %s: it cannot be handed on: %s", what, path,
                             strerror(errno));
        else
            result = copy_text(p, fd, head.size, path, err);
    }
    close(fd);
    return result;
}

int lists_put(int fd, const struct hunt_settings *settings, struct err *err)
{
    struct putting p = {.fd = fd, .kind = LISTS_FEED};
    struct lists_walk walk = {.take = put_file, .with = &p};
    int result = lists_walk((const char *const *)settings->feeds, settings->n_feeds, &walk, err);
    p.kind = LISTS_SAFELIST;
    for (size_t i = 0; i < settings->n_safelists && result == 0; i++)
        result = put_file(&p, settings->safelists[i], err);
    return result;
}

/* ---- and out of it ---- */

static bool read_all(int fd, void *out, size_t size, uint64_t *at)
{
    char *bytes = out;
    while (size > 0) {
        ssize_t n = pread(fd, bytes, size, (off_t)*at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
        *at += (uint64_t)n;
    }
    return true;
}

static int take_text(const struct head *head, const char *name, struct str text, uint64_t secret,
                     struct feeds **feeds, struct hunt_safelist **safelist, struct err *err)
{
    if (head->kind == LISTS_FEED) {
        const char *slash = strrchr(name, '/');
        if (!*feeds)
            *feeds = feeds_new(secret);
        if (!*feeds)
            return err_set(err, -ENOMEM, "feeds: no memory");
        feeds_take(*feeds, slash ? slash + 1 : name, text);
        return 0;
    }
    int result = *safelist ? 0 : hunt_safelist_load(NULL, 0, safelist, err);
    if (result == 0 && head->size > HUNT_SAFELIST_MAX_SIZE)
        return err_set(err, -EFBIG, "%s: larger than %u MiB: is it the right file?", name,
                       HUNT_SAFELIST_MAX_SIZE >> 20);
    return result < 0 ? result : hunt_safelist_take(*safelist, text, name, err);
}

static int take_all(int fd, uint64_t secret, struct feeds **feeds, struct hunt_safelist **safelist,
                    struct err *err)
{
    uint64_t at = 0;
    struct stat st;
    struct head head;
    if (fstat(fd, &st) < 0)
        return err_set(err, -errno, "lists cannot be read: %s", strerror(errno));
    while (at < (uint64_t)st.st_size) {
        char name[PATH_SIZE_MAX];
        if (!read_all(fd, &head, sizeof head, &at) || head.name_size >= sizeof name ||
            head.size > LISTS_MAX_SIZE || !read_all(fd, name, head.name_size, &at))
            return err_set(err, -EBADMSG, "lists are handed on in disorder");
        name[head.name_size] = '\0';
        char *text = malloc((size_t)head.size + 1);
        if (!text)
            return err_set(err, -ENOMEM, "%s: out of memory", name);
        int result = read_all(fd, text, (size_t)head.size, &at)
                         ? take_text(&head, name, str_make(text, (size_t)head.size), secret, feeds,
                                     safelist, err)
                         : err_set(err, -EBADMSG, "%s: it was not handed on to its end", name);
        free(text);
        if (result < 0)
            return result;
    }
    return 0;
}

int lists_take(int fd, uint64_t secret, struct feeds **out_feeds,
               struct hunt_safelist **out_safelist, struct err *err)
{
    struct feeds *feeds = NULL;
    struct hunt_safelist *safelist = NULL;
    int result = take_all(fd, secret, &feeds, &safelist, err);
    if (result < 0) {
        feeds_free(feeds);
        hunt_safelist_free(safelist);
        return result;
    }
    *out_feeds = feeds;
    *out_safelist = safelist;
    return 0;
}

int lists_load(const struct hunt_settings *settings, uint64_t secret, struct feeds **out_feeds,
               struct hunt_safelist **out_safelist, struct err *err)
{
    struct feeds *feeds = NULL;
    struct hunt_safelist *safelist = NULL;
    int result = 0;
    if (settings->n_feeds)
        result = feeds_load((const char *const *)settings->feeds, settings->n_feeds, secret, &feeds,
                            err);
    if (result == 0 && settings->n_safelists)
        result = hunt_safelist_load((const char *const *)settings->safelists, settings->n_safelists,
                                    &safelist, err);
    if (result < 0) {
        feeds_free(feeds);
        return result;
    }
    *out_feeds = feeds;
    *out_safelist = safelist;
    return 0;
}
