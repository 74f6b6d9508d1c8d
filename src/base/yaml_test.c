/* Documents by a table: every kind of value, what is refused and in what words, bounds. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdlib.h>

#include "base/yaml.h"

struct item {
    char *name;
    uint32_t number;
    struct yaml_place place;
};

struct thing {
    char *text;
    bool flag;
    uint32_t count;
    uint64_t size;
    int64_t time;
    uint8_t share;
    int word;
    struct item one;
    struct item *items, *named;
    size_t n_items, n_named;
    char **texts, **lines;
    size_t n_texts, n_lines;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct yaml_row item_rows[] = {
    {.key = "name", .kind = YAML_TEXT, .at = offsetof(struct item, name), .help = "a"},
    {.key = "number", .kind = YAML_COUNT, .at = offsetof(struct item, number), .help = "b"},
    {.key = NULL},
};

static int finish_item(void *at, struct err *err)
{
    return ((struct item *)at)->number == 13 ? err_set(err, -EINVAL, "bad luck") : 0;
}

#define LIST(items, n)                                                                             \
    .at = offsetof(struct thing, items), .count_at = offsetof(struct thing, n),                    \
    .item_size = sizeof(*((struct thing *)0)->items)

static const struct yaml_row rows[] = {
    {.key = "text",
     .kind = YAML_TEXT,
     .at = offsetof(struct thing, text),
     .max = 20,
     .zero = "off",
     .help = "c"},
    {.key = "flag", .kind = YAML_BOOL, .at = offsetof(struct thing, flag), .help = "d"},
    {.key = "count",
     .kind = YAML_COUNT,
     .at = offsetof(struct thing, count),
     .min = 2,
     .max = 9,
     .zero = "auto",
     .help = "e"},
    {.key = "size",
     .kind = YAML_SIZE,
     .at = offsetof(struct thing, size),
     .min = 1024,
     .help = "f"},
    {.key = "time",
     .kind = YAML_TIME,
     .at = offsetof(struct thing, time),
     .max = 86400000000000,
     .help = "g"},
    {.key = "share",
     .kind = YAML_SHARE,
     .at = offsetof(struct thing, share),
     .min = 1,
     .help = "h"},
    {.key = "word",
     .kind = YAML_WORD,
     .at = offsetof(struct thing, word),
     .words = colours,
     .help = "i"},
    {.key = "one",
     .kind = YAML_MAP,
     .at = offsetof(struct thing, one),
     .rows = item_rows,
     .finish = finish_item,
     .help = "j"},
    {.key = "items",
     .kind = YAML_MAP,
     .shape = YAML_LIST,
     LIST(items, n_items),
     .max_items = 5,
     .rows = item_rows,
     .finish = finish_item,
     .has_place = true,
     .place_at = offsetof(struct item, place),
     .help = "k"},
    {.key = "named",
     .kind = YAML_MAP,
     .shape = YAML_NAMED,
     LIST(named, n_named),
     .max_items = 5,
     .rows = item_rows + 1,
     .name_at = offsetof(struct item, name),
     .help = "l"},
    {.key = "texts",
     .kind = YAML_TEXT,
     .shape = YAML_LIST,
     LIST(texts, n_texts),
     .max_items = 40,
     .help = "m"},
    {.key = "lines",
     .kind = YAML_TEXT,
     .shape = YAML_LIST,
     LIST(lines, n_lines),
     .max_items = 40,
     .replaces = true,
     .help = "n"},
    {.key = "x-", .kind = YAML_IGNORE, .help = "o"},
    {.key = NULL},
};

/* From a block of its exact size. */
static int take_bytes(const char *bytes, size_t size, uint16_t file, struct thing *thing,
                      struct err *err)
{
    struct yaml_doc *doc = NULL;
    char *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    int result = yaml_parse(exact, size, "f", &doc, err);
    free(exact);
    if (result == 0)
        result = yaml_take(doc, rows, file, thing, err);
    yaml_doc_free(doc);
    return result;
}

static void take_good(const char *text, struct thing *thing)
{
    struct err err = {{0}};
    if (take_bytes(text, strlen(text), 0, thing, &err) < 0)
        fail_msg("%s: %s", text, err.text);
}

static void test_values(void **state)
{
    (void)state;
    struct thing t = {0};
    take_good("# all kinds\ntext: no\nflag: on\ncount: 9\nsize: 512M\ntime: 1h30m\nshare: 80%\n"
              "word: blue\none: {name: 12:30, number: 0}\nitems:\n- name: \"1\"\n  number: 7\n"
              "- number: 8\nnamed:\n  a: {number: 1}\n  b:\ntexts: [yes, ~x, 0x10, 2026-01-01]\n"
              "lines: one\n",
              &t);
    assert_string_equal(t.text, "no");
    assert_true(t.flag);
    assert_int_equal(t.count, 9);
    assert_int_equal(t.size, 512u << 20);
    assert_int_equal(t.time, 5400000000000);
    assert_int_equal(t.share, 80);
    assert_int_equal(t.word, 2);
    assert_string_equal(t.one.name, "12:30");
    assert_int_equal(t.n_items, 2);
    assert_string_equal(t.items[0].name, "1");
    assert_int_equal(t.items[1].number, 8);
    assert_int_equal(t.items[1].place.line, 13);
    assert_int_equal(t.items[1].place.column, 3);
    assert_int_equal(t.n_named, 2);
    assert_string_equal(t.named[1].name, "b");
    assert_int_equal(t.n_texts, 4);
    assert_string_equal(t.texts[0], "yes");
    assert_string_equal(t.texts[2], "0x10");
    assert_int_equal(t.n_lines, 1);
    yaml_drop(rows, &t);
    assert_null(t.text);
    assert_int_equal(t.n_texts, 0);
}

static void test_other_spellings(void **state)
{
    (void)state;
    struct thing t = {0};
    take_good("", &t);
    take_good("\xef\xbb\xbf---\n...\n", &t);
    take_good("%YAML 1.1\n---\none:\nitems:\ntexts:\nnamed:\n", &t);
    assert_int_equal(t.n_items, 0);
    take_good("text: x\ncount: 5\n", &t);
    take_good("text: off\ncount: auto\n", &t);
    assert_null(t.text);
    assert_int_equal(t.count, 0);
    take_good("flag: 'TRUE'\nitems: {number: 3}\r\ntexts: a\n", &t);
    assert_true(t.flag);
    assert_int_equal(t.n_items, 1);
    take_good("texts: [b]\nlines: [1, 2]\nflag: off\nnamed: {a: {number: 1}}\n", &t);
    take_good("lines: [3]\nnamed: {a: {number: 2}}\n", &t);
    assert_int_equal(t.n_texts, 2); /* grows from file to file */
    assert_int_equal(t.n_lines, 1); /* begins anew */
    assert_int_equal(t.n_named, 1);
    assert_int_equal(t.named[0].number, 2);
    assert_false(t.flag);
    yaml_drop(rows, &t);
}

static void test_taken_over(void **state)
{
    (void)state;
    struct thing t = {0};
    take_good("x-a: &a {name: a, number: 1}\nx-b: &b {number: 2}\n"
              "items:\n- <<: *a\n- {number: 9, <<: *a}\n- <<: [*b, *a]\n- *b\n",
              &t);
    assert_int_equal(t.n_items, 4);
    assert_string_equal(t.items[0].name, "a");
    assert_int_equal(t.items[0].number, 1);
    assert_string_equal(t.items[1].name, "a");
    assert_int_equal(t.items[1].number, 9);
    assert_string_equal(t.items[2].name, "a");
    assert_int_equal(t.items[2].number, 2);
    assert_null(t.items[3].name);
    yaml_drop(rows, &t);
}

static void expect_refusal(const char *text, size_t size, const char *sentence)
{
    struct thing t = {0};
    struct err err = {{0}};
    int result = take_bytes(text, size, 0, &t, &err);
    if (result != -EINVAL && result != -EFBIG)
        fail_msg("%.60s: gave %d", text, result);
    assert_string_equal(err.text, sentence);
    yaml_drop(rows, &t);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"tet: a", "f: unknown key 'tet' (line 1, column 1); did you mean 'text'?"},
        {"one:\n  zzzzz: 1", "f: unknown key 'zzzzz' (line 2, column 3)"},
        {"text: a\ntext: b", "f: 'text' was there before, in line 1 (line 2, column 1)"},
        {"named: {a: {}, a: {}}", "f: 'a' was there before, in line 1 (line 1, column 16)"},
        {"named: {~: {}}", "f: 'a name' has no value; it wants some characters (line 1, column 9)"},
        {"text:", "f: 'text' has no value; it wants a text, or off (line 1, column 6)"},
        {"text: [a]", "f: 'text' wants a text, or off, not a list (line 1, column 7)"},
        {"text: {a: b}", "f: 'text' wants a text, or off, not a mapping (line 1, column 7)"},
        {"text: ''", "f: 'text' wants 1 to 20 characters, or off, not '' (line 1, column 7)"},
        {"flag: 1", "f: 'flag' wants yes or no, not '1' (line 1, column 7)"},
        {"flag: y", "f: 'flag' wants yes or no, not 'y' (line 1, column 7)"},
        {"count: 1", "f: 'count' wants a number from 2 to 9, or auto, not '1' (line 1, column 8)"},
        {"count: 10",
         "f: 'count' wants a number from 2 to 9, or auto, not '10' (line 1, column 8)"},
        {"count: 05",
         "f: 'count' wants a number from 2 to 9, or auto, not '05' (line 1, column 8)"},
        {"count: 0x5",
         "f: 'count' wants a number from 2 to 9, or auto, not '0x5' (line 1, column 8)"},
        {"count: -5",
         "f: 'count' wants a number from 2 to 9, or auto, not '-5' (line 1, column 8)"},
        {"size: 5Q", "f: 'size' wants a size such as 512M, not '5Q' (line 1, column 7)"},
        {"size: 5", "f: 'size' wants a size of at least 1K, not '5' (line 1, column 7)"},
        {"time: 12:30", "f: 'time' wants a time with its unit, such as 30s, 5m or 1h, not '12:30' "
                        "(line 1, column 7)"},
        {"time: 8d", "f: 'time' wants a time from 0s to 1d, not '8d' (line 1, column 7)"},
        {"time: 5m1h", "f: 'time' wants a time with its unit, such as 30s, 5m or 1h, not '5m1h' "
                       "(line 1, column 7)"},
        {"share: 101%", "f: 'share' wants a share such as 80%, not '101%' (line 1, column 8)"},
        {"share: 0%", "f: 'share' wants a share such as 80%, not '0%' (line 1, column 8)"},
        {"word: gren", "f: 'word' wants red, green or blue, not 'gren' (line 1, column 7); did you "
                       "mean 'green'?"},
        {"word: 7", "f: 'word' wants red, green or blue, not '7' (line 1, column 7)"},
        {"one: {number: 13}", "f: 'one': bad luck (line 1, column 6)"},
        {"items: [{number: 13}]", "f: 'items': bad luck (line 1, column 9)"},
        {"items: [{},{},{},{},{},{}]", "f: 'items' has more than 5 entries (line 1, column 24)"},
        {"items: [a]", "f: here belong keys and values ('name: …') (line 1, column 9)"},
        {"texts: {a: b}", "f: 'texts' wants a list (line 1, column 8)"},
        {"named: [a]", "f: 'named' wants names, and a mapping for each (line 1, column 8)"},
        {"- a", "f: here belong keys and values ('text: …') (line 1, column 1)"},
        {"a", "f: here belong keys and values ('text: …') (line 1, column 1)"},
        {"text: a\n---\ntext: b", "f: a second document in one file (line 2, column 1)"},
        {"text: !!str a", "f: tags (!…) are not used here (line 1, column 7)"},
        {"%TAG !a! b\n---\ntext: a", "f: directives (%…) are not used here (line 1, column 1)"},
        {"one:\n\tname: a", "f: a tab in the indentation; YAML wants spaces (line 2, column 1)"},
        {"one:\n \tname: a", "f: a tab in the indentation; YAML wants spaces (line 2, column 2)"},
        {"text: \"\xc3\xa4\xc3\"", "f: this is not UTF-8 (line 1, column 9)"},
        {"text: a\r\ntext: \xed\xa0\x80", "f: this is not UTF-8 (line 2, column 7)"},
        {"text: \xc0\x80", "f: this is not UTF-8 (line 1, column 7)"},
        {"text: \xf4\x90\x80\x80", "f: this is not UTF-8 (line 1, column 7)"},
        {"text: \xe2\x82", "f: this is not UTF-8 (line 1, column 7)"},
        {"text: a\x1b[1m", "f: a control character (line 1, column 8)"},
        {"text: a\xe2\x80\xa8"
         "b",
         "f: a character that cannot be seen (a line separator or the like) (line 1, column 8)"},
        {"text: \"a\\0\"", "f: a control character in a text (line 1, column 7)"},
        {"text: \"a\\x82\"", "f: a control character in a text (line 1, column 7)"},
        {"text: \"a\\P\"", "f: a control character in a text (line 1, column 7)"},
        {"x-a: &a [*a]", "f: an alias inside of what it stands for (line 1, column 10)"},
        {"text: *a", "f: an alias without an anchor before it (line 1, column 7)"},
        {"x-a: &a 1\nx-b: &a 2", "f: an anchor of this name is there already (line 2, column 6)"},
        {"&a text: b", "f: an anchor on a key (line 1, column 1)"},
        {"x-a: &a b\n? *a\n: c", "f: an alias as a key (line 2, column 3)"},
        {"? [a]\n: b", "f: a list or mapping as a key (line 1, column 3)"},
        {"one: {<<: a}", "f: '<<' wants an alias of a mapping (line 1, column 11)"},
        {"one: {<<: [a]}", "f: '<<' wants an alias of a mapping (line 1, column 12)"},
        {"one: {<<: {}, <<: {}}", "f: a second '<<' (line 1, column 15)"},
        {"x-a: &a {nam: x}\none: {<<: *a}",
         "f: unknown key 'nam' (line 1, column 10); did you mean 'name'?"},
        {"text: [::]:4789", "f: a text that begins with [ or the like stands in quotation marks, "
                            "while parsing a flow node that begins in line 1 (line 1, column 8)"},
        {"texts: [a\n", "f: did not find expected ',' or ']', while parsing a flow sequence that "
                        "begins in line 1 (line 2, column 1)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refusal(cases[i].text, strlen(cases[i].text), cases[i].sentence);
    expect_refusal("text: a\0b", 9, "f: a control character (line 1, column 8)");
}

/* `n` times `piece` between `head` and `tail`. */
static char *repeat(const char *head, const char *piece, size_t n, const char *tail)
{
    size_t size = strlen(head) + n * strlen(piece) + strlen(tail) + 1;
    char *text = malloc(size), *at = text;
    assert_non_null(text);
    at += snprintf(at, size, "%s", head);
    for (size_t i = 0; i < n; i++) {
        memcpy(at, piece, strlen(piece));
        at += strlen(piece);
    }
    snprintf(at, size - (size_t)(at - text), "%s", tail);
    return text;
}

static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *head, *piece;
        size_t n;
        const char *tail, *sentence;
    } cases[] = {
        {"x-a: ", "[", 15, "",
         "f: did not find expected node content" /* the depth itself is good */},
        {"x-a: ", "[", 16, "", "f: lists and mappings are too deep inside each other"},
        {"x-a: ", "[", 100000, "", "f: lists and mappings are too deep inside each other"},
        {"x-a: &a [[[[[[[[b]]]]]]]]\nx-b: [[[[[[[[", "", 0, "*a]]]]]]]]",
         "f: lists and mappings are too deep inside each other"},
        {"", " ", YAML_MAX_SIZE + 1, "", "f: larger than 8388608 bytes"},
        {"x-a: [", "a,", YAML_MAX_NODES, "]", "f: the document has too many values"},
        {"x-a: &a [a,a,a,a,a,a,a,a,a]\nx-b: [", "*a,", YAML_MAX_WEIGHT / 10, "]",
         "f: the document is too large when its aliases are followed"},
        {"x-a:\n", "- &a b\n", 2, "", "f: an anchor of this name is there already"},
        {"x-a: '", "\n", 1000000, "", "f: found unexpected end of stream"},
        {"", "\t", 8000000, "a", "f: a tab in the indentation; YAML wants spaces"},
        {"", "%TAG !a! b\n", 700000, "", "f: directives (%…) are not used here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct thing t = {0};
        struct err err = {{0}};
        char *text = repeat(cases[i].head, cases[i].piece, cases[i].n, cases[i].tail);
        assert_true(take_bytes(text, strlen(text), 0, &t, &err) < 0);
        /* Fifteen levels are allowed, so something else is wrong with that text. */
        if (i == 0)
            assert_null(strstr(err.text, "too deep"));
        else if (strncmp(err.text, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("%zu: %s", i, err.text);
        free(text);
        yaml_drop(rows, &t);
    }
}

/* Ten to the ninth values out of nine lines. */
static void test_laughs(void **state)
{
    (void)state;
    char text[2000] = "x-0: &a0 [l,l,l,l,l,l,l,l,l,l]\n";
    for (int i = 1; i < 9; i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at,
                 "x-%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    struct thing t = {0};
    struct err err = {{0}};
    assert_int_equal(take_bytes(text, strlen(text), 0, &t, &err), -EINVAL);
    assert_non_null(strstr(err.text, "too large when its aliases are followed"));
    yaml_drop(rows, &t);
}

/* Every prefix of a good document is taken or refused, and nothing is lost of what it owned. */
static void test_prefixes(void **state)
{
    (void)state;
    static const char text[] =
        "x-a: &a {name: \"\\u00e4\", number: 1}\ntext: |\n  line\nitems:\n- <<: *a\n- {number: 3}\n"
        "named:\n  a: {number: 4}\ntexts: [a, 'b', \"c\"]\nlines: >-\n  folded\n  text\n";
    for (size_t size = 0; size <= sizeof text - 1; size++) {
        struct thing t = {0};
        struct err err = {{0}};
        int result = take_bytes(text, size, 0, &t, &err);
        assert_true(result == 0 || result == -EINVAL);
        assert_true(result == 0 || err.text[0]);
        assert_true(size < sizeof text - 1 || result == 0);
        yaml_drop(rows, &t);
    }
}

static char *put(const struct thing *t)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    yaml_put(rows, t, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

/* What is written gives the same when it is read, whatever the texts are. */
static void test_put(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "plain", "no",  "12:30", "1e3", "0x1", "a b",   " a",       "a: b", "#a", "-", "- a",
        "[a]",   "{a}", "&a",    "*a",  "!a",  "\"a\"", "a\\b",     "a\nb", "\t", "~", "null",
        ".",     "y",   "a:",    "::",  "%a",  "@a",    "\xc3\xa4", "<<",   "a,b"};
    struct thing a = {0}, b = {0};
    take_good("flag: yes\ncount: 3\nsize: 3M\ntime: 90m\nshare: 7%\nword: green\nnamed: {no: {}}\n"
              "items: [{number: 2}, {}]\n",
              &a);
    a.n_texts = sizeof texts / sizeof texts[0];
    a.texts = calloc(a.n_texts, sizeof *a.texts);
    assert_non_null(a.texts);
    for (size_t i = 0; i < a.n_texts; i++)
        a.texts[i] = strdup(texts[i]);
    char *first = put(&a);
    take_good(first, &b);
    char *second = put(&b);
    assert_string_equal(first, second);
    assert_int_equal(b.n_texts, a.n_texts);
    for (size_t i = 0; i < a.n_texts; i++)
        assert_string_equal(a.texts[i], b.texts[i]);
    assert_non_null(strstr(first, "time: 90m\n"));
    assert_non_null(strstr(first, "text: off\n"));
    free(first);
    free(second);
    yaml_drop(rows, &a);
    yaml_drop(rows, &b);
}

static int count_rows(const char *path, const struct yaml_row *row, void *with)
{
    const char *dot = strrchr(path, '.');
    assert_string_equal(dot ? dot + 1 : path, row->key);
    ++*(int *)with;
    return 0;
}

static void test_reference(void **state)
{
    (void)state;
    struct thing t = {.count = 4};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    yaml_reference(rows, &t, f);
    assert_int_equal(fclose(f), 0);
    assert_non_null(strstr(text, "count: NUMBER|auto  (4)\n"));
    assert_non_null(strstr(text, "word: red|green|blue  (red)\n"));
    assert_non_null(strstr(text, "x-...: ANYTHING\n"));
    free(text);
    int n = 0;
    assert_int_equal(yaml_each(rows, count_rows, &n), 0);
    assert_int_equal(n, 13 + 2 + 2 + 1);
}

static void test_files(void **state)
{
    (void)state;
    struct yaml_doc *doc = NULL;
    struct err err = {{0}};
    assert_int_equal(yaml_parse_file("/nonexistent/a.yaml", &doc, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent/a.yaml: No such file or directory");
    assert_int_equal(yaml_parse_file("/", &doc, &err), -EISDIR);
    assert_int_equal(yaml_parse_file("/dev/zero", &doc, &err), -EFBIG);
    assert_null(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),     cmocka_unit_test(test_other_spellings),
        cmocka_unit_test(test_taken_over), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bounds),     cmocka_unit_test(test_laughs),
        cmocka_unit_test(test_prefixes),   cmocka_unit_test(test_put),
        cmocka_unit_test(test_reference),  cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
