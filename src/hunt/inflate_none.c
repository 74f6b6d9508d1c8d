/* A build without zlib reads no packed logs: see inflate.h. */
#include "hunt/inflate.h"

struct inflate *inflate_new(void)
{
    return NULL;
}

void inflate_free(struct inflate *it)
{
    (void)it;
}

bool inflate_step(struct inflate *it, const void *in, size_t in_size, size_t *out_taken, void *out,
                  size_t out_size, size_t *out_given)
{
    (void)it;
    (void)in;
    (void)out;
    (void)out_size;
    *out_taken = in_size;
    *out_given = 0;
    return false;
}

bool inflate_is_whole(const struct inflate *it)
{
    (void)it;
    return false;
}
