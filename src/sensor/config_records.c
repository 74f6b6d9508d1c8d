/* What `cloudspan mirror apply` recorded, as a part of the configuration: see config.h. A record
 * that is for another collector, or of machines that the configuration names itself, is left alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/state.h"
#include "linux/interface.h"
#include "sensor/config_parts.h"

#define OWN_MAX 256

static bool is_own(const char *text, const struct addr *own, size_t n)
{
    struct addr addr;
    if (!addr_parse(text, &addr))
        return false;
    for (size_t i = 0; i < n; i++)
        if (addr_eq(&own[i], &addr))
            return true;
    return false;
}

static bool has_source(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_sources; i++)
        if (strcmp(config->sources[i].name, name) == 0)
            return true;
    return false;
}

static bool is_wanted(const struct config *config, const char *path, const struct addr *own,
                      size_t n_own)
{
    struct config *alone = NULL;
    struct err err;
    bool wanted = false;
    if (config_load_files(&path, 1, &alone, &err) < 0)
        return true; /* who adds it is told what is wrong with it */
    wanted = alone->collector && is_own(alone->collector, own, n_own);
    for (size_t i = 0; wanted && i < alone->n_sources; i++)
        wanted = !has_source(config, alone->sources[i].name);
    config_free(alone);
    return wanted;
}

int config_add_records(struct config *config, struct err *err)
{
    char state[STATE_FOLDER_MAX], folder[STATE_FOLDER_MAX + 16], **paths = NULL;
    struct addr *own = calloc(OWN_MAX, sizeof *own);
    size_t n = 0;
    struct err none;
    int result = own ? 0 : err_set(err, -ENOMEM, "no memory for the configuration");
    /* Who has no state folder has no mirrors. */
    if (result < 0 || state_folder(NULL, state, &none) < 0) {
        free(own);
        return result;
    }
    (void)snprintf(folder, sizeof folder, "%s/" CONFIG_RECORDS, state);
    if (config_list_files(folder, &paths, &n, &none) < 0)
        n = 0; /* not ours to read */
    size_t n_own = n ? linux_own_addresses(own, OWN_MAX) : 0;
    for (size_t i = 0; i < n; i++) {
        if (result == 0 && is_wanted(config, paths[i], own, n_own))
            result = config_add_file(config, paths[i], err);
        free(paths[i]);
    }
    free(paths);
    free(own);
    return result;
}
