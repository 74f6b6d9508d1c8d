/* A record of mirrors whose names, ids and networks are any bytes: watch takes it, and has as many
 * machines as there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "mirror/record.h"
#include "sensor/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define N_SOURCES 3

/* Bytes up to the next NUL, as much of them as has room. */
static void take_text(struct reader *r, char *out, size_t size)
{
    size_t n = 0;
    while (rd_left(r) > 0) {
        char c = (char)rd_u8(r);
        if (!c)
            break;
        if (n + 1 < size)
            out[n++] = c;
    }
    out[n] = '\0';
}

static void take_source(struct reader *r, unsigned number, struct mirror_source *out)
{
    static const char *const directions[] = {"", "in", "out", "both"};
    char *channel = out->channels[0];
    uint8_t flags = rd_u8(r);
    take_text(r, out->name, sizeof out->name);
    take_text(r, out->machine, sizeof out->machine);
    take_text(r, out->collector, sizeof out->collector);
    (void)snprintf(channel, sizeof out->channels[0], "vxlan:%u", number);
    (void)snprintf(out->macs[0], sizeof out->macs[0], "02:00:00:00:00:%02x", number);
    (void)snprintf(out->direction, sizeof out->direction, "%s", directions[flags & 3]);
    out->filtered = flags & 4;
    out->leaks_tag = flags & 8;
    out->has_lost = flags & 16;
    out->n_lost = rd_be32(r);
    out->truncate = flags & 32 ? 14 + rd_u8(r) : 0;
}

/* Names have to be different, and none empty: providers see to that. */
static bool is_possible(const struct mirror_source *at)
{
    for (unsigned i = 0; i < N_SOURCES; i++) {
        if (!at[i].name[0])
            return false;
        for (unsigned k = 0; k < i; k++)
            if (strcmp(at[i].name, at[k].name) == 0)
                return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct mirror_source at[N_SOURCES];
    struct reader r = rd_make(bytes, size);
    struct mirror_sources sources = {at, N_SOURCES};
    struct config *config = NULL;
    struct err err = {""};
    struct text text;
    memset(at, 0, sizeof at);
    for (unsigned i = 0; i < N_SOURCES; i++)
        take_source(&r, i + 1, &at[i]);
    if (!is_possible(at))
        return 0;
    text_init(&text, 1u << 20);
    mirror_record_text(&sources, "Made by a fuzzer.", &text);
    if (text.failed)
        abort();
    int result = config_load_text(text.at, text.size, "record", &config, &err);
    /* What is no UTF-8, and what no text may have, is written at more length than it had: then
     * names may be too long, or become the same. */
    bool longer = strstr(err.text, "characters") || strstr(err.text, "already");
    if (result < 0 && !longer) {
        fprintf(stderr, "%s\n%s\n", err.text, text.at);
        abort();
    }
    if (result == 0) {
        if (config->n_sources != N_SOURCES)
            abort();
        for (unsigned i = 0; i < N_SOURCES; i++)
            if (config->sources[i].lost_before.has != at[i].has_lost ||
                (at[i].has_lost && config->sources[i].lost_before.n != at[i].n_lost) ||
                config->sources[i].drop_vlan != at[i].leaks_tag)
                abort();
    }
    config_free(config);
    text_done(&text);
    return 0;
}
