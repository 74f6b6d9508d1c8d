/* The folder that rolling packet files are in: their names, the oldest of them, and what a stopped
 * run left. Only files with names of this pattern are ever touched:
 *
 *     cloudspan-20261122-033503-000.pcapng            finished; the time is UTC, when it was begun,
 *     cloudspan-20261122-033503-000.web-1.pcapng      so that names sort by time everywhere
 *     cloudspan-20261122-033503-000.pcapng.part       being written; it has whole blocks only
 *
 * One thread uses it. All is done relative to the folder's descriptor, which is opened once. */
#ifndef SINK_FOLDER_H
#define SINK_FOLDER_H

#include "base/err.h"
#include "base/str.h"

#define FOLDER_NAME_MAX  128
#define FOLDER_MAX_FILES 65536 /* finished ones that are kept an eye on */

struct folder;

/* Makes the folder (its parent must be there), and finishes what an earlier run could not: files
 * are cut after their last whole block and get their final name. Files that another process is
 * writing are left alone. */
int folder_open(const char *path, struct folder **out, struct err *err) MUST_CHECK;
void folder_close(struct folder *folder);

/* A new file, locked for as long as it is open; gives the descriptor, or a negative errno. `label`
 * is made fit for a name, or empty. `now`: ns since the epoch. */
int folder_create(struct folder *folder, struct str label, int64_t now,
                  char out_name[FOLDER_NAME_MAX]);

/* Closes it and gives it its final name. One of `size` 0 is removed. */
void folder_finish(struct folder *folder, int fd, const char *name, uint64_t size);

/* Of the finished files. */
uint64_t folder_size(const struct folder *folder);
size_t folder_n_files(const struct folder *folder);

/* False: there is none (left). */
bool folder_remove_oldest(struct folder *folder);
bool folder_remove_older(struct folder *folder, int64_t than); /* one that was begun before */

/* Of the file system it is on, in bytes; 0: it does not say. */
uint64_t folder_disk_size(const struct folder *folder);

#endif
