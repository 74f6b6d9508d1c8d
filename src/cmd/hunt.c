/* cloudspan hunt: logs into findings. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/note.h"
#include "base/version.h"
#include "cmd/command.h"
#include "cmd/hunt_alert.h"
#include "cmd/hunt_session.h"
#include "cmd/hunt_show.h"
#include "sensor/config.h"

#define OUTPUT_MAX  (1u << 30)
#define TABLE_LIMIT 100

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

struct hunt_command {
    const struct command *command;
    struct hunt_options options;
    struct config *config; /* of the file: `hunts:` */
    struct hunt_settings settings;
    bool has_settings;
    struct hunt_session session;
    struct hunt_filter *filter;
    struct hunt_safelist *safelist;
    struct hunt_asn *asn;
    struct hunt_alerts alerts;
};

/* ---- output ---- */

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

/* To standard output; the text is empty then. */
static int print(struct text *out, struct err *err)
{
    int result = out->failed ? -ENOMEM : write_all(STDOUT_FILENO, out->at, out->size);
    text_done(out);
    return result < 0 ? err_set(err, result, "standard output: %s", strerror(-result)) : 0;
}

/* A pipe or a device is written to, and stays. */
static int write_through(const char *path, const struct text *page)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    int result = fd < 0 ? -errno : write_all(fd, page->at, page->size);
    if (fd >= 0 && close(fd) < 0 && result == 0)
        result = -errno;
    return result;
}

/* Beside its place first: a disk that is full leaves no half report, nor takes the last one. */
static int write_beside(const char *path, const char *part, const struct text *page)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    int result = fd < 0 ? -errno : write_all(fd, page->at, page->size);
    if (fd >= 0 && close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(part, path) < 0)
        result = -errno;
    if (result < 0 && fd >= 0)
        (void)unlink(part);
    return result;
}

static int write_report(const char *path, struct text *page, struct err *err)
{
    char part[4096];
    struct stat st;
    int n = snprintf(part, sizeof part, "%s.part", path);
    if (n < 0 || (size_t)n >= sizeof part)
        return err_set(err, -ENAMETOOLONG, "--html: the name is too long");
    if (page->failed)
        return err_set(err, -ENOMEM, "%s: the report is too large; -n N makes it smaller", path);
    bool is_file = stat(path, &st) < 0 || S_ISREG(st.st_mode);
    int result = is_file ? write_beside(path, part, page) : write_through(path, page);
    return result < 0 ? err_set(err, result, "--html %s: %s", path, strerror(-result)) : 0;
}

static struct hunt_show make_show(const struct hunt_command *c, const struct hunt_picks *picks)
{
    unsigned rows, columns;
    terminal_size(STDOUT_FILENO, &rows, &columns);
    return (struct hunt_show){
        .view = hunt_engine_view(c->session.engine),
        .picks = picks,
        .columns = columns < 40 ? 40 : columns,
        .color = terminal_color(c->options.color, STDOUT_FILENO) > 0,
        .utf8 = terminal_utf8(),
        .utc = c->options.utc,
        .show_safelisted = c->options.show_safelisted,
        .limit = c->options.has_limit              ? (size_t)c->options.limit
                 : c->options.output == HUNT_TABLE ? TABLE_LIMIT
                                                   : SIZE_MAX,
        .paths = c->session.paths,
        .n_paths = c->session.n_paths,
    };
}

/* Something that is only not shown is said to be there. Below "low" there is always something. */
static void put_nothing(const struct hunt_command *c, const struct hunt_picks *picks,
                        struct text *out)
{
    const struct {
        size_t n;
        const char *why;
    } left[] = {{c->options.has_minimum ? picks->n_below : 0, "below --minimum"},
                {picks->n_filtered, "not what the filter asks for"},
                {picks->n_hidden, "hidden by a safelist"}};
    const char *between = "Nothing to show: ";
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        if (!left[i].n)
            continue;
        text_format(out, "%s%zu %s %s", between, left[i].n,
                    left[i].n == 1 ? "finding is" : "findings are", left[i].why);
        between = ", ";
    }
    text_put(out, *between == ',' ? ".\n" : "Nothing was found.\n");
}

static int print_findings(const struct hunt_command *c, const struct hunt_picks *picks,
                          struct err *err)
{
    struct hunt_show show = make_show(c, picks);
    struct text out;
    text_init(&out, OUTPUT_MAX);
    if (c->options.output == HUNT_TABLE)
        hunt_table(&show, &out);
    if (c->options.output == HUNT_TABLE && picks->n_rows == 0)
        put_nothing(c, picks, &out);
    if (c->options.output == HUNT_CSV)
        hunt_csv_header(&out);
    for (size_t i = 0; i < picks->n && i < show.limit; i++) {
        if (c->options.output == HUNT_JSON)
            hunt_json(picks->at[i].finding, picks->at[i].hidden_by, NULL, &out);
        if (c->options.output == HUNT_CSV)
            hunt_csv(picks->at[i].finding, &out);
    }
    return print(&out, err);
}

static int print_one(const struct hunt_command *c, const struct hunt_picks *picks, struct err *err)
{
    const struct hunt_picked *found = NULL;
    struct hunt_show show = make_show(c, picks);
    struct text out;
    for (size_t i = 0; i < picks->n; i++) {
        if (!hunt_id_begins(picks->at[i].finding->id, c->options.explain))
            continue;
        if (found)
            return err_set(err, -EINVAL,
                           "--explain %s: several findings have ids that begin so; give more of it",
                           c->options.explain);
        found = &picks->at[i];
    }
    if (!found)
        return err_set(err, -ENOENT,
                       "--explain %s: there is no such finding in what was judged (--since says "
                       "how much that is)",
                       c->options.explain);
    text_init(&out, OUTPUT_MAX);
    if (c->options.output == HUNT_JSON)
        hunt_json(found->finding, found->hidden_by, NULL, &out);
    else
        hunt_explain(&show, found, &out);
    return print(&out, err);
}

static int print_rita(const struct hunt_command *c, struct err *err)
{
    struct rita_options options;
    struct rita_row *rows = NULL;
    size_t n = 0;
    struct hunt_picks none = {0};
    struct hunt_show show = make_show(c, &none);
    struct text out;
    for (size_t i = 0; hunts[i]; i++)
        if (hunts[i] == &hunt_rita)
            rita_options_of(&options, c->settings.blob[i]);
    options.exact = true;
    int result = rita_rows(show.view, &options, &rows, &n, err);
    if (result == 0 && c->filter)
        result = hunt_filter_rita(c->filter, &rows, &n, err);
    if (result < 0) {
        free(rows);
        return result;
    }
    text_init(&out, OUTPUT_MAX);
    if (c->options.output == HUNT_CSV)
        rita_csv(&out, show.view, rows, n < show.limit ? n : show.limit);
    else
        hunt_rita_table(&show, rows, n, &out);
    free(rows);
    return print(&out, err);
}

/* ---- one look ---- */

static int pick(const struct hunt_command *c, struct hunt_picks *out, struct err *err)
{
    size_t n;
    const struct finding *findings = findings_sorted(c->session.findings, &n);
    const struct hunt_pick how = {
        .filter = c->filter,
        .safelist = c->safelist,
        .show_safelisted = c->options.show_safelisted || c->options.explain,
        .minimum = c->options.explain       ? HUNT_NONE
                   : c->options.has_minimum ? c->options.minimum
                                            : HUNT_LOW,
        .folds = c->options.output == HUNT_TABLE && !c->options.unfold,
    };
    return hunt_pick(&how, findings, n, out, err);
}

/* What is new or graver: lines, and the program. */
static int tell(struct hunt_command *c, const struct hunt_picks *picks, bool printed,
                struct err *err)
{
    struct err trouble;
    for (size_t i = 0; i < picks->n; i++) {
        const struct finding *f = picks->at[i].finding;
        const char *alert;
        struct text out;
        if (picks->at[i].hidden_by)
            continue;
        int result = hunt_alerts_ask(&c->alerts, f, &alert, err);
        if (result < 0)
            return result;
        if (!alert)
            continue;
        text_init(&out, 1u << 16);
        hunt_json(f, NULL, alert, &out);
        if (!out.failed && hunt_alerts_run(&c->alerts, f, alert, out.at, out.size, &trouble) < 0)
            note(NOTE_WARN, "%s", trouble.text);
        result = printed ? print(&out, err) : 0;
        text_done(&out);
        if (result < 0)
            return result;
    }
    return 0;
}

static int write_html(const struct hunt_command *c, const struct hunt_picks *picks, struct err *err)
{
    struct hunt_show show = make_show(c, picks);
    struct text page;
    text_init(&page, OUTPUT_MAX);
    show.limit = c->options.has_limit ? (size_t)c->options.limit : 1000;
    hunt_html(&show, c->session.paths[0], &page);
    int result = write_report(c->options.html, &page, err);
    text_done(&page);
    return result;
}

/* Reads, judges, shows. `out_worst`: the gravest severity that was shown. */
static int look(struct hunt_command *c, bool is_first, enum hunt_severity *out_worst,
                struct err *err)
{
    struct hunt_picks picks = {0};
    int result = hunt_session_read(&c->session, err);
    if (result < 0 && result != -EINTR && !is_first) {
        note(NOTE_WARN, "%s; it is tried again", err->text); /* a folder that is being moved */
        return 0;
    }
    if (result == 0)
        result = hunt_session_judge(&c->session, err);
    if (result == 0)
        result = pick(c, &picks, err);
    if (result < 0)
        return result;
    if (is_first)
        hunt_session_warn(&c->session);
    *out_worst = picks.worst;
    bool follows = c->options.interval > 0, lines = c->options.alert || follows;
    if (c->options.html)
        result = write_html(c, &picks, err);
    if (result == 0 && c->options.explain)
        result = print_one(c, &picks, err);
    else if (result == 0 && c->options.rita)
        result = print_rita(c, err);
    else if (result == 0 && !lines)
        result = print_findings(c, &picks, err);
    if (result == 0 && (lines || c->options.on_alert))
        result = tell(c, &picks, lines, err);
    if (is_first && result == 0) {
        const struct hunt_tally tally = {picks.n -
                                             (c->options.show_safelisted ? picks.n_hidden : 0),
                                         picks.n_critical, picks.n_hidden};
        hunt_session_sum(&c->session, &tally);
    }
    hunt_picks_done(&picks);
    return result;
}

/* ---- the run ---- */

static int prepare(struct hunt_command *c, struct err *err)
{
    int result =
        hunt_span_parse(c->options.since, c->options.until, c->options.utc, &c->session.span, err);
    if (result == 0 && c->options.filter[0])
        result = hunt_filter_parse(c->options.filter, &c->filter, err);
    if (result == 0 && c->filter && c->options.rita)
        result = hunt_filter_check_rita(c->filter, err);
    if (result == 0 && terminal_color(c->options.color, STDOUT_FILENO) < 0)
        result =
            err_set(err, -EINVAL, "--color: '%s' is none of auto, always, never", c->options.color);
    return result;
}

/* What `hunts:` says, and over it the options. */
static int load_settings(struct hunt_command *c, struct err *err)
{
    int result = config_load(c->options.config, &c->config, err);
    if (result == 0)
        result = hunt_config_settings(&c->config->hunts, &c->settings, err);
    if (result < 0)
        return result;
    c->has_settings = true;
    if (!c->options.since && !c->options.until)
        c->session.span.length = c->settings.window;
    return hunt_options_apply(&c->options, &c->session.span, &c->settings, err);
}

/* The configuration's hook is for alerts alone; the option's for any run. */
static int open_alerts(struct hunt_command *c, struct err *err)
{
    const struct hunt_config *hunts_config = &c->config->hunts;
    bool alerts = c->options.alert || c->options.interval;
    int result = hunt_alerts_init(&c->alerts, c->options.on_alert, c->session.archive, err);
    for (size_t i = 0; !c->options.on_alert && alerts && i < hunts_config->n_on_alert; i++)
        c->alerts.argv[i] = hunts_config->on_alert[i]; /* as many at most as there is room for */
    return result;
}

static int open_all(struct hunt_command *c, struct err *err)
{
    int result = load_settings(c, err);
    if (result == 0)
        result = hunt_safelist_load((const char *const *)c->settings.safelists,
                                    c->settings.n_safelists, &c->safelist, err);
    const char *asn = c->options.asn ? c->options.asn : result == 0 ? c->config->hunts.asn : NULL;
    if (result == 0 && asn) {
        result = hunt_asn_load(asn, &c->asn, err);
        if (result == 0)
            hunt_safelist_use(c->safelist, c->asn);
    }
    if (result == 0 && hunt_safelist_wants_asn(c->safelist) && !c->asn)
        note(NOTE_WARN,
             "the safelist's lines with 'asn' hide nothing: --asn names a table of them");
    c->session.settings = &c->settings;
    if (result == 0)
        result = hunt_session_open(&c->session, err);
    if (result == 0)
        result = open_alerts(c, err);
    return result;
}

static int finish(const struct hunt_command *c, int result, enum hunt_severity worst,
                  const struct err *err)
{
    if (result == -EINTR) {
        note(NOTE_WARN, c->session.archive ? "interrupted: what was read is kept, and the next "
                                             "run goes on from there"
                                           : "interrupted");
        return EXIT_INTERRUPTED;
    }
    if (result < 0) {
        note(NOTE_ERROR, "%s", err->text);
        return EXIT_FAILED;
    }
    enum hunt_severity least = c->options.has_minimum ? c->options.minimum : HUNT_LOW;
    bool bad = c->options.exit_code && worst >= least && worst > HUNT_NONE;
    return bad ? EXIT_UNHEALTHY : c->session.counts.n_unreadable ? EXIT_PARTIAL : EXIT_DONE;
}

/* Comes back at once when a signal does, also one that came just before. */
static void pause_for(int64_t ns)
{
    const struct timespec pause = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    sigset_t signals, before;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    if (!stop)
        (void)ppoll(NULL, 0, &pause, &before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static int hunt(struct hunt_command *c)
{
    struct err err = {{0}};
    enum hunt_severity worst = HUNT_NONE, once = HUNT_NONE;
    int result = open_all(c, &err);
    if (result == 0)
        result = look(c, true, &worst, &err);
    while (result == 0 && c->options.interval && !stop) {
        pause_for(c->options.interval);
        if (!stop)
            result = look(c, false, &once, &err);
        if (once > worst)
            worst = once;
    }
    if (result == 0 && stop)
        result = -EINTR;
    int code = finish(c, result, worst, &err);
    hunt_alerts_done(&c->alerts);
    hunt_session_close(&c->session);
    return code;
}

static int run(const struct command *command, char **args, int n_args)
{
    struct hunt_command *c = calloc(1, sizeof *c);
    const char **paths = calloc((size_t)n_args + 1, sizeof *paths);
    struct err err = {"out of memory"};
    int result = EXIT_FAILED;
    int n = c && paths
                ? options_parse(command->options, args, n_args, paths, hunt_take, &c->options, &err)
                : -ENOMEM;
    if (n < 0) {
        result = command_misused(command, err.text);
        goto out;
    }
    if (c->options.help || c->options.version) {
        if (c->options.help)
            command_help(command);
        else
            printf("cloudspan %s\n", VERSION_TEXT);
        result = EXIT_DONE;
        goto out;
    }
    c->session = (struct hunt_session){
        .options = &c->options, .paths = paths, .n_paths = (size_t)n, .stop = &stop};
    if (hunt_options_check(&c->options, (size_t)n, &err) < 0 || prepare(c, &err) < 0) {
        result = command_misused(command, err.text);
        goto out;
    }
    note_set_level(c->options.verbosity < 0                             ? NOTE_ERROR
                   : c->options.verbosity > 1                           ? NOTE_DEBUG
                   : c->options.verbosity == 1 || isatty(STDERR_FILENO) ? NOTE_INFO
                                                                        : NOTE_WARN);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is reported by what writes to it */
    result = hunt(c);
out:
    if (c) {
        if (c->has_settings)
            hunt_settings_done(&c->settings);
        config_free(c->config);
        hunt_filter_free(c->filter);
        hunt_safelist_free(c->safelist);
        hunt_asn_free(c->asn);
    }
    free(c);
    free(paths);
    return result;
}

const struct command command_hunt = {
    .name = "hunt",
    .summary = "Finds in logs what a threat hunter should look at, and says why",
    .usage = "[OPTION]… LOGDIR|FILE…",
    .options = hunt_rows,
    .more = "LOGDIR holds logs of cloudspan or Zeek, plain or packed, also in folders by day. "
            "What is\nfound is printed as a table, the gravest first.\n\n"
            "Filters are words that all have to fit: severity:high (or >=medium), src: dst: ip:\n"
            "(address, network, name), name: machine: network: hunt: port: id:, score:>80\n"
            "beacon:>80 confidence:>80 (percent), duration:>2h45m period:<10m, count:>100\n"
            "subdomains:>50, bytes: up: down: (>100M), threat_intel:true, sort:duration-desc.\n"
            "A '-' in front turns a word round; a word without ':' is looked for in names,\n"
            "machines and reasons.\n",
    .run = run,
};
