/* Processes that mirror in user space, each with a status file: see host_carrier.h. */
#include "mirror/host_carrier.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carry/carry.h"
#include "mirror/host_parts.h"

/* Gone after a start of the machine, as the carriers are. */
#define FOLDER "/run/cloudspan"
#define PREFIX "mirror-"
#define SUFFIX ".carry"

void host_carrier_path(const char *mirror, const char *interface, char out[256])
{
    (void)snprintf(out, 256, FOLDER "/" PREFIX "%s@%s" SUFFIX, mirror, interface);
}

/* NAME@IFACE of a status file's name. */
static bool split(const char *file, char mirror[MIRROR_NAME_MAX], char interface[16])
{
    size_t len = strlen(file), end = strlen(SUFFIX), begin = strlen(PREFIX);
    if (len <= begin + end || strncmp(file, PREFIX, begin) != 0 ||
        strcmp(file + len - end, SUFFIX) != 0)
        return false;
    const char *name = file + begin, *at = strchr(name, '@');
    if (!at || at == name || (size_t)(at - name) >= MIRROR_NAME_MAX)
        return false;
    size_t rest = len - end - (size_t)(at + 1 - file);
    if (rest == 0 || rest >= 16)
        return false;
    (void)snprintf(mirror, MIRROR_NAME_MAX, "%.*s", (int)(at - name), name);
    (void)snprintf(interface, 16, "%.*s", (int)rest, at + 1);
    return true;
}

/* ---- what it should be ---- */

json_t *host_carrier_arguments(const struct mirror_job *job, const struct host_wish *wish,
                               const struct host_tap *tap, const struct host_way *way,
                               struct err *err)
{
    int directions = host_tap_directions(wish, tap);
    struct carry_options options = {
        .wrap = wish->to.wrap == MIRROR_GENEVE ? CARRY_GENEVE : CARRY_VXLAN,
        .to = wish->to.addr,
        .port = wish->to.port,
        .has_from = true,
        .from = way->source,
        .id = tap->id,
        .direction = directions == HOST_IN    ? CARRY_IN
                     : directions == HOST_OUT ? CARRY_OUT
                                              : CARRY_BOTH,
        .snap = wish->snap,
        .rate_limit = wish->rate,
    };
    struct carry_arguments arguments;
    if (wish->filter && strlen(wish->filter) >= sizeof options.filter) {
        (void)err_set(err, -E2BIG, "--filter: longer than the %zu bytes that the method user takes",
                      sizeof options.filter - 1);
        return NULL;
    }
    (void)snprintf(options.interface, sizeof options.interface, "%s", tap->interface);
    (void)snprintf(options.filter, sizeof options.filter, "%s", wish->filter ? wish->filter : "");
    (void)snprintf(options.name, sizeof options.name, "%s", host_mark(job));
    host_carrier_path(host_mark(job), tap->interface, options.status);
    if (carry_check(&options, err) < 0)
        return NULL;
    carry_put_arguments(&options, &arguments);
    json_t *list = json_array();
    for (size_t i = 0; i < arguments.n; i++)
        (void)json_array_append_new(list, json_string(arguments.at[i]));
    if (json_array_size(list) != arguments.n) {
        (void)err_set(err, -EINVAL, "--filter: it is no UTF-8 text");
        json_decref(list);
        return NULL;
    }
    return list;
}

/* ---- what there is ---- */

/* The command line that it was started with, without the program's name. */
static json_t *read_arguments(pid_t pid)
{
    char path[64], text[8192];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    json_t *list = json_array();
    bool first = true;
    text[size > 0 ? size : 0] = '\0';
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(text + at) + 1) {
        /* The last two say whom it has to tell that it runs. */
        if (strcmp(text + at, "--ready") == 0)
            break;
        if (!first)
            (void)json_array_append_new(list, json_string(text + at));
        first = false;
    }
    return list;
}

static void add(const char *interface, const struct carry_status *status, struct mirror_set *out)
{
    const struct carry_counters *counters = &status->counters;
    json_t *arguments = status->alive ? read_arguments(status->pid) : json_array();
    struct mirror_object *object =
        mirror_set_add(out, "carrier", interface,
                       json_pack("{sb so}", "running", status->alive, "arguments", arguments));
    if (object)
        object->also = json_pack(
            "{sb sI sI sI sI sI ss}", "alive", status->alive, "pid", (json_int_t)status->pid,
            "seen", (json_int_t)(counters->n_seen - counters->n_own + counters->n_ring_lost),
            "packets", (json_int_t)counters->n_sent, "bytes", (json_int_t)counters->bytes_sent,
            "lost", (json_int_t)carry_lost(counters), "trouble", status->trouble);
}

/* Whether the process is of this network namespace: /run is everybody's. */
static bool is_here(pid_t pid)
{
    struct stat ours, its;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    return stat("/proc/self/ns/net", &ours) == 0 && stat(path, &its) == 0 &&
           ours.st_ino == its.st_ino && ours.st_dev == its.st_dev;
}

static int each_file(void (*take)(const char *mirror, const char *interface, const char *path,
                                  void *with),
                     void *with, struct err *err)
{
    DIR *folder = opendir(FOLDER);
    if (!folder)
        return errno == ENOENT ? 0 : err_set(err, -errno, FOLDER ": %s", strerror(errno));
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        char mirror[MIRROR_NAME_MAX], interface[16], path[256];
        if (!split(entry->d_name, mirror, interface))
            continue;
        host_carrier_path(mirror, interface, path);
        take(mirror, interface, path, with);
    }
    closedir(folder);
    return 0;
}

struct search {
    const struct mirror_job *job;
    struct mirror_set *out;
};

static void take_carrier(const char *mirror, const char *interface, const char *path, void *with)
{
    struct search *search = with;
    struct carry_status status;
    struct err err;
    if (strcmp(mirror, host_mark(search->job)) != 0 || carry_status_read(path, &status, &err) < 0)
        return;
    /* What a killed one left is taken for ours as well: it is only a file. */
    if (!status.alive || is_here(status.pid))
        add(interface, &status, search->out);
}

int host_find_carriers(const struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct search search = {job, out};
    return each_file(take_carrier, &search, err);
}

struct names {
    void (*take)(const char *name, void *with);
    void *with;
};

static void take_name(const char *mirror, const char *interface, const char *path, void *with)
{
    const struct names *names = with;
    struct carry_status status;
    struct err err;
    (void)interface;
    if (carry_status_read(path, &status, &err) == 0 && (!status.alive || is_here(status.pid)))
        names->take(mirror, names->with);
}

int host_carrier_names(void (*take)(const char *name, void *with), void *with, struct err *err)
{
    struct names names = {take, with};
    return each_file(take_name, &names, err);
}

struct each {
    void (*take)(const char *mirror, const char *interface, const char *to, void *with);
    void *with;
};

static void take_running(const char *mirror, const char *interface, const char *path, void *with)
{
    const struct each *each = with;
    struct carry_status status;
    struct err err;
    if (carry_status_read(path, &status, &err) == 0 && status.alive && is_here(status.pid))
        each->take(mirror, interface, status.to, each->with);
}

int host_each_carrier(void (*take)(const char *mirror, const char *interface, const char *to,
                                   void *with),
                      void *with, struct err *err)
{
    struct each each = {take, with};
    return each_file(take_running, &each, err);
}

/* ---- making, unmaking ---- */

int host_make_carrier(const struct mirror_job *job, const struct mirror_object *want,
                      struct err *err)
{
    const json_t *arguments = json_object_get(want->is, "arguments");
    size_t n = json_array_size(arguments), i;
    struct carry_options options = {0};
    char *args[CARRY_MAX_ARGUMENTS + 1] = {NULL};
    const char *rest[CARRY_MAX_ARGUMENTS + 1];
    json_t *word;
    (void)job;
    if (n < 2 || n > CARRY_MAX_ARGUMENTS)
        return err_set(err, -EINVAL, "the carrier's command line is none");
    json_array_foreach(arguments, i, word)
    {
        const char *text = json_string_value(word);
        args[i] = (char *)(uintptr_t)text; /* only read */
    }
    if (mkdir(FOLDER, 0755) < 0 && errno != EEXIST)
        return err_set(err, -errno, FOLDER ": %s", strerror(errno));
    int result = options_parse(carry_rows, args + 2, (int)n - 2, rest, carry_take, &options, err);
    if (result >= 0)
        result = carry_check(&options, err);
    if (result >= 0)
        result = carry_start(&options, err);
    return result < 0 ? result : 0;
}

int host_unmake_carrier(const struct mirror_job *job, const struct mirror_object *have,
                        struct err *err)
{
    char path[256];
    host_carrier_path(host_mark(job), have->key, path);
    return carry_stop(path, err);
}
