/* Large tables that are looked up at random: with large pages, where the kernel has them, the
 * translation of their addresses costs less. */
#ifndef BASE_LARGE_H
#define BASE_LARGE_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE_SIZE ((uintptr_t)2 << 20)

/* As calloc; freed by free. */
static inline void *large_calloc(size_t n, size_t size)
{
    void *at = calloc(n, size);
    uintptr_t from = ((uintptr_t)at + LARGE_PAGE_SIZE - 1) & ~(LARGE_PAGE_SIZE - 1);
    uintptr_t to = ((uintptr_t)at + n * size) & ~(LARGE_PAGE_SIZE - 1);
    if (at && n * size >= 4 * LARGE_PAGE_SIZE && from < to)
        (void)madvise((char *)at + (from - (uintptr_t)at), to - from, MADV_HUGEPAGE);
    return at;
}

#endif
