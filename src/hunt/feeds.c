/* Lists of known-bad addresses, names and fingerprints: see feeds.h.
 *
 * All entries are in one table by the hash of kind and key. An address is asked for once for every
 * length of network that any entry has, a name once for each of its endings. */
#include "hunt/feeds.h"
#include "hunt/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "hunt/hunt.h"
#include "hunt/lists.h"
#include "hunt/look.h"

#define LINE_SIZE_MAX 4096
#define LABEL_LEN_MAX 80
#define NAME_LEN_MAX  253
#define TEXT_SIZE_MAX (1u << 30)
#define BITS_MIN_V4   (96 + 8)
#define BITS_MIN_V6   16
#define FILE_LINES_MAX                                                                             \
    20000000 /* what a file may have at all: of /dev/zero's kind there is no end */

enum kind { KIND_NETWORK, KIND_NAME, KIND_NAME_ALONE, KIND_FINGERPRINT };

struct entry {
    uint32_t key;  /* in `text`: kind, size, bytes */
    uint32_t said; /* in `text`: what is said of it, ended by a NUL */
    uint64_t hash;
};

struct feeds {
    uint64_t secret;
    struct entry *entries; /* open addressing; n_places is a power of two */
    size_t n_places, n;
    char *text;
    size_t size, capacity;
    bool has_bits[129]; /* lengths of networks that there are */
    struct feeds_counts counts;
};

struct feeds *feeds_new(uint64_t secret)
{
    struct feeds *feeds = calloc(1, sizeof *feeds);
    if (!feeds)
        return NULL;
    feeds->secret = secret;
    feeds->n_places = 1024;
    feeds->entries = calloc(feeds->n_places, sizeof *feeds->entries);
    feeds->size = 1; /* 0: an empty place */
    feeds->capacity = 4096;
    feeds->text = calloc(1, feeds->capacity);
    if (feeds->entries && feeds->text)
        return feeds;
    feeds_free(feeds);
    return NULL;
}

void feeds_free(struct feeds *feeds)
{
    if (!feeds)
        return;
    free(feeds->entries);
    free(feeds->text);
    free(feeds);
}

void feeds_count(const struct feeds *feeds, struct feeds_counts *out)
{
    *out = feeds->counts;
    out->n_entries = feeds->n;
}

/* ---- the table ---- */

static uint64_t hash_of(const struct feeds *feeds, enum kind kind, struct str key)
{
    return XXH3_64bits_withSeed(key.at, key.len, feeds->secret + (uint64_t)kind);
}

/* The place of the key, or the empty one where it would be. */
static struct entry *place_of(const struct feeds *feeds, enum kind kind, struct str key,
                              uint64_t hash)
{
    size_t i = hash & (feeds->n_places - 1);
    for (;; i = (i + 1) & (feeds->n_places - 1)) {
        struct entry *entry = &feeds->entries[i];
        const uint8_t *at = (const uint8_t *)feeds->text + entry->key;
        if (entry->key == 0 || (entry->hash == hash && at[0] == (uint8_t)kind && at[1] == key.len &&
                                memcmp(at + 2, key.at, key.len) == 0))
            return entry;
    }
}

static const char *said_of(const struct feeds *feeds, enum kind kind, struct str key)
{
    if (key.len == 0 || key.len > UINT8_MAX)
        return NULL;
    const struct entry *entry = place_of(feeds, kind, key, hash_of(feeds, kind, key));
    return entry->key != 0 ? feeds->text + entry->said : NULL;
}

static bool grow_entries(struct feeds *feeds)
{
    size_t n_places = feeds->n_places * 2;
    struct entry *entries = calloc(n_places, sizeof *entries);
    if (!entries)
        return false;
    for (size_t i = 0; i < feeds->n_places; i++) {
        if (feeds->entries[i].key == 0)
            continue;
        size_t to = feeds->entries[i].hash & (n_places - 1);
        while (entries[to].key != 0)
            to = (to + 1) & (n_places - 1);
        entries[to] = feeds->entries[i];
    }
    free(feeds->entries);
    feeds->entries = entries;
    feeds->n_places = n_places;
    return true;
}

/* Where the bytes begin; 0: no room. */
static uint32_t add_text(struct feeds *feeds, const void *bytes, size_t size)
{
    if (feeds->size + size > TEXT_SIZE_MAX)
        return 0;
    while (feeds->size + size > feeds->capacity) {
        char *text = realloc(feeds->text, feeds->capacity * 2);
        if (!text)
            return 0;
        feeds->text = text;
        feeds->capacity *= 2;
    }
    memcpy(feeds->text + feeds->size, bytes, size);
    feeds->size += size;
    return (uint32_t)(feeds->size - size);
}

/* A feed that is being read: what is said of its entries, and of the last that had words. */
struct taking {
    struct feeds *feeds;
    const char *name;
    uint32_t said;
    uint32_t labelled;
    char label[LABEL_LEN_MAX + 1];
};

static uint32_t words_for(struct taking *taking, struct str label)
{
    label = str_upto(label, LABEL_LEN_MAX);
    char text[256 + LABEL_LEN_MAX];
    if (label.len == 0) {
        if (taking->said == 0) {
            int len = snprintf(text, sizeof text, "%.200s", taking->name);
            taking->said = add_text(taking->feeds, text, (size_t)len + 1);
        }
        return taking->said;
    }
    if (taking->labelled != 0 && str_eq(label, str_c(taking->label)))
        return taking->labelled;
    int len = snprintf(text, sizeof text, "%.200s: %.*s", taking->name, (int)label.len, label.at);
    taking->labelled = add_text(taking->feeds, text, (size_t)len + 1);
    memcpy(taking->label, label.at, label.len);
    taking->label[label.len] = '\0';
    return taking->labelled;
}

static void put(struct taking *taking, enum kind kind, struct str key, struct str label)
{
    struct feeds *feeds = taking->feeds;
    if (feeds->n >= FEEDS_MAX_ENTRIES ||
        (feeds->n * 2 >= feeds->n_places && !grow_entries(feeds))) {
        feeds->counts.n_left_out++;
        return;
    }
    uint64_t hash = hash_of(feeds, kind, key);
    struct entry *entry = place_of(feeds, kind, key, hash);
    if (entry->key != 0)
        return; /* the first feed that has it says it */
    uint8_t bytes[2 + UINT8_MAX];
    bytes[0] = (uint8_t)kind;
    bytes[1] = (uint8_t)key.len;
    memcpy(bytes + 2, key.at, key.len);
    uint32_t said = words_for(taking, label);
    uint32_t at = said ? add_text(feeds, bytes, 2 + (size_t)key.len) : 0;
    if (at == 0) {
        feeds->counts.n_left_out++;
        return;
    }
    entry->hash = hash;
    entry->key = at;
    entry->said = said;
    feeds->n++;
}

/* ---- one line ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_between(char c)
{
    return is_blank(c) || c == ',' || c == ';' || c == '|';
}

static struct str trimmed(struct str s)
{
    while (s.len > 0 && (is_blank(s.at[0]) || s.at[0] == '"' || s.at[0] == '\''))
        s = str_from(s, 1);
    while (s.len > 0 &&
           (is_blank(s.at[s.len - 1]) || s.at[s.len - 1] == '"' || s.at[s.len - 1] == '\''))
        s.len--;
    return s;
}

/* The first word; `*rest` is what comes after it. */
static struct str first_word(struct str line, struct str *rest)
{
    uint32_t n = 0;
    while (n < line.len && !is_between(line.at[n]))
        n++;
    struct str word = trimmed(str_upto(line, n));
    while (n < line.len && is_between(line.at[n]))
        n++;
    *rest = trimmed(str_from(line, n));
    return word;
}

/* What a line says of its entry: all of it, or of a table with commas the last column. */
static struct str label_of(struct str rest)
{
    for (uint32_t i = rest.len; i > 0; i--)
        if (rest.at[i - 1] == ',')
            return trimmed(str_from(rest, i));
    return rest;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* 32, 40 or 64 digits; or JA4's three parts: "t13d1516h2_8daaf6152771_e5627efa2ab1". */
static bool is_fingerprint(struct str s)
{
    uint32_t n_hex = 0;
    while (n_hex < s.len && is_hex(s.at[n_hex]))
        n_hex++;
    if (n_hex == s.len)
        return s.len == 32 || s.len == 40 || s.len == 64;
    if (s.len != 36 || s.at[10] != '_' || s.at[23] != '_' ||
        (s.at[0] != 't' && s.at[0] != 'q' && s.at[0] != 'd'))
        return false;
    for (uint32_t i = 11; i < 36; i++)
        if (i != 23 && !is_hex(s.at[i]))
            return false;
    return true;
}

/* The host of a URL or of host:port, without the marks that make it harmless ("hxxp", "[.]"). */
static struct str host_of(struct str word, char out[static 256])
{
    for (uint32_t i = 0; i + 2 < word.len && i < 10; i++)
        if (memcmp(word.at + i, "://", 3) == 0) {
            word = str_from(word, i + 3);
            break;
        }
    uint32_t n = 0;
    bool has_brackets = word.len > 0 && word.at[0] == '[';
    for (uint32_t i = 0; i < word.len; i++) {
        char c = word.at[i];
        if (c == '/' || c == '?' || c == '#' || c == '^' || n == 255)
            break;
        if (c == '[' || c == ']') {
            /* "[2001:db8::1]:443": the port is not of it; "example[.]com" goes on. */
            if (c == ']' && has_brackets)
                break;
            continue;
        }
        out[n++] = str_lower_char(c);
    }
    struct str host = str_make(out, n);
    uint32_t n_colons = 0, colon = 0;
    for (uint32_t i = 0; i < host.len; i++)
        if (host.at[i] == ':') {
            n_colons++;
            colon = i;
        }
    if (n_colons == 1)
        host = str_upto(host, colon);
    while (host.len > 0 && (host.at[0] == '*' || host.at[0] == '.'))
        host = str_from(host, 1);
    while (host.len > 0 && host.at[host.len - 1] == '.')
        host.len--;
    return host;
}

static bool is_name(struct str host)
{
    if (host.len < 3 || host.len > NAME_LEN_MAX)
        return false;
    bool has_dot = false, has_letter = false;
    for (uint32_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (uint8_t)c >= 0x80;
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return false;
        if (c == '.' && (i == 0 || host.at[i - 1] == '.'))
            return false;
        has_dot |= c == '.';
        has_letter |= letter;
    }
    return has_dot && has_letter;
}

/* Something that anybody may have a name under (co.uk, a dynamic DNS): listed, it means itself. */
static bool is_public_suffix(struct str name)
{
    char below[2 + NAME_LEN_MAX + 1] = "x.";
    memcpy(below + 2, name.at, name.len);
    struct str probe = str_make(below, 2 + (size_t)name.len);
    return hunt_registrable(probe).len == probe.len;
}

static bool take_network(struct taking *taking, struct str word, struct str label)
{
    char text[ADDR_TEXT_MAX + 4];
    if (word.len == 0 || word.len >= sizeof text)
        return false;
    memcpy(text, word.at, word.len);
    text[word.len] = '\0';
    struct hunt_prefix prefix;
    if (!hunt_prefix_parse(text, &prefix))
        return false;
    if (prefix.bits < (addr_is_v4(&prefix.net) ? BITS_MIN_V4 : BITS_MIN_V6)) {
        taking->feeds->counts.n_too_wide++;
        return true;
    }
    uint8_t key[17];
    memcpy(key, prefix.net.b, 16);
    key[16] = prefix.bits;
    put(taking, KIND_NETWORK, str_make(key, sizeof key), label);
    taking->feeds->has_bits[prefix.bits] = true;
    return true;
}

/* "1.2.3.4/99": a network that is none, not a URL's host. */
static bool ends_in_bits(struct str word)
{
    uint32_t n = word.len;
    while (n > 0 && word.at[n - 1] >= '0' && word.at[n - 1] <= '9')
        n--;
    if (n == 0 || n == word.len || word.at[n - 1] != '/')
        return false;
    for (uint32_t i = 0; i + 1 < n; i++)
        if (word.at[i] == '/')
            return false;
    return true;
}

static bool is_hosts_file(struct str word)
{
    return str_eq(word, STR("0.0.0.0")) || str_eq(word, STR("127.0.0.1")) ||
           str_eq(word, STR("::")) || str_eq(word, STR("::1"));
}

static void take_line(struct taking *taking, struct str line)
{
    line = trimmed(line);
    if (line.len == 0 || line.at[0] == '#' || line.at[0] == ';' || line.at[0] == '!' ||
        str_starts(line, STR("//")))
        return;
    if (str_starts(line, STR("||")))
        line = str_from(line, 2);
    /* What comes after " #" is a comment. */
    for (uint32_t i = 1; i < line.len; i++)
        if (line.at[i] == '#' && is_blank(line.at[i - 1]))
            line = trimmed(str_upto(line, i));
    struct str rest, word = first_word(line, &rest);
    if (is_hosts_file(word) && rest.len > 0)
        word = first_word(rest, &rest);
    struct str label = label_of(rest);
    if (take_network(taking, word, label))
        return;
    char buffer[256];
    if (word.len < sizeof buffer) {
        char lower[256];
        for (uint32_t i = 0; i < word.len; i++)
            lower[i] = str_lower_char(word.at[i]);
        struct str fingerprint = str_make(lower, word.len);
        if (is_fingerprint(fingerprint)) {
            put(taking, KIND_FINGERPRINT, fingerprint, label);
            return;
        }
    }
    struct str host = host_of(word, buffer);
    if (!ends_in_bits(word) && take_network(taking, host, label))
        return;
    if (!is_name(host)) {
        taking->feeds->counts.n_refused++;
        return;
    }
    put(taking, is_public_suffix(host) ? KIND_NAME_ALONE : KIND_NAME, host, label);
}

void feeds_take(struct feeds *feeds, const char *name, struct str text)
{
    struct taking taking = {.feeds = feeds, .name = name};
    while (text.len > 0) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t len = end ? (size_t)(end - text.at) : text.len;
        if (len > LINE_SIZE_MAX)
            feeds->counts.n_refused++;
        else
            take_line(&taking, str_upto(text, len));
        text = str_from(text, end ? len + 1 : len);
    }
}

/* ---- files ---- */

static int take_file(void *with, const char *path, struct err *err)
{
    struct feeds *feeds = with;
    struct stat stat_of;
    if (stat(path, &stat_of) < 0)
        return err_set(err, -errno, "feed %s: %s", path, strerror(errno));
    if (!S_ISREG(stat_of.st_mode))
        return err_set(err, -EINVAL, "feed %s: is no file and no folder", path);
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(err, -errno, "feed %s: %s", path, strerror(errno));
    const char *slash = strrchr(path, '/');
    struct taking taking = {.feeds = feeds, .name = slash ? slash + 1 : path};
    char line[LINE_SIZE_MAX + 2];
    bool is_rest = false; /* of a line that is too long */
    for (uint64_t n = 0; n < FILE_LINES_MAX && fgets(line, sizeof line, file); n++) {
        size_t len = strlen(line);
        bool is_whole = len > 0 && line[len - 1] == '\n';
        if (is_whole)
            len--;
        if (is_rest || (!is_whole && len > LINE_SIZE_MAX)) {
            feeds->counts.n_refused += !is_rest;
            is_rest = !is_whole;
            continue;
        }
        size_t mark = n == 0 && strncmp(line, TEXT_FILE_MARK, 3) == 0 ? 3 : 0;
        take_line(&taking, str_make(line + mark, len - mark));
    }
    int result = ferror(file) ? -EIO : 0;
    (void)fclose(file); /* only read */
    feeds->counts.n_files++;
    return result ? err_set(err, result, "feed %s: cannot be read to its end", path) : 0;
}

int feeds_load(const char *const *paths, size_t n, uint64_t secret, struct feeds **out,
               struct err *err)
{
    struct feeds *feeds = feeds_new(secret);
    struct lists_walk walk = {.take = take_file, .with = feeds};
    if (!feeds)
        return err_set(err, -ENOMEM, "feeds: no memory");
    int result = lists_walk(paths, n, &walk, err);
    if (result < 0) {
        feeds_free(feeds);
        return result;
    }
    feeds->counts.n_unreadable = walk.n_unreadable;
    *out = feeds;
    return 0;
}

/* ---- asking ---- */

const char *feeds_of_addr(const struct feeds *feeds, const struct addr *addr)
{
    if (!feeds)
        return NULL;
    uint8_t key[17];
    memcpy(key, addr->b, 16);
    /* From the address itself to wider and wider networks. */
    for (unsigned bits = 128; bits > 0; bits--) {
        if (bits < 128)
            key[bits / 8] &= (uint8_t)(0xff00 >> bits % 8);
        if (!feeds->has_bits[bits])
            continue;
        key[16] = (uint8_t)bits;
        const char *said = said_of(feeds, KIND_NETWORK, str_make(key, sizeof key));
        if (said)
            return said;
    }
    return NULL;
}

const char *feeds_of_name(const struct feeds *feeds, struct str name)
{
    char buffer[256];
    if (!feeds || name.len >= sizeof buffer)
        return NULL;
    /* http's Host, and a CONNECT's, have a port. */
    name = host_of(name, buffer);
    char text[ADDR_TEXT_MAX];
    struct addr addr;
    if (name.len > 0 && name.len < sizeof text) {
        memcpy(text, name.at, name.len);
        text[name.len] = '\0';
        if (addr_parse(text, &addr))
            return feeds_of_addr(feeds, &addr);
    }
    const char *said = said_of(feeds, KIND_NAME_ALONE, name);
    while (!said && name.len > 0) {
        said = said_of(feeds, KIND_NAME, name);
        uint32_t n = 0;
        while (n < name.len && name.at[n] != '.')
            n++;
        name = str_from(name, n + 1);
    }
    return said;
}

const char *feeds_of_fingerprint(const struct feeds *feeds, struct str fingerprint)
{
    char lower[64];
    if (!feeds || fingerprint.len == 0 || fingerprint.len > sizeof lower)
        return NULL;
    for (uint32_t i = 0; i < fingerprint.len; i++)
        lower[i] = str_lower_char(fingerprint.at[i]);
    return said_of(feeds, KIND_FINGERPRINT, str_make(lower, fingerprint.len));
}

const char *hunt_feed_of(const struct hunt_judge *judge, const struct addr *addr)
{
    return feeds_of_addr(hunt_feeds(judge), addr);
}

const char *hunt_feed_of_name(const struct hunt_judge *judge, struct str name)
{
    return feeds_of_name(hunt_feeds(judge), name);
}

const char *hunt_feed_of_fingerprint(const struct hunt_judge *judge, struct str fingerprint)
{
    return feeds_of_fingerprint(hunt_feeds(judge), fingerprint);
}
