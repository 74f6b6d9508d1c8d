/* Inside of the log writer, shared by writer.c (files and buffers), record.c (columns) and
 * escape.c (text): not for other folders. */
#ifndef LOG_WRITER_H
#define LOG_WRITER_H

#include "log/record.h"

#define LOG_LINE_MAX (1u << 20) /* importers give up on a longer line */

struct log_stream;

/* The record that a stream is writing. Its bytes lie in the stream's buffer from `start`. */
struct rec {
    char *at;
    char *limit; /* end of the buffer */
    struct log_stream *stream;
    uint16_t column;
    bool json;
    bool comma; /* JSON: something stands before */
    bool in_set, set_first;
    bool failed; /* something did not fit: the record is not kept */
};

/* Makes room for `size` bytes; false when the line would grow past LOG_LINE_MAX. */
bool log_stream_room(struct rec *rec, size_t size);

static inline bool rec_room(struct rec *rec, size_t size)
{
    return (size_t)(rec->limit - rec->at) >= size || log_stream_room(rec, size);
}

/* A text or a set was cut so that the line does not get too long: counted. */
void log_stream_cut(struct log_stream *stream);

/* How much of the record there is. */
size_t log_stream_offset(const struct log_stream *stream);

/* The schema's column, or the extra one after them, by the name it has in this log. */
const struct log_column *log_stream_column(const struct log_stream *stream, uint16_t index);
uint16_t log_stream_n_columns(const struct log_stream *stream);

/* Text with Zeek's escapes; `in_set`: commas as well. At most 4 output bytes for each input byte
 * (6 for JSON); the caller has made the room. Gives the new end. */
char *log_escape_tsv(char *at, struct str text, bool in_set);
char *log_escape_json(char *at, struct str text);

#endif
