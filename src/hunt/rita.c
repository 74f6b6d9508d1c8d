/* RITA's rows: all that are made, their modifiers, their order. See rita_parts.h for the parts. */
#include "hunt/rita.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hunt/rita_parts.h"

#define CATEGORY_HIGH 0.8
#define INTEL_BYTES   25000000u
#define ADDED         0.15 /* by most modifiers */
#define ADDED_NO_HOST 0.10
#define RARE_SHARE    0.02 /* of the hosts; few know it */
#define COMMON_SHARE  0.5
#define NEW_DAYS      7
#define OLD_DAYS      30
#define DAY_S         86400

void rita_options_init(struct rita_options *options)
{
    *options = (struct rita_options){
        .prevalence = ADDED, .rare_signature = ADDED, .beacon = {50, 70, 90, 100}};
}

void rita_options_code(struct rita_options *options)
{
    *options = (struct rita_options){.beacon = {50, 75, 90, 100}};
}

static void put_modifier(struct rita_row *row, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_modifier(struct rita_row *row, const char *name, const char *format, ...)
{
    char value[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(value, sizeof value, format, args); /* cut where it is longer */
    va_end(args);
    size_t used = strlen(row->modifiers), size = sizeof row->modifiers;
    (void)snprintf(row->modifiers + used, size - used, "%s%s:%s", used ? "," : "", name, value);
}

/* RITA names three modifiers there; the others have columns. Ours are all said. */
static double add_shared(struct rita_run *run, struct rita_row *row, int64_t now)
{
    const struct rita_options *options = run->options;
    double sum = 0, added = 0;
    if (row->prevalence.of > 0) {
        double share = (double)row->prevalence.n / row->prevalence.of;
        added = share <= RARE_SHARE     ? options->prevalence
                : share >= COMMON_SHARE ? -options->prevalence
                                        : 0;
    }
    if (added != 0 && !options->exact)
        put_modifier(row, "prevalence", "%+.2f", added);
    sum += added;
    added = 0;
    if (options->rolling && row->first_seen > 0) {
        double days = (double)(now - row->first_seen) / DAY_S;
        added = days <= NEW_DAYS ? ADDED : days >= OLD_DAYS ? -ADDED : 0;
    }
    if (added != 0 && !options->exact)
        put_modifier(row, "first_seen", "%+.2f", added);
    return sum + added;
}

static double add_all(struct rita_run *run, struct rita_row *row, const struct rita_mark *mark,
                      int64_t now)
{
    const struct rita_options *options = run->options;
    double sum = add_shared(run, row, now);
    if (row->n_missing_host > 0) {
        sum += ADDED_NO_HOST;
        if (!options->exact)
            put_modifier(row, "missing_host_header", "%u", row->n_missing_host);
    }
    if (row->intel && row->type != RITA_DNS && row->bytes >= INTEL_BYTES) {
        sum += ADDED;
        if (!options->exact)
            put_modifier(row, "threat_intel_data_size", "%llu", (unsigned long long)row->bytes);
    }
    if (row->rare_signatures[0] != '\0') {
        sum += options->rare_signature;
        put_modifier(row, "rare_signature", "%s", row->rare_signatures);
    }
    if (row->n_mime_mismatches > 0) {
        sum += ADDED;
        put_modifier(row, "mime_type_mismatch", "%u", row->n_mime_mismatches);
    }
    if (row->type == RITA_DNS && !mark->has_direct) {
        sum += ADDED;
        put_modifier(row, "c2_over_dns_direct_conns", "%s", "none");
    }
    return sum;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* First seen: since a day ago or less counts from the clock, older logs from their own end. */
static void find_first_seen(struct rita_run *run, struct rita_row *row,
                            const struct rita_mark *mark)
{
    if (!run->options->rolling)
        return;
    int64_t ms =
        row->type == RITA_IP
            ? hunt_first_seen_of(run->judge, hunt_is_internal(run->judge->scope, &row->src.addr)
                                                 ? &row->dst
                                                 : &row->src)
            : hunt_first_seen_of_name(run->judge, mark->name);
    if (ms != HUNT_UNSET && (row->first_seen == 0 || ms / 1000 < row->first_seen))
        row->first_seen = ms / 1000;
}

int64_t rita_now(const struct hunt_judge *judge, bool rolling)
{
    int64_t newest = judge->newest / 1000, now = (int64_t)time(NULL);
    return rolling && now - newest <= DAY_S ? now : newest;
}

static void finish_rows(struct rita_run *run)
{
    int64_t now = rita_now(run->judge, run->options->rolling);
    for (size_t i = 0; i < run->n; i++) {
        struct rita_row *row = &run->rows[i];
        find_first_seen(run, row, &run->marks[i]);
        double base = larger(row->beacon_threat, row->long_score);
        base = larger(base, row->dns_score);
        if (row->strobe || row->intel)
            base = larger(base, CATEGORY_HIGH);
        row->final = base + add_all(run, row, &run->marks[i], now);
        row->severity = hunt_severity_of(row->final);
    }
}

static int compare_rows(const void *left, const void *right)
{
    const struct rita_row *a = left, *b = right;
    if (a->final != b->final)
        return a->final > b->final ? -1 : 1;
    if (a->strobe != b->strobe)
        return a->strobe ? -1 : 1;
    if (a->beacon.score != b->beacon.score)
        return a->beacon.score > b->beacon.score ? -1 : 1;
    /* From here on only so that the order is the same in each run. */
    int order = addr_order(&a->src.addr, &b->src.addr);
    if (order == 0)
        order = addr_order(&a->dst.addr, &b->dst.addr);
    if (order == 0)
        order = strcmp(a->name, b->name);
    if (order == 0)
        order = (a->src.network > b->src.network) - (a->src.network < b->src.network);
    return order;
}

static void make_rows(struct rita_run *run)
{
    rita_find_window(run);
    rita_find_opens(run);
    rita_named_rows(run);
    rita_pair_rows(run);
    rita_domain_rows(run);
    if (run->n == 0)
        return;
    rita_find_prevalence(run);
    rita_find_details(run);
    finish_rows(run);
    qsort(run->rows, run->n, sizeof *run->rows, compare_rows);
}

int rita_rows(const struct hunt_judge *judge, const struct rita_options *options,
              struct rita_row **out, size_t *out_n, struct err *err)
{
    struct rita_run run = {.judge = judge,
                           .options = options,
                           .all = judge->books,
                           .is_cut = judge->to < judge->newest,
                           .lock = PTHREAD_MUTEX_INITIALIZER};
    struct rita_set *sets[] = {&run.covering, &run.by_pair, &run.contacts, &run.domains};
    for (unsigned i = 0; i < sizeof sets / sizeof sets[0]; i++)
        rita_set_init(sets[i]);
    if (judge->books.n > 0)
        make_rows(&run);
    for (unsigned i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        run.failed |= sets[i]->failed;
        rita_set_done(sets[i]);
    }
    free(run.opens);
    free(run.marks);
    if (run.failed) {
        free(run.rows);
        return err_set(err, -ENOMEM,
                       "RITA's rows: there is no memory for them; give the hunt a "
                       "shorter time (--since)");
    }
    *out = run.rows;
    *out_n = run.n;
    return 0;
}
