/* RITA's rows of an engine, for unit tests. */
#ifndef HUNT_RITA_BED_H
#define HUNT_RITA_BED_H

#include "hunt/pairs_bed.h"
#include "hunt/rita_parts.h"

#define N(list) (sizeof(list) / sizeof(list)[0])

struct rows {
    struct rita_row *at;
    size_t n;
};

static inline struct rows rows_of(struct hunt_engine *engine, const struct rita_options *options)
{
    struct findings *findings = findings_new(100);
    struct rows rows = {NULL, 0};
    struct err err;
    assert_non_null(findings);
    assert_int_equal(hunt_engine_judge(engine, 0, false, 2, findings, &err), 0);
    assert_int_equal(rita_rows(hunt_engine_view(engine), options, &rows.at, &rows.n, &err), 0);
    findings_free(findings);
    return rows;
}

static inline const struct rita_row *row_of(const struct rows *rows, const char *src,
                                            const char *to)
{
    struct hunt_host from = bed_host(src);
    struct addr addr;
    bool is_addr = addr_parse(to, &addr);
    for (size_t i = 0; i < rows->n; i++) {
        const struct rita_row *row = &rows->at[i];
        if (!addr_eq(&row->src.addr, &from.addr))
            continue;
        if (is_addr ? row->has_dst && addr_eq(&row->dst.addr, &addr) : strcmp(row->name, to) == 0)
            return row;
    }
    return NULL;
}

#endif
