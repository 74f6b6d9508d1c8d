/* Log files and the workers' buffers over them: see record.h. Whole lines only are written, one
 * write(2) for many of them; where the disk refuses a part, the file is cut back to its last whole
 * line and what was lost is counted. */
#include "log/writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_EXTRA   16
#define N_STREAMS   128 /* power of two; kinds of logs there can be */
#define BUFFER_SIZE (256u << 10)

struct log_file {
    const struct log_schema *schema;
    int fd;
    int error;   /* errno of the first refusal: nothing more is written */
    int refused; /* of lines that were left out, while others were written */
    uint64_t n_lost_bytes;
    pthread_mutex_t lock;
};

struct log_set {
    char *folder;
    enum log_format format;
    const struct log_column *extra;
    struct log_column renamed[MAX_EXTRA]; /* the same, for logs that have the name already */
    char names[MAX_EXTRA][48];
    uint16_t n_extra;
    uint64_t n_records, n_cut;
    size_t n_files;
    struct log_file files[N_STREAMS];
    pthread_mutex_t lock;
};

struct log_stream {
    struct rec rec; /* first: a rec is found from its stream and back */
    const struct log_schema *schema;
    struct log_file *file;
    struct log_writer *writer;
    char *buffer;
    char *start; /* of the record being written */
    size_t capacity;
};

struct log_writer {
    struct log_set *set;
    uint64_t n_records, n_cut;
    struct log_stream streams[N_STREAMS];
};

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
    set->n_extra = options->n_extra < MAX_EXTRA ? options->n_extra : MAX_EXTRA;
    for (uint16_t i = 0; i < set->n_extra; i++) {
        (void)snprintf(set->names[i], sizeof set->names[i], "mirror_%s", set->extra[i].name);
        set->renamed[i] = (struct log_column){set->names[i], set->extra[i].type};
    }
    pthread_mutex_init(&set->lock, NULL);
    *out = set;
    return 0;
}

static bool write_all(struct log_file *file, const char *bytes, size_t size)
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

static size_t stamp_line(char *out, size_t max, const char *name)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[40];
    localtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y-%m-%d-%H-%M-%S", &tm);
    return (size_t)snprintf(out, max, "%s\t%s\n", name, text);
}

static const struct log_column *column_of(const struct log_set *set,
                                          const struct log_schema *schema, uint16_t index)
{
    if (index < schema->n_columns)
        return &schema->columns[index];
    const struct log_column *extra = &set->extra[index - schema->n_columns];
    for (uint16_t i = 0; i < schema->n_columns; i++)
        if (strcmp(schema->columns[i].name, extra->name) == 0)
            return &set->renamed[index - schema->n_columns];
    return extra;
}

static void write_header(struct log_set *set, struct log_file *file)
{
    const struct log_schema *s = file->schema;
    char text[16384];
    size_t at = (size_t)snprintf(text, sizeof text,
                                 "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n"
                                 "#unset_field\t-\n#path\t%s\n",
                                 s->name);
    at += stamp_line(text + at, sizeof text - at, "#open");
    uint16_t n = (uint16_t)(s->n_columns + (s->of_connection ? set->n_extra : 0));
    for (int types = 0; types < 2; types++) {
        at += (size_t)snprintf(text + at, sizeof text - at, types ? "#types" : "#fields");
        for (uint16_t i = 0; i < n; i++) {
            const struct log_column *c = column_of(set, s, i);
            at += (size_t)snprintf(text + at, sizeof text - at, "\t%s",
                                   types ? log_type_name(c->type) : c->name);
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "\n");
    }
    (void)write_all(file, text, at); /* a refusal is kept in the file and said at the close */
}

/* The file of this schema, opened by whichever worker needs it first. */
/* A pipe that nobody reads is refused, not waited for. */
static int open_file(const char *path)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
    int fd = open(path, flags | O_NONBLOCK, 0640);
    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

static struct log_file *find_file(struct log_set *set, const struct log_schema *schema)
{
    pthread_mutex_lock(&set->lock);
    struct log_file *file = NULL;
    for (size_t i = 0; i < set->n_files && !file; i++)
        if (set->files[i].schema == schema)
            file = &set->files[i];
    if (!file) {
        assert(set->n_files < N_STREAMS);
        file = &set->files[set->n_files++];
        file->schema = schema;
        pthread_mutex_init(&file->lock, NULL);
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s.log", set->folder, schema->name);
        file->fd = open_file(path);
        if (file->fd < 0)
            file->error = errno;
        else if (set->format == LOG_FORMAT_TSV)
            write_header(set, file);
    }
    pthread_mutex_unlock(&set->lock);
    return file;
}

int log_set_close(struct log_set *set, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < set->n_files; i++) {
        struct log_file *file = &set->files[i];
        if (file->fd >= 0 && set->format == LOG_FORMAT_TSV) {
            char text[80];
            (void)write_all(file, text, stamp_line(text, sizeof text, "#close"));
        }
        if (file->fd >= 0 && close(file->fd) < 0 && !file->error)
            file->error = errno;
        if (!file->error)
            file->error = file->refused;
        if (file->error && result == 0)
            result = err_set(err, -EIO, "%s/%s.log: %s; %llu bytes of log lines are lost",
                             set->folder, file->schema->name, strerror(file->error),
                             (unsigned long long)file->n_lost_bytes);
        pthread_mutex_destroy(&file->lock);
    }
    pthread_mutex_destroy(&set->lock);
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

void log_stream_cut(struct log_stream *stream)
{
    stream->writer->n_cut++;
}

struct log_writer *log_writer_new(struct log_set *set)
{
    struct log_writer *writer = calloc(1, sizeof *writer);
    if (writer)
        writer->set = set;
    return writer;
}

static void flush_lines(struct log_stream *stream)
{
    size_t size = (size_t)(stream->start - stream->buffer);
    if (size)
        (void)write_all(stream->file, stream->buffer,
                        size); /* kept in the file, said at the close */
    size_t partial = (size_t)(stream->rec.at - stream->start);
    memmove(stream->buffer, stream->start, partial);
    stream->start = stream->buffer;
    stream->rec.at = stream->buffer + partial;
}

void log_writer_flush(struct log_writer *writer)
{
    for (size_t i = 0; i < N_STREAMS; i++)
        if (writer->streams[i].schema)
            flush_lines(&writer->streams[i]);
    __atomic_fetch_add(&writer->set->n_records, writer->n_records, __ATOMIC_RELAXED);
    __atomic_fetch_add(&writer->set->n_cut, writer->n_cut, __ATOMIC_RELAXED);
    writer->n_records = writer->n_cut = 0;
}

void log_writer_free(struct log_writer *writer)
{
    if (!writer)
        return;
    log_writer_flush(writer);
    for (size_t i = 0; i < N_STREAMS; i++)
        free(writer->streams[i].buffer);
    free(writer);
}

bool log_stream_room(struct rec *rec, size_t size)
{
    struct log_stream *stream = rec->stream;
    if (size > LOG_LINE_MAX || (size_t)(rec->at - stream->start) > LOG_LINE_MAX - size) {
        rec->failed = true;
        return false;
    }
    flush_lines(stream);
    size_t used = (size_t)(rec->at - stream->buffer);
    if (stream->capacity - used < size) {
        size_t capacity = stream->capacity;
        while (capacity - used < size)
            capacity *= 2;
        char *grown = realloc(stream->buffer, capacity);
        if (!grown) {
            rec->failed = true;
            return false;
        }
        stream->buffer = stream->start = grown;
        stream->capacity = capacity;
        rec->at = grown + used;
        rec->limit = grown + capacity;
    }
    return true;
}

static struct log_stream *find_stream(struct log_writer *writer, const struct log_schema *schema)
{
    size_t i = ((uintptr_t)schema >> 4) & (N_STREAMS - 1);
    while (writer->streams[i].schema && writer->streams[i].schema != schema)
        i = (i + 1) & (N_STREAMS - 1);
    struct log_stream *stream = &writer->streams[i];
    if (!stream->schema) {
        stream->schema = schema;
        stream->writer = writer;
        stream->file = find_file(writer->set, schema);
        stream->buffer = stream->start = malloc(BUFFER_SIZE);
        if (!stream->buffer)
            abort();
        stream->capacity = BUFFER_SIZE;
        stream->rec = (struct rec){.at = stream->buffer,
                                   .limit = stream->buffer + BUFFER_SIZE,
                                   .stream = stream,
                                   .json = writer->set->format == LOG_FORMAT_JSON};
    }
    return stream;
}

struct rec *log_begin(struct log_writer *writer, const struct log_schema *schema)
{
    struct log_stream *stream = find_stream(writer, schema);
    struct rec *rec = &stream->rec;
    stream->start = rec->at;
    rec->column = 0;
    rec->comma = false;
    rec->failed = false;
    if (rec->json && rec_room(rec, 1))
        *rec->at++ = '{';
    return rec;
}

/* A line that cannot be written, whatever the disk does. */
static void lose_line(struct log_file *file, size_t size)
{
    pthread_mutex_lock(&file->lock);
    if (!file->error)
        file->refused = EMSGSIZE;
    file->n_lost_bytes += size;
    pthread_mutex_unlock(&file->lock);
}

void log_end(struct rec *rec)
{
    struct log_stream *stream = rec->stream;
    assert(rec->column == log_stream_n_columns(stream));
    if (rec_room(rec, 2) && !rec->failed) {
        if (rec->json)
            *rec->at++ = '}';
        *rec->at++ = '\n';
        stream->writer->n_records++;
    } else {
        lose_line(stream->file, (size_t)(rec->at - stream->start));
        rec->at = stream->start;
    }
    stream->start = rec->at;
}

size_t log_stream_offset(const struct log_stream *stream)
{
    return (size_t)(stream->rec.at - stream->start);
}

struct str log_cut(struct rec *rec)
{
    struct log_stream *stream = rec->stream;
    uint64_t n = stream->writer->n_records;
    log_end(rec);
    if (stream->writer->n_records == n)
        return (struct str){.at = "", .len = 0}; /* too long: it is gone already */
    stream->writer->n_records--;
    /* The record began where its line does: the last newline but one is the one before it. */
    char *end = rec->at, *begin = end - 1;
    while (begin > stream->buffer && begin[-1] != '\n')
        begin--;
    rec->at = stream->start = begin;
    return str_make(begin, (size_t)(end - begin));
}

void log_line(struct log_writer *writer, const struct log_schema *schema, struct str line)
{
    struct log_stream *stream = find_stream(writer, schema);
    struct rec *rec = &stream->rec;
    stream->start = rec->at;
    if (!rec_room(rec, line.len))
        return;
    memcpy(rec->at, line.at, line.len);
    rec->at += line.len;
    stream->start = rec->at;
    writer->n_records++;
}

const struct log_column *log_stream_column(const struct log_stream *stream, uint16_t index)
{
    return column_of(stream->writer->set, stream->schema, index);
}

uint16_t log_stream_n_columns(const struct log_stream *stream)
{
    const struct log_schema *schema = stream->schema;
    return (uint16_t)(schema->n_columns +
                      (schema->of_connection ? stream->writer->set->n_extra : 0));
}
