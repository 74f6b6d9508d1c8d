/* The assembler: see bpf.h. It resolves labels. A conditional jump reaches 255 instructions: where
 * that is not enough, an unconditional one is put right behind it for that side. Lines only grow,
 * so that looking again until nothing changes comes to an end. */
#include "capture/bpf.h"

#include <assert.h>
#include <errno.h>

struct sock_fprog bpf_fprog(struct bpf_code *code)
{
    return (struct sock_fprog){.len = code->n, .filter = code->at};
}

void bpf_begin(struct bpf_asm *assembler)
{
    *assembler = (struct bpf_asm){.n_labels = 1};
}

unsigned bpf_label(struct bpf_asm *assembler)
{
    assert(assembler->n_labels < BPF_LABELS_MAX);
    return assembler->n_labels++;
}

void bpf_here(struct bpf_asm *assembler, unsigned label)
{
    assert(label > 0 && label < assembler->n_labels && assembler->places[label] == 0);
    assembler->places[label] = (uint16_t)(assembler->n_lines + 1);
}

static void add(struct bpf_asm *assembler, struct bpf_line line)
{
    if (assembler->n_lines == BPF_CODE_MAX) {
        assembler->overflowed = true;
        return;
    }
    assembler->lines[assembler->n_lines++] = line;
}

void bpf_put(struct bpf_asm *assembler, unsigned code, uint32_t k)
{
    assert(BPF_CLASS(code) != BPF_JMP);
    add(assembler, (struct bpf_line){.code = (uint16_t)code, .k = k});
}

void bpf_if(struct bpf_asm *assembler, unsigned test, uint32_t k, unsigned yes, unsigned no)
{
    add(assembler,
        (struct bpf_line){
            .code = (uint16_t)(BPF_JMP | test), .k = k, .yes = (uint16_t)yes, .no = (uint16_t)no});
}

void bpf_go(struct bpf_asm *assembler, unsigned label)
{
    assert(label > 0);
    add(assembler, (struct bpf_line){.code = BPF_JMP | BPF_JA, .yes = (uint16_t)label});
}

/* Where every line begins in the program, and which sides of a jump need one of their own. */
struct layout {
    uint32_t starts[BPF_CODE_MAX + 1];
    bool far_yes[BPF_CODE_MAX], far_no[BPF_CODE_MAX];
};

static bool is_conditional(const struct bpf_line *line)
{
    return BPF_CLASS(line->code) == BPF_JMP && BPF_OP(line->code) != BPF_JA;
}

static uint32_t target(const struct bpf_asm *assembler, const struct layout *layout, unsigned label)
{
    assert(assembler->places[label] > 0);
    return layout->starts[assembler->places[label] - 1];
}

static bool is_far(const struct bpf_asm *assembler, const struct layout *layout, unsigned line,
                   unsigned label)
{
    return label > 0 && target(assembler, layout, label) - layout->starts[line] - 1 > 255;
}

static void lay_out(const struct bpf_asm *assembler, struct layout *layout)
{
    bool again = true;
    while (again) {
        again = false;
        uint32_t at = 0;
        for (unsigned i = 0; i < assembler->n_lines; i++) {
            layout->starts[i] = at;
            at += 1u + layout->far_yes[i] + layout->far_no[i];
        }
        layout->starts[assembler->n_lines] = at;
        for (unsigned i = 0; i < assembler->n_lines; i++) {
            const struct bpf_line *line = &assembler->lines[i];
            if (!is_conditional(line))
                continue;
            if (!layout->far_yes[i] && is_far(assembler, layout, i, line->yes))
                again = layout->far_yes[i] = true;
            if (!layout->far_no[i] && is_far(assembler, layout, i, line->no))
                again = layout->far_no[i] = true;
        }
    }
}

/* How far one side of the jump at `line` goes, counted from the instruction behind it. */
static uint8_t distance(const struct bpf_asm *assembler, const struct layout *layout, unsigned line,
                        unsigned label, bool far, unsigned hop)
{
    if (far)
        return (uint8_t)hop;
    uint32_t to = label > 0 ? target(assembler, layout, label) : layout->starts[line + 1];
    assert(to > layout->starts[line]);
    return (uint8_t)(to - layout->starts[line] - 1);
}

static void write_hop(const struct bpf_asm *assembler, const struct layout *layout, unsigned label,
                      struct bpf_code *out)
{
    uint32_t to = target(assembler, layout, label);
    assert(to > out->n);
    out->at[out->n] = (struct sock_filter){.code = BPF_JMP | BPF_JA, .k = to - out->n - 1};
    out->n++;
}

int bpf_finish(const struct bpf_asm *assembler, struct bpf_code *out, struct err *err)
{
    struct layout layout = {0};
    if (!assembler->overflowed)
        lay_out(assembler, &layout);
    if (assembler->overflowed || layout.starts[assembler->n_lines] > BPF_CODE_MAX)
        return err_set(err, -E2BIG, "a packet filter of more than %d instructions", BPF_CODE_MAX);
    out->n = 0;
    for (unsigned i = 0; i < assembler->n_lines; i++) {
        const struct bpf_line *line = &assembler->lines[i];
        if (BPF_CLASS(line->code) == BPF_JMP && !is_conditional(line)) {
            write_hop(assembler, &layout, line->yes, out);
            continue;
        }
        struct sock_filter *to = &out->at[out->n++];
        *to = (struct sock_filter){.code = line->code, .k = line->k};
        if (!is_conditional(line))
            continue;
        to->jt = distance(assembler, &layout, i, line->yes, layout.far_yes[i], 0);
        to->jf = distance(assembler, &layout, i, line->no, layout.far_no[i], layout.far_yes[i]);
        if (layout.far_yes[i])
            write_hop(assembler, &layout, line->yes, out);
        if (layout.far_no[i])
            write_hop(assembler, &layout, line->no, out);
    }
    return 0;
}
