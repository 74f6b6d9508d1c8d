/* What the command line of `cloudspan mirror` says, for the command itself and for the words of it
 * that the journal keeps. */
#ifndef CMD_MIRROR_SETTINGS_H
#define CMD_MIRROR_SETTINGS_H

#include "mirror/engine.h"

/* How long apply and remove wait for another one on this machine. */
#define MIRROR_PATIENCE_MS 30000

enum mirror_form {
    MIRROR_FORM_NONE,
    MIRROR_FORM_COMMANDS,
    MIRROR_FORM_CLOUD_INIT,
    MIRROR_FORM_UNIT
};

struct mirror_settings {
    const char *verb;
    struct mirror_job job; /* provider: NULL where the verb works on all */
    bool yes, json, detailed, all, quiet, verbose, help, version;
    int form;            /* enum mirror_form: --print */
    bool once;           /* follow: */
    uint32_t interval_s; /* 0: the usual one */
    const char *state, *color;

    bool takes_words;   /* what is no option is kept instead of refused */
    const char **words; /* owned; the texts are the command line's */
    size_t n_words;

    json_t *arguments;       /* owned: the options that make the mirror what it is, "--id=101" */
    json_t *recalled;        /* owned: those of the journal, which the wish may point into */
    struct option_row *rows; /* owned: those of all and the provider's */
};

/* Whether `word` is an option of all providers that takes no value, or need not. */
bool mirror_settings_is_switch(const char *word);

/* `provider` may be NULL. -EINVAL: wrong usage. */
int mirror_settings_begin(struct mirror_settings *settings, const char *verb,
                          const struct mirror_provider *provider, struct err *err) MUST_CHECK;
/* Takes the words; arguments that are no options are refused. */
int mirror_settings_take(struct mirror_settings *settings, char **args, int n_args,
                         struct err *err) MUST_CHECK;
/* The same for what the journal kept. */
int mirror_settings_recall(struct mirror_settings *settings, const json_t *arguments,
                           struct err *err) MUST_CHECK;
/* Those of a mirror that the journal or marks tell of, in the manner of `asked`. `entry` is the
 * journal's, or NULL; *out is to be given to mirror_settings_done in any case. */
int mirror_settings_known(const struct mirror_settings *asked,
                          const struct mirror_provider *provider, const char *name,
                          const struct mirror_entry *entry, const char *folder,
                          struct mirror_settings *out, struct err *err) MUST_CHECK;
/* Asks the provider whether the wish can be; it then has a name. */
int mirror_settings_check(struct mirror_settings *settings, struct err *err) MUST_CHECK;
void mirror_settings_done(struct mirror_settings *settings);

#endif
