/* System calls that the process which parses packets may make: a list of those it needs. All
 * others fail with EPERM; those that only an intruder would try end the process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "linux/sandbox_parts.h"

/* The sanitizers' own code maps, traces and forks as it likes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* With whatever arguments. Names that a processor or this library does not have are passed over:
 * the list is for several C libraries and kernels. */
static const char *const allowed[] = {
    /* memory; what maps and protects has a rule below */
    "brk", "munmap", "mremap", "madvise", "membarrier", "mseal",
    /* threads */
    "futex", "futex_wait", "futex_wake", "futex_waitv", "futex_requeue", "futex_time64",
    "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "exit", "exit_group",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "sched_get_priority_min", "sched_get_priority_max", "getcpu",
    /* files: which ones is for Landlock and the user to say */
    "openat", "open", "creat", "close", "close_range", "read", "write", "pread64", "pwrite64",
    "readv", "writev", "preadv", "pwritev", "preadv2", "pwritev2", "lseek", "_llseek", "fstat",
    "fstat64", "stat", "stat64", "lstat", "lstat64", "newfstatat", "fstatat64", "statx", "statfs",
    "statfs64", "fstatfs", "fstatfs64", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents64", "getcwd", "rename", "renameat", "renameat2", "unlink", "unlinkat",
    "mkdir", "mkdirat", "rmdir", "symlink", "symlinkat", "link", "linkat", "ftruncate",
    "ftruncate64", "truncate", "truncate64", "fallocate", "fsync", "fdatasync", "sync_file_range",
    "fadvise64", "fadvise64_64", "flock", "fcntl", "fcntl64", "fchmod", "fchmodat", "chmod",
    "utimensat", "umask", "copy_file_range", "sendfile", "sendfile64", "dup", "dup2", "dup3",
    "pipe", "pipe2", "eventfd2",
    /* waiting, and time */
    "poll", "ppoll", "select", "pselect6", "_newselect", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "clock_gettime", "clock_getres",
    "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "timerfd_create",
    "timerfd_settime", "timerfd_gettime", "getrusage", "getitimer", "pause",
    /* sockets that are open; to make one has a rule below */
    "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg", "accept", "accept4",
    "getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown",
    /* signals of its own */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
    "rt_sigsuspend", "sigreturn", "sigaltstack", "signalfd4", "restart_syscall",
    /* who and where it is */
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid",
    "getresgid", "getgroups", "getpgrp", "getpgid", "getsid", "capget", "uname", "sysinfo",
    "getrandom", "arch_prctl", "getrlimit", "ugetrlimit"};

/* Nothing that runs here by itself tries one of these, not even to see whether it is there. */
static const char *const deadly[] = {"execve",
                                     "execveat",
                                     "ptrace",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "fork",
                                     "vfork",
                                     "init_module",
                                     "finit_module",
                                     "delete_module",
                                     "kexec_load",
                                     "kexec_file_load",
                                     "bpf",
                                     "perf_event_open",
                                     "userfaultfd",
                                     "mount",
                                     "umount2",
                                     "move_mount",
                                     "fsopen",
                                     "pivot_root",
                                     "chroot",
                                     "setns",
                                     "unshare",
                                     "add_key",
                                     "request_key",
                                     "keyctl",
                                     "open_by_handle_at",
                                     "iopl",
                                     "ioperm",
                                     "modify_ldt",
                                     "personality",
                                     "reboot",
                                     "swapon",
                                     "swapoff",
                                     "acct",
                                     "settimeofday",
                                     "clock_settime",
                                     "pidfd_getfd"};

/* What the terminal and non-blocking files need; others (TIOCSTI …) type for the user, or worse. */
static const unsigned long ioctls[] = {TCGETS,    TCSETS,   TCSETSW, TCSETSF,   TIOCGWINSZ,
                                       TIOCGPGRP, FIONREAD, FIONBIO, 0x802c542a /* TCGETS2 */};

static int rule(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned n,
                const struct scmp_arg_cmp *args)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    int result = seccomp_rule_add_array(filter, action, number, n, args);
    /* A call that this processor does not have (libseccomp's negative numbers) cannot be made. */
    return result == -EDOM || (number < 0 && result < 0) ? 0 : result;
}

static int allow_if(scmp_filter_ctx filter, const char *name, struct scmp_arg_cmp arg)
{
    return rule(filter, SCMP_ACT_ALLOW, name, 1, &arg);
}

static int allow_sockets(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6}, protocols[] = {0, IPPROTO_UDP};
    const int kind = ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (int i = 0; i < 4; i++) {
        struct scmp_arg_cmp args[] = {
            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i & 1]),
            SCMP_A1(SCMP_CMP_MASKED_EQ, (scmp_datum_t)(unsigned)kind, SOCK_DGRAM),
            SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocols[i >> 1])};
        int result = rule(filter, SCMP_ACT_ALLOW, "socket", 3, args);
        if (result)
            return result;
    }
    return 0;
}

static int allow_binding(scmp_filter_ctx filter, bool with_interfaces)
{
    static const char *const calls[] = {"bind", "connect"};
    static const unsigned long questions[] = {SIOCGIFINDEX, SIOCGIFNAME, SIOCGIFFLAGS,
                                              SIOCGIFHWADDR, SIOCGIFMTU};
    int result = 0;
    for (int i = 0; i < 2 && !result; i++)
        result = rule(filter, SCMP_ACT_ALLOW, calls[i], 0, NULL);
    for (int i = 0; i < 5 && with_interfaces && !result; i++)
        result = allow_if(filter, "ioctl", SCMP_A1(SCMP_CMP_EQ, questions[i]));
    return result;
}

static int allow_with_arguments(scmp_filter_ctx filter, const struct sandbox_options *options)
{
    int result = 0;
#define ALLOW_IF(name, arg)                                                                        \
    if (!result)                                                                                   \
    result = allow_if(filter, name, arg)
    /* No memory that can be executed: all code is mapped by now. */
    static const char *const mapping[] = {"mmap", "mmap2", "mprotect"};
    for (int i = 0; i < 3; i++)
        ALLOW_IF(mapping[i], SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    /* Threads, but no processes. clone3 hides its flags behind a pointer; "there is none" makes the
     * C library use clone. */
    ALLOW_IF("clone",
             SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWUSER | CLONE_NEWNS, CLONE_THREAD));
    if (!result)
        result = rule(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
    /* Limits may be read. */
    ALLOW_IF("prlimit64", SCMP_A2(SCMP_CMP_EQ, 0));
    /* abort() and assert() send a signal to their own process. */
    ALLOW_IF("tgkill", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    static const int prctls[] = {PR_SET_NAME,     PR_GET_NAME,         PR_GET_DUMPABLE,
                                 PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP};
    for (size_t i = 0; i < sizeof prctls / sizeof *prctls; i++)
        ALLOW_IF("prctl", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctls[i]));
    for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls; i++)
        ALLOW_IF("ioctl", SCMP_A1(SCMP_CMP_EQ, ioctls[i]));
#undef ALLOW_IF
    if (!result && options->allow_udp_sockets)
        result = allow_sockets(filter);
    if (!result && (options->allow_udp_sockets || options->allow_binding))
        result = allow_binding(filter, options->allow_binding);
    return result;
}

int sandbox_enter_seccomp(const struct sandbox_options *options, const char **out_why,
                          struct err *err)
{
    *out_why = NULL;
    if (IS_SANITIZED) {
        *out_why = "the build has sanitizers";
        return 0;
    }
    if (prctl(PR_GET_SECCOMP) < 0) {
        *out_why = "the kernel has none";
        return 0;
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return err_set(err, -ENOMEM, "seccomp: no memory for the filter");
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!result)
        result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!result)
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE,
                               2); /* a tree, where it knows one */
    for (size_t i = 0; !result && i < sizeof allowed / sizeof *allowed; i++)
        result = rule(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
    for (size_t i = 0; !result && i < sizeof deadly / sizeof *deadly; i++)
        result = rule(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0, NULL);
    if (!result)
        result = allow_with_arguments(filter, options);
    if (!result)
        result = seccomp_load(filter);
    seccomp_release(filter);
    if (result)
        return err_set(err, result, "seccomp: %s", strerror(-result));
    return 0;
}
