/* Takes from the process that parses packets all that it does not need: its user, capabilities,
 * files outside a few folders, programs to run, sockets to make. */
#ifndef LINUX_SANDBOX_H
#define LINUX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct sandbox_user {
    bool change; /* false: stays who it is */
    uid_t uid;
    gid_t gid;
    char name[40]; /* for the report and for error texts */
};

/* Who parses packets when nobody is named. A user who is not root stays. Root by sudo becomes the
 * one who called sudo, whose folders the logs are written to; other roots become "cloudspan" where
 * there is such a user, or else "nobody". Reads the environment and the user database. */
void sandbox_default_user(struct sandbox_user *out);

/* The user that an option names, "name" or a number. Refused: unknown, or a change that only root
 * can make. */
int sandbox_find_user(const char *name, struct sandbox_user *out, struct err *err) MUST_CHECK;

struct sandbox_options {
    struct sandbox_user user;

    /* Both end with NULL, and may be NULL. Folders or files; names are followed when the sandbox is
     * entered, and stay what they were then. */
    const char *const *write_dirs; /* read, write, create, rename, remove beneath; must exist */
    const char *const *read_dirs;  /* read beneath; those that do not exist are passed over */

    bool allow_udp_sockets; /* make UDP sockets of its own: canaries */
    bool allow_binding;     /* bind and connect open sockets, ask for interfaces by name */
    int death_signal;       /* sent to this process when its parent dies; 0: none */
};

/* What is in force. */
struct sandbox_report {
    bool changed_user;
    uid_t uid;
    gid_t gid;
    bool no_new_privileges;
    bool no_capabilities;  /* none in any set of the process */
    bool no_bounding;      /* nor could a program that it ran get any */
    unsigned landlock_abi; /* 0: the kernel has none */
    bool landlock;
    bool seccomp;
    char text[320]; /* one line that says all this, and what is missing and why */
};

/* Called once, when all is opened and before any thread is made: it refuses a process with threads,
 * since they would keep what they have. A kernel without Landlock or seccomp is no error: the
 * report says so. After an error the process is in an unknown state between, and has to end.
 *
 * What stays possible: memory (never executable), threads, files beneath the folders, everything
 * with sockets that are open but for making new ones, signals to itself, clocks. To run a program
 * or to trace a process kills this one; what else is not in the list fails with EPERM. */
int sandbox_enter(const struct sandbox_options *options, struct sandbox_report *out,
                  struct err *err) MUST_CHECK;

#endif
