/* A capture file of any of the formats, given as a file in memory, read to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void touch(const struct frame *frame)
{
    uint8_t sum = 0;
    for (uint32_t i = 0; i < frame->size; i++)
        sum = (uint8_t)(sum + frame->bytes[i]);
    volatile uint8_t keep = sum;
    (void)keep;
}

static void hear(const char *text, void *with)
{
    (void)with;
    if (!text[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("capture", MFD_CLOEXEC);
    if (fd < 0 || (size && write(fd, bytes, size) != (ssize_t)size))
        abort();
    char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    const char *names[] = {name};
    struct capture *capture = NULL;
    struct err err = {.text = ""};
    int opened = capture_open(names, 1, 1, &capture, &err);
    close(fd);
    if (opened < 0) {
        if (!err.text[0])
            abort(); /* a refusal must say why */
        return 0;
    }
    struct frame frames[CAPTURE_BURST];
    struct capture_cursor *cursor = capture_cursor(capture, 0);
    /* Every frame takes bytes of the file (or of what it unpacks to), so it must come to an end. */
    int n;
    while ((n = capture_next(cursor, frames)) > 0)
        for (int i = 0; i < n; i++)
            touch(&frames[i]);
    capture_warnings(capture, hear, NULL);
    capture_close(capture);
    return 0;
}
