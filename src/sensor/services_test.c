/* The parent's services, called as the parent calls them: which listeners there are by default,
 * requests that no honest packet process sends, a configuration that is read again or refused. */
#include "sensor/live_bed.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/state_bed.h"

#include "hunt/lists.h"
#include "sensor/services.h"

/* ---- the list ---- */

static void defaults(void **state)
{
    (void)state;
    struct services_list list;
    struct err err;
    struct config *config = live_config("");
    assert_int_equal(services_list_init(&list, config, "eth0", &err), 0);
    assert_int_equal(list.n_inputs, 4);
    for (size_t i = 0; i < list.n_inputs; i++) {
        const struct config_listener *l = list.inputs[i].listener;
        bool is_interface = l->kind == CONFIG_LISTEN_INTERFACE;
        assert_int_equal(list.inputs[i].is_default, is_interface);
        assert_int_equal(is_interface, i == 0);
    }
    assert_string_equal(list.inputs[0].listener->interface, "eth0");
    services_list_done(&list);
    assert_int_equal(services_list_init(&list, config, "", &err), 0); /* there is no such route */
    assert_int_equal(list.n_inputs, 3);
    services_list_done(&list);
    config_free(config);

    config = live_config("listen: [\"interface:eth7\", \"vxlan:4790\"]\n");
    assert_int_equal(services_list_init(&list, config, "eth0", &err), 0);
    assert_int_equal(list.n_inputs, 2);
    assert_false(list.inputs[0].is_default); /* somebody named it */
    services_list_done(&list);
    config_free(config);
}

static void too_many(void **state)
{
    (void)state;
    for (unsigned n = RULES_MAX_INPUTS; n <= RULES_MAX_INPUTS + 1; n++) {
        char yaml[4000];
        size_t at = (size_t)snprintf(yaml, sizeof yaml, "listen: [");
        for (unsigned i = 0; i < n; i++)
            at += (size_t)snprintf(yaml + at, sizeof yaml - at, "\"vxlan:%u\", ", 5000 + i);
        (void)snprintf(yaml + at, sizeof yaml - at, "]\n");
        struct config *config = live_config(yaml);
        struct services_list list;
        struct err err;
        int result = services_list_init(&list, config, "", &err);
        assert_int_equal(result, n > RULES_MAX_INPUTS ? -E2BIG : 0);
        if (result == 0)
            services_list_done(&list);
        config_free(config);
    }
}

/* ---- a parent ---- */

struct bed {
    struct services services;
    const char *next; /* of the configuration; NULL: it cannot be read */
};

static int load(void *with, struct config **out, struct err *err)
{
    const struct bed *b = with;
    if (!b->next)
        return err_set(err, -ENOENT, "no such file");
    return config_load_text(b->next, strlen(b->next), "next", out, err);
}

static void bed_open(struct bed *b, const char *yaml)
{
    struct err err;
    memset(b, 0, sizeof *b);
    b->services.config = live_config(yaml);
    b->services.steer_secret = 7;
    b->services.load = load;
    b->services.with = b;
    (void)snprintf(b->services.interface, sizeof b->services.interface, "lo");
    assert_int_equal(services_list_init(&b->services.list, b->services.config, "lo", &err), 0);
}

static void bed_close(struct bed *b)
{
    services_list_done(&b->services.list);
    config_free(b->services.config);
}

static int ask(struct bed *b, enum services_kind kind, const void *request, int *fds, size_t *n_fds,
               void *reply)
{
    struct err err;
    const struct parent_service *service = &services_table[kind];
    for (size_t i = 0; i < PARENT_MAX_FDS; i++)
        fds[i] = -1;
    *n_fds = 0;
    return service->serve(&b->services, request, fds, n_fds, reply, &err);
}

static void dishonest_requests(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "listen: [\"vxlan:14789\", \"-\"]\n");
    static const struct services_listen bad[] = {
        {.place = 2, .n_workers = 1},
        {.place = UINT16_MAX, .n_workers = 1},
        {.place = 0, .n_workers = 0},
        {.place = 0, .n_workers = PARENT_MAX_FDS},
        {.place = 0, .n_workers = UINT16_MAX},
        {.place = 0, .n_workers = 1, .n_excluded = STEER_MAX_EXCLUDED + 1},
        {.place = 0, .n_workers = 1, .n_excluded = UINT16_MAX},
    };
    int fds[PARENT_MAX_FDS];
    size_t n_fds;
    struct services_listened listened;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ask(&b, SERVICE_LISTEN, &bad[i], fds, &n_fds, &listened), -EINVAL);
        assert_int_equal(n_fds, 0);
    }
    struct services_listen good = {.place = 1, .n_workers = 3};
    memset(&listened, 0, sizeof listened);
    assert_int_equal(ask(&b, SERVICE_LISTEN, &good, fds, &n_fds, &listened), 0);
    assert_int_equal(n_fds, 1); /* one standard input, whoever many would have it */
    assert_int_equal(listened.n_workers, 1);
    close(fds[0]);
    bed_close(&b);
}

static void host(void **state)
{
    (void)state;
    struct bed b;
    int fds[PARENT_MAX_FDS];
    size_t n_fds;
    struct services_host reply = {0};
    bed_open(&b, "");
    assert_int_equal(ask(&b, SERVICE_HOST, NULL, fds, &n_fds, &reply), 0);
    assert_string_equal(reply.interface, "lo");
    assert_true(reply.n_own <= SERVICES_MAX_OWN);
    assert_int_equal(n_fds, 0);
    bed_close(&b);
}

/* What is handed on loads as the same; what cannot be used leaves all as it was. */
static void read_again(void **state)
{
    (void)state;
    struct bed b;
    int fds[PARENT_MAX_FDS];
    size_t n_fds;
    bed_open(&b, "listen: [\"vxlan:14789\"]\n");
    const struct config *before = b.services.config;
    assert_int_equal(ask(&b, SERVICE_CONFIG, NULL, fds, &n_fds, NULL), -ENOENT);
    b.next = "nonsense: 7\n";
    assert_true(ask(&b, SERVICE_CONFIG, NULL, fds, &n_fds, NULL) < 0);
    assert_ptr_equal(b.services.config, before);
    assert_int_equal(b.services.list.n_inputs, 1);
    assert_int_equal(n_fds, 0);

    b.next = "sources: [{name: web, channel: \"vxlan:7@10.0.0.1\"}]\n";
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(ask(&b, SERVICE_CONFIG, NULL, fds, &n_fds, NULL), 0);
        assert_int_equal(n_fds, 1);
        assert_int_equal(b.services.list.n_inputs, 4); /* the usual ones, in their new place */
        for (size_t i = 0; i < 4; i++)
            assert_ptr_equal(b.services.list.inputs[i].listener, &b.services.list.defaults[i]);
        char text[32768];
        ssize_t size = pread(fds[0], text, sizeof text, 0);
        assert_true(size > 0 && (size_t)size < sizeof text);
        struct config *same = NULL;
        struct err err;
        if (config_load_text(text, (size_t)size, "handed on", &same, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(same->n_sources, 1);
        assert_string_equal(same->sources[0].name, "web");
        config_free(same);
        close(fds[0]);
    }
    bed_close(&b);
}

static struct config *handed_on(const int *fds)
{
    char text[32768];
    struct config *config = NULL;
    struct err err;
    ssize_t size = pread(fds[0], text, sizeof text, 0);
    assert_true(size > 0 && (size_t)size < sizeof text);
    if (config_load_text(text, (size_t)size, "handed on", &config, &err) < 0)
        fail_msg("%s", err.text);
    close(fds[0]);
    return config;
}

static bool is_changed(struct bed *b)
{
    int fds[PARENT_MAX_FDS];
    size_t n_fds;
    struct services_look look = {0};
    assert_int_equal(ask(b, SERVICE_LOOK, NULL, fds, &n_fds, &look), 0);
    assert_int_equal(n_fds, 0);
    return look.is_changed;
}

static void write_record(const char *folder, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/sources/a.yaml", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Of records alone: the configuration stays what it was read as, whatever has become of it since.
 */
static void records(void **state)
{
    (void)state;
    struct bed b;
    int fds[PARENT_MAX_FDS];
    size_t n_fds;
    char folder[64] = "/tmp/services-XXXXXX", variable[128], path[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(variable, sizeof variable, "CLOUDSPAN_STATE=%s", folder);
    bed_set_environment((const char *const[]){variable, NULL});
    bed_open(&b, "listen: [\"vxlan:14789\"]\nsources: [{name: own, channel: vxlan:1}]\n");
    b.services.records_mark = config_records_mark();
    assert_false(is_changed(&b));
    (void)snprintf(path, sizeof path, "%s/sources", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(is_changed(&b));
    for (unsigned round = 0; round < 3; round++) {
        char text[200];
        (void)snprintf(text, sizeof text,
                       "collector: any\nsources: [{name: web%u, channel: vxlan:7}]\n", round);
        write_record(folder, text);
        assert_true(is_changed(&b));
        assert_int_equal(ask(&b, SERVICE_RECORDS, NULL, fds, &n_fds, NULL), 0);
        assert_false(is_changed(&b));
        assert_int_equal(b.services.list.n_inputs, 1);
        struct config *config = handed_on(fds);
        assert_int_equal(config->n_sources, 2);
        assert_string_equal(config->sources[0].name, "own");
        (void)snprintf(text, sizeof text, "web%u", round);
        assert_string_equal(config->sources[1].name, text);
        config_free(config);
    }
    const struct config *before = b.services.config;
    write_record(folder, "collector: any\nsources: [");
    assert_true(is_changed(&b));
    assert_true(ask(&b, SERVICE_RECORDS, NULL, fds, &n_fds, NULL) < 0);
    assert_ptr_equal(b.services.config, before);
    assert_false(is_changed(&b)); /* it is not read, nor complained of, again and again */
    assert_int_equal(bed_remove_tree(folder), 0);
    assert_true(is_changed(&b));
    assert_int_equal(ask(&b, SERVICE_RECORDS, NULL, fds, &n_fds, NULL), 0);
    struct config *config = handed_on(fds);
    assert_int_equal(config->n_sources, 1);
    config_free(config);
    bed_close(&b);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Feeds and safelists of the configuration, and no other files: the packet process names none. */
static void lists(void **state)
{
    (void)state;
    struct bed b;
    int fds[PARENT_MAX_FDS];
    size_t n_fds;
    struct err err;
    struct feeds *feeds = NULL;
    struct hunt_safelist *safelist = NULL;
    char folder[64] = "/tmp/services-XXXXXX", yaml[400];
    assert_non_null(mkdtemp(folder));
    write_file(folder, "a.txt", "192.0.2.1 first\n");
    write_file(folder, "b.csv", "evil.example,second\n");
    write_file(folder, "c.conf", "192.0.2.3\n");
    write_file(folder, "safe", "10.0.0.1\n");
    (void)snprintf(yaml, sizeof yaml, "hunts: {feeds: [%s], safelists: [%s/safe]}\n", folder,
                   folder);
    bed_open(&b, yaml);
    assert_int_equal(services_table[SERVICE_LISTS].request_size, 0);
    assert_int_equal(ask(&b, SERVICE_LISTS, NULL, fds, &n_fds, NULL), 0);
    assert_int_equal(n_fds, 1);
    if (lists_take(fds[0], 7, &feeds, &safelist, &err) < 0)
        fail_msg("%s", err.text);
    struct addr addr;
    assert_true(addr_parse("192.0.2.1", &addr));
    assert_string_equal(feeds_of_addr(feeds, &addr), "a.txt: first");
    assert_string_equal(feeds_of_name(feeds, str_c("www.evil.example")), "b.csv: second");
    assert_true(addr_parse("192.0.2.3", &addr));
    assert_null(feeds_of_addr(feeds, &addr));
    struct finding finding = {.has_src = true};
    assert_true(addr_parse("10.0.0.1", &finding.src.addr));
    const char *hides = hunt_safelist_hides(safelist, &finding);
    assert_non_null(hides);
    assert_non_null(strstr(hides, "/safe:1: 10.0.0.1"));
    feeds_free(feeds);
    hunt_safelist_free(safelist);

    /* Cut at each place but between two lists, it is refused, and leaves nothing. */
    struct stat st;
    unsigned n_good = 0;
    assert_int_equal(fstat(fds[0], &st), 0);
    for (off_t size = st.st_size - 1; size >= 0; size--) {
        assert_int_equal(ftruncate(fds[0], size), 0);
        feeds = NULL;
        safelist = NULL;
        if (lists_take(fds[0], 7, &feeds, &safelist, &err) == 0)
            n_good++;
        feeds_free(feeds);
        hunt_safelist_free(safelist);
    }
    assert_int_equal(n_good, 3);
    close(fds[0]);

    (void)snprintf(yaml, sizeof yaml, "%s/safe", folder);
    assert_int_equal(unlink(yaml), 0);
    assert_int_equal(ask(&b, SERVICE_LISTS, NULL, fds, &n_fds, NULL), -ENOENT);
    assert_int_equal(n_fds, 0);
    assert_int_equal(mkfifo(yaml, 0600), 0); /* nobody ever writes into it */
    assert_int_equal(ask(&b, SERVICE_LISTS, NULL, fds, &n_fds, NULL), -EINVAL);
    assert_int_equal(bed_remove_tree(folder), 0);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(too_many),
        cmocka_unit_test(dishonest_requests),
        cmocka_unit_test(host),
        cmocka_unit_test(read_again),
        cmocka_unit_test(records),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
