/* Expressions of tags, as --tag and --exclude take them:
 *
 *     any   = all { "or" all }
 *     all   = not { "and" not }
 *     not   = { "not" } one
 *     one   = "(" any ")" | word [ ( "=" | "!=" ) word ]
 *     word  = letters without space ( ) = ! and quotes, or with them in quotes, or both joined
 *
 * In a word * is any text and ? one character, unless they are in quotes; in double quotes \ takes
 * the meaning from what follows. A word that was quoted is never one of and, or, not. Upper and
 * lower case differ, as they do in the clouds. `KEY!=VALUE` is `not KEY=VALUE`.
 *
 * An expression is read anew for each machine: it is short, and so nothing has to be kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/cloud_parts.h"

#define EXPRESSION_MAX 2048 /* bytes */
#define DEPTH_MAX      32   /* parentheses in one another */
#define WORD_MAX       512  /* bytes */

/* ---- patterns ---- */

enum { ANY_TEXT = 256, ANY_ONE };

/* A word as it was meant: bytes, or ANY_TEXT and ANY_ONE. */
struct word {
    uint16_t at[WORD_MAX];
    size_t n;
    bool quoted;
};

static bool is_rest_of_character(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* One character more, of UTF-8. */
static const char *skip_one(const char *text)
{
    text++;
    while (is_rest_of_character(*text))
        text++;
    return text;
}

/* Only the last * has to be come back to: what the ones before it took can stay. */
static bool fits(const struct word *pattern, const char *text)
{
    size_t i = 0, star = SIZE_MAX;
    const char *from = NULL;
    while (*text) {
        if (i < pattern->n && pattern->at[i] == ANY_TEXT) {
            star = i++;
            from = text;
        } else if (i < pattern->n && pattern->at[i] == ANY_ONE) {
            i++;
            text = skip_one(text);
        } else if (i < pattern->n && pattern->at[i] == (unsigned char)*text) {
            i++;
            text++;
        } else if (star != SIZE_MAX) {
            i = star + 1;
            text = from = skip_one(from);
        } else {
            return false;
        }
    }
    while (i < pattern->n && pattern->at[i] == ANY_TEXT)
        i++;
    return i == pattern->n;
}

static bool word_add(struct word *word, char c, bool literal)
{
    if (word->n == WORD_MAX)
        return false;
    word->at[word->n++] = literal || (c != '*' && c != '?') ? (unsigned char)c
                          : c == '*'                        ? ANY_TEXT
                                                            : ANY_ONE;
    return true;
}

bool cloud_pattern_fits(const char *pattern, const char *text)
{
    struct word word; /* large: what is not used stays as it is */
    word.n = 0;
    for (; *pattern; pattern++)
        if (!word_add(&word, *pattern, false))
            return false;
    return fits(&word, text);
}

/* ---- reading ---- */

struct tags {
    const char *start, *at;
    const json_t *tags; /* NULL: there are none */
    unsigned depth;
    const char *wrong; /* the first thing that is; NULL: nothing */
    const char *where;
    void (*each)(const char *key, void *with);
    void *with;
};

static void say_wrong(struct tags *t, const char *where, const char *what)
{
    if (t->wrong)
        return;
    t->wrong = what;
    t->where = where;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct tags *t)
{
    while (is_space(*t->at))
        t->at++;
}

static bool ends_word(char c)
{
    return !c || is_space(c) || strchr("()=!", c) != NULL;
}

/* Up to the closing quote. */
static bool read_quoted(struct tags *t, struct word *out)
{
    const char *open = t->at;
    char quote = *t->at++;
    out->quoted = true;
    for (; *t->at != quote; t->at++) {
        if (quote == '"' && *t->at == '\\' && t->at[1])
            t->at++;
        if (!*t->at) {
            say_wrong(t, open, "this quote is not closed");
            return false;
        }
        if (!word_add(out, *t->at, true)) {
            say_wrong(t, open, "this word is too long");
            return false;
        }
    }
    t->at++;
    return true;
}

static bool read_word(struct tags *t, struct word *out)
{
    const char *begin = t->at;
    out->n = 0;
    out->quoted = false;
    while (!ends_word(*t->at)) {
        if (*t->at == '"' || *t->at == '\'') {
            if (!read_quoted(t, out))
                return false;
        } else if (!word_add(out, *t->at++, false)) {
            say_wrong(t, begin, "this word is too long");
            return false;
        }
    }
    return t->at > begin;
}

/* Whether the keyword comes next; it is taken then. */
static bool take(struct tags *t, const char *keyword)
{
    size_t len = strlen(keyword);
    skip_space(t);
    if (strncmp(t->at, keyword, len) != 0 || !ends_word(t->at[len]) || t->at[len] == '=' ||
        t->at[len] == '!')
        return false;
    t->at += len;
    return true;
}

static void tell_key(const struct tags *t, const struct word *key)
{
    char text[WORD_MAX + 1];
    if (!t->each)
        return;
    for (size_t i = 0; i < key->n; i++) {
        if (key->at[i] >= ANY_TEXT)
            return;
        text[i] = (char)key->at[i];
    }
    text[key->n] = '\0';
    t->each(text, t->with);
}

static bool has_tag(const struct tags *t, const struct word *key, const struct word *value)
{
    const char *name;
    json_t *is;
    json_object_foreach((json_t *)(uintptr_t)t->tags, name, is)
    {
        const char *text = json_string_value(is);
        if (fits(key, name) && (!value || fits(value, text ? text : "")))
            return true;
    }
    return false;
}

static bool any_of(struct tags *t);

static bool in_parentheses(struct tags *t)
{
    const char *open = t->at++;
    if (t->depth == DEPTH_MAX) {
        say_wrong(t, open, "there are too many parentheses in one another");
        return false;
    }
    t->depth++;
    bool holds = any_of(t);
    t->depth--;
    skip_space(t);
    if (*t->at != ')')
        say_wrong(t, *t->at ? t->at : open,
                  *t->at ? "'and', 'or' or ')' was expected here (a key or value with spaces is "
                           "put in quotes)"
                         : "this parenthesis is not closed");
    else
        t->at++;
    return holds;
}

/* A key, perhaps with a value. */
static bool one_tag(struct tags *t)
{
    struct word key, value;
    const char *begin = t->at;
    if (!read_word(t, &key)) {
        say_wrong(t, begin,
                  *begin ? "a key was expected here" : "it ends where a key was expected");
        return false;
    }
    tell_key(t, &key);
    skip_space(t);
    bool differs = t->at[0] == '!' && t->at[1] == '=';
    if (*t->at != '=' && !differs)
        return has_tag(t, &key, NULL);
    t->at += differs ? 2 : 1;
    skip_space(t);
    begin = t->at;
    if (!read_word(t, &value)) {
        say_wrong(t, begin, "a value was expected here (an empty one is \"\")");
        return false;
    }
    return has_tag(t, &key, &value) != differs;
}

static bool one_of(struct tags *t)
{
    bool negated = false;
    while (!t->wrong && take(t, "not"))
        negated = !negated;
    skip_space(t);
    if (take(t, "and") || take(t, "or")) {
        say_wrong(t, t->at,
                  "a key was expected before this place (a key that is called 'and' or "
                  "'or' is put in quotes)");
        return false;
    }
    return (*t->at == '(' ? in_parentheses(t) : one_tag(t)) != negated;
}

static bool all_of(struct tags *t)
{
    bool holds = one_of(t);
    while (!t->wrong && take(t, "and"))
        holds &= one_of(t);
    return holds;
}

static bool any_of(struct tags *t)
{
    bool holds = all_of(t);
    while (!t->wrong && take(t, "or"))
        holds |= all_of(t);
    return holds;
}

static bool evaluate(struct tags *t)
{
    bool holds = any_of(t);
    skip_space(t);
    if (*t->at)
        say_wrong(t, t->at,
                  *t->at == ')' ? "no parenthesis is open here"
                                : "'and' or 'or' was expected here (a key or value with spaces is "
                                  "put in quotes)");
    return holds && !t->wrong;
}

int cloud_tag_check(const char *option, const char *expression, struct err *err)
{
    struct tags t = {.start = expression, .at = expression};
    if (strlen(expression) > EXPRESSION_MAX)
        return err_set(err, -E2BIG, "%s: the expression is longer than %d bytes", option,
                       EXPRESSION_MAX);
    (void)evaluate(&t);
    if (!t.wrong)
        return 0;
    unsigned position = 1;
    for (const char *c = t.start; c < t.where; c++)
        position += !is_rest_of_character(*c);
    return err_set(err, -EINVAL, "%s: '%.150s', character %u: %s", option, expression, position,
                   t.wrong);
}

bool cloud_tag_holds(const char *expression, const json_t *tags)
{
    struct tags t = {.start = expression, .at = expression, .tags = tags};
    return evaluate(&t);
}

void cloud_tag_keys(const char *expression, void (*each)(const char *key, void *with), void *with)
{
    struct tags t = {.start = expression, .at = expression, .each = each, .with = with};
    (void)evaluate(&t);
}
