/* Machines of libvirt: asked for by virsh, or read from libvirt's own files; and its daemon. See
 * vm.h. The formats: libvirt.org, "Domain XML format"; a running domain's file has it inside the
 * element domstatus. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "base/program.h"
#include "base/xml.h"
#include "linux/text.h"
#include "mirror/vm.h"

#define LIVE    "/run/libvirt/qemu"
#define DEFINED "/etc/libvirt/qemu"
#define XML_MAX (4u << 20)

/* ---- a description ---- */

/* Of a card that ends at an interface of the host; others are sockets, or hardware. */
static bool has_tap(const char *type)
{
    static const char *const types[] = {"bridge", "network", "ethernet", "direct", NULL};
    for (size_t i = 0; types[i]; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static void take_mac(const char *text, char out[18])
{
    if (strlen(text) != 17 || strspn(text, "0123456789abcdefABCDEF:") != 17)
        return;
    for (size_t i = 0; i < 18; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]);
}

static void open_element(const struct xml *xml, size_t base, struct vm_machine *out)
{
    char value[64];
    struct vm_nic *nic = out->n_nics ? &out->nics[out->n_nics - 1] : NULL;
    if (xml_is_at(xml, base, "domain")) {
        out->is_running = xml_attribute(xml, "id", value, sizeof value);
    } else if (xml_is_at(xml, base, "domain/devices/interface")) {
        if (out->n_nics == VM_NICS_MAX)
            return;
        nic = &out->nics[out->n_nics];
        nic->number = (unsigned)out->n_nics++;
        (void)xml_attribute(xml, "type", nic->type, sizeof nic->type);
        nic->can_tap = has_tap(nic->type);
    } else if (nic && xml_is_at(xml, base, "domain/devices/interface/mac")) {
        (void)xml_attribute(xml, "address", value, sizeof value);
        take_mac(value, nic->mac);
    } else if (nic && xml_is_at(xml, base, "domain/devices/interface/target")) {
        (void)xml_attribute(xml, "dev", nic->tap, sizeof nic->tap);
    }
}

int vm_libvirt_read(const void *bytes, size_t size, struct vm_machine *out, struct err *err)
{
    struct xml xml = xml_make(bytes, size);
    struct vm_machine machine = {.kind = VM_LIBVIRT, .is_here = true};
    size_t base = 0;
    int event;
    while ((event = xml_next(&xml)) > XML_END) {
        if (event == XML_OPEN && xml_is_at(&xml, 0, "domstatus"))
            base = 1;
        else if (event == XML_OPEN)
            open_element(&xml, base, &machine);
        else if (event == XML_TEXT && xml_is_at(&xml, base, "domain/name"))
            (void)xml_text(&xml, machine.name, sizeof machine.name);
    }
    if (event < 0 || !machine.name[0])
        return err_set(err, -EBADMSG, "libvirt's description of it cannot be read");
    (void)snprintf(machine.id, sizeof machine.id, "%s", machine.name);
    *out = machine;
    return 0;
}

/* ---- where it comes from ---- */

static int ask_virsh(const char *const *words, struct program_result *out, struct err *err)
{
    const char *arguments[8] = {"-r", "-c", "qemu:///system"};
    for (size_t i = 0; words[i] && i < 4; i++)
        arguments[3 + i] = words[i];
    struct program virsh = {
        .name = "virsh", .package = "libvirt-clients", .arguments = arguments, .out_max = XML_MAX};
    return program_run(&virsh, out, err);
}

/* Not there: who is, and does one of them sound like it? */
static int say_unknown(const char *name, struct err *err)
{
    static const char *const words[] = {"list", "--all", "--name", NULL};
    struct program_result result = {0};
    struct nearest nearest = nearest_begin(name);
    char near[NEAREST_TEXT_MAX];
    int code = ask_virsh(words, &result, err);
    if (code < 0)
        return code;
    if (result.exit_code != 0) {
        code = err_set(err, -EIO, "libvirt does not answer: %s", result.complaint);
        program_done(&result);
        return code;
    }
    for (char *line = result.out, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        nearest_try(&nearest, line);
    }
    code = err_set(err, -ENOENT,
                   "libvirt has no machine '%s' (virsh list --all), and no interface is called "
                   "so%s",
                   name, nearest_text(&nearest, near));
    program_done(&result);
    return code;
}

/* virsh takes numbers and UUIDs, too: hooks are called with names. */
static int check_name(const char *name, const struct vm_machine *machine, struct err *err)
{
    return strcmp(name, machine->name) == 0
               ? 0
               : err_set(err, -EINVAL, "'%s' is a machine that is called '%s': say that", name,
                         machine->name);
}

static int find_by_virsh(const char *name, struct vm_machine *out, struct err *err)
{
    char domain[VM_NAME_MAX + 16];
    const char *words[] = {"dumpxml", domain, NULL};
    struct program_result result = {0};
    (void)snprintf(domain, sizeof domain, "--domain=%s", name);
    int code = ask_virsh(words, &result, err);
    if (code < 0)
        return code;
    bool found = result.exit_code == 0;
    if (found)
        code = vm_libvirt_read(result.out, result.out_size, out, err);
    program_done(&result);
    if (!found)
        return say_unknown(name, err);
    return code < 0 ? code : check_name(name, out, err);
}

static int find_by_files(const char *name, struct vm_machine *out, struct err *err)
{
    static const char *const folders[] = {LIVE, DEFINED};
    for (size_t i = 0; i < 2; i++) {
        char path[VM_NAME_MAX + 64];
        (void)snprintf(path, sizeof path, "%s/%s.xml", folders[i], name);
        char *text = text_read_all(path);
        if (!text && access(path, F_OK) == 0)
            return err_set(err, -EACCES, "%s cannot be read: it takes root", path);
        if (!text)
            continue;
        int result = vm_libvirt_read(text, strlen(text), out, err);
        free(text);
        return result < 0 ? result : check_name(name, out, err);
    }
    return err_set(err, -ENOENT,
                   "libvirt has no machine '%s' (" DEFINED "), and no interface is called so",
                   name);
}

int vm_libvirt_find(const char *name, bool quiet, struct vm_machine *out, struct err *err)
{
    char path[64];
    bool has_files = access(DEFINED, F_OK) == 0 || access(LIVE, F_OK) == 0;
    if (!quiet && program_find("virsh", path, sizeof path)) {
        int result = find_by_virsh(name, out, err);
        if (result != -EIO || !has_files)
            return result;
    }
    if (has_files)
        return find_by_files(name, out, err);
    return err_set(err, -ENOENT,
                   "there is no interface '%s', and neither libvirt nor Proxmox VE is here to "
                   "know a machine of that name",
                   name);
}

/* ---- the daemon ---- */

bool vm_libvirt_has_hook_folder(char out_version[32])
{
    static const char *const arguments[] = {"--version", NULL};
    struct program virsh = {
        .name = "virsh", .package = "libvirt-clients", .arguments = arguments, .out_max = 4096};
    struct program_result result = {0};
    struct err err;
    out_version[0] = '\0';
    if (program_run(&virsh, &result, &err) < 0)
        return true; /* nothing says that it is an old one */
    char *end;
    unsigned long major = strtoul(result.out, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
    (void)snprintf(out_version, 32, "%lu.%lu", major, minor);
    program_done(&result);
    return major == 0 || major > 6 || (major == 6 && minor >= 5);
}

void vm_libvirt_tell(void)
{
    static const char *const daemons[] = {"libvirtd", "virtqemud"};
    for (size_t i = 0; i < 2; i++) {
        char path[64], name[32];
        uint64_t pid = 0;
        (void)snprintf(path, sizeof path, "/run/%s.pid", daemons[i]);
        if (!text_read_number(path, &pid) || pid < 2 || pid > INT32_MAX)
            continue;
        (void)snprintf(path, sizeof path, "/proc/%u/comm", (unsigned)pid);
        if (text_read(path, name, sizeof name) > 0 && strcmp(name, daemons[i]) == 0)
            (void)kill((pid_t)pid, SIGHUP); /* gone in between: it looks when it starts */
    }
}
