#include "tunnel/decoding.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static unsigned int nibble(char c)
{
    assert_true(isxdigit((unsigned char)c));
    return (unsigned int)(isdigit((unsigned char)c) ? c - '0'
                                                    : tolower((unsigned char)c) - 'a' + 10);
}

uint8_t *decoding_bytes(const char *hex, size_t *out_size)
{
    uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
    size_t size = 0;
    for (const char *at = hex; *at; at++) {
        if (*at == ' ' || *at == '|')
            continue;
        bytes[size++] = (uint8_t)(nibble(at[0]) << 4 | nibble(at[1]));
        at++;
    }
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    free(bytes);
    *out_size = size;
    return exact;
}

static struct tunnel_result run(const struct tunnel_decoder *decoder, const uint8_t *bytes,
                                size_t size, struct reader *out, struct packet_layer *layer)
{
    uint8_t *block = malloc(size ? size : 1);
    memcpy(block, bytes, size);
    struct reader r = rd_make(block, size);
    struct tunnel_result result = decoder->decode(&r, layer);
    if (!rd_ok(&r))
        result.next = TUNNEL_NOT_MINE;
    assert_true(r.at >= block && r.at <= r.end && r.end <= block + size);
    if (decoder->detect)
        decoder->detect(rd_make(block, size));
    *out = r;
    free(block);
    return result;
}

static void check_row(const struct tunnel_decoder *decoder, const struct decoding *row)
{
    size_t size;
    uint8_t *bytes = decoding_bytes(row->hex, &size);
    for (size_t prefix = 0; prefix <= size; prefix++) {
        struct reader r;
        struct packet_layer layer = {.ip_proto = row->ip_proto};
        struct tunnel_result result = run(decoder, bytes, prefix, &r, &layer);
        if (result.next == TUNNEL_DECODER) {
            assert_non_null(result.decoder);
            assert_ptr_not_equal(result.decoder, decoder);
        }
        if (prefix < size)
            continue;
        if (result.next != row->next)
            fail_msg("%s: next is %d, not %d", row->what, (int)result.next, (int)row->next);
        if (row->weird)
            assert_string_equal(result.weird ? result.weird : "(none)", row->weird);
        else
            assert_null(result.weird);
        if (row->next == TUNNEL_NOT_MINE)
            continue;
        if (row->next != TUNNEL_CONTROL && rd_left(&r) != row->left)
            fail_msg("%s: %zu bytes left, not %zu", row->what, rd_left(&r), row->left);
        assert_ptr_equal(result.decoder, row->decoder);
        assert_int_equal(result.ethertype, row->ethertype);
        assert_int_equal(result.link, row->link);
        assert_int_equal(result.confirmed, row->confirmed);
        assert_int_equal(layer.has_id, row->has_id);
        assert_int_equal(layer.id, row->id);
        assert_int_equal(layer.has_seq, row->has_seq);
        assert_int_equal(layer.seq, row->seq);
        assert_int_equal(layer.truncated, row->truncated);
        assert_int_equal(layer.direction, row->direction);
    }
    free(bytes);
}

void decoding_check(const struct tunnel_decoder *decoder, const struct decoding *rows,
                    size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        check_row(decoder, &rows[i]);
        decoding_shake(decoder, rows[i].hex);
    }
}

void decoding_shake(const struct tunnel_decoder *decoder, const char *hex)
{
    size_t size;
    uint8_t *bytes = decoding_bytes(hex, &size);
    for (size_t at = 0; at < size; at++) {
        uint8_t kept = bytes[at];
        for (unsigned int value = 0; value < 256; value++) {
            struct reader r;
            struct packet_layer layer = {0};
            bytes[at] = (uint8_t)value;
            run(decoder, bytes, size, &r, &layer);
        }
        bytes[at] = kept;
    }
    free(bytes);
}
