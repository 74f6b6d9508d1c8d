/* What a log is: its name, and its columns in order with Zeek's names and types. The writer of TSV
 * and JSON, the reader for hunts and the reference page all walk this table. */
#ifndef LOG_SCHEMA_H
#define LOG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_type {
    LOG_TIME,
    LOG_INTERVAL,
    LOG_STRING,
    LOG_ENUM,
    LOG_ADDR,
    LOG_PORT,
    LOG_COUNT,
    LOG_INT,
    LOG_DOUBLE,
    LOG_BOOL,
    LOG_SET_STRING,
    LOG_SET_ENUM,
    LOG_SET_ADDR,
    LOG_VECTOR_STRING,
    LOG_VECTOR_INTERVAL,
    LOG_VECTOR_ADDR,
    LOG_VECTOR_COUNT,
    LOG_N_TYPES,
};

struct log_column {
    const char *name;
    enum log_type type;
};

struct log_schema {
    const char *name; /* "conn": the file is conn.log, and #path says so */
    const struct log_column *columns;
    uint16_t n_columns;
    bool of_connection; /* begins with ts, uid, id.*: the extra columns are added at its end */
};

#define LOG_COLUMNS(table) .columns = (table), .n_columns = sizeof(table) / sizeof(*(table))

/* The first six columns of every log about a connection. */
#define LOG_CONNECTION_COLUMNS                                                                     \
    {"ts", LOG_TIME}, {"uid", LOG_STRING}, {"id.orig_h", LOG_ADDR}, {"id.orig_p", LOG_PORT},       \
        {"id.resp_h", LOG_ADDR},                                                                   \
    {                                                                                              \
        "id.resp_p", LOG_PORT                                                                      \
    }

/* "set[string]" and its kin, as #types has them. */
const char *log_type_name(enum log_type type);

#endif
