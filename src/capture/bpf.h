/* A small assembler for the kernel's classic BPF (linux/filter.h): instructions one after the
 * other, jumps to labels that may be farther than a conditional jump reaches. It says no rather
 * than making a program that the kernel would refuse. */
#ifndef CAPTURE_BPF_H
#define CAPTURE_BPF_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

#include "base/err.h"

/* What the kernel takes. */
#define BPF_CODE_MAX   4096
#define BPF_LABELS_MAX 4096

/* A finished program. */
struct bpf_code {
    struct sock_filter at[BPF_CODE_MAX];
    unsigned short n;
};

/* As setsockopt wants it; borrows `code`. */
struct sock_fprog bpf_fprog(struct bpf_code *code);

struct bpf_line {
    uint32_t k;
    uint16_t code;
    uint16_t yes, no; /* labels; 0: the next line */
};

struct bpf_asm {
    struct bpf_line lines[BPF_CODE_MAX];
    uint16_t places[BPF_LABELS_MAX]; /* of the labels: lines, 1 more; 0: nowhere yet */
    uint16_t n_lines, n_labels;
    bool overflowed;
};

void bpf_begin(struct bpf_asm *assembler);

/* A new label, which is to be put somewhere after all jumps to it. */
unsigned bpf_label(struct bpf_asm *assembler);
void bpf_here(struct bpf_asm *assembler, unsigned label);

/* Any instruction but a jump: BPF_LD | BPF_H | BPF_IND, … */
void bpf_put(struct bpf_asm *assembler, unsigned code, uint32_t k);

/* `test`: BPF_JEQ, BPF_JGT, BPF_JGE or BPF_JSET, with BPF_K or BPF_X. A label 0: the next line. */
void bpf_if(struct bpf_asm *assembler, unsigned test, uint32_t k, unsigned yes, unsigned no);
void bpf_go(struct bpf_asm *assembler, unsigned label);

/* -E2BIG: longer than BPF_CODE_MAX. A label that is jumped to and is nowhere, or behind the jump,
 * is a mistake of the caller. */
int bpf_finish(const struct bpf_asm *assembler, struct bpf_code *out, struct err *err) MUST_CHECK;

#endif
