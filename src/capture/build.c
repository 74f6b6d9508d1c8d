/* Captures for the tests of this folder: see build.h. */
#include "capture/build.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

void build_done(struct build *build)
{
    free(build->bytes);
    build->bytes = NULL;
    build->size = build->capacity = 0;
}

void build_bytes(struct build *build, const void *bytes, size_t size)
{
    if (build->size + size > build->capacity) {
        build->capacity = 2 * (build->size + size);
        build->bytes = realloc(build->bytes, build->capacity);
        if (!build->bytes)
            abort();
    }
    if (size > 0)
        memcpy(build->bytes + build->size, bytes, size);
    build->size += size;
}

static void build_number(struct build *build, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * (build->big ? n - 1 - i : i));
        build_bytes(build, &byte, 1);
    }
}

void build_u16(struct build *build, unsigned value)
{
    build_number(build, value, 2);
}

void build_u32(struct build *build, uint64_t value)
{
    build_number(build, value, 4);
}

void build_u64(struct build *build, uint64_t value)
{
    build_number(build, value, 8);
}

static uint8_t frame_byte(unsigned seed, size_t at)
{
    return at == 0 ? (uint8_t)seed : (uint8_t)(seed * 31 + at * 7 + (at >> 8));
}

void build_frame(struct build *build, unsigned seed, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = frame_byte(seed, i);
        build_bytes(build, &byte, 1);
    }
}

void build_pcap_header(struct build *build, uint32_t magic, uint32_t snap_size, uint32_t link)
{
    build_u32(build, magic);
    build_u16(build, 2);
    build_u16(build, 4);
    build_u64(build, 0);
    build_u32(build, snap_size);
    build_u32(build, link);
}

void build_pcap_record(struct build *build, uint32_t seconds, uint32_t fraction, unsigned seed,
                       uint32_t size, uint32_t wire_size)
{
    build_u32(build, seconds);
    build_u32(build, fraction);
    build_u32(build, size);
    build_u32(build, wire_size);
    build_frame(build, seed, size);
}

void build_block(struct build *build, uint32_t type, const struct build *body)
{
    static const uint8_t zeros[4];
    size_t padding = -body->size & 3;
    uint32_t size = (uint32_t)(12 + body->size + padding);
    build_u32(build, type);
    build_u32(build, size);
    build_bytes(build, body->bytes, body->size);
    build_bytes(build, zeros, padding);
    build_u32(build, size);
}

void build_section(struct build *build)
{
    struct build body = {.big = build->big};
    build_u32(&body, 0x1a2b3c4d);
    build_u16(&body, 1);
    build_u16(&body, 0);
    build_u64(&body, UINT64_MAX);
    build_block(build, 0x0a0d0d0a, &body);
    build_done(&body);
}

void build_interface(struct build *build, unsigned link, uint32_t snap_size, int resolution,
                     int64_t offset)
{
    struct build body = {.big = build->big};
    build_u16(&body, link);
    build_u16(&body, 0);
    build_u32(&body, snap_size);
    build_u16(&body, 2); /* if_name, of a length that needs padding */
    build_u16(&body, 5);
    build_bytes(&body, "eth0x\0\0\0", 8);
    if (resolution >= 0) {
        uint8_t value[4] = {(uint8_t)resolution};
        build_u16(&body, 9);
        build_u16(&body, 1);
        build_bytes(&body, value, 4);
    }
    if (offset != 0) {
        build_u16(&body, 14);
        build_u16(&body, 8);
        build_u64(&body, (uint64_t)offset);
    }
    build_u32(&body, 0);
    build_block(build, 1, &body);
    build_done(&body);
}

void build_packet(struct build *build, uint32_t interface, uint64_t ticks, unsigned seed,
                  uint32_t size, uint32_t wire_size)
{
    struct build body = {.big = build->big};
    build_u32(&body, interface);
    build_u32(&body, ticks >> 32);
    build_u32(&body, ticks & UINT32_MAX);
    build_u32(&body, size);
    build_u32(&body, wire_size);
    build_frame(&body, seed, size);
    build_block(build, 6, &body);
    build_done(&body);
}

const char *build_path(const char *name)
{
    static char path[256];
    if (!folder[0]) {
        (void)snprintf(folder, sizeof folder, "/tmp/capture-test-XXXXXX");
        if (!mkdtemp(folder))
            abort();
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

const char *build_file(const char *name, const void *bytes, size_t size)
{
    const char *path = build_path(name);
    FILE *file = fopen(path, "wb");
    if (!file || (size > 0 && fwrite(bytes, 1, size, file) != size) || fclose(file) != 0)
        abort();
    return path;
}

void build_remove_files(void)
{
    DIR *dir = folder[0] ? opendir(folder) : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && unlink(build_path(entry->d_name)) != 0)
            (void)rmdir(build_path(entry->d_name)); /* a test that wants a folder makes one */
    if (dir)
        (void)closedir(dir);
    if (folder[0])
        (void)rmdir(folder);
    folder[0] = '\0';
}

void seen_done(struct seen *seen)
{
    free(seen->frames);
    *seen = (struct seen){0};
}

bool seen_same(const struct seen *a, const struct seen *b)
{
    if (a->n != b->n || a->result != b->result)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->frames[i].ts != b->frames[i].ts || a->frames[i].size != b->frames[i].size ||
            a->frames[i].wire_size != b->frames[i].wire_size ||
            a->frames[i].link != b->frames[i].link || a->frames[i].seed != b->frames[i].seed)
            return false;
    return true;
}

static void seen_add(struct seen *seen, const struct frame *frame)
{
    if (seen->n == seen->capacity) {
        seen->capacity = seen->capacity > 0 ? 2 * seen->capacity : 64;
        seen->frames = realloc(seen->frames, seen->capacity * sizeof *seen->frames);
        if (!seen->frames)
            abort();
    }
    unsigned seed = frame->size > 0 ? frame->bytes[0] : 0;
    bool intact = true;
    for (size_t i = 0; i < frame->size; i++)
        intact = intact && frame->bytes[i] == frame_byte(seed, i);
    size_t n = seen->n++;
    seen->frames[n].ts = frame->ts;
    seen->frames[n].size = frame->size;
    seen->frames[n].wire_size = frame->wire_size;
    seen->frames[n].link = frame->link;
    seen->frames[n].intact = intact;
    seen->frames[n].seed = seed;
}

void seen_read(struct seen *seen, struct capture_cursor *cursor)
{
    struct frame frames[CAPTURE_BURST];
    int n;
    while ((n = capture_next(cursor, frames)) > 0)
        for (int i = 0; i < n; i++)
            seen_add(seen, &frames[i]);
    seen->result = n;
}

static void add_warning(const char *text, void *with)
{
    struct seen *seen = with;
    size_t used = strlen(seen->warnings);
    (void)snprintf(seen->warnings + used, sizeof seen->warnings - used, "%s\n", text);
    seen->n_warnings++;
}

void seen_warnings(struct seen *seen, const struct capture *capture)
{
    capture_warnings(capture, add_warning, seen);
}

bool seen_files(struct seen *seen, const char *const *names, size_t n_names, size_t block_size,
                struct err *err)
{
    struct capture *capture = NULL;
    struct capture_tuning tuning = {.block_size = block_size};
    *seen = (struct seen){0};
    if (capture_open_tuned(names, n_names, 1, &tuning, &capture, err) < 0)
        return false;
    seen_read(seen, capture_cursor(capture, 0));
    seen_warnings(seen, capture);
    capture_close(capture);
    return true;
}

bool seen_file(struct seen *seen, const char *name, size_t block_size, struct err *err)
{
    return seen_files(seen, &name, 1, block_size, err);
}
