/* Files that travel inside connections: the rows of files.log, and what http.log and x509.log say
 * of them. A file belongs to one connection and goes with it. */
#ifndef PROTO_FILE_H
#define PROTO_FILE_H

#include "proto/analyzer.h"

struct file;

extern const struct log_schema file_log; /* files.log: name it in the analyzer's `logs` */

/* `source` is files.log's: "HTTP", "SSL"; kept, not copied. NULL: no memory. The file's id is made
 * here: from the connection and the number of files that were made in it. */
struct file *file_new(struct analysis *a, int dir, const char *source);

void file_write(struct file *file, const uint8_t *bytes, size_t size);
void file_gap(struct file *file, uint64_t size);
void file_set_total(struct file *file, uint64_t size);
void file_set_name(struct file *file, struct str name);
void file_set_mime(struct file *file, const char *mime);     /* instead of looking at the content */
void file_add_analyzer(struct file *file, const char *name); /* files.log's analyzers: "X509" */

/* The same for a file that comes in parts, in any order (HTTP ranges): `offset` counts from its
 * beginning. Parts that do not join are kept as ranges, not as bytes. */
void file_write_at(struct file *file, uint64_t offset, const uint8_t *bytes, size_t size);
void file_gap_at(struct file *file, uint64_t offset, uint64_t size);

/* Called once, when the type of the content is known, with what was said here. */
void file_tell_mime(struct file *file, struct analysis *a, uint32_t tag,
                    void (*tell)(struct analysis *a, uint32_t tag, const struct file *file));

/* All of the announced size has come: nothing more is due, and it is time for file_end. */
bool file_complete(const struct file *file);

/* Nothing came for two minutes of packet time. Asked before anything else is done with the file;
 * when true, end it with file_end_timedout. */
bool file_expired(struct file *file);

/* No more will come: settles the type of the content from what there is. file_end does it too. */
void file_finish(struct file *file);

/* Writes the row of files.log and gives the memory back. As in Zeek, files with the analyzer X509
 * (certificates) have no row. */
void file_end(struct file *file);
void file_end_timedout(struct file *file);

/* Files that several messages and connections of a worker may go on with, known by a key. They are
 * kept until they are complete, idle or too many, or until the end of the run. */
struct file *file_shared(struct flow_context *context, uint64_t key); /* NULL: there is none */
void file_share(struct file *file, uint64_t key);      /* key 0: none will go on with it */
bool file_join(struct file *file, struct analysis *a); /* true: its first time on this connection */
void file_forget(struct analysis *a); /* before an analysis goes that file_tell_mime knows */
void file_memory_end(struct flow_context *context); /* after the last connection */

bool file_is_orig(const struct file *file);

/* "F" and 17 characters. */
struct flow_uid file_id(const struct file *file);

/* Unset until enough is there to tell, or nothing is recognised. */
struct str file_mime(const struct file *file);
struct str file_name(const struct file *file);

#endif
