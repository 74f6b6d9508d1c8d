/* Reading, keeping and judging: see hunt_session.h. */
#include "cmd/hunt_session.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/note.h"
#include "base/state.h"
#include "base/text.h"
#include "cmd/hunt_show.h"
#include "cmd/terminal.h"
#include "hunt/feeds.h"

#define FINDINGS_MAX 100000
#define SAID_MAX     20               /* broken files */
#define MS           INT64_C(1000000) /* ns */
#define DAY_MS       INT64_C(86400000)

static void clear_progress(struct hunt_session *s)
{
    if (s->shown)
        fprintf(stderr, "\r\033[K");
    s->shown = false;
}

/* ---- the archive ---- */

/* A name that says which folder it is about, and that another folder does not have. */
static void archive_name(const struct hunt_session *s, char *out, size_t size)
{
    char whole[PATH_MAX], shown[48] = "logs", hex[17] = "";
    uint8_t digest[HASH_SHA256_SIZE];
    struct text all;
    text_init(&all, 1u << 20);
    for (size_t i = 0; i < s->n_paths; i++) {
        const char *path = realpath(s->paths[i], whole) ? whole : s->paths[i];
        const char *slash = strrchr(path, '/');
        const char *last = slash ? slash + 1 : path;
        text_add(&all, path, strlen(path) + 1);
        if (i == 0 && last[0])
            (void)snprintf(shown, sizeof shown, "%.40s", last);
    }
    hash_sha256(all.at, all.size, digest);
    hash_hex(digest, 8, hex);
    text_done(&all);
    for (char *c = shown; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *c))
            *c = '_';
    (void)snprintf(out, size, "%s-%s.db", shown, hex);
}

static int find_archive(struct hunt_session *s, struct err *err)
{
    char folder[STATE_FOLDER_MAX], hunts_folder[STATE_FOLDER_MAX + 8], name[96];
    if (s->options->state) {
        if (strlen(s->options->state) >= sizeof s->archive_path)
            return err_set(err, -ENAMETOOLONG, "--state: the name is too long");
        (void)snprintf(s->archive_path, sizeof s->archive_path, "%s", s->options->state);
        return 0;
    }
    int result = state_folder(NULL, folder, err);
    if (result < 0)
        return result;
    (void)snprintf(hunts_folder, sizeof hunts_folder, "%s/hunts", folder);
    hunts_folder[STATE_FOLDER_MAX - 1] = '\0'; /* state_folder leaves room for it */
    result = state_make(hunts_folder, err);
    if (result < 0)
        return result;
    archive_name(s, name, sizeof name);
    (void)snprintf(s->archive_path, sizeof s->archive_path, "%s/%s", hunts_folder, name);
    return 0;
}

/* Standard input and single files are read whole each time: they say nothing of other days. */
static bool wants_archive(const struct hunt_session *s)
{
    if (s->options->no_state)
        return false;
    for (size_t i = 0; i < s->n_paths; i++)
        if (strcmp(s->paths[i], "-") == 0)
            return false;
    return true;
}

static int open_archive(struct hunt_session *s, struct err *err)
{
    int result = find_archive(s, err);
    if (result == 0)
        result = hunt_archive_open(s->archive_path, false, &s->archive, err);
    if (result > 0)
        note(NOTE_WARN, "%s", err->text);
    if (result >= 0)
        return 0;
    s->archive = NULL;
    if (s->options->state)
        return result;
    /* Nobody asked for it: the hunt goes on without. */
    note(NOTE_WARN, "%s; nothing is kept from run to run (--no-state says that this is meant)",
         err->text);
    return 0;
}

static uint64_t new_secret(void)
{
    uint64_t secret;
    if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
        secret = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid();
    return secret;
}

static int64_t first_seen(void *with, uint64_t key)
{
    return hunt_archive_first_seen(with, key);
}

static unsigned n_threads(const struct hunt_session *s)
{
    long n = s->options->threads ? (long)s->options->threads : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (unsigned)n;
}

static int new_engine(struct hunt_session *s, struct err *err)
{
    hunt_engine_free(s->engine);
    s->engine = NULL;
    uint64_t secret = s->archive ? hunt_archive_secret(s->archive) : new_secret();
    int result = hunt_engine_new(s->settings, secret, &s->engine, err);
    if (result == 0)
        hunt_engine_threads(s->engine, n_threads(s));
    return result;
}

static void remember_history(struct hunt_session *s)
{
    int64_t since = s->archive ? hunt_archive_history(s->archive) : HUNT_UNSET;
    if (since != HUNT_UNSET)
        hunt_engine_history(s->engine, since, first_seen, s->archive);
}

int hunt_session_open(struct hunt_session *s, struct err *err)
{
    int result = wants_archive(s) ? open_archive(s, err) : 0;
    if (result < 0)
        return result;
    result = new_engine(s, err);
    if (result < 0 || !s->archive)
        return result;
    /* All days that there is room for: what is older than the span is the history. */
    result = hunt_archive_load(s->archive, s->settings, 0, s->engine, err);
    if (result > 0)
        note(NOTE_INFO, "%s", err->text);
    remember_history(s);
    if (result >= 0)
        result = hunt_archive_marks(s->archive, &s->marks, &s->n_marks, err);
    return result < 0 ? result : 0;
}

void hunt_session_close(struct hunt_session *s)
{
    findings_free(s->findings);
    hunt_engine_free(s->engine);
    hunt_archive_close(s->archive);
    hunt_marks_free(s->marks, s->n_marks);
    s->findings = NULL;
    s->engine = NULL;
    s->archive = NULL;
    s->marks = NULL;
}

/* ---- reading ---- */

static void take_records(void *with, const struct hunt_record *records, size_t n)
{
    struct hunt_session *s = with;
    hunt_engine_take(s->engine, records, n);
}

static void take_file(void *with, const char *path)
{
    struct hunt_session *s = with;
    if (s->options->verbosity < 2)
        return;
    clear_progress(s);
    note(NOTE_DEBUG, "reads %s", path);
}

/* A folder of nothing but broken files is said once, not a thousand times. */
static void say(void *with, const char *text)
{
    struct hunt_session *s = with;
    s->n_said++;
    if (s->n_said > SAID_MAX && s->options->verbosity < 1)
        return;
    clear_progress(s);
    note(NOTE_WARN, "%s", text);
}

static void show_progress(void *with, uint64_t done, uint64_t total)
{
    struct hunt_session *s = with;
    char bytes[16], whole[16], rate[16], left[16] = "?";
    double seconds = (double)(clock_ticks() - s->begun) / 1e9;
    double per_second = seconds > 0 ? (double)done / seconds : 0;
    terminal_number((double)done, bytes);
    terminal_number((double)total, whole);
    terminal_number(per_second, rate);
    if (per_second > 0 && total >= done)
        terminal_duration((int64_t)((double)(total - done) / per_second * 1e9), left);
    fprintf(stderr, "\r\033[K%sB of %sB read, %sB/s, %s left", bytes, whole, rate, left);
    s->shown = true;
}

static int keep(struct hunt_session *s, struct err *err)
{
    if (!s->archive)
        return 0;
    int result = hunt_archive_save(s->archive, s->settings, s->engine, s->marks, s->n_marks, err);
    if (result >= 0)
        result = hunt_archive_learn(s->archive, s->engine, err);
    if (result < 0) {
        err_wrap(err, "what was read could not be kept");
        note(NOTE_WARN, "%s", err->text);
    }
    return 0; /* the findings are there all the same */
}

/* Files that were written anew (a capture that was read into the same folder again, say) would
 * count twice. 1: all is forgotten, and to be read again. */
static int begin_anew(struct hunt_session *s, struct err *err)
{
    const char *archive = s->archive ? s->archive_path : "";
    if (s->counts.n_gone > 0) {
        note(NOTE_WARN,
             "%" PRIu64 " files were written anew, with records of the same times as before, which "
             "count beside these: remove %s, or name another file with --state, unless that is "
             "meant",
             s->counts.n_rewritten, archive);
        return 0;
    }
    note(NOTE_INFO, "%" PRIu64 " files were written anew: all is read again",
         s->counts.n_rewritten);
    int result = s->archive ? hunt_archive_forget(s->archive, err) : 0;
    if (result == 0)
        result = new_engine(s, err);
    if (result < 0)
        return result;
    remember_history(s);
    hunt_marks_free(s->marks, s->n_marks);
    s->marks = NULL;
    s->n_marks = 0;
    return 1;
}

static int read_once(struct hunt_session *s, struct err *err)
{
    bool terminal = isatty(STDERR_FILENO) && s->options->verbosity >= 0;
    struct hunt_mark *marks = NULL;
    size_t n_marks = 0;
    struct hunt_reading reading = {
        .paths = s->paths,
        .n_paths = s->n_paths,
        .n_threads = (unsigned)s->options->threads,
        .logs = hunt_logs_wanted(),
        /* What is kept for later runs is all of a file, whatever this one looks at. */
        .since = s->span.from == HUNT_UNSET || s->archive ? 0 : s->span.from * MS,
        .n_days = s->settings->days,
        .stop = s->stop,
        .marks = s->marks,
        .n_marks = s->n_marks,
        .with = s,
        .records = take_records,
        .file = take_file,
        .say = say,
        .progress = terminal ? show_progress : NULL,
    };
    s->n_said = 0;
    int result = hunt_read(&reading, &s->counts, &marks, &n_marks, err);
    clear_progress(s);
    if (s->n_said > SAID_MAX && s->options->verbosity < 1)
        note(NOTE_WARN, "%zu more files are broken, or no logs (-v names them)",
             s->n_said - SAID_MAX);
    if (marks) {
        hunt_marks_free(s->marks, s->n_marks);
        s->marks = marks;
        s->n_marks = n_marks;
    }
    if (result == -ENOENT && s->n_paths == 1 &&
        strncmp(err->text, s->paths[0], strlen(s->paths[0])) != 0)
        err_wrap(err, "%s", s->paths[0]);
    return result;
}

int hunt_session_read(struct hunt_session *s, struct err *err)
{
    s->begun = clock_ticks();
    int result = read_once(s, err);
    if (result == 0 && s->counts.n_rewritten > 0) {
        result = begin_anew(s, err);
        if (result > 0)
            result = read_once(s, err);
    }
    if (result < 0 && result != -EINTR)
        return result;
    const struct hunt_read_counts *c = &s->counts;
    if (result == 0 && c->n_records == 0 && c->n_skipped_files == 0 &&
        c->n_foreign_files + c->n_unreadable + c->n_given_up > 0)
        return err_set(err, -ENODATA,
                       "nothing of it could be read as a log: is it the right folder?");
    struct err kept;
    (void)keep(s, &kept); /* it says itself what is wrong */
    s->seconds = (double)(clock_ticks() - s->begun) / 1e9;
    return result;
}

/* From a given time to the newest record; where that is older, a moment in which there is nothing.
 * Gives the end, 0: the newest record. */
static int64_t set_window(struct hunt_session *s)
{
    int64_t end = s->span.to != HUNT_UNSET ? s->span.to : hunt_engine_newest(s->engine);
    if (s->span.from == HUNT_UNSET)
        return s->span.to == HUNT_UNSET ? 0 : s->span.to;
    s->settings->window = end > s->span.from ? end - s->span.from : 1;
    if (end <= s->span.from)
        return s->span.from + 1;
    return s->span.to == HUNT_UNSET ? 0 : s->span.to;
}

int hunt_session_judge(struct hunt_session *s, struct err *err)
{
    int64_t begun = clock_ticks();
    findings_free(s->findings);
    s->findings = findings_new(FINDINGS_MAX);
    if (!s->findings)
        return err_set(err, -ENOMEM, "out of memory");
    int64_t to = set_window(s);
    if (isatty(STDERR_FILENO) && s->options->verbosity >= 0) {
        fprintf(stderr, "\r\033[Kjudging");
        s->shown = true;
    }
    int result = hunt_engine_judge(s->engine, to, false, n_threads(s), s->findings, err);
    clear_progress(s);
    s->seconds += (double)(clock_ticks() - begun) / 1e9;
    return result < 0 ? result : 0;
}

/* ---- what is said ---- */

/* Nothing found in a time of which nothing is known is no good news. */
static void warn_of_span(const struct hunt_session *s)
{
    int64_t newest = hunt_engine_newest(s->engine);
    struct books books = hunt_engine_books(s->engine);
    char text[32];
    if (s->span.to != HUNT_UNSET && books.n > 0 && s->span.to < book_day(books.at[0]) * DAY_MS) {
        hunt_time(book_day(books.at[0]) * DAY_MS, true, text);
        note(NOTE_WARN, "no record is as old as what is judged (--until): the first day is %.10s",
             text);
        return;
    }
    if (s->span.from == HUNT_UNSET || newest >= s->span.from)
        return;
    hunt_time(newest, s->options->utc, text);
    note(NOTE_WARN, "no record is as new as what is judged (--since)%s%s",
         newest > 0 ? ": the newest is of " : "", newest > 0 ? text : "");
}

/* A feed of which nothing is understood finds nothing: that is no good news either. */
static void warn_of_feeds(const struct hunt_session *s)
{
    const struct feeds *feeds = hunt_feeds(hunt_engine_view(s->engine));
    struct feeds_counts c = {0};
    if (!feeds)
        return;
    feeds_count(feeds, &c);
    note(c.n_entries ? NOTE_INFO : NOTE_WARN, "%" PRIu64 " entries of %" PRIu64 " feed%s%s",
         c.n_entries, c.n_files, c.n_files == 1 ? "" : "s",
         c.n_entries ? "" : ": is it the right file, or has the folder none named *.txt or *.csv?");
    const struct {
        uint64_t n;
        enum note_level level;
        const char *text;
    } lines[] = {
        {c.n_unreadable, NOTE_WARN, "files of feeds could not be read"},
        {c.n_left_out, NOTE_WARN, "entries of feeds found no room"},
        {c.n_too_wide, NOTE_WARN, "entries of feeds are networks too wide to be meant"},
        {c.n_refused, c.n_refused > c.n_entries ? NOTE_WARN : NOTE_INFO,
         "lines of feeds are no address, name or fingerprint"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i].n)
            note(lines[i].level, "%" PRIu64 " %s", lines[i].n, lines[i].text);
}

void hunt_session_warn(const struct hunt_session *s)
{
    const struct hunt_read_counts *c = &s->counts;
    struct hunt_engine_counts e;
    hunt_engine_count(s->engine, &e);
    const struct {
        uint64_t n;
        enum note_level level;
        const char *text;
    } lines[] = {
        {e.refused.n_keys, NOTE_WARN,
         "pairs, names and the like were left out: the memory was full; give more with --memory"},
        {e.refused.n_events, NOTE_WARN,
         "connections and queries were counted, but not kept one by one: the memory was full; give "
         "more with --memory"},
        {e.refused.n_texts, NOTE_WARN, "names were not kept: the memory was full"},
        {e.pairs.n_uids_refused, NOTE_WARN,
         "connections could not be put together with their requests: the memory was full"},
        {findings_n_left_out(s->findings), NOTE_WARN, "findings of little weight were left out"},
        {c->n_given_up, NOTE_WARN, "files were given up: too many of their lines are broken"},
        {c->n_old_files, NOTE_INFO, "files are of days before those that are looked at (--since)"},
        {e.n_early, NOTE_INFO, "records are older than what is looked at (--since)"},
        {e.n_late, NOTE_WARN, "records have times that are too far ahead, and were left out"},
        {e.pairs.n_unjoined, NOTE_INFO, "requests are of connections that have not ended yet"},
        {c->n_skipped_files, NOTE_INFO, "files were read before, and are as they were"},
        {c->n_foreign_files, NOTE_INFO, "files are no logs that are looked at"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i].n)
            note(lines[i].level, "%" PRIu64 " %s", lines[i].n, lines[i].text);
    warn_of_feeds(s);
    warn_of_span(s);
}

/* "10,000,123". */
static const char *grouped(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *at = out;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

void hunt_session_sum(const struct hunt_session *s, const struct hunt_tally *tally)
{
    struct hunt_engine_counts e;
    char n_conns[32], n_pairs[32], n_lines[32], text[400];
    hunt_engine_count(s->engine, &e);
    uint64_t n_bad = s->counts.n_bad_lines + s->counts.n_long_lines;
    struct books books = hunt_engine_books(s->engine);
    size_t n_days = books_n_days(&books);
    uint64_t conns = e.n_records[HUNT_CONN] + e.n_records[HUNT_OPEN_CONN];
    int len = snprintf(
        text, sizeof text, "%s%s connection%s of %zu day%s in %.1f s, %s pair%s, %zu finding%s",
        grouped(conns, n_conns), s->counts.n_skipped_files ? " new" : "", conns == 1 ? "" : "s",
        n_days, n_days == 1 ? "" : "s", s->seconds, grouped(e.n_pairs, n_pairs),
        e.n_pairs == 1 ? "" : "s", tally->n, tally->n == 1 ? "" : "s");
    size_t at = (size_t)len;
    if (tally->n_critical)
        at += (size_t)snprintf(text + at, sizeof text - at, " (%zu critical)", tally->n_critical);
    if (tally->n_hidden)
        at += (size_t)snprintf(text + at, sizeof text - at, ", %zu hidden by the safelist",
                               tally->n_hidden);
    if (n_bad)
        (void)snprintf(text + at, sizeof text - at, ", %s line%s not understood",
                       grouped(n_bad, n_lines), n_bad == 1 ? "" : "s");
    note(NOTE_INFO, "%s", text);
}
