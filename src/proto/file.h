/* Files that travel inside connections: the rows of files.log, and what http.log and x509.log say
 * of them. A file belongs to one connection and goes with it. */
#ifndef PROTO_FILE_H
#define PROTO_FILE_H

#include "proto/analyzer.h"

struct file;

/* `source` is files.log's: "HTTP", "SSL". NULL: no memory. The file's id is made here. */
struct file *file_new(struct analysis *a, int dir, const char *source);

void file_write(struct file *file, const uint8_t *bytes, size_t size);
void file_gap(struct file *file, uint64_t size);
void file_set_total(struct file *file, uint64_t size);
void file_set_name(struct file *file, struct str name);
void file_set_mime(struct file *file, const char *mime); /* instead of looking at the content */
void file_add_analyzer(struct file *file, const char *name); /* files.log's analyzers: "X509" */

/* Writes the row of files.log and gives the memory back. */
void file_end(struct file *file);

/* "F" and 17 characters. */
struct flow_uid file_id(const struct file *file);

/* Unset until enough is there to tell, or nothing is recognised. */
struct str file_mime(const struct file *file);
struct str file_name(const struct file *file);

#endif
