/* AWS's own files, ~/.aws/credentials and ~/.aws/config: read once, kept until they are freed, and
 * wiped then. */
#ifndef CLOUD_AWS_FILES_H
#define CLOUD_AWS_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "cloud/aws_env.h"

enum aws_file { AWS_FILE_CREDENTIALS, AWS_FILE_CONFIG, AWS_FILES };

struct aws_files;

/* A file that is not there is an empty one, and so is one that may not be read, as long as nobody
 * named it (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE). -EINVAL: FILE:LINE, and what is wrong
 * there, without what it says. */
int aws_files_read(const struct aws_env *env, struct aws_files **out, struct err *err) MUST_CHECK;
void aws_files_free(struct aws_files *files);

/* As if the file said so; for tests. */
int aws_files_parse(struct aws_files *files, enum aws_file file, const char *bytes, size_t size,
                    struct err *err) MUST_CHECK;
struct aws_files *aws_files_new(void);

/* What `file` says; `kind` is "profile", "sso-session" or "services". A setting of an indented
 * block is "BLOCK.KEY". NULL: nothing. */
const char *aws_files_of(const struct aws_files *files, enum aws_file file, const char *kind,
                         const char *name, const char *key);
/* What any of both says, the credentials' file first. */
const char *aws_files_get(const struct aws_files *files, const char *kind, const char *name,
                          const char *key);
bool aws_files_has(const struct aws_files *files, const char *kind, const char *name);

/* "" where there is no home either. */
const char *aws_files_path(const struct aws_files *files, enum aws_file file);
/* NULL: it was read, or is not there; else why not. */
const char *aws_files_trouble(const struct aws_files *files, enum aws_file file);
/* Others may read it. */
bool aws_files_is_open(const struct aws_files *files, enum aws_file file);

/* HOME, or the home of who runs this; false: neither. */
bool aws_home(const struct aws_env *env, char *out, size_t size);

/* Reads a small file of secrets: a token; AWS's own files. Its text ends with a NUL that does not
 * count; the caller wipes it. A pipe is read, too; a folder is refused. */
int aws_file_read(const char *path, size_t max, struct text *out, struct err *err) MUST_CHECK;
void aws_text_forget(struct text *text);

#endif
