/* The type of a file from its first bytes: the signatures of mime_table.c, and here those that no
 * such pattern can say: markup, JSON, scripts. All that match are weighed; the strongest wins, and
 * among equals the first by name.
 *
 *     <!-- comment --> <?xml version="1.0"?> <!-- comment --> <html
 *                                                             `---' the tag decides
 */
#include "proto/mime.h"

#include "proto/mime_match.h"

struct best {
    int strength;
    const char *mime;
};

static void weigh(struct best *best, int strength, const char *mime)
{
    if (best->mime && (strength < best->strength ||
                       (strength == best->strength && strcmp(mime, best->mime) >= 0)))
        return;
    best->strength = strength;
    best->mime = mime;
}

static bool may_win(const struct best *best, int strength)
{
    return !best->mime || strength >= best->strength;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_white(char c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct str skip_white(struct str s)
{
    while (s.len > 0 && is_white(s.at[0]))
        s = str_from(s, 1);
    return s;
}

static struct str skip_mark(struct str s)
{
    if (str_starts(s, STR("\357\273\277")))
        return str_from(s, 3);
    if (str_starts(s, STR("\377\376")) || str_starts(s, STR("\376\377")))
        return str_from(s, 2);
    return s;
}

static bool starts_nocase(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq_nocase(str_upto(s, prefix.len), prefix);
}

/* After the next `what`; unset: there is none. */
static struct str after(struct str s, struct str what)
{
    const char *at = memmem(s.at, s.len, what.at, what.len);
    return at ? str_from(s, (size_t)(at - s.at) + what.len) : (struct str){0};
}

static bool doctype_is(struct str s, struct str what)
{
    if (!starts_nocase(s, STR("<!doctype ")))
        return false;
    s = str_from(s, 10);
    while (s.len > 0 && s.at[0] == ' ')
        s = str_from(s, 1);
    return starts_nocase(s, what);
}

static struct str up_to_tag_end(struct str s)
{
    const char *end = memchr(s.at, '>', s.len);
    return end ? str_upto(s, (size_t)(end - s.at)) : s;
}

static bool is_atom(struct str s)
{
    if (starts_nocase(s, STR("<rss")))
        return str_set(after(up_to_tag_end(s), STR("xmlns:atom")));
    if (!starts_nocase(s, STR("<feed")))
        return false;
    for (struct str x = after(up_to_tag_end(s), STR("xmlns=")); str_set(x);
         x = after(x, STR("xmlns="))) {
        struct str value = x.len > 0 && (x.at[0] == '"' || x.at[0] == '\'') ? str_from(x, 1) : x;
        if (str_starts(value, STR("http://www.w3.org/2005/Atom")))
            return true;
    }
    return false;
}

static bool is_meta(struct str s)
{
    if (!starts_nocase(s, STR("<meta ")))
        return false;
    s = str_from(s, 6);
    while (s.len > 0 && s.at[0] == ' ')
        s = str_from(s, 1);
    return starts_nocase(s, STR("http-equiv"));
}

static bool is_manifest(struct str s)
{
    if (!starts_nocase(s, STR("<manifest")))
        return false;
    struct str rest = skip_white(str_from(s, 9));
    return rest.len < s.len - 9 && str_starts(rest, STR("xmlns=\"http://ns.adobe.com/f4m/"));
}

static void weigh_tag(struct best *best, struct str s)
{
    if (s.len < 4 || s.at[0] != '<')
        return;
    if (doctype_is(s, STR("html")) || starts_nocase(s, STR("<html")) || is_meta(s))
        weigh(best, 100, "text/html");
    else if (starts_nocase(s, STR("<head")) || starts_nocase(s, STR("<title")) ||
             starts_nocase(s, STR("<body")))
        weigh(best, 20, "text/html");
    else if (starts_nocase(s, STR("<soap:envelope")) || starts_nocase(s, STR("<soap-env:envelope")))
        weigh(best, 49, "application/soap+xml");
    else if (doctype_is(s, STR("cross-domain-policy")) ||
             starts_nocase(s, STR("<cross-domain-policy")))
        weigh(best, 49, "text/x-cross-domain-policy");
    else if (starts_nocase(s, STR("<methodresponse>")))
        weigh(best, 49, "application/xml-rpc");
    else if (is_manifest(s))
        weigh(best, 49, "application/f4m");
    if (starts_nocase(s, STR("<rss")))
        weigh(best, 90, "text/rss");
    if (is_atom(s))
        weigh(best, 100, "text/atom");
}

/* The tag at the start, or after any later end of what hides it. */
static void weigh_tags_after(struct best *best, struct str s, struct str end)
{
    for (s = after(s, end); str_set(s) && s.len > 0; s = after(s, end))
        weigh_tag(best, skip_white(s));
}

static void weigh_xml(struct best *best, struct str s)
{
    if (str_starts(s, STR("<?xml ")))
        weigh(best, 10, "application/xml");
}

/* Comments may hide a declaration, and it and further comments the tag. */
static void weigh_markup(struct best *best, struct str s)
{
    s = skip_white(skip_mark(s));
    if (s.len == 0 || s.at[0] != '<')
        return;
    weigh_tag(best, s);
    if (str_starts(s, STR("<CFPARAM")) || str_starts(s, STR("<CFSET")) ||
        str_starts(s, STR("<CFIF")))
        weigh(best, 20, "magnus-internal/cold-fusion");
    struct str declaration = str_starts(s, STR("<?xml ")) ? s : (struct str){0};
    if (str_starts(s, STR("<!--"))) {
        weigh_tags_after(best, str_from(s, 4), STR("-->"));
        for (struct str x = after(str_from(s, 4), STR("-->")); str_set(x) && !str_set(declaration);
             x = after(x, STR("-->")))
            if (str_starts(skip_white(x), STR("<?xml ")))
                declaration = skip_white(x);
    }
    if (!str_set(declaration))
        return;
    weigh_xml(best, declaration);
    struct str rest = str_from(declaration, 6);
    weigh_tags_after(best, rest, STR("?>"));
    for (struct str x = after(rest, STR("?>")); str_set(x); x = after(x, STR("?>"))) {
        if (!str_starts(skip_white(x), STR("<!--")))
            continue;
        weigh_tags_after(best, str_from(skip_white(x), 4), STR("-->"));
        break;
    }
}

static bool is_json_value(struct str s)
{
    return s.len > 0 && (s.at[0] == '"' || s.at[0] == '[' || s.at[0] == '{' || is_digit(s.at[0]) ||
                         str_starts(s, STR("true")) || str_starts(s, STR("false")));
}

/* After a quoted text that is not empty; unset: none. */
static struct str after_quoted(struct str s)
{
    if (s.len < 3 || s.at[0] != '"' || s.at[1] == '"')
        return (struct str){0};
    return after(str_from(s, 1), STR("\""));
}

static bool is_json_object(struct str s)
{
    struct str rest = after_quoted(s);
    if (!str_set(rest) && s.len > 0 && is_letter(s.at[0])) {
        rest = s;
        while (rest.len > 0 && (is_letter(rest.at[0]) || is_digit(rest.at[0]) ||
                                rest.at[0] == '\\' || rest.at[0] == '_'))
            rest = str_from(rest, 1);
    }
    rest = skip_white(rest);
    return rest.len > 0 && rest.at[0] == ':' && is_json_value(skip_white(str_from(rest, 1)));
}

static struct str skip_digits(struct str s)
{
    while (s.len > 0 && is_digit(s.at[0]))
        s = str_from(s, 1);
    return s;
}

static bool is_json_array(struct str s)
{
    if (s.len > 0 && (s.at[0] == '{' || s.at[0] == '['))
        return true;
    struct str rest = after_quoted(s);
    if (str_starts(s, STR("true"))) {
        rest = str_from(s, 4);
    } else if (str_starts(s, STR("false"))) {
        rest = str_from(s, 5);
    } else if (s.len > 0 && is_digit(s.at[0])) {
        rest = skip_digits(s);
        if (rest.len > 1 && rest.at[0] == '.' && is_digit(rest.at[1]))
            rest = skip_digits(str_from(rest, 1));
    }
    rest = skip_white(rest);
    return rest.len > 0 && rest.at[0] == ',';
}

static void weigh_json(struct best *best, struct str s)
{
    s = skip_white(skip_mark(s));
    if (s.len < 2 || (s.at[0] != '{' && s.at[0] != '['))
        return;
    struct str inner = skip_white(str_from(s, 1));
    if (s.at[0] == '{' ? is_json_object(inner) : is_json_array(inner))
        weigh(best, 1, "text/json");
    bool empty = str_starts(s, STR("{}")) || str_starts(s, STR("[]"));
    if (empty && skip_white(str_from(s, 2)).len == 0)
        weigh(best, 0, "text/json");
}

/* [section] alone on the first line. */
static void weigh_ini(struct best *best, struct str s)
{
    s = skip_mark(s);
    while (s.len > 0 && (is_white(s.at[0]) || s.at[0] == '\0'))
        s = str_from(s, 1);
    if (s.len == 0 || s.at[0] != '[')
        return;
    uint32_t n = 0;
    while (n < s.len && s.at[n] != '\r' && s.at[n] != '\n')
        n++;
    if (n == s.len)
        return;
    while (n > 0 && (is_blank(s.at[n - 1]) || s.at[n - 1] == '\0'))
        n--;
    if (n > 2 && s.at[n - 1] == ']')
        weigh(best, 20, "text/ini");
}

static const struct {
    struct str name;
    int strength;
    const char *mime;
} interpreters[] = {
    {{"bash", 4}, 250, "text/x-shellscript"}, {{"tcsh", 4}, 250, "text/x-shellscript"},
    {{"csh", 3}, 250, "text/x-shellscript"},  {{"zsh", 3}, 250, "text/x-shellscript"},
    {{"fash", 4}, 250, "text/x-shellscript"}, {{"aesh", 4}, 250, "text/x-shellscript"},
    {{"ksh", 3}, 250, "text/x-shellscript"},  {{"sh", 2}, 250, "text/x-shellscript"},
    {{"perl", 4}, 60, "text/x-perl"},         {{"ruby", 4}, 60, "text/x-ruby"},
    {{"python", 6}, 60, "text/x-python"},     {{"gawk", 4}, 60, "text/x-awk"},
    {{"nawk", 4}, 60, "text/x-awk"},          {{"awk", 3}, 60, "text/x-awk"},
    {{"wish", 4}, 60, "text/x-tcl"},          {{"tcl", 3}, 60, "text/x-tcl"},
    {{"lua", 3}, 49, "text/x-lua"},           {{"node", 4}, 60, "application/javascript"},
    {{"php", 3}, 60, "text/x-php"},
};

static void weigh_interpreter(struct best *best, struct str s)
{
    struct str env = str_starts(s, STR("env")) ? str_from(s, 3) : s;
    while (env.len > 0 && env.len < s.len &&
           (env.at[0] == ' ' || (env.at[0] >= '\t' && env.at[0] <= '\r')))
        env = str_from(env, 1);
    for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++)
        if (str_starts(s, interpreters[i].name) || str_starts(env, interpreters[i].name))
            weigh(best, interpreters[i].strength, interpreters[i].mime);
}

/* #! /usr/bin/env sh */
static void weigh_script(struct best *best, struct str s)
{
    if (!str_starts(s, STR("#!")))
        return;
    s = str_from(s, 2);
    for (uint32_t i = 0; i < s.len && i <= 15 && s.at[i] != '\n'; i++)
        if (i > 0 && str_starts(str_from(s, i), STR("bin/")))
            weigh_interpreter(best, str_from(s, i + 4));
}

static bool is_script_tag(struct str s)
{
    if (str_starts(s, STR("<script>"))) {
        struct str code = skip_white(str_from(s, 8));
        if (str_starts(code, STR("var ")) || str_starts(code, STR("function ")))
            return true;
    }
    if (!starts_nocase(s, STR("<script")) || s.len < 9 || !is_blank(s.at[7]))
        return false;
    s = str_from(s, 7);
    while (s.len > 0 && is_blank(s.at[0]))
        s = str_from(s, 1);
    if (starts_nocase(s, STR("type=")))
        s = str_from(s, 5);
    else if (starts_nocase(s, STR("language=")))
        s = str_from(s, 9);
    else
        return false;
    if (s.len > 0 && (s.at[0] == '"' || s.at[0] == '\''))
        s = str_from(s, 1);
    if (starts_nocase(s, STR("text/")))
        s = str_from(s, 5);
    return starts_nocase(s, STR("javascript"));
}

static bool is_called(struct str s)
{
    if (str_starts(s, STR("ln")))
        s = str_from(s, 2);
    if (s.len > 0 && memchr(":blank", s.at[0], 6))
        s = str_from(s, 1);
    return s.len > 0 && s.at[0] == '(';
}

static void weigh_javascript(struct best *best, struct str s)
{
    struct str code = skip_white(s);
    bool is = is_script_tag(code) || str_starts(code, STR("for (;;);")) ||
              (str_starts(code, STR("document.write")) && is_called(str_from(code, 14)));
    if (str_starts(s, STR("(function()"))) {
        struct str rest = str_from(s, 11);
        while (rest.len > 0 && (is_blank(rest.at[0]) || rest.at[0] == '\n'))
            rest = str_from(rest, 1);
        is = is || (rest.len > 0 && rest.at[0] == '{');
    }
    if (is)
        weigh(best, 60, "application/javascript");
}

/* @echo off */
static void weigh_batch(struct best *best, struct str s)
{
    if (s.len == 0 || s.at[0] != '@')
        return;
    do
        s = str_from(s, 1);
    while (s.len > 0 && s.at[0] == ' ');
    if (!starts_nocase(s, STR("echo ")))
        return;
    s = str_from(s, 5);
    while (s.len > 0 && s.at[0] == ' ')
        s = str_from(s, 1);
    if (starts_nocase(s, STR("off")))
        weigh(best, 110, "text/x-msdos-batch");
}

static bool is_text_char(char c)
{
    return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r');
}

static bool is_text(struct str s)
{
    for (uint32_t i = 0; i < 10; i++)
        if (i >= s.len || !is_text_char(s.at[i]))
            return false;
    return true;
}

static void weigh_text(struct best *best, struct str s)
{
    bool is = is_text(s);
    if (!is && s.len >= 12 && !is_text_char(s.at[0]))
        is = is_text(skip_mark(s)) ||
             (str_starts(s, STR("\0\0\376\377")) && is_text(str_from(s, 4))) ||
             (str_starts(s, STR("\377\376\0\0")) && is_text(str_from(s, 4)));
    if (is)
        weigh(best, -20, "text/plain");
}

/* POSIX tar: a name, and numbers in octal, each ended by NUL. */
static void weigh_tar(struct best *best, struct str s)
{
    static const struct {
        uint16_t upto; /* where the field ends */
        bool digits;
    } parts[] = {{100, false}, {107, true}, {115, true}, {123, true},
                 {135, true},  {147, true}, {155, true}};
    if (s.len < 157)
        return;
    uint32_t at = 0;
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        for (; at < parts[k].upto; at++) {
            char c = s.at[at];
            bool good = parts[k].digits ? is_digit(c) || c == ' ' || (k == 6 && c == '\0')
                                        : c == '\0' || (c >= ' ' && c <= '~');
            if (!good)
                return;
        }
        char stop = s.at[at];
        if (parts[k].digits && stop != '\0' && !(k == 6 && stop == ' '))
            return;
        at += parts[k].digits ? 1 : 0;
    }
    char kind = s.at[156];
    if (kind == '\0' || (kind >= '0' && kind <= '7'))
        weigh(best, 100, "application/x-tar");
}

/* From `i` on up to `end`: those that can still win, as the strongest come first. */
static void weigh_signatures(struct best *best, struct str s, size_t i, size_t end)
{
    for (; i < end && may_win(best, mime_signatures[i].strength); i++) {
        const struct mime_signature *m = &mime_signatures[i];
        if (m->key >= 0 && (m->key_at >= s.len || (uint8_t)s.at[m->key_at] != m->key))
            continue;
        if (mime_match(m->pattern, s))
            weigh(best, m->strength, m->mime);
    }
}

const char *mime_of(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return NULL;
    struct str s = str_make(bytes, size < MIME_LOOK_AT ? size : MIME_LOOK_AT);
    struct best best = {0};
    weigh_markup(&best, s);
    weigh_signatures(&best, s, mime_begins_with[bytes[0]], mime_begins_with[bytes[0] + 1]);
    weigh_script(&best, s);
    weigh_javascript(&best, s);
    weigh_batch(&best, s);
    weigh_tar(&best, s);
    weigh_ini(&best, s);
    weigh_json(&best, s);
    weigh_signatures(&best, s, mime_begins_with[256], mime_n_signatures);
    weigh_text(&best, s);
    return best.mime;
}
