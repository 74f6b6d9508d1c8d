/* A program of a test's own, parent and packet process: what the tests of the parent share. */
#ifndef SENSOR_PARENT_BED_H
#define SENSOR_PARENT_BED_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/parent_handle.h"

#define WORDS_MAX 8192

/* What one program of a test has. */
struct bed {
    char folder[64];
    char path[8][96]; /* hooks, then files */
    const char *hook_args[8][4];
    unsigned n_hooks;
    const char *files[3];
    struct parent_options options;
    int words[2]; /* what `say` and the packet process tell the test */
    int hold[2];  /* its end tells the packet process to go on */
    char said[WORDS_MAX];
};

static inline void tell(const struct bed *bed, const char *text)
{
    char line[600];
    int n = snprintf(line, sizeof line, "%s\n", text);
    assert_int_equal(write(bed->words[1], line, (size_t)n), n);
}

static inline void crashed(void *with)
{
    tell((const struct bed *)with, "crashed");
}

static inline void say(void *with, enum note_level level, const char *text)
{
    tell((const struct bed *)with, text);
    (void)level;
}

struct question {
    int first, second;
};

static inline int serve_sum(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                            struct err *err)
{
    struct question q;
    memcpy(&q, request, sizeof q);
    if (q.first < 0)
        return err_set(err, -EDOM, "negative numbers are not added");
    long sum = (long)q.first + q.second;
    memcpy(reply, &sum, sizeof sum);
    return 0;
}

static inline int serve_files(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                              struct err *err)
{
    int n;
    memcpy(&n, request, sizeof n);
    for (int i = 0; i < n; i++) {
        int ends[2];
        if (pipe(ends) < 0)
            return err_set(err, -errno, "pipe");
        assert_int_equal(write(ends[1], &i, sizeof i), sizeof i);
        close(ends[1]);
        fds[(*n_fds)++] = ends[0];
    }
    return 0;
}

static const struct parent_service services[] = {
    {"sum", sizeof(struct question), sizeof(long), serve_sum},
    {"files", sizeof(int), 0, serve_files},
};

static inline const char *const *hook(void *with, unsigned index)
{
    struct bed *bed = with;
    return index < bed->n_hooks ? bed->hook_args[index] : NULL;
}

static inline void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static inline void bed_init(struct bed *bed)
{
    memset(bed, 0, sizeof *bed);
    (void)snprintf(bed->folder, sizeof bed->folder, "/tmp/parent_test.XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    assert_int_equal(pipe2(bed->words, O_CLOEXEC), 0);
    assert_int_equal(pipe2(bed->hold, O_CLOEXEC), 0);
    bed->options = (struct parent_options){.services = services,
                                           .n_services = 2,
                                           .files = bed->files,
                                           .hook = hook,
                                           .say = say,
                                           .crashed = crashed,
                                           .with = bed};
}

static inline void set_path(struct bed *bed, unsigned i, const char *name)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/%s", bed->folder, name);
    memcpy(bed->path[i], path, sizeof path);
}

static inline unsigned add_hook(struct bed *bed, const char *script)
{
    unsigned i = bed->n_hooks++;
    char name[16];
    (void)snprintf(name, sizeof name, "hook%u", i);
    set_path(bed, i, name);
    if (script)
        write_file(bed->path[i], script, 0700);
    bed->hook_args[i][0] = bed->path[i];
    bed->hook_args[i][1] = "an argument; with $HOME";
    bed->hook_args[i][2] = bed->folder;
    return i;
}

static inline void bed_done(struct bed *bed)
{
    close(bed->words[0]);
    close(bed->words[1]);
    close(bed->hold[0]);
    close(bed->hold[1]);
    for (size_t i = 0; i < 8; i++)
        if (bed->path[i][0])
            unlink(bed->path[i]);
    char out[96];
    (void)snprintf(out, sizeof out, "%s/out", bed->folder);
    unlink(out);
    assert_int_equal(rmdir(bed->folder), 0);
}

/* Starts the program; `body` runs in the packet process, and gives its exit code. */
static inline pid_t start(struct bed *bed, int (*body)(struct bed *, struct parent *))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid)
        return pid;
    close(bed->hold[1]);
    struct parent *parent;
    struct err err;
    if (parent_start(&bed->options, &parent, &err) < 0)
        _exit(99);
    if (!parent_is_packet_process(parent)) {
        close(bed->hold[0]);
        _exit(parent_serve(parent));
    }
    int code = body(bed, parent);
    parent_free(parent);
    _exit(code);
}

/* Waits for its end, and reads all that was said. */
static inline int finish(struct bed *bed, pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(bed->words[1]);
    bed->words[1] = -1;
    size_t at = 0;
    ssize_t n;
    while ((n = read(bed->words[0], bed->said + at, sizeof bed->said - 1 - at)) > 0)
        at += (size_t)n;
    bed->said[at] = '\0';
    if (!WIFEXITED(status))
        fail_msg("ended by signal %d: %s", WTERMSIG(status), bed->said);
    return WEXITSTATUS(status);
}

/* In the packet process, where cmocka's jumps would not do. */
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            char line_[400];                                                                       \
            (void)snprintf(line_, sizeof line_, "line %d: %s (%s)", __LINE__, #what, err.text);    \
            tell(bed, line_);                                                                      \
            return 90;                                                                             \
        }                                                                                          \
    } while (0)

#endif
