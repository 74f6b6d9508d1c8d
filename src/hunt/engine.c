/* Takes records into the books of their days, and has the hunts judge them: see engine.h. */
#include "hunt/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "hunt/crew.h"
#include "hunt/engine_days.h"
#include "hunt/feeds.h"
#include "hunt/world_parts.h"

#define FIRST_ROUND 1700000000 /* s since the epoch; a round a second: enough until 2159 */
#define MAX_HUNTS   32
#define FETCH_AHEAD 5    /* records, between two steps of pairs_fetch */
#define BATCH       8192 /* records, shared out to the parts at once */
#define WORTH_IT    256  /* records, from which on other threads help */

struct taker {
    const struct hunt *hunt;
    const void *settings;
};

/* A record, and the book that takes it. */
struct job {
    const struct hunt_record *record;
    struct book *book;
};

/* What the hosts of one part begin is joined and put into books by one thread at a time, which
 * needs nothing of the other parts: all that is kept of a host is in its part. */
struct part {
    struct hunt_engine *engine;
    unsigned number;
    struct pairs *pairs;
    struct job *jobs; /* BATCH */
    size_t n_jobs;
};

struct hunt_engine {
    const struct hunt_settings *settings;
    uint64_t secret;
    struct part parts[BOOK_PARTS];
    struct crew *crew; /* NULL: there are no other threads */
    struct days days;
    struct book *books[(DAYS_MAX + DAYS_SPARE + 1) * BOOK_PARTS]; /* those that are judged */
    struct feeds *feeds;
    uint32_t round;       /* of what is taken now */
    uint32_t since_round; /* what was touched before was judged */
    bool off[MAX_HUNTS];
    struct taker takers[HUNT_N_LOGS][MAX_HUNTS];
    unsigned n_takers[HUNT_N_LOGS];
    uint64_t n_records[HUNT_N_LOGS];
    struct hunt_world *world;
    struct hunt_judge view;
    pthread_mutex_t lock;
    int64_t history_since;
    int64_t (*first_seen)(void *with, uint64_t key);
    void *with;
};

static struct book *find_book(void *with, int64_t day)
{
    const struct part *part = with;
    struct day *found = days_find(&part->engine->days, day);
    return found ? found->parts[part->number] : NULL;
}

static void take_jobs(struct hunt_engine *engine);

static void forget_book(void *with, struct book *book)
{
    struct hunt_engine *engine = with;
    take_jobs(engine); /* some may be for this book */
    pairs_forget(engine->parts[book_part(book)].pairs, book);
}

static bool is_off(const struct hunt_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->n_off; i++)
        if (strcmp(settings->off[i], name) == 0)
            return true;
    return false;
}

static int check_hunts(const struct hunt_settings *settings, struct err *err)
{
    for (size_t i = 0; i < settings->n_off; i++) {
        bool found = false;
        for (size_t k = 0; hunts[k] && !found; k++)
            found = strcmp(hunts[k]->name, settings->off[i]) == 0;
        if (!found)
            return err_set(err, -EINVAL, "there is no hunt of the name %s", settings->off[i]);
    }
    for (size_t i = 0; hunts[i]; i++)
        if (!settings->blob[i])
            return err_set(err, -ENOMEM, "hunt %s: out of memory", hunts[i]->name);
    return 0;
}

static void set_hunts(struct hunt_engine *engine)
{
    memset(engine->n_takers, 0, sizeof engine->n_takers);
    for (size_t i = 0; hunts[i]; i++) {
        engine->off[i] = is_off(engine->settings, hunts[i]->name);
        for (unsigned log = 0; log < HUNT_N_LOGS && hunts[i]->take && !engine->off[i]; log++)
            if (hunts[i]->logs & HUNT_LOG_BIT(log))
                engine->takers[log][engine->n_takers[log]++] =
                    (struct taker){hunts[i], engine->settings->blob[i]};
    }
}

static int make_parts(struct hunt_engine *engine, size_t memory, struct err *err)
{
    for (unsigned i = 0; i < BOOK_PARTS; i++) {
        struct part *part = &engine->parts[i];
        *part = (struct part){.engine = engine, .number = i};
        part->jobs = calloc(BATCH, sizeof *part->jobs);
        part->pairs = pairs_new(&engine->settings->scope, memory / BOOK_PARTS);
        if (!part->jobs || !part->pairs)
            return err_set(err, -ENOMEM, "hunting: out of memory");
        pairs_books(part->pairs, find_book, part);
    }
    return 0;
}

int hunt_engine_new(const struct hunt_settings *settings, uint64_t secret, struct hunt_engine **out,
                    struct err *err)
{
    size_t memory = (size_t)hunt_settings_memory(settings);
    struct hunt_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return err_set(err, -ENOMEM, "hunting: out of memory");
    engine->settings = settings;
    engine->secret = secret;
    /* Books of an archive say in which round a value was touched: those of this run are later. */
    engine->round = (uint32_t)(time(NULL) - FIRST_ROUND);
    pthread_mutex_init(&engine->lock, NULL);
    days_init(&engine->days, settings->days, memory - memory / 8, secret);
    engine->days.forget = forget_book;
    engine->days.with = engine;
    int r = make_parts(engine, memory / 8, err);
    if (r == 0)
        r = check_hunts(settings, err);
    if (r == 0)
        set_hunts(engine);
    if (r == 0 && settings->n_feeds > 0)
        r = feeds_load((const char *const *)settings->feeds, settings->n_feeds, secret,
                       &engine->feeds, err);
    if (r < 0) {
        hunt_engine_free(engine);
        return r;
    }
    *out = engine;
    return 0;
}

void hunt_engine_free(struct hunt_engine *engine)
{
    if (!engine)
        return;
    hunt_world_free(engine->world);
    crew_free(engine->crew);
    days_done(&engine->days);
    for (unsigned i = 0; i < BOOK_PARTS; i++) {
        pairs_free(engine->parts[i].pairs);
        free(engine->parts[i].jobs);
    }
    feeds_free(engine->feeds);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

void hunt_engine_threads(struct hunt_engine *engine, unsigned n)
{
    crew_free(engine->crew);
    engine->crew = crew_new(n < BOOK_PARTS ? n : BOOK_PARTS);
}

int hunt_engine_change(struct hunt_engine *engine, const struct hunt_settings *settings,
                       struct feeds *feeds, struct err *err)
{
    int result = check_hunts(settings, err);
    if (result < 0)
        return result;
    engine->settings = settings;
    set_hunts(engine);
    for (unsigned i = 0; i < BOOK_PARTS; i++)
        pairs_scope(engine->parts[i].pairs, &settings->scope);
    hunt_world_free(engine->world); /* it knows the feeds */
    engine->world = NULL;
    engine->view = (struct hunt_judge){0};
    feeds_free(engine->feeds);
    engine->feeds = feeds;
    engine->since_round = 0;
    return 0;
}

void hunt_engine_add_book(struct hunt_engine *engine, struct book *book)
{
    int64_t day = book_day(book);
    unsigned part = book_part(book);
    days_add(&engine->days, book);
    struct day *added = days_find(&engine->days, day);
    if (added && added->parts[part] == book)
        pairs_take_back(engine->parts[part].pairs, book);
}

void hunt_engine_history(struct hunt_engine *engine, int64_t since,
                         int64_t (*first_seen)(void *with, uint64_t key), void *with)
{
    engine->history_since = since;
    engine->first_seen = first_seen;
    engine->with = with;
}

uint64_t hunt_engine_secret(const struct hunt_engine *engine)
{
    return engine->secret;
}

/* ---- taking ---- */

static void take(struct part *part, struct book *book, const struct hunt_record *record)
{
    const struct hunt_engine *engine = part->engine;
    if (!pairs_take(part->pairs, book, engine->round, record))
        return;
    struct hunt_take with = {
        .book = book, .scope = &engine->settings->scope, .round = engine->round};
    for (unsigned i = 0; i < engine->n_takers[record->log]; i++) {
        const struct taker *taker = &engine->takers[record->log][i];
        with.settings = taker->settings;
        taker->hunt->take(&with, record);
    }
}

static void fetch(struct part *part, struct book *book, unsigned step,
                  const struct hunt_record *record)
{
    const struct hunt_engine *engine = part->engine;
    pairs_fetch(part->pairs, book, step, record);
    struct hunt_take with = {.book = book, .scope = &engine->settings->scope};
    for (unsigned i = 0; i < engine->n_takers[record->log]; i++) {
        const struct taker *taker = &engine->takers[record->log][i];
        with.settings = taker->settings;
        if (taker->hunt->fetch)
            taker->hunt->fetch(&with, record, step);
    }
}

static void take_part(void *with, unsigned i)
{
    struct part *part = &((struct hunt_engine *)with)->parts[i];
    const struct job *jobs = part->jobs;
    for (size_t k = 0; k < part->n_jobs; k++) {
        for (unsigned step = 0; step < 3; step++) {
            size_t ahead = k + (3 - step) * FETCH_AHEAD;
            if (ahead < part->n_jobs)
                fetch(part, jobs[ahead].book, step, jobs[ahead].record);
        }
        take(part, jobs[k].book, jobs[k].record);
    }
    part->n_jobs = 0;
}

static void take_jobs(struct hunt_engine *engine)
{
    size_t n = 0;
    for (unsigned i = 0; i < BOOK_PARTS; i++)
        n += engine->parts[i].n_jobs;
    if (n > 0)
        crew_do(n >= WORTH_IT ? engine->crew : NULL, BOOK_PARTS, take_part, engine);
}

void hunt_engine_take(struct hunt_engine *engine, const struct hunt_record *records, size_t n)
{
    struct day *day = NULL; /* of this call: a book may go between two */
    size_t n_jobs = 0;
    for (size_t i = 0; i < n; i++) {
        const struct hunt_record *record = &records[i];
        if (record->log >= HUNT_N_LOGS)
            continue;
        engine->n_records[record->log]++;
        int64_t ms = hunt_ms(record->ts);
        int64_t of = ms / 86400000 - (ms % 86400000 < 0);
        if (!day || day->day != of || i % 1024 == 0)
            day = days_at(&engine->days, of);
        if (!day)
            continue;
        /* A notice is written when somebody looks, which may be years after: where a few of them
         * are all there is of a day, that is not the newest. Nor is one of which there is but mail,
         * or a tunnel: traffic is more than that. */
        if (record->log == HUNT_SMTP || record->log == HUNT_TUNNEL)
            days_count_aside(day, ms);
        else if (record->log != HUNT_NOTICE && record->log != HUNT_CAPTURE_LOSS)
            days_count(day, ms);
        struct part *part = &engine->parts[pairs_part(record)];
        struct book *book = days_book(&engine->days, day, part->number);
        if (!book)
            continue;
        part->jobs[part->n_jobs++] = (struct job){record, book};
        if (++n_jobs % BATCH == 0)
            take_jobs(engine);
    }
    take_jobs(engine);
}

static struct books judged(struct hunt_engine *engine, int64_t *out_newest, int64_t *out_oldest)
{
    bool is_judged[DAYS_MAX + DAYS_SPARE + 1];
    unsigned last;
    bool timed = false; /* notices alone give a day no time */
    struct books books = {.at = engine->books};
    *out_newest = *out_oldest = 0;
    (void)days_judged(&engine->days, is_judged, &last);
    for (unsigned i = 0; i < engine->days.n; i++) {
        const struct day *day = &engine->days.at[i];
        if (!is_judged[i])
            continue;
        if (day->weight > 0) {
            *out_newest = !timed || day->max > *out_newest ? day->max : *out_newest;
            *out_oldest = !timed || day->min < *out_oldest ? day->min : *out_oldest;
            timed = true;
        }
        for (unsigned part = 0; part < BOOK_PARTS; part++)
            if (day->parts[part])
                engine->books[books.n++] = day->parts[part];
    }
    return books;
}

static void settle_part(void *with, unsigned i)
{
    pairs_settle(((struct hunt_engine *)with)->parts[i].pairs);
}

static void settle_and_keep(void *with, unsigned i)
{
    settle_part(with, i);
    pairs_keep_waiting(((struct hunt_engine *)with)->parts[i].pairs);
}

struct books hunt_engine_books(const struct hunt_engine *engine_const)
{
    /* What was joined is put in: for whoever looks it was there already. */
    union {
        const struct hunt_engine *in;
        struct hunt_engine *out;
    } engine = {.in = engine_const};
    int64_t newest, oldest;
    crew_do(engine.out->crew, BOOK_PARTS, settle_and_keep, engine.out);
    days_settle(&engine.out->days);
    days_note(&engine.out->days);
    return judged(engine.out, &newest, &oldest);
}

int64_t hunt_engine_newest(const struct hunt_engine *engine_const)
{
    union { /* as in hunt_engine_books */
        const struct hunt_engine *in;
        struct hunt_engine *out;
    } both = {.in = engine_const};
    struct hunt_engine *engine = both.out;
    bool is_judged[DAYS_MAX + DAYS_SPARE + 1];
    unsigned last;
    int64_t newest = 0;
    days_settle(&engine->days);
    (void)days_judged(&engine->days, is_judged, &last);
    for (unsigned i = 0; i < engine->days.n; i++)
        if (is_judged[i] && engine->days.at[i].weight > 0 && engine->days.at[i].max > newest)
            newest = engine->days.at[i].max;
    return newest;
}

/* ---- judging ---- */

int hunt_engine_judge(struct hunt_engine *engine, int64_t to, bool only_changed, unsigned n_threads,
                      struct findings *out, struct err *err)
{
    int64_t newest, oldest;
    crew_do(engine->crew, BOOK_PARTS, settle_part, engine);
    days_settle(&engine->days);
    hunt_world_free(engine->world);
    engine->world = NULL;
    struct hunt_judge *view = &engine->view;
    *view = (struct hunt_judge){
        .books = judged(engine, &newest, &oldest),
        .scope = &engine->settings->scope,
        .newest = newest,
        .to = to ? to : newest,
        .since_round = only_changed ? engine->since_round : 0,
        .n_threads = n_threads ? n_threads : 1,
        .findings = out,
    };
    view->from = view->to - engine->settings->window;
    engine->world = hunt_world_new(view);
    if (!engine->world)
        return err_set(err, -ENOMEM, "hunting: out of memory");
    engine->world->oldest = oldest;
    engine->world->feeds = engine->feeds;
    engine->world->secret = engine->secret;
    engine->world->history_since = engine->history_since;
    engine->world->first_seen = engine->first_seen;
    engine->world->with = engine->with;
    engine->world->lock = &engine->lock;
    view->world = engine->world;
    for (size_t i = 0; hunts[i]; i++) {
        if (engine->off[i] || !hunts[i]->judge)
            continue;
        view->hunt = hunts[i];
        view->settings = engine->settings->blob[i];
        hunts[i]->judge(view);
    }
    view->hunt = NULL;
    view->settings = NULL;
    view->findings = NULL;
    engine->since_round = ++engine->round;
    return 0;
}

const struct hunt_judge *hunt_engine_view(const struct hunt_engine *engine)
{
    return &engine->view;
}

void hunt_engine_count(const struct hunt_engine *engine, struct hunt_engine_counts *out)
{
    *out = (struct hunt_engine_counts){.n_days_dropped = engine->days.n_dropped,
                                       .refused = engine->days.refused,
                                       .memory_used = days_used(&engine->days)};
    memcpy(out->n_records, engine->n_records, sizeof out->n_records);
    days_strays(&engine->days, &out->n_early, &out->n_late);
    for (unsigned i = 0; i < BOOK_PARTS; i++)
        pairs_count(engine->parts[i].pairs, &out->pairs);
    for (unsigned i = 0; i < engine->days.n * BOOK_PARTS; i++) {
        const struct book *book = engine->days.at[i / BOOK_PARTS].parts[i % BOOK_PARTS];
        struct book_refused refused;
        if (!book)
            continue;
        book_count(book, &refused);
        out->refused.n_keys += refused.n_keys;
        out->refused.n_events += refused.n_events;
        out->refused.n_texts += refused.n_texts;
        out->refused.n_over += refused.n_over;
        out->n_pairs += book_n(book, &pair_table);
        out->n_named += book_n(book, &named_table);
    }
    out->n_hosts = engine->world ? engine->world->n_hosts : 0;
}
