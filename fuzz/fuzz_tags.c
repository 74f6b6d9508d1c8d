/* An expression of tags, and tags after its first line: what is accepted means one thing, so `not`
 * turns it around; what is refused holds for nobody, and the place of the mistake is inside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/cloud_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* "KEY=VALUE" a line; what jansson does not take for text is no tag. */
static json_t *tags_of(char *lines)
{
    json_t *tags = json_object();
    char *line;
    if (!tags)
        abort();
    while ((line = strsep(&lines, "\n"))) {
        char *value = strchr(line, '=');
        if (value)
            *value++ = '\0';
        (void)json_object_set_new(tags, line, json_string(value ? value : ""));
    }
    return tags;
}

static void see_key(const char *key, void *with)
{
    size_t *sum = with;
    *sum += strlen(key);
}

/* Whether it is accepted, from a block of its exact size. */
static bool accepts(const char *expression)
{
    struct err err = {""};
    char *exact = strdup(expression);
    if (!exact)
        abort();
    bool ok = cloud_tag_check("--tag", exact, &err) == 0;
    if (!ok && !err.text[0])
        abort();
    free(exact);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1), *turned = malloc(size + 16);
    size_t sum = 0;
    if (!text || !turned)
        abort();
    memcpy(text, bytes, size);
    text[size] = '\0';
    char *rest = strchr(text, '\n');
    if (rest)
        *rest++ = '\0';
    json_t *tags = tags_of(rest);
    bool ok = accepts(text), holds = cloud_tag_holds(text, tags);
    cloud_tag_keys(text, see_key, &sum);
    if (!ok && holds && strlen(text) <= 2048)
        abort();
    (void)snprintf(turned, size + 16, "not (%s)", text);
    if (ok && accepts(turned) && cloud_tag_holds(turned, tags) == holds)
        abort();
    (void)snprintf(turned, size + 16, "(%s) or a", text);
    if (ok && holds && accepts(turned) && !cloud_tag_holds(turned, tags))
        abort();
    (void)cloud_pattern_fits(text, rest ? rest : "");
    json_decref(tags);
    free(turned);
    free(text);
    return 0;
}
