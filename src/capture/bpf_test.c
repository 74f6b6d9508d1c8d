/* The assembler: what it makes is what libpcap's interpreter runs, with jumps of every length. */
#include "capture/bpf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

#include <cmocka.h>

/* Of libpcap; its header does not go together with the kernel's. */
u_int bpf_filter(const struct sock_filter *program, const u_char *bytes, u_int wire_size,
                 u_int size);
int bpf_validate(const struct sock_filter *program, int n);

/* A comparison over `gap` instructions, on either side or both. */
static void test_distances(void **state)
{
    (void)state;
    static struct bpf_asm b;
    static struct bpf_code code;
    for (unsigned gap = 0; gap < 600; gap += gap >= 240 && gap < 270 ? 1 : 13)
        for (unsigned sides = 0; sides < 4; sides++) {
            bpf_begin(&b);
            unsigned yes = bpf_label(&b), no = bpf_label(&b);
            bpf_put(&b, BPF_LD | BPF_B | BPF_ABS, 0);
            bpf_if(&b, BPF_JEQ, 7, sides & 1 ? yes : 0, sides & 2 ? no : 0);
            for (unsigned i = 0; i < gap; i++)
                bpf_put(&b, BPF_ALU | BPF_ADD | BPF_K, 1);
            bpf_put(&b, BPF_RET | BPF_K, 1);
            bpf_here(&b, yes);
            bpf_put(&b, BPF_RET | BPF_K, 2);
            bpf_here(&b, no);
            bpf_put(&b, BPF_RET | BPF_K, 3);
            assert_int_equal(bpf_finish(&b, &code, NULL), 0);
            assert_true(bpf_validate(code.at, code.n));
            const u_char seven = 7, eight = 8;
            assert_int_equal(bpf_filter(code.at, &seven, 1, 1), sides & 1 ? 2 : 1);
            assert_int_equal(bpf_filter(code.at, &eight, 1, 1), sides & 2 ? 3 : 1);
            const struct sock_fprog program = bpf_fprog(&code);
            assert_int_equal(program.len, code.n);
        }
}

/* Far jumps make others far: a chain of them all to the end. */
static void test_chain(void **state)
{
    (void)state;
    static struct bpf_asm b;
    static struct bpf_code code;
    bpf_begin(&b);
    unsigned end = bpf_label(&b);
    bpf_put(&b, BPF_LD | BPF_B | BPF_ABS, 0);
    for (unsigned i = 0; i < 400; i++)
        bpf_if(&b, BPF_JEQ, i, end, 0);
    bpf_put(&b, BPF_RET | BPF_K, 1);
    bpf_here(&b, end);
    bpf_go(&b, bpf_label(&b));
    bpf_here(&b, end + 1);
    bpf_put(&b, BPF_RET | BPF_A, 0);
    assert_int_equal(bpf_finish(&b, &code, NULL), 0);
    assert_true(bpf_validate(code.at, code.n));
    for (unsigned i = 1; i < 256; i++) {
        const u_char byte = (u_char)i;
        assert_int_equal(bpf_filter(code.at, &byte, 1, 1), i);
    }
}

static void test_too_long(void **state)
{
    (void)state;
    static struct bpf_asm b;
    static struct bpf_code code;
    struct err err;
    bpf_begin(&b);
    for (unsigned i = 0; i < BPF_CODE_MAX; i++)
        bpf_put(&b, BPF_RET | BPF_K, 1);
    assert_int_equal(bpf_finish(&b, &code, &err), 0);
    assert_int_equal(code.n, BPF_CODE_MAX);
    bpf_put(&b, BPF_RET | BPF_K, 1);
    assert_int_equal(bpf_finish(&b, &code, &err), -E2BIG);
    bpf_begin(&b); /* short enough before the jumps are laid out, not after */
    unsigned end = bpf_label(&b);
    for (unsigned i = 0; i < BPF_CODE_MAX - 1; i++)
        bpf_if(&b, BPF_JEQ, i, end, 0);
    bpf_here(&b, end);
    bpf_put(&b, BPF_RET | BPF_K, 1);
    assert_int_equal(bpf_finish(&b, &code, &err), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
