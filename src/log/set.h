/* Inside of a log set, shared by set.c (files, and what is written to them) and writer.c (the
 * workers' buffers): not for other folders. */
#ifndef LOG_SET_H
#define LOG_SET_H

#include <pthread.h>
#include <sys/types.h>

#include "log/record.h"

#define LOG_MAX_EXTRA 16
#define LOG_N_STREAMS 128 /* power of two; kinds of logs there can be */

struct log_file {
    const struct log_schema *schema;
    int fd;
    int error;   /* errno of the first refusal: nothing more is written */
    int refused; /* of lines that were left out, while others were written */
    uint64_t n_lost_bytes;
    pthread_mutex_t lock;
};

struct log_set {
    char *folder;
    enum log_format format;
    const struct log_column *extra;
    struct log_column renamed[LOG_MAX_EXTRA]; /* the same, for logs that have the name already */
    char names[LOG_MAX_EXTRA][48];
    uint16_t n_extra;
    uint64_t n_records, n_cut;
    size_t n_files;
    struct log_file files[LOG_N_STREAMS];
    pthread_mutex_t lock;
};

/* The schema's column, or the extra one after them, by the name it has in this log. */
const struct log_column *log_set_column(const struct log_set *set, const struct log_schema *schema,
                                        uint16_t index);

/* The file of this schema; it is the set's. Any worker may ask. */
struct log_file *log_set_file(struct log_set *set, const struct log_schema *schema);

/* Whole lines; false when some of them could not be written: they are counted in the file. */
bool log_file_write(struct log_file *file, const char *bytes, size_t size);

#endif
