/* Forms and answers of the Query protocol; what is refused; what is wiped. */
#include "cloud/aws_query.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void form(enum aws_style style, json_t *parameters, const char *expected)
{
    struct text text;
    struct err err = {{0}};
    text_init(&text, 4096);
    assert_non_null(parameters);
    if (aws_query_put(&text, style, "A", "1", parameters, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(text.at, expected);
    text_done(&text);
    json_decref(parameters);
}

static void test_forms(void **state)
{
    (void)state;
    form(AWS_STYLE_EC2, json_object(), "Action=A&Version=1");
    form(AWS_STYLE_EC2,
         json_pack("{s:s, s:i, s:b, s:b, s:f, s:n}", "S", "a b/\u00e9~", "I", -7, "T", 1, "F", 0,
                   "R", 0.5, "N"),
         "Action=A&Version=1&S=a+b%2F%C3%A9~&I=-7&T=true&F=false&R=0.5");
    form(AWS_STYLE_EC2,
         json_pack("{s:[{s:s, s:[{s:s, s:s}]}], s:[]}", "TagSpecification", "ResourceType", "t",
                   "Tag", "Key", "k", "Value", "", "Empty"),
         "Action=A&Version=1&TagSpecification.1.ResourceType=t&TagSpecification.1.Tag.1.Key=k&"
         "TagSpecification.1.Tag.1.Value=");
    form(AWS_STYLE_QUERY,
         json_pack("{s:[s,s], s:{s:i}, s:[]}", "Names", "a", "b", "Range", "From", 1, "Empty"),
         "Action=A&Version=1&Names.member.1=a&Names.member.2=b&Range.From=1&Empty=");
}

static void test_too_much(void **state)
{
    struct text text;
    struct err err = {{0}};
    (void)state;
    json_t *deep = json_string("x");
    for (int i = 0; i < 20; i++)
        deep = json_pack("{s:o}", "a", deep);
    text_init(&text, 4096);
    assert_int_equal(aws_query_put(&text, AWS_STYLE_EC2, "A", "1", deep, &err), -EINVAL);
    text_done(&text);
    json_decref(deep);
    json_t *names = json_pack("[s,s,s]", "0123456789", "0123456789", "0123456789");
    json_t *many = json_pack("{s:o}", "N", names);
    text_init(&text, 40);
    assert_int_equal(aws_query_put(&text, AWS_STYLE_EC2, "A", "1", many, &err), -EMSGSIZE);
    text_done(&text);
    json_decref(many);
}

static void answer(const char *xml, json_t *expected)
{
    struct err err = {{0}};
    json_t *out;
    char name[64];
    assert_non_null(expected);
    if (aws_xml_read(xml, strlen(xml), &out, name, &err) < 0)
        fail_msg("%s: %s", xml, err.text);
    if (!json_equal(out, expected))
        fail_msg("%s: %s", xml, json_dumps(out, JSON_ENCODE_ANY));
    assert_string_equal(name, "r");
    json_decref(out);
    json_decref(expected);
}

static void test_answers(void **state)
{
    (void)state;
    answer("<r/>", json_null());
    answer("<r></r>", json_null());
    answer("<r> </r>", json_string(" "));
    answer("<r>\n<a>1</a>\n</r>\n", json_pack("{s:s}", "a", "1"));
    answer("<r><s/><t></t></r>", json_pack("{s:n, s:n}", "s", "t"));
    answer("<r><s><item/></s></r>", json_pack("{s:[n]}", "s"));
    answer("<r><s><item>1</item><item><a>2</a></item></s></r>",
           json_pack("{s:[s, {s:s}]}", "s", "1", "a", "2"));
    answer("<r><s><member>1</member></s></r>", json_pack("{s:[s]}", "s", "1"));
    answer("<r><a>1</a><a>2</a><b/><a>3</a></r>",
           json_pack("{s:[s,s,s], s:n}", "a", "1", "2", "3", "b"));
    answer("<r><item>1</item><a>2</a></r>", json_pack("{s:s, s:[s]}", "a", "2", "item", "1"));
    answer("<r><a>x<!-- c -->y<![CDATA[<&]]>&lt;&#xe9;</a></r>",
           json_pack("{s:s}", "a", "xy<&<\u00e9"));
    answer("<r><a>\xff\xc3\xa9\x80</a></r>", json_pack("{s:s}", "a", "?\u00e9?"));
    answer("<?xml version=\"1.0\"?><r xmlns=\"n\" a=\"b\"><a>1</a></r>",
           json_pack("{s:s}", "a", "1"));
}

static void test_no_answers(void **state)
{
    struct text text;
    struct err err = {{0}};
    json_t *out;
    (void)state;
    text_init(&text, 32u << 20);
    text_put(&text, "<r>");
    for (int i = 0; i < 1 << 20; i++)
        text_put(&text, "<a/>");
    text_put(&text, "</r>");
    assert_int_equal(aws_xml_read(text.at, text.size, &out, NULL, &err), -EPROTO);
    assert_null(out);
    text_done(&text);
    text_init(&text, 32u << 20);
    for (int i = 0; i < 100; i++)
        text_put(&text, "<r>");
    for (int i = 0; i < 100; i++)
        text_put(&text, "</r>");
    assert_int_equal(aws_xml_read(text.at, text.size, &out, NULL, &err), -EPROTO);
    text_done(&text);
    /* Each beginning of a good answer is none. */
    static const char good[] = "<r><s><item>1</item><item><a>&lt;</a></item></s></r>";
    for (size_t size = 0; size < sizeof good - 1; size++) {
        char *exact = malloc(size ? size : 1);
        assert_non_null(exact);
        memcpy(exact, good, size);
        assert_int_equal(aws_xml_read(exact, size, &out, NULL, &err), -EPROTO);
        free(exact);
    }
    static const char *const names[] = {
        "<r><aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/></r>",
        "<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/>",
    };
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(aws_xml_read(names[i], strlen(names[i]), &out, NULL, &err), -EPROTO);
}

static void test_explain(void **state)
{
    static const struct {
        const char *body, *code, *message;
    } bodies[] = {
        {"<Response><Errors><Error><Code>C</Code><Message>M</Message></Error><Error><Code>D</Code>"
         "</Error></Errors></Response>",
         "C", "M"},
        {"<ErrorResponse><Error><Code>C</Code></Error></ErrorResponse>", "C", "HTTP 500: "},
        {"<Response><Errors><Error><Code>C</Code><Message>No. Encoded authorization failure "
         "message: AbC_d</Message></Error></Errors></Response>",
         "C", "No."},
        {"{\"__type\": \"C\", \"message\": \"M\"}", "C", "M"},
        {"{\"__type\": \"a#C\"}", "C", "HTTP 500: "},
        {"{\"code\": \"C\", \"message\": 5}", "C", "HTTP 500: "},
        {"{", "", "HTTP 500: "},
        {"{\"Error\": []}", "", "HTTP 500: "},
        {"<Response><Errors>text</Errors></Response>", "", "HTTP 500: "},
        {"<Response><Errors/></Response>", "", "HTTP 500: "},
        {"<a>text</a>", "", "HTTP 500: "},
        {"", "", "HTTP 500: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct cloud_refusal refusal;
        aws_explain(bodies[i].body, strlen(bodies[i].body), 500, &refusal);
        if (strcmp(refusal.code, bodies[i].code) != 0 ||
            strncmp(refusal.message, bodies[i].message, strlen(bodies[i].message)) != 0 ||
            strstr(refusal.message, "AbC"))
            fail_msg("%s: %s: %s", bodies[i].body, refusal.code, refusal.message);
        assert_int_equal(refusal.status, 500);
    }
}

/* What others have, too, shows what is left in the memory. */
static void test_forget(void **state)
{
    (void)state;
    json_t *secret = json_string("secret-word"), *other = json_string("secret-word");
    json_t *tree = json_pack("{s:[O, i, n], s:{s:O}}", "a", secret, 1, "b", "c", other);
    aws_json_forget(tree);
    assert_string_equal(json_string_value(secret), "");
    assert_string_equal(json_string_value(other), "");
    json_decref(secret);
    json_decref(other);
    aws_json_forget(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),   cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_no_answers),
        cmocka_unit_test(test_explain), cmocka_unit_test(test_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
