/* A systemd unit that makes a mirror again when the machine starts: its file, and the link that
 * enables it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/program.h"
#include "base/state.h"
#include "mirror/host_parts.h"

#define UNIT_FOLDER "/etc/systemd/system"
#define WANTS       UNIT_FOLDER "/multi-user.target.wants"
#define UNIT_MAX    16384

static void paths(const struct mirror_job *job, char file[256], char enabled[256])
{
    (void)snprintf(file, 256, UNIT_FOLDER "/cloudspan-mirror-%s-%s.service", job->provider->name,
                   job->name);
    (void)snprintf(enabled, 256, WANTS "/cloudspan-mirror-%s-%s.service", job->provider->name,
                   job->name);
}

/* A word of ExecStart: in double quotes, with systemd's escapes. */
static void put_word(const char *word, struct text *out)
{
    text_put(out, " \"");
    for (; *word; word++) {
        if ((unsigned char)*word < 0x20 || *word == 0x7f) { /* a line feed would end the setting */
            text_format(out, "\\x%02x", (unsigned)*word);
            continue;
        }
        if (*word == '"' || *word == '\\')
            text_put(out, "\\");
        else if (*word == '%' || *word == '$')
            text_add(out, word, 1); /* doubled */
        text_add(out, word, 1);
    }
    text_put(out, "\"");
}

static void put_command(const struct mirror_job *job, const char *setting, const char *program,
                        const char *verb, struct text *out)
{
    size_t i;
    json_t *word;
    text_put(out, setting);
    put_word(program, out);
    text_format(out, " mirror %s %s --yes", verb, job->provider->name);
    if (strcmp(verb, "remove") == 0) {
        text_format(out, " --name=%s\n", job->name);
        return;
    }
    json_array_foreach(job->arguments, i, word)
    {
        /* These come last, whether they were said or not. */
        if (strncmp(json_string_value(word), "--name=", 7) != 0 &&
            strncmp(json_string_value(word), "--state=", 8) != 0)
            put_word(json_string_value(word), out);
    }
    if (job->folder && strcmp(job->folder, STATE_OF_ROOT) != 0) { /* $CLOUDSPAN_STATE, perhaps */
        char state[STATE_FOLDER_MAX + 16];
        (void)snprintf(state, sizeof state, "--state=%s", job->folder);
        put_word(state, out);
    }
    text_format(out, " --name=%s\n", job->name);
}

static int put_unit(const struct mirror_job *job, struct text *out, struct err *err)
{
    char program[512];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return err_set(err, -errno, "--persist: where is this program? %s", strerror(errno));
    program[n] = '\0';
    text_format(out,
                "# cloudspan %s\n[Unit]\nDescription=Traffic mirror %s (cloudspan)\n"
                "Documentation=man:cloudspan-mirror(1)\nWants=network-online.target\n"
                "After=network-online.target\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n",
                job->name, job->name);
    put_command(job, "ExecStart=", program, "apply", out);
    text_put(out, "\n[Install]\nWantedBy=multi-user.target\n");
    return out->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int host_want_unit(const struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    char file[256], enabled[256], content[13] = "";
    struct text text;
    struct stat there;
    if (stat(UNIT_FOLDER, &there) < 0)
        return err_set(err, -ENOENT,
                       "--persist: there is no " UNIT_FOLDER ": this machine has no systemd");
    text_init(&text, UNIT_MAX);
    int result = put_unit(job, &text, err);
    if (result == 0)
        host_digest_text(text.at, text.size, content);
    text_done(&text);
    if (result < 0)
        return result;
    paths(job, file, enabled);
    struct mirror_object *object =
        mirror_set_add(out, "unit", file, json_pack("{ss sb}", "content", content, "enabled", 1));
    mirror_object_why(object, "makes the mirror again when the machine starts");
    return 0;
}

int host_find_unit(const struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    char file[256], enabled[256], content[13] = "", bytes[UNIT_MAX];
    struct stat link;
    paths(job, file, enabled);
    bool is_enabled = lstat(enabled, &link) == 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return err_set(err, -errno, "%s: %s", file, strerror(errno));
    if (fd < 0 && !is_enabled)
        return 0;
    if (fd >= 0) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        close(fd);
        if (n < 0)
            return err_set(err, -errno, "%s: %s", file, strerror(errno));
        host_digest_text(bytes, (size_t)n, content);
    }
    mirror_set_add(out, "unit", file,
                   json_pack("{ss sb}", "content", content, "enabled", is_enabled));
    return 0;
}

/* Only a running systemd has to be told. */
static void tell_systemd(void)
{
    static const char *const arguments[] = {"daemon-reload", NULL};
    struct program program = {.name = "systemctl", .package = "systemd", .arguments = arguments};
    struct program_result result = {0};
    struct err err;
    if (access("/run/systemd/system", F_OK) == 0 && program_run(&program, &result, &err) == 0)
        program_done(&result);
}

static int write_unit(const char *file, const struct text *text, struct err *err)
{
    char fresh[300];
    (void)snprintf(fresh, sizeof fresh, "%s.new", file);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return err_set(err, -errno, "--persist: %s: %s", fresh, strerror(errno));
    ssize_t n = write(fd, text->at, text->size);
    int result = n < 0 ? -errno : (size_t)n != text->size ? -ENOSPC : 0;
    if (result == 0 && fsync(fd) < 0)
        result = -errno;
    close(fd);
    if (result == 0 && rename(fresh, file) < 0)
        result = -errno;
    if (result == 0)
        return 0;
    (void)unlink(fresh); /* it is no whole one */
    return err_set(err, result, "--persist: %s: %s", file, strerror(-result));
}

int host_make_unit(const struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    char file[256], enabled[256];
    struct text text;
    paths(job, file, enabled);
    text_init(&text, UNIT_MAX);
    int result = put_unit(job, &text, err);
    if (result == 0)
        result = write_unit(want->key, &text, err);
    text_done(&text);
    if (result < 0)
        return result;
    if (mkdir(WANTS, 0755) < 0 && errno != EEXIST)
        return err_set(err, -errno, "--persist: " WANTS ": %s", strerror(errno));
    if (symlink(file, enabled) < 0 && errno != EEXIST)
        return err_set(err, -errno, "--persist: %s: %s", enabled, strerror(errno));
    tell_systemd();
    return 0;
}

int host_unmake_unit(const struct mirror_job *job, const struct mirror_object *have,
                     struct err *err)
{
    char file[256], enabled[256];
    paths(job, file, enabled);
    if (unlink(enabled) < 0 && errno != ENOENT)
        return err_set(err, -errno, "%s: %s", enabled, strerror(errno));
    if (unlink(have->key) < 0 && errno != ENOENT)
        return err_set(err, -errno, "%s: %s", have->key, strerror(errno));
    (void)rmdir(WANTS); /* only an empty one goes: where we made it */
    tell_systemd();
    return 0;
}
