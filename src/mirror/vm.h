/* Mirrors of virtual machines, on their hypervisor: the provider `vm`. A machine is known by its
 * name; what is mirrored are the interfaces of the hypervisor that its network cards end at: taps
 * of QEMU, veths of containers. They are mirrored as any interface is (host.h), seen from the other
 * side: what the machine receives is what its tap sends.
 *
 * Taps come and go with the machine, and their names may change. So a mirror of machines has two
 * things more, after those of host.h:
 *
 *     nic          which id a network card has; in the journal alone, so that it keeps it
 *     hook         a program that the hypervisor calls when a machine has started or gone, and
 * which applies the mirror anew; libvirt's, or Proxmox VE's snippet hookscript   that a machine of
 * Proxmox VE has our snippet
 *
 * A hook calls with CLOUDSPAN_HOOK in its environment. Then libvirt waits for the hook, and may not
 * be asked: only its files are read; a machine that is not here is one that may come; and there is
 * no proof. */
#ifndef MIRROR_VM_H
#define MIRROR_VM_H

#include "mirror/host.h"

#define VM_MACHINES_MAX 64
#define VM_NICS_MAX     32 /* of a machine */
#define VM_NAME_MAX     64
#define VM_PROXMOX      "/etc/pve"

enum vm_kind {
    VM_TAP,       /* only an interface is known */
    VM_LIBVIRT,   /* a domain of libvirt's driver for QEMU */
    VM_QEMU,      /* a virtual machine of Proxmox VE */
    VM_CONTAINER, /* a container of Proxmox VE */
};

struct vm_wish {
    struct host_wish host;
    const char *domains[VM_MACHINES_MAX];
    size_t n_domains;
    const char *nics[VM_NICS_MAX]; /* which of the cards; none: all */
    size_t n_nics;
    const char *proxmox; /* its folder; NULL: VM_PROXMOX */
    bool has_no_hook;
    bool migrates; /* a machine that is not here is one that may come */
    bool lists_methods;
};

/* A network card. */
struct vm_nic {
    unsigned number; /* of its hypervisor: the first, second … of libvirt; N of netN */
    char mac[18];    /* in small letters; "": not known */
    char type[16];   /* libvirt's word for what it is connected to: "bridge", "user" */
    char tap[16];    /* the hypervisor's end of it; "": there is none, now or at all */
    bool can_tap;    /* it has one while the machine runs */
};

struct vm_machine {
    int kind;               /* enum vm_kind */
    bool is_here;           /* this hypervisor knows it; else only `name` is set */
    char name[VM_NAME_MAX]; /* what people call it */
    char id[VM_NAME_MAX];   /* what the hypervisor calls it when it calls a hook: name, or number */
    bool is_running;
    char hookscript[128]; /* of Proxmox VE: "local:snippets/x"; "": none */
    struct vm_nic nics[VM_NICS_MAX];
    size_t n_nics;
};

/* A card that is mirrored, or will be. */
struct vm_tap {
    size_t machine; /* index */
    size_t nic;
    uint32_t id;
};

/* For job->state. */
struct vm {
    struct host host; /* first: host.h's own */
    bool is_hook;     /* a hook calls */
    struct vm_machine *machines;
    size_t n_machines;
    struct vm_tap *taps;
    size_t n_taps;
};

/* ---- which machines there are (vm_find.c) ---- */

/* Fills in the machines of the wish. Refused: one that is not there. */
int vm_find_machines(const struct mirror_job *job, struct vm *vm, struct err *err) MUST_CHECK;

/* libvirt (vm_libvirt.c). -ENOENT: it knows none of that name, or there is no libvirt here (and err
 * says which). `quiet`: only files may be read. */
int vm_libvirt_find(const char *name, bool quiet, struct vm_machine *out,
                    struct err *err) MUST_CHECK;
/* The description of a domain, as it is defined or as it runs. */
int vm_libvirt_read(const void *xml, size_t size, struct vm_machine *out,
                    struct err *err) MUST_CHECK;
/* Whether it reads hooks from a folder; false: it is older than 6.5. */
bool vm_libvirt_has_hook_folder(char out_version[32]);
/* It looks for hooks when it starts, and when it is told to. */
void vm_libvirt_tell(void);

/* Proxmox VE (vm_proxmox.c); `folder`: /etc/pve. -ENOENT: as above. */
int vm_proxmox_find(const char *folder, const char *name, struct vm_machine *out,
                    struct err *err) MUST_CHECK;
/* A machine's file; false: it is none. */
bool vm_proxmox_read(const char *text, const char *number, bool is_container,
                     struct vm_machine *out);
/* A storage for snippets: its name and its folder. -ENOENT: none of this node takes them. */
int vm_proxmox_snippets(const char *folder, char out_storage[64], char out_path[200],
                        struct err *err) MUST_CHECK;
bool vm_proxmox_read_storages(const char *text, char out_storage[64], char out_path[200]);
/* Machines of this node whose hookscript is the snippet `script`, of whatever storage: their
 * numbers, up to `max`. And whether there is one on any node of the cluster. */
size_t vm_proxmox_hooked(const char *folder, const char *script, char (*out)[16], size_t max);
bool vm_proxmox_is_hooked(const char *folder, const char *script, char out_number[16],
                          char out_node[64]);
/* `script`: with its storage; NULL takes it away. */
int vm_proxmox_set_hookscript(const char *number, bool is_container, const char *script,
                              struct err *err) MUST_CHECK;
bool vm_proxmox_is_container(const char *folder, const char *number);

/* ---- what should be there (vm_want.c) ---- */

int vm_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err);

/* Of the taps that are there: for host.h. Gives their number. */
size_t vm_host_taps(const struct vm *vm, struct host_tap *out);

/* ---- hooks (vm_hook.c) ---- */

int vm_want_hooks(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                  struct err *err) MUST_CHECK;
int vm_find_hooks(const struct mirror_job *job, struct mirror_set *out, struct err *err) MUST_CHECK;
int vm_make_hook(const struct mirror_job *job, const struct mirror_object *want,
                 struct err *err) MUST_CHECK;
int vm_unmake_hook(const struct mirror_job *job, const struct mirror_object *have,
                   struct err *err) MUST_CHECK;
/* Names of the mirrors that hooks tell of. */
int vm_hook_names(const struct mirror_job *job, void (*take)(const char *name, void *with),
                  void *with, struct err *err) MUST_CHECK;

/* The file of a hook (vm_hook_file.c): a script for the shell. `is_libvirt`: else Proxmox VE's. */
void vm_put_hook(const struct mirror_job *job, const char *program, bool is_libvirt,
                 struct text *out);
/* Whether it is one of ours, and of which mirror. */
bool vm_read_hook(const char *text, char out_mirror[MIRROR_NAME_MAX]);
/* In one step: there is never half of it, and it can be run as soon as it is there. */
int vm_write_hook(const char *path, const struct text *text, struct err *err) MUST_CHECK;
int vm_remove_hook(const char *path, struct err *err) MUST_CHECK;
#define VM_LIBVIRT_HOOKS       "/etc/libvirt/hooks"
#define VM_LIBVIRT_HOOK_FOLDER VM_LIBVIRT_HOOKS "/qemu.d"

/* ---- words (vm_show.c) ---- */

int vm_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
               struct err *err);
int vm_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
               struct err *err);
void vm_describe(const struct mirror_object *object, struct text *out);
void vm_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                struct text *out);

#endif
