/* Status and removal of the mirrors that the journal, or marks, tell of: see mirror_many.h. */
#include "cmd/mirror_many.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/note.h"
#include "base/state.h"
#include "cmd/command.h"
#include "cmd/mirror_show.h"
#include "cmd/mirror_world.h"
#include "mirror/engine.h"
#include "mirror/record.h"

#define OUT_MAX (64u << 20)

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

/* One mirror that is there, or should be. */
struct known {
    const struct mirror_provider *provider;
    char name[MIRROR_NAME_MAX];
    const struct mirror_entry *entry; /* of the journal; NULL: only marks tell of it */
};

struct many {
    struct mirror_settings *settings; /* of the command line */
    char folder[STATE_FOLDER_MAX];
    struct mirror_journal *journal;
    struct mirror_entry *entries;
    size_t n_entries;
    struct known *list;
    size_t n;
    bool can_write;
    bool is_partial; /* some could not be looked for; that was said */
};

static bool is_asked_for(const struct many *many, const struct mirror_provider *provider,
                         const char *name)
{
    const struct mirror_job *job = &many->settings->job;
    return (!job->provider || job->provider == provider) &&
           (!job->name[0] || strcmp(job->name, name) == 0);
}

static int add(struct many *many, const struct mirror_provider *provider, const char *name,
               const struct mirror_entry *entry, struct err *err)
{
    if (!is_asked_for(many, provider, name))
        return 0;
    for (size_t i = 0; i < many->n; i++)
        if (many->list[i].provider == provider && strcmp(many->list[i].name, name) == 0)
            return 0;
    struct known *list = realloc(many->list, (many->n + 1) * sizeof *list);
    if (!list)
        return err_set(err, -ENOMEM, "out of memory");
    many->list = list;
    list[many->n] = (struct known){.provider = provider, .entry = entry};
    (void)snprintf(list[many->n++].name, MIRROR_NAME_MAX, "%s", name);
    return 0;
}

/* Those that only their marks tell of. A provider that was not asked for by name, and that is not
 * here at all, has none. */
static int add_marked(struct many *many, const struct mirror_provider *provider, struct err *err)
{
    const struct mirror_job *asked = &many->settings->job;
    struct mirror_job job = {.provider = provider, .partial = true, .world = &mirror_world};
    char(*names)[MIRROR_NAME_MAX] = NULL;
    size_t n = 0;
    /* A cloud is not asked by the way: that takes credentials, and seconds where there are none. */
    if (!provider->names || (provider->keeps && asked->provider != provider))
        return 0;
    if (asked->provider == provider)
        job.wish = asked->wish;
    struct err why;
    int result = provider->open ? provider->open(&job, &why) : 0;
    if (result == 0)
        result = provider->names(&job, &names, &n, &why);
    if (provider->close)
        provider->close(&job);
    if (result < 0 && asked->provider == provider && many->n == 0)
        return err_set(err, result, "%s", why.text);
    if (result == -EPERM || result == -EACCES) {
        note(NOTE_ERROR, "%s: %s; mirrors that the journal does not know are not listed",
             provider->name, why.text);
        many->is_partial = true;
    }
    if (result < 0) /* there is no such thing here */
        return 0;
    /* Anybody may have written a mark; a name becomes a part of files' names. */
    for (size_t i = 0; result == 0 && i < n; i++)
        if (mirror_name_is_good(names[i]))
            result = add(many, provider, names[i], NULL, err);
    free(names);
    return result;
}

static int begin(struct many *many, struct mirror_settings *settings, bool write, struct err *err)
{
    *many = (struct many){.settings = settings};
    int result = state_folder(settings->state, many->folder, err);
    if (result == 0 && write)
        result = mirror_journal_wait(many->folder, MIRROR_PATIENCE_MS, &many->journal, err);
    else if (result == 0) {
        /* The counters of this look are kept for the next one, where that is possible. */
        char path[STATE_FOLDER_MAX + 16];
        struct err other;
        (void)snprintf(path, sizeof path, "%s/mirror.db", many->folder);
        many->can_write = access(path, W_OK) == 0 &&
                          mirror_journal_open(many->folder, true, &many->journal, &other) == 0;
        if (!many->can_write)
            result = mirror_journal_open(many->folder, false, &many->journal, err);
    }
    if (result == 0)
        result = mirror_journal_list(many->journal, &many->entries, &many->n_entries, err);
    for (size_t i = 0; result == 0 && i < many->n_entries; i++) {
        const struct mirror_entry *entry = &many->entries[i];
        const struct mirror_provider *provider = mirror_provider(entry->provider);
        if (provider) {
            result = add(many, provider, entry->name, entry, err);
        } else if (!settings->job.provider) {
            note(NOTE_ERROR,
                 "%s: the journal has it of the provider %s, which is not in this "
                 "cloudspan",
                 entry->name, entry->provider);
            many->is_partial = true;
        }
    }
    const struct mirror_provider *const *all = mirror_providers();
    for (size_t i = 0; result == 0 && all[i]; i++)
        if (!settings->job.provider || settings->job.provider == all[i])
            result = add_marked(many, all[i], err);
    return result;
}

static void end(struct many *many)
{
    mirror_entries_free(many->entries, many->n_entries);
    mirror_journal_close(many->journal);
    free(many->list);
}

/* The settings of one of them: the words of its apply, or what the command line says of it. */
static int settings_of(const struct many *many, const struct known *known,
                       struct mirror_settings *out, struct err *err)
{
    int result = mirror_settings_known(many->settings, known->provider, known->name, known->entry,
                                       many->folder, out, err);
    return result < 0 ? result : mirror_job_begin(&out->job, many->journal, err);
}

/* ---- status ---- */

/* Names are shown whole: --name takes no others. */
static unsigned name_width(const struct many *many)
{
    size_t width = 16;
    for (size_t i = 0; i < many->n; i++) {
        size_t len = strlen(many->list[i].name);
        width = len > width ? len : width;
    }
    return (unsigned)width;
}

static int status_of(struct many *many, const struct known *known, bool *out_bad, struct text *out,
                     struct err *err)
{
    struct mirror_settings settings;
    struct mirror_status status;
    int result = settings_of(many, known, &settings, err);
    if (result == 0)
        result = mirror_engine_status(&settings.job, many->journal, known->entry != NULL,
                                      known->entry && known->entry->applied,
                                      many->can_write && known->entry, &status, err);
    if (result == 0) {
        *out_bad |= status.trouble[0] || status.n_missing || status.n_different ||
                    status.n_troubles || status.n_uncovered || !status.applied;
        if (!settings.quiet)
            mirror_show_status(&settings, &status, out->size == 0, name_width(many), out);
        mirror_status_done(&status);
    }
    mirror_settings_done(&settings);
    return result;
}

int mirror_many_status(struct mirror_settings *settings)
{
    struct many many;
    struct text out;
    struct err err;
    bool bad = false;
    int code = EXIT_DONE, result = begin(&many, settings, false, &err);
    text_init(&out, OUT_MAX);
    for (size_t i = 0; result == 0 && i < many.n; i++) {
        struct err why;
        if (status_of(&many, &many.list[i], &bad, &out, &why) < 0) {
            note(NOTE_ERROR, "%s: %s", many.list[i].name, why.text);
            code = EXIT_PARTIAL;
        }
    }
    if (result < 0)
        note(NOTE_ERROR, "%s", err.text);
    else if (many.n == 0 && !many.is_partial && !settings->json && !settings->quiet)
        text_put(&out, "there is no mirror of ours here\n");
    end(&many);
    int printed = mirror_print(&out);
    if (result < 0 || printed != EXIT_DONE)
        return EXIT_FAILED;
    if (many.is_partial)
        code = EXIT_PARTIAL;
    /* A mirror that was asked for by its name, and is not there, is not well. */
    if (many.n == 0 && settings->job.name[0] && !many.is_partial)
        return EXIT_UNHEALTHY;
    return code != EXIT_DONE ? code : bad ? EXIT_UNHEALTHY : EXIT_DONE;
}

/* ---- remove ---- */

static int remove_one(struct many *many, const struct known *known, size_t *out_n, struct err *err)
{
    struct mirror_settings settings;
    int result = settings_of(many, known, &settings, err);
    struct mirror_watcher watcher = {.step = mirror_show_step, .with = &settings};
    if (result == 0)
        result = mirror_engine_remove(&settings.job, many->journal, &watcher, out_n, err);
    if (result == 0)
        result = mirror_record_remove(many->folder, &settings.job, err);
    mirror_settings_done(&settings);
    return result;
}

static bool is_yes(const struct many *many)
{
    FILE *out = many->settings->json ? stderr : stdout; /* among objects a question is none */
    char answer[16] = "";
    fprintf(out, "Take away ");
    for (size_t i = 0; i < many->n; i++)
        fprintf(out, "%s%s (%s)", i ? ", " : "", many->list[i].name, many->list[i].provider->name);
    fprintf(out, "? [y/N] ");
    (void)fflush(out);
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    fprintf(out, "nothing was changed\n");
    return false;
}

/* Those that failed once more, when others went after them: one may have used what another made.
 * Says what is left. */
static int remove_all(struct many *many, size_t *out_n, struct err *err)
{
    struct err *why = calloc(many->n + 1, sizeof *why);
    bool *left = calloc(many->n + 1, sizeof *left);
    size_t last_gone = 0; /* one more than its place */
    int result = why && left ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (int pass = 0; result == 0 && pass < 2; pass++)
        for (size_t i = 0; i < many->n; i++) {
            size_t n = 0;
            if (pass && (!left[i] || i >= last_gone))
                continue;
            left[i] = remove_one(many, &many->list[i], &n, &why[i]) < 0;
            last_gone = !pass && !left[i] ? i + 1 : last_gone;
            *out_n += n;
        }
    for (size_t i = 0; result == 0 && i < many->n; i++)
        if (left[i]) {
            note(NOTE_ERROR, "%s: %s", many->list[i].name, why[i].text);
            many->is_partial = true;
        }
    free(why);
    free(left);
    return result;
}

int mirror_many_remove(struct mirror_settings *settings)
{
    struct many many;
    struct text out;
    struct err err;
    size_t n_removed = 0;
    int code = EXIT_DONE;
    if (!settings->all && !settings->job.name[0]) {
        note(NOTE_ERROR, "which mirror? --name, or --all (cloudspan mirror status lists them)");
        return EXIT_USAGE;
    }
    text_init(&out, OUT_MAX);
    int result = begin(&many, settings, true, &err);
    if (result == 0 && many.n && !settings->yes && !isatty(STDIN_FILENO)) {
        result = err_set(&err, -EINVAL,
                         "remove asks before it changes anything, and standard input "
                         "is no terminal: give it --yes");
    } else if (result == 0 && many.n && !settings->yes && !is_yes(&many)) {
        end(&many);
        return EXIT_FAILED;
    }
    if (result == 0)
        result = remove_all(&many, &n_removed, &err);
    if (result < 0) {
        note(NOTE_ERROR, "%s", err.text);
        code = EXIT_FAILED;
    } else if (settings->json) {
        text_format(&out, "{\"type\":\"remove\",\"mirrors\":%zu,\"objects\":%zu}\n", many.n,
                    n_removed);
    } else if (!settings->quiet && many.n) {
        text_format(&out, "taken away: %zu\n", n_removed);
    } else if (!settings->quiet && !many.is_partial) {
        text_put(&out, "there is nothing of ours to take away\n");
    }
    if (result == 0 && many.is_partial)
        code = EXIT_PARTIAL;
    end(&many);
    int printed = mirror_print(&out); /* also of what was printed step by step */
    return code != EXIT_DONE ? code : printed;
}
