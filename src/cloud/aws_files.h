/* AWS's own files. */
#ifndef CLOUD_AWS_FILES_H
#define CLOUD_AWS_FILES_H

struct aws_files;

#endif
