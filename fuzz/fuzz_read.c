/* Frames through the whole pipeline, to log lines. The first byte chooses the link type, the bits of
 * the second the options; then come frames, a tenth of a second apart. */
#include "fuzz/frames.h"
#include "fuzz/sensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const uint16_t links[] = {LINK_ETHERNET, LINK_RAW, LINK_SLL, LINK_SLL2, LINK_NULL};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    uint16_t link = links[rd_u8(&r) % (sizeof(links) / sizeof(*links))];
    uint8_t bits = rd_u8(&r);
    struct pipeline_options options = {
        .stack.auto_mirror = bits & 1,
        .mirror = bits & 1,
        .memory = 8u << 20,
        .n_workers = 1,
        .validate_checksums = bits & 2,
        .community_id = bits & 4,
        .ja3 = bits & 8,
        .ja4 = bits & 8,
    };
    struct pipeline *pipeline = sensor_start(&options);
    int64_t now = 1700000000000000000;
    size_t frame_size;
    uint8_t *block;
    while ((block = frames_next(&r, &frame_size))) {
        now += 100000000;
        struct frame frame = {.ts = now,
                              .bytes = block,
                              .size = (uint32_t)frame_size,
                              .wire_size = (uint32_t)frame_size,
                              .link = link};
        pipeline_frames(pipeline, &frame, 1);
        free(block);
    }
    sensor_end(pipeline);
    return 0;
}
