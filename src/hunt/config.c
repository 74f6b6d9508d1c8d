/* The configuration of hunts: see config.h. */
#include "hunt/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

#define SECOND      1000000000ull
#define DAY         (86400 * SECOND)
#define HELP_MAX    400
#define HELP_COLUMN 70

static int take_prefix(void *at, const char *text, struct err *err)
{
    if (hunt_prefix_parse(text, at))
        return 0;
    return err_set(err, -EINVAL, "'%.60s' is no address or network such as 10.0.0.0/8", text);
}

static bool put_prefix(const void *at, FILE *out)
{
    const struct hunt_prefix *prefix = at;
    char addr[ADDR_TEXT_MAX];
    int len = (int)addr_format(&prefix->net, addr);
    bool is_v4 = addr_is_v4(&prefix->net) && prefix->bits >= 96;
    fprintf(out, "\"%.*s/%d\"", len, addr, prefix->bits - (is_v4 ? 96 : 0));
    return true;
}

static const struct yaml_form form_prefix = {.take = take_prefix, .put = put_prefix};

/* A list in struct hunt_config. */
#define LIST_OF(items, count, item, most)                                                          \
    .shape = YAML_LIST, .at = offsetof(struct hunt_config, items),                                 \
    .count_at = offsetof(struct hunt_config, count), .item_size = sizeof(item),                    \
    .max_items = (most)
#define PREFIXES(items, count)                                                                     \
    .value = "NETWORK", .kind = YAML_FORM, .form = &form_prefix,                                   \
    LIST_OF(items, count, struct hunt_prefix, 1024)
#define TEXTS(name, items, count, most)                                                            \
    .value = name, .kind = YAML_TEXT, LIST_OF(items, count, char *, most)

/* As enum hunt_severity. */
static const char *const severities[] = {"none", "low", "medium", "high", "critical", NULL};

static const struct yaml_row common_rows[] = {
    {.key = "internal",
     .help = "networks that are ours; they take the place of the default's",
     PREFIXES(common.scope.internal, common.scope.n_internal),
     .replaces = true},
    {.key = "include-inbound",
     .help = "also look at connections from outside to inside",
     .kind = YAML_BOOL,
     .at = offsetof(struct hunt_config, common.scope.include_inbound)},
    {.key = "always",
     .help = "networks that are looked at even where both ends are inside",
     PREFIXES(common.scope.always, common.scope.n_always)},
    {.key = "never",
     .help = "networks that are not looked at",
     PREFIXES(common.scope.never, common.scope.n_never)},
    {.key = "always-domains",
     .help = "names that are looked at though never-domains has them",
     TEXTS("NAME", common.scope.always_domains, common.scope.n_always_domains, 4096)},
    {.key = "never-domains",
     .help = "names that are not looked at; *.example.com: it and all below",
     TEXTS("NAME", common.scope.never_domains, common.scope.n_never_domains, 4096)},
    {.key = "feeds",
     .help = "files of known-bad addresses, names and fingerprints, one a line; or\n"
             "folders of such files whose names end in .txt",
     TEXTS("PATH", common.feeds, common.n_feeds, 256)},
    {.key = "safelists",
     .help = "files of what is not shown",
     TEXTS("FILE", common.safelists, common.n_safelists, 64)},
    {.key = "asn",
     .value = "FILE",
     .help = "AS numbers of addresses (as of iptoasn.com), for safelists",
     .kind = YAML_TEXT,
     .at = offsetof(struct hunt_config, asn),
     .zero = "none"},
    {.key = "window",
     .help = "how much is judged, up to the newest record",
     .kind = YAML_TIME,
     .at = offsetof(struct hunt_config, window),
     .min = 3600 * SECOND,
     .max = 31 * DAY},
    {.key = "days",
     .help = "how many days are kept in memory",
     .kind = YAML_COUNT,
     .at = offsetof(struct hunt_config, common.days),
     .min = 2,
     .max = 92},
    {.key = "memory",
     .help = "for what hunts keep; auto: 2G, at most half of the machine's; of a\n"
             "running watch 1G, at most half of limits: memory",
     .kind = YAML_SIZE,
     .at = offsetof(struct hunt_config, common.memory),
     .min = 64ull << 20,
     .zero = "auto"},
    {.key = "off",
     .help = "hunts that do not run, by their names",
     TEXTS("HUNT", common.off, common.n_off, HUNT_CONFIG_MAX),
     .replaces = true},
    {.key = "live",
     .help = "whether a running watch hunts in what it logs",
     .kind = YAML_BOOL,
     .at = offsetof(struct hunt_config, common.live)},
    {.key = "every",
     .help = "of a running watch: between two judgings; more where one takes long",
     .kind = YAML_TIME,
     .at = offsetof(struct hunt_config, common.every),
     .min = SECOND,
     .max = 3600 * SECOND},
    {.key = "alert",
     .help = "of a running watch: the severity from which on it tells what it found",
     .kind = YAML_WORD,
     .at = offsetof(struct hunt_config, common.alert),
     .words = severities},
    {.key = "on-alert",
     .help = "run for a finding that is new or graver than before, which it gets as an\n"
             "object of JSON on its standard input; without a shell",
     TEXTS("PROGRAM, ARGUMENT", on_alert, n_on_alert, 64),
     .replaces = true},
};

#define N_COMMON (sizeof common_rows / sizeof common_rows[0])

struct hunt_config_rows {
    struct yaml_row rows[N_COMMON + HUNT_CONFIG_MAX + 1];
    char help[HUNT_CONFIG_MAX][HELP_MAX];
};

/* Lines of at most HELP_COLUMN characters, broken between words. */
static void wrap(const char *text, char out[HELP_MAX])
{
    size_t len = strnlen(text, HELP_MAX - 1), column = 0;
    memcpy(out, text, len);
    out[len] = '\0';
    for (size_t i = 0, space = 0; i < len; i++, column++) {
        if (out[i] == ' ')
            space = i;
        if (column >= HELP_COLUMN && space > 0) {
            out[space] = '\n';
            column = i - space;
            space = 0;
        }
    }
}

struct hunt_config_rows *hunt_config_rows_new(void)
{
    struct hunt_config_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return NULL;
    memcpy(rows->rows, common_rows, sizeof common_rows);
    size_t n = N_COMMON;
    for (size_t i = 0; hunts[i] && i < HUNT_CONFIG_MAX; i++) {
        if (!hunts[i]->settings)
            continue;
        wrap(hunts[i]->summary, rows->help[i]);
        rows->rows[n++] = (struct yaml_row){
            .key = hunts[i]->name,
            .help = rows->help[i],
            .kind = YAML_MAP,
            .rows = hunts[i]->settings,
            .at = offsetof(struct hunt_config, own) + i * HUNT_SETTINGS_MAX,
        };
    }
    return rows;
}

void hunt_config_rows_free(struct hunt_config_rows *rows)
{
    free(rows);
}

const struct yaml_row *hunt_config_rows_at(const struct hunt_config_rows *rows)
{
    return rows->rows;
}

bool hunt_config_init(struct hunt_config *config)
{
    struct hunt_settings defaults;
    hunt_settings_init(&defaults);
    config->common = (struct hunt_settings){
        .scope = {.internal = defaults.scope.internal, .n_internal = defaults.scope.n_internal},
        .memory = defaults.memory,
        .window = defaults.window,
        .days = defaults.days,
        .live = defaults.live,
        .every = defaults.every,
        .alert = defaults.alert,
    };
    config->window = defaults.window * 1000000;
    defaults.scope.internal = NULL; /* these are the configuration's now */
    defaults.scope.n_internal = 0;
    hunt_settings_done(&defaults);
    for (size_t i = 0; hunts[i] && i < HUNT_CONFIG_MAX; i++)
        if (hunts[i]->defaults)
            hunts[i]->defaults(config->own[i]);
    return config->common.scope.internal != NULL;
}

int hunt_config_check(void *with, struct err *err)
{
    const struct hunt_config *config = with;
    for (size_t i = 0; i < config->common.n_off; i++) {
        const char *name = config->common.off[i];
        struct nearest nearest = nearest_begin(name);
        char end[NEAREST_TEXT_MAX];
        bool found = false;
        for (size_t k = 0; hunts[k] && !found; k++) {
            found = strcmp(hunts[k]->name, name) == 0;
            nearest_try(&nearest, hunts[k]->name);
        }
        if (!found)
            return err_set(err, -EINVAL, "off: there is no hunt '%.40s'%s", name,
                           nearest_text(&nearest, end));
    }
    return 0;
}

/* ---- for an engine ---- */

static bool copy_prefixes(const struct hunt_prefix *from, size_t n, struct hunt_prefix **out,
                          size_t *out_n)
{
    struct hunt_prefix *copy = calloc(n + 1, sizeof *copy);
    if (!copy)
        return false;
    if (n)
        memcpy(copy, from, n * sizeof *copy);
    free(*out);
    *out = copy;
    *out_n = n;
    return true;
}

static bool copy_texts(char *const *from, size_t n, char ***out, size_t *out_n)
{
    *out = calloc(n + 1, sizeof **out);
    for (size_t i = 0; *out && i < n; i++) {
        (*out)[i] = strdup(from[i]);
        if (!(*out)[i])
            return false;
        *out_n = i + 1;
    }
    return *out != NULL;
}

/* By way of its text: a hunt's settings may own memory. */
static int copy_own(const struct hunt *hunt, const void *own, void *blob, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    struct yaml_doc *doc = NULL;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return err_set(err, -ENOMEM, "out of memory");
    yaml_put(hunt->settings, own, file);
    int result = fclose(file) == 0 ? 0 : err_set(err, -ENOMEM, "out of memory");
    if (result == 0)
        result = yaml_parse(text, size, hunt->name, &doc, err);
    if (result == 0)
        result = yaml_take(doc, hunt->settings, 0, blob, err);
    yaml_doc_free(doc);
    free(text);
    return result;
}

int hunt_config_settings(const struct hunt_config *config, struct hunt_settings *out,
                         struct err *err)
{
    const struct hunt_settings *from = &config->common;
    const struct hunt_scope *scope = &from->scope;
    int result = 0;
    hunt_settings_init(out);
    out->memory = from->memory;
    out->days = from->days;
    out->live = from->live;
    out->every = from->every;
    out->alert = from->alert;
    out->window = config->window / 1000000;
    out->scope.include_inbound = scope->include_inbound;
    if (!copy_prefixes(scope->internal, scope->n_internal, &out->scope.internal,
                       &out->scope.n_internal) ||
        !copy_prefixes(scope->always, scope->n_always, &out->scope.always, &out->scope.n_always) ||
        !copy_prefixes(scope->never, scope->n_never, &out->scope.never, &out->scope.n_never) ||
        !copy_texts(scope->always_domains, scope->n_always_domains, &out->scope.always_domains,
                    &out->scope.n_always_domains) ||
        !copy_texts(scope->never_domains, scope->n_never_domains, &out->scope.never_domains,
                    &out->scope.n_never_domains) ||
        !copy_texts(from->feeds, from->n_feeds, &out->feeds, &out->n_feeds) ||
        !copy_texts(from->safelists, from->n_safelists, &out->safelists, &out->n_safelists) ||
        !copy_texts(from->off, from->n_off, &out->off, &out->n_off))
        result = err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; hunts[i] && i < HUNT_CONFIG_MAX && result == 0; i++)
        if (hunts[i]->settings && out->blob[i])
            result = copy_own(hunts[i], config->own[i], out->blob[i], err);
    if (result < 0)
        hunt_settings_done(out);
    return result;
}
