/* OS_* and clouds.yaml: see keystone_config.h. As openstackclient has it, a variable of the
 * environment counts more than the file. */
#include "cloud/keystone_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/yaml_tree.h"
#include "cloud/http.h"

#define PATH_SIZE 512

/* Names of the environment without "OS_", and of the file; the second ones are older. */
static const struct {
    const char *variables[3], *keys[3];
} rows[KEYSTONE_N_KEYS] = {
    [KEYSTONE_AUTH_TYPE] = {{"AUTH_TYPE", "AUTH_PLUGIN"}, {"auth_type", "auth_plugin"}},
    [KEYSTONE_AUTH_URL] = {{"AUTH_URL"}, {"auth_url"}},
    [KEYSTONE_USERNAME] = {{"USERNAME"}, {"username", "user_name"}},
    [KEYSTONE_USER_ID] = {{"USER_ID"}, {"user_id"}},
    [KEYSTONE_PASSWORD] = {{"PASSWORD"}, {"password"}},
    [KEYSTONE_USER_DOMAIN_NAME] = {{"USER_DOMAIN_NAME"}, {"user_domain_name"}},
    [KEYSTONE_USER_DOMAIN_ID] = {{"USER_DOMAIN_ID"}, {"user_domain_id"}},
    [KEYSTONE_PROJECT_NAME] = {{"PROJECT_NAME", "TENANT_NAME"}, {"project_name", "tenant_name"}},
    [KEYSTONE_PROJECT_ID] = {{"PROJECT_ID", "TENANT_ID"}, {"project_id", "tenant_id"}},
    [KEYSTONE_PROJECT_DOMAIN_NAME] = {{"PROJECT_DOMAIN_NAME"}, {"project_domain_name"}},
    [KEYSTONE_PROJECT_DOMAIN_ID] = {{"PROJECT_DOMAIN_ID"}, {"project_domain_id"}},
    [KEYSTONE_DEFAULT_DOMAIN_NAME] = {{"DEFAULT_DOMAIN_NAME"}, {"default_domain_name"}},
    [KEYSTONE_DEFAULT_DOMAIN_ID] = {{"DEFAULT_DOMAIN_ID", "DEFAULT_DOMAIN"},
                                    {"default_domain_id", "default_domain"}},
    [KEYSTONE_TOKEN] = {{"TOKEN", "AUTH_TOKEN"}, {"token", "auth_token"}},
    [KEYSTONE_APP_ID] = {{"APPLICATION_CREDENTIAL_ID"}, {"application_credential_id"}},
    [KEYSTONE_APP_NAME] = {{"APPLICATION_CREDENTIAL_NAME"}, {"application_credential_name"}},
    [KEYSTONE_APP_SECRET] = {{"APPLICATION_CREDENTIAL_SECRET"}, {"application_credential_secret"}},
    [KEYSTONE_REGION] = {{"REGION_NAME"}, {"region_name"}},
    [KEYSTONE_INTERFACE] = {{"INTERFACE", "ENDPOINT_TYPE"}, {"interface", "endpoint_type"}},
    [KEYSTONE_CACERT] = {{"CACERT"}, {"cacert"}},
    [KEYSTONE_CERT] = {{"CERT"}, {"cert"}},
    [KEYSTONE_KEY] = {{"KEY"}, {"key"}},
    [KEYSTONE_NETWORK_OVERRIDE] = {{"NETWORK_ENDPOINT_OVERRIDE"}, {"network_endpoint_override"}},
    [KEYSTONE_COMPUTE_OVERRIDE] = {{"COMPUTE_ENDPOINT_OVERRIDE"}, {"compute_endpoint_override"}},
    [KEYSTONE_IDENTITY_VERSION] = {{"IDENTITY_API_VERSION"}, {"identity_api_version"}},
    [KEYSTONE_VERIFY] = {{NULL}, {"verify"}},
    [KEYSTONE_INSECURE] = {{"INSECURE"}, {"insecure"}},
};

/* ---- YAML ---- */

/* A value of a mapping; NULL: it has none, or not the mapping. What "<<" merges in counts less. */
static const struct yaml_node *get(const struct yaml_doc *doc, const struct yaml_node *map,
                                   const char *key)
{
    const struct yaml_node *merged = NULL;
    if (!map || map->type != YAML_IS_MAP)
        return NULL;
    for (uint32_t at = map->first; at;) {
        const struct yaml_node *name = yaml_node(doc, at);
        const struct yaml_node *value = yaml_node(doc, name->next);
        if (strcmp(yaml_text(doc, name), key) == 0)
            return value;
        if (strcmp(yaml_text(doc, name), "<<") == 0)
            merged = value;
        at = value->next;
    }
    return merged ? get(doc, merged, key) : NULL;
}

static const char *text_of(const struct yaml_doc *doc, const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = get(doc, map, key);
    return node && node->type == YAML_IS_TEXT && !yaml_is_null(doc, node) ? yaml_text(doc, node)
                                                                          : NULL;
}

/* NULL: the document is empty. */
static const struct yaml_node *root_of(const struct yaml_doc *doc)
{
    return doc->root ? yaml_node(doc, doc->root) : NULL;
}

/* It held passwords. */
static void forget_doc(struct yaml_doc *doc)
{
    if (doc && doc->texts)
        explicit_bzero(doc->texts, doc->texts_size);
    yaml_doc_free(doc);
}

/* ---- files ---- */

/* The first of the places that has the file; *out stays NULL where none has. */
static int open_first(const char *const names[2], const char *variable, char path[PATH_SIZE],
                      struct yaml_doc **out, struct err *err)
{
    const char *asked = getenv(variable), *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
    *out = NULL;
    if (asked && *asked) {
        (void)snprintf(path, PATH_SIZE, "%s", asked);
        int result = yaml_parse_file(path, out, err);
        if (result != -ENOENT)
            return result;
    }
    for (int place = 0; place < 3; place++)
        for (int i = 0; i < 2; i++) {
            if (place == 1 && xdg && *xdg)
                (void)snprintf(path, PATH_SIZE, "%s/openstack/%s", xdg, names[i]);
            else if (place == 1 && home && *home)
                (void)snprintf(path, PATH_SIZE, "%s/.config/openstack/%s", home, names[i]);
            else if (place == 1)
                continue;
            else
                (void)snprintf(path, PATH_SIZE, "%s/%s", place ? "/etc/openstack" : ".", names[i]);
            int result = yaml_parse_file(path, out, err);
            if (result != -ENOENT)
                return result;
        }
    return 0;
}

static int set(struct keystone_config *config, enum keystone_key key, const char *value,
               struct err *err)
{
    char *copy = strdup(value);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    cloud_forget(config->value[key]);
    config->value[key] = copy;
    return 0;
}

/* Of files, "~/" is the home. */
static int set_path(struct keystone_config *config, enum keystone_key key, const char *value,
                    struct err *err)
{
    const char *home = getenv("HOME");
    char path[PATH_SIZE];
    bool is_path = key == KEYSTONE_CACERT || key == KEYSTONE_CERT || key == KEYSTONE_KEY;
    if (!is_path || strncmp(value, "~/", 2) != 0 || !home)
        return set(config, key, value, err);
    (void)snprintf(path, sizeof path, "%s%s", home, value + 1);
    return set(config, key, path, err);
}

/* What a cloud's entry has; what is set already stays, unless it `wins`. */
static int take_entry(const struct yaml_doc *doc, const struct yaml_node *entry, bool wins,
                      struct keystone_config *config, struct err *err)
{
    const struct yaml_node *auth = get(doc, entry, "auth");
    const struct yaml_node *regions = get(doc, entry, "regions");
    int result = 0;
    for (int key = 0; result == 0 && key < KEYSTONE_N_KEYS; key++) {
        const char *value = NULL;
        for (size_t i = 0; !value && i < 3 && rows[key].keys[i]; i++) {
            value = text_of(doc, auth, rows[key].keys[i]);
            if (!value)
                value = text_of(doc, entry, rows[key].keys[i]);
        }
        if (value && (wins || !config->value[key]))
            result = set_path(config, (enum keystone_key)key, value, err);
    }
    if (result == 0 && !config->value[KEYSTONE_REGION] && regions &&
        regions->type == YAML_IS_LIST && regions->first) {
        const struct yaml_node *first = yaml_node(doc, regions->first);
        const char *name =
            first->type == YAML_IS_MAP ? text_of(doc, first, "name") : yaml_text(doc, first);
        if (name && *name)
            result = set(config, KEYSTONE_REGION, name, err);
    }
    return result;
}

/* What the profile (once: vendor) of an entry adds, by clouds-public.yaml. */
static int take_profile(const char *profile, struct keystone_config *config, struct err *err)
{
    static const char *const names[2] = {"clouds-public.yaml", "clouds-public.yml"};
    char path[PATH_SIZE];
    struct yaml_doc *doc;
    const struct yaml_node *entry = NULL;
    int result = open_first(names, "OS_CLIENT_VENDOR_FILE", path, &doc, err);
    if (result == 0 && doc)
        entry = get(doc, get(doc, root_of(doc), "public-clouds"), profile);
    if (result == 0 && entry)
        result = take_entry(doc, entry, false, config, err);
    else if (result == 0 && !config->value[KEYSTONE_AUTH_URL])
        result = err_set(err, -ENOKEY,
                         "clouds.yaml: there is no profile %.80s in clouds-public.yaml, and "
                         "those that come with openstacksdk are not read here: write the cloud's "
                         "auth_url into clouds.yaml",
                         profile);
    forget_doc(doc);
    return result;
}

/* Names of the clouds of the file, for errors. */
static void list_clouds(const struct yaml_doc *doc, const struct yaml_node *clouds, char *out,
                        size_t size)
{
    size_t len = 0;
    for (uint32_t at = clouds && clouds->type == YAML_IS_MAP ? clouds->first : 0;
         at && len < size;) {
        const struct yaml_node *name = yaml_node(doc, at);
        int n = snprintf(out + len, size - len, "%s%s", len ? ", " : "", yaml_text(doc, name));
        len += n > 0 ? (size_t)n : 0;
        at = yaml_node(doc, name->next)->next;
    }
}

/* The entry's own values, then those of secure.yaml (which count more), then the profile's. */
static int take_cloud(const struct yaml_doc *doc, const char *path, const struct yaml_node *entry,
                      const char *cloud, struct keystone_config *config, struct err *err)
{
    static const char *const names[2] = {"secure.yaml", "secure.yml"};
    char secure_path[PATH_SIZE];
    struct yaml_doc *secure = NULL;
    const char *profile = text_of(doc, entry, "profile");
    if (!profile)
        profile = text_of(doc, entry, "cloud"); /* its older name */
    int result = take_entry(doc, entry, true, config, err);
    if (result == 0)
        result = open_first(names, "OS_CLIENT_SECURE_FILE", secure_path, &secure, err);
    if (result == 0 && secure)
        result = take_entry(secure, get(secure, get(secure, root_of(secure), "clouds"), cloud),
                            true, config, err);
    if (result == 0 && profile)
        result = take_profile(profile, config, err);
    forget_doc(secure);
    (void)snprintf(config->origin, sizeof config->origin, "cloud %.60s of %.300s", cloud, path);
    return result;
}

static int read_files(const char *cloud, struct keystone_config *config, struct err *err)
{
    static const char *const names[2] = {"clouds.yaml", "clouds.yml"};
    char path[PATH_SIZE], list[200] = "";
    struct yaml_doc *doc;
    int result = open_first(names, "OS_CLIENT_CONFIG_FILE", path, &doc, err);
    if (result < 0 || !doc)
        return result < 0 || !cloud
                   ? result
                   : err_set(err, -ENOKEY,
                             "the cloud %.80s: there is no clouds.yaml (looked for in ., in "
                             "~/.config/openstack, in /etc/openstack, and by "
                             "OS_CLIENT_CONFIG_FILE)",
                             cloud);
    const struct yaml_node *clouds = get(doc, root_of(doc), "clouds");
    const struct yaml_node *entry = cloud ? get(doc, clouds, cloud) : NULL;
    list_clouds(doc, clouds, list, sizeof list);
    if (!cloud && clouds && clouds->type == YAML_IS_MAP && clouds->n == 2) {
        const struct yaml_node *name = yaml_node(doc, clouds->first);
        cloud = yaml_text(doc, name);
        entry = yaml_node(doc, name->next);
    }
    if (entry)
        result = take_cloud(doc, path, entry, cloud, config, err);
    else if (cloud)
        result = err_set(err, -ENOKEY, "%.200s: there is no cloud %.80s (there is: %s)", path,
                         cloud, list[0] ? list : "none");
    else
        result = err_set(err, -ENOKEY, "which cloud of %.200s? --cloud %s", path,
                         list[0] ? list : "(it has none)");
    forget_doc(doc);
    return result;
}

/* ---- the environment ---- */

static int read_environment(struct keystone_config *config, struct err *err)
{
    int result = 0;
    for (int key = 0; result == 0 && key < KEYSTONE_N_KEYS; key++) {
        const char *value = NULL;
        for (size_t i = 0; (!value || !*value) && i < 3 && rows[key].variables[i]; i++) {
            char name[64];
            (void)snprintf(name, sizeof name, "OS_%s", rows[key].variables[i]);
            value = getenv(name);
        }
        if (value && *value)
            result = set(config, (enum keystone_key)key, value, err);
    }
    return result;
}

/* ---- both ---- */

static bool says(const char *value, const char *const *words)
{
    for (; value && *words; words++)
        if (strcasecmp(value, *words) == 0)
            return true;
    return false;
}

static int check(const struct keystone_config *config, struct err *err)
{
    static const char *const no[] = {"false", "no", "off", "0", NULL};
    static const char *const yes[] = {"true", "yes", "on", "1", NULL};
    const char *version = config->value[KEYSTONE_IDENTITY_VERSION];
    if (says(config->value[KEYSTONE_VERIFY], no) || says(config->value[KEYSTONE_INSECURE], yes))
        return err_set(err, -EINVAL,
                       "%s: certificates are always verified here: take OS_INSECURE or 'verify: "
                       "false' away, and give the cloud's own authority by OS_CACERT or 'cacert:'",
                       config->origin);
    if (version && version[0] != '3')
        return err_set(err, -EINVAL, "%s: of the Identity API only version 3 is spoken here",
                       config->origin);
    if (!config->value[KEYSTONE_AUTH_URL])
        return err_set(err, -ENOKEY,
                       "%s: it says nothing of where Keystone is (OS_AUTH_URL, or auth_url: in "
                       "clouds.yaml)",
                       config->origin);
    return 0;
}

int keystone_config_read(const char *cloud, struct keystone_config *out, struct err *err)
{
    struct keystone_config config = {.origin = "the environment"};
    const char *asked = cloud ? cloud : getenv("OS_CLOUD");
    const char *url = getenv("OS_AUTH_URL");
    bool is_file = (asked && *asked) || !url || !*url;
    int result = is_file ? read_files(asked && *asked ? asked : NULL, &config, err) : 0;
    if (result == 0)
        result = read_environment(&config, err);
    if (result == 0)
        result = check(&config, err);
    if (result < 0) {
        keystone_config_done(&config);
        return result;
    }
    *out = config;
    return 0;
}

void keystone_config_done(struct keystone_config *config)
{
    for (int key = 0; key < KEYSTONE_N_KEYS; key++)
        cloud_forget(config->value[key]);
    *config = (struct keystone_config){0};
}
