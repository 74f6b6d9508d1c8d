/* Computes the plan of mirrors again and again, and applies it without asking.
 *
 * A round looks without the journal's lock; only where there is something to do it takes it, and
 * looks once more. Between rounds no lock is held, so that other commands can work; a connection to
 * a cloud and what it is signed in with are, until something fails or the mirror is applied with
 * other words. What fails is said once, and tried again after a pause that doubles; what the cloud
 * refused to make is tried again less and less often, as long as nothing else is to be done. */
#include "cmd/mirror_follow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/note.h"
#include "base/notify.h"
#include "base/state.h"
#include "cmd/command.h"
#include "cmd/mirror_many.h"
#include "cmd/mirror_record.h"
#include "cmd/mirror_world.h"

#define OUT_MAX      (64u << 20)
#define INTERVAL_S   60
#define FAILED_MAX_S 900  /* the longest pause after a failure */
#define LACKS_MIN_S  300  /* the first pause before what was refused is tried again */
#define LACKS_MAX_S  3600 /* the longest one */
#define MANY_GONE    6    /* so many, and more than half, are believed to be gone when seen twice */
#define GONE_PAUSE_S 10   /* with --once: before the second look */
#define SAID_MAX     2048 /* bytes of what was said that are compared */

/* One mirror, from round to round. */
struct follow_one {
    const struct mirror_provider *provider;
    char name[MIRROR_NAME_MAX];
    bool is_known;                /* the journal still has it */
    struct mirror_settings *kept; /* owned: of a mirror whose connection is kept; NULL: none is */
    json_t *words;                /* owned: what the journal had of them */
    int64_t next;                 /* ticks: not before; 0: at once */
    uint32_t wait_s;              /* the pause after the last failure; 0: it went well */
    size_t n_sources;             /* machines in the record */
    size_t n_gone;                /* what the last look would have taken away, and did not */
    int64_t lacks_next;
    uint32_t lacks_wait_s;
    char failed[512]; /* what was said of it; "": nothing */
    char remarks[SAID_MAX], lacks[SAID_MAX];
};

struct follow {
    const struct mirror_settings *settings;
    char folder[STATE_FOLDER_MAX];
    struct follow_one *at;
    size_t n;
    struct notify notify;
    struct cloud_world world; /* as mirror_world, and tells the service manager that it lives */
    int64_t told;             /* ticks of the last such telling */
    size_t n_done, n_failed, n_changes, n_lacking, n_doubtful; /* of this round */
};

/* A look at one mirror. */
struct turn {
    struct follow *follow;
    struct follow_one *one;
    struct mirror_settings *s; /* of the mirror: the words of its apply */
    bool is_open;              /* the last look's connection is there */
    struct mirror_journal *journal;
    bool may_write;
    bool must_write; /* out: there is something to do, and it has to be looked at with the lock */
};

/* ---- signs of life ---- */

static void live(struct follow *follow)
{
    int64_t now = clock_ticks();
    if (follow->notify.watchdog && now - follow->told < follow->notify.watchdog / 4)
        return;
    follow->told = now;
    notify_watchdog(&follow->notify);
}

static bool is_stopped(void *with)
{
    live(with);
    return mirror_is_stopped();
}

static bool wait_ms(uint32_t ms, void *with)
{
    while (ms > 0 && !mirror_is_stopped()) {
        uint32_t part = ms < 1000 ? ms : 1000;
        live(with);
        (void)mirror_world.wait(part, NULL);
        ms -= part;
    }
    return !mirror_is_stopped();
}

static void trace(const char *line, void *with)
{
    live(with);
    mirror_world.trace(line, NULL);
}

/* ---- lines ---- */

static void put_line(const struct mirror_settings *s, const char *type, const char *sign,
                     const char *what, size_t len)
{
    struct text out;
    if (s->quiet && !s->json)
        return;
    text_init(&out, 65536);
    if (s->json) {
        text_format(&out, "{\"type\":\"%s\",\"provider\":\"%s\",\"mirror\":\"%s\",\"text\":", type,
                    s->job.provider->name, s->job.name);
        text_json(&out, what, len);
        text_put(&out, "}\n");
    } else {
        text_format(&out, "%s %s ", s->job.name, sign);
        text_add(&out, what, len);
        text_put(&out, "\n");
    }
    (void)mirror_print(&out); /* says itself what is wrong with standard output */
}

static void say_step(void *with, const struct mirror_object *object, int action, bool done,
                     const char *failed)
{
    const struct turn *turn = with;
    struct text what;
    char sign[2] = {mirror_action_sign(action), '\0'};
    if (!done || failed)
        return;
    if (turn->s->json) {
        mirror_show_step(turn->s, object, action, done, failed);
        return;
    }
    text_init(&what, 1024);
    turn->s->job.provider->describe(object, &what);
    put_line(turn->s, "step", sign, what.at ? what.at : object->key,
             what.at ? what.size : strlen(object->key));
    text_done(&what);
}

static bool turn_is_stopped(void *with)
{
    const struct turn *turn = with;
    return is_stopped(turn->follow);
}

/* Each line, where the whole is not what it was the last time. */
static void say_new(const struct mirror_settings *s, const char *type, const struct text *text,
                    char last[SAID_MAX])
{
    const char *at = text->at ? text->at : "";
    if (strncmp(at, last, SAID_MAX - 1) == 0)
        return;
    (void)snprintf(last, SAID_MAX, "%s", at);
    while (*at) {
        size_t len = strcspn(at, "\n");
        put_line(s, type, "!", at, len);
        at += len + (at[len] == '\n');
    }
}

static void say_lacks(const struct mirror_settings *s, const struct mirror_outcome *outcome,
                      struct follow_one *one)
{
    struct text text;
    text_init(&text, OUT_MAX);
    for (size_t i = 0; i < outcome->n_lack; i++) {
        const struct mirror_lack *lack = &outcome->lack[i];
        text_put(&text, lack->is_there ? "not changed: " : "not made: ");
        s->job.provider->describe(lack->want, &text);
        text_put(&text, ": ");
        text_put(&text, lack->reason);
        text_put(&text, "\n");
    }
    say_new(s, "lack", &text, one->lacks);
    text_done(&text);
}

/* ---- one mirror ---- */

/* Whether all there is to do is what the cloud refused the last time. */
static bool only_lacks(const struct turn *turn, const struct mirror_planned *planned)
{
    for (size_t i = 0; i < planned->plan.n; i++) {
        const struct mirror_step *step = &planned->plan.at[i];
        if (step->action != MIRROR_KEEP &&
            (step->action != MIRROR_MAKE ||
             !mirror_job_lacks(&turn->s->job, step->want->kind, step->want->key)))
            return false;
    }
    return planned->plan.n_changes > 0;
}

/* A cloud that answers with half of its machines, or none, must not cost the mirrors of the others:
 * whether to look once more before so much is taken away. */
static size_t count_gone(const struct mirror_planned *planned, const char *kind)
{
    size_t n = 0;
    for (size_t i = 0; i < planned->plan.n; i++)
        n += planned->plan.at[i].action == MIRROR_UNMAKE &&
             strcmp(planned->plan.at[i].have->kind, kind) == 0;
    return n;
}

static bool is_doubtful(struct turn *turn, const struct mirror_planned *planned)
{
    size_t n_gone = 0, n_found = 0;
    const char *kind = "";
    char line[200];
    /* Of the kind of which most would go; there are few kinds, and their objects stand together. */
    for (size_t i = 0; i < planned->plan.n; i++) {
        const struct mirror_step *step = &planned->plan.at[i];
        if (step->action != MIRROR_UNMAKE || strcmp(step->have->kind, kind) == 0)
            continue;
        size_t n = count_gone(planned, step->have->kind);
        kind = n > n_gone ? step->have->kind : kind;
        n_gone = n > n_gone ? n : n_gone;
    }
    for (size_t i = 0; i < planned->found.n; i++)
        n_found += strcmp(planned->found.at[i].kind, kind) == 0;
    if (n_gone < MANY_GONE || n_gone * 2 <= n_found || turn->one->n_gone == n_gone) {
        turn->one->n_gone = turn->may_write ? 0 : turn->one->n_gone;
        return false;
    }
    turn->one->n_gone = n_gone;
    (void)snprintf(line, sizeof line,
                   "%zu of %zu %ss would be taken away: it is looked at once more before", n_gone,
                   n_found, kind);
    put_line(turn->s, "doubt", "!", line, strlen(line));
    return true;
}

static int change(struct turn *turn, const struct mirror_planned *planned,
                  struct mirror_applied *applied, struct err *err)
{
    struct mirror_watcher watcher = {.step = say_step, .stop = turn_is_stopped, .with = turn};
    struct follow_one *one = turn->one;
    struct mirror_outcome *outcome = &applied->outcome;
    int result = mirror_engine_apply(&turn->s->job, turn->journal, planned, turn->s->arguments,
                                     &watcher, outcome, err);
    turn->follow->n_changes += outcome->n_done;
    if (result < 0)
        return result;
    turn->follow->n_lacking += outcome->n_lack;
    say_lacks(turn->s, outcome, one);
    one->lacks_wait_s = outcome->n_lack == 0                  ? 0
                        : one->lacks_wait_s == 0              ? LACKS_MIN_S
                        : one->lacks_wait_s * 2 < LACKS_MAX_S ? one->lacks_wait_s * 2
                                                              : LACKS_MAX_S;
    one->lacks_next = clock_ticks() + (int64_t)one->lacks_wait_s * 1000000000;
    return 0;
}

/* What is recorded for watch also changes where nothing is made: a machine got another name. */
static int keep_record(struct turn *turn, const struct mirror_planned *planned,
                       struct mirror_applied *applied, struct err *err)
{
    int result = mirror_record_keep(turn->s, turn->follow->folder, planned, applied, err);
    /* A cloud's counters are in it, and change at each look: that is no news. */
    bool is_news = applied->outcome.n_done > 0 || applied->n_sources != turn->one->n_sources ||
                   turn->follow->settings->verbose;
    turn->one->n_sources = applied->n_sources;
    if (result == 0 && applied->record_is_new && is_news) {
        char line[1000];
        (void)snprintf(line, sizeof line, "recorded for watch: %s%s%s",
                       applied->record[0] ? applied->record : "no more machines",
                       applied->collector[0] ? ", to be copied to " : "", applied->collector);
        put_line(turn->s, "record", "=", line, strlen(line));
    }
    return result;
}

static int keep_in_step(struct turn *turn, const struct mirror_entry *entry, struct err *err)
{
    struct mirror_planned planned = {0};
    struct mirror_applied applied = {0};
    struct follow *follow = turn->follow;
    int result = turn->is_open ? mirror_job_again(&turn->s->job, turn->journal, err)
                               : mirror_job_begin(&turn->s->job, turn->journal, err);
    if (result == 0)
        result = mirror_engine_plan(&turn->s->job, &planned, err);
    if (result < 0)
        return result;
    bool waits = only_lacks(turn, &planned) && entry->applied && !follow->settings->once &&
                 turn->one->lacks_wait_s && clock_ticks() < turn->one->lacks_next;
    bool is_due = !waits && (planned.plan.n_changes || !entry->applied);
    if (waits)
        follow->n_lacking += planned.plan.n_changes;
    bool doubts = is_due && is_doubtful(turn, &planned);
    follow->n_doubtful += doubts;
    turn->must_write = is_due && !doubts && !turn->may_write;
    if (!turn->must_write && !doubts) {
        if (!follow->settings->once || follow->settings->verbose)
            say_new(turn->s, "remark", &planned.remarks, turn->one->remarks);
        if (is_due)
            result = change(turn, &planned, &applied, err);
        if (result == 0)
            result = keep_record(turn, &planned, &applied, err);
    }
    mirror_outcome_done(&applied.outcome);
    mirror_planned_done(&planned);
    return result;
}

/* ---- connections ---- */

static void let_go(struct follow_one *one)
{
    if (one->kept)
        mirror_settings_done(one->kept);
    free(one->kept);
    json_decref(one->words);
    one->kept = NULL;
    one->words = NULL;
}

/* The settings of the last look, where its connection can be gone on with; else new ones. */
static int settings_of(struct follow *follow, struct follow_one *one,
                       const struct mirror_entry *entry, bool *out_is_open, struct err *err)
{
    *out_is_open = one->kept && json_equal(one->words, entry->arguments) &&
                   strcmp(one->kept->job.machine, entry->machine) == 0;
    if (*out_is_open)
        return 0;
    let_go(one);
    one->kept = calloc(1, sizeof *one->kept);
    if (!one->kept)
        return err_set(err, -ENOMEM, "out of memory");
    int result = mirror_settings_known(follow->settings, one->provider, one->name, entry,
                                       follow->folder, one->kept, err);
    one->kept->job.world = &follow->world;
    one->words = json_incref(entry->arguments);
    return result;
}

/* As the journal has it now: it may have been applied anew, or removed, since the last look. */
static int look(struct follow *follow, struct follow_one *one, bool may_write, bool *out_again,
                struct err *err)
{
    struct turn turn = {.follow = follow, .one = one, .may_write = may_write};
    struct mirror_entry *entries = NULL;
    size_t n = 0, i = 0;
    int result = may_write
                     ? mirror_journal_wait(follow->folder, MIRROR_PATIENCE_MS, &turn.journal, err)
                     : mirror_journal_open(follow->folder, false, &turn.journal, err);
    if (result == 0)
        result = mirror_journal_list(turn.journal, &entries, &n, err);
    while (i < n && (strcmp(entries[i].provider, one->provider->name) != 0 ||
                     strcmp(entries[i].name, one->name) != 0))
        i++;
    if (result == 0 && i < n) {
        result = settings_of(follow, one, &entries[i], &turn.is_open, err);
        turn.s = one->kept;
        if (result == 0)
            result = keep_in_step(&turn, &entries[i], err);
    }
    /* What is cheap to open is opened anew: names may have other addresses, links may be others. */
    if (result < 0 || i == n || !one->provider->again)
        let_go(one);
    *out_again = turn.must_write;
    mirror_entries_free(entries, n);
    mirror_journal_close(turn.journal);
    return result;
}

/* Said once, until it goes well again or is another trouble. */
static void say_failed(const struct follow *follow, struct follow_one *one, const struct err *err)
{
    uint32_t interval = follow->settings->interval_s ? follow->settings->interval_s : INTERVAL_S;
    uint32_t most = interval > FAILED_MAX_S ? interval : FAILED_MAX_S;
    one->wait_s = one->wait_s == 0 ? interval : one->wait_s * 2 < most ? one->wait_s * 2 : most;
    one->next = clock_ticks() + (int64_t)one->wait_s * 1000000000;
    if (strcmp(one->failed, err->text) == 0)
        return;
    (void)snprintf(one->failed, sizeof one->failed, "%s", err->text);
    note(NOTE_ERROR, "%s: %s%s", one->name, err->text,
         follow->settings->once ? "" : "; it is tried again");
}

static void follow_one(struct follow *follow, struct follow_one *one)
{
    struct err err = {""};
    bool again = false;
    int result = look(follow, one, false, &again, &err);
    if (result == 0 && again)
        result = look(follow, one, true, &again, &err);
    if (result < 0 && mirror_is_stopped())
        return;
    if (result < 0) {
        follow->n_failed++;
        say_failed(follow, one, &err);
        return;
    }
    if (one->failed[0])
        note(NOTE_WARN, "%s: it works again", one->name);
    follow->n_done++;
    one->failed[0] = '\0';
    one->wait_s = 0;
    one->next = 0;
}

/* ---- rounds ---- */

static struct follow_one *find_one(struct follow *follow, const struct mirror_provider *provider,
                                   const char *name)
{
    for (size_t i = 0; i < follow->n; i++)
        if (follow->at[i].provider == provider && strcmp(follow->at[i].name, name) == 0)
            return &follow->at[i];
    struct follow_one *at = realloc(follow->at, (follow->n + 1) * sizeof *at);
    if (!at)
        return NULL;
    follow->at = at;
    at[follow->n] = (struct follow_one){.provider = provider};
    (void)snprintf(at[follow->n].name, sizeof at->name, "%s", name);
    return &at[follow->n++];
}

/* Those that the journal has now, and that were asked for. */
static int list(struct follow *follow, struct err *err)
{
    const struct mirror_job *asked = &follow->settings->job;
    struct mirror_journal *journal = NULL;
    struct mirror_entry *entries = NULL;
    size_t n = 0, n_known = 0;
    for (size_t i = 0; i < follow->n; i++)
        follow->at[i].is_known = false;
    int result = mirror_journal_open(follow->folder, false, &journal, err);
    if (result == 0)
        result = mirror_journal_list(journal, &entries, &n, err);
    for (size_t i = 0; result == 0 && i < n; i++) {
        const struct mirror_provider *provider = mirror_provider(entries[i].provider);
        if (!provider || (asked->provider && asked->provider != provider) ||
            (asked->name[0] && strcmp(asked->name, entries[i].name) != 0))
            continue;
        struct follow_one *one = find_one(follow, provider, entries[i].name);
        if (!one)
            result = err_set(err, -ENOMEM, "out of memory");
        else
            one->is_known = true;
        n_known++;
    }
    /* One that was named is missed; of all there may be none yet. */
    if (result == 0 && n_known == 0 && asked->name[0])
        result = err_set(err, -ENOENT,
                         "the journal in %s has no mirror %s to follow: cloudspan mirror apply "
                         "makes one",
                         follow->folder, asked->name);
    mirror_entries_free(entries, n);
    mirror_journal_close(journal);
    return result;
}

static int round_of(struct follow *follow, struct err *err)
{
    char status[128];
    follow->n_done = follow->n_failed = follow->n_changes = follow->n_lacking = 0;
    follow->n_doubtful = 0;
    int result = list(follow, err);
    for (size_t i = 0; result == 0 && i < follow->n && !is_stopped(follow); i++)
        if (follow->at[i].is_known && (!follow->at[i].next || clock_ticks() >= follow->at[i].next))
            follow_one(follow, &follow->at[i]);
        else if (follow->at[i].is_known)
            follow->n_failed++;
        else
            let_go(&follow->at[i]);
    (void)snprintf(status, sizeof status, "%zu in step, %zu failing, %zu changes, %zu not made",
                   follow->n_done, follow->n_failed, follow->n_changes, follow->n_lacking);
    notify_status(&follow->notify, result < 0 ? err->text : status);
    return result;
}

static int once(struct follow *follow)
{
    struct err err;
    int result = round_of(follow, &err);
    if (result == 0 && follow->n_doubtful && wait_ms(GONE_PAUSE_S * 1000, follow))
        result = round_of(follow, &err);
    if (result < 0) {
        note(NOTE_ERROR, "%s", err.text);
        return EXIT_FAILED;
    }
    return mirror_is_stopped()                                           ? EXIT_INTERRUPTED
           : follow->n_failed && !follow->n_done                         ? EXIT_FAILED
           : follow->n_failed || follow->n_lacking || follow->n_doubtful ? EXIT_PARTIAL
                                                                         : EXIT_DONE;
}

/* A trouble with the journal is one of all mirrors, and is waited out as well: but one that is
 * there from the start is a mistake. */
static int for_ever(struct follow *follow)
{
    uint32_t interval = follow->settings->interval_s ? follow->settings->interval_s : INTERVAL_S;
    struct err err = {""}, last = {""};
    if (list(follow, &err) < 0) {
        note(NOTE_ERROR, "%s", err.text);
        return EXIT_FAILED;
    }
    notify_ready(&follow->notify, "following");
    do {
        int64_t begin = clock_ticks();
        int result = round_of(follow, &err);
        if (result < 0 && strcmp(err.text, last.text) != 0) {
            note(NOTE_ERROR, "%s; it is tried again", err.text);
            last = err;
        } else if (result == 0) {
            last.text[0] = '\0';
        }
        uint32_t took = (uint32_t)((clock_ticks() - begin) / 1000000);
        if (!wait_ms(took < interval * 1000 ? interval * 1000 - took : 1000, follow))
            break;
    } while (!mirror_is_stopped());
    notify_stopping(&follow->notify);
    return EXIT_DONE;
}

int mirror_follow(struct mirror_settings *settings)
{
    struct follow follow = {
        .settings = settings,
        .world = {.wait = wait_ms, .is_stopped = is_stopped, .trace = trace, .with = &follow}};
    struct err err;
    if (!settings->all && !settings->job.provider && !settings->job.name[0]) {
        note(NOTE_ERROR, "follow what? a provider, --name, or --all (cloudspan mirror status lists "
                         "them)");
        return EXIT_USAGE;
    }
    mirror_catch_signals();
    if (notify_init(&follow.notify, &err) < 0) /* it is followed all the same */
        note(NOTE_WARN, "%s", err.text);
    int code = EXIT_FAILED;
    if (state_folder(settings->state, follow.folder, &err) < 0)
        note(NOTE_ERROR, "%s", err.text);
    else
        code = settings->once ? once(&follow) : for_ever(&follow);
    notify_done(&follow.notify);
    for (size_t i = 0; i < follow.n; i++)
        let_go(&follow.at[i]);
    free(follow.at);
    return code;
}
