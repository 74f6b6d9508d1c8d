/* Verbs that only some providers have: see mirror_verb.h. */
#include "cmd/mirror_verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/note.h"
#include "base/state.h"
#include "cmd/command.h"
#include "cmd/mirror_many.h"
#include "cmd/mirror_world.h"

#define OUT_MAX (64u << 20)

const struct mirror_verb *mirror_verb_find(const struct mirror_provider *provider, const char *name)
{
    const struct mirror_verb *verb = provider->verbs;
    while (verb && verb->name && strcmp(verb->name, name) != 0)
        verb++;
    return verb && verb->name ? verb : NULL;
}

bool mirror_verb_is_any(const char *name)
{
    const struct mirror_provider *const *list = mirror_providers();
    for (; *list; list++)
        if (mirror_verb_find(*list, name))
            return true;
    return false;
}

void mirror_verb_help(const struct mirror_provider *provider, FILE *out)
{
    for (const struct mirror_verb *verb = provider->verbs; verb && verb->name; verb++)
        fprintf(out, "  cloudspan mirror %s %s %s\n      %s\n", verb->name, provider->name,
                verb->usage, verb->summary);
}

static bool is_yes(const struct mirror_settings *s)
{
    FILE *out = s->json ? stderr : stdout; /* among objects a question is none */
    char answer[16] = "";
    fprintf(out, "Do this? [y/N] ");
    (void)fflush(out);
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    fprintf(out, "nothing was changed\n");
    return false;
}

/* Prints what it says also where it was refused: how far it came. */
static int ask(struct mirror_settings *s, const struct mirror_verb *verb, bool yes, int *out_code,
               struct err *err)
{
    struct text out;
    text_init(&out, OUT_MAX);
    int result = verb->run(&s->job, s->words, s->n_words, yes, s->json, &out, err);
    if (s->quiet && !s->json)
        text_done(&out);
    *out_code = mirror_print(&out);
    return result;
}

static int run(struct mirror_settings *s, const struct mirror_verb *verb, struct err *err)
{
    int code = EXIT_DONE;
    int result = ask(s, verb, s->yes, &code, err);
    if (result < 0)
        return result;
    if (result > 0 || s->yes || code != EXIT_DONE)
        return code;
    if (!isatty(STDIN_FILENO))
        return err_set(err, -EINVAL,
                       "%s asks before it changes anything, and standard input is no terminal: "
                       "give it --yes",
                       verb->name);
    if (!is_yes(s))
        return EXIT_FAILED;
    result = ask(s, verb, true, &code, err);
    return result < 0 ? result : code;
}

int mirror_verb_run(struct mirror_settings *s)
{
    const struct mirror_verb *verb = mirror_verb_find(s->job.provider, s->verb);
    struct mirror_journal *journal = NULL;
    char folder[STATE_FOLDER_MAX];
    struct err err;
    mirror_catch_signals();
    int result = state_folder(s->state, folder, &err);
    s->job.folder = folder;
    if (result == 0)
        result = mirror_journal_open(folder, false, &journal, &err);
    if (result == 0)
        result = mirror_job_begin(&s->job, journal, &err);
    if (result == 0)
        result = run(s, verb, &err);
    s->job.folder = NULL; /* it goes with this call */
    mirror_journal_close(journal);
    if (result >= 0)
        return result;
    note(NOTE_ERROR, "%s", err.text);
    return mirror_is_stopped() ? EXIT_INTERRUPTED : EXIT_FAILED;
}
