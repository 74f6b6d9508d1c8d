/* Mirrors of virtual machines, on their hypervisor: see vm.h. */
#include "mirror/vm.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum row {
    ROW_DOMAIN = HOST_N_ROWS,
    ROW_NIC,
    ROW_NO_HOOK,
    ROW_MIGRATES,
    ROW_PROXMOX,
    ROW_LIST,
};

static const struct option_row rows[] = {
    HOST_OPTION_ROWS[ROW_DOMAIN] = {'d', "domain", "NAME", false,
                                    "the machine: its name, of Proxmox VE also its number, or the\n"
                                    "name of its tap; may be given several times"},
    [ROW_NIC] = {0, "nic", "N|MAC", false,
                 "only this network card of the machines, counted from 0, or by its\n"
                 "MAC address; may be given several times (default: all)"},
    [ROW_NO_HOOK] = {0, "no-hook", NULL, false,
                     "no hook of the hypervisor, which puts the mirror back when a machine\n"
                     "starts or comes by migration"},
    [ROW_MIGRATES] = {0, "migrates", NULL, false,
                      "the machine may be on another host now, and come here"},
    [ROW_PROXMOX] = {0, "pve", "DIR", false, "the files of Proxmox VE (default: " VM_PROXMOX ")"},
    [ROW_LIST] = {0, "list-methods", NULL, false,
                  "say which methods this kernel has, and why not the others"},
    {0},
};

/* ---- the wish ---- */

static int take_domain(const char *value, struct vm_wish *wish, struct err *err)
{
    size_t len = strlen(value);
    bool is_good = len > 0 && len < VM_NAME_MAX && value[0] != '.' && value[0] != '-';
    for (size_t i = 0; i < len; i++)
        is_good &= !iscntrl((unsigned char)value[i]) && value[i] != '/';
    if (!is_good)
        return err_set(err, -EINVAL, "--domain: '%s' is no name of a machine", value);
    for (size_t i = 0; i < wish->n_domains; i++)
        if (strcmp(wish->domains[i], value) == 0)
            return err_set(err, -EINVAL, "--domain: '%s' is there twice", value);
    if (wish->n_domains == VM_MACHINES_MAX)
        return err_set(err, -E2BIG, "--domain: a mirror has at most %d machines: make two of it",
                       VM_MACHINES_MAX);
    wish->domains[wish->n_domains++] = value;
    return 0;
}

static int take_nic(const char *value, struct vm_wish *wish, struct err *err)
{
    uint64_t number;
    bool is_mac = strlen(value) == 17 && strspn(value, "0123456789abcdefABCDEF:") == 17;
    if (!is_mac && !options_number(value, 255, &number))
        return err_set(err, -EINVAL,
                       "--nic: '%s' is neither a number of a card (0 to 255) nor "
                       "a MAC address",
                       value);
    if (wish->n_nics == VM_NICS_MAX)
        return err_set(err, -E2BIG, "--nic: at most %d", VM_NICS_MAX);
    wish->nics[wish->n_nics++] = value;
    return 0;
}

static int wish_take(int row, const char *value, void *with, struct err *err)
{
    struct vm_wish *wish = with;
    if (row < HOST_N_ROWS)
        return host_take(row, value, &wish->host, err);
    switch ((enum row)row) {
    case ROW_DOMAIN:
        return take_domain(value, wish, err);
    case ROW_NIC:
        return take_nic(value, wish, err);
    case ROW_NO_HOOK:
        wish->has_no_hook = true;
        return 0;
    case ROW_MIGRATES:
        wish->migrates = true;
        return 0;
    case ROW_PROXMOX:
        if (value[0] != '/' || strlen(value) > 100)
            return err_set(err, -EINVAL, "--pve: '%s' is no folder by its whole path", value);
        wish->proxmox = value;
        return 0;
    case ROW_LIST:
        wish->lists_methods = true;
        return 0;
    }
    return 0;
}

/* "web 1 (old)" gives "web-1--old-": what a mirror may be called. */
static void put_default_name(const char *domain, char out[MIRROR_NAME_MAX])
{
    size_t n = 0;
    for (; *domain && n + 1 < HOST_MARKED_MAX; domain++)
        out[n++] =
            (char)(isalnum((unsigned char)*domain) || strchr("-_.", *domain) ? *domain : '-');
    out[n] = '\0';
}

static bool names_machine(const struct mirror_job *job)
{
    size_t i;
    json_t *word;
    json_array_foreach(job->arguments, i, word) if (strncmp(json_string_value(word),
                                                            "--machine=", 10) == 0) return true;
    return false;
}

static int check_several(const struct mirror_job *job, const struct vm_wish *wish, struct err *err)
{
    if (wish->n_domains > 1 && names_machine(job))
        return err_set(err, -EINVAL,
                       "--machine: %zu machines cannot have one name; without it each has its own",
                       wish->n_domains);
    if (wish->n_domains > 1 && wish->migrates)
        return err_set(err, -EINVAL,
                       "--migrates: the ids of several machines depend on which of them are here: "
                       "make a mirror of each");
    if (wish->migrates && wish->has_no_hook)
        return err_set(err, -EINVAL, "--migrates: nothing but the hook sees a machine come");
    return 0;
}

/* For those who look at the mirror here; at the collector each machine has its own name. */
static void put_machines(const struct vm_wish *wish, char out[64])
{
    size_t n = 0;
    for (size_t i = 0; i < wish->n_domains && n < 60; i++)
        n += (size_t)snprintf(out + n, 64 - n, "%s%s", i ? "," : "", wish->domains[i]);
}

static int wish_check(struct mirror_job *job, struct err *err)
{
    struct vm_wish *wish = job->wish;
    if (!job->name[0] && wish->n_domains)
        put_default_name(wish->domains[0], job->name);
    if (!names_machine(job))
        put_machines(wish, job->machine);
    if (job->partial)
        return 0;
    if (!wish->n_domains)
        return err_set(err, -EINVAL, "which machine? --domain web-1");
    if (strlen(job->name) >= HOST_MARKED_MAX)
        return err_set(err, -EINVAL,
                       "--name: '%s' is too long for a mirror of machines: at most %d", job->name,
                       HOST_MARKED_MAX - 1);
    if (!wish->host.direction)
        wish->host.direction = HOST_BOTH;
    wish->host.is_bridged = true;
    int result = check_several(job, wish, err);
    if (result == 0)
        result = host_check(&wish->host, 1, err);
    if (result == 0 && (wish->host.method == HOST_NFT_IP || wish->host.method == HOST_TEE))
        result = err_set(err, -EINVAL,
                         "--method: %s copies what passes this host's IP layer, and machines are "
                         "on its bridges: tc, nft or user",
                         host_method_name(wish->host.method));
    return result;
}

static bool answer(const struct mirror_job *job, bool json, struct text *out, int *result,
                   struct err *err)
{
    const struct vm_wish *wish = job->wish;
    if (wish->lists_methods)
        *result = host_list_methods(json, out, err);
    return wish->lists_methods;
}

/* ---- the work ---- */

static int open_here(struct mirror_job *job, struct err *err)
{
    int result = host_open(job, NULL, sizeof(struct vm), err);
    struct vm *vm = job->state;
    if (vm)
        vm->is_hook = getenv(MIRROR_HOOK) != NULL;
    return result;
}

static void close_here(struct mirror_job *job)
{
    struct vm *vm = job->state;
    if (vm) {
        free(vm->machines);
        free(vm->taps);
    }
    host_close(job);
}

/* Those of the journal: nowhere else is what they say. */
static void find_nics(const struct mirror_job *job, struct mirror_set *out)
{
    for (size_t i = 0; i < job->recorded.n; i++) {
        const struct mirror_object *object = &job->recorded.at[i];
        if (strcmp(object->kind, "nic") == 0)
            mirror_set_add(out, "nic", object->key, json_incref(object->is));
    }
}

static int find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    int result = host_find(job, out, err);
    if (result < 0)
        return result;
    find_nics(job, out);
    return vm_find_hooks(job, out, err);
}

struct names {
    char (*at)[MIRROR_NAME_MAX];
    size_t n;
    bool failed;
};

static void add_name(const char *name, void *with)
{
    struct names *names = with;
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i], name) == 0)
            return;
    char(*more)[MIRROR_NAME_MAX] = realloc(names->at, (names->n + 1) * sizeof *more);
    names->failed |= !more;
    if (!more)
        return;
    names->at = more;
    (void)snprintf(more[names->n++], MIRROR_NAME_MAX, "%s", name);
}

static int names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                 struct err *err)
{
    struct names list = {0};
    int result = host_names(job, &list.at, &list.n, err);
    if (result == 0)
        result = vm_hook_names(job, add_name, &list, err);
    if (result == 0 && list.failed)
        result = err_set(err, -ENOMEM, "out of memory");
    if (result < 0) {
        free(list.at);
        return result;
    }
    *out = list.at;
    *out_n = list.n;
    return 0;
}

static bool is_of_hook(const struct mirror_object *object)
{
    return strcmp(object->kind, "hook") == 0 || strcmp(object->kind, "hookscript") == 0;
}

static int make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    if (strcmp(want->kind, "nic") == 0)
        return 0; /* that the journal has it is all */
    return is_of_hook(want) ? vm_make_hook(job, want, err) : host_make(job, want, err);
}

static int unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    if (strcmp(have->kind, "nic") == 0)
        return 0;
    return is_of_hook(have) ? vm_unmake_hook(job, have, err) : host_unmake(job, have, err);
}

/* Not where a hook calls: a collector that does not answer just then is no reason to take the
 * mirror away again, and that it makes no loop was seen when it was made by hand. */
static int prove(struct mirror_job *job, struct text *said, struct err *err)
{
    const struct vm_wish *wish = job->wish;
    const struct vm *vm = job->state;
    if (vm->is_hook)
        return 0;
    struct host_tap *taps = calloc(vm->n_taps + 1, sizeof *taps);
    if (!taps)
        return err_set(err, -ENOMEM, "out of memory");
    int result = host_prove(job, &wish->host, taps, vm_host_taps(vm, taps), said, err);
    free(taps);
    return result;
}

const struct mirror_provider provider_vm = {
    .name = "vm",
    .summary = "Mirrors virtual machines of this hypervisor (libvirt, Proxmox VE) to a collector",
    .usage = "plan|apply vm --domain NAME… --to KIND:ADDR --id N [OPTION]…\n"
             "       cloudspan mirror status|remove vm [--domain NAME | --name NAME]",
    .more = "The first network card has the id of --id, each further one has one more, and keeps\n"
            "it. What each method keeps and can is in cloudspan-mirror-linux(1).\n",
    .options = rows,
    .wish_size = sizeof(struct vm_wish),
    .wish_take = wish_take,
    .wish_check = wish_check,
    .answer = answer,
    .open = open_here,
    .close = close_here,
    .want = vm_want,
    .find = find,
    .names = names,
    .make = make,
    .unmake = unmake,
    .prove = prove,
    .measure = vm_measure,
    .sources = vm_sources,
    .describe = vm_describe,
    .command = vm_command,
};
