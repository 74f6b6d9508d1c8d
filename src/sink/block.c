/* Writing the blocks of a pcapng file: see block.h. */
#include "sink/block.h"

enum option {
    OPTION_COMMENT = 1,
    SECTION_APPLICATION = 4,
    INTERFACE_NAME = 2,
    INTERFACE_DESCRIPTION = 3,
    INTERFACE_RESOLUTION = 9,
};

struct cursor {
    uint8_t *start, *at;
};

static void put(struct cursor *c, const void *bytes, size_t size)
{
    if (size)
        memcpy(c->at, bytes, size);
    c->at += size;
    while ((c->at - c->start) % 4)
        *c->at++ = 0;
}

static void put32(struct cursor *c, uint32_t value)
{
    put(c, &value, sizeof value);
}

static struct cursor begin(uint8_t *out, enum block_type type)
{
    struct cursor c = {.start = out, .at = out};
    put32(&c, (uint32_t)type);
    put32(&c, 0); /* the size, when it is known */
    return c;
}

static size_t end(struct cursor *c)
{
    uint32_t size = (uint32_t)(c->at - c->start) + 4;
    put32(c, size);
    memcpy(c->start + 4, &size, 4);
    return size;
}

static void put_option(struct cursor *c, enum option code, struct str text)
{
    if (!str_set(text))
        return;
    text = str_upto(text, BLOCK_TEXT_MAX);
    uint16_t head[2] = {(uint16_t)code, (uint16_t)text.len};
    put(c, head, sizeof head);
    put(c, text.at, text.len);
}

static void put_end_of_options(struct cursor *c)
{
    put32(c, 0);
}

size_t block_section(uint8_t *out, struct str application, struct str comment)
{
    static const int64_t unknown = -1;
    struct cursor c = begin(out, BLOCK_SECTION);
    put32(&c, 0x1a2b3c4d);
    put32(&c, 1); /* version 1.0 */
    put(&c, &unknown, sizeof unknown);
    put_option(&c, SECTION_APPLICATION, application);
    put_option(&c, OPTION_COMMENT, comment);
    if (str_set(application) || str_set(comment))
        put_end_of_options(&c);
    return end(&c);
}

size_t block_interface(uint8_t *out, uint16_t link, uint32_t snap, struct str name,
                       struct str description, struct str comment)
{
    static const uint8_t nanoseconds = 9;
    struct cursor c = begin(out, BLOCK_INTERFACE);
    put32(&c, link);
    put32(&c, snap); /* 0: none */
    put_option(&c, OPTION_COMMENT, comment);
    put_option(&c, INTERFACE_NAME, name);
    put_option(&c, INTERFACE_DESCRIPTION, description);
    put_option(&c, INTERFACE_RESOLUTION, str_make(&nanoseconds, 1));
    put_end_of_options(&c);
    return end(&c);
}

size_t block_packet(uint8_t *out, uint32_t interface, int64_t ts, const uint8_t *bytes,
                    uint32_t size, uint32_t wire_size, struct str comment)
{
    struct cursor c = begin(out, BLOCK_PACKET);
    put32(&c, interface);
    put32(&c, (uint32_t)((uint64_t)ts >> 32));
    put32(&c, (uint32_t)ts);
    put32(&c, size);
    put32(&c, wire_size < size ? size : wire_size);
    put(&c, bytes, size);
    if (str_set(comment)) {
        put_option(&c, OPTION_COMMENT, comment);
        put_end_of_options(&c);
    }
    return end(&c);
}

void block_set_interface(uint8_t *block, uint32_t interface)
{
    memcpy(block + 8, &interface, sizeof interface);
}
