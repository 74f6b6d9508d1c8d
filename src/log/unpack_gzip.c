/* For unit tests: the text of an archived file, where pack_gzip.c is in the build. */
#include <stdlib.h>
#include <zlib.h>

#include "log/live_bed.h"

char *live_bed_unpack(const char *path)
{
    gzFile file = gzopen(path, "rb");
    if (!file)
        return NULL;
    size_t size = 0, capacity = 1u << 16;
    char *text = malloc(capacity);
    for (;;) {
        assert_non_null(text);
        int n = gzread(file, text + size, (unsigned)(capacity - size - 1));
        if (n < 0)
            fail_msg("%s: damaged", path);
        if (n == 0)
            break;
        size += (size_t)n;
        if (capacity - size < 1u << 15)
            text = realloc(text, capacity *= 2);
    }
    text[size] = '\0';
    assert_false(gzdirect(file)); /* it is packed */
    assert_int_equal(gzclose(file), Z_OK);
    return text;
}
