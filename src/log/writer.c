/* The workers' buffers over the files of a log set: see record.h. */
#include "log/writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "log/set.h"

#define BUFFER_SIZE (256u << 10)

struct log_stream {
    struct rec rec; /* first: a rec is found from its stream and back */
    const struct log_schema *schema;
    struct log_file *file;
    struct log_writer *writer;
    char *buffer;
    char *start; /* of the record being written */
    size_t capacity;
    uint64_t n_lines; /* whole ones in the buffer */
};

struct log_writer {
    struct log_set *set;
    uint64_t n_records, n_cut;
    struct log_stream streams[LOG_N_STREAMS];
};

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
    if (size == 0)
        return;
    (void)log_file_write(stream->writer->set, stream->file, stream->buffer, size,
                         stream->n_lines); /* kept in the file, said at the close */
    stream->n_lines = 0;
    size_t partial = (size_t)(stream->rec.at - stream->start);
    memmove(stream->buffer, stream->start, partial);
    stream->start = stream->buffer;
    stream->rec.at = stream->buffer + partial;
}

void log_writer_flush(struct log_writer *writer)
{
    for (size_t i = 0; i < LOG_N_STREAMS; i++)
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
    for (size_t i = 0; i < LOG_N_STREAMS; i++)
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
    size_t i = ((uintptr_t)schema >> 4) & (LOG_N_STREAMS - 1);
    while (writer->streams[i].schema && writer->streams[i].schema != schema)
        i = (i + 1) & (LOG_N_STREAMS - 1);
    struct log_stream *stream = &writer->streams[i];
    if (!stream->schema) {
        stream->schema = schema;
        stream->writer = writer;
        stream->file = log_set_file(writer->set, schema);
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

void log_end(struct rec *rec)
{
    struct log_stream *stream = rec->stream;
    assert(rec->column == log_stream_n_columns(stream));
    if (rec_room(rec, 2) && !rec->failed) {
        if (rec->json)
            *rec->at++ = '}';
        *rec->at++ = '\n';
        stream->writer->n_records++;
        stream->n_lines++;
    } else {
        log_file_lose(stream->file, (size_t)(rec->at - stream->start));
        rec->at = stream->start;
    }
    stream->start = rec->at;
}

size_t log_stream_offset(const struct log_stream *stream)
{
    return (size_t)(stream->rec.at - stream->start);
}

struct str log_end_line(struct rec *rec)
{
    struct log_stream *stream = rec->stream;
    uint64_t n = stream->writer->n_records;
    log_end(rec);
    if (stream->writer->n_records == n)
        return (struct str){.at = "", .len = 0}; /* too long: it is gone already */
    /* The record began where its line does: the last newline but one is the one before it. */
    const char *end = rec->at, *begin = end - 1;
    while (begin > stream->buffer && begin[-1] != '\n')
        begin--;
    return str_make(begin, (size_t)(end - begin));
}

struct str log_cut(struct rec *rec)
{
    struct log_stream *stream = rec->stream;
    struct str line = log_end_line(rec);
    if (line.len > 0) {
        stream->writer->n_records--;
        stream->n_lines--;
        rec->at -= line.len;
        stream->start = rec->at;
    }
    return line;
}

void log_line(struct log_writer *writer, const struct log_schema *schema, struct str line)
{
    struct log_stream *stream = find_stream(writer, schema);
    struct rec *rec = &stream->rec;
    stream->start = rec->at;
    if (!rec_room(rec, line.len)) {
        log_file_lose(stream->file, line.len);
        return;
    }
    memcpy(rec->at, line.at, line.len);
    rec->at += line.len;
    stream->start = rec->at;
    writer->n_records++;
    stream->n_lines++;
}

const struct log_column *log_stream_column(const struct log_stream *stream, uint16_t index)
{
    return log_set_column(stream->writer->set, stream->schema, index);
}

uint16_t log_stream_n_columns(const struct log_stream *stream)
{
    const struct log_schema *schema = stream->schema;
    return (uint16_t)(schema->n_columns +
                      (schema->of_connection ? stream->writer->set->n_extra : 0));
}
