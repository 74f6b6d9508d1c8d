/* What a mirror of machines consists of: which of their cards, by which ids, and the hooks. See
 * vm.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mirror/vm.h"

#define ID_NONE UINT32_MAX

/* ---- which cards ---- */

static bool is_picked(const struct vm_wish *wish, const struct vm_nic *nic)
{
    for (size_t i = 0; i < wish->n_nics; i++) {
        uint64_t number;
        if (strcasecmp(wish->nics[i], nic->mac) == 0 ||
            (options_number(wish->nics[i], 255, &number) && number == nic->number))
            return true;
    }
    return wish->n_nics == 0;
}

static int check_nics(const struct vm_wish *wish, const struct vm *vm, struct err *err)
{
    const struct vm_machine *machine = NULL;
    for (size_t m = 0; m < vm->n_machines; m++) {
        for (size_t n = 0; n < vm->machines[m].n_nics; n++)
            if (is_picked(wish, &vm->machines[m].nics[n]) && vm->machines[m].nics[n].can_tap)
                return 0;
        if (vm->machines[m].is_here && !machine)
            machine = &vm->machines[m];
    }
    if (!machine) /* it may come */
        return 0;
    if (wish->n_nics)
        return err_set(err, -ENODEV, "--nic: %s has no network card %s that ends at an interface",
                       machine->name, wish->nics[0]);
    return err_set(err, -ENODEV, "--domain: %s has no network card that ends at an interface",
                   machine->name);
}

static int pick_taps(const struct vm_wish *wish, struct vm *vm, struct text *remarks,
                     struct err *err)
{
    free(vm->taps);
    vm->n_taps = 0;
    vm->taps = calloc(vm->n_machines * VM_NICS_MAX + 1, sizeof *vm->taps);
    if (!vm->taps)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t m = 0; m < vm->n_machines; m++) {
        const struct vm_machine *machine = &vm->machines[m];
        for (size_t n = 0; n < machine->n_nics; n++) {
            const struct vm_nic *nic = &machine->nics[n];
            if (!is_picked(wish, nic))
                continue;
            if (nic->can_tap)
                vm->taps[vm->n_taps++] = (struct vm_tap){.machine = m, .nic = n, .id = ID_NONE};
            else
                text_format(remarks,
                            "network card %u of %s (%s) ends at no interface of this host, and is "
                            "not mirrored\n",
                            nic->number, machine->name, nic->type);
        }
    }
    return check_nics(wish, vm, err);
}

/* ---- which ids ---- */

/* By its MAC address: cards may be added and taken away before it. */
static void put_key(const struct vm_machine *machine, const struct vm_nic *nic,
                    char out[MIRROR_KEY_MAX])
{
    if (nic->mac[0])
        (void)snprintf(out, MIRROR_KEY_MAX, "%s %s", machine->id, nic->mac);
    else
        (void)snprintf(out, MIRROR_KEY_MAX, "%s %u", machine->id, nic->number);
}

static bool is_taken(const struct vm *vm, const struct mirror_set *out, uint32_t id)
{
    for (size_t i = 0; i < vm->n_taps; i++)
        if (vm->taps[i].id == id)
            return true;
    for (size_t i = 0; i < out->n; i++)
        if (strcmp(out->at[i].kind, "nic") == 0 &&
            json_integer_value(json_object_get(out->at[i].is, "id")) == (json_int_t)id)
            return true;
    return false;
}

/* Cards of machines that are not here now: they keep theirs. */
static void keep_absent(const struct mirror_job *job, const struct vm *vm, struct mirror_set *out)
{
    const struct vm_wish *wish = job->wish;
    for (size_t i = 0; i < job->recorded.n; i++) {
        const struct mirror_object *object = &job->recorded.at[i];
        if (strcmp(object->kind, "nic") != 0 ||
            json_integer_value(json_object_get(object->is, "base")) != (json_int_t)wish->host.id)
            continue;
        for (size_t m = 0; m < vm->n_machines; m++) {
            size_t len = strlen(vm->machines[m].id);
            if (vm->machines[m].is_here || strncmp(object->key, vm->machines[m].id, len) != 0 ||
                object->key[len] != ' ' || strchr(object->key + len + 1, ' '))
                continue;
            struct mirror_object *kept =
                mirror_set_add(out, "nic", object->key, json_incref(object->is));
            mirror_object_why(kept, "%s is not here", vm->machines[m].name);
        }
    }
}

static int give_ids(const struct mirror_job *job, struct vm *vm, const struct mirror_set *out,
                    struct err *err)
{
    const struct vm_wish *wish = job->wish;
    uint32_t max = mirror_wrap_max_id(wish->host.to.wrap);
    for (size_t i = 0; i < vm->n_taps; i++) {
        struct vm_tap *tap = &vm->taps[i];
        char key[MIRROR_KEY_MAX];
        put_key(&vm->machines[tap->machine], &vm->machines[tap->machine].nics[tap->nic], key);
        const json_t *made = mirror_job_made(job, "nic", key);
        json_int_t id = json_integer_value(json_object_get(made, "id"));
        if (made &&
            json_integer_value(json_object_get(made, "base")) == (json_int_t)wish->host.id &&
            id >= (json_int_t)wish->host.id && id <= (json_int_t)max &&
            !is_taken(vm, out, (uint32_t)id))
            tap->id = (uint32_t)id;
    }
    for (size_t i = 0; i < vm->n_taps; i++) {
        uint64_t id = wish->host.id;
        while (vm->taps[i].id == ID_NONE && id <= max && is_taken(vm, out, (uint32_t)id))
            id++;
        if (id > max)
            return err_set(err, -EINVAL, "--id: %s has ids up to %u, too few for %zu network cards",
                           mirror_wrap_name(wish->host.to.wrap), max, vm->n_taps);
        if (vm->taps[i].id == ID_NONE)
            vm->taps[i].id = (uint32_t)id;
    }
    return 0;
}

/* The kernel has an id once, whoever's it is. */
static int check_ids(const struct mirror_job *job, const struct vm *vm, struct err *err)
{
    const struct vm_wish *wish = job->wish;
    const struct mirror_target *to = &wish->host.to;
    const char *kind = mirror_wrap_name(to->wrap);
    for (size_t i = 0; i < vm->n_taps; i++) {
        for (size_t k = 0; k < vm->host.n_links; k++) {
            const struct linux_link *link = &vm->host.links[k];
            char mark[MIRROR_NAME_MAX] = "";
            bool owns;
            if (strcmp(link->kind, kind) != 0 || link->tunnel.port != to->port ||
                link->tunnel.id != vm->taps[i].id ||
                (host_read_alias(link->alias, mark, &owns) && strcmp(mark, host_mark(job)) == 0))
                continue;
            return err_set(
                err, -EEXIST, "--id: %u is the id of %s already%s%s: this host can have it once",
                vm->taps[i].id, link->name, mark[0] ? ", of the mirror " : "", host_name_of(mark));
        }
    }
    return 0;
}

static void want_nics(const struct mirror_job *job, const struct vm *vm, struct mirror_set *out)
{
    const struct vm_wish *wish = job->wish;
    for (size_t i = 0; i < vm->n_taps; i++) {
        const struct vm_machine *machine = &vm->machines[vm->taps[i].machine];
        const struct vm_nic *nic = &machine->nics[vm->taps[i].nic];
        char key[MIRROR_KEY_MAX];
        put_key(machine, nic, key);
        struct mirror_object *object =
            mirror_set_add(out, "nic", key,
                           json_pack("{sI sI ss}", "id", (json_int_t)vm->taps[i].id, "base",
                                     (json_int_t)wish->host.id, "machine", machine->name));
        if (nic->tap[0])
            mirror_object_why(object, "ends at %s", nic->tap);
        else
            mirror_object_why(object, "has no tap now");
    }
}

/* ---- all of it ---- */

size_t vm_host_taps(const struct vm *vm, struct host_tap *out)
{
    size_t n = 0;
    for (size_t i = 0; i < vm->n_taps; i++) {
        const struct vm_nic *nic = &vm->machines[vm->taps[i].machine].nics[vm->taps[i].nic];
        const struct linux_link *link =
            linux_link_by_name(vm->host.links, vm->host.n_links, nic->tap);
        if (!link)
            continue;
        out[n] = (struct host_tap){.id = vm->taps[i].id};
        (void)snprintf(out[n].interface, sizeof out[n].interface, "%s", nic->tap);
        /* A macvtap is the machine's card itself, and sends what the machine sends. */
        out[n++].is_far_end =
            strcmp(link->kind, "macvtap") != 0 && strcmp(link->kind, "ipvtap") != 0;
    }
    return n;
}

static int check_running(const struct vm_wish *wish, const struct vm *vm,
                         const struct mirror_set *out, struct text *remarks, struct err *err)
{
    bool has_hook = false;
    for (size_t i = 0; i < out->n; i++)
        has_hook |= strcmp(out->at[i].kind, "hook") == 0;
    for (size_t m = 0; m < vm->n_machines; m++) {
        const struct vm_machine *machine = &vm->machines[m];
        if (machine->is_running)
            continue;
        if (!has_hook && vm->n_machines == 1)
            return err_set(err, -EHOSTDOWN,
                           "%s is not running, and there is no hook to mirror it when it starts: "
                           "start it, then apply this",
                           machine->name);
        text_format(remarks, "%s is not %s: it is mirrored when it %s%s\n", machine->name,
                    machine->is_here ? "running" : "here", machine->is_here ? "starts" : "comes",
                    has_hook ? "" : ", and this is applied again");
    }
    (void)wish;
    return 0;
}

static int want_taps(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                     struct err *err)
{
    struct vm *vm = job->state;
    struct vm_wish *wish = job->wish;
    struct host_tap *taps = calloc(vm->n_taps + 1, sizeof *taps);
    if (!taps)
        return err_set(err, -ENOMEM, "out of memory");
    wish->host.may_grow = vm->n_taps > 1;
    int result = host_want(job, &wish->host, taps, vm_host_taps(vm, taps), out, remarks, err);
    free(taps);
    return result;
}

/* The process that a hook started may come late. */
static int check_hook(const struct mirror_job *job, struct err *err)
{
    struct mirror_set found = {0};
    int result = vm_find_hooks(job, &found, err);
    if (result == 0 && found.n == 0)
        result = err_set(err, -ESTALE, "the hook that calls was taken away");
    mirror_set_done(&found);
    return result;
}

int vm_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err)
{
    struct vm *vm = job->state;
    const struct vm_wish *wish = job->wish;
    int result = vm->is_hook ? check_hook(job, err) : 0;
    if (result == 0)
        result = host_refresh(&vm->host, err);
    if (result == 0)
        result = vm_find_machines(job, vm, err);
    if (result == 0)
        result = pick_taps(wish, vm, remarks, err);
    if (result < 0)
        return result;
    bool has_ids = mirror_wrap_max_id(wish->host.to.wrap) > 0 && wish->host.has_id;
    if (!has_ids && vm->n_taps > 1 && wish->host.to.wrap != MIRROR_INTERFACE)
        return err_set(err, -EINVAL, "--id: %zu network cards need one each", vm->n_taps);
    struct mirror_set nics = {0};
    if (has_ids) {
        keep_absent(job, vm, &nics);
        result = give_ids(job, vm, &nics, err);
        if (result == 0)
            result = check_ids(job, vm, err);
    }
    if (result == 0)
        result = want_taps(job, out, remarks, err);
    for (size_t i = 0; i < nics.n; i++)
        mirror_object_why(mirror_set_add(out, "nic", nics.at[i].key, json_incref(nics.at[i].is)),
                          "%s", nics.at[i].why);
    out->failed |= nics.failed;
    mirror_set_done(&nics);
    if (result == 0 && has_ids)
        want_nics(job, vm, out);
    if (result == 0)
        result = vm_want_hooks(job, out, remarks, err);
    return result < 0 ? result : check_running(wish, vm, out, remarks, err);
}
