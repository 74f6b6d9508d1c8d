/* What libvirt says of a machine: running, defined, cut off, changed; and the hook's script. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/vm.h"

/* As libvirt 9.0 writes it, without what is of no concern here. */
static const char running[] =
    "<domain type='qemu' id='2'>\n"
    "  <name>web &amp; 1</name>\n"
    "  <uuid>8086505c-5683-4056-aabe-35da0ca87371</uuid>\n"
    "  <metadata>\n"
    "    <their:interface xmlns:their='urn:x'><mac "
    "address='00:00:00:00:00:99'/></their:interface>\n"
    "    <interface type='bridge'><target dev='theirs'/></interface>\n"
    "  </metadata>\n"
    "  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><boot dev='network'/></os>\n"
    "  <devices>\n"
    "    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
    "    <interface type='bridge'>\n"
    "      <mac address='52:54:00:AB:CD:01'/>\n"
    "      <source bridge='br0'/>\n"
    "      <target dev='vnet1'/>\n"
    "      <model type='e1000'/>\n"
    "      <alias name='net0'/>\n"
    "    </interface>\n"
    "    <interface type='user'>\n"
    "      <mac address='52:54:00:ab:cd:02'/>\n"
    "    </interface>\n"
    "    <interface type='direct'>\n"
    "      <mac address='52:54:00:ab:cd:03'/>\n"
    "      <source dev='u0' mode='bridge'/>\n"
    "      <target dev='macvtap1'/>\n"
    "    </interface>\n"
    "    <interface type='hostdev' managed='yes'>\n"
    "      <mac address='no address'/>\n"
    "      <target dev='a-name-that-is-too-long'/>\n"
    "    </interface>\n"
    "  </devices>\n"
    "</domain>\n";

/* From a heap block of its exact size. */
static int read_all(const char *before, const char *document, size_t size, const char *after,
                    struct vm_machine *out)
{
    size_t whole = strlen(before) + size + strlen(after);
    char *bytes = malloc(whole + 1);
    struct err err;
    assert_non_null(bytes);
    memcpy(bytes, before, strlen(before));
    memcpy(bytes + strlen(before), document, size);
    memcpy(bytes + strlen(before) + size, after, strlen(after));
    char *exact = malloc(whole + !whole);
    assert_non_null(exact);
    memcpy(exact, bytes, whole);
    int result = vm_libvirt_read(exact, whole, out, &err);
    free(exact);
    free(bytes);
    return result;
}

static void check_running(const struct vm_machine *machine)
{
    assert_int_equal(machine->kind, VM_LIBVIRT);
    assert_true(machine->is_here);
    assert_true(machine->is_running);
    assert_string_equal(machine->name, "web & 1");
    assert_string_equal(machine->id, "web & 1");
    assert_int_equal(machine->n_nics, 4);
    static const struct {
        const char *mac, *type, *tap;
        bool can_tap;
    } rows[] = {
        {"52:54:00:ab:cd:01", "bridge", "vnet1", true},
        {"52:54:00:ab:cd:02", "user", "", false},
        {"52:54:00:ab:cd:03", "direct", "macvtap1", true},
        {"", "hostdev", "", false},
    };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(machine->nics[i].number, i);
        assert_string_equal(machine->nics[i].mac, rows[i].mac);
        assert_string_equal(machine->nics[i].type, rows[i].type);
        assert_string_equal(machine->nics[i].tap, rows[i].tap);
        assert_int_equal(machine->nics[i].can_tap, rows[i].can_tap);
    }
}

static void test_running(void **state)
{
    (void)state;
    struct vm_machine machine;
    assert_int_equal(read_all("", running, strlen(running), "", &machine), 0);
    check_running(&machine);
    assert_int_equal(read_all("<!--\nWARNING: an interface of <domain>\n-->\n<domstatus "
                              "state='running' reason='booted' pid='91'>\n<vcpus/><qemuCaps>"
                              "<flag name='kvm'/></qemuCaps>",
                              running, strlen(running), "</domstatus>\n", &machine),
                     0);
    check_running(&machine);
}

static void test_defined(void **state)
{
    (void)state;
    static const char defined[] =
        "<domain type='kvm'><name>db-2</name><devices><interface type='network'>"
        "<mac address='52:54:00:00:00:02'/></interface></devices></domain>";
    struct vm_machine machine;
    assert_int_equal(read_all("", defined, strlen(defined), "", &machine), 0);
    assert_false(machine.is_running);
    assert_string_equal(machine.name, "db-2");
    assert_int_equal(machine.n_nics, 1);
    assert_true(machine.nics[0].can_tap);
    assert_string_equal(machine.nics[0].tap, "");
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "",
        "error: failed to get domain 'x'",
        "<domain/>",
        "<domain><name/></domain>",
        "<network><name>default</name></network>",
        "<domain><devices><name>x</name></devices></domain>",
        ("<domain><name>a-name-that-is-longer-than-any-name-that-this-program-has-ever-seen</name>"
         "</domain>"),
    };
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct vm_machine machine;
        if (read_all("", documents[i], strlen(documents[i]), "", &machine) != -EBADMSG)
            fail_msg("%s is taken for a machine", documents[i]);
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    struct vm_machine machine;
    for (size_t size = 0; size + 1 < strlen(running); size++)
        assert_int_equal(read_all("", running, size, "", &machine), -EBADMSG);
}

/* More cards than anybody has: the first ones. */
static void test_many(void **state)
{
    (void)state;
    char *document = malloc(65536);
    assert_non_null(document);
    size_t n = (size_t)snprintf(document, 65536, "<domain><name>x</name><devices>");
    for (int i = 0; i < VM_NICS_MAX + 8; i++)
        n += (size_t)snprintf(document + n, 65536 - n,
                              "<interface type='bridge'><mac address='52:54:00:00:00:%02x'/>"
                              "<target dev='vnet%d'/></interface>",
                              i, i);
    n += (size_t)snprintf(document + n, 65536 - n, "</devices></domain>");
    struct vm_machine machine;
    assert_int_equal(read_all("", document, n, "", &machine), 0);
    assert_int_equal(machine.n_nics, VM_NICS_MAX);
    assert_string_equal(machine.nics[0].tap, "vnet0");
    free(document);
}

/* ---- the hook ---- */

static void put(bool is_libvirt, struct text *out)
{
    struct vm_wish wish = {.domains = {"web-1", "it's $(x) *"}, .n_domains = 2};
    json_t *arguments = json_pack("[ssss]", "--domain=web-1", "--domain=it's $(x) *", "--name=said",
                                  "--to=vxlan:10.9.0.2");
    struct mirror_job job = {
        .name = "both", .wish = &wish, .arguments = arguments, .folder = "/var/lib/cloudspan"};
    text_init(out, 65536);
    vm_put_hook(&job, "/usr/bin/cloudspan", is_libvirt, out);
    assert_false(out->failed);
    json_decref(arguments);
}

static void test_hook(void **state)
{
    (void)state;
    struct text text;
    char name[MIRROR_NAME_MAX];
    put(true, &text);
    assert_true(vm_read_hook(text.at, name));
    assert_string_equal(name, "both");
    assert_non_null(strstr(text.at, "'it'\\''s $(x) *'' started'"));
    assert_non_null(strstr(text.at, "'--domain=it'\\''s $(x) *'"));
    assert_non_null(strstr(text.at, "case \"$1 $2\" in"));
    assert_non_null(strstr(text.at, "--name='both'"));
    assert_null(strstr(text.at, "said'"));
    text_done(&text);
    put(false, &text);
    assert_non_null(strstr(text.at, "post-start | post-stop"));
    assert_null(strstr(text.at, "' started'"));
    text_done(&text);

    assert_false(vm_read_hook("", name));
    assert_false(vm_read_hook("#!/bin/sh\n", name));
    assert_false(vm_read_hook("#!/bin/sh\n# cloudspan \n", name));
    assert_false(vm_read_hook("#!/bin/bash\n# cloudspan x\n", name));
    assert_false(
        vm_read_hook("#!/bin/sh\n# cloudspan a-name-that-is-far-too-long-for-one\n", name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running), cmocka_unit_test(test_defined),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_many),    cmocka_unit_test(test_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
