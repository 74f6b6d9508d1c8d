/* The client of OVSDB: against a scripted server that says wrong things at wrong times, and against
 * a real ovsdb-server with Open vSwitch's schema where there is one. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "linux/ovsdb.h"
#include "linux/ovsdb_bed.h"

/* --- A scripted server ---------------------------------------------------------------------------
 */

struct script {
    char folder[32], path[64];
    int listening;
    const char *const *pieces; /* sent one after the other with a pause between, ended by NULL */
    bool hang_up;              /* after the last one; else it stays and is silent */
    char got[4096];            /* what the client sent until the end */
    pthread_t thread;
};

static void *serve(void *with)
{
    struct script *s = with;
    int fd = accept(s->listening, NULL, NULL);
    size_t size = 0;
    ssize_t n = recv(fd, s->got, sizeof s->got - 1, 0);
    size += n > 0 ? (size_t)n : 0;
    bool there = true;
    for (size_t i = 0; s->pieces[i] && there; i++) {
        there = send(fd, s->pieces[i], strlen(s->pieces[i]), MSG_NOSIGNAL) >= 0;
        usleep(5000);
    }
    if (s->hang_up)
        (void)shutdown(fd, SHUT_WR);
    while ((n = recv(fd, s->got + size, sizeof s->got - 1 - size, 0)) > 0)
        size += (size_t)n;
    s->got[size] = '\0';
    (void)close(fd);
    return NULL;
}

static struct ovsdb *start(struct script *s, const char *const *pieces, bool hang_up,
                           int timeout_ms)
{
    *s = (struct script){.folder = "/tmp/ovsdb-XXXXXX", .pieces = pieces, .hang_up = hang_up};
    assert_non_null(mkdtemp(s->folder));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(s->path, sizeof s->path, "unix:%s/db.sock", s->folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", s->path + 5);
    s->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listening, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->listening, 1), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    struct ovsdb *db = NULL;
    struct err err = {""};
    assert_int_equal(ovsdb_open(s->path, timeout_ms, &db, &err), 0);
    return db;
}

static void stop(struct script *s, struct ovsdb *db)
{
    ovsdb_close(db);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->listening);
    (void)unlink(s->path + 5);
    (void)rmdir(s->folder);
}

static void test_answer_in_pieces(void **state)
{
    (void)state;
    /* A notification, an echo, an answer to somebody else; braces and quotes in strings. */
    static const char *const pieces[] = {
        " {\"id\":null,\"method\":\"up",
        "date\",\"params\":[]}{\"id\":\"echo\",\"method\":\"echo\",\"params\":[\"}\\\"{\\\\\"]}\n",
        "{\"id\":77,\"result\":[\"not yours\"],\"error\":null}{\"id\":1,\"err",
        "or\":null,\"result\":[\"a}\\\"]\\\\\",{\"b\":[]}]}", NULL};
    struct script s;
    struct ovsdb *db = start(&s, pieces, false, 20000);
    struct err err = {""};
    json_t *out = NULL;
    assert_int_equal(ovsdb_call(db, "list_dbs", json_array(), &out, &err), 0);
    assert_string_equal(json_string_value(json_array_get(out, 0)), "a}\"]\\");
    json_decref(out);
    stop(&s, db);
    assert_non_null(strstr(s.got, "\"method\":\"list_dbs\""));
    json_t *reply = json_loads(strstr(s.got, "}{") + 1, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(reply, "id")), "echo");
    assert_string_equal(json_string_value(json_array_get(json_object_get(reply, "result"), 0)),
                        "}\"{\\");
    json_decref(reply);
}

static void test_wrong_answers(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        bool hang_up;
        int code;
        const char *says;
    } rows[] = {
        {"", false, -ETIMEDOUT, "does not answer"},
        {"{\"id\":1,", false, -ETIMEDOUT, "does not answer"},
        {"", true, -EPIPE, "hung up"},
        {"{\"id\":1,", true, -EPIPE, "hung up"},
        {"HTTP/1.1 400 Bad Request\r\n", false, -EBADMSG, "no JSON"},
        {"]", false, -EBADMSG, "no JSON"},
        {"[1,2]", false, -EBADMSG, "no JSON-RPC"},
        {"{\"id\":1,}", false, -EBADMSG, "no JSON-RPC"},
        {"{\"id\":1}", false, -EBADMSG, "without a result"},
        {"{\"id\":1,\"result\":null,\"error\":{\"error\":\"unknown database\",\"details\":\"X\"}}",
         false, -EPROTO, "unknown database: X"},
        {"{\"id\":1,\"result\":null,\"error\":\"unknown method\"}", false, -EPROTO,
         "unknown method"},
        {"{\"id\":1,\"result\":null,\"error\":[7]}", false, -EPROTO, "does not say why"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const pieces[] = {rows[i].piece, NULL};
        struct script s;
        struct ovsdb *db =
            start(&s, pieces, rows[i].hang_up, rows[i].code == -ETIMEDOUT ? 300 : 20000);
        struct err err = {""};
        json_t *out = NULL;
        assert_int_equal(ovsdb_call(db, "list_dbs", json_array(), &out, &err), rows[i].code);
        assert_null(out);
        if (!strstr(err.text, rows[i].says))
            fail_msg("%s: %s", rows[i].piece, err.text);
        stop(&s, db);
    }
}

/* Echoes that come as fast as they are answered do not stretch the time limit. */
static void test_echo_for_ever(void **state)
{
    (void)state;
    static const char *pieces[2000];
    for (size_t i = 0; i + 1 < sizeof pieces / sizeof pieces[0]; i++)
        pieces[i] = "{\"id\":0,\"method\":\"echo\",\"params\":[]}";
    struct script s;
    struct ovsdb *db = start(&s, pieces, false, 300);
    struct err err = {""};
    json_t *out = NULL;
    int64_t begin = clock_ticks();
    assert_int_equal(ovsdb_call(db, "list_dbs", json_array(), &out, &err), -ETIMEDOUT);
    assert_in_range((clock_ticks() - begin) / 1000000, 250, 5000);
    stop(&s, db);
}

static void test_too_long(void **state)
{
    (void)state;
    size_t size = 20u << 20;
    char *piece = malloc(size + 1);
    assert_non_null(piece);
    memset(piece, 'x', size);
    memcpy(piece, "{\"a\":\"", 6);
    piece[size] = '\0';
    const char *const pieces[] = {piece, NULL};
    struct script s;
    struct ovsdb *db = start(&s, pieces, true, 60000);
    struct err err = {""};
    json_t *out = NULL;
    assert_int_equal(ovsdb_call(db, "list_dbs", json_array(), &out, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "longer than"));
    stop(&s, db);
    free(piece);
}

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *where;
        int code;
        const char *says;
    } rows[] = {
        {"unix:/nonexistent/db.sock", -ENOENT, "is ovsdb-server running?"},
        {"unix:", -ENAMETOOLONG, "1 to"},
        {"tcp:127.0.0.1:1", -ECONNREFUSED, "is ovsdb-server running?"},
        {"tcp:[::1]:1", -ECONNREFUSED, "is ovsdb-server running?"},
        {"tcp:", -EINVAL, "tcp:HOST:PORT"},
        {"tcp:[::1", -EINVAL, "tcp:HOST:PORT"},
        {"tcp:[::1]x", -EINVAL, "tcp:HOST:PORT"},
        {"tcp:127.0.0.1:x", -EINVAL, "tcp:HOST:PORT"},
        {"tcp:127.0.0.1:123456", -EINVAL, "tcp:HOST:PORT"},
        {"ssl:127.0.0.1:6640", -EPROTONOSUPPORT, "TLS"},
        {"/run/db.sock", -EINVAL, "unix:PATH"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ovsdb *db = NULL;
        struct err err = {""};
        int code = ovsdb_open(rows[i].where, 1000, &db, &err);
        if (code == -EADDRNOTAVAIL || code == -EAFNOSUPPORT)
            continue; /* no IPv6 here */
        assert_int_equal(code, rows[i].code);
        if (!strstr(err.text, rows[i].says))
            fail_msg("%s: %s", rows[i].where, err.text);
    }
}

static void test_values(void **state)
{
    (void)state;
    json_t *v = json_loads("{\"none\": [\"set\", []], \"one\": \"a\", \"two\": [\"set\", [\"a\", "
                           "\"b\"]], \"id\": [\"uuid\", \"u1\"], \"ids\": [\"set\", [[\"uuid\", "
                           "\"u1\"], [\"uuid\", \"u2\"]]], \"map\": [\"map\", [[\"k\", \"v\"], "
                           "[\"n\", 7], [\"odd\"], 3]], \"n\": 5, \"t\": true}",
                           0, NULL);
    int64_t n = -1;
    assert_int_equal(ovsdb_n(json_object_get(v, "none")), 0);
    assert_int_equal(ovsdb_n(json_object_get(v, "one")), 1);
    assert_int_equal(ovsdb_n(json_object_get(v, "two")), 2);
    assert_int_equal(ovsdb_n(json_object_get(v, "id")), 1);
    assert_int_equal(ovsdb_n(json_object_get(v, "ids")), 2);
    assert_int_equal(ovsdb_n(json_object_get(v, "absent")), 0);
    assert_null(ovsdb_text(json_object_get(v, "none")));
    assert_string_equal(ovsdb_text(json_object_get(v, "one")), "a");
    assert_string_equal(ovsdb_uuid(json_object_get(v, "id")), "u1");
    assert_string_equal(ovsdb_uuid(ovsdb_at(json_object_get(v, "ids"), 1)), "u2");
    assert_null(ovsdb_uuid(json_object_get(v, "one")));
    assert_true(ovsdb_has(json_object_get(v, "ids"), json_object_get(v, "id")));
    assert_false(ovsdb_has(json_object_get(v, "two"), json_object_get(v, "id")));
    assert_string_equal(ovsdb_map_text(json_object_get(v, "map"), "k"), "v");
    assert_null(ovsdb_map_text(json_object_get(v, "map"), "n"));
    assert_null(ovsdb_map_text(json_object_get(v, "one"), "k"));
    assert_true(ovsdb_map_number(json_object_get(v, "map"), "n", &n));
    assert_int_equal(n, 7);
    assert_true(ovsdb_number(json_object_get(v, "n"), &n));
    assert_int_equal(n, 5);
    assert_false(ovsdb_number(json_object_get(v, "none"), &n));
    assert_true(ovsdb_true(json_object_get(v, "t")));
    assert_false(ovsdb_true(json_object_get(v, "n")));
    json_decref(v);
}

/* --- The real one --------------------------------------------------------------------------------
 */

static json_t *text(const char *string)
{
    return json_string(string);
}

/* A bridge with its own port, as ovs-vsctl add-br makes it. */
static int add_bridge(struct ovsdb *db, const char *name, json_t **out, struct err *err)
{
    struct ovsdb_transaction t;
    ovsdb_begin(&t);
    ovsdb_insert(&t, "Interface", json_pack("{s:s, s:s}", "name", name, "type", "internal"), "i");
    ovsdb_insert(&t, "Port", json_pack("{s:s, s:o}", "name", name, "interfaces", ovsdb_named("i")),
                 "p");
    ovsdb_insert(&t, "Bridge",
                 json_pack("{s:s, s:o, s:o}", "name", name, "ports", ovsdb_named("p"),
                           "external_ids", ovsdb_new_map(json_pack("{s:s}", "k", "v"))),
                 "b");
    ovsdb_mutate(&t, "Open_vSwitch", json_array(), "bridges", "insert",
                 ovsdb_new_set(json_pack("[o]", ovsdb_named("b"))));
    return ovsdb_commit(db, &t, out, err);
}

static void test_real_server(void **state)
{
    (void)state;
    static const char *const columns[] = {"name", "ports", "external_ids", "_uuid", NULL};
    static const char *const name[] = {"name", NULL};
    struct ovsdb_bed bed;
    if (!ovsdb_bed_start(&bed))
        skip();
    struct ovsdb *db = NULL;
    struct err err = {""};
    assert_int_equal(ovsdb_open(bed.where, 5000, &db, &err), 0);
    assert_true(ovsdb_is_local(db));
    assert_string_equal(ovsdb_where(db), bed.where);

    bool is = false;
    assert_int_equal(ovsdb_has_column(db, "Mirror", "snaplen", &is, &err), 0);
    assert_true(is);
    assert_int_equal(ovsdb_has_column(db, "Mirror", "colour", &is, &err), 0);
    assert_false(is);
    assert_int_equal(ovsdb_lock_is_held(db, "ovs_vswitchd", &is, &err), 0);
    assert_false(is);

    /* Held by another connection: seen, and not taken from it. */
    struct ovsdb *other = NULL;
    json_t *answer = NULL, *results = NULL;
    assert_int_equal(ovsdb_open(bed.where, 5000, &other, &err), 0);
    assert_int_equal(ovsdb_call(other, "lock", json_pack("[s]", "ovs_vswitchd"), &answer, &err), 0);
    json_decref(answer);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ovsdb_lock_is_held(db, "ovs_vswitchd", &is, &err), 0);
        assert_true(is);
    }
    ovsdb_close(other);

    if (add_bridge(db, "br0", &results, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(ovsdb_uuid(json_object_get(json_array_get(results, 2), "uuid")));
    json_decref(results);
    struct ovsdb_transaction t;
    ovsdb_begin(&t);
    ovsdb_select(&t, "Bridge", json_array(), columns);
    ovsdb_select(&t, "Bridge", ovsdb_where_is("name", text("br1")), columns);
    assert_int_equal(ovsdb_commit(db, &t, &results, &err), 0);
    const json_t *row = ovsdb_row(results, 0, 0);
    assert_string_equal(ovsdb_text(json_object_get(row, "name")), "br0");
    assert_string_equal(ovsdb_map_text(json_object_get(row, "external_ids"), "k"), "v");
    assert_int_equal(ovsdb_n(json_object_get(row, "ports")), 1);
    assert_null(ovsdb_row(results, 0, 1));
    assert_null(ovsdb_row(results, 1, 0));
    assert_null(ovsdb_row(results, 2, 0));

    /* What is as expected goes through; what is not stops all of it. */
    ovsdb_begin(&t);
    ovsdb_expect(&t, "Bridge", ovsdb_where_uuid(ovsdb_uuid(json_object_get(row, "_uuid"))),
                 json_pack("[{s:s}]", "name", "br0"), name);
    ovsdb_expect(&t, "Bridge", ovsdb_where_is("name", text("br1")), json_array(), name);
    ovsdb_update(&t, "Bridge", ovsdb_where_is("name", text("br0")),
                 json_pack("{s:s}", "datapath_type", "netdev"));
    assert_int_equal(ovsdb_commit(db, &t, NULL, &err), 0);
    ovsdb_begin(&t);
    ovsdb_update(&t, "Bridge", ovsdb_where_is("name", text("br0")),
                 json_pack("{s:s}", "datapath_type", "system"));
    ovsdb_expect(&t, "Bridge", ovsdb_where_is("name", text("br0")), json_array(), name);
    assert_int_equal(ovsdb_commit(db, &t, NULL, &err), -EAGAIN);
    assert_non_null(strstr(err.text, "Bridge"));
    json_decref(results);
    static const char *const type[] = {"datapath_type", NULL};
    ovsdb_begin(&t);
    ovsdb_select(&t, "Bridge", json_array(), type);
    assert_int_equal(ovsdb_commit(db, &t, &results, &err), 0);
    assert_string_equal(ovsdb_text(json_object_get(ovsdb_row(results, 0, 0), "datapath_type")),
                        "netdev");
    json_decref(results);

    /* Refusals: of the whole at its end, of one operation, and of a table that does not exist. */
    assert_int_equal(add_bridge(db, "br0", NULL, &err), -EEXIST);
    assert_non_null(strstr(err.text, "constraint violation"));
    ovsdb_begin(&t);
    ovsdb_select(&t, "Bridge", json_array(), columns);
    ovsdb_mutate(&t, "Bridge", json_array(), "colour", "insert", text("red"));
    assert_int_equal(ovsdb_commit(db, &t, NULL, &err), -EPROTO);
    assert_non_null(strstr(err.text, "to mutate in table Bridge"));
    assert_non_null(strstr(err.text, "colour"));
    ovsdb_begin(&t);
    ovsdb_delete(&t, "Colours", json_array());
    assert_true(ovsdb_commit(db, &t, NULL, &err) < 0);
    assert_non_null(strstr(err.text, "Colours"));

    /* What could not be built is never sent. */
    ovsdb_begin(&t);
    ovsdb_delete(&t, "Bridge", NULL);
    assert_int_equal(ovsdb_commit(db, &t, NULL, &err), -ENOMEM);

    /* The server goes away under us. */
    ovsdb_bed_stop(&bed);
    assert_true(ovsdb_lock_is_held(db, "ovs_vswitchd", &is, &err) < 0);
    assert_non_null(strstr(err.text, "hung up"));
    ovsdb_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_in_pieces), cmocka_unit_test(test_wrong_answers),
        cmocka_unit_test(test_echo_for_ever),    cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_places),           cmocka_unit_test(test_values),
        cmocka_unit_test(test_real_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
