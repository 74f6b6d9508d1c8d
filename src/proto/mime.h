/* The type of a file, told from its first bytes: what files.log's mime_type says. */
#ifndef PROTO_MIME_H
#define PROTO_MIME_H

#include <stddef.h>
#include <stdint.h>

/* More than this of a file is never looked at. */
#define MIME_LOOK_AT 4096

/* The strongest signature that matches at the beginning, or NULL. */
const char *mime_of(const uint8_t *bytes, size_t size);

#endif
