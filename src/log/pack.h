/* How a finished log file is packed for the archive: with gzip where the build has zlib
 * (pack_gzip.c), else as it is (pack_plain.c). */
#ifndef LOG_PACK_H
#define LOG_PACK_H

#include <stddef.h>

/* What the file's name ends in behind ".log": ".gz" or "". */
extern const char log_pack_suffix[];

/* Packs all of `in` into `out`, from where they are. 0, or a negative errno; -ECANCELED when
 * `*stop` was set meanwhile (NULL: never). */
int log_pack(int in, int out, const volatile int *stop);

/* write(2) until all is written. 0, or a negative errno. */
int log_write_all(int fd, const void *bytes, size_t size);

#endif
