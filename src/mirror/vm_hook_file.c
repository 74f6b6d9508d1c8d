/* The hook's file: see vm.h.
 *
 * libvirt calls it with the machine's name, the operation and two words more, and the machine's
 * description on standard input, and waits for its end: so it leaves the work to a process beside
 * it, and never says that anything went wrong, which would keep the machine from starting.
 * (libvirt.org, "Hooks for specific system management"; it ignores that nobody reads.) Proxmox VE
 * calls its hookscripts with the machine's number and the phase, only of machines that have it.
 *
 * The process tries again for two minutes: another mirror may be at work, and when the host starts
 * there may be no way to the collector yet. What it is to do it sees for itself each time, so it
 * does not matter which of several comes last; and where the hook was taken away it does nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state.h"
#include "mirror/vm.h"

#define MARK "#!/bin/sh\n# cloudspan "

/* In single quotes, whatever is in it. */
static void put_word(const char *word, struct text *out)
{
    text_put(out, "'");
    for (; *word; word++) {
        if (*word == '\'')
            text_put(out, "'\\'");
        text_add(out, word, 1);
    }
    text_put(out, "'");
}

/* The operations after which taps are there, or are gone. A migration is a start where the machine
 * arrives, and a stop where it was. */
static void put_cases(const struct vm_wish *wish, bool is_libvirt, struct text *out)
{
    text_format(out, "    case \"$%s\" in\n    ", is_libvirt ? "1 $2" : "2");
    for (size_t i = 0; is_libvirt && i < wish->n_domains; i++) {
        text_put(out, i ? " | " : "");
        put_word(wish->domains[i], out);
        text_put(out, "' started' | ");
        put_word(wish->domains[i], out);
        text_put(out, "' release'");
    }
    if (!is_libvirt)
        text_put(out, "post-start | post-stop");
    text_put(out, ") ;;\n    *) exit 0 ;;\n    esac\n");
}

static void put_apply(const struct mirror_job *job, const char *program, struct text *out)
{
    size_t i;
    json_t *word;
    text_put(out, "    said=$(");
    put_word(program, out);
    text_put(out, " mirror apply vm --yes --quiet");
    json_array_foreach(job->arguments, i, word)
    {
        const char *argument = json_string_value(word);
        if (strncmp(argument, "--name=", 7) == 0)
            continue; /* it is the last one, whether it was said or not */
        text_put(out, " ");
        put_word(argument, out);
    }
    text_format(out, " --name='%s' 2>&1) && exit 0\n", job->name);
}

void vm_put_hook(const struct mirror_job *job, const char *program, bool is_libvirt,
                 struct text *out)
{
    text_format(out,
                MARK
                "%s\n"
                "# Puts the traffic mirror back when a machine of it has started here, and "
                "takes its rest away\n"
                "# when it is gone; cloudspan-mirror(1). It goes with: cloudspan mirror remove "
                "vm --name %s\n",
                job->name, job->name);
    text_put(out, "if [ -z \"${" MIRROR_HOOK ":-}\" ]; then\n");
    put_cases(job->wish, is_libvirt, out);
    text_put(out, "    " MIRROR_HOOK "=1 setsid \"$0\" </dev/null >/dev/null 2>&1 &\n"
                  "    exit 0\n"
                  "fi\n"
                  "export CLOUDSPAN_STATE=");
    put_word(job->folder ? job->folder : STATE_OF_ROOT, out);
    text_put(out, "\nfor pause in 0 1 1 2 3 5 10 20 30 60; do\n"
                  "    sleep $pause\n"
                  "    [ -e \"$0\" ] || exit 0\n");
    put_apply(job, program, out);
    text_format(out, "done\nlogger -t cloudspan -p daemon.err \"mirror %s: $said\"\n", job->name);
}

bool vm_read_hook(const char *text, char out_mirror[MIRROR_NAME_MAX])
{
    if (strncmp(text, MARK, strlen(MARK)) != 0)
        return false;
    const char *name = text + strlen(MARK);
    size_t len = strcspn(name, "\n");
    if (len == 0 || len >= MIRROR_NAME_MAX)
        return false;
    (void)snprintf(out_mirror, MIRROR_NAME_MAX, "%.*s", (int)len, name);
    return true;
}

/* ---- on disk ---- */

/* What is not whole yet. libvirt runs whatever is in the folder of hooks: so beside that. */
static void put_fresh_path(const char *path, char out[400])
{
    const char *name = strrchr(path, '/');
    bool is_libvirt =
        strncmp(path, VM_LIBVIRT_HOOK_FOLDER "/", strlen(VM_LIBVIRT_HOOK_FOLDER) + 1) == 0;
    int len = is_libvirt ? (int)strlen(VM_LIBVIRT_HOOKS) : (int)(name - path);
    (void)snprintf(out, 400, "%.*s/.%.80s.new", len, path, name + 1);
}

static int make_folder(const char *path, struct err *err)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST
               ? 0
               : err_set(err, -errno, "hook: %s: %s", path, strerror(errno));
}

static int make_folders(const char *path, struct err *err)
{
    char folder[300];
    if (strncmp(path, VM_LIBVIRT_HOOKS, strlen(VM_LIBVIRT_HOOKS)) == 0) {
        int result = make_folder(VM_LIBVIRT_HOOKS, err);
        return result < 0 ? result : make_folder(VM_LIBVIRT_HOOK_FOLDER, err);
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    return make_folder(folder, err);
}

int vm_write_hook(const char *path, const struct text *text, struct err *err)
{
    char fresh[400];
    int result = make_folders(path, err);
    if (result < 0)
        return result;
    put_fresh_path(path, fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0700);
    if (fd < 0)
        return err_set(err, -errno, "hook: %s: %s", fresh, strerror(errno));
    ssize_t n = write(fd, text->at, text->size);
    result = n < 0 ? -errno : (size_t)n != text->size ? -ENOSPC : 0;
    if (result == 0 && (fchmod(fd, 0755) < 0 || fsync(fd) < 0))
        result = -errno;
    close(fd);
    if (result == 0 && rename(fresh, path) < 0)
        result = -errno;
    if (result == 0)
        return 0;
    (void)unlink(fresh); /* it is no whole one */
    return err_set(err, result, "hook: %s: %s", path, strerror(-result));
}

int vm_remove_hook(const char *path, struct err *err)
{
    char fresh[400];
    put_fresh_path(path, fresh);
    (void)unlink(fresh); /* of one that was killed */
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, -errno, "hook: %s: %s", path, strerror(errno));
    if (strncmp(path, VM_LIBVIRT_HOOK_FOLDER "/", strlen(VM_LIBVIRT_HOOK_FOLDER) + 1) == 0)
        (void)rmdir(VM_LIBVIRT_HOOK_FOLDER); /* only an empty one goes */
    return 0;
}
