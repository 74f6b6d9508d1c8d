/* In the place of the archive until it is there: nothing is kept. */
#include <errno.h>

#include "hunt/archive.h"

int hunt_archive_open(const char *path, bool read_only, struct hunt_archive **out, struct err *err)
{
    return err_set(err, -ENOSYS, "results are not kept yet");
}

void hunt_archive_close(struct hunt_archive *archive)
{
}

uint64_t hunt_archive_secret(const struct hunt_archive *archive)
{
    return 0;
}

int hunt_archive_marks(struct hunt_archive *archive, struct hunt_mark **out, size_t *out_n,
                       struct err *err)
{
    return -ENOSYS;
}

int hunt_archive_load(struct hunt_archive *archive, const struct hunt_settings *settings,
                      int64_t from, struct hunt_engine *engine, struct err *err)
{
    return -ENOSYS;
}

int hunt_archive_save(struct hunt_archive *archive, const struct hunt_settings *settings,
                      const struct hunt_engine *engine, const struct hunt_mark *marks, size_t n,
                      struct err *err)
{
    return -ENOSYS;
}

int hunt_archive_learn(struct hunt_archive *archive, const struct hunt_engine *engine,
                       struct err *err)
{
    return -ENOSYS;
}

int hunt_archive_tell(struct hunt_archive *archive, struct finding *finding, bool *out_tell,
                      struct err *err)
{
    return -ENOSYS;
}
