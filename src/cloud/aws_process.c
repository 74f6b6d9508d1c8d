/* credential_process: a program of the user's that prints credentials. It is run with the words of
 * the setting, without a shell; it has a minute, and its complaint is told, its output never. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

#define WORDS_MAX     64
#define OUT_MAX       (64u << 10)
#define COMPLAINT_MAX 4096
#define TIME_MAX      (60 * INT64_C(1000000000)) /* somebody may have to press a button */

/* ---- words ---- */

struct words {
    char *text; /* owned */
    char *word[WORDS_MAX + 1];
    size_t n;
};

/* As a POSIX shell splits, with its quotation marks, but nothing is replaced. False: a mark that is
 * not closed, or too many words. */
static bool split(const char *line, struct words *out)
{
    char *to = out->text;
    char quote = '\0';
    bool in_word = false;
    for (const char *at = line; *at; at++) {
        if (!quote && strchr(" \t\r\n", *at)) {
            if (in_word)
                *to++ = '\0';
            in_word = false;
            continue;
        }
        if (!in_word) {
            if (out->n == WORDS_MAX)
                return false;
            out->word[out->n++] = to;
            in_word = true;
        }
        if (quote && *at == quote) {
            quote = '\0';
        } else if (!quote && (*at == '"' || *at == '\'')) {
            quote = *at;
        } else if (*at == '\\' && quote != '\'' && at[1] &&
                   (!quote || at[1] == '"' || at[1] == '\\')) {
            *to++ = *++at;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
    return !quote && out->n > 0;
}

/* ---- running ---- */

static int spawn(struct words *words, int out_fd, int err_fd, pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
    posix_spawn_file_actions_adddup2(&actions, err_fd, 2);
    int result = posix_spawnp(out_pid, words->word[0], &actions, &how, words->word, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&how);
    return -result;
}

static int left_of(int64_t end)
{
    int64_t left = (end - clock_ticks()) / 1000000;
    return left < 0 ? 0 : (int)left;
}

struct output {
    char bytes[2][OUT_MAX]; /* what it prints, and what it complains */
    size_t size[2];
};

/* Until both ends are closed. */
static int listen_to(const int fds[2], int64_t end, struct output *out)
{
    static const size_t max[2] = {OUT_MAX - 1, COMPLAINT_MAX};
    struct pollfd polls[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLIN, 0}};
    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        int ready = poll(polls, 2, left_of(end));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return -ETIMEDOUT;
        for (int i = 0; i < 2; i++) {
            char rest[512];
            bool is_full = out->size[i] >= max[i];
            if (polls[i].fd < 0 || !polls[i].revents)
                continue;
            ssize_t n =
                is_full ? read(polls[i].fd, rest, sizeof rest)
                        : read(polls[i].fd, out->bytes[i] + out->size[i], max[i] - out->size[i]);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                polls[i].fd = -1; /* poll() passes over it */
            else if (!is_full)
                out->size[i] += (size_t)n;
            else if (i == 0)
                return -EFBIG;
        }
    }
    return 0;
}

static int wait_for(pid_t pid, int64_t end, int *out_status)
{
    for (;;) {
        pid_t done = waitpid(pid, out_status, WNOHANG);
        if (done == pid)
            return 0;
        if (done < 0 && errno != EINTR)
            return -errno;
        if (left_of(end) == 0)
            return -ETIMEDOUT;
        (void)poll(NULL, 0, 2);
    }
}

/* The first line, for a sentence. */
static void tidy(char *text, size_t size)
{
    size_t n = 0;
    while (n < size && n < 200 && text[n] != '\n') {
        unsigned char c = (unsigned char)text[n];
        text[n++] = c < ' ' || c >= 0x7f ? '?' : (char)c;
    }
    text[n] = '\0';
}

static int run(struct words *words, struct output *out, struct err *err)
{
    int out_fds[2] = {-1, -1}, err_fds[2] = {-1, -1}, status = 0;
    int64_t end = clock_ticks() + TIME_MAX;
    pid_t pid = 0;
    int result = 0;
    if (pipe2(out_fds, O_CLOEXEC) < 0 || pipe2(err_fds, O_CLOEXEC) < 0)
        result = -errno;
    bool runs = result == 0 && (result = spawn(words, out_fds[1], err_fds[1], &pid)) == 0;
    for (int i = 0; i < 2; i++) {
        int fd = i ? err_fds[1] : out_fds[1];
        if (fd >= 0)
            (void)close(fd); /* else its end is never seen */
    }
    if (runs) {
        const int fds[2] = {out_fds[0], err_fds[0]};
        result = listen_to(fds, end, out);
        if (result == 0)
            result = wait_for(pid, end, &status);
        if (result < 0) {
            (void)kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        }
    }
    for (int i = 0; i < 2; i++) {
        int fd = i ? err_fds[0] : out_fds[0];
        if (fd >= 0)
            (void)close(fd);
    }
    if (result == -ETIMEDOUT)
        return err_set(err, -ETIMEDOUT, "%s: took more than a minute", words->word[0]);
    if (result == -EFBIG)
        return err_set(err, -EPROTO, "%s: prints more than credentials", words->word[0]);
    if (result < 0)
        return err_set(err, result, "%s: cannot be run: %s", words->word[0], strerror(-result));
    tidy(out->bytes[1], out->size[1]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, -EACCES, "%s: failed%s%s", words->word[0], out->bytes[1][0] ? ": " : "",
                       out->bytes[1]);
    return 0;
}

/* ---- what it printed ---- */

static int take_output(const char *name, const struct output *output, struct aws_keys *out,
                       struct err *err)
{
    static const struct aws_key_names names = {"AccessKeyId", "SecretAccessKey", "SessionToken",
                                               "Expiration"};
    json_t *json = json_loadb(output->bytes[0], output->size[0], JSON_REJECT_DUPLICATES, NULL);
    const json_t *version = json_object_get(json, "Version");
    int result;
    if (!json)
        result = err_set(err, -EPROTO, "%s: prints no JSON", name);
    else if (!json_is_integer(version) || json_integer_value(version) != 1)
        result = err_set(err, -EPROTO, "%s: prints JSON without \"Version\": 1", name);
    else
        result = aws_keys_of_json(json, &names, name, out, err);
    aws_json_forget(json);
    return result;
}

int aws_fetch_process(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                      struct err *err)
{
    size_t size = strlen(source->from) + 1;
    struct words words = {.text = malloc(size)};
    struct output *output = calloc(1, sizeof *output);
    int result;
    (void)aws;
    if (!words.text || !output)
        result = err_set(err, -ENOMEM, "no memory for a program");
    else if (!split(source->from, &words))
        result = err_set(err, -EINVAL,
                         "credential_process: a quotation mark is not closed, or "
                         "there are no words, or more than %d",
                         WORDS_MAX);
    else
        result = run(&words, output, err);
    if (result == 0)
        result = take_output(words.word[0], output, out, err);
    if (output)
        explicit_bzero(output, sizeof *output);
    free(output);
    if (words.text)
        explicit_bzero(words.text, size); /* a password may be among the words */
    free(words.text);
    return result;
}
