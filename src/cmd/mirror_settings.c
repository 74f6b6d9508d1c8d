/* Options of `cloudspan mirror`: see mirror_settings.h. */
#include "cmd/mirror_settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/note.h"
#include "cmd/mirror_world.h"
#include "cmd/terminal.h"

enum row {
    ROW_NAME,
    ROW_MACHINE,
    ROW_NETWORK,
    ROW_STATE,
    ROW_YES,
    ROW_ALL,
    ROW_JSON,
    ROW_DETAILED,
    ROW_RETRY,
    ROW_INTERVAL,
    ROW_ONCE,
    ROW_PRINT,
    ROW_COLOR,
    ROW_VERBOSE,
    ROW_QUIET,
    ROW_HELP,
    ROW_VERSION,
    N_COMMON_ROWS
};

static const struct option_row common_rows[] = {
    [ROW_NAME] = {0, "name", "NAME", false,
                  "what this mirror is called here (default: by what it mirrors)"},
    [ROW_MACHINE] = {0, "machine", "NAME", false,
                     "what the monitored machine is called at the collector (default: the\n"
                     "host's name, or the port's)"},
    [ROW_NETWORK] = {0, "network", "NAME", false,
                     "the address space it is in, where the collector has several"},
    [ROW_STATE] = {0, "state", "DIR", false,
                   "where the journal is kept (default: $CLOUDSPAN_STATE, or\n"
                   "/var/lib/cloudspan)"},
    [ROW_YES] = {'y', "yes", NULL, false, "do not ask before something is changed"},
    [ROW_ALL] = {0, "all", NULL, false, "remove, follow: all mirrors that are ours"},
    [ROW_JSON] = {0, "json", NULL, false, "one JSON object a line"},
    [ROW_DETAILED] = {0, "detailed-exitcode", NULL, false,
                      "plan: exit with 2 when something would be changed"},
    [ROW_RETRY] = {0, "retry", NULL, false,
                   "plan, apply: try again what the cloud has refused for what it is"},
    [ROW_INTERVAL] = {0, "interval", "SECONDS", false, "follow: how often it looks (default: 60)"},
    [ROW_ONCE] = {0, "once", NULL, false, "follow: look once and exit, for a timer"},
    [ROW_PRINT] = {0, "print", "FORM", true,
                   "plan: print what does the same on a machine without cloudspan:\n"
                   "commands (default), cloud-init or systemd; of a cloud, systemd is a unit that\n"
                   "follows"},
    [ROW_COLOR] = {0, "color", "WHEN", false, "auto (default), always or never"},
    [ROW_VERBOSE] = {'v', "verbose", NULL, false,
                     "plan: also show what stays as it is; status: all machines;\n"
                     "of clouds, each call"},
    [ROW_QUIET] = {'q', "quiet", NULL, false, "print errors only"},
    [ROW_HELP] = {'h', "help", NULL, false, "print this and exit"},
    [ROW_VERSION] = {0, "version", NULL, false, "print the version and exit"},
};

static int take_name(const char *value, struct mirror_settings *s, struct err *err)
{
    if (!mirror_name_is_good(value))
        return err_set(
            err, -EINVAL,
            "--name: '%s' is no name for a mirror: letters, digits, '-', '_' and '.', at "
            "most %d",
            value, MIRROR_NAME_MAX - 1);
    (void)snprintf(s->job.name, sizeof s->job.name, "%s", value);
    return 0;
}

static int take_word(const char *option, const char *value, char *out, size_t size, struct err *err)
{
    size_t len = strlen(value);
    bool good = len > 0 && len < size;
    for (size_t i = 0; i < len; i++)
        good &= (unsigned char)value[i] > ' ' && value[i] != 0x7f && !strchr("\"\\'", value[i]);
    if (!good)
        return err_set(err, -EINVAL,
                       "%s: '%s' is no such name: 1 to %zu bytes, no spaces or quotes", option,
                       value, size - 1);
    (void)snprintf(out, size, "%s", value);
    return 0;
}

static int take_form(const char *value, struct mirror_settings *s, struct err *err)
{
    static const char *const names[] = {[MIRROR_FORM_COMMANDS] = "commands",
                                        [MIRROR_FORM_CLOUD_INIT] = "cloud-init",
                                        [MIRROR_FORM_UNIT] = "systemd"};
    if (!value)
        value = names[MIRROR_FORM_COMMANDS];
    for (int i = MIRROR_FORM_COMMANDS; i <= MIRROR_FORM_UNIT; i++)
        if (strcmp(value, names[i]) == 0)
            s->form = i;
    return s->form ? 0
                   : err_set(err, -EINVAL, "--print: '%s' is none of commands, cloud-init, systemd",
                             value);
}

/* What only another verb heeds would be passed over in silence: --print of an apply would be none.
 */
static int check_verb(const struct mirror_settings *s, struct err *err)
{
    bool plan = strcmp(s->verb, "plan") == 0;
    if (s->form && !plan && *s->verb)
        return err_set(err, -EINVAL, "--print is of plan, and changes nothing: not of %s", s->verb);
    if (s->detailed && !plan && *s->verb)
        return err_set(err, -EINVAL, "--detailed-exitcode is of plan, not of %s", s->verb);
    if (s->job.retries && !plan && strcmp(s->verb, "apply") != 0 && *s->verb)
        return err_set(err, -EINVAL, "--retry is of plan and apply, not of %s", s->verb);
    if (s->all && (plan || strcmp(s->verb, "apply") == 0))
        return err_set(err, -EINVAL, "--all is of remove and follow, not of %s", s->verb);
    if ((s->once || s->interval_s) && strcmp(s->verb, "follow") != 0 && *s->verb)
        return err_set(err, -EINVAL, "--%s is of follow, not of %s", s->once ? "once" : "interval",
                       s->verb);
    if (s->once && s->interval_s)
        return err_set(err, -EINVAL, "--once has no --interval");
    return 0;
}

static int take_interval(const char *value, struct mirror_settings *s, struct err *err)
{
    uint64_t seconds;
    if (!options_number(value, 86400, &seconds) || seconds == 0)
        return err_set(err, -EINVAL, "--interval: '%s' is no number of seconds, 1 to 86400", value);
    s->interval_s = (uint32_t)seconds;
    return 0;
}

static int take_common(enum row row, const char *value, struct mirror_settings *s, struct err *err)
{
    switch (row) {
    case ROW_NAME:
        return take_name(value, s, err);
    case ROW_MACHINE:
        return take_word("--machine", value, s->job.machine, sizeof s->job.machine, err);
    case ROW_NETWORK:
        return take_word("--network", value, s->job.network, sizeof s->job.network, err);
    case ROW_STATE:
        s->state = value;
        return 0;
    case ROW_YES:
        s->yes = true;
        return 0;
    case ROW_ALL:
        s->all = true;
        return 0;
    case ROW_JSON:
        s->json = true;
        return 0;
    case ROW_DETAILED:
        s->detailed = true;
        return 0;
    case ROW_RETRY:
        s->job.retries = true;
        return 0;
    case ROW_INTERVAL:
        return take_interval(value, s, err);
    case ROW_ONCE:
        s->once = true;
        return 0;
    case ROW_PRINT:
        return take_form(value, s, err);
    case ROW_COLOR:
        s->color = value;
        if (terminal_color(value, STDOUT_FILENO) < 0)
            return err_set(err, -EINVAL, "--color: '%s' is none of auto, always, never", value);
        return 0;
    case ROW_VERBOSE:
        s->verbose = true;
        note_set_level(NOTE_INFO); /* a cloud's calls are told so */
        return 0;
    case ROW_QUIET:
        s->quiet = true;
        return 0;
    case ROW_HELP:
        s->help = true;
        return 0;
    case ROW_VERSION:
        s->version = true;
        return 0;
    case N_COMMON_ROWS:
        break;
    }
    return 0;
}

/* What the journal keeps: all that makes the mirror what it is, and for a unit where that is. */
static bool keep(struct mirror_settings *s, int row, const char *value)
{
    const char *name = s->rows[row].name;
    char here[PATH_MAX];
    if (row < N_COMMON_ROWS && row != ROW_NAME && row != ROW_MACHINE && row != ROW_NETWORK &&
        row != ROW_STATE)
        return true;
    bool relative = row == ROW_STATE && value[0] != '/' && getcwd(here, sizeof here);
    json_t *word = relative ? json_sprintf("--%s=%s/%s", name, here, value)
                   : value  ? json_sprintf("--%s=%s", name, value)
                            : json_sprintf("--%s", name);
    return json_array_append_new(s->arguments, word) == 0;
}

static int take(int row, const char *value, void *with, struct err *err)
{
    struct mirror_settings *s = with;
    int result = row < N_COMMON_ROWS
                     ? take_common((enum row)row, value, s, err)
                     : s->job.provider->wish_take(row - N_COMMON_ROWS, value, s->job.wish, err);
    if (result == 0 && !keep(s, row, value))
        result = err_set(err, -EINVAL, "--%s: the value is no UTF-8 text", s->rows[row].name);
    return result;
}

bool mirror_settings_is_switch(const char *word)
{
    for (const struct option_row *row = common_rows; row < common_rows + N_COMMON_ROWS; row++) {
        char letter[] = {'-', row->letter, '\0'};
        bool is_name = strncmp(word, "--", 2) == 0 && strcmp(word + 2, row->name) == 0;
        if ((!row->value || row->value_may_lack) &&
            (is_name || (row->letter && strcmp(word, letter) == 0)))
            return true;
    }
    return false;
}

int mirror_settings_begin(struct mirror_settings *settings, const char *verb,
                          const struct mirror_provider *provider, struct err *err)
{
    size_t n = 0;
    while (provider && (provider->options[n].name || provider->options[n].letter))
        n++;
    *settings = (struct mirror_settings){
        .verb = verb,
        .job = {.provider = provider,
                .wish = provider ? calloc(1, provider->wish_size) : NULL,
                .world = &mirror_world},
        .arguments = json_array(),
        .rows = calloc(N_COMMON_ROWS + n + 1, sizeof(struct option_row)),
    };
    if (!settings->arguments || !settings->rows || (provider && !settings->job.wish))
        return err_set(err, -ENOMEM, "out of memory");
    memcpy(settings->rows, common_rows, sizeof common_rows);
    if (n)
        memcpy(settings->rows + N_COMMON_ROWS, provider->options, n * sizeof *provider->options);
    return 0;
}

int mirror_settings_take(struct mirror_settings *settings, char **args, int n_args, struct err *err)
{
    const char **rest = calloc((size_t)n_args + 1, sizeof *rest);
    if (!rest)
        return err_set(err, -ENOMEM, "out of memory");
    int n = options_parse(settings->rows, args, n_args, rest, take, settings, err);
    if (n >= 0 && settings->takes_words) {
        free(settings->words);
        settings->words = rest;
        settings->n_words = (size_t)n;
        return check_verb(settings, err);
    }
    if (n > 0)
        n = err_set(err, -EINVAL, "'%s' is no option, and nothing else is expected here", rest[0]);
    free(rest);
    return n < 0 ? n : check_verb(settings, err);
}

int mirror_settings_recall(struct mirror_settings *settings, const json_t *arguments,
                           struct err *err)
{
    size_t n = json_array_size(arguments), i;
    char **args = calloc(n + 1, sizeof *args);
    json_t *word;
    if (!args)
        return err_set(err, -ENOMEM, "out of memory");
    /* The wish keeps pointers to the texts: they stay as long as the settings. */
    settings->recalled = json_incref((json_t *)(uintptr_t)arguments);
    json_array_foreach(settings->recalled, i, word) args[i] =
        (char *)(uintptr_t)(json_is_string(word) ? json_string_value(word) : "");
    int result = mirror_settings_take(settings, args, (int)n, err);
    free(args);
    return result;
}

int mirror_settings_check(struct mirror_settings *settings, struct err *err)
{
    struct mirror_job *job = &settings->job;
    if (!job->machine[0] && gethostname(job->machine, sizeof job->machine - 1) < 0)
        job->machine[0] = '\0';
    job->arguments = settings->arguments;
    int result = job->provider->wish_check(job, err);
    if (result < 0)
        return result;
    if (!job->partial && !mirror_name_is_good(job->name))
        return err_set(err, -EINVAL, "this mirror needs a name: --name");
    return 0;
}

int mirror_settings_known(const struct mirror_settings *asked,
                          const struct mirror_provider *provider, const char *name,
                          const struct mirror_entry *entry, const char *folder,
                          struct mirror_settings *out, struct err *err)
{
    int result = mirror_settings_begin(out, asked->verb, provider, err);
    out->json = asked->json;
    out->quiet = asked->quiet;
    out->verbose = asked->verbose;
    out->color = asked->color;
    /* To take it away only what finds it is needed, whatever a wish of it would be told now. */
    out->job.partial = !entry || strcmp(asked->verb, "remove") == 0;
    out->job.folder = folder;
    const json_t *words = entry                             ? entry->arguments
                          : asked->job.provider == provider ? asked->arguments
                                                            : NULL;
    if (result == 0)
        result = mirror_settings_recall(out, words, err);
    if (result == 0)
        result = mirror_settings_check(out, err);
    (void)snprintf(out->job.name, sizeof out->job.name, "%s", name);
    if (entry)
        (void)snprintf(out->job.machine, sizeof out->job.machine, "%s", entry->machine);
    return result;
}

void mirror_settings_done(struct mirror_settings *settings)
{
    mirror_job_end(&settings->job);
    json_decref(settings->arguments);
    json_decref(settings->recalled);
    free(settings->rows);
    free(settings->words);
    *settings = (struct mirror_settings){0};
}
