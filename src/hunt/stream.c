/* Blocks of a log file: reading, unpacking, cutting at newlines, and going on where a run before
 * ended. */
#include "hunt/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hunt/inflate.h"
#include "hunt/text_file.h"

#define PACKED_SIZE (64u << 10)

void stream_init(struct stream *stream, const struct files_one *file, const struct fields *fields,
                 const struct marks *marks)
{
    *stream = (struct stream){.file = file, .all_fields = fields, .marks = marks, .fd = -1};
    columns_init(&stream->columns);
    if (file->named)
        stream->fields = &fields[file->name.log];
}

void stream_done(struct stream *stream)
{
    if (stream->fd > STDIN_FILENO)
        close(stream->fd);
    stream->fd = -1;
    inflate_free(stream->inflate);
    free(stream->packed);
    free(stream->rest);
    stream->inflate = NULL;
    stream->packed = NULL;
    stream->rest = NULL;
    stream->rest_size = stream->rest_capacity = 0;
}

void block_done(struct block *block)
{
    free(block->text);
    parsed_done(&block->parsed);
    *block = (struct block){0};
}

static int open_path(const char *path)
{
    /* A file that became a pipe meanwhile does not hold us up. */
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static int open_file(struct stream *stream, struct err *err)
{
    const struct files_one *file = stream->file;
    if (strcmp(file->path, "-") == 0) {
        stream->fd = STDIN_FILENO;
        return 0;
    }
    stream->fd =
        file->stream ? open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : open_path(file->path);
    /* It was archived since it was found. */
    if (stream->fd < 0 && errno == ENOENT && file->later) {
        char packed[4096];
        int n = snprintf(packed, sizeof packed, "%s.gz", file->later);
        stream->fd = n > 0 && (size_t)n < sizeof packed ? open_path(packed) : -1;
        if (stream->fd < 0)
            stream->fd = open_path(file->later);
    }
    if (stream->fd < 0)
        return err_set(err, -errno, "cannot be read: %s", strerror(errno));
    if (!file->stream)
        (void)posix_fadvise(stream->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

/* Bytes of the file. */
static ssize_t read_raw(struct stream *stream, void *out, size_t size, struct err *err)
{
    ssize_t n;
    do
        n = read(stream->fd, out, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(err, -errno, "cannot be read: %s", strerror(errno));
    stream->disk += (uint64_t)n;
    return n;
}

/* Bytes of the text; 0: the end. */
static ssize_t read_text(struct stream *stream, char *out, size_t size, struct err *err)
{
    if (stream->at_end)
        return 0;
    while (stream->inflate) {
        if (stream->packed_at == stream->packed_size) {
            ssize_t n = read_raw(stream, stream->packed, PACKED_SIZE, err);
            if (n < 0)
                return n;
            stream->packed_at = 0;
            stream->packed_size = (size_t)n;
        }
        size_t taken, given;
        bool good =
            inflate_step(stream->inflate, stream->packed + stream->packed_at,
                         stream->packed_size - stream->packed_at, &taken, out, size, &given);
        stream->packed_at += taken;
        if (given > 0 && good)
            return (ssize_t)given;
        if (!good || (taken == 0 && stream->packed_size == stream->packed_at) ||
            (taken == 0 && given == 0)) {
            stream->at_end = true;
            stream->damaged = !good;
            stream->cut = !good || !inflate_is_whole(stream->inflate);
            return (ssize_t)given;
        }
    }
    /* What was read to see whether it is packed. */
    if (stream->packed_at < stream->packed_size) {
        size_t n = stream->packed_size - stream->packed_at;
        n = n < size ? n : size;
        memcpy(out, stream->packed + stream->packed_at, n);
        stream->packed_at += n;
        return (ssize_t)n;
    }
    ssize_t n = read_raw(stream, out, size, err);
    stream->at_end = n == 0;
    return n;
}

/* Plain or packed: the first two bytes say, not the name. */
static int look_at_start(struct stream *stream, struct err *err)
{
    static const struct {
        const char *magic, *what;
    } foreign[] = {
        {"\x28\xb5\x2f\xfd", "packed with zstd"},
        {"BZh", "packed with bzip2"},
        {"\xfd"
         "7zXZ",
         "packed with xz"},
        {"\x04\x22\x4d\x18", "packed with lz4"},
        {"PK\x03\x04", "packed with zip"},
        {"\xff\xfe", "text in UTF-16"},
        {"\xfe\xff", "text in UTF-16"},
    };
    stream->packed = malloc(PACKED_SIZE);
    if (!stream->packed)
        return err_set(err, -ENOMEM, "no memory to read it");
    while (stream->packed_size < 2) {
        ssize_t n = read_raw(stream, stream->packed + stream->packed_size,
                             PACKED_SIZE - stream->packed_size, err);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return 0;
        stream->packed_size += (size_t)n;
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        size_t len = strlen(foreign[i].magic);
        if (stream->packed_size >= len && memcmp(stream->packed, foreign[i].magic, len) == 0)
            return err_set(err, -EINVAL,
                           "it is %s; only plain UTF-8 text and gzip are read: convert it first",
                           foreign[i].what);
    }
    if (stream->packed[0] != 0x1f || stream->packed[1] != 0x8b)
        return 0;
    stream->inflate = inflate_new();
    if (!stream->inflate)
        return err_set(err, -ENOTSUP,
                       "it is packed, and this program was built without zlib; unpack it first");
    return 0;
}

/* What log this is, where the name does not say. */
static int guess_log(struct stream *stream, const char *text, size_t size, struct err *err)
{
    static const struct {
        const char *sign;
        enum hunt_log log;
    } signs[] = {
        {"\"conn_state\"", HUNT_CONN},  {"\tconn_state", HUNT_CONN},
        {"\"trans_depth\"", HUNT_HTTP}, {"\ttrans_depth", HUNT_HTTP},
        {"\"qclass\"", HUNT_DNS},       {"\"query\"", HUNT_DNS},
        {"\tqclass", HUNT_DNS},         {"\"server_name\"", HUNT_SSL},
        {"\"cipher\"", HUNT_SSL},       {"\tcipher", HUNT_SSL},
    };
    static const char *const paths[] = {"#path\t", "#path ", "\"_path\":\"", "\"_path\": \""};
    if (stream->fields || size == 0)
        return 0;
    size = size < 65536 ? size : 65536;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *at = memmem(text, size, paths[i], strlen(paths[i]));
        char name[64];
        size_t n = 0;
        enum hunt_log log;
        if (!at)
            continue;
        for (at += strlen(paths[i]); at < text + size && n < 40; at++) {
            if (*at == '"' || *at == '\n' || *at == '\r' || *at == '/')
                break;
            name[n++] = *at;
        }
        memcpy(name + n, ".log", 5);
        if (!files_log_of(name, &log))
            return err_set(err, -EINVAL, "it is no log that is hunted in");
        stream->fields = &stream->all_fields[log];
        return 0;
    }
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (memmem(text, size, signs[i].sign, strlen(signs[i].sign))) {
            stream->fields = &stream->all_fields[signs[i].log];
            return 0;
        }
    return err_set(err, -EINVAL, "neither its name nor its beginning says which Zeek log it is");
}

static bool make_room(char **at, size_t *capacity, size_t size)
{
    if (*capacity >= size)
        return true;
    char *grown = realloc(*at, size);
    if (!grown)
        return false;
    *at = grown;
    *capacity = size;
    return true;
}

/* Where a run before left it: under its own name, or under one that it had then. */
static void find_resume(struct stream *stream)
{
    const struct hunt_mark *found =
        stream->marks ? marks_find(stream->marks, stream->file, stream->fields->log, stream->head,
                                   stream->head_size)
                      : NULL;
    /* A plain file that shrank was written anew. */
    if (found && !stream->inflate && !stream->file->stream && stream->file->size < found->offset)
        found = NULL;
    stream->resumed = found;
    stream->resume = found ? found->offset : 0;
}

/* Fills the block behind what it has; false: an error, or the end. */
static bool fill(struct stream *stream, struct block *block, size_t up_to)
{
    while (block->size < up_to) {
        ssize_t n = read_text(stream, block->text + block->size, up_to - block->size, &block->err);
        if (n < 0) {
            block->result = (int)n;
            return false;
        }
        if (n == 0 && stream->at_end)
            return false;
        if (stream->head_size < MARKS_HASHED) {
            size_t room = MARKS_HASHED - stream->head_size;
            size_t more = (size_t)n < room ? (size_t)n : room;
            memcpy(stream->head + stream->head_size, block->text + block->size, more);
            stream->head_size += (uint32_t)more;
        }
        block->size += (size_t)n;
    }
    return true;
}

/* Opens the file and reads its first block. */
static void begin(struct stream *stream, struct block *block)
{
    stream->begun = true;
    block->result = open_file(stream, &block->err);
    if (block->result == 0)
        block->result = look_at_start(stream, &block->err);
    if (block->result < 0)
        return;
    (void)fill(stream, block, STREAM_BLOCK);
    /* Editors of Windows put it in front. Blanks are passed over, and places in the file stay what
     * they are. */
    if (block->size >= 3 && memcmp(block->text, TEXT_FILE_MARK, 3) == 0)
        memset(block->text, ' ', 3);
    if (block->result == 0)
        block->result = guess_log(stream, block->text, block->size, &block->err);
    /* An empty one, of which nothing said which log it is, has no lines to pass over. */
    if (block->result == 0 && stream->fields)
        find_resume(stream);
}

/* Keeps what is behind the first `size` bytes for the next block. */
static bool keep_rest(struct stream *stream, struct block *block, size_t size)
{
    stream->rest_size = block->size - size;
    if (!make_room(&stream->rest, &stream->rest_capacity, stream->rest_size + 1))
        return false;
    memcpy(stream->rest, block->text + size, stream->rest_size);
    block->size = size;
    return true;
}

static size_t last_line_end(const struct block *block)
{
    const char *end = block->size ? memrchr(block->text, '\n', block->size) : NULL;
    return end ? (size_t)(end - block->text) + 1 : 0;
}

/* Drops the lines that were read before; true: there are more of them. */
static bool pass_over(struct stream *stream, struct block *block)
{
    if (stream->offset >= stream->resume || block->result < 0)
        return false;
    uint64_t old = stream->resume - stream->offset;
    size_t n = (size_t)old;
    if (old > block->size) {
        /* A header line is not to be torn. */
        n = last_line_end(block);
        if (n == 0)
            n = block->size;
    }
    block->result = columns_scan(&stream->columns, stream->fields, block->text, n, &block->err);
    if (block->result < 0)
        return false;
    memmove(block->text, block->text + n, block->size - n);
    block->size -= n;
    stream->offset += n;
    /* Only a header can come again, and JSON has none. */
    if (stream->columns.format == COLUMNS_JSON && !stream->inflate && !stream->file->stream &&
        stream->offset < stream->resume &&
        lseek(stream->fd, (off_t)stream->resume, SEEK_SET) >= 0) {
        stream->packed_at = stream->packed_size;
        stream->offset = stream->resume;
        block->size = 0;
    }
    return true;
}

/* A line that does not fit: all of it but its end is dropped. */
static void drop_long(struct stream *stream, struct block *block)
{
    const char *end = memchr(block->text, '\n', block->size);
    size_t n = end ? (size_t)(end - block->text) + 1 : block->size;
    if (!stream->dropping)
        block->n_long++;
    stream->dropping = end == NULL;
    memmove(block->text, block->text + n, block->size - n);
    block->size -= n;
    stream->offset += n;
}

static void out_of_memory(struct block *block)
{
    block->result = err_set(&block->err, -ENOMEM, "no memory to read it");
}

/* Reads until there is a whole line, or the end. */
static void read_lines(struct stream *stream, struct block *block)
{
    size_t up_to = STREAM_BLOCK;
    while (block->result == 0) {
        if (!make_room(&block->text, &block->capacity, up_to + 1)) {
            out_of_memory(block);
            return;
        }
        bool more = fill(stream, block, up_to);
        if (block->result < 0)
            return;
        if (stream->dropping)
            drop_long(stream, block);
        if (stream->dropping && more)
            continue;
        if (last_line_end(block) > 0 || !more)
            return;
        if (block->size >= HUNT_LINE_MAX)
            drop_long(stream, block);
        else if (block->size >= up_to)
            up_to = block->size + STREAM_BLOCK;
    }
}

void stream_next(struct stream *stream, struct block *block)
{
    uint64_t disk = stream->disk;
    block->size = 0;
    block->n_long = 0;
    block->result = 0;
    block->err.text[0] = '\0';
    block->last = block->partial = false;
    parsed_clear(&block->parsed);
    if (!make_room(&block->text, &block->capacity,
                   (stream->rest_size > STREAM_BLOCK ? stream->rest_size : STREAM_BLOCK) + 1)) {
        out_of_memory(block);
    } else {
        memcpy(block->text, stream->rest ? stream->rest : "", stream->rest_size);
        block->size = stream->rest_size;
        stream->rest_size = 0;
        if (!stream->begun)
            begin(stream, block);
        while (pass_over(stream, block))
            if (stream->offset < stream->resume && !fill(stream, block, STREAM_BLOCK) &&
                block->size == 0)
                break;
    }
    if (block->result == 0)
        read_lines(stream, block);
    size_t size = last_line_end(block);
    if (block->result == 0 && stream->at_end && (size == 0 || size == block->size)) {
        block->partial = block->size > size;
        block->last = true;
        size = block->size;
    }
    block->columns = stream->columns;
    block->fields = stream->fields;
    if (block->result == 0 && !keep_rest(stream, block, size))
        out_of_memory(block);
    if (block->result == 0 && stream->fields)
        block->result =
            columns_scan(&stream->columns, stream->fields, block->text, size, &block->err);
    block->json = stream->columns.format == COLUMNS_JSON;
    stream->offset += size;
    block->end = stream->offset;
    block->last |= block->result < 0;
    block->disk = stream->disk - disk;
}

void block_parse(struct block *block, bool may_grow, int64_t since)
{
    struct parsed *parsed = &block->parsed;
    size_t n = 0;
    if (block->result < 0 || !block->fields)
        return;
    size_t size = block->size;
    if (block->partial) {
        bool whole = block->json ? block->text[block->size - 1] == '}' : !may_grow;
        if (!whole)
            return;
        block->columns.strict = true;
        block->text[size++] = '\n'; /* there is always room for it */
    }
    block->result =
        parse_lines(&block->columns, block->fields, block->text, size, parsed, &block->err);
    if (block->partial) {
        block->partial = block->result < 0 || parsed->n_bad > 0;
        if (block->partial)
            parsed_clear(parsed);
    }
    if (since == 0)
        return;
    for (size_t i = 0; i < parsed->n; i++)
        if (parsed->records[i].ts >= since)
            parsed->records[n++] = parsed->records[i];
    parsed->n = n;
}

bool stream_mark(const struct stream *stream, uint64_t end, struct hunt_mark *out)
{
    uint32_t n = end < stream->head_size ? (uint32_t)end : stream->head_size;
    *out = (struct hunt_mark){.path = strdup(stream->file->path),
                              .offset = end,
                              .size = stream->file->size,
                              .modified = stream->file->modified,
                              .beginning = marks_hash(stream->head, n),
                              .n_hashed = n};
    return out->path != NULL;
}
