/* `cloudspan mirror VERB PROVIDER WORD…`, where the verb is one of the provider's own. */
#ifndef CMD_MIRROR_VERB_H
#define CMD_MIRROR_VERB_H

#include <stdio.h>

#include "cmd/mirror_settings.h"

/* NULL: the provider has none of that name. */
const struct mirror_verb *mirror_verb_find(const struct mirror_provider *provider,
                                           const char *name);
bool mirror_verb_is_any(const char *name);
void mirror_verb_help(const struct mirror_provider *provider, FILE *out);

/* The settings are checked, and their verb is one of their provider's. Gives the exit code. */
int mirror_verb_run(struct mirror_settings *settings);

#endif
