/* Safelists: see safelist.h. Entries are looked at one after the other, for what is shown only. */
#include "hunt/safelist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "base/options.h"
#include "hunt/text_file.h"

#define NAME_MAX_LEN 255

enum side { EITHER, SRC, DST };

struct host {
    bool has_prefix;
    struct hunt_prefix prefix;
    char *name; /* owned; NULL: by address */
};

struct entry {
    const struct hunt *hunt; /* NULL: of any */
    enum side side;
    uint32_t asn;     /* 0: by its hosts */
    unsigned n_hosts; /* 2: a pair */
    struct host hosts[2];
    char *line; /* "FILE:LINE: entry"; owned */
};

struct hunt_safelist {
    struct entry *entries;
    size_t n, room;
    const struct hunt_asn *asn;
};

static void entry_done(struct entry *entry)
{
    free(entry->hosts[0].name);
    free(entry->hosts[1].name);
    free(entry->line);
}

void hunt_safelist_free(struct hunt_safelist *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        entry_done(&list->entries[i]);
    free(list->entries);
    free(list);
}

/* ---- reading ---- */

static int parse_hunt(struct str word, struct entry *entry, struct err *err)
{
    char name[64], end[NEAREST_TEXT_MAX];
    (void)snprintf(name, sizeof name, "%.*s", (int)(word.len < 60 ? word.len : 60), word.at);
    struct nearest nearest = nearest_begin(name);
    for (size_t i = 0; hunts[i]; i++) {
        if (strcmp(hunts[i]->name, name) == 0) {
            entry->hunt = hunts[i];
            return 0;
        }
        nearest_try(&nearest, hunts[i]->name);
    }
    return err_set(err, -EINVAL, "there is no hunt '%s'%s", name, nearest_text(&nearest, end));
}

static bool is_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *rest = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
    size_t len = strlen(rest);
    return len > 0 && rest[0] != '.' && rest[strspn(rest, allowed)] == '\0' &&
           rest[strspn(rest, "0123456789.")] != '\0';
}

static int parse_host(struct str word, struct host *out, struct err *err)
{
    char text[NAME_MAX_LEN + 1];
    if (word.len > NAME_MAX_LEN)
        return err_set(err, -EINVAL, "a word of more than %d characters", NAME_MAX_LEN);
    memcpy(text, word.at, word.len);
    text[word.len] = '\0';
    if (memchr(text, '\0', word.len))
        return err_set(err, -EINVAL, "there is a NUL in it: is it a text file?");
    out->has_prefix = hunt_prefix_parse(text, &out->prefix);
    if (out->has_prefix)
        return 0;
    if (word.len > 1 && text[word.len - 1] == '.')
        text[word.len - 1] = '\0'; /* example.com. is example.com */
    if (!is_name(text))
        return err_set(err, -EINVAL,
                       "'%.80s' is no address (10.1.2.3), no network (10.1.0.0/16) and no name "
                       "(example.com, *.example.com)",
                       text);
    out->name = strdup(text);
    return out->name ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int parse_asn(struct str word, struct entry *entry, struct err *err)
{
    char text[16];
    uint64_t number;
    if (word.len > 2 && str_eq_nocase(str_upto(word, 2), STR("as")))
        word = str_from(word, 2);
    (void)snprintf(text, sizeof text, "%.*s", (int)(word.len < 15 ? word.len : 15), word.at);
    if (!options_number(text, UINT32_MAX, &number) || number == 0)
        return err_set(err, -EINVAL, "'asn' wants a number, as in 'asn 15169'");
    entry->asn = (uint32_t)number;
    return 0;
}

static int parse_entry(struct str line, struct entry *entry, struct err *err)
{
    struct str word;
    bool more = text_file_word(&line, &word);
    if (more && str_starts(word, STR("hunt:"))) {
        int result = parse_hunt(str_from(word, 5), entry, err);
        if (result < 0)
            return result;
        more = text_file_word(&line, &word);
    }
    if (more && (str_eq(word, STR("src")) || str_eq(word, STR("dst")))) {
        entry->side = word.at[0] == 's' ? SRC : DST;
        more = text_file_word(&line, &word);
    }
    bool is_asn = more && str_eq_nocase(word, STR("asn"));
    if (is_asn)
        more = text_file_word(&line, &word);
    if (!more)
        return err_set(err, -EINVAL,
                       "something is missing at the end of the line: an address, a "
                       "network, a name, or two of these for a pair");
    int result = is_asn ? parse_asn(word, entry, err) : parse_host(word, &entry->hosts[0], err);
    if (result < 0)
        return result;
    entry->n_hosts = !is_asn;
    if (!text_file_word(&line, &word))
        return 0;
    if (is_asn || entry->side != EITHER)
        return err_set(err, -EINVAL, "'%.*s' is one word too many", (int)word.len, word.at);
    result = parse_host(word, &entry->hosts[1], err);
    if (result < 0)
        return result;
    entry->n_hosts = 2;
    if (text_file_word(&line, &word))
        return err_set(err, -EINVAL, "more than two ends");
    return 0;
}

/* Makes room for one more; NULL: there is none. */
static struct entry *new_entry(struct hunt_safelist *list)
{
    if (list->n == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct entry *grown = reallocarray(list->entries, room, sizeof *grown);
        if (!grown)
            return NULL;
        list->entries = grown;
        list->room = room;
    }
    struct entry *entry = &list->entries[list->n++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

int hunt_safelist_take(struct hunt_safelist *list, struct str text, const char *name,
                       struct err *err)
{
    struct str line;
    for (size_t number = 1; text_file_line(&text, &line); number++) {
        const char *comment = line.len ? memchr(line.at, '#', line.len) : NULL;
        if (comment)
            line.len = (uint32_t)(comment - line.at);
        line = str_trim(line);
        if (line.len == 0)
            continue;
        if (list->n == HUNT_SAFELIST_MAX_LINES)
            return err_set(err, -E2BIG, "%s:%zu: more than %d entries in all", name, number,
                           HUNT_SAFELIST_MAX_LINES);
        struct entry *entry = new_entry(list);
        if (!entry)
            return err_set(err, -ENOMEM, "%s: out of memory", name);
        int result = parse_entry(line, entry, err);
        if (result < 0) {
            err_wrap(err, "%s:%zu", name, number);
            return result;
        }
        if (asprintf(&entry->line, "%s:%zu: %.*s", name, number, (int)line.len, line.at) < 0) {
            entry->line = NULL;
            return err_set(err, -ENOMEM, "%s: out of memory", name);
        }
    }
    return 0;
}

int hunt_safelist_load(const char *const *paths, size_t n, struct hunt_safelist **out,
                       struct err *err)
{
    struct hunt_safelist *list = calloc(1, sizeof *list);
    int result = list ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n && result == 0; i++) {
        char *text = NULL;
        size_t size = 0;
        result = text_file_read(paths[i], HUNT_SAFELIST_MAX_SIZE, &text, &size, err);
        if (result < 0)
            err_wrap(err, "safelist");
        else
            result = hunt_safelist_take(list, str_make(text, size), paths[i], err);
        free(text);
    }
    if (result < 0) {
        hunt_safelist_free(list);
        return result;
    }
    *out = list;
    return 0;
}

void hunt_safelist_use(struct hunt_safelist *list, const struct hunt_asn *database)
{
    list->asn = database;
}

bool hunt_safelist_wants_asn(const struct hunt_safelist *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->entries[i].asn)
            return true;
    return false;
}

/* ---- holding findings against it ---- */

/* One end of a finding. */
struct end {
    bool has;
    const struct addr *addr;
    struct str names[2]; /* the machine's; of the other end also the name it was asked for by */
};

static bool host_fits(const struct host *host, const struct end *end)
{
    if (host->has_prefix)
        return end->has && hunt_prefix_has(&host->prefix, end->addr);
    for (size_t i = 0; i < 2; i++)
        if (end->names[i].len > 0 && hunt_domain_fits(str_c(host->name), end->names[i]))
            return true;
    return false;
}

static bool entry_fits(const struct hunt_safelist *list, const struct entry *entry,
                       const struct end *src, const struct end *dst)
{
    if (entry->asn)
        return list->asn && ((entry->side != SRC && dst->has &&
                              hunt_asn_of(list->asn, dst->addr) == entry->asn) ||
                             (entry->side != DST && src->has &&
                              hunt_asn_of(list->asn, src->addr) == entry->asn));
    if (entry->n_hosts == 2)
        return (host_fits(&entry->hosts[0], src) && host_fits(&entry->hosts[1], dst)) ||
               (host_fits(&entry->hosts[1], src) && host_fits(&entry->hosts[0], dst));
    return (entry->side != DST && host_fits(&entry->hosts[0], src)) ||
           (entry->side != SRC && host_fits(&entry->hosts[0], dst));
}

/* A Host may have its port: example.com:8080. */
static struct str without_port(struct str name)
{
    uint32_t len = name.len;
    while (len > 0 && name.at[len - 1] >= '0' && name.at[len - 1] <= '9')
        len--;
    if (len > 1 && len < name.len && name.at[len - 1] == ':')
        name.len = len - 1;
    return name;
}

const char *hunt_safelist_hides(const struct hunt_safelist *list, const struct finding *f)
{
    const struct end src = {
        .has = f->has_src, .addr = &f->src.addr, .names = {str_c(f->src_machine)}};
    const struct end dst = {.has = f->has_dst,
                            .addr = &f->dst.addr,
                            .names = {without_port(str_c(f->name)), str_c(f->dst_machine)}};
    for (size_t i = 0; i < list->n; i++) {
        const struct entry *entry = &list->entries[i];
        if ((!entry->hunt || entry->hunt == f->hunt) && entry_fits(list, entry, &src, &dst))
            return entry->line;
    }
    return NULL;
}

void hunt_safelist_line(const struct finding *f, char *out, size_t size)
{
    char src[ADDR_TEXT_MAX + 1] = "", dst[ADDR_TEXT_MAX + 1] = "", name[NAME_MAX_LEN + 1];
    struct str bare = without_port(str_c(f->name));
    (void)snprintf(name, sizeof name, "%.*s", (int)(bare.len < 255 ? bare.len : 255), bare.at);
    if (f->has_src)
        src[addr_format(&f->src.addr, src)] = '\0';
    if (f->has_dst)
        dst[addr_format(&f->dst.addr, dst)] = '\0';
    const char *other = is_name(name) ? name : dst;
    (void)snprintf(out, size, "hunt:%s %s%s%s%s", f->hunt ? f->hunt->name : "",
                   src[0] && !other[0] ? "src " : "", src, src[0] && other[0] ? " " : "", other);
}
