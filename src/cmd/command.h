/* Subcommands: one file each exports a `const struct command command_<name>`, and has one line in
 * cmd/list.h. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include "base/options.h"

/* Exit codes, the same for all commands. */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_PARTIAL, EXIT_UNHEALTHY, EXIT_INTERRUPTED = 130 };

struct command {
    const char *name;
    const char *summary; /* one line, for the list */
    const char *usage;   /* what follows "cloudspan NAME" */
    const char *more;    /* printed after the options by --help; may be NULL */
    const struct option_row *options;
    int (*run)(const struct command *command, char **args, int n_args);
};

/* Prints --help of the command on standard output. */
void command_help(const struct command *command);

/* "cloudspan NAME: text" and how to get help, on standard error; gives EXIT_USAGE. */
int command_misused(const struct command *command, const char *text);

#define COMMAND(name) extern const struct command command_##name;
#include "cmd/list.h"
#undef COMMAND

#endif
