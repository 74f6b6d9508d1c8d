/* A configuration, from a block of its exact size: whatever is taken is written back, and what that
 * says is the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char *dump(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    config_dump(config, f);
    if (fclose(f) != 0)
        abort();
    return text;
}

static void look_up(const struct config *config)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        const struct config_source *s = &config->sources[i];
        for (size_t a = 0; a < s->n_addresses; a++)
            if (config_source_of_address(config, s->network, &s->addresses[a].addr) != (int)i)
                abort();
        for (size_t m = 0; m < s->n_macs; m++)
            if (config_source_of_mac(config, s->network, s->macs[m].b) != (int)i)
                abort();
        for (size_t c = 0; c < s->n_channels; c++) {
            const struct config_channel *channel = &s->channels[c];
            if (config_source_of_channel(config, channel->decoder, channel->has_id, channel->id,
                                         &channel->outer.net) < 0 &&
                !channel->erspan)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct config *config = NULL, *again = NULL;
    struct config_listener listener;
    struct err err = {{0}};
    char *exact = malloc(size + 1);
    if (!exact)
        abort();
    memcpy(exact, bytes, size);
    exact[size] = '\0';
    if (config_parse_listener(exact, &listener, &err) == 0)
        config_listener_done(&listener);
    char *block = realloc(exact, size ? size : 1);
    if (!block)
        abort();
    if (config_load_text(block, size, "config", &config, &err) == 0) {
        look_up(config);
        char *first = dump(config);
        if (config_load_text(first, strlen(first), "dump", &again, &err) < 0) {
            fprintf(stderr, "%s\n%s", err.text, first);
            abort();
        }
        char *second = dump(again);
        if (strcmp(first, second) != 0)
            abort();
        free(first);
        free(second);
        config_free(again);
        config_free(config);
    } else if (!err.text[0]) {
        abort();
    }
    free(block);
    return 0;
}
