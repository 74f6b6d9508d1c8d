/* Loading the configuration: which files, in what order, and what is made of them. See config.h. */
#include "sensor/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor/config_parts.h"
#include "source/network.h"

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "no memory for the configuration");
}

int config_new(struct config **out, struct err *err)
{
    struct config *config = calloc(1, sizeof *config);
    if (config)
        config->table = config_table_new();
    if (!config || !config->table || !config_set_defaults(config)) {
        config_free(config);
        return no_memory(err);
    }
    *out = config;
    return 0;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    if (config->table)
        yaml_drop(config_table_rows(config->table), config);
    config_table_free(config->table);
    network_list_free(config->network_list);
    config_index_free(config->index);
    for (size_t i = 0; i < config->n_files; i++)
        free(config->files[i]);
    free(config->files);
    free(config);
}

/* Puts what a document says over what others said. */
static int add_doc(struct config *config, const struct yaml_doc *doc, struct err *err)
{
    char **grown = realloc(config->files, (config->n_files + 1) * sizeof *grown);
    if (!grown)
        return no_memory(err);
    config->files = grown;
    config->files[config->n_files] = strdup(doc->name);
    if (!config->files[config->n_files])
        return no_memory(err);
    return yaml_take(doc, config_table_rows(config->table), (uint16_t)config->n_files++, config,
                     err);
}

/* All files are read: what follows from them together. Takes `config`. */
static int finish(struct config *config, int result, struct config **out, struct err *err)
{
    if (result == 0)
        result = config_check(config, err);
    if (result == 0)
        result = config_index_make(config, err);
    if (result == 0)
        *out = config;
    else
        config_free(config);
    return result;
}

int config_add_file(struct config *config, const char *path, struct err *err)
{
    struct yaml_doc *doc = NULL;
    if (config->n_files == CONFIG_MAX_FILES)
        return err_set(err, -E2BIG, "%s: more than %d files", path, CONFIG_MAX_FILES);
    int result = yaml_parse_file(path, &doc, err);
    if (result == 0)
        result = add_doc(config, doc, err);
    yaml_doc_free(doc);
    return result;
}

int config_load_files(const char *const *paths, size_t n, struct config **out, struct err *err)
{
    struct config *config;
    int result = config_new(&config, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < n && result == 0; i++)
        result = config_add_file(config, paths[i], err);
    config->n_named = config->n_sources;
    return finish(config, result, out, err);
}

int config_load_text(const char *text, size_t size, const char *name, struct config **out,
                     struct err *err)
{
    struct yaml_doc *doc = NULL;
    struct config *config;
    int result = config_new(&config, err);
    if (result < 0)
        return result;
    result = yaml_parse(text, size, name, &doc, err);
    if (result == 0)
        result = add_doc(config, doc, err);
    yaml_doc_free(doc);
    config->n_named = config->n_sources;
    return finish(config, result, out, err);
}

/* Files that editors and package managers leave begin with a dot or end otherwise. */
static int is_yaml(const struct dirent *entry)
{
    struct str name = str_c(entry->d_name);
    if (name.len == 0 || name.at[0] == '.')
        return 0;
    return (name.len > 5 && str_eq(str_from(name, name.len - 5), STR(".yaml"))) ||
           (name.len > 4 && str_eq(str_from(name, name.len - 4), STR(".yml")));
}

/* By bytes: the same in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int config_list_files(const char *folder, char ***out, size_t *out_n, struct err *err)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_yaml, by_name);
    *out = NULL;
    *out_n = 0;
    if (n < 0 && errno == ENOENT)
        return 0;
    if (n < 0) {
        int code = -errno;
        return err_set(err, code, "%s: %s", folder, strerror(-code));
    }
    char **paths = calloc((size_t)n + 1, sizeof *paths);
    int result = paths ? 0 : no_memory(err);
    for (int i = 0; i < n; i++) {
        if (result == 0 && asprintf(&paths[i], "%s/%s", folder, names[i]->d_name) < 0) {
            paths[i] = NULL;
            result = no_memory(err);
        }
        free(names[i]);
    }
    free(names);
    for (int i = 0; result < 0 && paths && i < n; i++)
        free(paths[i]);
    if (result < 0) {
        free(paths);
        return result;
    }
    *out = paths;
    *out_n = (size_t)n;
    return 0;
}

static int add_folder(struct config *config, const char *folder, struct err *err)
{
    char **paths;
    size_t n;
    int result = config_list_files(folder, &paths, &n, err);
    for (size_t i = 0; i < n; i++) {
        if (result == 0)
            result = config_add_file(config, paths[i], err);
        free(paths[i]);
    }
    free(paths);
    return result;
}

int config_load(const char *path, struct config **out, struct err *err)
{
    struct config *config;
    char folder[4096];
    int result = config_new(&config, err);
    if (result < 0)
        return result;
    const char *file = path ? path : CONFIG_FILE;
    const char *slash = strrchr(file, '/');
    int len =
        snprintf(folder, sizeof folder, "%.*sconf.d", slash ? (int)(slash - file) + 1 : 0, file);
    if (len < 0 || (size_t)len >= sizeof folder)
        result = err_set(err, -ENAMETOOLONG, "%s: the path is too long", file);
    /* Without -c the file need not be there; what is there has to be good. */
    if (result == 0 && (path || access(file, F_OK) == 0))
        result = config_add_file(config, file, err);
    if (result == 0)
        result = add_folder(config, folder, err);
    config->n_named = config->n_sources;
    if (result == 0)
        result = config_add_records(config, err);
    return finish(config, result, out, err);
}

int config_load_records(const struct config *before, struct config **out, struct err *err)
{
    struct config own = *before, *config = NULL;
    struct yaml_doc *doc = NULL;
    char *text = NULL;
    size_t size = 0;
    own.n_sources = before->n_named;
    FILE *file = open_memstream(&text, &size);
    int result = file ? 0 : no_memory(err);
    if (file) {
        config_dump(&own, file);
        if (fclose(file) != 0)
            result = no_memory(err);
    }
    if (result == 0)
        result = config_new(&config, err);
    if (result == 0)
        result = yaml_parse(text, size, "the configuration", &doc, err);
    if (result == 0)
        result = add_doc(config, doc, err);
    if (result == 0) {
        config->n_named = config->n_sources;
        result = config_add_records(config, err);
    }
    yaml_doc_free(doc);
    free(text);
    return config ? finish(config, result, out, err) : result;
}

void config_dump(const struct config *config, FILE *out)
{
    yaml_put(config_table_rows(config->table), config, out);
}

void config_reference(FILE *out)
{
    struct config *config = NULL;
    if (config_new(&config, NULL) < 0)
        return;
    yaml_reference(config_table_rows(config->table), config, out);
    config_free(config);
}

int config_each_key(int (*each)(const char *path, const struct yaml_row *row, void *with),
                    void *with)
{
    struct config_table *table = config_table_new();
    int result = table ? yaml_each(config_table_rows(table), each, with) : -ENOMEM;
    config_table_free(table);
    return result;
}

bool config_admits_all(const struct config *config)
{
    if (config->admit == CONFIG_ADMIT_AUTO)
        return config->n_sources == 0;
    return config->admit == CONFIG_ADMIT_ALL;
}
