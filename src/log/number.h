/* Numbers as text, two digits a step: the log writer's most frequent work. */
#ifndef LOG_NUMBER_H
#define LOG_NUMBER_H

#include <stdint.h>
#include <string.h>

/* Decimal; gives the new end. At most 20 bytes. */
char *number_put(char *at, uint64_t value);

/* Exactly six digits, for microseconds. */
char *number_put6(char *at, uint32_t value);

#endif
