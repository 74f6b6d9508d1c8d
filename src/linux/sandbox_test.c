/* The sandbox: what is needed works inside, and what an intruder would try does not. Each try is a
 * process of its own. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "linux/sandbox_parts.h"

struct place {
    char root[64], logs[96], config[96], secret[96];
    struct sandbox_options options;
    const char *write_dirs[2], *read_dirs[3];
    int udp, words[2];
    uint16_t port; /* of `udp`, in network order */
    struct sandbox_report report;
};

static void place_init(struct place *p)
{
    memset(p, 0, sizeof *p);
    (void)snprintf(p->root, sizeof p->root, "/tmp/sandbox_test.XXXXXX");
    assert_non_null(mkdtemp(p->root));
    assert_int_equal(chmod(p->root, 0755), 0);
    (void)snprintf(p->logs, sizeof p->logs, "%s/logs", p->root);
    (void)snprintf(p->config, sizeof p->config, "%s/config", p->root);
    (void)snprintf(p->secret, sizeof p->secret, "%s/secret", p->root);
    assert_int_equal(mkdir(p->logs, 0755), 0);
    assert_int_equal(mkdir(p->config, 0777), 0);
    const char *const files[] = {"config/file", "secret"};
    for (int i = 0; i < 2; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", p->root, files[i]);
        int fd = open(path, O_CREAT | O_WRONLY, 0666);
        assert_true(fd >= 0);
        assert_int_equal(fchmod(fd, 0666), 0); /* so that only the sandbox forbids it */
        assert_int_equal(write(fd, "text", 4), 4);
        close(fd);
    }
    p->write_dirs[0] = p->logs;
    p->read_dirs[0] = "/nonexistent/zone";
    p->read_dirs[1] = p->config;
    p->options.write_dirs = p->write_dirs;
    p->options.read_dirs = p->read_dirs;
    struct err err;
    if (geteuid() == 0) {
        assert_int_equal(sandbox_find_user("nobody", &p->options.user, &err), 0);
        assert_int_equal(chown(p->logs, p->options.user.uid, p->options.user.gid), 0);
    } else {
        sandbox_default_user(&p->options.user);
    }
    p->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    assert_int_equal(bind(p->udp, (struct sockaddr *)&here, size), 0);
    assert_int_equal(getsockname(p->udp, (struct sockaddr *)&here, &size), 0);
    p->port = here.sin_port;
    assert_int_equal(pipe2(p->words, O_CLOEXEC), 0);
}

static void place_done(struct place *p)
{
    static const char *const made[] = {"logs/a",       "logs/b", "logs/day/c",  "logs/day",
                                       "logs/current", "logs",   "config/file", "config",
                                       "secret",       ""};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", p->root, made[i]);
        (void)remove(path); /* most are not there */
    }
    assert_int_equal(access(p->root, F_OK), -1);
    close(p->udp);
    close(p->words[0]);
    close(p->words[1]);
}

static void fails(struct place *p, int line, const char *what)
{
    char text[300];
    int n = snprintf(text, sizeof text, "line %d: %s: %s\n", line, what, strerror(errno));
    (void)!write(p->words[1], text, (size_t)n); /* the exit code says the rest */
    _exit(1);
}

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            fails(p, __LINE__, #what);                                                             \
    } while (0)

/* Runs `body` in a process inside the sandbox; gives how it ended, as waitpid says. */
static int inside(struct place *p, void (*body)(struct place *))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = {""};
        errno = 0;
        (void)prctl(PR_SET_DUMPABLE, 0); /* no core files of those that are killed */
        if (sandbox_enter(&p->options, &p->report, &err) < 0)
            fails(p, __LINE__, err.text);
        body(p);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status)) {
        char text[1000] = "";
        (void)!read(p->words[0], text, sizeof text - 1); /* told before the exit */
        fail_msg("%s", text);
    }
    return status;
}

static void *thread(void *with)
{
    int *n = with;
    char name[16] = "";
    if (pthread_setname_np(pthread_self(), "worker") == 0 &&
        pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, "worker") == 0)
        *n = 42;
    free(malloc(1 << 22));
    pthread_exit(n);
}

static void does_what_is_needed(struct place *p)
{
    char a[128], b[128], day[128], c[128], link[128];
    (void)snprintf(a, sizeof a, "%s/a", p->logs);
    (void)snprintf(b, sizeof b, "%s/b", p->logs);
    (void)snprintf(day, sizeof day, "%s/day", p->logs);
    (void)snprintf(c, sizeof c, "%s/day/c", p->logs);
    (void)snprintf(link, sizeof link, "%s/current", p->logs);
    /* files */
    int fd = open(a, O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0640);
    CHECK(fd >= 0);
    CHECK(write(fd, "12345678", 8) == 8 && fsync(fd) == 0 && ftruncate(fd, 4) == 0);
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096) == 0 || errno == EOPNOTSUPP);
    struct stat facts;
    CHECK(fstat(fd, &facts) == 0 && facts.st_size == 4);
    void *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(view != MAP_FAILED && memcmp(view, "1234", 4) == 0 && munmap(view, 4096) == 0);
    CHECK(close(fd) == 0 && rename(a, b) == 0 && mkdir(day, 0750) == 0 && rename(b, c) == 0);
    CHECK(symlink("day", link) == 0 && unlink(link) == 0);
    CHECK(stat(c, &facts) == 0 && unlink(c) == 0 && rmdir(day) == 0);
    FILE *f = fopen(a, "w");
    CHECK(f && fprintf(f, "%d\n", 1) > 0 && fclose(f) == 0);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/file", p->config);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && close(fd) == 0);
    /* memory and threads */
    void *memory = mmap(NULL, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && mprotect(memory, 4096, PROT_READ) == 0);
    CHECK(madvise(memory, 1 << 24, MADV_DONTNEED) == 0 && munmap(memory, 1 << 24) == 0);
    pthread_t threads[4];
    int n[4] = {0};
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, thread, &n[i]) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0 && n[i] == 42);
    /* clocks */
    struct timespec t = {.tv_nsec = 1};
    struct timeval tv;
    time_t now = time(NULL);
    struct tm day_of;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0 && gettimeofday(&tv, NULL) == 0);
    CHECK(localtime_r(&now, &day_of) != NULL);
    t = (struct timespec){.tv_nsec = 1};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) == 0);
    char random[16];
    CHECK(getrandom(random, sizeof random, 0) == sizeof random);
    /* sockets that were there */
    struct sockaddr_in self = {
        .sin_family = AF_INET, .sin_port = p->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(sendto(p->udp, "hello", 5, 0, (struct sockaddr *)&self, sizeof self) == 5);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(poller >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, p->udp, &event) == 0);
    CHECK(epoll_wait(poller, &event, 1, -1) == 1);
    struct pollfd one = {.fd = p->udp, .events = POLLIN};
    CHECK(poll(&one, 1, -1) == 1);
    char packet[16];
    struct iovec piece = {packet, sizeof packet};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
    CHECK(recvmmsg(p->udp, &message, 1, MSG_DONTWAIT, NULL) == 1 && message.msg_len == 5);
    int size = 1 << 20;
    CHECK(setsockopt(p->udp, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
    /* signals of its own */
    CHECK(signal(SIGUSR1, SIG_IGN) != SIG_ERR && raise(SIGUSR1) == 0);
}

static void test_what_is_needed_works(void **state)
{
    (void)state;
    struct place p;
    place_init(&p);
    int status = inside(&p, does_what_is_needed);
    if (WIFSIGNALED(status))
        fail_msg("ended by signal %d", WTERMSIG(status));
    place_done(&p);
}

static void tries_files(struct place *p)
{
    CHECK(open(p->secret, O_RDONLY) < 0 && (errno == EACCES || errno == EPERM));
    CHECK(open(p->secret, O_WRONLY | O_TRUNC) < 0);
    CHECK(truncate(p->secret, 0) < 0 || sandbox_landlock_abi() < 3);
    CHECK(open("/etc/passwd", O_RDONLY) < 0);
    CHECK(open("/proc/self/mem", O_RDWR) < 0);
    CHECK(unlink(p->secret) < 0);
    char inside_config[128], from[128], path[160];
    (void)snprintf(inside_config, sizeof inside_config, "%s/new", p->config);
    CHECK(open(inside_config, O_CREAT | O_WRONLY, 0600) < 0);
    (void)snprintf(from, sizeof from, "%s/file", p->config);
    CHECK(open(from, O_WRONLY) < 0);
    (void)snprintf(path, sizeof path, "%s/b", p->logs);
    CHECK(rename(from, path) < 0);
    CHECK(link(p->secret, path) < 0);
    /* A name inside that leads outside. */
    CHECK(symlink(p->secret, path) == 0 && open(path, O_RDONLY) < 0 && unlink(path) == 0);
    (void)snprintf(path, sizeof path, "%s/../secret", p->logs);
    CHECK(open(path, O_RDONLY) < 0);
    (void)snprintf(path, sizeof path, "%s/device", p->logs);
    CHECK(mknod(path, S_IFCHR | 0600, 0x103) < 0);
    CHECK(mkfifo(path, 0600) < 0);
}

static void test_files_outside(void **state)
{
    (void)state;
    if (!sandbox_landlock_abi()) {
        print_message("skipped: the kernel has no Landlock\n");
        skip();
    }
    struct place p;
    place_init(&p);
    assert_int_equal(inside(&p, tries_files), 0);
    place_done(&p);
}

static void tries_identities(struct place *p)
{
    CHECK(setuid(0) < 0 && setresuid(0, 0, 0) < 0 && setgid(0) < 0);
    gid_t root = 0;
    CHECK(setgroups(1, &root) < 0);
    CHECK(socket(AF_PACKET, SOCK_RAW, 0) < 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(chown(p->logs, 0, 0) < 0);
    struct timespec t = {.tv_sec = 1};
    CHECK(kill(getppid(), 0) < 0 || sandbox_landlock_abi() >= 6 || !p->report.changed_user);
    CHECK(p->report.no_capabilities && p->report.no_new_privileges);
    (void)t;
}

static void test_no_way_back_to_root(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: needs root\n");
        skip();
    }
    struct place p;
    place_init(&p);
    assert_int_equal(inside(&p, tries_identities), 0);
    place_done(&p);
}

static void tries_refused_calls(struct place *p)
{
    const int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        CHECK(socket(families[i], SOCK_STREAM, 0) < 0 && errno == EPERM);
        CHECK(socket(families[i], SOCK_DGRAM, 0) < 0 && errno == EPERM);
        CHECK(socket(families[i], SOCK_RAW, 0) < 0 && errno == EPERM);
    }
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 && errno == EPERM);
    CHECK(connect(p->udp, NULL, 0) < 0 && errno == EPERM);
    CHECK(bind(p->udp, NULL, 0) < 0 && errno == EPERM);
    CHECK(listen(p->udp, 1) < 0 && errno == EPERM);
    CHECK(kill(getppid(), SIGTERM) < 0 && errno == EPERM);
    CHECK(syscall(SYS_tgkill, getppid(), getppid(), SIGTERM) < 0 && errno == EPERM);
    /* memory that can be executed */
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory == MAP_FAILED && errno == EPERM);
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && mprotect(memory, 4096, PROT_READ | PROT_EXEC) < 0);
    CHECK(errno == EPERM);
    CHECK(syscall(SYS_memfd_create, "x", 0) < 0 && errno == EPERM);
    /* processes */
    CHECK(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
    CHECK(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) < 0 && errno == EPERM);
    CHECK(prctl(PR_SET_DUMPABLE, 1) < 0 && errno == EPERM);
    struct rlimit *none = NULL;
    CHECK(syscall(SYS_prlimit64, 0, 0, p->root, none) < 0 && errno == EPERM);
    char key = 'x';
    CHECK(ioctl(0, 0x5412 /* TIOCSTI */, &key) < 0 && errno == EPERM);
    CHECK(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EPERM);
    CHECK(p->report.seccomp);
}

static void tries_execve(struct place *p)
{
    char *const args[] = {NULL};
    (void)execve("/bin/true", args, args);
}

static void tries_execveat(struct place *p)
{
    char *const args[] = {NULL};
    (void)syscall(SYS_execveat, AT_FDCWD, "/bin/true", args, args, 0);
}

static void tries_ptrace(struct place *p)
{
    (void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void tries_to_read_another(struct place *p)
{
    (void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void tries_a_namespace(struct place *p)
{
    (void)syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */);
}

#ifdef __x86_64__
static void tries_the_old_gate(struct place *p)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory"); /* getpid of 32 bits */
    (void)result;
}
#endif

static bool seccomp_is_there(struct place *p)
{
    const char *why;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        _exit(sandbox_enter_seccomp(&p->options, &why, NULL) || why ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

static void test_calls_outside_the_list(void **state)
{
    (void)state;
    struct place p;
    place_init(&p);
    if (!seccomp_is_there(&p)) {
        place_done(&p);
        print_message("skipped: no seccomp, or a build with sanitizers\n");
        skip();
    }
    assert_int_equal(inside(&p, tries_refused_calls), 0);
    static void (*const deadly[])(struct place *) = {
        tries_execve,       tries_execveat, tries_ptrace, tries_to_read_another, tries_a_namespace,
#ifdef __x86_64__
        tries_the_old_gate,
#endif
    };
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
        int status = inside(&p, deadly[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%zu: status %#x", i, (unsigned)status);
    }
    place_done(&p);
}

static void makes_udp_sockets(struct place *p)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = p->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&there, sizeof there) == 0);
    CHECK(send(fd, "x", 1, 0) == 1);
    CHECK(socket(AF_INET6, SOCK_DGRAM, 0) >= 0 || errno == EAFNOSUPPORT);
    if (!p->report.seccomp)
        return;
    CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
    CHECK(socket(AF_INET, SOCK_RAW, IPPROTO_UDP) < 0 && errno == EPERM);
    CHECK(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) < 0 && errno == EPERM);
    CHECK(socket(AF_UNIX, SOCK_DGRAM, 0) < 0 && errno == EPERM);
}

static void test_udp_sockets_where_allowed(void **state)
{
    (void)state;
    struct place p;
    place_init(&p);
    p.options.allow_udp_sockets = true;
    assert_int_equal(inside(&p, makes_udp_sockets), 0);
    place_done(&p);
}

static void binds_again(struct place *p)
{
    struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = p->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct ifreq request = {.ifr_name = "lo"};
    CHECK(connect(p->udp, (struct sockaddr *)&there, sizeof there) == 0);
    CHECK(ioctl(p->udp, SIOCGIFINDEX, &request) == 0 && ioctl(p->udp, SIOCGIFMTU, &request) == 0);
    if (!p->report.seccomp)
        return;
    CHECK(socket(AF_INET, SOCK_DGRAM, 0) < 0 && errno == EPERM);
    CHECK(ioctl(p->udp, SIOCGIFCONF, &request) < 0 && errno == EPERM);
}

static void test_binding_where_allowed(void **state)
{
    (void)state;
    struct place p;
    place_init(&p);
    p.options.allow_binding = true;
    assert_int_equal(inside(&p, binds_again), 0);
    place_done(&p);
}

static void *wait_for_end(void *with)
{
    char byte;
    (void)!read(*(int *)with, &byte, 1); /* its end is all that counts */
    return NULL;
}

static void test_refused(void **state)
{
    (void)state;
    struct place p;
    place_init(&p);
    struct err err = {""};
    /* With a thread that would keep what it has. */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int ends[2];
        pthread_t other;
        if (pipe(ends) < 0 || pthread_create(&other, NULL, wait_for_end, &ends[0]) != 0)
            _exit(2);
        _exit(sandbox_enter(&p.options, &p.report, &err) == -EBUSY ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    /* A folder that is not there. */
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        p.write_dirs[0] = "/nonexistent/folder";
        int result = sandbox_enter(&p.options, &p.report, &err);
        _exit(result == -ENOENT && strstr(err.text, "sandbox: /nonexistent/folder") ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (sandbox_landlock_abi())
        assert_int_equal(status, 0);
    struct sandbox_user user;
    assert_int_equal(sandbox_find_user("no such user", &user, &err), -ENOENT);
    assert_int_equal(sandbox_find_user("4294967295", &user, &err), -ENOENT);
    place_done(&p);
}

static void test_who_parses_by_default(void **state)
{
    (void)state;
    struct sandbox_user user, nobody;
    struct err err;
    unsetenv("SUDO_UID");
    unsetenv("SUDO_GID");
    sandbox_default_user(&user);
    if (geteuid() != 0) {
        assert_false(user.change);
        assert_int_equal(user.uid, geteuid());
        return;
    }
    assert_true(user.change && user.uid != 0 && user.gid != 0);
    if (sandbox_find_user("cloudspan", &nobody, &err) < 0) {
        assert_int_equal(sandbox_find_user("nobody", &nobody, &err), 0);
        assert_int_equal(user.uid, nobody.uid);
    }
    setenv("SUDO_UID", "4711", 1); /* allowed: the test is sudo */
    setenv("SUDO_GID", "4712", 1); /* allowed: as above */
    sandbox_default_user(&user);
    assert_true(user.change && user.uid == 4711 && user.gid == 4712);
    static const char *const wrong[] = {"0", "-1", "4294967295", "1x", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("SUDO_UID", wrong[i], 1); /* allowed: the test is sudo */
        sandbox_default_user(&user);
        assert_true(user.change && user.uid != 0 && user.uid != 4711 && user.uid != (uid_t)-1);
    }
    unsetenv("SUDO_UID");
    unsetenv("SUDO_GID");
}

/* The parent of the sandboxed process dies; the signal must come although the user changed. */
static void test_dies_with_its_parent(void **state)
{
    (void)state;
    struct place p;
    place_init(&p);
    p.options.death_signal = SIGTERM;
    pid_t middle = fork();
    assert_true(middle >= 0);
    if (middle == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            sigset_t mask;
            sigemptyset(&mask);
            sigaddset(&mask, SIGTERM);
            (void)sigprocmask(SIG_BLOCK, &mask, NULL);
            struct err err = {""};
            int got = 0;
            if (sandbox_enter(&p.options, &p.report, &err) < 0)
                _exit(1);
            (void)!write(p.words[1], "in\n", 3); /* the test waits for it */
            if (sigwait(&mask, &got) == 0 && got == SIGTERM)
                (void)!write(p.words[1], "told\n", 5); /* as above */
            _exit(0);
        }
        for (;;)
            (void)pause();
    }
    char text[16] = "";
    assert_int_equal(read(p.words[0], text, 3), 3);
    assert_int_equal(kill(middle, SIGKILL), 0);
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    assert_int_equal(read(p.words[0], text, sizeof text - 1), 5);
    assert_memory_equal(text, "told\n", 5);
    place_done(&p);
}

int main(void)
{
    (void)umask(022); /* another user reads what is made here */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_needed_works),
        cmocka_unit_test(test_files_outside),
        cmocka_unit_test(test_no_way_back_to_root),
        cmocka_unit_test(test_calls_outside_the_list),
        cmocka_unit_test(test_udp_sockets_where_allowed),
        cmocka_unit_test(test_binding_where_allowed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_who_parses_by_default),
        cmocka_unit_test(test_dies_with_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
