/* For tests of the configuration's documents:
 *   config_file load FILE   loads it, writes it back, and sees that this gives the same
 *   config_file keys        prints the path of every key */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/config.h"

static int fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return 1;
}

static char *dump(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    config_dump(config, f);
    return fclose(f) == 0 ? text : NULL;
}

static int load(const char *path)
{
    struct config *config = NULL, *again = NULL;
    struct err err;
    if (config_load_files(&path, 1, &config, &err) < 0)
        return fail(err.text);
    char *first = dump(config);
    if (!first || config_load_text(first, strlen(first), "dump", &again, &err) < 0)
        return fail(first ? err.text : "no memory");
    char *second = dump(again);
    int result = second && strcmp(first, second) == 0 ? 0 : fail("the dump gives something else");
    free(first);
    free(second);
    config_free(config);
    config_free(again);
    return result;
}

static int print_key(const char *path, const struct yaml_row *row, void *with)
{
    (void)with;
    puts(path);
    return row->key ? 0 : 1;
}

int main(int n, char **args)
{
    if (n == 3 && strcmp(args[1], "load") == 0)
        return load(args[2]);
    if (n == 2 && strcmp(args[1], "keys") == 0)
        return config_each_key(print_key, NULL);
    return fail("usage: config_file load FILE | keys");
}
