/* cloudspan read: capture files into logs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/note.h"
#include "base/version.h"
#include "cmd/command.h"
#include "sensor/filter.h"
#include "sensor/run.h"
#include "source/network.h"

#define MAX_WORKERS     64
#define DEFAULT_WORKERS 4
#define SMALL_INPUT     (32u << 20)
#define MEMORY_LEAST    (16u << 20)
#define FILTER_MAX      8192

enum row {
    ROW_FOLDER,
    ROW_JOBS,
    ROW_MIRROR,
    ROW_NETWORK,
    ROW_FORMAT,
    ROW_MEMORY,
    ROW_PCAP,
    ROW_VALIDATE,
    ROW_CHECKSUMS,
    ROW_COMMUNITY_ID,
    ROW_JA3,
    ROW_JA4,
    ROW_VERBOSE,
    ROW_QUIET,
    ROW_HELP,
    ROW_VERSION
};

static const struct option_row rows[] = {
    [ROW_FOLDER] = {'d', "dir", "DIR", false,
                    "write the logs into DIR (default: the current folder)"},
    [ROW_JOBS] = {'j', "jobs", "N", false,
                  "use N workers (default: one a core, at most 4;\n"
                  "one for an input of less than 32 MiB)"},
    [ROW_MIRROR] = {0, "mirror", "KIND", true,
                    "the captures were taken at a collector: take the mirror's own\n"
                    "layers off; KIND is auto (default), or names joined by '+',\n"
                    "outermost first, such as vxlan, geneve, geneve+vxlan, gre"},
    [ROW_NETWORK] = {0, "network", "NAME=SELECTOR", false,
                     "with --mirror: channels whose addresses are a space of their own;\n"
                     "a SELECTOR is KIND:ID, ID or the senders' ADDRESS[/BITS], several\n"
                     "are joined by ','; may be given again"},
    [ROW_FORMAT] = {0, "format", "FORMAT", false, "tsv (default) or json"},
    [ROW_MEMORY] = {0, "memory", "SIZE", false,
                    "keep connections and payload within SIZE bytes, K, M or G\n"
                    "(default: a quarter of the machine's memory)"},
    [ROW_PCAP] = {0, "pcap", "DIR", false,
                  "also write what passes, without the mirror's layers and without\n"
                  "copies, into DIR/packets.pcapng"},
    [ROW_VALIDATE] = {0, "validate-checksums", NULL, false,
                      "leave packets with wrong checksums out, as Zeek does without -C"},
    [ROW_CHECKSUMS] = {'C', "ignore-checksums", NULL, false,
                       "ignore checksums: this is so by default"},
    [ROW_COMMUNITY_ID] = {0, "community-id", NULL, false,
                          "add the column community_id to logs of connections"},
    [ROW_JA3] = {0, "ja3", NULL, false, "add the columns ja3 and ja3s to ssl.log"},
    [ROW_JA4] = {0, "ja4", NULL, false, "add the column ja4 to ssl.log"},
    [ROW_VERBOSE] = {'v', "verbose", NULL, false, "say more; twice: even more"},
    [ROW_QUIET] = {'q', "quiet", NULL, false, "say nothing but errors"},
    [ROW_HELP] = {'h', "help", NULL, false, "print this and exit"},
    [ROW_VERSION] = {0, "version", NULL, false, "print the version and exit"},
    {0},
};

struct settings {
    struct run_options run;
    struct network_list *networks;
    bool has_networks;
    bool help, version;
    int verbosity;
};

static volatile int stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

/* ---- options ---- */

static int take_mirror(struct settings *s, const char *value, struct err *err)
{
    struct stack_options *stack = &s->run.pipeline.stack;
    s->run.pipeline.mirror = true;
    if (!value || strcmp(value, "auto") == 0) {
        stack->auto_mirror = true;
        return 0;
    }
    for (const char *p = value;; p++) {
        size_t len = strcspn(p, "+");
        const struct tunnel_decoder *decoder = tunnel_by_name(p, len);
        if (!decoder)
            return err_set(err, -EINVAL, "--mirror: unknown encapsulation '%.*s'; see --help",
                           (int)len, p);
        if (stack->n_mirror == STACK_MIRROR_MAX)
            return err_set(err, -EINVAL, "--mirror: more than %d layers", STACK_MIRROR_MAX);
        stack->mirror[stack->n_mirror++] = decoder;
        p += len;
        if (!*p)
            return 0;
    }
}

static int take(int row, const char *value, void *with, struct err *err)
{
    struct settings *s = with;
    struct pipeline_options *pipeline = &s->run.pipeline;
    uint64_t number;
    switch ((enum row)row) {
    case ROW_FOLDER:
        s->run.folder = value;
        return 0;
    case ROW_JOBS:
        if (!options_number(value, MAX_WORKERS, &number) || number == 0)
            return err_set(err, -EINVAL, "-j: '%s' is not a number from 1 to %d", value,
                           MAX_WORKERS);
        s->run.n_workers = (unsigned)number;
        return 0;
    case ROW_MIRROR:
        return take_mirror(s, value, err);
    case ROW_NETWORK:
        s->has_networks = true;
        return network_list_add(s->networks, value, err);
    case ROW_FORMAT:
        if (strcmp(value, "tsv") != 0 && strcmp(value, "json") != 0)
            return err_set(err, -EINVAL, "--format: '%s' is neither tsv nor json", value);
        s->run.format = strcmp(value, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TSV;
        return 0;
    case ROW_MEMORY:
        if (!options_size(value, &number) || number < MEMORY_LEAST)
            return err_set(err, -EINVAL, "--memory: '%s' is not a size of at least 16M", value);
        pipeline->memory = (size_t)number;
        return 0;
    case ROW_PCAP:
        s->run.packet_folder = value;
        return 0;
    case ROW_VALIDATE:
        pipeline->validate_checksums = true;
        return 0;
    case ROW_CHECKSUMS:
        pipeline->validate_checksums = false;
        return 0;
    case ROW_COMMUNITY_ID:
        pipeline->community_id = true;
        return 0;
    case ROW_JA3:
        pipeline->ja3 = true;
        return 0;
    case ROW_JA4:
        pipeline->ja4 = true;
        return 0;
    case ROW_VERBOSE:
        s->verbosity++;
        return 0;
    case ROW_QUIET:
        s->verbosity = -1;
        return 0;
    case ROW_HELP:
        s->help = true;
        return 0;
    case ROW_VERSION:
        s->version = true;
        return 0;
    }
    return 0;
}

/* ---- files and filter ---- */

static bool exists(const char *name)
{
    struct stat st;
    return strcmp(name, "-") == 0 || stat(name, &st) == 0;
}

/* A word that can only have been meant as a file. */
static bool looks_like_file(const char *word)
{
    static const char *const ends[] = {".pcap", ".pcapng", ".cap", ".gz", ".zst", ".dmp", NULL};
    size_t len = strlen(word);
    for (size_t i = 0; ends[i]; i++)
        if (len > strlen(ends[i]) && strcmp(word + len - strlen(ends[i]), ends[i]) == 0)
            return true;
    return word[0] == '/' || word[0] == '.';
}

/* The words that follow the files are the filter, as with tcpdump. */
static int split(const char **rest, size_t n, size_t *n_files, char *filter, struct err *err)
{
    size_t at = 0;
    while (at < n && exists(rest[at]))
        at++;
    *n_files = at;
    if (at < n && looks_like_file(rest[at]))
        return err_set(err, -ENOENT, "%s: no such file", rest[at]);
    if (at == 0 && n > 0 && tunnel_by_name(rest[0], strlen(rest[0])))
        return err_set(err, -EINVAL, "%s: no such file; a mirror is named with '=': --mirror=%s",
                       rest[0], rest[0]);
    if (at == 0)
        return err_set(err, -EINVAL, n ? "%s: no such file" : "no capture file is given",
                       n ? rest[0] : "");
    size_t len = 0;
    filter[0] = '\0';
    for (; at < n; at++) {
        int more = snprintf(filter + len, FILTER_MAX - len, "%s%s", len ? " " : "", rest[at]);
        if (more < 0 || (size_t)more >= FILTER_MAX - len)
            return err_set(err, -EINVAL, "the filter is longer than %d characters", FILTER_MAX);
        len += (size_t)more;
    }
    return 0;
}

/* ---- what is said ---- */

static void human_bytes(uint64_t n, char out[32])
{
    static const char units[] = " KMGTP";
    double v = (double)n;
    size_t i = 0;
    while (v >= 1000 && i + 2 < sizeof units) {
        v /= 1000;
        i++;
    }
    (void)snprintf(out, 32, i ? "%.1f %cB" : "%.0f %cB", v, units[i]);
}

struct meter {
    struct timespec begin;
    bool shown;
};

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static void show_progress(struct capture_progress p, void *with)
{
    struct meter *meter = with;
    double s = seconds_since(&meter->begin);
    char bytes[32], total[32], left[48] = "";
    human_bytes(p.n_bytes, bytes);
    human_bytes(p.total_bytes, total);
    if (p.total_bytes && p.n_bytes)
        (void)snprintf(left, sizeof left, " of %s, %.0f s left", total,
                       s * ((double)p.total_bytes / (double)p.n_bytes - 1));
    fprintf(stderr, "\r\033[K%s%s, %llu packets, %.2f Mpkt/s", bytes, left,
            (unsigned long long)p.n_packets, (double)p.n_packets / s / 1e6);
    meter->shown = true;
}

static void warn(const char *text, void *with)
{
    struct meter *meter = with;
    if (meter->shown)
        fprintf(stderr, "\r\033[K");
    meter->shown = false;
    note(NOTE_WARN, "%s", text);
}

/* Every packet that is not in the logs, by the reason. */
static void say_losses(const struct run_result *r)
{
    const struct pipeline_counters *c = &r->counters;
    const struct {
        uint64_t n;
        enum note_level level;
        const char *text;
    } lines[] = {
        {c->stack.n_truncated, NOTE_WARN, "packets were cut by the capture inside their headers"},
        {c->stack.n_malformed, NOTE_WARN, "packets are malformed"},
        {c->stack.n_unknown_link, NOTE_WARN, "frames are of a link type that is not understood"},
        {c->stack.n_too_deep, NOTE_WARN, "packets have more layers of tunnels than are followed"},
        {c->stack.n_not_mirror, NOTE_WARN,
         "packets are not of the mirror, and were left out (--mirror)"},
        {c->stack.n_fragments_expired, NOTE_WARN, "fragmented packets never became whole"},
        {c->stack.n_fragments_refused, NOTE_WARN, "fragments could not be kept"},
        {c->flows.n_evicted, NOTE_WARN,
         "connections were logged as ended early: the memory was full; give more with --memory"},
        {c->flows.n_refused, NOTE_WARN, "packets had no connection: the memory was full"},
        {c->n_pool_refused, NOTE_WARN,
         "times there was no memory to keep payload: give more with --memory"},
        {r->n_cut, NOTE_WARN, "texts were cut to keep log lines below 1 MiB"},
        {c->n_sources_refused, NOTE_WARN,
         "packets came by a channel beyond those that can be told apart"},
        {c->n_copies, NOTE_INFO, "packets were copies of others, and were left out"},
        {c->n_filtered, NOTE_INFO, "packets did not pass the filter"},
        {c->stack.n_not_ip, NOTE_INFO, "packets are not IP"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i].n)
            note(lines[i].level, "%llu %s", (unsigned long long)lines[i].n, lines[i].text);
}

static void say_summary(const struct settings *s, const struct run_result *r, double seconds)
{
    note(NOTE_INFO, "%llu packets, %llu connections, %llu log records in %s, %.1f s",
         (unsigned long long)r->counters.n_packets, (unsigned long long)r->counters.flows.n_added,
         (unsigned long long)r->n_records, s->run.folder ? s->run.folder : "this folder", seconds);
}

/* ---- the run ---- */

static size_t default_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages / 4 * (size_t)size : (size_t)1 << 30;
}

static unsigned default_workers(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > DEFAULT_WORKERS ? DEFAULT_WORKERS : (unsigned)n;
}

/* Several workers do not pay for a small input; what can't be told may be large. */
static bool is_small(const struct run_options *run)
{
    uint64_t total = 0;
    for (size_t i = 0; i < run->n_files; i++) {
        struct stat st;
        if (stat(run->files[i], &st) < 0 || !S_ISREG(st.st_mode))
            return false;
        total += (uint64_t)st.st_size;
    }
    return total < SMALL_INPUT;
}

static void fill_defaults(struct settings *s)
{
    if (!s->run.n_workers)
        s->run.n_workers = is_small(&s->run) ? 1 : default_workers();
    if (!s->run.pipeline.memory)
        s->run.pipeline.memory = default_memory();
    /* Random, so that nobody can choose addresses that meet in one place of the table. */
    if (getrandom(&s->run.pipeline.hash_key, sizeof s->run.pipeline.hash_key, 0) < 0)
        s->run.pipeline.hash_key =
            (uint64_t)time(NULL) * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid();
}

static int read_captures(struct settings *s)
{
    struct meter meter = {.shown = false};
    struct err err;
    struct run_result result = {0};
    clock_gettime(CLOCK_MONOTONIC, &meter.begin);
    bool terminal = isatty(STDERR_FILENO) && s->verbosity >= 0;
    int failed =
        run_captures(&s->run, &stop, terminal ? show_progress : NULL, &meter, warn, &result, &err);
    if (meter.shown)
        fprintf(stderr, "\r\033[K");
    if (failed < 0) {
        note(NOTE_ERROR, "%s", err.text);
        return stop ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    say_losses(&result);
    say_summary(s, &result, seconds_since(&meter.begin));
    if (result.interrupted) {
        note(NOTE_WARN, "interrupted: the logs hold what was read so far");
        return EXIT_INTERRUPTED;
    }
    return result.partial ? EXIT_PARTIAL : EXIT_DONE;
}

static int run(const struct command *command, char **args, int n_args)
{
    struct settings s = {.networks = network_list_new()};
    struct err err;
    char expression[FILTER_MAX];
    struct filter *filter = NULL;
    const char **rest = calloc((size_t)n_args + 1, sizeof *rest);
    int result = EXIT_USAGE;
    int n_rest = rest && s.networks
                     ? options_parse(command->options, args, n_args, rest, take, &s, &err)
                     : -ENOMEM;
    if (n_rest < 0) {
        result = command_misused(command, rest && s.networks ? err.text : "out of memory");
        goto out;
    }
    if (s.help || s.version) {
        if (s.help)
            command_help(command);
        else
            printf("cloudspan %s\n", VERSION_TEXT);
        result = EXIT_DONE;
        goto out;
    }
    if (s.has_networks && !s.run.pipeline.mirror) {
        result =
            command_misused(command, "--network needs --mirror: without it there are no channels");
        goto out;
    }
    s.run.pipeline.networks = s.networks;
    note_set_level(s.verbosity < 0                             ? NOTE_ERROR
                   : s.verbosity > 1                           ? NOTE_DEBUG
                   : s.verbosity == 1 || isatty(STDERR_FILENO) ? NOTE_INFO
                                                               : NOTE_WARN);
    int failed = split(rest, (size_t)n_rest, &s.run.n_files, expression, &err);
    if (failed == -EINVAL) {
        result = command_misused(command, err.text);
        goto out;
    }
    if (failed == 0 && expression[0])
        failed = filter_compile(expression, &filter, &err);
    if (failed < 0) {
        note(NOTE_ERROR, "%s", err.text);
        result = failed == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
        goto out;
    }
    s.run.pipeline.filter = filter;
    s.run.files = rest;
    fill_defaults(&s);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow and a pipe that nobody reads are */
    (void)signal(SIGPIPE, SIG_IGN); /* reported by what writes to them */
    result = read_captures(&s);
out:
    network_list_free(s.networks);
    filter_free(filter);
    free(rest);
    return result;
}

const struct command command_read = {
    .name = "read",
    .summary = "Turns capture files into the logs that Zeek would have written",
    .usage = "[OPTION]… FILE|- … [FILTER]",
    .options = rows,
    .more =
        "FILE is a pcap or pcapng file, plain or packed with gzip or zstd; - is standard input.\n"
        "FILTER is a pcap filter (as for tcpdump), applied to the inner packet.\n",
    .run = run,
};
