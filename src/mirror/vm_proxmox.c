/* Machines of Proxmox VE, by its own files: /etc/pve, which the nodes of a cluster share. See vm.h.
 *
 *     qemu-server/105.conf   name: web-1                 lxc/106.conf   hostname: db-2
 *                            net0: virtio=MAC,bridge=…                  net0:
 * name=eth0,hwaddr=MAC,… hookscript: local:snippets/x [snapshot]  what follows is not of today
 *     storage.cfg            dir: local
 *                                path /var/lib/vz
 *                                content iso,snippets
 *
 * The tap of netN is tap105iN, a container's veth is veth106iN. With its firewall, a bridge of
 * their own (fwbr105i0) and a pair of veths (fwln105i0, fwpr105p0) lie between the tap and the
 * bridge; the tap stays the machine's own end: what it sends is seen before the firewall, what it
 * gets behind it. Proxmox VE manuals: qm.conf(5), pct.conf(5), "Storage configuration". */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/program.h"
#include "linux/text.h"
#include "mirror/vm.h"

#define FILES_MAX 8192

static const char *const folders[] = {"qemu-server", "lxc"}; /* in each, N.conf */

static bool is_number(const char *text)
{
    return *text && strlen(text) < 10 && text[strspn(text, "0123456789")] == '\0';
}

/* The line's value if it is of that key; *out_len is without the line's end. */
static const char *value_of(const char *line, const char *key, size_t *out_len)
{
    size_t len = strlen(key);
    if (strncmp(line, key, len) != 0 || line[len] != ':')
        return NULL;
    const char *value = line + len + 1;
    value += strspn(value, " \t");
    *out_len = strcspn(value, "\r\n");
    return value;
}

static void copy(const char *value, size_t len, char *out, size_t size)
{
    (void)snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), value);
}

/* ---- a machine's file ---- */

static bool is_mac(const char *text, size_t len)
{
    return len == 17 && strspn(text, "0123456789abcdefABCDEF:") >= 17;
}

/* "virtio=BC:24:11:00:00:01,bridge=vmbr0" or "name=eth0,bridge=vmbr0,hwaddr=BC:…": whatever has the
 * form of a MAC address is it. */
static void read_mac(const char *value, size_t len, char out[18])
{
    for (size_t at = 0; at < len;) {
        size_t size = strcspn(value + at, ",\r\n");
        const char *equals = memchr(value + at, '=', size);
        size_t skip = equals ? (size_t)(equals + 1 - (value + at)) : size;
        if (is_mac(value + at + skip, size - skip)) {
            for (size_t i = 0; i < 17; i++)
                out[i] = (char)tolower((unsigned char)value[at + skip + i]);
            return;
        }
        at += size + 1;
    }
}

static void read_nic(const char *line, const char *number, bool is_container,
                     struct vm_machine *out)
{
    char *end;
    unsigned long n = strtoul(line + 3, &end, 10);
    if (!isdigit((unsigned char)line[3]) || *end != ':' || n > 255 || out->n_nics == VM_NICS_MAX)
        return;
    /* The file has them in any order. */
    size_t at = out->n_nics++;
    for (; at > 0 && out->nics[at - 1].number > n; at--)
        out->nics[at] = out->nics[at - 1];
    struct vm_nic *nic = &out->nics[at];
    *nic = (struct vm_nic){.number = (unsigned)n, .can_tap = true};
    read_mac(end + 1, strcspn(end + 1, "\r\n"), nic->mac);
    char tap[32];
    (void)snprintf(tap, sizeof tap, "%s%.9si%lu", is_container ? "veth" : "tap", number, n);
    if (strlen(tap) < sizeof nic->tap)
        copy(tap, strlen(tap), nic->tap, sizeof nic->tap);
}

bool vm_proxmox_read(const char *text, const char *number, bool is_container,
                     struct vm_machine *out)
{
    struct vm_machine machine = {.kind = is_container ? VM_CONTAINER : VM_QEMU, .is_here = true};
    if (!is_number(number))
        return false;
    (void)snprintf(machine.id, sizeof machine.id, "%s", number);
    for (const char *line = text; line && *line != '['; line = text_next_line(line)) {
        size_t len;
        const char *value = value_of(line, is_container ? "hostname" : "name", &len);
        if (value)
            copy(value, len, machine.name, sizeof machine.name);
        value = value_of(line, "hookscript", &len);
        if (value)
            copy(value, len, machine.hookscript, sizeof machine.hookscript);
        if (strncmp(line, "net", 3) == 0)
            read_nic(line, number, is_container, &machine);
    }
    if (!machine.name[0])
        (void)snprintf(machine.name, sizeof machine.name, "%s%s", is_container ? "ct" : "vm",
                       number);
    *out = machine;
    return true;
}

/* ---- all machines of a node ---- */

/* Calls for each N.conf of one of the two folders. */
static void each_machine(const char *node, int kind,
                         bool (*take)(const struct vm_machine *machine, void *with), void *with)
{
    char path[700];
    (void)snprintf(path, sizeof path, "%s/%s", node, folders[kind]);
    DIR *folder = opendir(path);
    struct dirent *entry;
    for (int n = 0; folder && n < FILES_MAX && (entry = readdir(folder)); n++) {
        char number[16], file[800];
        size_t len = strspn(entry->d_name, "0123456789");
        if (len == 0 || len > 9 || strcmp(entry->d_name + len, ".conf") != 0)
            continue;
        copy(entry->d_name, len, number, sizeof number);
        (void)snprintf(file, sizeof file, "%s/%s.conf", path, number);
        char *text = text_read_all(file);
        struct vm_machine machine;
        bool goes_on =
            !text || !vm_proxmox_read(text, number, kind == 1, &machine) || take(&machine, with);
        free(text);
        if (!goes_on)
            break;
    }
    if (folder)
        closedir(folder);
}

struct search {
    const char *name;
    struct vm_machine *out;
    char second[16]; /* another one of that name */
    bool found;
};

static bool take_if_named(const struct vm_machine *machine, void *with)
{
    struct search *search = with;
    if (strcmp(machine->name, search->name) != 0)
        return true;
    if (search->found) {
        (void)snprintf(search->second, sizeof search->second, "%.15s", machine->id);
        return false;
    }
    *search->out = *machine;
    search->found = true;
    return true;
}

/* In a cluster: on which other node it is. */
static bool find_elsewhere(const char *top, const char *number, char out_node[64])
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/nodes", top);
    DIR *nodes = opendir(path);
    struct dirent *entry;
    bool found = false;
    while (nodes && !found && (entry = readdir(nodes))) {
        for (int kind = 0; kind < 2 && entry->d_name[0] != '.'; kind++) {
            char file[700];
            (void)snprintf(file, sizeof file, "%s/%s/%s/%s.conf", path, entry->d_name,
                           folders[kind], number);
            found |= access(file, F_OK) == 0;
        }
        if (found)
            (void)snprintf(out_node, 64, "%.63s", entry->d_name);
    }
    if (nodes)
        closedir(nodes);
    return found;
}

static int find_by_number(const char *top, const char *number, struct vm_machine *out,
                          struct err *err)
{
    char node[64];
    for (int kind = 0; kind < 2; kind++) {
        char file[300];
        (void)snprintf(file, sizeof file, "%s/%s/%s.conf", top, folders[kind], number);
        char *text = text_read_all(file);
        if (!text && access(file, F_OK) == 0)
            return err_set(err, -EACCES, "%s cannot be read: it takes root", file);
        bool found = text && vm_proxmox_read(text, number, kind == 1, out);
        free(text);
        if (found)
            return 0;
    }
    if (find_elsewhere(top, number, node))
        return err_set(err, -ENOENT, "%s is on the node %s: say it there, or --migrates", number,
                       node);
    return err_set(err, -ENOENT,
                   "this node has no machine '%s' (qm list, pct list), and no interface is called "
                   "so",
                   number);
}

int vm_proxmox_find(const char *top, const char *name, struct vm_machine *out, struct err *err)
{
    struct search search = {.name = name, .out = out};
    if (is_number(name))
        return find_by_number(top, name, out, err);
    for (int kind = 0; kind < 2; kind++)
        each_machine(top, kind, take_if_named, &search);
    if (search.second[0])
        return err_set(err, -EINVAL, "both %s and %s are called '%s': say which by its number",
                       out->id, search.second, name);
    return search.found ? 0
                        : err_set(err, -ENOENT,
                                  "this node has no machine '%s' (qm list, pct list), and no "
                                  "interface is called so",
                                  name);
}

bool vm_proxmox_is_container(const char *top, const char *number)
{
    char file[300];
    (void)snprintf(file, sizeof file, "%s/%s/%s.conf", top, folders[1], number);
    return access(file, F_OK) == 0;
}

/* ---- hookscripts ---- */

struct hooked {
    const char *script;
    char (*out)[16];
    size_t n, max;
};

static bool take_if_hooked(const struct vm_machine *machine, void *with)
{
    struct hooked *hooked = with;
    const char *colon = strchr(machine->hookscript, ':');
    if (colon && strcmp(colon + 1, hooked->script) == 0 && hooked->n < hooked->max)
        (void)snprintf(hooked->out[hooked->n++], 16, "%.15s", machine->id);
    return true;
}

size_t vm_proxmox_hooked(const char *top, const char *script, char (*out)[16], size_t max)
{
    struct hooked hooked = {.script = script, .out = out, .max = max};
    for (int kind = 0; kind < 2; kind++)
        each_machine(top, kind, take_if_hooked, &hooked);
    return hooked.n;
}

bool vm_proxmox_is_hooked(const char *top, const char *script, char out_number[16],
                          char out_node[64])
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/nodes", top);
    DIR *nodes = opendir(path);
    struct dirent *entry;
    bool found = false;
    while (nodes && !found && (entry = readdir(nodes))) {
        char node[600];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(node, sizeof node, "%s/%s", path, entry->d_name);
        found = vm_proxmox_hooked(node, script, (char(*)[16])out_number, 1) > 0;
        (void)snprintf(out_node, 64, "%.63s", entry->d_name);
    }
    if (nodes)
        closedir(nodes);
    return found;
}

int vm_proxmox_set_hookscript(const char *number, bool is_container, const char *script,
                              struct err *err)
{
    const char *arguments[] = {"set", number, script ? "--hookscript" : "--delete",
                               script ? script : "hookscript", NULL};
    struct program program = {.name = is_container ? "pct" : "qm",
                              .package = is_container ? "pve-container" : "qemu-server",
                              .arguments = arguments,
                              .out_max = 1u << 20};
    struct program_result result = {0};
    int code = program_run(&program, &result, err);
    if (code < 0)
        return code;
    if (result.exit_code != 0)
        code = err_set(err, -EIO, "%s set %s: %s", program.name, number, result.complaint);
    program_done(&result);
    return code;
}

/* ---- storages ---- */

struct storage {
    char name[64], path[200];
    bool takes_snippets, is_shared, is_off;
};

/* Those that are folders: all others hold no files. */
static bool begin_storage(const char *line, struct storage *out)
{
    static const struct {
        const char *type;
        bool is_shared;
    } types[] = {{"dir", false}, {"btrfs", false}, {"nfs", true}, {"cifs", true}, {"cephfs", true}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t len;
        const char *name = value_of(line, types[i].type, &len);
        if (!name || len == 0 || len >= sizeof out->name)
            continue;
        *out = (struct storage){.is_shared = types[i].is_shared};
        copy(name, len, out->name, sizeof out->name);
        if (types[i].is_shared)
            (void)snprintf(out->path, sizeof out->path, "/mnt/pve/%s", out->name);
        return true;
    }
    return false;
}

static bool has_word(const char *list, size_t len, const char *word)
{
    for (size_t at = 0; at < len;) {
        size_t size = strcspn(list + at, ",\r\n");
        if (size == strlen(word) && strncmp(list + at, word, size) == 0)
            return true;
        at += size + 1;
    }
    return false;
}

static void read_property(const char *line, struct storage *out)
{
    line += strspn(line, " \t");
    size_t key = strcspn(line, " \t\r\n");
    const char *value = line + key + strspn(line + key, " \t");
    size_t len = strcspn(value, "\r\n");
    if (key == 4 && strncmp(line, "path", key) == 0)
        copy(value, len < sizeof out->path ? len : 0, out->path, sizeof out->path);
    else if (key == 7 && strncmp(line, "content", key) == 0)
        out->takes_snippets = has_word(value, len, "snippets");
    else if (key == 6 && strncmp(line, "shared", key) == 0)
        out->is_shared = len == 1 && *value == '1';
    else if (key == 7 && strncmp(line, "disable", key) == 0)
        out->is_off = len == 0 || *value == '1';
}

static void keep_better(const struct storage *now, struct storage *best)
{
    if (now->takes_snippets && !now->is_off && now->path[0] == '/' &&
        (!best->name[0] || (now->is_shared && !best->is_shared)))
        *best = *now;
}

/* A shared one is better: a machine that migrates finds its hookscript there. */
bool vm_proxmox_read_storages(const char *text, char out_storage[64], char out_path[200])
{
    struct storage now = {0}, best = {0};
    bool is_in = false;
    for (const char *line = text; line && *line; line = text_next_line(line)) {
        bool is_property = *line == ' ' || *line == '\t';
        if (is_property && is_in)
            read_property(line, &now);
        if (is_property)
            continue;
        if (is_in)
            keep_better(&now, &best);
        is_in = begin_storage(line, &now);
    }
    if (is_in)
        keep_better(&now, &best);
    if (!best.name[0])
        return false;
    (void)snprintf(out_storage, 64, "%s", best.name);
    (void)snprintf(out_path, 200, "%.190s", best.path);
    return true;
}

int vm_proxmox_snippets(const char *top, char out_storage[64], char out_path[200], struct err *err)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/storage.cfg", top);
    char *text = text_read_all(path);
    bool found = text && vm_proxmox_read_storages(text, out_storage, out_path);
    free(text);
    return found ? 0
                 : err_set(err, -ENOENT,
                           "no storage takes snippets, which hookscripts are: pvesm set local "
                           "--content iso,vztmpl,backup,snippets");
}
