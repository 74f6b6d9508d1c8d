/* A mirror's rules as iptables-save prints them: what they are for, and whether they are as they
 * should be. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/differ.h"
#include "linux/iptables_parts.h"
#include "linux/text.h"

#define WORDS_MAX   64
#define LINE_MAX    4096
#define MIRRORS_MAX 256

/* The words of a line; borrowed from it. */
struct words {
    char *at[WORDS_MAX];
    size_t n;
};

/* Cuts the line in place. Words with spaces are in double quotes, with '\' before quotes. What is
 * more than fits is no line of ours. */
static void cut(char *line, struct words *out)
{
    out->n = 0;
    for (char *from = line;;) {
        from += strspn(from, " ");
        if (!*from || out->n == WORDS_MAX)
            return;
        bool quoted = *from == '"';
        char *to = from += quoted;
        out->at[out->n++] = to;
        while (*from && *from != (quoted ? '"' : ' ')) {
            from += quoted && *from == '\\' && from[1];
            *to++ = *from++;
        }
        from += *from != '\0';
        *to = '\0';
    }
}

/* The word behind one of the names, or "". */
static const char *after(const struct words *words, const char *name)
{
    for (size_t i = 0; i + 1 < words->n; i++)
        if (strcmp(words->at[i], name) == 0)
            return words->at[i + 1];
    return "";
}

/* Protocols that have a number or one of two names. */
static const char *protocol_name(const char *word)
{
    static const char *const names[][2] = {{"17", "udp"},           {"47", "gre"},
                                           {"1", "icmp"},           {"58", "ipv6-icmp"},
                                           {"icmpv6", "ipv6-icmp"}, {"icmp6", "ipv6-icmp"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i][0]) == 0)
            return names[i][1];
    return word;
}

/* The line as we write it. */
static void put_words(const struct words *words, struct text *out)
{
    const char *before = "";
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->at[i];
        if (strcmp(before, "-p") == 0)
            word = protocol_name(word);
        bool quoted = strcmp(before, "--comment") == 0 || strpbrk(word, " \"") || !*word;
        text_put(out, i > 0 ? " " : "");
        text_put(out, quoted ? "\"" : "");
        text_put(out, word);
        text_put(out, quoted ? "\"" : "");
        before = words->at[i];
    }
    text_put(out, "\n");
}

static struct tee_lines *get_mirror(struct tee_state *state, const char *name)
{
    for (size_t i = 0; i < state->n; i++)
        if (strcmp(state->at[i].mirror, name) == 0)
            return &state->at[i];
    struct tee_lines *at =
        state->n < MIRRORS_MAX ? realloc(state->at, (state->n + 1) * sizeof *at) : NULL;
    if (!at)
        return NULL;
    state->at = at;
    at = &state->at[state->n++];
    *at = (struct tee_lines){0};
    (void)snprintf(at->mirror, sizeof at->mirror, "%.31s", name);
    for (int i = 0; i < 2; i++) {
        text_init(&at->rules[i], TEE_TEXT_MAX);
        text_init(&at->jumps[i], TEE_TEXT_MAX);
    }
    return at;
}

void tee_state_done(struct tee_state *state)
{
    for (size_t i = 0; i < state->n; i++)
        for (int j = 0; j < 2; j++) {
            text_done(&state->at[i].rules[j]);
            text_done(&state->at[i].jumps[j]);
        }
    free(state->at);
    *state = (struct tee_state){0};
}

/* Whether the chain is of this mirror, and of which direction. */
static bool is_chain_of(const char *chain, const char *mirror, bool *out_in)
{
    for (int in = 0; in < 2; in++) {
        char name[TEE_CHAIN_MAX];
        tee_chain_name(mirror, in, name);
        if (strcmp(name, chain) == 0) {
            *out_in = in;
            return true;
        }
    }
    return false;
}

/* The mirror of a chain that has no rule to tell it. Of a long name only what was kept of it is
 * known, with which the same chains are found again. */
static bool mirror_of_chain(const char *chain, char out[32])
{
    size_t prefix = sizeof TEE_PREFIX - 1, len = strlen(chain);
    bool in;
    if (strncmp(chain, TEE_PREFIX, prefix) != 0 || len < prefix + 3 || len >= TEE_CHAIN_MAX)
        return false;
    memcpy(out, chain + prefix, len - prefix - 2);
    out[len - prefix - 2] = '\0';
    return tee_is_mirror_name(out) && is_chain_of(chain, out, &in);
}

/* The mirror whose chain it is, of those that are known; NULL: it is nobody's. */
static struct tee_lines *owner(struct tee_state *state, const char *chain, bool *out_in)
{
    for (size_t i = 0; i < state->n; i++)
        if (is_chain_of(chain, state->at[i].mirror, out_in))
            return &state->at[i];
    return NULL;
}

/* ":CSPN-web-I - [0:0]" */
static int take_chain(const struct words *words, const char *mirror, struct tee_state *state)
{
    char name[32];
    const char *chain = words->at[0] + 1;
    bool in;
    struct tee_lines *lines = owner(state, chain, &in);
    if (!lines && mirror && is_chain_of(chain, mirror, &in))
        lines = get_mirror(state, mirror);
    else if (!lines && (mirror || !mirror_of_chain(chain, name) || !is_chain_of(chain, name, &in)))
        return 0;
    else if (!lines)
        lines = get_mirror(state, name);
    if (!lines)
        return -ENOMEM;
    lines->has_chain[in] = true;
    return 0;
}

/* "[12:3456]" */
static void take_counts(const char *word, uint64_t *packets, uint64_t *bytes)
{
    uint64_t n, m;
    const char *at = word + 1;
    if (*word != '[' || !text_number(&at, 10, &n) || *at != ':' || !text_number(&at, 10, &m))
        return;
    *packets = n;
    *bytes = m;
}

static void take_filter(const char *bytecode, struct linux_tee *out)
{
    uint64_t n, values[4];
    if (!text_number(&bytecode, 10, &n) || n > LINUX_TEE_FILTER_MAX)
        return;
    for (size_t i = 0; i < n; i++) {
        if (*bytecode++ != ',')
            return;
        for (int j = 0; j < 4; j++)
            if (!text_number(&bytecode, 10, &values[j]) || values[j] > (j == 0  ? UINT16_MAX
                                                                        : j < 3 ? UINT8_MAX
                                                                                : UINT32_MAX))
                return;
        out->filter[i] = (struct linux_bpf_line){.code = (uint16_t)values[0],
                                                 .yes = (uint8_t)values[1],
                                                 .no = (uint8_t)values[2],
                                                 .k = (uint32_t)values[3]};
    }
    out->n_filter = *bytecode ? 0 : n;
}

static void take_exclusion(const struct words *words, struct linux_tee *out)
{
    char address[64];
    struct linux_exclusion e = {0};
    const char *port = after(words, "--dport"), *protocol = protocol_name(after(words, "-p"));
    uint64_t number = 0;
    (void)snprintf(address, sizeof address, "%.*s", (int)strcspn(after(words, "-d"), "/"),
                   after(words, "-d"));
    if (!addr_parse(address, &e.collector) || out->n_exclusions == LINUX_EXCLUSIONS_MAX)
        return;
    if (strcmp(protocol, "udp") == 0 && text_number(&port, 10, &number) && !*port &&
        number <= UINT16_MAX) {
        e.protocol = IPPROTO_UDP;
        e.port = (uint16_t)number;
    } else if (strcmp(protocol, "gre") == 0) {
        e.protocol = IPPROTO_GRE;
    } else {
        return;
    }
    for (size_t i = 0; i < out->n_exclusions; i++)
        if (linux_exclusion_eq(&out->exclusions[i], &e))
            return; /* of the other direction */
    out->exclusions[out->n_exclusions++] = e;
}

static void copy_device(char out[16], const char *word)
{
    if (strlen(word) < 16)
        (void)snprintf(out, 16, "%s", word);
}

static void take_own_rule(const struct words *words, const char *counts, bool in,
                          struct tee_lines *lines)
{
    struct linux_tee *is = &lines->found.is;
    struct linux_tee_count *count = in ? &lines->found.in : &lines->found.out;
    const char *target = after(words, "-j");
    put_words(words, &lines->rules[in]);
    if (strcmp(target, "RETURN") == 0)
        take_exclusion(words, is);
    if (strcmp(target, "TEE") != 0)
        return;
    (void)addr_parse(after(words, "--gateway"), &is->gateway);
    copy_device(is->to, after(words, "--oif"));
    if (*after(words, "--bytecode"))
        take_filter(after(words, "--bytecode"), is);
    take_counts(counts, &count->n_copied, &count->bytes_copied);
}

static void take_jump(const struct words *words, const char *counts, bool in, const char *before,
                      struct tee_lines *lines)
{
    struct linux_tee *is = &lines->found.is;
    struct linux_tee_count *count = in ? &lines->found.in : &lines->found.out;
    put_words(words, &lines->jumps[in]);
    copy_device(is->interface, after(words, in ? "-i" : "-o"));
    *(in ? &is->in : &is->out) = true;
    take_counts(counts, &count->n_seen, &count->bytes_seen);
    if (*before)
        (void)snprintf(lines->strange, sizeof lines->strange,
                       "in front of it in %s is a rule that ends there: %s", tee_hook(in), before);
}

/* What ends a chain, so that the rules behind it see nothing more of a packet. */
static bool is_end(const struct words *words)
{
    static const char *const ends[] = {"ACCEPT", "DROP", "RETURN", "QUEUE", "NFQUEUE", NULL};
    for (size_t i = 0; ends[i]; i++)
        if (strcmp(after(words, "-j"), ends[i]) == 0)
            return true;
    return false;
}

/* What was read of the rules of PREROUTING and POSTROUTING so far: the first that ends. */
struct ends {
    char text[2][80];
};

/* The mirror that a rule's comment names, where the rule is one of its; false: none. */
static bool names_mirror(const struct words *words, char out[32], bool *out_is_jump)
{
    const char *comment = after(words, "--comment"), *name = comment + sizeof TEE_COMMENT - 1;
    bool in;
    if (strncmp(comment, TEE_COMMENT, sizeof TEE_COMMENT - 1) != 0 || !tee_is_mirror_name(name))
        return false;
    (void)snprintf(out, 32, "%s", name);
    *out_is_jump = is_chain_of(after(words, "-j"), name, &in);
    return *out_is_jump || is_chain_of(words->at[1], name, &in);
}

static void note_end(const struct words *words, char out[80])
{
    struct text text;
    if (*out || !is_end(words))
        return;
    text_init(&text, TEE_TEXT_MAX);
    put_words(words, &text);
    if (text.at)
        (void)snprintf(out, 80, "%.*s", (int)strcspn(text.at, "\n"), text.at);
    text_done(&text);
}

static void take_rule(const struct words *words, const char *counts, struct ends *ends,
                      struct tee_state *state)
{
    const char *chain = words->at[1];
    char name[32];
    bool in = strcmp(chain, tee_hook(true)) == 0, is_jump, own_in;
    if (!in && strcmp(chain, tee_hook(false)) != 0) {
        struct tee_lines *lines = owner(state, chain, &in);
        if (lines) /* whatever its comment says */
            take_own_rule(words, counts, in, lines);
        return;
    }
    if (!names_mirror(words, name, &is_jump) || !is_jump) {
        note_end(words, ends->text[in]);
        return;
    }
    struct tee_lines *lines = owner(state, after(words, "-j"), &own_in);
    if (lines && strcmp(lines->mirror, name) == 0)
        take_jump(words, counts, in, ends->text[in], lines);
}

/* The whole is read three times: the names that rules tell, chains, rules. A chain with a long name
 * does not tell all of it. */
enum stage { STAGE_NAMES, STAGE_CHAINS, STAGE_RULES, STAGE_END };

static int take_line(char *line, enum stage stage, const char *mirror, struct ends *ends,
                     struct tee_state *state)
{
    struct words words;
    const char *counts = "";
    char name[32];
    bool is_jump;
    cut(line, &words);
    if (words.n > 0 && words.at[0][0] == ':')
        return stage == STAGE_CHAINS ? take_chain(&words, mirror, state) : 0;
    if (words.n > 0 && words.at[0][0] == '[') {
        counts = words.at[0];
        memmove(words.at, words.at + 1, --words.n * sizeof *words.at);
    }
    if (words.n < 2 || strcmp(words.at[0], "-A") != 0)
        return 0;
    if (stage == STAGE_RULES)
        take_rule(&words, counts, ends, state);
    if (stage == STAGE_NAMES && names_mirror(&words, name, &is_jump) &&
        (!mirror || strcmp(mirror, name) == 0))
        return get_mirror(state, name) ? 0 : -ENOMEM;
    return 0;
}

int tee_sort(const char *saved, const char *mirror, struct tee_state *out, struct err *err)
{
    struct tee_state state = {0};
    struct ends ends = {0};
    char line[LINE_MAX];
    int code = 0;
    for (int stage = 0; stage < STAGE_END; stage++) {
        bool in_mangle = true;
        for (const char *at = saved; at && *at && code == 0; at = text_next_line(at)) {
            size_t len = strcspn(at, "\n");
            if (*at == '*')
                in_mangle = len == 7 && strncmp(at, "*mangle", 7) == 0;
            if (len >= sizeof line)
                len = sizeof line - 1;
            memcpy(line, at, len);
            line[len] = '\0';
            if (in_mangle)
                code = take_line(line, (enum stage)stage, mirror, &ends, &state);
        }
    }
    if (code < 0) {
        tee_state_done(&state);
        return err_set(err, code, "no memory for the rules of iptables");
    }
    *out = state;
    return 0;
}

/* Whether the lines of one direction are as they should be. */
static bool is_right(struct tee_lines *lines, bool in)
{
    const struct linux_tee *is = &lines->found.is;
    bool wanted = in ? is->in : is->out;
    struct text rules, jump;
    text_init(&rules, TEE_TEXT_MAX);
    text_init(&jump, TEE_TEXT_MAX);
    if (wanted) {
        tee_put_rules(is, in, &rules);
        tee_put_jump(is, in, &jump);
    }
    const char *have_rules = lines->rules[in].at, *have_jumps = lines->jumps[in].at;
    bool failed = rules.failed || jump.failed || lines->rules[in].failed || lines->jumps[in].failed;
    char *strange = lines->strange;
    bool differ = differ_lines(have_jumps ? have_jumps : "", jump.at ? jump.at : "", strange,
                               sizeof lines->strange) ||
                  differ_lines(have_rules ? have_rules : "", rules.at ? rules.at : "", strange,
                               sizeof lines->strange);
    if (!differ && (failed || lines->has_chain[in] != wanted))
        (void)snprintf(strange, sizeof lines->strange,
                       failed ? "there are very many rules" : "%s does not jump to its chain",
                       tee_hook(in));
    text_done(&rules);
    text_done(&jump);
    return !differ && !failed && lines->has_chain[in] == wanted;
}

int linux_tee_parse(const char *saved, int family, const char *mirror, struct linux_tee_list *out,
                    struct err *err)
{
    struct tee_state state;
    int code = tee_sort(saved, mirror, &state, err);
    if (code < 0)
        return code;
    struct linux_tee_found *at = NULL;
    if (state.n > 0 && !(at = realloc(out->at, (out->n + state.n) * sizeof *at)))
        code = err_set(err, -ENOMEM, "no memory for the rules of iptables");
    for (size_t i = 0; at && i < state.n; i++) {
        struct tee_lines *lines = &state.at[i];
        struct linux_tee_found *found = &at[out->n + i];
        lines->found.is.family = family;
        memcpy(lines->found.is.mirror, lines->mirror, sizeof lines->mirror);
        lines->found.intact = !*lines->strange && is_right(lines, true) && is_right(lines, false);
        *found = lines->found;
        memcpy(found->strange, lines->strange, sizeof found->strange);
    }
    if (at) {
        out->at = at;
        out->n += state.n;
    }
    tee_state_done(&state);
    return code;
}
