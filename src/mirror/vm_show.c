/* Mirrors of machines in words, and what a collector gets to know of them: see vm.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/vm.h"

/* ---- counters ---- */

int vm_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
               struct err *err)
{
    const struct vm *vm = job->state;
    struct mirror_measures counted = {0};
    int result = host_measure(job, found, &counted, err);
    if (result < 0)
        return result;
    out->at = calloc(counted.n + vm->n_machines + 1, sizeof *out->at);
    if (!out->at) {
        free(counted.at);
        return err_set(err, -ENOMEM, "out of memory");
    }
    memcpy(out->at, counted.at, counted.n * sizeof *out->at);
    out->n = counted.n;
    free(counted.at);
    for (size_t i = 0; i < vm->n_machines; i++) {
        if (vm->machines[i].is_running)
            continue;
        struct mirror_measure *one = &out->at[out->n++];
        *one = (struct mirror_measure){.n_seen = UINT64_MAX, .n_mirrored = UINT64_MAX};
        (void)snprintf(one->what, sizeof one->what, "%.45s is not %s", vm->machines[i].name,
                       vm->machines[i].is_here ? "running" : "here");
    }
    return 0;
}

/* ---- sources ---- */

/* What a source may be called: without spaces and quotes. */
static void put_name(const struct mirror_job *job, const struct vm_machine *machine, char out[64])
{
    size_t i, n = 0;
    json_t *word;
    json_array_foreach(job->arguments, i, word)
    {
        if (strncmp(json_string_value(word), "--machine=", 10) == 0) {
            (void)snprintf(out, 64, "%s", job->machine);
            return;
        }
    }
    for (const char *at = machine->name; *at && n < 63; at++)
        out[n++] = (char)(isspace((unsigned char)*at) || strchr("\"\\'", *at) ? '-' : *at);
    out[n] = '\0';
}

static int put_machine(const struct mirror_job *job, size_t machine, struct mirror_source *out,
                       struct err *err)
{
    const struct vm_wish *wish = job->wish;
    const struct vm *vm = job->state;
    size_t n = 0, n_macs = 0;
    put_name(job, &vm->machines[machine], out->name);
    host_put_source(job, &wish->host, out);
    for (size_t i = 0; i < vm->n_taps && n < MIRROR_CHANNELS_MAX; i++) {
        if (vm->taps[i].machine != machine)
            continue;
        const struct vm_nic *nic = &vm->machines[machine].nics[vm->taps[i].nic];
        struct host_tap tap = {.id = vm->taps[i].id};
        (void)snprintf(tap.interface, sizeof tap.interface, "%s", nic->tap);
        int result = host_put_channel(job, &wish->host, &tap, out->channels[n++], err);
        if (result < 0)
            return result;
        if (nic->mac[0])
            (void)snprintf(out->macs[n_macs++], sizeof out->macs[0], "%s", nic->mac);
    }
    return 0;
}

int vm_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
               struct err *err)
{
    const struct vm_wish *wish = job->wish;
    const struct vm *vm = job->state;
    (void)wanted;
    if (wish->host.to.wrap == MIRROR_INTERFACE)
        return 0; /* whoever listens there knows only the interface */
    out->at = calloc(vm->n_machines + 1, sizeof *out->at);
    if (!out->at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t m = 0; m < vm->n_machines; m++) {
        struct mirror_source *one = &out->at[out->n];
        int result = put_machine(job, m, one, err);
        if (result < 0)
            return result;
        out->n += one->channels[0][0] != '\0'; /* of one that is not here nothing is known */
        if (!one->channels[0][0])
            *one = (struct mirror_source){{0}};
    }
    return 0;
}

/* ---- words ---- */

void vm_describe(const struct mirror_object *object, struct text *out)
{
    const char *kind = object->kind, *key = object->key;
    const char *space = strrchr(key, ' ');
    if (strcmp(kind, "nic") == 0)
        text_format(out, "id %lld for the network card %s of %s",
                    (long long)json_integer_value(json_object_get(object->is, "id")),
                    space ? space + 1 : key, mirror_text(object->is, "machine"));
    else if (strcmp(kind, "hook") == 0)
        text_format(out, "hook of %s, %s", mirror_text(object->is, "of"), key);
    else if (strcmp(kind, "hookscript") == 0)
        text_format(out, "hookscript of %s: %s", key, mirror_text(object->is, "script"));
    else
        host_describe(object, out);
}

void vm_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                struct text *out)
{
    const char *kind = object->kind;
    if (strcmp(kind, "nic") == 0 || strcmp(kind, "hookscript") == 0)
        return;
    if (strcmp(kind, "hook") != 0)
        host_command(job, object, unmake, out);
    else if (!unmake)
        text_put(out, "# when a machine starts again, all this has to be done again, with its new "
                      "taps: where cloudspan is, its hook does so\n");
}
