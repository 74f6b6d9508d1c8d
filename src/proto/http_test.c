/* The HTTP analyzer: conversations and the rows they leave, whole and in pieces of every size. */
#include "proto/http_bed.h"

#include <zlib.h>

static void test_request_and_reply(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET /a%20b?x=1 HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: test/1.0\r\n"
            "Referer: http://example.com/\r\nOrigin: http://o.example\r\n\r\n");
    bed_wait(&b, SECOND / 100);
    answer(&b, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n"
               "hello world\n");
    bed_close(&b);
    assert_ptr_equal(strstr(b.http,
                            "1|GET|example.com:8080|/a b?x=1|http://example.com/|1.1|test/1.0|"
                            "http://o.example|0|12|200|OK|-|-|(empty)|-|-|-|-|-|-|F"),
                     b.http);
    CHECK_COLUMN(b.http, RESP_MIMES, "text/plain");
    assert_string_equal(b.files, "text/plain|-|0.000000|F|F|12|12|0|0|F|-|-|-|-|-|-|-\n");
    assert_string_equal(b.weird, "");
    assert_true(b.analysis.confirmed);
    bed_free(&b);
}

static void test_pipelining(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
    answer(&b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
               "HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n"
               "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
    bed_close(&b);
    assert_non_null(strstr(b.http, "1|GET|-|/1|-|1.1|-|-|0|2|200|OK|"));
    assert_non_null(strstr(b.http, "\n2|HEAD|-|/2|-|1.1|-|-|0|0|200|OK|"));
    assert_non_null(strstr(b.http, "\n3|GET|-|/3|-|1.1|-|-|0|0|304|Not Modified|"));
    bed_free(&b);
}

static void test_chunks_with_trailer(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n\r\n");
    answer(&b, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n5\r\n12345\r\n0\r\nX-Sum: 9\r\n\r\n");
    answer(&b, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.http, RESPONSE_LEN, "31");
    assert_non_null(strstr(b.http, "|404|Not Found|"));
    CHECK_COLUMN(b.files, SEEN, "31");
    CHECK_COLUMN(b.files, TOTAL, "-");
    bed_free(&b);
}

static void test_body_until_close(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.0\r\n\r\n");
    answer(&b, "HTTP/1.0 200 OK\r\n\r\n<html>\nline\nlast");
    analyzer_http.fin(&b.analysis, FLOW_RESP);
    bed_close(&b);
    CHECK_COLUMN(b.http, RESPONSE_LEN, "20"); /* line ends count two */
    CHECK_COLUMN(b.http, RESP_MIMES, "text/html");
    bed_free(&b);
}

static void test_information_before_reply(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    answer(&b, "HTTP/1.1 100 Continue\r\n\r\n");
    ask(&b, "abc");
    answer(&b, "HTTP/1.1 201\r\nContent-Length: 0\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.http, REQUEST_LEN, "3");
    CHECK_COLUMN(b.http, STATUS, "201");
    CHECK_COLUMN(b.http, STATUS_MSG, "<empty>");
    CHECK_COLUMN(b.http, INFO, "100");
    CHECK_COLUMN(b.http, INFO_MSG, "Continue");
    bed_free(&b);
}

static void test_one_side_only(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    bed_close(&b);
    assert_non_null(strstr(b.http, "1|GET|-|/1|-|-|-|-|0|0|-|-|-|-|"));
    assert_non_null(strstr(b.http, "2|GET|-|/2|-|-|"));
    bed_free(&b);

    bed_open(&b);
    answer(&b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_false(b.analysis.confirmed);
    bed_close(&b);
    assert_non_null(strstr(b.http, "1|-|-|-|-|1.1|-|-|0|0|200|OK|"));
    bed_free(&b);
}

static void test_header_fields(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n"
            "Authorization: Basic dXNlcjpwYTpzcw==\r\n"
            "Via: 1.1 one\r\nx-forwarded-for: 198.51.100.7\r\nVia: 1.1 one\r\n"
            "User-Agent: a\r\n  b\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.http, USERNAME, "user");
    CHECK_COLUMN(b.http, PASSWORD, "-");
    CHECK_COLUMN(b.http, PROXIED, "VIA -> 1.1 one,X-FORWARDED-FOR -> 198.51.100.7");
    CHECK_COLUMN(b.http, USER_AGENT, "a  b");
    CHECK_COLUMN(b.weird, 0, "HTTP_obsolete_line_folding");
    bed_free(&b);

    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\nAuthorization: Basic no?base64\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.http, USERNAME, "<problem-decoding> (Basic no?base64)");
    bed_free(&b);
}

static void test_file_names(void **state)
{
    static const char *const names[][2] = {
        {"attachment; filename=\"a b.txt\"; size=3", "a b.txt"},
        {"attachment; filename=plain.txt", "plain.txt"},
        {"attachment; filename*=UTF-8''na%20me.txt", "na me.txt"},
        {"inline; filename = x", "x"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bed b;
        bed_open(&b);
        ask(&b, "GET / HTTP/1.1\r\n\r\n");
        answer(&b, "HTTP/1.1 200 OK\r\nContent-Disposition: ");
        answer(&b, names[i][0]);
        answer(&b, "\r\nContent-Length: 1\r\n\r\nx");
        bed_close(&b);
        CHECK_COLUMN(b.http, RESP_NAMES, names[i][1]);
        CHECK_COLUMN(b.files, FILENAME, names[i][1]);
        bed_free(&b);
    }
}

static void say_form(struct bed *b, bool with_length)
{
    static const char form[] =
        "--zz\r\nContent-Disposition: form-data; name=\"n\"; filename=\"one.html\"\r\n\r\n"
        "<html>a lone\rCR and\nLF</html>\r\n"
        "--zz\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n"
        "--zz--\r\n";
    char length[40] = "";
    if (with_length)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", sizeof form - 1);
    ask(b, "POST /up HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=\"zz\"\r\n");
    ask(b, length);
    ask(b, "\r\n");
    ask(b, form);
    answer(b, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void test_parts(void **state)
{
    struct bed b;
    bed_open(&b);
    say_form(&b, true);
    bed_close(&b);
    CHECK_COLUMN(b.http, REQUEST_LEN, "167");
    CHECK_COLUMN(b.http, ORIG_NAMES, "one.html");
    CHECK_COLUMN(b.http, ORIG_MIMES, "text/html,application/pdf");
    CHECK_COLUMN(b.http, STATUS, "204");
    CHECK_COLUMN(b.files, SEEN, "29");
    assert_non_null(strstr(b.files, "\napplication/pdf|-|0.000000|T|T|"));
    bed_free(&b);
}

static void test_gzip(void **state)
{
    uint8_t plain[20000], packed[4096];
    memset(plain, 'a', sizeof plain);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = plain;
    z.avail_in = sizeof plain;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t size = sizeof packed - z.avail_out;
    deflateEnd(&z);
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n\r\n");
    char head[128];
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", size);
    answer(&b, head);
    say_bytes(&b, FLOW_RESP, packed, size);
    bed_close(&b);
    CHECK_COLUMN(b.http, RESPONSE_LEN, "20000");
    CHECK_COLUMN(b.files, MIME, "text/plain");
    CHECK_COLUMN(b.files, SEEN, "20000");
    CHECK_COLUMN(b.files, TOTAL, "-");
    bed_free(&b);
}

static void test_bad_gzip(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n\r\n");
    answer(&b, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n\xff\xff\xff"
               "not it");
    bed_close(&b);
    CHECK_COLUMN(b.http, RESPONSE_LEN, "0");
    CHECK_COLUMN(b.weird, 0, "inflate_failed");
    bed_free(&b);
}

static void test_gap_in_body(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n\r\n");
    answer(&b, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123456789");
    analyzer_http.gap(&b.analysis, FLOW_RESP, 10);
    answer(&b, "0123456789HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.http, RESPONSE_LEN, "30");
    assert_non_null(strstr(b.http, "|404|No|"));
    assert_string_equal(b.files, "text/plain|-|0.000000|F|F|20|30|10|0|F|-|-|-|-|-|-|-\n");
    bed_free(&b);
}

static void test_gap_in_headers(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n\r\n");
    answer(&b, "HTTP/1.1 200 OK\r\nServer: x\r\n");
    analyzer_http.gap(&b.analysis, FLOW_RESP, 100);
    answer(&b, "HTTP/1.1 404 ignored\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.http, STATUS, "200");
    assert_null(strstr(b.http, "404"));
    bed_free(&b);
}

static void say_range(struct bed *b, const char *range, const char *body)
{
    char text[256];
    ask(b, "GET /big HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\n");
    snprintf(text, sizeof text,
             "HTTP/1.1 206 Partial\r\nContent-Range: bytes %s\r\nContent-Length: %zu\r\n\r\n%s",
             range, strlen(body), body);
    answer(b, text);
}

static void test_ranges_over_connections(void **state)
{
    struct bed b;
    bed_open(&b);
    say_range(&b, "20-29/30", "cccccccccc");
    bed_disconnect(&b);
    bed_connect(&b, 4001);
    say_range(&b, "0-9/30", "aaaaaaaaaa");
    say_range(&b, "10-19/30", "bbbbbbbbbb");
    bed_close(&b);
    assert_string_equal(b.files, "text/plain|-|0.000000|F|F|30|30|0|0|F|-|-|-|-|-|-|-\n"
                                 "text/plain|-|0.000000|F|F|30|30|0|0|F|-|-|-|-|-|-|-\n");
    bed_free(&b);

    bed_open(&b);
    say_range(&b, "20-29/30", "cccccccccc");
    bed_close(&b);
    assert_string_equal(b.files, "-|-|0.000000|F|F|10|30|20|0|T|-|-|-|-|-|-|-\n");
    bed_free(&b);
}

static void test_idle_file(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n\r\n");
    answer(&b, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome words of it");
    bed_wait(&b, 130 * SECOND);
    bed_close(&b);
    CHECK_COLUMN(b.files, TIMED_OUT, "T");
    CHECK_COLUMN(b.files, SEEN, "16");
    bed_free(&b);
}

static void test_http_09(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET /old\r\n");
    answer(&b, "<html>\nraw");
    bed_close(&b);
    CHECK_COLUMN(b.http, VERSION, "0.9");
    CHECK_COLUMN(b.http, STATUS, "0");
    CHECK_COLUMN(b.http, RESPONSE_LEN, "10");
    bed_free(&b);
}

static void test_not_http(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "\x16\x03\x01 nonsense\r\n");
    answer(&b, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.weird, 0, "bad_HTTP_request");
    CHECK_COLUMN(b.http, STATUS, "400");
    bed_free(&b);

    bed_open(&b);
    ask(&b, "GET / HTTP/1.1\r\n\r\n");
    answer(&b, "SSH-2.0-x\r\n");
    assert_true(b.analysis.failed);
    bed_close(&b);
    CHECK_COLUMN(b.http, STATUS, "-");
    bed_free(&b);
}

static void test_too_many_waiting(void **state)
{
    struct bed b;
    bed_open(&b);
    for (int i = 0; i < 250; i++)
        ask(&b, "GET / HTTP/1.1\r\n\r\n");
    bed_close(&b);
    assert_non_null(strstr(b.weird, "HTTP_excessive_pipelining"));
    assert_non_null(strstr(b.http, "\n250|GET|"));
    bed_free(&b);
}

static void test_connect(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "CONNECT h:443 HTTP/1.1\r\n\r\n");
    answer(&b, "HTTP/1.1 200 OK\r\n\r\n");
    ask(&b, "no protocol that anybody knows, but long enough to be sure of it");
    answer(&b, "HTTP/1.1 500 not a reply\r\n\r\n");
    bed_close(&b);
    CHECK_COLUMN(b.http, METHOD, "CONNECT");
    assert_null(strstr(b.http, "500"));
    bed_free(&b);
}

static void test_websocket(void **state)
{
    struct bed b;
    bed_open(&b);
    ask(&b, "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    answer(&b, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n");
    assert_non_null(b.flow.more);
    const struct analysis *inner = b.flow.more->analyses;
    assert_string_equal(inner->analyzer->name, "websocket");
    say_bytes(&b, FLOW_ORIG, "\x82\x7e\0", 3); /* not the whole header */
    assert_false(inner->confirmed);
    say_bytes(&b, FLOW_RESP,
              "\x81\x03"
              "abc\x89\0",
              7);
    assert_true(inner->confirmed);
    assert_false(inner->failed);
    say_bytes(&b, FLOW_RESP,
              "\x83\x03"
              "abc",
              5);
    assert_true(inner->failed);
    bed_close(&b);
    CHECK_COLUMN(b.http, STATUS, "101");
    bed_free(&b);
}

static void say_all(struct bed *b)
{
    ask(b, "POST /x%41 HTTP/1.1\r\nHost: h\r\nVia: p\r\n q\r\nContent-Length: 4\r\n\r\nabcd");
    answer(b, "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\nd\r\n0123456789abc\r\n0\r\n\r\n");
    say_form(b, false); /* Zeek counts a length that is said from a piece's beginning */
    ask(b, "GET /last HTTP/1.1\n\n");
    answer(b, "HTTP/1.1 200 OK\rA: b\r\n\nline\rline\nline\r\n");
    analyzer_http.fin(&b->analysis, FLOW_RESP);
}

static void test_pieces(void **state)
{
    struct bed whole;
    bed_open(&whole);
    say_all(&whole);
    bed_close(&whole);
    assert_non_null(strstr(whole.http, "/last"));
    for (size_t piece = 1; piece < 40; piece++) {
        struct bed b;
        bed_open(&b);
        b.piece = piece;
        say_all(&b);
        bed_close(&b);
        assert_string_equal(b.http, whole.http);
        assert_string_equal(b.files, whole.files);
        bed_free(&b);
    }
    bed_free(&whole);
}

static void test_match(void **state)
{
    static const struct {
        const char *orig, *resp;
        enum analyzer_match answer;
    } rows[] = {
        {"GET / HTTP/1.1", "", MATCH_YES}, {"  POST", "", MATCH_YES},
        {"PROPF", "", MATCH_MORE},         {"HELO x", "", MATCH_MORE},
        {"HELO x", "220 x", MATCH_NO},     {"HELO x", "HTTP/1", MATCH_YES},
        {"", "http/2", MATCH_YES},         {"", "HTTP/", MATCH_MORE},
        {"xyz", "HTTP/x", MATCH_NO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct probe p = {.data = {str_c(rows[i].orig), str_c(rows[i].resp)}, .is_tcp = true};
        assert_int_equal(analyzer_http.match(&p), rows[i].answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_and_reply),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_chunks_with_trailer),
        cmocka_unit_test(test_body_until_close),
        cmocka_unit_test(test_information_before_reply),
        cmocka_unit_test(test_one_side_only),
        cmocka_unit_test(test_header_fields),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_bad_gzip),
        cmocka_unit_test(test_gap_in_body),
        cmocka_unit_test(test_gap_in_headers),
        cmocka_unit_test(test_ranges_over_connections),
        cmocka_unit_test(test_idle_file),
        cmocka_unit_test(test_http_09),
        cmocka_unit_test(test_not_http),
        cmocka_unit_test(test_too_many_waiting),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_websocket),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
