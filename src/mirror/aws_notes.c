/* What is kept between runs, in a small file beside the journal: see aws.h. It is a help, not the
 * truth: without it a call that was repeated after a kill may make something twice, which the next
 * look finds by its tags and takes away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/hash.h"
#include "mirror/aws.h"

#define NOTES_MAX (8u << 20)
#define NOTES     "notes"
#define LOSSES    "losses" /* of its own: status writes it, too, and knows nothing of the notes */
#define LOSSES_S  900

static bool path_of(const struct mirror_job *job, const char *what, const char *end, char out[512])
{
    return job->folder && job->name[0] &&
           snprintf(out, 512, "%s/aws-%s.%s%s", job->folder, job->name, what, end) < 512;
}

/* An object, empty where none can be read; NULL: no memory. */
static json_t *read_file(const struct mirror_job *job, const char *what)
{
    char path[512];
    FILE *in = path_of(job, what, "", path) ? fopen(path, "re") : NULL;
    json_t *read = NULL;
    if (in) {
        read = fseek(in, 0, SEEK_END) == 0 && ftell(in) <= (long)NOTES_MAX &&
                       fseek(in, 0, SEEK_SET) == 0
                   ? json_loadf(in, 0, NULL)
                   : NULL;
        (void)fclose(in); /* it was read */
    }
    if (json_is_object(read))
        return read;
    json_decref(read);
    return json_object();
}

void aws_notes_read(struct mirror_job *job)
{
    struct aws_mirror *state = job->state;
    json_decref(state->notes);
    state->notes = read_file(job, NOTES);
    state->inherited = mirror_text(state->notes, "attempt")[0] != '\0';
}

/* Whole or not at all; who can't write it goes on without. */
static void save_file(const struct mirror_job *job, const char *what, const json_t *object)
{
    char path[512], fresh[512];
    if (!path_of(job, what, "", path) || !path_of(job, what, ".new", fresh))
        return;
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    int fd = text ? open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd >= 0) {
        size_t size = strlen(text);
        bool good = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
        close(fd);
        if (!good || rename(fresh, path) < 0)
            (void)unlink(fresh); /* it is no whole one */
    }
    free(text);
}

static void save(const struct mirror_job *job)
{
    const struct aws_mirror *state = job->state;
    save_file(job, NOTES, state->notes);
}

void aws_forget(const struct mirror_job *job)
{
    static const char *const files[] = {NOTES, LOSSES};
    char path[512];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (path_of(job, files[i], "", path))
            (void)unlink(path); /* most mirrors have none */
}

/* ---- losses ---- */

json_t *aws_losses_read(const struct mirror_job *job, int64_t now)
{
    json_t *losses = read_file(job, LOSSES);
    int64_t age = now - aws_number(losses, "at", 0);
    json_t *of = age >= 0 && age < LOSSES_S ? json_incref(json_object_get(losses, "of")) : NULL;
    json_decref(losses);
    if (json_is_object(of))
        return of;
    json_decref(of);
    return NULL;
}

void aws_losses_keep(const struct mirror_job *job, int64_t now, json_t *of)
{
    json_t *losses = json_pack("{s:I, s:o}", "at", (json_int_t)now, "of", of);
    save_file(job, LOSSES, losses);
    json_decref(losses);
}

/* ---- refusals ---- */

void aws_refused_keep(struct mirror_job *job, const struct cloud_nic *nic, const char *code)
{
    struct aws_mirror *state = job->state;
    json_t *refused = json_object_get(state->notes, "refused"), *none;
    const char *id;
    void *next;
    bool was = json_object_get(refused, nic->id) != NULL;
    if (!code && !was)
        return;
    if (!refused) {
        refused = json_object();
        (void)json_object_set_new(state->notes, "refused", refused); /* or it is tried again */
    }
    if (code)
        (void)json_object_set_new(
            refused, nic->id,
            json_pack("{s:s, s:s, s:s}", "machine", nic->machine, "type", nic->type, "code", code));
    else
        (void)json_object_del(refused, nic->id);
    /* Those that are no more would stay for ever. */
    json_t *there = json_object();
    for (size_t i = 0; i < state->nics.n; i++)
        (void)json_object_set_new(there, state->nics.at[i].id, json_true());
    json_object_foreach_safe(refused, next, id, none)
    {
        if (!json_object_get(there, id))
            (void)json_object_del(refused, id);
    }
    json_decref(there);
    save(job);
}

const char *aws_refused(const struct mirror_job *job, const struct cloud_nic *nic)
{
    const struct aws_mirror *state = job->state;
    const json_t *note = json_object_get(json_object_get(state->notes, "refused"), nic->id);
    bool holds = note && !job->retries && strcmp(mirror_text(note, "machine"), nic->machine) == 0 &&
                 strcmp(mirror_text(note, "type"), nic->type) == 0;
    return holds ? mirror_text(note, "code") : NULL;
}

/* ---- tokens ---- */

/* Random, and the same until an apply comes to its end. */
static const char *nonce_of(struct mirror_job *job)
{
    struct aws_mirror *state = job->state;
    const char *nonce = mirror_text(state->notes, "attempt");
    uint64_t random[2] = {0};
    char text[40];
    if (nonce[0])
        return nonce;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        random[0] = (uint64_t)state->calls.now(state->calls.with);
    (void)snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)random[0],
                   (unsigned long long)random[1]);
    (void)json_object_set_new(state->notes, "attempt", json_string(text)); /* "" then */
    save(job);
    return mirror_text(state->notes, "attempt");
}

void aws_put_client_token(struct mirror_job *job, const char *what, const json_t *parameters,
                          char out[65])
{
    const char *nonce = nonce_of(job);
    uint8_t digest[HASH_SHA256_SIZE];
    char *text = json_dumps(parameters, JSON_COMPACT | JSON_SORT_KEYS);
    struct text all;
    text_init(&all, 65536);
    text_format(&all, "%s\n%s\n%s\n", nonce, job->name, what);
    text_put(&all, text ? text : "");
    free(text);
    hash_sha256(all.at ? all.at : "", all.size, digest);
    hash_hex(digest, sizeof digest, out);
    out[64] = '\0';
    text_done(&all);
}

void aws_notes_attempt_over(struct mirror_job *job)
{
    struct aws_mirror *state = job->state;
    state->inherited = false;
    if (json_object_del(state->notes, "attempt") == 0)
        save(job);
}
