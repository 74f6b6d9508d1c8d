/* Snapshots: see snapshot.h. */
#include "sensor/snapshot.h"

#include <stdlib.h>
#include <string.h>

bool snapshot_is_bad(const struct snapshot_machine *machine)
{
    return machine->is_bad || health_is_bad(machine->state);
}

static bool copy_list(void *at, const void *from, size_t n, size_t size)
{
    void *copy = calloc(n ? n : 1, size);
    if (copy && n)
        memcpy(copy, from, n * size);
    memcpy(at, &copy, sizeof copy);
    return copy != NULL;
}

/* The same place in the copy's words. */
static const char *moved(const char *word, const char *from, const char *to)
{
    return word && from ? to + (word - from) : word;
}

bool snapshot_copy(const struct snapshot *s, struct snapshot *out)
{
    struct snapshot copy = *s;
    copy.machines = NULL;
    copy.refused = NULL;
    copy.drops = NULL;
    copy.inputs = NULL;
    copy.alarms = NULL;
    copy.findings = NULL;
    copy.logs = NULL;
    copy.words = NULL;
    bool ok = copy_list(&copy.machines, s->machines, s->n_machines, sizeof *s->machines) &&
              copy_list(&copy.refused, s->refused, s->n_refused, sizeof *s->refused) &&
              copy_list(&copy.drops, s->drops, s->n_drops, sizeof *s->drops) &&
              copy_list(&copy.inputs, s->inputs, s->n_inputs, sizeof *s->inputs) &&
              copy_list(&copy.alarms, s->alarms, s->n_alarms, sizeof *s->alarms) &&
              copy_list(&copy.findings, s->findings, s->n_findings, sizeof *s->findings) &&
              copy_list(&copy.logs, s->logs, s->n_logs, sizeof *s->logs) &&
              (!s->words || copy_list(&copy.words, s->words, 1, s->words_size));
    if (!ok) {
        snapshot_done(&copy);
        memset(out, 0, sizeof *out);
        return false;
    }
    for (size_t i = 0; i < copy.n_drops; i++) {
        struct snapshot_drop *drop = &copy.drops[i];
        drop->stage = moved(drop->stage, s->words, copy.words);
        drop->reason = moved(drop->reason, s->words, copy.words);
        drop->text = moved(drop->text, s->words, copy.words);
    }
    for (size_t i = 0; i < copy.n_logs; i++)
        copy.logs[i].name = moved(copy.logs[i].name, s->words, copy.words);
    *out = copy;
    return true;
}

void snapshot_done(struct snapshot *s)
{
    free(s->machines);
    free(s->refused);
    free(s->drops);
    free(s->inputs);
    free(s->alarms);
    free(s->findings);
    free(s->logs);
    free(s->words);
    memset(s, 0, sizeof *s);
}
