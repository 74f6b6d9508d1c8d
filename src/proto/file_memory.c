/* Files that outlive their connection: ranges of one file come over several. Kept by key, the one
 * used last first, FILE_N_SHARED at most. */
#include "proto/file_state.h"

void file_unshare(struct file *file)
{
    struct file_memory *memory = file->context->files;
    for (struct file **at = &memory->files; *at; at = &(*at)->next) {
        if (*at != file)
            continue;
        *at = file->next;
        memory->n_files--;
        break;
    }
    file->shared = false;
}

static void end_expired(struct file_memory *memory)
{
    for (struct file *file = memory->files; file;) {
        struct file *next = file->next;
        if (file_expired(file))
            file_end_timedout(file);
        file = next;
    }
}

void file_share(struct file *file, uint64_t key)
{
    struct flow_context *context = file->context;
    if (!context->files)
        context->files = pool_get(context->pool, sizeof *context->files);
    struct file_memory *memory = context->files;
    if (!memory)
        return;
    end_expired(memory);
    if (memory->n_files >= FILE_N_SHARED) { /* the one not used for longest */
        struct file *last = memory->files;
        while (last->next)
            last = last->next;
        file_end_timedout(last);
    }
    file->key = key;
    file->shared = true;
    file->next = memory->files;
    memory->files = file;
    memory->n_files++;
}

struct file *file_shared(struct flow_context *context, uint64_t key)
{
    struct file_memory *memory = context->files;
    for (struct file **at = memory ? &memory->files : NULL; at && *at; at = &(*at)->next) {
        struct file *file = *at;
        if (file->key != key)
            continue;
        *at = file->next;
        file->next = memory->files;
        memory->files = file;
        return file;
    }
    return NULL;
}

bool file_join(struct file *file, struct analysis *a)
{
    struct carrier c = file_carrier(a);
    bool known = memcmp(&file->first_carrier.uid, &c.uid, sizeof c.uid) == 0;
    for (uint8_t i = 0; i < file->n_more_carriers && !known; i++)
        known = memcmp(&file->more_carriers[i].uid, &c.uid, sizeof c.uid) == 0;
    if (known)
        return false;
    if (!file->more_carriers)
        file->more_carriers =
            pool_get(file->context->pool, FILE_N_CARRIERS * sizeof *file->more_carriers);
    if (!file->more_carriers || file->n_more_carriers == FILE_N_CARRIERS)
        return false;
    file->more_carriers[file->n_more_carriers++] = c;
    return true;
}

void file_forget(struct analysis *a)
{
    struct file_memory *memory = a->context->files;
    for (struct file *file = memory ? memory->files : NULL; file; file = file->next)
        if (file->listener == a)
            file->listener = NULL;
}

void file_memory_end(struct flow_context *context)
{
    struct file_memory *memory = context->files;
    if (!memory)
        return;
    while (memory->files)
        file_end_timedout(memory->files);
    pool_put(context->pool, memory, sizeof *memory);
    context->files = NULL;
}
