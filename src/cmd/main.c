/* The program: finds the subcommand and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/note.h"
#include "base/version.h"
#include "cmd/command.h"

#define COMMAND(name) &command_##name,
static const struct command *const commands[] = {
#include "cmd/list.h"
    NULL};
#undef COMMAND

/* Said plainly instead of "unknown command". */
static const char *const to_come[] = {"demo", NULL};

void command_help(const struct command *command)
{
    printf("usage: cloudspan %s %s\n\n%s.\n\n", command->name, command->usage, command->summary);
    options_print(command->options, stdout);
    if (command->more)
        printf("\n%s", command->more);
}

int command_misused(const struct command *command, const char *text)
{
    fprintf(stderr, "cloudspan %s: %s\n", command->name, text);
    fprintf(stderr, "usage: cloudspan %s %s\nTry cloudspan %s --help.\n", command->name,
            command->usage, command->name);
    return EXIT_USAGE;
}

static void help(FILE *out)
{
    fprintf(out, "usage: cloudspan COMMAND [OPTION]… [ARGUMENT]…\n\n"
                 "The span port that clouds and virtual machines do not have.\n\n");
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(out, "\n  -h, --help     this text; cloudspan COMMAND --help tells more\n"
                 "      --version  the version\n");
}

/* What is opened first would otherwise take the place of a standard stream that was closed, and be
 * written to. What is written to it then fails, as it should. */
static void fill_streams(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            _exit(EXIT_FAILED); /* there is nowhere to say it */
}

int main(int argc, char **argv)
{
    fill_streams();
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(), and said as such */
    if (argc < 2) {
        help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("cloudspan %s\n", VERSION_TEXT);
        return EXIT_DONE;
    }
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i]->run(commands[i], argv + 2, argc - 2);
    for (size_t i = 0; to_come[i]; i++) {
        if (strcmp(to_come[i], name) == 0) {
            note(NOTE_ERROR,
                 "%s is not there yet in this version (%s); cloudspan --help lists what is", name,
                 VERSION_TEXT);
            return EXIT_USAGE;
        }
    }
    note(NOTE_ERROR, "unknown command %s; cloudspan --help lists them", name);
    return EXIT_USAGE;
}
