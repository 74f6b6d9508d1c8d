/* cloudspan doctor: what on this machine would lose packets, and how to mend it. */
#include "cmd/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/note.h"
#include "base/version.h"
#include "cmd/command.h"
#include "linux/interface.h"
#include "log/writer.h"

enum row {
    ROW_INTERFACE,
    ROW_FROM,
    ROW_PORT,
    ROW_FOLDER,
    ROW_SOCKET,
    ROW_SECONDS,
    ROW_JSON,
    ROW_QUIET,
    ROW_HELP,
    ROW_VERSION
};

static const struct option_row rows[] = {
    [ROW_INTERFACE] = {'i', "interface", "IFACE", false,
                       "look at this interface (default: all that are up)"},
    [ROW_FROM] = {0, "from", "ADDR", false,
                  "a machine that sends to this one: look at the way between them"},
    [ROW_PORT] = {0, "port", "PORT", false,
                  "a UDP port that mirrored traffic comes to; may be given again\n"
                  "(default: 4789 and 6081)"},
    [ROW_FOLDER] = {'d', "dir", "DIR", false, "where logs are written (default: logs)"},
    [ROW_SOCKET] = {0, "socket", "PATH", false, "the control socket of the running watch"},
    [ROW_SECONDS] = {0, "seconds", "N", false,
                     "listen for N seconds where no watch runs (default: 3; 0: do not)"},
    [ROW_JSON] = {0, "json", NULL, false, "one JSON object a line"},
    [ROW_QUIET] = {'q', "quiet", NULL, false, "only warnings"},
    [ROW_HELP] = {'h', "help", NULL, false, "this text"},
    [ROW_VERSION] = {0, "version", NULL, false, "the version"},
    {0}};

struct settings {
    struct doctor doctor;
    size_t n_ports;
    bool quiet, help, version;
};

static int take(int row, const char *value, void *with, struct err *err)
{
    struct settings *s = with;
    uint64_t n;
    switch ((enum row)row) {
    case ROW_INTERFACE:
        s->doctor.interface = value;
        return 0;
    case ROW_FROM:
        s->doctor.has_from = true;
        return addr_parse(value, &s->doctor.from)
                   ? 0
                   : err_set(err, -EINVAL, "--from %s is no address", value);
    case ROW_PORT:
        if (!options_number(value, 65535, &n) || n == 0)
            return err_set(err, -EINVAL, "--port %s is no port", value);
        if (s->n_ports + 1 >= sizeof s->doctor.ports / sizeof *s->doctor.ports)
            return err_set(err, -EINVAL, "more than %zu ports", s->n_ports);
        s->doctor.ports[s->n_ports++] = (uint16_t)n;
        return 0;
    case ROW_FOLDER:
        s->doctor.folder = value;
        return 0;
    case ROW_SOCKET:
        s->doctor.socket = value;
        return 0;
    case ROW_SECONDS:
        if (!options_number(value, 3600, &n))
            return err_set(err, -EINVAL, "--seconds %s is not a number up to 3600", value);
        s->doctor.seconds = (unsigned)n;
        return 0;
    case ROW_JSON:
        s->doctor.json = true;
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
    }
    return err_set(err, -EINVAL, "unknown option");
}

static const char *const state_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARNING] = "warning", [DOCTOR_UNKNOWN] = "unknown"};

/* Names of programs, interfaces and senders stand in the texts. */
static const char *safe(const char *text, char *out)
{
    *log_escape_tsv(out, str_c(text), false) = '\0';
    return out;
}

static void print_plain(struct doctor *doctor, const struct doctor_finding *finding)
{
    char text[4 * sizeof finding->text + 1];
    printf("%-8s %-11s %s\n", state_names[finding->state], doctor->check,
           safe(finding->text, text));
    const char *line = finding->mend;
    while (*line) {
        size_t len = strcspn(line, "\n");
        *log_escape_tsv(text, str_make(line, len), false) = '\0';
        printf("%-8s %-11s   %s\n", "", "", text);
        line += len + (line[len] == '\n');
    }
    (void)fflush(stdout); /* the next check may take seconds; an error comes again at the end */
}

static void print_warnings(struct doctor *doctor, const struct doctor_finding *finding)
{
    if (finding->state == DOCTOR_WARNING)
        print_plain(doctor, finding);
}

static void print_member(const char *name, const char *text)
{
    char json[6 * sizeof((struct doctor_finding *)NULL)->text + 1];
    *log_escape_json(json, str_c(text)) = '\0';
    printf(",\"%s\":\"%s\"", name, json);
}

static void print_json(struct doctor *doctor, const struct doctor_finding *finding)
{
    printf("{\"check\":\"%s\"", doctor->check);
    print_member("title", doctor->title);
    print_member("state", state_names[finding->state]);
    print_member("text", finding->text);
    print_member("mend", finding->mend);
    printf(",\"loses_packets\":%s}\n", finding->loses_packets ? "true" : "false");
    (void)fflush(stdout); /* as above */
}

static void run_checks(struct doctor *doctor)
{
    const struct doctor_check *const tables[] = {doctor_network_checks, doctor_host_checks,
                                                 doctor_traffic_checks};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct doctor_check *check = tables[i]; check->name; check++) {
            doctor->check = check->name;
            doctor->title = check->title;
            check->run(doctor);
        }
    }
}

static int find_interfaces(struct doctor *doctor, struct err *err)
{
    if (!doctor->interface) {
        doctor->n_interfaces = linux_interfaces(doctor->interfaces, DOCTOR_MAX_INTERFACES);
        return 0;
    }
    struct linux_interface facts;
    int result = linux_interface_facts(doctor->interface, &facts, err);
    if (result)
        return result;
    memcpy(doctor->interfaces[0], facts.name, sizeof facts.name);
    doctor->n_interfaces = 1;
    return 0;
}

static int run(const struct command *command, char **args, int n_args)
{
    struct settings s = {.doctor = {.folder = "logs", .seconds = 3, .report = print_plain}};
    struct doctor *doctor = &s.doctor;
    const char *rest[64];
    struct err err;
    if (n_args > 64)
        return command_misused(command, "too many arguments");
    int n_rest = options_parse(rows, args, n_args, rest, take, &s, &err);
    if (s.help) {
        command_help(command);
        return EXIT_DONE;
    }
    if (s.version) {
        printf("cloudspan %s\n", VERSION_TEXT);
        return EXIT_DONE;
    }
    if (n_rest < 0)
        return command_misused(command, err.text);
    if (n_rest > 0)
        return command_misused(command, "it takes options only");
    if (s.n_ports == 0) {
        doctor->ports[0] = 4789;
        doctor->ports[1] = 6081;
    }
    if (doctor->json)
        doctor->report = print_json;
    else if (s.quiet)
        doctor->report = print_warnings;
    if (find_interfaces(doctor, &err) < 0) {
        note(NOTE_ERROR, "%s", err.text);
        return EXIT_FAILED;
    }
    run_checks(doctor);
    if (!doctor->json && !s.quiet)
        printf("\n%u warning%s, %u of them lose%s packets\n", doctor->n_warnings,
               doctor->n_warnings == 1 ? "" : "s", doctor->n_losing,
               doctor->n_losing == 1 ? "s" : "");
    if (fflush(stdout) != 0) {
        note(NOTE_ERROR, "standard output: %s", strerror(errno));
        return EXIT_FAILED;
    }
    return doctor->n_losing ? EXIT_UNHEALTHY : EXIT_DONE;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "Says what on this machine would lose packets, and how to mend it",
    .usage = "[OPTION]…",
    .options = rows,
    .more = "Each line is ok, a warning with what mends it, or unknown with the reason.\n"
            "The exit code is 4 when there are warnings about lost packets.\n",
    .run = run,
};
