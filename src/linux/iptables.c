/* Mirrors made by iptables: see iptables.h. */
#include "linux/iptables.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/iptables_parts.h"

/* What it complained about, without the program's name and version in front: "iptables-restore
 * v1.8.9 (nf_tables): line 5: …". */
static const char *reason_of(const char *complaint)
{
    const char *version = strstr(complaint, "tables): "), *legacy = strstr(complaint, "legacy): ");
    const char *at = version ? version : legacy;
    if (!*complaint)
        return "failed and does not say why";
    return at ? strchr(at, ' ') + 1 : complaint;
}

static int code_of(const char *complaint)
{
    static const struct {
        const char *words;
        int code;
    } rows[] = {
        {"you must be root", -EPERM},
        {"Permission denied", -EPERM},
        {"not permitted", -EPERM},
        {"missing kernel module", -EOPNOTSUPP},
        {"No chain/target/match by that name", -EOPNOTSUPP},
        {"No such file or directory", -EOPNOTSUPP}, /* of iptables-nft */
        {"does not exist", -EOPNOTSUPP},            /* the table */
        {"not supported", -EOPNOTSUPP},
        {"Couldn't load", -EOPNOTSUPP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(complaint, rows[i].words))
            return rows[i].code;
    return -EIO;
}

int tee_run(int family, const char *which, const char *const *arguments, const char *in,
            struct program_result *out, struct err *err)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%s%s", family == LINUX_TEE_4 ? "iptables" : "ip6tables",
                   which);
    const struct program program = {.name = name,
                                    .package = "iptables",
                                    .arguments = arguments,
                                    .in = in,
                                    .in_size = in ? strlen(in) : 0};
    int code = program_run(&program, out, err);
    if (code < 0 || out->exit_code == 0)
        return code;
    code = code_of(out->complaint);
    if (code == -EPERM)
        (void)err_set(err, code, "%s may only be asked by root", name);
    else
        (void)err_set(err, code, "%s: %s", name, reason_of(out->complaint));
    program_done(out);
    return code;
}

/* What is there; where the kernel has no such table, nothing. */
static int save(int family, struct program_result *out, struct err *err)
{
    static const char *const arguments[] = {"-c", "-t", "mangle", NULL};
    int code = tee_run(family, "-save", arguments, NULL, out, err);
    if (code != -EOPNOTSUPP)
        return code;
    *out = (struct program_result){.out = calloc(1, 1)};
    return out->out ? 0 : err_set(err, -ENOMEM, "no memory for the rules of iptables");
}

/* All of it, or nothing, is done. */
static int restore(int family, const struct text *lines, struct err *err)
{
    static const char *const arguments[] = {"-w", "10", "--noflush", NULL};
    struct program_result said;
    if (lines->failed)
        return err_set(err, -ENOMEM, "no memory for the rules of iptables");
    int code = tee_run(family, "-restore", arguments, lines->at, &said, err);
    if (code == 0)
        program_done(&said);
    return code;
}

/* Lines that end what is there of one mirror: each jump as it was printed, and the chains but those
 * that stay and are only emptied. */
static void put_end(const struct tee_lines *lines, const bool stays[2], struct text *out)
{
    for (int in = 0; in < 2; in++)
        for (const char *at = lines->jumps[in].at; at && *at;) {
            size_t len = strcspn(at, "\n");
            text_put(out, "-D");
            text_add(out, at + 2, len - 2);
            text_put(out, "\n");
            at += len + (at[len] == '\n');
        }
    for (int in = 0; in < 2; in++)
        if (lines->has_chain[in]) {
            char chain[TEE_CHAIN_MAX];
            tee_chain_name(lines->mirror, in, chain);
            text_format(out, "-F %s\n", chain);
            if (!stays[in])
                text_format(out, "-X %s\n", chain);
        }
}

static int read_state(const char *mirror, int family, struct tee_state *out, struct err *err)
{
    struct program_result saved;
    int code = save(family, &saved, err);
    if (code < 0)
        return code;
    code = tee_sort(saved.out, mirror, out, err);
    program_done(&saved);
    return code;
}

int tee_make(const struct linux_tee *want, struct err *err)
{
    const bool wanted[2] = {want->out, want->in};
    struct tee_state state = {0};
    struct text lines;
    int code = read_state(want->mirror, want->family, &state, err);
    if (code < 0)
        return code;
    const struct tee_lines *old = state.n > 0 ? &state.at[0] : NULL;
    text_init(&lines, TEE_TEXT_MAX);
    text_put(&lines, "*mangle\n");
    tee_put_marks(want->family, &lines);
    for (int in = 0; in < 2; in++) {
        char chain[TEE_CHAIN_MAX];
        tee_chain_name(want->mirror, in, chain);
        if (wanted[in] && (!old || !old->has_chain[in]))
            text_format(&lines, ":%s - [0:0]\n", chain);
    }
    if (old)
        put_end(old, wanted, &lines);
    for (int in = 0; in < 2; in++)
        if (wanted[in]) {
            size_t at;
            tee_put_rules(want, in, &lines);
            at = lines.size;
            tee_put_jump(want, in, &lines);
            if (!lines.failed)
                lines.at[at + 1] = 'I'; /* in front of all */
        }
    text_put(&lines, "COMMIT\n");
    code = restore(want->family, &lines, err);
    text_done(&lines);
    tee_state_done(&state);
    return code;
}

static int check_device(const char *name, struct err *err)
{
    if (!tee_is_device(name))
        return err_set(err, -EINVAL, "interface \"%s\": iptables cannot take such a name", name);
    if (if_nametoindex(name) == 0)
        return err_set(err, -ENODEV, "interface %s: there is none of that name", name);
    return 0;
}

int linux_tee_make(const struct linux_tee *want, struct err *err)
{
    if (!tee_is_mirror_name(want->mirror))
        return err_set(err, -EINVAL, "mirror \"%s\": a name has letters, digits, '-', '_' and '.'",
                       want->mirror);
    if (!want->in && !want->out)
        return err_set(err, -EINVAL, "mirror %s: it has no direction", want->mirror);
    if (addr_is_v4(&want->gateway) != (want->family == LINUX_TEE_4))
        return err_set(err, -EINVAL, "mirror %s: the gateway of %s has to be an IPv%d address",
                       want->mirror, want->family == LINUX_TEE_4 ? "iptables" : "ip6tables",
                       want->family == LINUX_TEE_4 ? 4 : 6);
    int code = check_device(want->interface, err);
    if (code == 0 && *want->to)
        code = check_device(want->to, err);
    if (code < 0)
        return code;
    code = tee_make(want, err);
    if (code < 0 && code != -ENOENT && code != -EPERM)
        err_wrap(err, "mirror %s", want->mirror);
    return code;
}

int linux_tee_remove(const char *mirror, int family, struct err *err)
{
    static const bool stays[2] = {false, false};
    struct tee_state state = {0};
    struct text lines;
    if (!tee_is_mirror_name(mirror))
        return err_set(err, -EINVAL, "mirror \"%s\": iptables cannot remove its rules", mirror);
    int code = read_state(mirror, family, &state, err);
    if (code == -ENOENT)
        return 0;
    if (code == 0 && state.n > 0) {
        text_init(&lines, TEE_TEXT_MAX);
        text_put(&lines, "*mangle\n");
        put_end(&state.at[0], stays, &lines);
        text_put(&lines, "COMMIT\n");
        code = restore(family, &lines, err);
        text_done(&lines);
    }
    tee_state_done(&state);
    return code < 0 ? code : tee_tidy(family, err);
}

int linux_tee_find(const char *mirror, struct linux_tee_list *out, struct err *err)
{
    struct linux_tee_list list = {0};
    int code = 0;
    *out = list;
    for (int family = 0; family < LINUX_TEE_N_FAMILIES && code == 0; family++) {
        struct program_result saved;
        code = save(family, &saved, err);
        if (code == 0) {
            code = linux_tee_parse(saved.out, family, mirror, &list, err);
            program_done(&saved);
        } else if (code == -ENOENT) {
            code = 0;
        }
    }
    if (code < 0)
        linux_tee_list_done(&list);
    *out = list;
    return code;
}

void linux_tee_list_done(struct linux_tee_list *list)
{
    free(list->at);
    *list = (struct linux_tee_list){0};
}
