/* The two filters of a sandbox: only sandbox.c enters them. */
#ifndef LINUX_SANDBOX_PARTS_H
#define LINUX_SANDBOX_PARTS_H

#include "linux/sandbox.h"

/* What the kernel has of Landlock: its ABI, 0: nothing. */
unsigned sandbox_landlock_abi(void);

/* Files, and whom signals and connections may reach. 0 with *out_abi 0: the kernel has none. */
int sandbox_enter_landlock(const struct sandbox_options *options, unsigned *out_abi,
                           struct err *err) MUST_CHECK;

/* System calls. *out_why is NULL when it is in force, else why it is not. */
int sandbox_enter_seccomp(const struct sandbox_options *options, const char **out_why,
                          struct err *err) MUST_CHECK;

#endif
