/* Which machines are meant, and where their taps are: see vm.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mirror/vm.h"

static bool is_there(const char *path)
{
    struct stat it;
    return stat(path, &it) == 0;
}

static void set_name(const char *name, int kind, struct vm_machine *out)
{
    *out = (struct vm_machine){.kind = kind};
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    (void)snprintf(out->id, sizeof out->id, "%s", name);
}

/* An interface itself. Those that carry copies are refused later, as ever. */
static bool find_tap(const struct host *host, const char *name, struct vm_machine *out)
{
    if (!linux_link_by_name(host->links, host->n_links, name))
        return false;
    set_name(name, VM_TAP, out);
    out->is_here = true;
    out->nics[0].can_tap = true;
    (void)snprintf(out->nics[0].tap, sizeof out->nics[0].tap, "%.15s", name);
    out->n_nics = 1;
    return true;
}

/* A machine that this hypervisor does not know, and that may come: whose hooks would see it? */
static void expect(const char *folder, const char *name, struct vm_machine *out)
{
    bool is_number = name[strspn(name, "0123456789")] == '\0';
    set_name(name, !is_there(folder) ? VM_LIBVIRT : is_number ? VM_QEMU : VM_CONTAINER, out);
}

static int find_machine(const struct vm *vm, const struct vm_wish *wish, const char *name,
                        struct vm_machine *out, struct err *err)
{
    const char *folder = wish->proxmox ? wish->proxmox : VM_PROXMOX;
    struct err libvirt;
    int result = -ENOENT;
    bool has_proxmox = is_there(folder);
    if (has_proxmox)
        result = vm_proxmox_find(folder, name, out, err);
    else if (wish->proxmox)
        return err_set(err, -ENOENT, "--pve: there is no folder %s", folder);
    if (result != -ENOENT)
        return result;
    result = vm_libvirt_find(name, vm->is_hook, out, has_proxmox ? &libvirt : err);
    if (result == -ENOENT && find_tap(&vm->host, name, out))
        return 0;
    if (result == -ENOENT && (wish->migrates || vm->is_hook)) {
        expect(folder, name, out);
        return 0;
    }
    return result;
}

int vm_find_machines(const struct mirror_job *job, struct vm *vm, struct err *err)
{
    const struct vm_wish *wish = job->wish;
    free(vm->machines);
    vm->n_machines = 0;
    vm->machines = calloc(wish->n_domains + 1, sizeof *vm->machines);
    if (!vm->machines)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < wish->n_domains; i++) {
        struct vm_machine *machine = &vm->machines[i];
        int result = find_machine(vm, wish, wish->domains[i], machine, err);
        if (result < 0) {
            err_wrap(err, "--domain");
            return result;
        }
        for (size_t k = 0; k < i; k++)
            if (strcmp(vm->machines[k].id, machine->id) == 0)
                return err_set(err, -EINVAL, "--domain: '%s' and '%s' are the same machine",
                               wish->domains[k], wish->domains[i]);
        for (size_t k = 0; k < machine->n_nics; k++) {
            struct vm_nic *nic = &machine->nics[k];
            if (nic->tap[0] && !linux_link_by_name(vm->host.links, vm->host.n_links, nic->tap))
                nic->tap[0] = '\0';
            machine->is_running |= nic->tap[0] != '\0';
        }
        vm->n_machines = i + 1;
    }
    return 0;
}
