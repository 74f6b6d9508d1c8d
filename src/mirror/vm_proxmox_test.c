/* Files of Proxmox VE: machines, containers, storages; whole, strange and cut. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "mirror/vm.h"

/* From a heap block of its exact size. */
static bool read_machine(const char *text, size_t size, const char *number, bool is_container,
                         struct vm_machine *out)
{
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    copy[size] = '\0';
    bool is_one = vm_proxmox_read(copy, number, is_container, out);
    free(copy);
    return is_one;
}

/* As Proxmox VE 8 writes it. */
static const char machine_file[] =
    "#a comment that says name: no\n"
    "agent: 1\n"
    "boot: order=scsi0;net0\n"
    "hookscript: local:snippets/theirs.pl\n"
    "name: web-1\n"
    "net10: e1000=BC:24:11:00:00:0A,bridge=vmbr1\n"
    "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=5\n"
    "net1: model=virtio,bridge=vmbr0,macaddr=BC:24:11:00:00:02,queues=4\n"
    "net2: virtio,bridge=vmbr0\n"
    "netx: virtio=BC:24:11:00:00:03\n"
    "net300: virtio=BC:24:11:00:00:04\n"
    "network: no\n"
    "scsi0: local-lvm:vm-105-disk-0,size=32G\n"
    "\n"
    "[before-the-update]\n"
    "hookscript: local:snippets/old\n"
    "name: old-name\n"
    "net3: virtio=BC:24:11:00:00:09,bridge=vmbr0\n";

static void test_machine(void **state)
{
    (void)state;
    static const struct {
        unsigned number;
        const char *mac, *tap;
    } rows[] = {
        {0, "bc:24:11:00:00:01", "tap105i0"},
        {1, "bc:24:11:00:00:02", "tap105i1"},
        {2, "", "tap105i2"},
        {10, "bc:24:11:00:00:0a", "tap105i10"},
    };
    struct vm_machine machine;
    assert_true(read_machine(machine_file, strlen(machine_file), "105", false, &machine));
    assert_int_equal(machine.kind, VM_QEMU);
    assert_string_equal(machine.id, "105");
    assert_string_equal(machine.name, "web-1");
    assert_string_equal(machine.hookscript, "local:snippets/theirs.pl");
    assert_int_equal(machine.n_nics, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(machine.nics[i].number, rows[i].number);
        assert_string_equal(machine.nics[i].mac, rows[i].mac);
        assert_string_equal(machine.nics[i].tap, rows[i].tap);
        assert_true(machine.nics[i].can_tap);
    }
}

static void test_container(void **state)
{
    (void)state;
    static const char file[] =
        "arch: amd64\r\nhostname: db-2\r\nname: no\r\n"
        "net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:03,ip=dhcp,type=veth\r\n";
    struct vm_machine machine;
    assert_true(read_machine(file, strlen(file), "106", true, &machine));
    assert_int_equal(machine.kind, VM_CONTAINER);
    assert_string_equal(machine.name, "db-2");
    assert_string_equal(machine.hookscript, "");
    assert_int_equal(machine.n_nics, 1);
    assert_string_equal(machine.nics[0].mac, "bc:24:11:00:00:03");
    assert_string_equal(machine.nics[0].tap, "veth106i0");
}

static void test_strange(void **state)
{
    (void)state;
    struct vm_machine machine;
    assert_true(read_machine("", 0, "105", false, &machine));
    assert_string_equal(machine.name, "vm105");
    assert_true(read_machine("", 0, "106", true, &machine));
    assert_string_equal(machine.name, "ct106");
    assert_false(read_machine("", 0, "", false, &machine));
    assert_false(read_machine("", 0, "12x", false, &machine));
    assert_false(read_machine("", 0, "1234567890", false, &machine));
    /* A tap's name that no kernel takes. */
    static const char far[] = "net10: virtio=BC:24:11:00:00:01\n";
    assert_true(read_machine(far, strlen(far), "999999999", true, &machine));
    assert_int_equal(machine.n_nics, 1);
    assert_string_equal(machine.nics[0].tap, "");
    for (size_t size = 0; size < strlen(machine_file); size++)
        assert_true(read_machine(machine_file, size, "105", false, &machine));
}

static void test_many(void **state)
{
    (void)state;
    char file[8192] = "";
    size_t n = 0;
    for (int i = 80; i-- > 0;)
        n += (size_t)snprintf(file + n, sizeof file - n, "net%d: virtio=BC:24:11:00:00:%02X\n", i,
                              i);
    struct vm_machine machine;
    assert_true(read_machine(file, n, "105", false, &machine));
    assert_int_equal(machine.n_nics, VM_NICS_MAX);
    for (size_t i = 1; i < machine.n_nics; i++)
        assert_true(machine.nics[i - 1].number < machine.nics[i].number);
}

static void test_storages(void **state)
{
    (void)state;
    static const struct {
        const char *file, *storage, *path;
    } rows[] = {
        {"", NULL, NULL},
        {"dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl,backup\n", NULL, NULL},
        {"dir: local\n\tpath /var/lib/vz\n\tcontent iso,snippets,backup\n", "local", "/var/lib/vz"},
        {"dir: local\n\tpath /var/lib/vz\n\tcontent snippets", "local", "/var/lib/vz"},
        {"dir: local\n\tpath /var/lib/vz\n\tcontent snippetsx\n", NULL, NULL},
        {"dir: local\n\tdisable\n\tpath /var/lib/vz\n\tcontent snippets\n", NULL, NULL},
        {"dir: local\n\tdisable 0\n\tpath /a\n\tcontent snippets\n", "local", "/a"},
        {"dir: local\n\tpath relative\n\tcontent snippets\n", NULL, NULL},
        {"lvmthin: fast\n\tcontent snippets\n\tpath /x\n", NULL, NULL},
        {"dir: one\n\tpath /one\n\tcontent snippets\n\nnfs: two\n\tpath /mnt/pve/two\n\tserver s\n"
         "\texport /e\n\tcontent images,snippets\n",
         "two", "/mnt/pve/two"},
        {"cephfs: two\n\tcontent snippets\n", "two", "/mnt/pve/two"},
        {"dir: one\n\tpath /one\n\tcontent snippets\ndir: two\n\tpath /two\n\tcontent snippets\n"
         "\tshared 1\n",
         "two", "/two"},
        {"dir: one\n\tpath /one\n\tcontent snippets\ndir: two\n\tpath /two\n\tcontent snippets\n",
         "one", "/one"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char storage[64] = "", path[200] = "";
        char *file = strdup(rows[i].file);
        bool found = vm_proxmox_read_storages(file, storage, path);
        free(file);
        if (found != (rows[i].storage != NULL) ||
            (found && (strcmp(storage, rows[i].storage) != 0 || strcmp(path, rows[i].path) != 0)))
            fail_msg("%s: %s %s", rows[i].file, storage, path);
    }
}

/* ---- folders ---- */

static char top[64];

static void write_file(const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", top, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_top(void **state)
{
    static const char *const folders[] = {"",
                                          "/qemu-server",
                                          "/lxc",
                                          "/nodes",
                                          "/nodes/pve2",
                                          "/nodes/pve2/qemu-server",
                                          "/nodes/pve2/lxc"};
    (void)state;
    (void)snprintf(top, sizeof top, "/tmp/pve-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    for (size_t i = 1; i < sizeof folders / sizeof *folders; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s%s", top, folders[i]);
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    return 0;
}

static int remove_top(void **state)
{
    (void)state;
    const char *const names[] = {"qemu-server/105.conf",
                                 "qemu-server/107.conf",
                                 "qemu-server/108.conf",
                                 "qemu-server/x.conf",
                                 "qemu-server/109.txt",
                                 "lxc/106.conf",
                                 "nodes/pve2/qemu-server/200.conf",
                                 "nodes/pve2/qemu-server",
                                 "nodes/pve2/lxc",
                                 "nodes/pve2",
                                 "nodes",
                                 "lxc",
                                 "qemu-server",
                                 "."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", top, strcmp(names[i], ".") == 0 ? "" : names[i]);
        (void)remove(path);
    }
    return 0;
}

static void test_folders(void **state)
{
    (void)state;
    struct vm_machine machine;
    struct err err;
    char numbers[8][16], number[16], node[64];
    write_file("qemu-server/105.conf", "name: web-1\nhookscript: local:snippets/cloudspan-web\n");
    write_file("qemu-server/107.conf", "name: twin\nhookscript: nfs:snippets/cloudspan-web\n");
    write_file("qemu-server/108.conf", "name: twin\nhookscript: local:snippets/cloudspan-webx\n");
    write_file("qemu-server/x.conf", "name: no\n");
    write_file("qemu-server/109.txt", "name: no\n");
    write_file("lxc/106.conf", "hostname: db-2\nhookscript: local:snippets/cloudspan-web\n");
    write_file("nodes/pve2/qemu-server/200.conf", "name: far\n");

    assert_int_equal(vm_proxmox_find(top, "105", &machine, &err), 0);
    assert_string_equal(machine.name, "web-1");
    assert_int_equal(vm_proxmox_find(top, "106", &machine, &err), 0);
    assert_int_equal(machine.kind, VM_CONTAINER);
    assert_int_equal(vm_proxmox_find(top, "db-2", &machine, &err), 0);
    assert_string_equal(machine.id, "106");
    assert_int_equal(vm_proxmox_find(top, "twin", &machine, &err), -EINVAL);
    assert_int_equal(vm_proxmox_find(top, "no", &machine, &err), -ENOENT);
    assert_int_equal(vm_proxmox_find(top, "200", &machine, &err), -ENOENT);
    assert_non_null(strstr(err.text, "200 is on the node pve2"));
    assert_int_equal(vm_proxmox_find(top, "300", &machine, &err), -ENOENT);
    assert_null(strstr(err.text, "node pve2"));

    assert_int_equal(vm_proxmox_hooked(top, "snippets/cloudspan-web", numbers, 8), 3);
    assert_int_equal(vm_proxmox_hooked(top, "snippets/cloudspan-web", numbers, 2), 2);
    assert_int_equal(vm_proxmox_hooked(top, "snippets/cloudspan", numbers, 8), 0);
    assert_false(vm_proxmox_is_hooked(top, "snippets/cloudspan-web", number, node));
    write_file("nodes/pve2/qemu-server/200.conf", "hookscript: local:snippets/cloudspan-web\n");
    assert_true(vm_proxmox_is_hooked(top, "snippets/cloudspan-web", number, node));
    assert_string_equal(number, "200");
    assert_string_equal(node, "pve2");
    assert_true(vm_proxmox_is_container(top, "106"));
    assert_false(vm_proxmox_is_container(top, "105"));
    assert_int_equal(vm_proxmox_find("/nowhere", "web-1", &machine, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine),
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_strange),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_storages),
        cmocka_unit_test_setup_teardown(test_folders, make_top, remove_top),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
