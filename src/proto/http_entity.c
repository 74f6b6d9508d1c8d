/* The headers and the body of a message (RFC 9112 §6, §7; RFC 2046 for parts): how long the body
 * is, in chunks or not, in parts or not, and handing its bytes on to a file. When a body ends, and
 * what counts as its bytes, are as in Zeek.
 *
 *     1a; ext=x CRLF          chunk size in hex
 *     26 bytes CRLF
 *     0 CRLF                  the last one
 *     Trailer: x CRLF
 *     CRLF
 *
 * Parts may be in parts: a message is a chain of entities, each the child of the one before it. */
#include "proto/http_state.h"

#define UNTIL_CLOSE INT32_MAX

static void end_chain(struct analysis *a, int dir, struct http_entity *e);

static struct http_side *side_of(struct analysis *a, int dir)
{
    return &http_of(a)->side[dir];
}

void http_entity_init(struct http_entity *e, struct http_entity *parent, enum http_expect expect)
{
    *e = (struct http_entity){
        .parent = parent,
        .depth = parent ? parent->depth + 1 : 0,
        .in_header = true,
        .transfer = parent ? parent->transfer : HTTP_BINARY,
        .was_compressed = parent && (parent->was_compressed || parent->coding == HTTP_COMPRESSED),
        .expect = (uint8_t)expect,
        .content_length = -1,
        .range_length = -1,
        .instance_length = -1,
    };
}

void http_entity_say_began(struct analysis *a, int dir)
{
    struct http_trans *t = http_trans_at(a, dir);
    if (!t)
        return;
    t->n_entities[dir]++;
    t->has_entity = true;
    t->file_name = (struct str){0};
}

static void begin_child(struct analysis *a, int dir, struct http_entity *e)
{
    if (e->depth >= HTTP_MAX_DEPTH) {
        analysis_weird(a, "exceeded_mime_max_depth", STR("100"));
        return;
    }
    e->child = pool_get(analysis_pool(a), sizeof *e->child);
    if (!e->child)
        return;
    http_entity_init(e->child, e, HTTP_BODY);
    side_of(a, dir)->message.current = e->child;
    http_entity_say_began(a, dir);
}

/* The child and all within it. */
static void end_child(struct analysis *a, int dir, struct http_entity *e)
{
    if (e->child)
        end_chain(a, dir, e->child);
    for (struct http_entity *child = e->child; child;) {
        struct http_entity *next = child->child;
        pool_put(analysis_pool(a), (void *)(uintptr_t)child->boundary.at, child->boundary.len);
        http_entity_end_file(a, child, true);
        pool_put(analysis_pool(a), child, sizeof *child);
        child = next;
    }
    e->child = NULL;
}

static void set_plain(struct analysis *a, int dir, int64_t size)
{
    side_of(a, dir)->plain = size;
}

/* All headers have come: how long is the body? */
static void headers_done(struct analysis *a, int dir, struct http_entity *e)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[dir];
    if (e->parent && e->parent->content == HTTP_MULTIPART)
        side->only_crlf = true;
    if (e->content_length >= 0)
        side->announced = e->content_length;
    if (e->chunks == HTTP_CHUNK_TRAILER) {
        e->chunks = HTTP_CHUNKS_DONE;
        http_entity_end(a, dir, e);
        return;
    }
    if (e->expect == HTTP_NO_BODY) {
        http_entity_end(a, dir, e);
        return;
    }
    if (e->content == HTTP_MULTIPART || e->content == HTTP_MESSAGE) {
        if (e->chunks != HTTP_NOT_CHUNKED)
            analysis_weird(a, "HTTP_chunked_transfer_for_multipart_message", (struct str){0});
        if (e->depth == 0 && e->content_length > 0)
            e->expected = e->content_length;
        else if (e->depth == 0 && e->content_length == 0)
            http_entity_end(a, dir, e);
    } else if (e->chunks != HTTP_NOT_CHUNKED) {
        e->chunks = HTTP_CHUNK_SIZE;
    } else if (e->content_length > 0) {
        e->expected = e->content_length;
        set_plain(a, dir, e->content_length);
    } else if (e->content_length == 0) {
        http_entity_end(a, dir, e);
    } else if (h->connection_close || e->coding == HTTP_COMPRESSED) {
        e->expected = UNTIL_CLOSE;
        set_plain(a, dir, UNTIL_CLOSE);
    } else if (e->expect != HTTP_BODY) {
        http_entity_end(a, dir, e);
    }
}

static void flush_header(struct analysis *a, int dir, struct http_entity *e)
{
    struct http_side *side = side_of(a, dir);
    if (buf_size(&side->header) == 0)
        return;
    struct buf held = side->header;
    uint32_t n_lines = side->n_folds + 1;
    side->header = (struct buf){0};
    side->n_folds = 0;
    http_header(a, dir, e, str_make(buf_at(&held), buf_size(&held)), n_lines);
    buf_drop(&held, buf_size(&held));
    side->header = held; /* its memory is used again */
}

static void keep_header(struct analysis *a, int dir, struct str line)
{
    struct http_side *side = side_of(a, dir);
    (void)buf_add(&side->header, analysis_pool(a), line.at, line.len, HTTP_MAX_LINE);
}

static void continue_header(struct analysis *a, int dir, struct str line)
{
    struct http_side *side = side_of(a, dir);
    if (buf_size(&side->header) == 0) {
        while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
            line = str_from(line, 1);
        keep_header(a, dir, line);
        return;
    }
    if (buf_size(&side->header) >= HTTP_MAX_HEADER) {
        analysis_weird(a, "exceeded_mime_max_header_bytes", (struct str){0});
        return;
    }
    side->n_folds++;
    keep_header(a, dir, line);
}

static void header_line(struct analysis *a, int dir, struct http_entity *e, struct str line,
                        bool crlf)
{
    struct http_side *side = side_of(a, dir);
    if (!crlf)
        analysis_weird(a, "http_no_crlf_in_header_list", (struct str){0});
    if (line.len == 0 || line.at[0] == '\0') {
        flush_header(a, dir, e);
        e->in_header = false;
        headers_done(a, dir, e);
        if (!e->ended && e->content == HTTP_MESSAGE)
            begin_child(a, dir, e);
        return;
    }
    if (line.at[0] == ' ' || line.at[0] == '\t') {
        continue_header(a, dir, line);
        return;
    }
    flush_header(a, dir, e);
    if (side->next_known && side->next != ' ' && side->next != '\t')
        http_header(a, dir, e, line, 1);
    else
        keep_header(a, dir, line);
}

/* Bytes of a body that are neither headers nor chunk sizes. */
static void body_bytes(struct analysis *a, int dir, struct http_entity *e, struct str data,
                       bool crlf)
{
    if (e->coding == HTTP_COMPRESSED)
        http_inflate(a, dir, e, data);
    else
        http_entity_clear(a, dir, e, data, crlf);
}

static void chunk(struct analysis *a, int dir, struct http_entity *e, struct str data)
{
    switch ((enum http_chunks)e->chunks) {
    case HTTP_CHUNK_SIZE:
        e->expected = http_number(data, 16);
        if (e->expected < 0) {
            analysis_weird(a, "HTTP_bad_chunk_size", data);
            e->expected = 0;
        }
        if (e->expected > 0) {
            e->chunks = HTTP_CHUNK_DATA;
            set_plain(a, dir, e->expected);
        } else {
            e->in_header = true;
            e->chunks = HTTP_CHUNK_TRAILER;
        }
        return;
    case HTTP_CHUNK_DATA:
        e->expected -= data.len;
        if (e->expected <= 0) {
            set_plain(a, dir, 0);
            e->chunks = HTTP_CHUNK_END;
        }
        body_bytes(a, dir, e, data, false);
        return;
    case HTTP_CHUNK_END:
        e->chunks = HTTP_CHUNK_SIZE;
        return;
    case HTTP_NOT_CHUNKED:
    case HTTP_BEFORE_CHUNK:
    case HTTP_CHUNK_TRAILER:
    case HTTP_CHUNKS_DONE:
        return;
    }
}

static void leaf(struct analysis *a, int dir, struct http_entity *e, struct str data, bool crlf)
{
    if (e->chunks != HTTP_NOT_CHUNKED) {
        chunk(a, dir, e, data);
        return;
    }
    body_bytes(a, dir, e, data, crlf);
    if (e->content_length < 0)
        return;
    e->expected -= data.len;
    if (e->expected <= 0) {
        set_plain(a, dir, 0);
        side_of(a, dir)->announced = -1;
        http_entity_end(a, dir, e);
    }
}

static bool has_parts(const struct http_entity *e)
{
    return !e->in_header && (e->content == HTTP_MULTIPART || e->content == HTTP_MESSAGE);
}

/* True when the line was a boundary. */
static bool boundary(struct analysis *a, int dir, struct http_entity *e, struct str data)
{
    switch (http_is_boundary(e->boundary, data)) {
    case HTTP_NOT_BOUNDARY:
        return false;
    case HTTP_BOUNDARY:
        end_child(a, dir, e);
        if (!e->ended)
            begin_child(a, dir, e);
        return true;
    case HTTP_LAST_BOUNDARY:
        end_child(a, dir, e);
        http_entity_end(a, dir, e);
        return true;
    }
    return false;
}

/* A line or a piece, handed down to the innermost part. */
static void deliver_from(struct analysis *a, int dir, struct http_entity *e, struct str data,
                         bool crlf)
{
    for (; e && !e->ended; e = e->child) {
        if (e->in_header) {
            header_line(a, dir, e, data, crlf);
            return;
        }
        if (!has_parts(e)) {
            leaf(a, dir, e, data, crlf);
            return;
        }
        if (e->coding == HTTP_COMPRESSED) {
            http_inflate(a, dir, e, data);
            return;
        }
        e->body_length += data.len + (crlf ? 2 : 0);
        if (e->content == HTTP_MULTIPART && boundary(a, dir, e, data))
            return;
    }
}

/* Content that is not, or no longer, compressed. Within what was compressed nothing is so again,
 * which bounds how deep this goes. */
void http_entity_clear(struct analysis *a, int dir, struct http_entity *e, struct str data,
                       bool crlf)
{
    e->body_length += data.len + (crlf ? 2 : 0);
    if (!has_parts(e))
        http_decode(a, dir, e, data, crlf);
    else if (e->content != HTTP_MULTIPART || !boundary(a, dir, e, data))
        deliver_from(a, dir, e->child, data, crlf);
}

void http_entity_deliver(struct analysis *a, int dir, struct str data, bool crlf)
{
    struct http_entity *top = &side_of(a, dir)->message.top;
    bool counted = has_parts(top) && !top->ended && top->content_length > 0;
    deliver_from(a, dir, top, data, crlf);
    if (!counted)
        return;
    top->expected -= data.len + (crlf ? 2 : 0);
    if (top->expected <= 0) {
        set_plain(a, dir, 0);
        http_entity_end(a, dir, top);
    }
}

/* The type of a file is known: to the transaction that named it, unless that is logged already. */
static void tell_mime(struct analysis *a, uint32_t depth, const struct file *file)
{
    http_trans_add_mime(http_trans_deepest(http_of(a), depth),
                        file_is_orig(file) ? FLOW_ORIG : FLOW_RESP, file_mime(file));
}

/* Replies to requests for a range belong to one file, whichever connection they come over: all
 * for the same client and URL. */
static uint64_t range_key(const struct analysis *a, const struct http_trans *t, int dir)
{
    if (dir == FLOW_ORIG || !t->range_request)
        return 0;
    uint16_t port = flow_port(a->flow, FLOW_RESP);
    struct str parts[] = {
        str_make(flow_addr(a->flow, FLOW_ORIG)->b, 16),
        str_set(t->host) ? t->host : str_make(flow_addr(a->flow, FLOW_RESP)->b, 16),
        str_make(&port, sizeof port),
        t->uri,
    };
    uint64_t key = 14695981039346656037u; /* FNV-1a */
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        for (uint32_t i = 0; i < parts[k].len; i++)
            key = (key ^ (uint8_t)parts[k].at[i]) * 1099511628211u;
    return key | 1;
}

static void end_file(struct http_entity *e, bool timed_out)
{
    if (timed_out || file_expired(e->file))
        file_end_timedout(e->file);
    else
        file_end(e->file);
    e->file = NULL;
}

/* A file of ranges may have ended in other hands: it is looked for each time. */
static void find_file(struct analysis *a, struct http_entity *e)
{
    if (e->file_key)
        e->file = file_shared(a->context, e->file_key);
    if (e->file && file_expired(e->file))
        end_file(e, true);
}

/* The transaction names the file, and wants to know its type. */
static void name_file(struct analysis *a, int dir, struct http_entity *e, struct http_trans *t)
{
    if (t->has_entity && str_set(t->file_name))
        file_set_name(e->file, t->file_name);
    file_tell_mime(e->file, a, t->depth, tell_mime);
    http_trans_add_file(a, dir, e->file);
}

/* The file that the entity's bytes belong to, made at the first of them. */
static bool open_file(struct analysis *a, int dir, struct http_entity *e)
{
    struct http *h = http_of(a);
    struct http_trans *t = NULL;
    if (!e->file && !e->file_key) {
        t = h->at ? h->at : http_trans_at(a, dir);
        if (!t)
            return false;
        e->file_key = range_key(a, t, dir);
    }
    find_file(a, e);
    if (!t)
        t = h->at;
    if (e->file) {
        if (e->file_key && e->partial && t && file_join(e->file, a))
            name_file(a, dir, e, t);
        return true;
    }
    if (!t)
        return false;
    e->file = file_new(a, dir, "HTTP");
    if (!e->file)
        return false;
    if (e->file_key)
        file_share(e->file, e->file_key);
    name_file(a, dir, e, t);
    return true;
}

/* Content, decoded. */
void http_entity_bytes(struct analysis *a, int dir, struct http_entity *e, struct str bytes)
{
    if (bytes.len == 0 || !open_file(a, dir, e))
        return;
    int64_t total = e->partial ? e->instance_length : e->content_length;
    if (!e->size_unsaid && e->coding == HTTP_IDENTITY && total > 0)
        file_set_total(e->file, (uint64_t)total);
    e->size_unsaid = true;
    const uint8_t *at = (const uint8_t *)bytes.at;
    if (e->partial) {
        file_write_at(e->file, e->offset, at, bytes.len);
        e->offset += bytes.len;
    } else {
        file_write(e->file, at, bytes.len);
    }
    if (file_complete(e->file))
        end_file(e, false);
}

/* What an entity leaves behind when its connection does not need it any more. */
void http_entity_end_file(struct analysis *a, struct http_entity *e, bool timed_out)
{
    if (e->file_key)
        return; /* others may go on with it */
    find_file(a, e);
    if (e->file)
        end_file(e, timed_out);
}

bool http_entity_gap(struct analysis *a, int dir, uint64_t size)
{
    struct http_message *m = &side_of(a, dir)->message;
    struct http_entity *e = m->current ? m->current : &m->top;
    if ((e->ended && e->in_header) || e->body_length == 0 || size > INT64_MAX)
        return false;
    int64_t n = (int64_t)size;
    if (open_file(a, dir, e))
        file_gap_at(e->file, (uint64_t)e->body_length, size);
    if (e->partial)
        e->offset += size;
    bool within =
        e->chunks == HTTP_NOT_CHUNKED ? e->content_length >= 0 : e->chunks == HTTP_CHUNK_DATA;
    if (!within || e->expected < n)
        return false;
    e->body_length += n;
    e->expected -= n;
    set_plain(a, dir, e->expected);
    if (e->expected > 0)
        return true;
    if (e->chunks != HTTP_NOT_CHUNKED)
        e->chunks = HTTP_CHUNK_END;
    else
        http_entity_end(a, dir, e);
    return true;
}

/* What is left when an entity has ended: files end, the message may. */
static void ended(struct analysis *a, int dir, struct http_entity *e)
{
    struct http *h = http_of(a);
    struct http_side *side = &h->side[dir];
    if (h->at)
        h->at->has_entity = false;
    side->message.current = e->parent;
    if (e->parent && e->parent->content == HTTP_MULTIPART)
        side->only_crlf = false;
    bool stays = dir == FLOW_RESP && h->reply_code == 206;
    if (e->file || e->file_key)
        find_file(a, e);
    if (e->file && !stays)
        end_file(e, false);
    else if (e->file && !e->file_key)
        file_share(e->file, 0); /* more may be to come, but it cannot be told from where */
    e->file = NULL;
    if (!e->parent)
        http_message_done(a, dir);
}

static void end_one(struct analysis *a, int dir, struct http_entity *e)
{
    if (e->ended)
        return;
    http_inflate_end(a, e);
    e->ended = true;
    if (e->in_header) {
        flush_header(a, dir, e);
        e->in_header = false;
        headers_done(a, dir, e);
    } else if (e->transfer == HTTP_BASE64) {
        http_decode_end(a, dir, e);
    }
    ended(a, dir, e);
}

/* The innermost first. */
static void end_chain(struct analysis *a, int dir, struct http_entity *e)
{
    struct http_entity *last = e;
    while (last->child)
        last = last->child;
    for (; last != e; last = last->parent)
        end_one(a, dir, last);
    end_one(a, dir, e);
}

void http_entity_end(struct analysis *a, int dir, struct http_entity *e)
{
    if (e->ended)
        return;
    if (!e->in_header)
        end_child(a, dir, e);
    end_one(a, dir, e);
}
