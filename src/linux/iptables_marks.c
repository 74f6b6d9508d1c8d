/* What iptables-nft makes by itself, and how it goes again.
 *
 * It makes the table mangle, and in it the chains PREROUTING and POSTROUTING, when a rule is put
 * there, and never removes them. Nor can it tell whether they are there: iptables-save prints them
 * always. So nft is asked, which sees the same table; and what was not there before the first
 * mirror is noted in the table itself, as empty chains, which are made in the same transaction. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/iptables_parts.h"
#include "linux/nft_parts.h"

#define TABLE "mangle"

static const char *const hooks[] = {"PREROUTING", "POSTROUTING"};

static const char *family_name(int family)
{
    return family == LINUX_TEE_4 ? "ip" : "ip6";
}

static bool uses_nft(int family)
{
    static const char *const arguments[] = {"-V", NULL};
    struct program_result said;
    if (tee_run(family, "", arguments, NULL, &said, NULL) < 0)
        return false;
    bool does = strstr(said.out, "nf_tables") != NULL;
    program_done(&said);
    return does;
}

/* The table as nft prints it; NULL and true: there is none; false: that is not known. */
static bool list(int family, json_t **out)
{
    const char *const arguments[] = {"-j", "list", "table", family_name(family), TABLE, NULL};
    struct program_result said;
    struct err err;
    *out = NULL;
    int code = nft_run(arguments, NULL, &said, &err);
    if (code < 0)
        return code == -EOPNOTSUPP; /* "No such file or directory" */
    *out = json_loadb(said.out, said.out_size, 0, NULL);
    program_done(&said);
    return *out != NULL;
}

static size_t count_rules(const json_t *objects, const char *chain)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(objects); i++)
        n += strcmp(nft_string(json_object_get(json_array_get(objects, i), "rule"), "chain"),
                    chain) == 0;
    return n;
}

static const json_t *get_chain(const json_t *objects, const char *name)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *chain = json_object_get(json_array_get(objects, i), "chain");
        if (strcmp(nft_string(chain, "name"), name) == 0)
            return chain;
    }
    return NULL;
}

void tee_put_marks(int family, struct text *out)
{
    json_t *table = NULL;
    if (!uses_nft(family) || !list(family, &table))
        return;
    const json_t *objects = json_object_get(table, "nftables");
    if (!table)
        text_put(out, ":" TEE_MADE "table - [0:0]\n");
    for (size_t i = 0; i < 2; i++)
        if (!get_chain(objects, hooks[i]))
            text_format(out, ":" TEE_MADE "%s - [0:0]\n", hooks[i]);
    json_decref(table);
}

static bool add_deletion(json_t *commands, int family, const char *kind, const char *chain)
{
    json_t *object = json_pack("{s: s}", "family", family_name(family));
    bool ok = object != NULL;
    if (chain)
        ok &= json_object_set_new(object, "table", json_string(TABLE)) == 0;
    ok = ok && json_object_set_new(object, "name", json_string(chain ? chain : TABLE)) == 0;
    return json_array_append_new(commands, json_pack("{s: {s: o}}", "delete", kind, object)) == 0 &&
           ok;
}

/* What is in the table beside marks and chains that do nothing. */
static size_t count_others(const json_t *objects)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *object = json_array_get(objects, i);
        const json_t *chain = json_object_get(object, "chain");
        const char *name = nft_string(chain, "name");
        bool is_hook = strcmp(name, hooks[0]) == 0 || strcmp(name, hooks[1]) == 0;
        bool idle = is_hook && strcmp(nft_string(chain, "policy"), "accept") == 0;
        n += *name && !idle && strncmp(name, TEE_MADE, sizeof TEE_MADE - 1) != 0;
        n += json_object_get(object, "rule") || json_object_get(object, "set") ||
             json_object_get(object, "map");
    }
    return n;
}

static bool has_mirror(const json_t *objects)
{
    for (size_t i = 0; i < json_array_size(objects); i++)
        if (strncmp(nft_string(json_object_get(json_array_get(objects, i), "chain"), "name"),
                    TEE_PREFIX, sizeof TEE_PREFIX - 1) == 0)
            return true;
    return false;
}

/* What the marks tell of and nobody uses; then the marks themselves. */
static json_t *make_end(const json_t *objects, int family)
{
    json_t *commands = json_array();
    bool ok = true, whole = get_chain(objects, TEE_MADE "table") && count_others(objects) == 0;
    for (size_t i = 0; i < 2 && !whole; i++) {
        char mark[64];
        const json_t *chain = get_chain(objects, hooks[i]);
        (void)snprintf(mark, sizeof mark, TEE_MADE "%s", hooks[i]);
        if (!get_chain(objects, mark))
            continue;
        if (chain && count_rules(objects, hooks[i]) == 0 &&
            strcmp(nft_string(chain, "policy"), "accept") == 0)
            ok &= add_deletion(commands, family, "chain", hooks[i]);
        ok &= add_deletion(commands, family, "chain", mark);
    }
    if (whole)
        ok &= add_deletion(commands, family, "table", NULL);
    else if (get_chain(objects, TEE_MADE "table"))
        ok &= add_deletion(commands, family, "chain", TEE_MADE "table");
    if (ok)
        return commands;
    json_decref(commands);
    return NULL;
}

int tee_tidy(int family, struct err *err)
{
    json_t *table = NULL;
    int code = 0;
    if (!uses_nft(family) || !list(family, &table) || !table)
        return 0;
    const json_t *objects = json_object_get(table, "nftables");
    if (!has_mirror(objects)) {
        json_t *commands = make_end(objects, family);
        if (!commands)
            code = err_set(err, -ENOMEM, "no memory for nft's rules");
        else if (json_array_size(commands) > 0)
            code = nft_run_commands(commands, err);
        else
            json_decref(commands);
    }
    json_decref(table);
    return code;
}
