/* The watch's socket: both sides in one process, over real sockets in a folder of their own. */
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
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sensor/control.h"

#define S 1000000000ll

struct bed {
    char folder[64], path[CONTROL_PATH_MAX];
    struct control *control;
    int stop[2];
    size_t answer_size; /* 0: there is none */
    pthread_t thread;
};

static char *answer(enum control_request request, size_t *out_size, void *with)
{
    struct bed *bed = with;
    if (bed->answer_size == 0)
        return NULL;
    char *text = malloc(bed->answer_size);
    memset(text, request == CONTROL_SOURCES ? 's' : 'n', bed->answer_size);
    text[bed->answer_size - 1] = '\n';
    *out_size = bed->answer_size;
    return text;
}

static int set_up(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct err err;
    snprintf(bed->folder, sizeof bed->folder, "/tmp/control_test.XXXXXX");
    if (!mkdtemp(bed->folder) || pipe(bed->stop) < 0)
        return -1;
    snprintf(bed->path, sizeof bed->path, "%s/run/watch.sock", bed->folder);
    int fd = control_listen(bed->path, &err);
    if (fd < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    bed->answer_size = 100;
    bed->control = control_new(
        fd, &(struct control_options){.answer = answer, .with = bed, .client_time = 5 * S});
    *state = bed;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *bed = *state;
    char run[80];
    control_free(bed->control);
    unlink(bed->path);
    snprintf(run, sizeof run, "%s/run", bed->folder);
    rmdir(run);
    close(bed->stop[0]);
    close(bed->stop[1]);
    int failed = rmdir(bed->folder);
    free(bed);
    return failed;
}

/* The control thread of a watch; its clock stands still. */
static void *serve(void *with)
{
    struct bed *bed = with;
    for (;;) {
        struct pollfd fds[CONTROL_FDS + 1];
        size_t n = control_fds(bed->control, fds);
        fds[n] = (struct pollfd){bed->stop[0], POLLIN, 0};
        if (poll(fds, n + 1, -1) < 0 || fds[n].revents)
            return NULL;
        control_serve(bed->control, S);
    }
}

static void start(struct bed *bed)
{
    assert_int_equal(pthread_create(&bed->thread, NULL, serve, bed), 0);
}

static void stop(struct bed *bed)
{
    char byte = 0;
    assert_int_equal(write(bed->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(bed->thread, NULL), 0);
    assert_int_equal(read(bed->stop[0], &byte, 1), 1);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_asks(void **state)
{
    struct bed *bed = *state;
    struct err err;
    char *text;
    size_t size;
    static const size_t sizes[] = {1, 100, 3000000};
    for (size_t i = 0; i < 3; i++) {
        bed->answer_size = sizes[i];
        start(bed);
        if (control_ask(bed->path, "sources", 4000000, 60000, &text, &size, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(size, sizes[i]);
        assert_int_equal(text[0], size > 1 ? 's' : '\n');
        free(text);
        if (control_ask(bed->path, "snapshot", 4000000, 60000, &text, &size, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(size, sizes[i]);
        assert_int_equal(text[0], size > 1 ? 'n' : '\n');
        free(text);
        stop(bed);
    }
    start(bed);
    assert_int_equal(control_ask(bed->path, "snapshot", 1000, 60000, &text, &size, &err),
                     -EMSGSIZE);
    assert_int_equal(control_ask(bed->path, "reboot", 1000, 60000, &text, &size, &err), -EPROTO);
    assert_non_null(strstr(err.text, "the requests are"));
    stop(bed);
    bed->answer_size = 0;
    start(bed);
    assert_int_equal(control_ask(bed->path, "snapshot", 1000, 60000, &text, &size, &err), -EPROTO);
    assert_non_null(strstr(err.text, "nothing is known yet"));
    stop(bed);
    assert_int_equal(control_counters(bed->control).n_misused, 1);
}

/* Requests that come in pieces, too long, empty, and from who hangs up. */
static void test_strange_clients(void **state)
{
    struct bed *bed = *state;
    static const struct {
        const char *pieces[3];
        const char *begin;
    } rows[] = {
        {{"sou", "rces\n", NULL}, "sss"},
        {{"snapshot\r\n", NULL}, "nnn"},
        {{"sources\nsnapshot\n", NULL}, "sss"},
        {{"\n", NULL}, "{\"error\""},
        {{"sourcesx\n", NULL}, "{\"error\""},
        {{"0123456789012345678901234567890123456789012345678901234567890123456789", NULL},
         "{\"error\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char got[200] = "";
        int fd = connect_to(bed->path);
        for (size_t j = 0; rows[i].pieces[j]; j++) {
            size_t len = strlen(rows[i].pieces[j]);
            assert_int_equal(send(fd, rows[i].pieces[j], len, 0), len);
            control_serve(bed->control, S);
        }
        assert_true(recv(fd, got, sizeof got - 1, 0) > 0);
        assert_memory_equal(got, rows[i].begin, strlen(rows[i].begin));
        close(fd);
        control_serve(bed->control, S);
    }
    /* Half closed without a newline: the request ends there. */
    char got[200] = "";
    int fd = connect_to(bed->path);
    assert_int_equal(send(fd, "sources", 7, 0), 7);
    shutdown(fd, SHUT_WR);
    control_serve(bed->control, S); /* the word */
    control_serve(bed->control, S); /* its end */
    assert_int_equal(recv(fd, got, sizeof got, 0), 100);
    close(fd);
    fd = connect_to(bed->path);
    close(fd); /* without a word */
    control_serve(bed->control, S);
    bed->answer_size = 3000000; /* goes with the answer on its way */
    fd = connect_to(bed->path);
    assert_int_equal(send(fd, "sources\n", 8, 0), 8);
    control_serve(bed->control, S);
    close(fd);
    control_serve(bed->control, S);
    struct pollfd fds[CONTROL_FDS];
    assert_int_equal(control_fds(bed->control, fds), 1); /* nobody is left */
}

static void test_slow_and_many(void **state)
{
    struct bed *bed = *state;
    int fds[CONTROL_CLIENTS + 4];
    struct pollfd waited[CONTROL_FDS];
    assert_int_equal(control_timeout(bed->control, S), -1);
    for (size_t i = 0; i < CONTROL_CLIENTS + 1; i++)
        fds[i] = connect_to(bed->path);
    control_serve(bed->control, S);
    /* All places are taken: nobody new is looked at. */
    assert_int_equal(control_fds(bed->control, waited), CONTROL_CLIENTS);
    assert_int_equal(control_timeout(bed->control, S), 5001);
    assert_int_equal(control_timeout(bed->control, 4 * S), 2001);
    assert_int_equal(control_timeout(bed->control, 9 * S), 0);
    control_serve(bed->control, 5 * S);
    assert_int_equal(control_counters(bed->control).n_slow, 0);
    control_serve(bed->control, 6 * S);
    assert_int_equal(control_counters(bed->control).n_slow, CONTROL_CLIENTS);
    char byte;
    assert_int_equal(recv(fds[0], &byte, 1, 0), 0);
    /* Who waited has a place now, and is answered. */
    assert_int_equal(send(fds[CONTROL_CLIENTS], "sources\n", 8, 0), 8);
    control_serve(bed->control, 6 * S);
    control_serve(bed->control, 6 * S);
    assert_int_equal(recv(fds[CONTROL_CLIENTS], &byte, 1, 0), 1);
    assert_int_equal(byte, 's');
    for (size_t i = 0; i < CONTROL_CLIENTS + 1; i++)
        close(fds[i]);
    /* Who does not take the answer is let go, too. */
    bed->answer_size = 3000000;
    int fd = connect_to(bed->path);
    assert_int_equal(send(fd, "sources\n", 8, 0), 8);
    control_serve(bed->control, 7 * S);
    control_serve(bed->control, 13 * S);
    assert_int_equal(control_counters(bed->control).n_slow, CONTROL_CLIENTS + 1);
    close(fd);
}

static void test_files(void **state)
{
    struct bed *bed = *state;
    struct err err;
    struct stat st;
    char *text;
    size_t size;
    assert_int_equal(stat(bed->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    /* A live one is refused, a dead one replaced, and what is no socket is left alone. */
    assert_int_equal(control_listen(bed->path, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "another cloudspan watch is running"));
    control_free(bed->control);
    bed->control = NULL;
    assert_int_equal(control_ask(bed->path, "sources", 1000, 1000, &text, &size, &err),
                     -ECONNREFUSED);
    assert_non_null(strstr(err.text, "no cloudspan watch is running"));
    int fd = control_listen(bed->path, &err);
    assert_true(fd >= 0);
    close(fd);
    unlink(bed->path);
    assert_int_equal(control_ask(bed->path, "sources", 1000, 1000, &text, &size, &err), -ENOENT);
    FILE *file = fopen(bed->path, "w");
    fclose(file);
    assert_int_equal(control_listen(bed->path, &err), -EEXIST);
    unlink(bed->path);
    if (symlink("/dev/null", bed->path) == 0)
        assert_int_equal(control_listen(bed->path, &err), -EEXIST);

    char name[300];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(control_listen(name, &err), -ENAMETOOLONG);
    assert_int_equal(control_listen("", &err), -ENAMETOOLONG);
    assert_int_equal(control_ask(name, "sources", 1000, 1000, &text, &size, &err), -ENAMETOOLONG);
}

/* A watch that listens, and nothing more. */
static void test_no_answer(void **state)
{
    struct bed *bed = *state;
    struct err err;
    char *text;
    size_t size;
    assert_int_equal(control_ask(bed->path, "sources", 1000, 20, &text, &size, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "does not answer"));
}

static void test_default_path(void **state)
{
    (void)state;
    char path[CONTROL_PATH_MAX], folder[200];
    struct err err;
    assert_int_equal(control_path(true, "/run/user/1000", "logs", path, &err), 0);
    assert_string_equal(path, "/run/cloudspan/watch.sock");
    assert_int_equal(control_path(false, "/run/user/1000", "logs", path, &err), 0);
    assert_string_equal(path, "/run/user/1000/cloudspan/watch.sock");
    assert_int_equal(control_path(false, NULL, "logs", path, &err), 0);
    assert_string_equal(path, "logs/.watch.sock");
    assert_int_equal(control_path(false, "", NULL, path, &err), 0);
    assert_string_equal(path, "./.watch.sock");
    memset(folder, 'x', sizeof folder);
    folder[sizeof folder - 1] = '\0';
    assert_int_equal(control_path(false, "relative", folder, path, &err), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_asks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strange_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_and_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_answer, set_up, tear_down),
        cmocka_unit_test(test_default_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
