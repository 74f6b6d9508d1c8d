/* The files of a run: see record.h. Whole lines only are written, one write(2) for many of them;
 * where the disk refuses a part, the file is cut back to its last whole line and what was lost is
 * counted. */
#include "log/set.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int log_set_open(const struct log_set_options *options, struct log_set **out, struct err *err)
{
    const char *folder = options->folder ? options->folder : ".";
    if (mkdir(folder, 0750) < 0 && errno != EEXIST)
        return err_set(err, -errno, "log folder %s: cannot make it: %s", folder, strerror(errno));
    struct stat st;
    if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "log folder %s: is not a folder; give another with -d",
                       folder);
    if (access(folder, W_OK | X_OK) < 0)
        return err_set(err, -errno, "log folder %s: cannot write into it: %s; give another with -d",
                       folder, strerror(errno));
    struct log_set *set = calloc(1, sizeof *set);
    if (!set || !(set->folder = strdup(folder))) {
        free(set);
        return err_set(err, -ENOMEM, "out of memory");
    }
    set->format = options->format;
    set->extra = options->extra;
    set->n_extra = options->n_extra < LOG_MAX_EXTRA ? options->n_extra : LOG_MAX_EXTRA;
    for (uint16_t i = 0; i < set->n_extra; i++) {
        (void)snprintf(set->names[i], sizeof set->names[i], "mirror_%s", set->extra[i].name);
        set->renamed[i] = (struct log_column){set->names[i], set->extra[i].type};
    }
    if (options->live) {
        int result = log_live_open(set, options->live, err);
        if (result < 0) {
            free(set->folder);
            free(set);
            return result;
        }
    }
    pthread_mutex_init(&set->lock, NULL);
    *out = set;
    return 0;
}

static bool flat_write(struct log_file *file, const char *bytes, size_t size)
{
    pthread_mutex_lock(&file->lock);
    off_t begin = lseek(file->fd, 0, SEEK_END);
    size_t done = 0;
    while (file->fd >= 0 && !file->error && done < size) {
        ssize_t n = write(file->fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            file->error = n < 0 ? errno : EIO;
            if (done > 0 && begin >= 0)
                (void)!ftruncate(file->fd, begin); /* no half line stays; already an error */
            break;
        }
        done += (size_t)n;
    }
    bool ok = done == size;
    if (!ok)
        file->n_lost_bytes += size;
    pthread_mutex_unlock(&file->lock);
    return ok;
}

bool log_file_write(struct log_set *set, struct log_file *file, const char *bytes, size_t size,
                    uint64_t n_lines)
{
    if (set->listener)
        set->listener(set->listener_with, file->schema, bytes, size, n_lines);
    return set->live ? log_live_write(set, file, bytes, size, n_lines)
                     : flat_write(file, bytes, size);
}

void log_file_lose(struct log_file *file, size_t size)
{
    pthread_mutex_lock(&file->lock);
    if (!file->error)
        file->refused = EMSGSIZE;
    file->n_lost_bytes += size;
    file->n_lost++;
    file->lost_error = EMSGSIZE;
    pthread_mutex_unlock(&file->lock);
}

size_t log_stamp(char *out, size_t max, const char *name, int64_t seconds, bool utc)
{
    struct tm tm = log_period_tm(seconds, utc);
    char text[40];
    strftime(text, sizeof text, "%Y-%m-%d-%H-%M-%S", &tm);
    return (size_t)snprintf(out, max, "%s\t%s\n", name, text);
}

const struct log_column *log_set_column(const struct log_set *set, const struct log_schema *schema,
                                        uint16_t index)
{
    if (index < schema->n_columns)
        return &schema->columns[index];
    const struct log_column *extra = &set->extra[index - schema->n_columns];
    for (uint16_t i = 0; i < schema->n_columns; i++)
        if (strcmp(schema->columns[i].name, extra->name) == 0)
            return &set->renamed[index - schema->n_columns];
    return extra;
}

size_t log_header(const struct log_set *set, const struct log_schema *s, int64_t seconds, bool utc,
                  char out[LOG_HEADER_MAX])
{
    size_t at = (size_t)snprintf(out, LOG_HEADER_MAX,
                                 "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n"
                                 "#unset_field\t-\n#path\t%s\n",
                                 s->name);
    if (seconds >= 0)
        at += log_stamp(out + at, LOG_HEADER_MAX - at, "#open", seconds, utc);
    uint16_t n = (uint16_t)(s->n_columns + (s->of_connection ? set->n_extra : 0));
    for (int types = 0; types < 2; types++) {
        at += (size_t)snprintf(out + at, LOG_HEADER_MAX - at, types ? "#types" : "#fields");
        for (uint16_t i = 0; i < n; i++) {
            const struct log_column *c = log_set_column(set, s, i);
            at += (size_t)snprintf(out + at, LOG_HEADER_MAX - at, "\t%s",
                                   types ? log_type_name(c->type) : c->name);
        }
        at += (size_t)snprintf(out + at, LOG_HEADER_MAX - at, "\n");
    }
    return at;
}

void log_set_listen(struct log_set *set,
                    void (*take)(void *with, const struct log_schema *schema, const char *lines,
                                 size_t size, uint64_t n_lines),
                    void *with)
{
    set->listener = take;
    set->listener_with = with;
}

size_t log_set_header(const struct log_set *set, const struct log_schema *schema,
                      char out[LOG_HEADER_MAX])
{
    return set->format == LOG_FORMAT_TSV ? log_header(set, schema, -1, false, out) : 0;
}

/* A pipe that nobody reads is refused, not waited for. */
static int open_path(const char *path)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
    int fd = open(path, flags | O_NONBLOCK, 0640);
    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

static void flat_open(struct log_set *set, struct log_file *file)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s.log", set->folder, file->schema->name);
    file->fd = open_path(path);
    if (file->fd < 0)
        file->error = errno;
    if (file->fd < 0 || set->format != LOG_FORMAT_TSV)
        return;
    char text[LOG_HEADER_MAX];
    size_t size = log_header(set, file->schema, time(NULL), false, text);
    (void)flat_write(file, text, size); /* a refusal is kept in the file and said at the close */
}

/* The file of this schema, opened by whichever worker needs it first (live: at its first write). */
struct log_file *log_set_file(struct log_set *set, const struct log_schema *schema)
{
    pthread_mutex_lock(&set->lock);
    struct log_file *file = NULL;
    for (size_t i = 0; i < set->n_files && !file; i++)
        if (set->files[i].schema == schema)
            file = &set->files[i];
    if (!file) {
        assert(set->n_files < LOG_N_STREAMS);
        file = &set->files[set->n_files++];
        file->schema = schema;
        pthread_mutex_init(&file->lock, NULL);
        file->fd = -1;
        if (!set->live)
            flat_open(set, file);
    }
    pthread_mutex_unlock(&set->lock);
    return file;
}

int log_set_close(struct log_set *set, struct err *err)
{
    int result = 0;
    if (set->live && !set->live->finished)
        result = log_set_finish(set, err);
    for (size_t i = 0; i < set->n_files; i++) {
        struct log_file *file = &set->files[i];
        if (file->fd >= 0 && !set->live && set->format == LOG_FORMAT_TSV) {
            char text[80];
            (void)flat_write(file, text, log_stamp(text, sizeof text, "#close", time(NULL), false));
        }
        if (file->fd >= 0 && close(file->fd) < 0 && !file->error)
            file->error = errno;
        if (set->live)
            file->error = file->lost_error;
        else if (!file->error)
            file->error = file->refused;
        if (file->error && result == 0)
            result = err_set(err, -EIO, "%s/%s.log: %s; %llu bytes of log lines are lost",
                             set->folder, file->schema->name, strerror(file->error),
                             (unsigned long long)file->n_lost_bytes);
        pthread_mutex_destroy(&file->lock);
    }
    pthread_mutex_destroy(&set->lock);
    log_live_close(set);
    free(set->folder);
    free(set);
    return result;
}

uint64_t log_set_n_records(const struct log_set *set)
{
    return __atomic_load_n(&set->n_records, __ATOMIC_RELAXED);
}

uint64_t log_set_n_cut(const struct log_set *set)
{
    return __atomic_load_n(&set->n_cut, __ATOMIC_RELAXED);
}
