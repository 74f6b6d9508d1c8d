/* A log's text, from blocks of their exact sizes, once whole and once line by line: both times the
 * same comes of it. The first byte says which log it is. */
#include <stdlib.h>
#include <string.h>

#include "hunt/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct sum {
    uint64_t n, times, uids, text;
    struct hunt_read_counts counts;
    int refused;
};

static void add_text(struct sum *sum, struct str s)
{
    for (uint32_t i = 0; i < s.len; i++)
        sum->text = sum->text * 31 + (uint8_t)s.at[i];
}

static void add(struct sum *sum, const struct hunt_record *r)
{
    sum->n++;
    sum->times += (uint64_t)r->ts;
    sum->uids += r->uid + r->orig_port + r->proto;
    if (r->ts < 0)
        abort();
    add_text(sum, r->machine);
    switch (r->log) {
    case HUNT_HTTP:
    case HUNT_OPEN_HTTP:
        add_text(sum, r->http.uri);
        add_text(sum, r->http.resp_mime);
        break;
    case HUNT_SSL:
    case HUNT_OPEN_SSL:
    case HUNT_QUIC:
        add_text(sum, r->ssl.server_name);
        add_text(sum, r->ssl.cert_chain);
        break;
    case HUNT_DNS:
        add_text(sum, r->dns.query);
        add_text(sum, r->dns.answers);
        break;
    case HUNT_X509:
        add_text(sum, r->x509.san);
        break;
    case HUNT_CONN:
    case HUNT_OPEN_CONN:
        if (!r->has_ends)
            abort();
        add_text(sum, r->conn.history);
        break;
    case HUNT_SMTP:
        add_text(sum, r->smtp.last_reply);
        break;
    case HUNT_TUNNEL:
        add_text(sum, r->tunnel.type);
        add_text(sum, r->tunnel.action);
        break;
    case HUNT_SSH:
    case HUNT_NOTICE:
    case HUNT_CAPTURE_LOSS:
    case HUNT_N_LOGS:
        break;
    }
}

static void take(struct hunt_lines *lines, const char *text, size_t size, struct sum *sum)
{
    const struct hunt_record *records;
    struct err err = {""};
    char *block = malloc(size ? size : 1);
    if (!block)
        abort();
    memcpy(block, text, size);
    long n = hunt_lines_take(lines, block, size, &records, &sum->counts, &err);
    if (n < 0 && !err.text[0])
        abort();
    sum->refused = n < 0;
    for (long i = 0; i < n; i++)
        add(sum, &records[i]);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 1)
        return 0;
    enum hunt_log log = (enum hunt_log)(bytes[0] % HUNT_N_LOGS);
    const char *text = (const char *)bytes + 1;
    size_t left = size - 1;
    struct hunt_lines *once = hunt_lines_new(log), *pieces = hunt_lines_new(log);
    struct sum a = {0}, b = {0};
    if (!once || !pieces)
        abort();
    take(once, text, left, &a);
    /* Whole lines, one a piece; what is behind the last newline as it is. */
    while (left > 0) {
        const char *end = memchr(text, '\n', left);
        size_t n = end ? (size_t)(end - text) + 1 : left;
        take(pieces, text, n, &b);
        text += n;
        left -= n;
    }
    if (!a.refused && !b.refused &&
        (a.n != b.n || a.times != b.times || a.uids != b.uids || a.text != b.text ||
         a.counts.n_bad_lines != b.counts.n_bad_lines || a.counts.n_lines != b.counts.n_lines))
        abort();
    if (a.refused != b.refused)
        abort();
    hunt_lines_free(once);
    hunt_lines_free(pieces);
    return 0;
}
