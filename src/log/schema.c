/* Names of the column types: see schema.h. */
#include "log/schema.h"

const char *log_type_name(enum log_type type)
{
    static const char *const names[LOG_N_TYPES] = {
        [LOG_TIME] = "time",
        [LOG_INTERVAL] = "interval",
        [LOG_STRING] = "string",
        [LOG_ENUM] = "enum",
        [LOG_ADDR] = "addr",
        [LOG_PORT] = "port",
        [LOG_COUNT] = "count",
        [LOG_INT] = "int",
        [LOG_DOUBLE] = "double",
        [LOG_BOOL] = "bool",
        [LOG_SET_STRING] = "set[string]",
        [LOG_SET_ENUM] = "set[enum]",
        [LOG_SET_ADDR] = "set[addr]",
        [LOG_VECTOR_STRING] = "vector[string]",
        [LOG_VECTOR_INTERVAL] = "vector[interval]",
        [LOG_VECTOR_ADDR] = "vector[addr]",
        [LOG_VECTOR_COUNT] = "vector[count]",
    };
    return names[type];
}
