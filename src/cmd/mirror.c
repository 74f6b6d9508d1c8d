/* cloudspan mirror: sets mirrors up, shows their state, takes them away. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/note.h"
#include "base/state.h"
#include "base/version.h"
#include "carry/carry.h"
#include "cmd/command.h"
#include "cmd/mirror_many.h"
#include "cmd/mirror_settings.h"
#include "cmd/mirror_show.h"
#include "mirror/engine.h"
#include "mirror/record.h"

#define HOOK_PATIENCE_MS 60000

#define OUT_MAX (64u << 20)

static volatile sig_atomic_t was_interrupted;

static void interrupt(int number)
{
    (void)number;
    was_interrupted = 1;
}

static bool is_stopped(void *with)
{
    (void)with;
    return was_interrupted;
}

int mirror_print(struct text *out)
{
    int result = EXIT_DONE;
    if (out->failed) {
        note(NOTE_ERROR, "out of memory");
        result = EXIT_FAILED;
    } else if ((out->size && fwrite(out->at, 1, out->size, stdout) != out->size) ||
               fflush(stdout) || ferror(stdout)) {
        note(NOTE_ERROR, "standard output: %s", strerror(errno));
        result = EXIT_FAILED;
    }
    text_done(out);
    return result;
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
            printf("  %-10s %s\n", (*list)->name, (*list)->summary);
        printf("\n");
    }
    options_print(provider ? provider->options : rows, stdout);
    if (provider)
        printf("\n%scloudspan mirror --help lists the options that every provider has.\n",
               provider->more ? provider->more : "");
    else
        printf("\n%s", command->more);
}

/* ---- plan and apply ---- */

static bool is_yes(void)
{
    char answer[16] = "";
    printf("Apply this? [y/N] ");
    (void)fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int show_plan(const struct mirror_settings *s, const struct mirror_planned *planned)
{
    struct text out;
    text_init(&out, OUT_MAX);
    if (s->form)
        mirror_show_commands(s, planned, &out);
    else if (!s->quiet)
        mirror_show_plan(s, planned, &out);
    int result = mirror_print(&out);
    if (result == EXIT_DONE && s->detailed && planned->plan.n_changes)
        result = EXIT_USAGE; /* 2, as terraform has it */
    return result;
}

/* For the collector's watch: in a file here, and said where it has to go. */
static int record(struct mirror_settings *s, const char *folder,
                  const struct mirror_planned *planned, struct err *err)
{
    struct mirror_sources sources = {0};
    char path[512];
    if (!s->job.provider->sources)
        return 0;
    int result = s->job.provider->sources(&s->job, &planned->wanted, &sources, err);
    if (result == 0 && sources.n == 0) {
        free(sources.at);
        return 0; /* the collector knows an interface of its own, and no machine */
    }
    if (result == 0)
        result = mirror_record_write(folder, &s->job, &sources, path, err);
    if (result == 0 && !s->quiet && !s->json)
        printf("recorded for watch: %s%s%s\n", path,
               sources.at[0].collector[0] ? ", to be copied to " : "", sources.at[0].collector);
    free(sources.at);
    return result;
}

static int carry_out(struct mirror_settings *s, struct mirror_journal *journal, const char *folder,
                     const struct mirror_planned *planned, struct err *err)
{
    struct mirror_watcher watcher = {.step = mirror_show_step, .stop = is_stopped, .with = s};
    struct sigaction action = {.sa_handler = interrupt};
    struct text said;
    (void)sigaction(SIGINT, &action, NULL); /* these can't fail with good numbers */
    (void)sigaction(SIGTERM, &action, NULL);
    text_init(&said, 4096);
    int result = mirror_engine_apply(&s->job, journal, planned, s->arguments, &watcher, &said, err);
    if (result == 0)
        result = record(s, folder, planned, err);
    if (result == 0 && said.at && !s->quiet && !s->json)
        printf("%s", said.at);
    text_done(&said);
    return result;
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
    if (asks || planned->plan.n_changes == 0 || planned->remarks.size) {
        text_init(&out, OUT_MAX);
        if (!s->quiet && (!s->json || planned->plan.n_changes == 0))
            mirror_show_plan(s, planned, &out);
        int result = mirror_print(&out);
        if (result != EXIT_DONE)
            return result;
    }
    if (asks && !is_yes()) {
        printf("nothing was changed\n");
        return EXIT_FAILED;
    }
    int result = carry_out(s, journal, folder, planned, err);
    if (result < 0)
        (void)failed(err);
    return result == 0 ? EXIT_DONE : result == -EINTR ? EXIT_INTERRUPTED : EXIT_FAILED;
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
        result = applies ? mirror_journal_wait(folder, getenv(MIRROR_HOOK) ? HOOK_PATIENCE_MS : 0,
                                               &journal, &err)
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
    if (s->help) {
        help(command, s->job.provider, s->rows);
        return EXIT_DONE;
    }
    if (s->version) {
        printf("cloudspan %s\n", VERSION_TEXT);
        return EXIT_DONE;
    }
    if (!s->job.provider && one)
        return command_misused(command, "which provider? (see --help)");
    if (s->job.provider) {
        int result = answer(s);
        if (result >= 0)
            return result;
        s->job.partial = !one;
        if (mirror_settings_check(s, &err) < 0)
            return command_misused(command, err.text);
    }
    if (one)
        return plan_or_apply(s, strcmp(s->verb, "apply") == 0);
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

static int run(const struct command *command, char **args, int n_args)
{
    static const char *const verbs[] = {"plan", "apply", "status", "remove", NULL};
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
    if (n_args > at && args[at][0] != '-') {
        provider = mirror_provider(args[at]);
        if (!provider) {
            (void)err_set(&err, -EINVAL,
                          verb ? "there is no provider '%s' (see --help)"
                               : "'%s' is none of plan, apply, status, remove",
                          args[at]);
            return command_misused(command, err.text);
        }
        at++;
    }
    int result = mirror_settings_begin(&settings, verb ? verb : "", provider, &err);
    if (result == 0)
        result = mirror_settings_take(&settings, args + at, n_args - at, &err);
    if (result < 0)
        result = command_misused(command, err.text);
    else if (!verb && !settings.help && !settings.version && !provider)
        result = command_misused(command, "plan, apply, status or remove?");
    else if (!verb && provider && !settings.help && !settings.version) {
        result = answer(&settings);
        if (result < 0)
            result = command_misused(command, "plan, apply, status or remove?");
    } else
        result = run_verb(command, &settings);
    mirror_settings_done(&settings);
    return result;
}

const struct command command_mirror = {
    .name = "mirror",
    .summary = "Sets up traffic mirrors, shows their state, and takes them away",
    .usage = "plan|apply|status|remove [PROVIDER] [OPTION]…",
    .more = "cloudspan mirror PROVIDER --help lists the options of a provider.\n"
            "Exit codes: 0 done; 1 failed; 2 wrong usage, or with --detailed-exitcode: there are\n"
            "changes; 4 status: something is missing, or does not send.\n",
    .run = run,
};
