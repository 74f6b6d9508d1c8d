/* For the tests of this folder: captures made in memory, byte by byte, in either byte order; files
 * of them in a folder that goes away; and all frames of a capture as one list. */
#ifndef CAPTURE_BUILD_H
#define CAPTURE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/capture.h"
#include "capture/set.h"

struct build {
    uint8_t *bytes;
    size_t size, capacity;
    bool big;
};

void build_done(struct build *build);
void build_bytes(struct build *build, const void *bytes, size_t size);
void build_u16(struct build *build, unsigned value);
void build_u32(struct build *build, uint64_t value);
void build_u64(struct build *build, uint64_t value);

/* A frame of `size` bytes whose contents follow from `seed`. */
void build_frame(struct build *build, unsigned seed, size_t size);

void build_pcap_header(struct build *build, uint32_t magic, uint32_t snap_size, uint32_t link);
void build_pcap_record(struct build *build, uint32_t seconds, uint32_t fraction, unsigned seed,
                       uint32_t size, uint32_t wire_size);

void build_section(struct build *build);
/* An interface; resolution < 0 and offset 0: without these options. */
void build_interface(struct build *build, unsigned link, uint32_t snap_size, int resolution,
                     int64_t offset);
void build_packet(struct build *build, uint32_t interface, uint64_t ticks, unsigned seed,
                  uint32_t size, uint32_t wire_size);
/* Any block: the body is padded. */
void build_block(struct build *build, uint32_t type, const struct build *body);

/* The folder is made at the first call and removed with all in it by build_remove_files(). */
const char *build_path(const char *name);
const char *build_file(const char *name, const void *bytes, size_t size);
void build_remove_files(void);

struct seen {
    struct {
        int64_t ts;
        uint32_t size, wire_size;
        uint16_t link;
        bool intact; /* contents are those of build_frame() */
        unsigned seed;
    } * frames;
    size_t n, capacity;
    int result;
    char warnings[4096]; /* one a line */
    unsigned n_warnings;
};

void seen_done(struct seen *seen);
bool seen_same(const struct seen *a, const struct seen *b);

/* Everything of one worker's cursor. */
void seen_read(struct seen *seen, struct capture_cursor *cursor);

/* Opens the files, reads all with one worker, closes. False: could not be opened, see err. */
bool seen_files(struct seen *seen, const char *const *names, size_t n_names, size_t block_size,
                struct err *err);
bool seen_file(struct seen *seen, const char *name, size_t block_size, struct err *err);
void seen_warnings(struct seen *seen, const struct capture *capture);

#endif
