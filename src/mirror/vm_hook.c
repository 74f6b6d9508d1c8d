/* The hooks that put mirrors of machines back, as things that are made and found: see vm.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux/text.h"
#include "mirror/host_parts.h"
#include "mirror/vm.h"

#define HOOK_MAX 65536
#define PREFIX   "cloudspan-"
#define SNIPPETS "snippets/"

static const char *proxmox_folder(const struct mirror_job *job)
{
    const struct vm_wish *wish = job->wish;
    return wish && wish->proxmox ? wish->proxmox : VM_PROXMOX;
}

static void put_libvirt_path(const char *mirror, char out[MIRROR_KEY_MAX])
{
    (void)snprintf(out, MIRROR_KEY_MAX, VM_LIBVIRT_HOOK_FOLDER "/" PREFIX "%s", mirror);
}

/* "local:snippets/cloudspan-web1" and where that is. */
static int put_snippet(const struct mirror_job *job, char out_script[128],
                       char out_path[MIRROR_KEY_MAX], struct err *err)
{
    char storage[64], folder[200];
    int result = vm_proxmox_snippets(proxmox_folder(job), storage, folder, err);
    if (result < 0)
        return result;
    if (strlen(folder) + strlen("/" SNIPPETS PREFIX) + MIRROR_NAME_MAX > MIRROR_KEY_MAX)
        return err_set(err, -ENOENT, "the path of the storage %s is too long", storage);
    (void)snprintf(out_script, 128, "%.63s:" SNIPPETS PREFIX "%.31s", storage, job->name);
    (void)snprintf(out_path, MIRROR_KEY_MAX, "%.100s/" SNIPPETS PREFIX "%.31s", folder, job->name);
    return 0;
}

static int put_text(const struct mirror_job *job, bool is_libvirt, struct text *out,
                    struct err *err)
{
    char program[512];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return err_set(err, -errno, "hook: where is this program? %s", strerror(errno));
    program[n] = '\0';
    vm_put_hook(job, program, is_libvirt, out);
    return out->failed ? err_set(err, -ENOMEM, "the hook would have more than %d bytes", HOOK_MAX)
                       : 0;
}

/* ---- what should be there ---- */

/* Whether a file is there, and whose: 1 this mirror's, 0 there is none, else refused. */
static int look_at(const char *path, const char *mirror, char content[13], bool *out_runs,
                   struct err *err)
{
    char name[MIRROR_NAME_MAX];
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    char *text = text_read_all(path);
    if (!text)
        return err_set(err, -EACCES, "the hook %s cannot be read: it takes root", path);
    bool is_ours = vm_read_hook(text, name) && strcmp(name, mirror) == 0;
    /* Without the line end that reading takes off. */
    host_digest_text(text, strlen(text), content);
    free(text);
    *out_runs = access(path, X_OK) == 0;
    return is_ours ? 1
                   : err_set(err, -EEXIST,
                             "%s is there, and not ours: another --name, or --no-hook", path);
}

static int want_file(struct mirror_job *job, const char *path, bool is_libvirt,
                     struct mirror_set *out, struct err *err)
{
    struct text text;
    char content[13] = "";
    bool runs;
    int result = look_at(path, job->name, content, &runs, err);
    if (result < 0)
        return result;
    text_init(&text, HOOK_MAX);
    result = put_text(job, is_libvirt, &text, err);
    if (result == 0)
        host_digest_text(text.at, text.size - 1, content);
    text_done(&text);
    if (result < 0)
        return result;
    struct mirror_object *object =
        mirror_set_add(out, "hook", path,
                       json_pack("{ss sb ss}", "content", content, "runs", 1, "of",
                                 is_libvirt ? "libvirt" : "Proxmox VE"));
    mirror_object_why(object, "puts the mirror back when %s starts here, or comes by migration",
                      ((const struct vm_wish *)job->wish)->n_domains > 1 ? "one of its machines"
                                                                         : "its machine");
    return 0;
}

static int want_libvirt(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                        struct err *err)
{
    const struct vm *vm = job->state;
    char path[MIRROR_KEY_MAX], version[32];
    put_libvirt_path(job->name, path);
    if (!vm->is_hook && !vm_libvirt_has_hook_folder(version))
        text_format(remarks,
                    "libvirt %s calls no hooks in " VM_LIBVIRT_HOOK_FOLDER
                    " (6.5 does): add the line %s \"$@\" to " VM_LIBVIRT_HOOKS "/qemu, and "
                    "systemctl reload libvirtd\n",
                    version, path);
    return want_file(job, path, true, out, err);
}

static void want_hookscript(const struct vm_machine *machine, const char *script, const char *path,
                            struct mirror_set *out, struct text *remarks)
{
    const char *theirs = machine->hookscript;
    if (!machine->is_here)
        return;
    if (*theirs && strcmp(theirs, script) != 0) {
        text_format(remarks,
                    "%s has a hookscript already, which is left as it is (%s): let it run "
                    "%s \"$@\" as well\n",
                    machine->id, theirs, path);
        return;
    }
    struct mirror_object *object =
        mirror_set_add(out, "hookscript", machine->id, json_pack("{ss}", "script", script));
    mirror_object_on(out, object, "hook", path);
    mirror_object_why(object, "has %s call the hook", machine->name);
}

static int want_proxmox(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                        struct err *err)
{
    const struct vm *vm = job->state;
    char script[128], path[MIRROR_KEY_MAX];
    struct err why;
    if (put_snippet(job, script, path, &why) < 0) {
        text_format(remarks, "there is no hook, and so no mirror after a restart: %s\n", why.text);
        return 0;
    }
    int result = want_file(job, path, false, out, err);
    for (size_t i = 0; result == 0 && i < vm->n_machines; i++)
        if (vm->machines[i].kind == VM_QEMU || vm->machines[i].kind == VM_CONTAINER)
            want_hookscript(&vm->machines[i], script, path, out, remarks);
    return result;
}

int vm_want_hooks(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                  struct err *err)
{
    const struct vm_wish *wish = job->wish;
    const struct vm *vm = job->state;
    bool has[VM_CONTAINER + 1] = {false};
    int result = 0;
    for (size_t i = 0; i < vm->n_machines; i++)
        has[vm->machines[i].kind] = true;
    if (has[VM_TAP])
        text_put(remarks, "of an interface no hypervisor is known: when its machine has started "
                          "again, apply this again\n");
    if (wish->has_no_hook)
        return 0;
    if (has[VM_LIBVIRT])
        result = want_libvirt(job, out, remarks, err);
    if (result == 0 && (has[VM_QEMU] || has[VM_CONTAINER]))
        result = want_proxmox(job, out, remarks, err);
    return result;
}

/* ---- what is there ---- */

static int find_file(const struct mirror_job *job, const char *path, struct mirror_set *out,
                     struct err *err)
{
    char content[13];
    bool runs;
    struct err why;
    if (mirror_set_get(out, "hook", path))
        return 0;
    int result = look_at(path, job->name, content, &runs, &why);
    if (result == -EACCES)
        return err_set(err, result, "%s", why.text);
    if (result == 1)
        mirror_set_add(out, "hook", path,
                       json_pack("{ss sb ss}", "content", content, "runs", runs, "of",
                                 strncmp(path, VM_LIBVIRT_HOOKS, strlen(VM_LIBVIRT_HOOKS)) == 0
                                     ? "libvirt"
                                     : "Proxmox VE"));
    return 0;
}

static void find_hookscripts(const struct mirror_job *job, struct mirror_set *out)
{
    char script[64], (*numbers)[16] = calloc(VM_MACHINES_MAX, sizeof *numbers);
    if (!numbers) {
        out->failed = true;
        return;
    }
    (void)snprintf(script, sizeof script, SNIPPETS PREFIX "%s", job->name);
    size_t n = vm_proxmox_hooked(proxmox_folder(job), script, numbers, VM_MACHINES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct vm_machine machine;
        struct err err;
        if (vm_proxmox_find(proxmox_folder(job), numbers[i], &machine, &err) == 0)
            mirror_set_add(out, "hookscript", numbers[i],
                           json_pack("{ss}", "script", machine.hookscript));
    }
    free(numbers);
}

int vm_find_hooks(const struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    char path[MIRROR_KEY_MAX], script[128];
    struct err why;
    put_libvirt_path(job->name, path);
    int result = find_file(job, path, out, err);
    if (result == 0 && put_snippet(job, script, path, &why) == 0)
        result = find_file(job, path, out, err);
    /* Storages come and go: where it was made. */
    for (size_t i = 0; result == 0 && i < job->recorded.n; i++)
        if (strcmp(job->recorded.at[i].kind, "hook") == 0)
            result = find_file(job, job->recorded.at[i].key, out, err);
    if (result == 0)
        find_hookscripts(job, out);
    return result;
}

static void names_in(const char *folder, void (*take)(const char *name, void *with), void *with)
{
    DIR *list = opendir(folder);
    struct dirent *entry;
    while (list && (entry = readdir(list))) {
        char path[600], text[256], name[MIRROR_NAME_MAX];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
            text_read(path, text, sizeof text) > 0 && vm_read_hook(text, name) &&
            strcmp(entry->d_name + strlen(PREFIX), name) == 0)
            take(name, with);
    }
    if (list)
        closedir(list);
}

int vm_hook_names(const struct mirror_job *job, void (*take)(const char *name, void *with),
                  void *with, struct err *err)
{
    char storage[64], folder[200], path[256];
    struct err why;
    (void)err;
    names_in(VM_LIBVIRT_HOOK_FOLDER, take, with);
    if (vm_proxmox_snippets(proxmox_folder(job), storage, folder, &why) == 0) {
        (void)snprintf(path, sizeof path, "%s/" SNIPPETS, folder);
        names_in(path, take, with);
    }
    return 0;
}

/* ---- making, unmaking ---- */

static int make_file(const struct mirror_job *job, const struct mirror_object *want,
                     struct err *err)
{
    const char *of = json_string_value(json_object_get(want->is, "of"));
    bool is_libvirt = of && strcmp(of, "libvirt") == 0;
    struct text text;
    text_init(&text, HOOK_MAX);
    int result = put_text(job, is_libvirt, &text, err);
    if (result == 0)
        result = vm_write_hook(want->key, &text, err);
    text_done(&text);
    if (result == 0 && is_libvirt)
        vm_libvirt_tell();
    return result;
}

int vm_make_hook(const struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    if (strcmp(want->kind, "hook") == 0)
        return make_file(job, want, err);
    return vm_proxmox_set_hookscript(want->key,
                                     vm_proxmox_is_container(proxmox_folder(job), want->key),
                                     json_string_value(json_object_get(want->is, "script")), err);
}

/* A machine whose hookscript is missing does not start. */
static int check_unused(const struct mirror_job *job, const char *path, struct err *err)
{
    char script[64], number[16], node[64];
    const char *name = strrchr(path, '/');
    (void)snprintf(script, sizeof script, SNIPPETS "%.50s", name ? name + 1 : "");
    if (!vm_proxmox_is_hooked(proxmox_folder(job), script, number, node))
        return 0;
    return err_set(
        err, -EBUSY,
        "%s, now on the node %s, has this hookscript, and would not start without: there, "
        "qm set %s --delete hookscript (pct set for a container)",
        number, node, number);
}

int vm_unmake_hook(const struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    if (strcmp(have->kind, "hook") == 0) {
        int result = strncmp(have->key, VM_LIBVIRT_HOOKS, strlen(VM_LIBVIRT_HOOKS)) == 0
                         ? 0
                         : check_unused(job, have->key, err);
        return result < 0 ? result : vm_remove_hook(have->key, err);
    }
    struct vm_machine machine;
    struct err why;
    const char *folder = proxmox_folder(job);
    char script[64];
    (void)snprintf(script, sizeof script, ":" SNIPPETS PREFIX "%s", job->name);
    if (vm_proxmox_find(folder, have->key, &machine, &why) < 0 ||
        !strstr(machine.hookscript, script))
        return 0; /* gone, or somebody else's by now */
    return vm_proxmox_set_hookscript(have->key, vm_proxmox_is_container(folder, have->key), NULL,
                                     err);
}
