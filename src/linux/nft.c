/* Mirrors made by nftables: see nft.h. */
#include "linux/nft.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/program.h"
#include "linux/nft_parts.h"

#define TABLES_MAX 1024 /* mirrors of one machine; each has few */

static const char *const families[] = {
    [LINUX_NFT_NETDEV] = "netdev",
    [LINUX_NFT_IP] = "ip",
    [LINUX_NFT_IP6] = "ip6",
};

const char *linux_nft_family_name(int family)
{
    return families[family];
}

static bool is_mirror_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return len > 0 && len < 32 && name[len] == '\0';
}

/* A name with other characters in it would be nft's language, as which its arguments are read. */
bool nft_mirror_of(const char *table, char out[32])
{
    size_t prefix = sizeof NFT_PREFIX - 1;
    if (strncmp(table, NFT_PREFIX, prefix) != 0 || !is_mirror_name(table + prefix))
        return false;
    memcpy(out, table + prefix, strlen(table + prefix) + 1);
    return true;
}

/* The first error that nft tells of, without what it puts around it. */
static void find_reason(const char *complaint, char out[200])
{
    static const char start[] = "Error: ", usual[] = "Could not process rule: ";
    const char *at = strstr(complaint, start);
    at = at ? at + sizeof start - 1 : complaint;
    if (strncmp(at, usual, sizeof usual - 1) == 0)
        at += sizeof usual - 1;
    const char *end = strstr(at, " internal:");
    int len = end ? (int)(end - at) : (int)strlen(at);
    (void)snprintf(out, 200, "%.*s", len < 199 ? len : 199, at);
}

static int code_of(const char *reason)
{
    static const struct {
        const char *words;
        int code;
    } rows[] = {
        {"not permitted", -EPERM},
        {"Interface does not exist", -ENODEV},
        {"No such device", -ENODEV},
        {"not supported", -EOPNOTSUPP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(reason, rows[i].words))
            return rows[i].code;
    /* Of the kernel: a module is missing. */
    return strncmp(reason, "No such file or directory", 25) == 0 ? -EOPNOTSUPP : -EIO;
}

int nft_run(const char *const *arguments, const char *in, struct program_result *out,
            struct err *err)
{
    const struct program nft = {.name = "nft",
                                .package = "nftables",
                                .arguments = arguments,
                                .in = in,
                                .in_size = in ? strlen(in) : 0};
    char reason[200];
    int code = program_run(&nft, out, err);
    if (code < 0 || out->exit_code == 0)
        return code;
    find_reason(out->complaint, reason);
    program_done(out);
    code = code_of(reason);
    if (code == -EPERM)
        return err_set(err, code, "nft may only be asked by root");
    return err_set(err, code, "nft: %s", *reason ? reason : "failed and does not say why");
}

int nft_run_commands(json_t *commands, struct err *err)
{
    /* nft opens "-" as /dev/stdin, which not every small system has. */
    static const char *const arguments[] = {"-j", "-f", "/proc/self/fd/0", NULL};
    json_t *root = json_pack("{s: o}", "nftables", commands);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    struct program_result said;
    json_decref(root);
    if (!text)
        return err_set(err, -ENOMEM, "no memory for nft's rules");
    int code = nft_run(arguments, text, &said, err);
    if (code == 0)
        program_done(&said);
    free(text);
    return code;
}

static bool add_command(json_t *commands, const char *verb, json_t *object)
{
    return json_array_append_new(commands, json_pack("{s: o}", verb, object)) == 0;
}

/* Makes the table where it is not, so that deleting it goes well, and deletes it. */
static bool add_removal(json_t *commands, const char *mirror, int family)
{
    char name[NFT_TABLE_MAX];
    bool ok = true;
    nft_table_name(mirror, name);
    for (int i = 0; i < 2; i++)
        ok &= add_command(
            commands, i == 0 ? "add" : "delete",
            json_pack("{s: {s: s, s: s}}", "table", "family", families[family], "name", name));
    return ok;
}

static json_t *make_commands(const struct linux_nft *want, bool with_rules)
{
    json_t *objects = nft_rules_make(want), *commands = json_array();
    char comment[64];
    (void)snprintf(comment, sizeof comment, "cloudspan %.31s", want->mirror);
    bool ok = objects && add_removal(commands, want->mirror, want->family);
    for (size_t i = 0; i < json_array_size(objects); i++) {
        json_t *object = json_array_get(objects, i), *table = json_object_get(object, "table");
        if (table)
            ok &= json_object_set_new(table, "comment", json_string(comment)) == 0;
        if (with_rules || !json_object_get(object, "rule"))
            ok &= add_command(commands, "add", json_incref(object));
    }
    json_decref(objects);
    if (ok)
        return commands;
    json_decref(commands);
    return NULL;
}

static int check_device(const char *name, struct err *err)
{
    if (!nft_is_device(name))
        return err_set(err, -EINVAL, "interface \"%s\": nft cannot take such a name", name);
    if (if_nametoindex(name) == 0)
        return err_set(err, -ENODEV, "interface %s: there is none of that name", name);
    return 0;
}

static int check(const struct linux_nft *want, struct err *err)
{
    if (!is_mirror_name(want->mirror))
        return err_set(err, -EINVAL, "mirror \"%s\": a name has letters, digits, '-', '_' and '.'",
                       want->mirror);
    if (!want->in && !want->out)
        return err_set(err, -EINVAL, "mirror %s: it has no direction", want->mirror);
    if (want->rate > LINUX_NFT_RATE_MAX)
        return err_set(err, -ERANGE, "mirror %s: nft limits to %llu bytes a second at most",
                       want->mirror, (unsigned long long)LINUX_NFT_RATE_MAX);
    if (want->family != LINUX_NFT_NETDEV &&
        (want->family == LINUX_NFT_IP) != addr_is_v4(&want->gateway))
        return err_set(err, -EINVAL,
                       "mirror %s: the gateway of table %s has to be an IPv%d address",
                       want->mirror, families[want->family], want->family == LINUX_NFT_IP ? 4 : 6);
    int code = check_device(want->interface, err);
    return code < 0 ? code : check_device(want->to, err);
}

int nft_make(const struct linux_nft *want, bool with_rules, struct err *err)
{
    json_t *commands = make_commands(want, with_rules);
    return commands ? nft_run_commands(commands, err)
                    : err_set(err, -ENOMEM, "no memory for nft's rules");
}

int linux_nft_make(const struct linux_nft *want, struct err *err)
{
    int code = check(want, err);
    if (code < 0)
        return code;
    code = nft_make(want, true, err);
    if (code < 0 && code != -ENOENT && code != -EPERM)
        err_wrap(err, "table %s " NFT_PREFIX "%s", families[want->family], want->mirror);
    return code;
}

int linux_nft_remove(const char *mirror, int family, struct err *err)
{
    json_t *commands = json_array();
    if (!is_mirror_name(mirror) || !add_removal(commands, mirror, family)) {
        json_decref(commands);
        return err_set(err, -EINVAL, "mirror \"%s\": nft cannot remove its table", mirror);
    }
    return nft_run_commands(commands, err);
}

/* Reads one table, which may be gone by now. */
static int read_table(const char *mirror, int family, struct linux_nft_list *list, struct err *err)
{
    char name[NFT_TABLE_MAX];
    nft_table_name(mirror, name);
    const char *const as_json[] = {"-j", "list", "table", families[family], name, NULL};
    const char *const as_text[] = {"list", "table", families[family], name, NULL};
    struct program_result json = {0}, listing = {0};
    struct linux_nft_found found;
    int code = nft_run(as_json, NULL, &json, err);
    if (code == 0 && family == LINUX_NFT_NETDEV)
        code = nft_run(as_text, NULL, &listing, err);
    if (code == -EOPNOTSUPP || code == -ENOENT) { /* "No such file or directory" */
        program_done(&json);
        return 0;
    }
    if (code == 0)
        code = linux_nft_parse(json.out, json.out_size, listing.out, &found, err);
    program_done(&json);
    program_done(&listing);
    if (code < 0)
        return code;
    struct linux_nft_found *at = realloc(list->at, (list->n + 1) * sizeof *at);
    if (!at)
        return err_set(err, -ENOMEM, "no memory for nft's tables");
    list->at = at;
    at[list->n++] = found;
    return 0;
}

static int read_tables(const json_t *tables, const char *mirror, struct linux_nft_list *list,
                       struct err *err)
{
    int code = 0;
    for (size_t i = 0; i < json_array_size(tables) && code == 0 && list->n < TABLES_MAX; i++) {
        const json_t *table = json_object_get(json_array_get(tables, i), "table");
        char name[32];
        if (!nft_mirror_of(nft_string(table, "name"), name) ||
            (mirror && strcmp(mirror, name) != 0))
            continue;
        for (int family = 0; family < LINUX_NFT_N_FAMILIES && code == 0; family++)
            if (strcmp(nft_string(table, "family"), families[family]) == 0)
                code = read_table(name, family, list, err);
    }
    return code;
}

int linux_nft_find(const char *mirror, struct linux_nft_list *out, struct err *err)
{
    static const char *const arguments[] = {"-j", "list", "tables", NULL};
    struct program_result said;
    struct linux_nft_list list = {0};
    *out = list;
    int code = nft_run(arguments, NULL, &said, err);
    if (code == -ENOENT || code == -EOPNOTSUPP) /* no nft, or no nftables in the kernel: no table */
        return 0;
    if (code < 0)
        return code;
    json_t *root = json_loadb(said.out, said.out_size, 0, NULL);
    const json_t *tables = json_object_get(root, "nftables");
    if (json_is_array(tables))
        code = read_tables(tables, mirror, &list, err);
    else
        code = err_set(err, -EBADMSG, "nft -j list tables printed something else than tables");
    json_decref(root);
    program_done(&said);
    if (code < 0)
        linux_nft_list_done(&list);
    *out = list;
    return code;
}

void linux_nft_list_done(struct linux_nft_list *list)
{
    free(list->at);
    *list = (struct linux_nft_list){0};
}

void linux_nft_put_make(const struct linux_nft *want, struct text *out)
{
    json_t *objects = nft_rules_make(want);
    char name[NFT_TABLE_MAX], comment[64];
    const char *family = families[want->family];
    nft_table_name(want->mirror, name);
    (void)snprintf(comment, sizeof comment, "cloudspan %.31s", want->mirror);
    text_format(out, "nft -f - <<'END'\nadd table %s %s\ndelete table %s %s\n", family, name,
                family, name);
    nft_put_table(objects, comment, out);
    text_put(out, "END\n");
    out->failed |= !objects;
    json_decref(objects);
}

void linux_nft_put_remove(const char *mirror, int family, struct text *out)
{
    char name[NFT_TABLE_MAX];
    nft_table_name(mirror, name);
    text_format(out, "nft delete table %s %s\n", families[family], name);
}
