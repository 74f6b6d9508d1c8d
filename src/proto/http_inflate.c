/* Bodies with Content-Encoding gzip or deflate (RFC 1950, 1951, 1952), taken out so that their
 * length and type are those of the content.
 *
 * zlib works in the worker's pool. A stream may grow at most HTTP_INFLATE_RATIO times once it is
 * past HTTP_INFLATE_FREE bytes: what a bomb holds after that is not looked at. */
#include <zlib.h>

#include "flow/weird.h"
#include "proto/http_state.h"

#define HTTP_INFLATE_FREE  (UINT64_C(16) << 20)
#define HTTP_INFLATE_RATIO 300
#define HTTP_ZIP_BLOCK     4096
#define BLOCK_HEADER       16

struct http_zip {
    z_stream stream;
    struct pool *pool;
    bool begun, ended;
    uint64_t n_in, n_out;
};

static void *zip_alloc(void *opaque, unsigned n, unsigned size)
{
    size_t want = (size_t)n * size + BLOCK_HEADER;
    size_t *block = pool_get(opaque, want);
    if (!block)
        return Z_NULL;
    *block = want; /* to give back the same size */
    return (char *)block + BLOCK_HEADER;
}

static void zip_free(void *opaque, void *address)
{
    size_t *block = (size_t *)(void *)((char *)address - BLOCK_HEADER);
    pool_put(opaque, block, *block);
}

static bool zip_open(struct http_zip *zip, int window_bits)
{
    zip->stream =
        (z_stream){.zalloc = zip_alloc, .zfree = zip_free, .opaque = zip->pool, .next_in = NULL};
    bool opened = inflateInit2(&zip->stream, window_bits) == Z_OK;
    if (!opened)
        zip->ended = true;
    return opened;
}

static bool zip_new(struct analysis *a, struct http_entity *e)
{
    e->zip = pool_get(analysis_pool(a), sizeof *e->zip);
    if (!e->zip)
        return false;
    e->zip->pool = analysis_pool(a);
    (void)zip_open(e->zip, MAX_WBITS + 32); /* tells gzip from zlib by itself */
    return true;
}

static void zip_close(struct http_zip *zip)
{
    (void)inflateEnd(&zip->stream);
    zip->ended = true;
}

static bool is_bomb(const struct http_zip *zip)
{
    return zip->n_out > HTTP_INFLATE_FREE && zip->n_out / HTTP_INFLATE_RATIO > zip->n_in;
}

void http_inflate(struct analysis *a, int dir, struct http_entity *e, struct str data)
{
    if (!e->zip && !zip_new(a, e))
        return;
    struct http_zip *zip = e->zip;
    if (zip->ended || data.len == 0)
        return;
    zip->n_in += data.len;
    zip->stream.next_in = (z_const Bytef *)data.at;
    zip->stream.avail_in = data.len;
    bool may_restart = true;
    for (;;) {
        Bytef out[HTTP_ZIP_BLOCK];
        zip->stream.next_out = out;
        zip->stream.avail_out = sizeof out;
        int status = inflate(&zip->stream, Z_SYNC_FLUSH);
        if (status == Z_DATA_ERROR && may_restart) { /* some servers leave the header away */
            (void)inflateEnd(&zip->stream);
            if (!zip_open(zip, -MAX_WBITS))
                return;
            zip->stream.next_in = (z_const Bytef *)data.at;
            zip->stream.avail_in = data.len;
            may_restart = false;
            continue;
        }
        if (status != Z_OK && status != Z_STREAM_END) {
            weird_flow(a->context, a->flow, "inflate_failed", (struct str){0}, "ZIP");
            zip_close(zip);
            return;
        }
        may_restart = false;
        size_t size = sizeof out - zip->stream.avail_out;
        zip->n_out += size;
        if (size > 0)
            http_entity_clear(a, dir, e, str_make(out, size), false);
        if (e->zip != zip)
            return; /* a last boundary in it ended the entity */
        if (status == Z_STREAM_END || is_bomb(zip))
            zip_close(zip);
        if (zip->ended || zip->stream.avail_in == 0)
            return;
    }
}

void http_inflate_end(struct analysis *a, struct http_entity *e)
{
    if (!e->zip)
        return;
    if (!e->zip->ended)
        zip_close(e->zip);
    pool_put(analysis_pool(a), e->zip, sizeof *e->zip);
    e->zip = NULL;
    e->coding = HTTP_IDENTITY;
}
