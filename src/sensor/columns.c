/* Extra columns: see columns.h. Community ID: version 1, seed 0 (the community-id specification).
 */
#include "sensor/columns.h"

#include <stdlib.h>

#include "base/hash.h"
#include "source/network.h"
#include "tunnel/tunnel.h"

static void put_id(struct rec *rec, const struct source *source, const char *encapsulation)
{
    if (source && source->has_id &&
        strncmp(source->decoder->name, encapsulation, strlen(encapsulation)) == 0)
        rec_count(rec, source->id);
    else
        rec_unset(rec);
}

/* Sources that are met at all are met again and again: their columns are rendered once. */
#define N_KEPT 1024

struct columns {
    struct source_table *table;
    struct rec_kept *kept[N_KEPT]; /* by the source's number */
};

struct columns *columns_new(struct source_table *table)
{
    struct columns *columns = calloc(1, sizeof *columns);
    if (columns)
        columns->table = table;
    return columns;
}

void columns_forget(struct columns *columns)
{
    for (size_t i = 0; i < N_KEPT; i++) {
        free(columns->kept[i]);
        columns->kept[i] = NULL;
    }
}

void columns_free(struct columns *columns)
{
    if (!columns)
        return;
    columns_forget(columns);
    free(columns);
}

static void render_source(struct rec *rec, struct source_table *table, uint16_t number)
{
    const struct source *source = source_get(table, number);
    struct str name = source ? str_c(source->name) : (struct str){0};
    rec_str(rec, name);
    put_id(rec, source, "vxlan");
    put_id(rec, source, "geneve");
    rec_str(rec, name);
    rec_str(rec, source ? str_make(source_network_uuid(table, number), NETWORK_UUID_LEN)
                        : (struct str){0});
}

void columns_put_source(struct rec *rec, struct columns *columns, uint16_t number)
{
    struct rec_kept **kept = number < N_KEPT ? &columns->kept[number] : NULL;
    if (kept && *kept && (*kept)->size) {
        rec_put_kept(rec, *kept);
        return;
    }
    size_t mark = rec_mark(rec);
    render_source(rec, columns->table, number);
    if (kept && !*kept && (*kept = calloc(1, sizeof **kept)))
        rec_keep(rec, mark, 5, *kept);
}

static size_t base64(const uint8_t *in, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) |
                     (i + 2 < n ? in[i + 2] : 0);
        out[at++] = digits[v >> 18];
        out[at++] = digits[v >> 12 & 63];
        out[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        out[at++] = i + 2 < n ? digits[v & 63] : '=';
    }
    return at;
}

void columns_put_community_id(struct rec *rec, const struct flow *f)
{
    if (!f) {
        rec_unset(rec);
        return;
    }
    /* seed, two addresses, protocol, padding, two ports; the lower end first. */
    uint8_t in[2 + 32 + 2 + 4] = {0};
    size_t at = 2;
    int low = f->one_way ? FLOW_ORIG : FLOW_ORIG ^ f->orig_is_1; /* the key is in order already */
    for (int i = 0; i < 2; i++) {
        const struct addr *a = flow_addr(f, low ^ i);
        size_t size = addr_is_v4(a) ? 4 : 16;
        memcpy(in + at, a->b + 16 - size, size);
        at += size;
    }
    in[at++] = f->ip_proto;
    in[at++] = 0;
    if (f->proto != FLOW_UNKNOWN) {
        for (int i = 0; i < 2; i++) {
            in[at++] = (uint8_t)(flow_port(f, low ^ i) >> 8);
            in[at++] = (uint8_t)flow_port(f, low ^ i);
        }
    }
    uint8_t digest[20];
    hash_sha1(in, at, digest);
    char text[2 + 28] = "1:";
    rec_str(rec, str_make(text, 2 + base64(digest, sizeof digest, text + 2)));
}
