/* What was mirrored, in the form that `watch` reads: a file of sources for each mirror. */
#ifndef MIRROR_RECORD_H
#define MIRROR_RECORD_H

#include "base/text.h"
#include "mirror/provider.h"

/* As YAML, with the keys of cloudspan.yaml. `collector`, in front, says for which machine's watch
 * it is: others leave the file alone. */
void mirror_record_text(const struct mirror_sources *sources, const char *title, struct text *out);

/* FOLDER/sources/PROVIDER-NAME.yaml, whole or not at all; *out_path is where. */
int mirror_record_write(const char *folder, const struct mirror_job *job,
                        const struct mirror_sources *sources, char out_path[512],
                        struct err *err) MUST_CHECK;
/* Whether the file, whose path is given in any case, says just this already; of no sources: whether
 * there is none. */
bool mirror_record_is(const char *folder, const struct mirror_job *job,
                      const struct mirror_sources *sources, char out_path[512]);
/* Of what is not there: 0. */
int mirror_record_remove(const char *folder, const struct mirror_job *job,
                         struct err *err) MUST_CHECK;

#endif
