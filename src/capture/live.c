/* What all live sources do alike. */
#include "capture/live.h"

#include <unistd.h>

#include "capture/live_kind.h"

int live_fd(const struct live_source *source)
{
    return source->fd;
}

int live_next(struct live_source *source, struct frame out[CAPTURE_BURST])
{
    int n = source->kind->next(source, out);
    uint64_t n_bytes = 0;
    for (int i = 0; i < n; i++) {
        out[i].input = source->input;
        n_bytes += out[i].size;
    }
    if (n > 0)
        source->counters.n_frames += (uint64_t)n;
    source->counters.n_bytes += n_bytes;
    return n;
}

void live_count(struct live_source *source, struct live_counters *out)
{
    if (source->kind->count)
        source->kind->count(source);
    *out = source->counters;
}

const char *live_problem(const struct live_source *source)
{
    return source->problem.text;
}

void live_close(struct live_source *source)
{
    if (!source)
        return;
    int fd = source->fd;
    source->kind->free(source);
    (void)close(fd); /* nothing was written */
}
