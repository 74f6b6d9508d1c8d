/* Alerts: see hunt_alert.h. */
#include "cmd/hunt_alert.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/hunt_show.h"

#define HOOK_SECONDS 30
#define STEP_MS      20

/* ---- what was told ---- */

struct hunt_told {
    uint64_t id;
    enum hunt_severity severity;
    struct hunt_told *next;
};

static int tell_of_memory(struct hunt_alerts *alerts, const struct finding *f, bool *out_tell,
                          bool *out_new, struct err *err)
{
    for (struct hunt_told *told = alerts->told; told; told = told->next) {
        if (told->id != f->id)
            continue;
        *out_new = false;
        *out_tell = f->severity > told->severity;
        if (*out_tell)
            told->severity = f->severity;
        return 0;
    }
    struct hunt_told *told = malloc(sizeof *told);
    if (!told)
        return err_set(err, -ENOMEM, "out of memory");
    *told = (struct hunt_told){.id = f->id, .severity = f->severity, .next = alerts->told};
    alerts->told = told;
    *out_tell = *out_new = true;
    return 0;
}

int hunt_alerts_ask(struct hunt_alerts *alerts, const struct finding *f, const char **out,
                    struct err *err)
{
    bool tell = false, is_new = false;
    int result;
    if (alerts->archive) {
        struct finding copy = *f;
        result = hunt_archive_tell(alerts->archive, &copy, &tell, err);
        is_new = copy.is_new;
    } else {
        result = tell_of_memory(alerts, f, &tell, &is_new, err);
    }
    *out = !tell ? NULL : is_new ? "new" : "graver";
    return result;
}

/* ---- the program ---- */

int hunt_alerts_init(struct hunt_alerts *alerts, const char *command, struct hunt_archive *archive,
                     struct err *err)
{
    *alerts = (struct hunt_alerts){.archive = archive};
    if (!command)
        return 0;
    alerts->hook = strdup(command);
    if (!alerts->hook)
        return err_set(err, -ENOMEM, "out of memory");
    size_t n = 0;
    for (char *p = alerts->hook + strspn(alerts->hook, " \t"); *p; p += strspn(p, " \t")) {
        if (n == HUNT_HOOK_WORDS)
            return err_set(err, -EINVAL, "--on-alert: more than %d words", HUNT_HOOK_WORDS);
        alerts->argv[n++] = p;
        p += strcspn(p, " \t");
        if (*p)
            *p++ = '\0';
    }
    if (n == 0)
        return err_set(err, -EINVAL, "--on-alert wants a program");
    if (strchr(alerts->argv[0], '/') && access(alerts->argv[0], X_OK) < 0)
        return err_set(err, -errno, "--on-alert: %s: %s", alerts->argv[0], strerror(errno));
    return 0;
}

void hunt_alerts_done(struct hunt_alerts *alerts)
{
    while (alerts->told) {
        struct hunt_told *next = alerts->told->next;
        free(alerts->told);
        alerts->told = next;
    }
    free(alerts->hook);
    alerts->hook = NULL;
}

/* A file in memory that holds the object: a program that does not read it holds nobody up. */
static int make_input(const char *json, size_t size)
{
    int fd = memfd_create("finding", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, json, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0) {
        int code = errno ? -errno : -EIO;
        close(fd);
        return code;
    }
    return fd;
}

#define N_WORDS  10
#define WORD_MAX 400

/* NAME=VALUE, without control characters. */
static void put_word(char out[WORD_MAX], const char *name, const char *value)
{
    (void)snprintf(out, WORD_MAX, "CLOUDSPAN_%s=%s", name, value);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static void make_environment(const struct finding *f, const char *alert,
                             char words[N_WORDS][WORD_MAX])
{
    char text[HUNT_END_MAX], addr[ADDR_TEXT_MAX + 1];
    put_word(words[0], "HUNT", f->hunt->name);
    put_word(words[1], "SEVERITY", hunt_severity_name(f->severity));
    put_word(words[2], "ALERT", alert);
    put_word(words[3], "TITLE", f->title);
    (void)snprintf(text, sizeof text, "%.3f", f->score);
    put_word(words[4], "SCORE", text);
    hunt_address(f->has_src, &f->src, addr);
    put_word(words[5], "SRC", addr);
    put_word(words[6], "MACHINE", f->src_machine);
    hunt_address(f->has_dst, &f->dst, addr);
    put_word(words[7], "DST", addr);
    put_word(words[8], "NAME", f->name);
    hunt_id_text(f->id, HUNT_ID_MAX - 1, text);
    put_word(words[9], "ID", text);
}

/* False: it was still there after HOOK_SECONDS, and was ended. */
static bool wait_for(pid_t pid, int *out_status)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
    for (int left = HOOK_SECONDS * 1000 / STEP_MS; left > 0; left--) {
        pid_t done = waitpid(pid, out_status, WNOHANG);
        if (done == pid || (done < 0 && errno != EINTR))
            return true;
        (void)nanosleep(&step, NULL);
    }
    (void)kill(-pid, SIGKILL); /* its group: what it started, too */
    (void)waitpid(pid, out_status, 0);
    return false;
}

static int spawn(const struct hunt_alerts *alerts, char *const environment[], int input, pid_t *out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGINT);
    (void)sigaddset(&defaults, SIGTERM);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawn_file_actions_adddup2(&actions, input, 0);
    /* Standard output is for our lines; what the program says goes to standard error. */
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(&actions, 2, 1);
    if (code == 0)
        code = posix_spawnp(out, alerts->argv[0], &actions, &attributes,
                            (char *const *)(uintptr_t)alerts->argv, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return -code;
}

int hunt_alerts_run(const struct hunt_alerts *alerts, const struct finding *f, const char *alert,
                    const char *json, size_t size, struct err *err)
{
    char words[N_WORDS][WORD_MAX];
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char language[] = "LANG=C.UTF-8";
    char *environment[N_WORDS + 3] = {path, language};
    pid_t pid = -1;
    int status = 0;
    if (!alerts->argv[0])
        return 0;
    make_environment(f, alert, words);
    for (size_t i = 0; i < N_WORDS; i++)
        environment[i + 2] = words[i];
    int input = make_input(json, size);
    int result = input < 0 ? input : spawn(alerts, environment, input, &pid);
    if (input >= 0)
        close(input);
    if (result < 0)
        return err_set(err, result, "--on-alert: %s cannot be run: %s", alerts->argv[0],
                       strerror(-result));
    if (!wait_for(pid, &status))
        return err_set(err, -ETIMEDOUT, "--on-alert: %s was ended after %d s", alerts->argv[0],
                       HOOK_SECONDS);
    if (WIFSIGNALED(status))
        return err_set(err, -EIO, "--on-alert: %s was killed by signal %d", alerts->argv[0],
                       WTERMSIG(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return err_set(err, -EIO, "--on-alert: %s ended with %d", alerts->argv[0],
                       WEXITSTATUS(status));
    return 0;
}
