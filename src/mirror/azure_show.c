/* A mirror of Azure in words, as commands, and as sources for `watch`: see azure.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "mirror/azure.h"

#define BLAME_DAYS 14 /* how far back its Activity Log is asked; Azure keeps 90 */

/* ---- words ---- */

/* "collector/ipconfig1" of an id. */
static void put_destination(const char *id, struct text *out)
{
    char owner[96], part[96];
    if (azure_part(id, "networkInterfaces", owner, sizeof owner) &&
        azure_part(id, "ipConfigurations", part, sizeof part))
        text_format(out, "the interface %s (%s)", owner, part);
    else if (azure_part(id, "loadBalancers", owner, sizeof owner) &&
             azure_part(id, "frontendIPConfigurations", part, sizeof part))
        text_format(out, "the load balancer %s (%s)", owner, part);
    else
        text_put(out, *id ? id : "nowhere");
}

void azure_describe(const struct mirror_object *object, struct text *out)
{
    const char *state = mirror_text(object->is, "state");
    if (strcmp(object->kind, "tap") == 0) {
        text_format(out, "virtual network TAP %s to ", object->key);
        put_destination(mirror_text(object->is, "destination"), out);
        text_format(out, ", port %d", (int)json_integer_value(json_object_get(object->is, "port")));
    } else {
        text_format(out, "tap configuration of the interface %s", object->key);
    }
    if (strcmp(state, "failed") == 0)
        text_put(out, ", which failed");
    else if (strcmp(state, "deleting") == 0)
        text_put(out, ", which is being deleted");
}

/* ---- commands ---- */

static void put_option(struct text *out, const char *option, const char *value)
{
    text_format(out, " --%s ", option);
    text_shell(out, value);
}

static void command_tap(const struct mirror_job *job, const struct mirror_object *object,
                        bool unmake, struct text *out)
{
    const struct azure_place *place = job->state;
    char group[MIRROR_KEY_MAX], name[64], mark[64], port[8];
    (void)snprintf(group, sizeof group, "%.*s", (int)strcspn(object->key, "/"), object->key);
    azure_put_name(job->name, name);
    text_format(out, "az network vnet tap %s", unmake ? "delete" : "create");
    put_option(out, "subscription", azure_subscription(place->azure));
    put_option(out, "resource-group", group);
    put_option(out, "name", name);
    if (!unmake) {
        (void)snprintf(mark, sizeof mark, AZURE_MARK "=%s", job->name);
        (void)snprintf(port, sizeof port, "%d",
                       (int)json_integer_value(json_object_get(object->is, "port")));
        put_option(out, "location", mirror_text(object->is, "location"));
        put_option(out, "destination",
                   place->target.id[0] ? place->target.id : mirror_text(object->is, "destination"));
        put_option(out, "port", port);
        put_option(out, "tags", mark);
    }
    text_put(out, "\n");
}

static void command_config(const struct mirror_job *job, const struct mirror_object *object,
                           bool unmake, struct text *out)
{
    const struct azure_place *place = job->state;
    const char *slash = strchr(object->key, '/');
    char group[MIRROR_KEY_MAX], name[64];
    (void)snprintf(group, sizeof group, "%.*s", (int)strcspn(object->key, "/"), object->key);
    azure_put_name(job->name, name);
    text_format(out, "az network nic vtap-config %s", unmake ? "delete" : "create");
    put_option(out, "subscription", azure_subscription(place->azure));
    put_option(out, "resource-group", group);
    put_option(out, unmake ? "nic-name" : "nic", slash ? slash + 1 : object->key);
    put_option(out, "name", name);
    if (!unmake)
        put_option(out, "vnet-tap", mirror_text(object->is, "tap"));
    text_put(out, "\n");
}

void azure_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                   struct text *out)
{
    if (strcmp(object->kind, "tap") == 0)
        command_tap(job, object, unmake, out);
    else
        command_config(job, object, unmake, out);
}

/* ---- status ---- */

static bool has_config(const struct cloud_nic *nic, char why[200], void *with)
{
    const struct mirror_set *found = with;
    char key[MIRROR_KEY_MAX];
    azure_put_lower(key, sizeof key, nic->id);
    const struct mirror_object *config = mirror_set_get(found, "tap-config", key);
    bool ok = config && strcmp(mirror_text(config->is, "state"), "ok") == 0;
    if (!ok)
        (void)snprintf(why, 200, "%s",
                       !config ? "it has no tap configuration"
                       : strcmp(mirror_text(config->is, "state"), "deleting") == 0
                           ? "its tap configuration is being deleted"
                           : "its tap configuration failed");
    return ok;
}

int azure_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
                struct err *err)
{
    struct azure_place *place = job->state;
    return cloud_cover(&place->inventory, has_config, (void *)(uintptr_t)found, out, err);
}

int azure_measure(struct mirror_job *job, const struct mirror_set *found,
                  struct mirror_measures *out, struct err *err)
{
    size_t n = 0;
    (void)job;
    *out = (struct mirror_measures){0};
    for (size_t i = 0; i < found->n; i++)
        n += strcmp(mirror_text(found->at[i].is, "state"), "failed") == 0;
    if (n == 0)
        return 0; /* Azure counts nothing */
    out->at = calloc(n, sizeof *out->at);
    if (!out->at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < found->n && out->n < n; i++) {
        if (strcmp(mirror_text(found->at[i].is, "state"), "failed") != 0)
            continue;
        struct mirror_measure *one = &out->at[out->n++];
        (void)snprintf(one->what, sizeof one->what, "%.20s %.36s", found->at[i].kind,
                       found->at[i].key);
        one->n_seen = one->n_mirrored = UINT64_MAX;
        one->is_judged = true;
        (void)snprintf(one->trouble, sizeof one->trouble,
                       "Azure says that it failed: cloudspan mirror apply tries it again");
    }
    return 0;
}

/* Copies of all machines come in the same tunnel, whose VNI is documented nowhere: they are told
 * apart by their addresses. */
int azure_sources(struct mirror_job *job, const struct mirror_set *wanted,
                  struct mirror_sources *out, struct err *err)
{
    struct azure_place *place = job->state;
    struct mirror_source like = {.direction = "both"};
    (void)wanted;
    (void)snprintf(like.network, sizeof like.network, "%s", job->network);
    /* A load balancer's address is none of those behind it: left out, any of them is meant. */
    if (!place->target.is_balancer)
        (void)snprintf(like.collector, sizeof like.collector, "%s", place->target.address);
    return cloud_sources(&place->inventory, NULL, &like, out, err);
}

/* ---- who did it ---- */

/* The id of a missing object, in lower case, as far as it follows from its key. */
static void put_missing(const struct mirror_job *job, const struct mirror_object *object,
                        char out[AZURE_ID_MAX])
{
    const struct azure_place *place = job->state;
    const char *slash = strchr(object->key, '/');
    char id[AZURE_ID_MAX], name[64];
    int group = (int)strcspn(object->key, "/");
    bool tap = strcmp(object->kind, "tap") == 0;
    azure_put_name(job->name, name);
    (void)snprintf(id, sizeof id,
                   "/subscriptions/%s/resourcegroups/%.*s/providers/microsoft.network/%s/%.90s%s%s",
                   azure_subscription(place->azure), group, object->key,
                   tap ? "virtualnetworktaps" : "networkinterfaces", slash ? slash + 1 : "",
                   tap ? "" : "/tapconfigurations/", tap ? "" : name);
    azure_put_lower(out, AZURE_ID_MAX, id);
}

/* An event of the Activity Log that has taken away `id`, or what it hung on. */
static bool is_deletion(const json_t *event, const char *id)
{
    const char *operation = mirror_text(json_object_get(event, "operationName"), "value");
    const char *status = mirror_text(json_object_get(event, "status"), "value");
    const char *what = mirror_text(event, "resourceId");
    size_t len = strlen(operation), n = strlen(what);
    return len > 7 && strcasecmp(operation + len - 7, "/delete") == 0 &&
           (azure_same(status, "Succeeded") || azure_same(status, "Accepted")) && n > 0 &&
           strncasecmp(id, what, n) == 0 && (id[n] == '\0' || id[n] == '/');
}

int azure_blame(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
                struct err *err)
{
    struct azure_place *place = job->state;
    time_t since = (time_t)(cloud_http_now(place->http) / 1000000000) - BLAME_DAYS * 86400;
    struct tm tm;
    char at[32], filter[160];
    struct text path;
    json_t *events = NULL, *event;
    if (!gmtime_r(&since, &tm) || strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return err_set(err, -ERANGE, "the clock is wrong");
    (void)snprintf(filter, sizeof filter,
                   "eventTimestamp ge '%s' and resourceProvider eq 'Microsoft.Network'", at);
    text_init(&path, 2048);
    text_format(&path,
                "/subscriptions/%s/providers/Microsoft.Insights/eventtypes/management/values"
                "?api-version=2015-04-01&$filter=",
                azure_subscription(place->azure));
    cloud_put_escaped(&path, filter, "");
    text_put(&path, "&$select=caller,eventTimestamp,operationName,resourceId,status");
    int result = path.failed ? err_set(err, -ENOMEM, "out of memory")
                             : azure_all(place->azure, path.at, &events, err);
    text_done(&path);
    for (size_t i = 0; result == 0 && i < missing->n; i++) {
        char id[AZURE_ID_MAX];
        size_t k;
        put_missing(job, &missing->at[i], id);
        json_array_foreach(events, k, event) /* the newest are first */
        {
            if (!is_deletion(event, id))
                continue;
            const char *caller = mirror_text(event, "caller");
            text_format(out, "%s %s was deleted by %.100s at %.40s\n", missing->at[i].kind,
                        missing->at[i].key, *caller ? caller : "Azure itself",
                        mirror_text(event, "eventTimestamp"));
            break;
        }
    }
    json_decref(events);
    return result;
}
