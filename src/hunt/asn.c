/* AS numbers of addresses: see asn.h. Ranges are sorted by their first address, and looked up in
 * logarithmic time. */
#include "hunt/asn.h"

#include <errno.h>
#include <stdlib.h>

#include "base/options.h"
#include "hunt/scope.h"
#include "hunt/text_file.h"

struct range {
    struct addr first, last;
    uint32_t number;
};

struct hunt_asn {
    struct range *ranges;
    size_t n, room;
};

static bool copy_word(struct str word, char out[64])
{
    if (word.len >= 64)
        return false;
    memcpy(out, word.at, word.len);
    out[word.len] = '\0';
    return true;
}

static void range_of_prefix(const struct hunt_prefix *prefix, struct range *out)
{
    out->first = out->last = prefix->net;
    for (unsigned bit = prefix->bits; bit < 128; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        out->first.b[bit / 8] &= (uint8_t)~mask;
        out->last.b[bit / 8] |= mask;
    }
}

static bool parse_number(struct str word, uint32_t *out)
{
    char text[64];
    uint64_t number;
    if (word.len > 2 && (word.at[0] == 'A' || word.at[0] == 'a') &&
        (word.at[1] == 'S' || word.at[1] == 's'))
        word = str_from(word, 2);
    if (!copy_word(word, text) || !options_number(text, UINT32_MAX, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool parse_line(struct str line, struct range *out)
{
    struct str first, second;
    char text[64];
    struct hunt_prefix prefix;
    if (!text_file_word(&line, &first) || !copy_word(first, text))
        return false;
    if (strchr(text, '/')) {
        if (!hunt_prefix_parse(text, &prefix) || !text_file_word(&line, &second))
            return false;
        range_of_prefix(&prefix, out);
        return parse_number(second, &out->number);
    }
    if (!addr_parse(text, &out->first) || !text_file_word(&line, &second) ||
        !copy_word(second, text) || !addr_parse(text, &out->last))
        return false;
    return addr_order(&out->first, &out->last) <= 0 && text_file_word(&line, &second) &&
           parse_number(second, &out->number);
}

static int by_first(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return addr_order(&x->first, &y->first);
}

static bool add(struct hunt_asn *asn, const struct range *range)
{
    if (asn->n == asn->room) {
        size_t room = asn->room ? asn->room * 2 : 1024;
        struct range *grown = reallocarray(asn->ranges, room, sizeof *grown);
        if (!grown)
            return false;
        asn->ranges = grown;
        asn->room = room;
    }
    asn->ranges[asn->n++] = *range;
    return true;
}

int hunt_asn_take(struct str text, const char *name, struct hunt_asn **out, struct err *err)
{
    struct hunt_asn *asn = calloc(1, sizeof *asn);
    struct str line;
    if (!asn)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t number = 1; text_file_line(&text, &line); number++) {
        struct range range;
        line = str_trim(line);
        if (line.len == 0 || line.at[0] == '#')
            continue;
        if (!parse_line(line, &range)) {
            hunt_asn_free(asn);
            return err_set(err, -EINVAL,
                           "%s:%zu: a line here is FIRST LAST NUMBER (as of iptoasn.com) or "
                           "NETWORK/BITS NUMBER",
                           name, number);
        }
        if (range.number != 0 && !add(asn, &range)) {
            hunt_asn_free(asn);
            return err_set(err, -ENOMEM, "%s: out of memory", name);
        }
    }
    if (asn->n > 0)
        qsort(asn->ranges, asn->n, sizeof *asn->ranges, by_first);
    *out = asn;
    return 0;
}

int hunt_asn_load(const char *path, struct hunt_asn **out, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    int result = text_file_read(path, HUNT_ASN_MAX_SIZE, &text, &size, err);
    if (result < 0)
        err_wrap(err, "AS numbers");
    else
        result = hunt_asn_take(str_make(text, size), path, out, err);
    free(text);
    return result;
}

void hunt_asn_free(struct hunt_asn *asn)
{
    if (!asn)
        return;
    free(asn->ranges);
    free(asn);
}

uint32_t hunt_asn_of(const struct hunt_asn *asn, const struct addr *addr)
{
    size_t low = 0, high = asn->n; /* the first that begins after the address */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (addr_order(&asn->ranges[middle].first, addr) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    /* A range that began before may hold one that ended before: a few steps back are looked at. */
    for (size_t i = 0; i < 8 && i < low; i++)
        if (addr_order(&asn->ranges[low - 1 - i].last, addr) >= 0)
            return asn->ranges[low - 1 - i].number;
    return 0;
}
