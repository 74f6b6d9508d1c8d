/* What the files of the HTTP analyzer share: the state of a connection, of its messages, and of the
 * transactions that will be lines of http.log. Only proto/http*.c includes it.
 *
 *     http.c          cuts the stream into lines and plain bytes, and is the analyzer
 *     http_message.c  request and reply lines, where a message begins and ends
 *     http_entity.c   a message's headers and body: length, chunks, parts, ranges
 *     http_header.c   header fields: which end up in the log, and how they are read
 *     http_mime.c     tokens, multipart boundaries, transfer encodings
 *     http_inflate.c  gzip and deflate
 *     http_log.c      transactions, http.log
 *     http_tunnel.c   what follows CONNECT and Upgrade
 */
#ifndef PROTO_HTTP_STATE_H
#define PROTO_HTTP_STATE_H

#include "proto/analyzer.h"
#include "proto/file.h"

#define HTTP_MAX_LINE    (1u << 20) /* bytes of one line */
#define HTTP_MAX_HEADER  (1u << 16) /* bytes of one header with its continuations: as Zeek */
#define HTTP_MAX_DEPTH   100        /* of parts in parts: as Zeek */
#define HTTP_MAX_PENDING 100        /* requests without a reply: as Zeek */
#define HTTP_MAX_FILES   15         /* named in one line of the log and direction: as Zeek */
#define HTTP_MAX_PROXIED 16
#define HTTP_MAX_METHODS 128 /* remembered of requests that wait: more are not HEAD */

/* Log strings of a transaction; arena lifetime, all gone when it is logged. */
struct http_files {
    uint8_t n_ids, n_names, n_mimes;
    struct flow_uid ids[HTTP_MAX_FILES];
    struct str names[HTTP_MAX_FILES];
    const char *mimes[HTTP_MAX_FILES];
};

/* A line of http.log in the making. */
struct http_trans {
    struct http_trans *next;
    uint64_t number; /* key among the pending: that of the request */
    uint32_t depth;  /* trans_depth; unique in the connection */
    int64_t ts;
    struct arena arena;
    struct str method, host, uri, referrer, user_agent, origin, username;
    struct str status_msg, info_msg;
    uint16_t status, info; /* code */
    uint8_t major, minor;  /* version of the reply */
    bool has_status, has_info, range_request;
    uint64_t body_len[2];
    uint32_t n_entities[2];
    bool has_entity;      /* the current one, of either direction */
    struct str file_name; /* of the current entity */
    uint8_t n_proxied;
    struct str *proxied; /* HTTP_MAX_PROXIED of them, or NULL */
    struct http_files *files[2];
};

enum http_content { HTTP_TEXT, HTTP_MULTIPART, HTTP_MESSAGE, HTTP_OTHER };
enum http_transfer { HTTP_BINARY, HTTP_QUOTED, HTTP_BASE64 };
enum http_coding { HTTP_IDENTITY, HTTP_COMPRESSED };
enum http_expect { HTTP_NO_BODY, HTTP_BODY, HTTP_MAYBE_BODY };

enum http_chunks {
    HTTP_NOT_CHUNKED,
    HTTP_BEFORE_CHUNK, /* announced in the headers */
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_END, /* the line end after the data */
    HTTP_CHUNK_TRAILER,
    HTTP_CHUNKS_DONE,
};

struct http_zip;

/* A message, or a part of a multipart one. */
struct http_entity {
    struct http_entity *parent, *child;
    uint32_t depth;
    bool in_header, ended;
    bool partial, expect_100, size_unsaid, crlf_owed;
    bool was_compressed;                                   /* an entity around it is */
    uint8_t content;                                       /* enum http_content */
    uint8_t transfer;                                      /* enum http_transfer */
    uint8_t coding;                                        /* enum http_coding */
    uint8_t chunks;                                        /* enum http_chunks */
    uint8_t expect;                                        /* enum http_expect */
    int64_t content_length, range_length, instance_length; /* -1: not said */
    int64_t expected; /* bytes still to come, of the body or the chunk */
    int64_t body_length;
    uint64_t offset;     /* in the whole file, of a range */
    struct str boundary; /* pool memory */
    struct http_zip *zip;
    struct file *file;
    uint64_t file_key; /* 0, or that of a file of ranges, which other messages may go on with */
    uint32_t base64;   /* bits not yet a byte, below a marker bit */
};

struct http_message {
    bool exists; /* began, and maybe ended */
    bool done;
    struct http_entity top;
    struct http_entity *current; /* the innermost that began; NULL: top */
};

enum http_expect_line {
    HTTP_EXPECT_LINE,
    HTTP_EXPECT_MESSAGE,
    HTTP_EXPECT_NOTHING,
    HTTP_EXPECT_09
};

/* One direction: how the stream is cut, and the message in it. */
struct http_side {
    uint8_t state; /* enum http_expect_line */
    bool ongoing;
    bool skip;         /* after a gap: all that follows is dropped */
    bool lines_off;    /* bytes are handed on uncut: HTTP/0.9, tunnels */
    bool only_crlf;    /* line ends are CR LF, as within parts; else also CR or LF alone */
    bool after_cr;     /* the last byte was a CR that ended a line */
    int64_t plain;     /* bytes to hand on uncut */
    int64_t announced; /* bytes of a body that is cut into lines; -1: not known */
    size_t remaining;  /* bytes of this delivery after the line or piece at hand */
    bool next_known;   /* the first of them is `next` */
    uint8_t next;
    struct buf line;   /* begun, its end has not come */
    struct buf header; /* complete, but the next line may continue it */
    uint32_t n_folds;
    uint8_t major, minor;
    struct http_message message;
};

struct http {
    struct http_side side[2];
    bool keep_alive, connection_close;
    bool connect; /* a CONNECT request is on its way */
    bool tunnel;  /* the connection now carries something else */
    bool upgrade; /* the reply has Connection: upgrade */
    bool cr_weird;
    struct str upgrade_protocol; /* of the reply at hand; pool memory */
    uint32_t n_requests, n_replies;
    uint16_t reply_code;
    struct str reason; /* borrowed: of the reply line at hand */

    /* Requests that wait for their reply, oldest first: is it HEAD? */
    uint32_t n_waiting, first_waiting;
    uint8_t waiting_head[HTTP_MAX_METHODS];

    /* Pending transactions, oldest first. */
    struct http_trans *pending, *last_pending;
    uint32_t n_pending, n_trans;
    uint64_t current[2];       /* number of the transaction each direction is at */
    struct http_trans *at;     /* the one last spoken of; may be `logged` */
    struct http_trans *logged; /* written already, but still spoken of */

    struct http_tunnel *inner;
};

static inline struct http *http_of(struct analysis *a)
{
    return (struct http *)a->state;
}

/* http_message.c */
/* False: the analyzer was taken off, return at once. */
bool http_line(struct analysis *a, int dir, struct str line);
void http_plain(struct analysis *a, int dir, struct str bytes);
void http_raw(struct analysis *a, struct str bytes);
void http_request_made(struct analysis *a, bool interrupted);
void http_reply_made(struct analysis *a, bool interrupted);
void http_message_done(struct analysis *a, int dir);
void http_message_free(struct analysis *a, int dir);

/* http_entity.c */
void http_entity_init(struct http_entity *e, struct http_entity *parent, enum http_expect expect);
void http_entity_say_began(struct analysis *a, int dir);
void http_entity_deliver(struct analysis *a, int dir, struct str data, bool crlf);
/* True when the gap lies within the body and parsing can go on. */
bool http_entity_gap(struct analysis *a, int dir, uint64_t size);
void http_entity_end(struct analysis *a, int dir, struct http_entity *e);
void http_entity_end_file(struct analysis *a, struct http_entity *e, bool timed_out);
void http_entity_bytes(struct analysis *a, int dir, struct http_entity *e, struct str bytes);
void http_entity_clear(struct analysis *a, int dir, struct http_entity *e, struct str data,
                       bool crlf);

/* http_header.c */
void http_header(struct analysis *a, int dir, struct http_entity *e, struct str line,
                 uint32_t n_lines);

/* http_mime.c */
struct str http_token(struct str text, struct str *rest);
int64_t http_number(struct str text, unsigned base); /* -1: none, or too large */
bool http_content_type(struct str value, struct http_entity *e, struct str *boundary);
enum http_boundary { HTTP_NOT_BOUNDARY, HTTP_BOUNDARY, HTTP_LAST_BOUNDARY };
enum http_boundary http_is_boundary(struct str boundary, struct str line);
struct str http_skip_blanks_comments(struct str text);
void http_decode(struct analysis *a, int dir, struct http_entity *e, struct str data, bool crlf);
void http_decode_end(struct analysis *a, int dir, struct http_entity *e);
struct str http_base64(struct arena *arena, struct str text); /* unset: not base64 */
struct str http_unescape(struct arena *arena, struct str uri, struct analysis *weird_to);
bool http_names_file(struct str name, struct str value);
struct str http_file_name(struct arena *arena, struct str value);

/* http_inflate.c */
void http_inflate(struct analysis *a, int dir, struct http_entity *e, struct str data);
void http_inflate_end(struct analysis *a, struct http_entity *e);

/* http_log.c */
extern const struct log_schema http_log, http_open_log;
struct http_trans *http_trans_at(struct analysis *a, int dir); /* makes it where there is none */
static inline struct http_trans *http_trans_now(struct analysis *a, int dir) /* the same, fast */
{
    const struct http *h = http_of(a);
    bool is = h->at && h->at != h->logged && h->at->number == h->current[dir];
    return is ? h->at : http_trans_at(a, dir);
}
struct http_trans *http_trans_deepest(struct http *h, uint32_t depth);
void http_trans_request(struct analysis *a, struct str method, struct str uri);
void http_trans_reply(struct analysis *a);
void http_trans_done(struct analysis *a, int dir, uint64_t body_length);
void http_trans_add_file(struct analysis *a, int dir, const struct file *file);
void http_trans_add_mime(struct http_trans *t, int dir, struct str mime);
void http_trans_log_all(struct analysis *a);
void http_trans_log_open(struct analysis *a);

/* http_tunnel.c */
void http_tunnel_start(struct analysis *a, struct str protocol);
void http_tunnel_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size);
void http_tunnel_gap(struct analysis *a, int dir, uint64_t size);
void http_tunnel_end(struct analysis *a);

#endif
