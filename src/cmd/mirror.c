/* cloudspan mirror: sets mirrors up, shows their state, takes them away. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/note.h"
#include "base/state.h"
#include "base/version.h"
#include "carry/carry.h"
#include "cmd/command.h"
#include "cmd/mirror_follow.h"
#include "cmd/mirror_many.h"
#include "cmd/mirror_record.h"
#include "cmd/mirror_settings.h"
#include "cmd/mirror_show.h"
#include "cmd/mirror_verb.h"
#include "cmd/mirror_world.h"
#include "mirror/engine.h"

#define OUT_MAX (64u << 20)

static bool is_stopped(void *with)
{
    (void)with;
    return mirror_is_stopped();
}

static int failed(const struct err *err)
{
    note(NOTE_ERROR, "%s", err->text);
    return EXIT_FAILED;
}

/* ---- help ---- */

static void help(const struct command *command, const struct mirror_provider *provider,
                 const struct option_row *rows)
{
    printf("usage: cloudspan mirror %s\n\n%s.\n\n", provider ? provider->usage : command->usage,
           provider ? provider->summary : command->summary);
    if (!provider) {
        const struct mirror_provider *const *list = mirror_providers();
        for (; *list; list++)
            printf("  %-12s %s\n", (*list)->name, (*list)->summary);
        printf("\n");
        for (list = mirror_providers(); *list; list++)
            if ((*list)->verbs) {
                mirror_verb_help(*list, stdout);
                printf("\n");
            }
    }
    options_print(provider ? provider->options : rows, stdout);
    if (provider && provider->verbs) {
        printf("\nThis provider also has:\n");
        mirror_verb_help(provider, stdout);
    }
    if (provider)
        printf("\n%scloudspan mirror --help lists the options that every provider has.\n",
               provider->more ? provider->more : "");
    else
        printf("\n%s", command->more);
}

/* ---- plan and apply ---- */

static bool is_yes(const struct mirror_settings *s)
{
    FILE *out = s->json ? stderr : stdout; /* among objects a question is none */
    char answer[16] = "";
    fprintf(out, "Apply this? [y/N] ");
    (void)fflush(out);
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    fprintf(out, "nothing was changed\n");
    return false;
}

static int show_plan(const struct mirror_settings *s, const struct mirror_planned *planned)
{
    struct text out;
    struct err err;
    text_init(&out, OUT_MAX);
    if (s->form && mirror_show_commands(s, planned, &out, &err) < 0) {
        text_done(&out);
        return failed(&err);
    }
    if (!s->form && !s->quiet)
        mirror_show_plan(s, planned, &out);
    int result = mirror_print(&out);
    if (result == EXIT_DONE && s->detailed && planned->plan.n_changes)
        result = EXIT_USAGE; /* 2, as terraform has it */
    return result;
}

static int carry_out(struct mirror_settings *s, struct mirror_journal *journal, const char *folder,
                     const struct mirror_planned *planned, struct err *err)
{
    struct mirror_watcher watcher = {.step = mirror_show_step, .stop = is_stopped, .with = s};
    struct mirror_applied applied = {.n_changes = planned->plan.n_changes};
    struct text out;
    mirror_catch_signals();
    text_init(&out, OUT_MAX);
    int result = mirror_engine_apply(&s->job, journal, planned, s->arguments, &watcher,
                                     &applied.outcome, err);
    if (result == 0)
        result = mirror_record_keep(s, folder, planned, &applied, err);
    if (result == 0 && !s->quiet)
        mirror_show_applied(s, &applied, &out);
    else if (!s->quiet)
        mirror_show_lacks(s, &applied.outcome, &out);
    if (result < 0)
        (void)failed(err);
    bool lacks = applied.outcome.n_lack > 0;
    mirror_outcome_done(&applied.outcome);
    int code = mirror_print(&out); /* also of what was printed step by step */
    if (result < 0)
        return mirror_is_stopped() ? EXIT_INTERRUPTED : EXIT_FAILED;
    return code == EXIT_DONE && lacks ? EXIT_PARTIAL : code;
}

static int apply(struct mirror_settings *s, struct mirror_journal *journal, const char *folder,
                 const struct mirror_planned *planned, struct err *err)
{
    struct text out;
    bool asks = !s->yes && planned->plan.n_changes > 0;
    if (asks && !isatty(STDIN_FILENO)) {
        note(NOTE_ERROR,
             "apply asks before it changes anything, and standard input is no terminal: "
             "give it --yes");
        return EXIT_FAILED;
    }
    text_init(&out, OUT_MAX);
    if (asks || (planned->plan.n_changes == 0 && !s->quiet))
        mirror_show_plan(s, planned, &out);
    else if (!s->quiet) /* its steps are shown when they are done */
        mirror_show_remarks(s, planned, &out);
    int result = mirror_print(&out);
    if (result != EXIT_DONE)
        return result;
    if (asks && !is_yes(s))
        return EXIT_FAILED;
    return carry_out(s, journal, folder, planned, err);
}

/* `s` is checked. */
static int plan_or_apply(struct mirror_settings *s, bool applies)
{
    char folder[STATE_FOLDER_MAX];
    struct mirror_journal *journal = NULL;
    struct mirror_planned planned = {0};
    struct err err;
    int result = state_folder(s->state, folder, &err);
    s->job.folder = folder;
    if (result == 0)
        result = applies ? mirror_journal_wait(folder, MIRROR_PATIENCE_MS, &journal, &err)
                         : mirror_journal_open(folder, false, &journal, &err);
    if (result == 0)
        result = mirror_job_begin(&s->job, journal, &err);
    if (result == 0)
        result = mirror_engine_plan(&s->job, &planned, &err);
    if (result < 0)
        result = failed(&err);
    else
        result = applies ? apply(s, journal, folder, &planned, &err) : show_plan(s, &planned);
    mirror_planned_done(&planned);
    mirror_journal_close(journal);
    return result;
}

/* ---- the run ---- */

static int answer(struct mirror_settings *s)
{
    struct text out;
    struct err err = {""};
    int result = 0;
    text_init(&out, OUT_MAX);
    if (!s->job.provider->answer ||
        !s->job.provider->answer(&s->job, s->json, &out, &result, &err)) {
        text_done(&out);
        return -1;
    }
    if (result < 0) {
        text_done(&out);
        return failed(&err);
    }
    return mirror_print(&out);
}

static int run_verb(const struct command *command, struct mirror_settings *s)
{
    struct err err;
    bool one = strcmp(s->verb, "plan") == 0 || strcmp(s->verb, "apply") == 0;
    note_set_level(s->verbose ? NOTE_INFO : s->quiet ? NOTE_ERROR : NOTE_WARN);
    if (s->help) {
        help(command, s->job.provider, s->rows);
        return EXIT_DONE;
    }
    if (s->version) {
        printf("cloudspan %s\n", VERSION_TEXT);
        return EXIT_DONE;
    }
    if (!s->job.provider && (one || s->takes_words))
        return command_misused(command, "which provider? (see --help)");
    if (s->job.provider) {
        s->job.verb = s->verb;
        int result = answer(s);
        if (result >= 0)
            return result;
        s->job.partial = !one;
        if (mirror_settings_check(s, &err) < 0)
            return command_misused(command, err.text);
    }
    if (s->takes_words)
        return mirror_verb_run(s);
    if (one)
        return plan_or_apply(s, strcmp(s->verb, "apply") == 0);
    if (strcmp(s->verb, "follow") == 0)
        return mirror_follow(s);
    return strcmp(s->verb, "status") == 0 ? mirror_many_status(s) : mirror_many_remove(s);
}

/* The process that the method `user` consists of; for `apply`, and not in the help. */
static void say(const char *text, void *with)
{
    (void)with;
    note(NOTE_WARN, "%s", text);
}

static int carry(const struct command *command, char **args, int n_args)
{
    struct carry_options options = {0};
    struct err err;
    const char **rest = calloc((size_t)n_args + 1, sizeof *rest);
    int result = rest ? options_parse(carry_rows, args, n_args, rest, carry_take, &options, &err)
                      : err_set(&err, -ENOMEM, "out of memory");
    free(rest);
    if (result > 0)
        result = err_set(&err, -EINVAL, "carry: an argument is no option");
    if (result == 0)
        result = carry_check(&options, &err);
    if (result < 0)
        return command_misused(command, err.text);
    return carry_run(&options, say, NULL, &err) < 0 ? failed(&err) : EXIT_DONE;
}

/* `has_verb`: then it should be a provider; else a verb, or a provider before --help. */
static int unknown(const struct command *command, const char *const *verbs, bool has_verb,
                   const char *word)
{
    const struct mirror_provider *const *list = mirror_providers();
    struct nearest nearest = nearest_begin(word);
    char near[NEAREST_TEXT_MAX];
    struct err err;
    for (size_t i = 0; !has_verb && verbs[i]; i++)
        nearest_try(&nearest, verbs[i]);
    for (; !has_verb && *list; list++)
        for (const struct mirror_verb *own = (*list)->verbs; own && own->name; own++)
            nearest_try(&nearest, own->name);
    list = mirror_providers();
    for (; *list; list++)
        nearest_try(&nearest, (*list)->name);
    (void)err_set(&err, -EINVAL,
                  has_verb ? "there is no provider '%.60s'%s (see --help)"
                           : "'%.60s' is none of plan, apply, status, remove, follow%s",
                  word, nearest_text(&nearest, near));
    return command_misused(command, err.text);
}

static int run(const struct command *command, char **args, int n_args)
{
    static const char *const verbs[] = {"plan", "apply", "status", "remove", "follow", NULL};
    struct mirror_settings settings;
    const struct mirror_provider *provider = NULL;
    const char *verb = NULL;
    struct err err;
    int at = 0;
    if (n_args > 0 && strcmp(args[0], "carry") == 0)
        return carry(command, args + 1, n_args - 1);
    for (size_t i = 0; n_args > 0 && verbs[i]; i++)
        if (strcmp(args[0], verbs[i]) == 0)
            verb = args[at++];
    bool is_own = n_args > 0 && !verb && mirror_verb_is_any(args[0]);
    if (is_own)
        verb = args[at++];
    int named = at;
    while (verb && named < n_args && mirror_settings_is_switch(args[named]))
        named++; /* mirror apply --yes linux … */
    if (n_args > named && args[named][0] != '-') {
        char *name = args[named];
        provider = mirror_provider(name);
        if (!provider)
            return unknown(command, verbs, verb != NULL, name);
        memmove(args + at + 1, args + at, (size_t)(named - at) * sizeof *args);
        args[at++] = name;
    }
    if (is_own && provider && !mirror_verb_find(provider, verb)) {
        (void)err_set(&err, -EINVAL, "the provider %s has no '%s' (see --help)", provider->name,
                      verb);
        return command_misused(command, err.text);
    }
    int result = mirror_settings_begin(&settings, verb ? verb : "", provider, &err);
    settings.takes_words = is_own;
    if (result == 0)
        result = mirror_settings_take(&settings, args + at, n_args - at, &err);
    if (result < 0)
        result = command_misused(command, err.text);
    else if (!verb && !settings.help && !settings.version && !provider)
        result = command_misused(command, "plan, apply, status, remove or follow?");
    else if (!verb && provider && !settings.help && !settings.version) {
        result = answer(&settings);
        if (result < 0)
            result = command_misused(command, "plan, apply, status, remove or follow?");
    } else
        result = run_verb(command, &settings);
    mirror_settings_done(&settings);
    return result;
}

const struct command command_mirror = {
    .name = "mirror",
    .summary = "Sets up traffic mirrors, shows their state, and takes them away",
    .usage = "plan|apply|status|remove|follow [PROVIDER] [OPTION]…",
    .more =
        "cloudspan mirror PROVIDER --help lists the options of a provider.\n"
        "Exit codes: 0 done; 1 failed; 2 wrong usage, or with --detailed-exitcode: there are\n"
        "changes; 3 apply, follow: some could not be made; 3 status, remove: some could not be\n"
        "looked at, or not be taken away; 4 status: something is missing, or does not send;\n"
        "130 interrupted.\n",
    .run = run,
};
