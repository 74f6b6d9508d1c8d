/* The hunts of a running watch: see hunter.h. */
#include "sensor/hunter.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "hunt/archive.h"
#include "hunt/read.h"
#include "sensor/hunter_orders.h"

#define SECOND        1000000000ll
#define SAVE_EVERY    (600 * SECOND)
#define QUEUE_MAX     (64u << 20) /* bytes of lines that wait */
#define FINDINGS_MAX  1000
#define TELL_MAX      256 /* findings that wait to be taken */
#define SHARE_OF_TIME 20  /* judging takes at most one in so many seconds */
#define NICE          10  /* packets come first */

/* Lines of one log that wait to be read. */
struct chunk {
    struct chunk *next;
    const struct log_schema *schema;
    size_t size;
    uint64_t n_lines;
    char lines[];
};

/* One log's reader. */
struct lane {
    const struct log_schema *schema;
    struct hunt_lines *lines;
};

struct hunter {
    struct hunter_options options;
    struct hunter_orders orders; /* those in force; the thread's */
    struct hunt_engine *engine;
    struct hunt_archive *archive; /* in memory where no file is to be had */
    struct hunt_safelist *safelist;
    pthread_t thread;
    bool started;

    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stops, asleep;
    struct hunter_orders next; /* those to take */
    struct chunk *first, **last;
    size_t waiting; /* bytes */
    struct hunter_counts counts;
    char note[HUNTER_NOTE_MAX];
    struct finding *now; /* what is found, in no order */
    size_t n_now;
    struct finding *tell;
    size_t n_tell;

    /* The thread's own. */
    struct lane lanes[HUNT_N_LOGS];
    struct hunt_read_counts read;
    bool said_lost, said_bad;
    uint64_t n_since_judged;
};

static void say(struct hunter *h, const char *text)
{
    pthread_mutex_lock(&h->lock);
    (void)snprintf(h->note, sizeof h->note, "%s", text);
    pthread_mutex_unlock(&h->lock);
}

/* ---- lines come in, from the threads that write logs ---- */

/* The log's number; HUNT_N_LOGS: no hunt reads it. */
static int log_of(const struct log_schema *schema)
{
    for (int i = 0; i < HUNT_N_LOGS; i++)
        if ((hunt_logs_wanted() & HUNT_LOG_BIT(i)) &&
            strcmp(schema->name, hunt_log_name((enum hunt_log)i)) == 0)
            return i;
    return HUNT_N_LOGS;
}

static void hear(void *with, const struct log_schema *schema, const char *lines, size_t size,
                 uint64_t n_lines)
{
    struct hunter *h = with;
    if (log_of(schema) == HUNT_N_LOGS)
        return;
    struct chunk *chunk = malloc(sizeof *chunk + size);
    pthread_mutex_lock(&h->lock);
    if (!chunk || h->stops || h->waiting + size > QUEUE_MAX) {
        h->counts.n_lost += n_lines;
        pthread_mutex_unlock(&h->lock);
        free(chunk);
        return;
    }
    *chunk = (struct chunk){.schema = schema, .size = size, .n_lines = n_lines};
    memcpy(chunk->lines, lines, size);
    *h->last = chunk;
    h->last = &chunk->next;
    h->waiting += size;
    if (h->asleep)
        pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

/* ---- lines are read ---- */

static struct lane *lane_of(struct hunter *h, const struct log_schema *schema)
{
    int log = log_of(schema);
    struct lane *lane = &h->lanes[log];
    if (lane->lines)
        return lane;
    lane->schema = schema;
    lane->lines = hunt_lines_new((enum hunt_log)log);
    char *header = malloc(LOG_HEADER_MAX);
    if (lane->lines && header) {
        const struct hunt_record *none;
        size_t size = log_set_header(h->options.logs, schema, header);
        if (size > 0 && hunt_lines_take(lane->lines, header, size, &none, &h->read, NULL) < 0) {
            hunt_lines_free(lane->lines);
            lane->lines = NULL;
        }
    }
    free(header);
    return lane->lines ? lane : NULL;
}

static void read_chunk(struct hunter *h, const struct chunk *chunk)
{
    const struct hunt_record *records = NULL;
    struct lane *lane = lane_of(h, chunk->schema);
    long n = lane
                 ? hunt_lines_take(lane->lines, chunk->lines, chunk->size, &records, &h->read, NULL)
                 : -ENOMEM;
    if (n > 0)
        hunt_engine_take(h->engine, records, (size_t)n);
    h->n_since_judged += n > 0 ? (uint64_t)n : 0;
    pthread_mutex_lock(&h->lock);
    h->waiting -= chunk->size;
    if (n < 0)
        h->counts.n_lost += chunk->n_lines;
    else
        h->counts.n_lines += chunk->n_lines;
    h->counts.n_bad = h->read.n_bad_lines + h->read.n_long_lines;
    pthread_mutex_unlock(&h->lock);
}

/* All that waits now. */
static void read_all(struct hunter *h)
{
    pthread_mutex_lock(&h->lock);
    struct chunk *chunk = h->first;
    h->first = NULL;
    h->last = &h->first;
    pthread_mutex_unlock(&h->lock);
    while (chunk) {
        struct chunk *next = chunk->next;
        read_chunk(h, chunk);
        free(chunk);
        chunk = next;
    }
}

/* ---- findings go out ---- */

/* In the place of the one of the same id that was there. Under the lock. */
static void put_now(struct hunter *h, const struct finding *finding)
{
    size_t at = 0, worst = 0;
    while (at < h->n_now && h->now[at].id != finding->id) {
        if (h->now[at].score < h->now[worst].score)
            worst = at;
        at++;
    }
    if (at == FINDINGS_MAX)
        at = worst;
    else if (at == h->n_now)
        h->n_now++;
    h->now[at] = *finding;
}

/* What was last seen longer ago than the window is found no more. Under the lock. */
static void forget_old(struct hunter *h, int64_t from)
{
    for (size_t i = 0; i < h->n_now;)
        if (h->now[i].last < from)
            h->now[i] = h->now[--h->n_now];
        else
            i++;
}

static void tell(struct hunter *h, struct finding *finding)
{
    struct err err;
    bool is_told = false;
    if ((int)finding->severity < h->orders.settings->alert)
        return;
    if (hunt_archive_tell(h->archive, finding, &is_told, &err) < 0) {
        say(h, err.text);
        is_told = true; /* rather twice than never */
    }
    if (!is_told)
        return;
    pthread_mutex_lock(&h->lock);
    if (h->n_tell < TELL_MAX)
        h->tell[h->n_tell++] = *finding;
    else
        (void)snprintf(
            h->note, sizeof h->note,
            "hunts: more than %d findings at once: not all are told, cloudspan hunt lists "
            "them",
            TELL_MAX);
    pthread_mutex_unlock(&h->lock);
}

static void take_findings(struct hunter *h, struct findings *found, int64_t took)
{
    struct hunt_engine_counts counts;
    size_t n = 0, n_hidden = 0;
    const struct finding *all = findings_sorted(found, &n);
    hunt_engine_count(h->engine, &counts);
    for (size_t i = 0; i < n; i++) {
        struct finding finding = all[i];
        if (h->safelist && hunt_safelist_hides(h->safelist, &finding)) {
            n_hidden++;
            continue;
        }
        pthread_mutex_lock(&h->lock);
        put_now(h, &finding);
        pthread_mutex_unlock(&h->lock);
        tell(h, &finding);
    }
    const struct hunt_judge *view = hunt_engine_view(h->engine);
    pthread_mutex_lock(&h->lock);
    if (view)
        forget_old(h, view->from);
    h->counts.judged = clock_now();
    h->counts.judging = took;
    h->counts.n_hidden = n_hidden;
    h->counts.n_pairs = counts.n_pairs + counts.n_named;
    h->counts.memory = counts.memory_used;
    h->counts.n_refused = counts.refused.n_keys + counts.refused.n_events + counts.refused.n_texts;
    memset(h->counts.n_of, 0, sizeof h->counts.n_of);
    for (size_t i = 0; i < h->n_now; i++)
        h->counts.n_of[h->now[i].severity]++;
    pthread_mutex_unlock(&h->lock);
}

/* Gives how long it took. */
static int64_t judge(struct hunter *h)
{
    struct err err;
    int64_t begin = clock_ticks();
    struct findings *found = findings_new(FINDINGS_MAX);
    if (!found || hunt_engine_judge(h->engine, 0, true, 1, found, &err) < 0)
        say(h, found ? err.text : "hunts: out of memory");
    else
        take_findings(h, found, clock_ticks() - begin);
    findings_free(found);
    h->n_since_judged = 0;
    return clock_ticks() - begin;
}

static int64_t first_seen(void *with, uint64_t key)
{
    return hunt_archive_first_seen(with, key);
}

/* What was learned is asked for, from the first time on that there is something. */
static void remember(struct hunter *h)
{
    int64_t since = hunt_archive_history(h->archive);
    if (since != HUNT_UNSET)
        hunt_engine_history(h->engine, since, first_seen, h->archive);
}

static void save(struct hunter *h)
{
    struct err err;
    if (!h->options.archive)
        return;
    if (hunt_archive_learn(h->archive, h->engine, &err) < 0 ||
        hunt_archive_save(h->archive, h->orders.settings, h->engine, NULL, 0, &err) < 0)
        say(h, err.text);
    remember(h);
}

/* Once each: what people should know. */
static void say_losses(struct hunter *h)
{
    struct hunter_counts counts;
    char text[HUNTER_NOTE_MAX];
    hunter_count(h, &counts);
    if (counts.n_lost && !h->said_lost) {
        h->said_lost = true;
        (void)snprintf(
            text, sizeof text,
            "hunts: %llu log lines were not looked at: they come faster than they can be "
            "judged (they are in the logs: cloudspan hunt reads them)",
            (unsigned long long)counts.n_lost);
        say(h, text);
    } else if (counts.n_refused && !h->said_bad) {
        h->said_bad = true;
        (void)snprintf(text, sizeof text,
                       "hunts: their memory is full: new pairs of hosts are left out; more: hunts: "
                       "memory: in the configuration");
        say(h, text);
    }
}

/* ---- settings ---- */

/* False: there are no other ones. */
static bool change(struct hunter *h)
{
    struct err err;
    pthread_mutex_lock(&h->lock);
    struct hunter_orders next = h->next;
    h->next = (struct hunter_orders){.lists = -1};
    pthread_mutex_unlock(&h->lock);
    if (!next.settings)
        return false;
    if (hunter_orders_take(&next, h->engine, &h->orders, &h->safelist, &err) < 0) {
        char text[HUNTER_NOTE_MAX];
        (void)snprintf(text, sizeof text, "hunts: %s; their settings before stay in force",
                       err.text);
        say(h, text);
        hunter_orders_drop(&next);
        return false;
    }
    pthread_mutex_lock(&h->lock);
    h->n_now = 0; /* what still holds is found again */
    pthread_mutex_unlock(&h->lock);
    h->n_since_judged++;
    return true;
}

void hunter_change(struct hunter *h, struct hunt_settings *settings, int lists)
{
    pthread_mutex_lock(&h->lock);
    struct hunter_orders before = h->next;
    h->next = (struct hunter_orders){settings, lists};
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    hunter_orders_drop(&before);
}

/* ---- the thread ---- */

/* Until there is something to read, or the time. False: the end. */
static bool wait_for_lines(struct hunter *h, int64_t until)
{
    struct timespec at = {.tv_sec = until / SECOND, .tv_nsec = until % SECOND};
    pthread_mutex_lock(&h->lock);
    h->asleep = true;
    int result = 0;
    while (!h->first && !h->stops && !h->next.settings && result == 0)
        result = pthread_cond_timedwait(&h->wake, &h->lock, &at);
    h->asleep = false;
    bool goes_on = !h->stops;
    pthread_mutex_unlock(&h->lock);
    return goes_on;
}

static int64_t later(int64_t every, int64_t took)
{
    int64_t least = took * SHARE_OF_TIME;
    return clock_ticks() + (every > least ? every : least);
}

static void *hunt(void *with)
{
    struct hunter *h = with;
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread; without it, it goes as well */
    int64_t save_every = h->options.save_every ? h->options.save_every : SAVE_EVERY;
    int64_t next_judge = later(h->orders.settings->every, 0), next_save = later(save_every, 0);
    while (wait_for_lines(h, next_judge < next_save ? next_judge : next_save)) {
        read_all(h);
        if (change(h))
            next_judge = clock_ticks();
        if (clock_ticks() >= next_judge) {
            int64_t took = h->n_since_judged ? judge(h) : 0;
            say_losses(h);
            next_judge = later(h->orders.settings->every, took);
        }
        if (clock_ticks() >= next_save) {
            int64_t begin = clock_ticks();
            save(h);
            next_save = later(save_every, clock_ticks() - begin);
        }
    }
    read_all(h);
    (void)change(h);
    (void)judge(h);
    save(h);
    return NULL;
}

/* ---- begin and end ---- */

/* With an archive that cannot be had, hunts run without one. */
static int open_archive(struct hunter *h, struct err *err)
{
    struct err why;
    int result = h->options.archive
                     ? hunt_archive_open(h->options.archive, false, &h->archive, &why)
                     : -ENOENT;
    if (h->options.archive && result != 0)
        (void)snprintf(h->note, sizeof h->note, "hunts: %s", why.text);
    if (result < 0) {
        h->options.archive = NULL;
        result = hunt_archive_open(":memory:", false, &h->archive, err);
    }
    return result < 0 ? result : 0;
}

/* The last days of what was seen before. */
static void load_archive(struct hunter *h)
{
    struct err err;
    int64_t day = clock_now() / SECOND / 86400 - (int64_t)h->orders.settings->days + 1;
    if (!h->options.archive)
        return;
    if (hunt_archive_load(h->archive, h->orders.settings, day * 86400000, h->engine, &err) < 0)
        (void)snprintf(h->note, sizeof h->note, "hunts: %s", err.text);
    remember(h);
}

static int start(struct hunter *h, struct err *err)
{
    int result = open_archive(h, err);
    if (result == 0)
        result = hunter_orders_engine(&h->orders, hunt_archive_secret(h->archive), &h->engine,
                                      &h->safelist, err);
    if (result < 0)
        return result;
    load_archive(h);
    h->now = calloc(FINDINGS_MAX, sizeof *h->now);
    h->tell = calloc(TELL_MAX, sizeof *h->tell);
    if (!h->now || !h->tell)
        return err_set(err, -ENOMEM, "out of memory");
    log_set_listen(h->options.logs, hear, h);
    result = pthread_create(&h->thread, NULL, hunt, h);
    if (result)
        return err_set(err, -result, "cannot start a thread: %s", strerror(result));
    h->started = true;
    return 0;
}

int hunter_start(const struct hunter_options *options, struct hunter **out, struct err *err)
{
    struct hunter_orders orders = {options->settings, options->lists};
    struct hunter *h = calloc(1, sizeof *h);
    if (!h) {
        hunter_orders_drop(&orders);
        return err_set(err, -ENOMEM, "out of memory");
    }
    h->options = *options;
    h->options.settings = NULL; /* the orders have them */
    h->orders = orders;
    h->next.lists = -1;
    h->last = &h->first;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    int result = start(h, err);
    if (result < 0) {
        err_wrap(err, "hunts");
        hunter_free(h);
        return result;
    }
    *out = h;
    return 0;
}

void hunter_stop(struct hunter *h)
{
    if (!h || !h->started)
        return;
    pthread_mutex_lock(&h->lock);
    h->stops = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    h->started = false;
}

void hunter_free(struct hunter *h)
{
    if (!h)
        return;
    hunter_stop(h);
    log_set_listen(h->options.logs, NULL, NULL);
    for (int i = 0; i < HUNT_N_LOGS; i++)
        hunt_lines_free(h->lanes[i].lines);
    hunt_engine_free(h->engine);
    hunt_archive_close(h->archive);
    hunt_safelist_free(h->safelist);
    hunter_orders_drop(&h->orders);
    hunter_orders_drop(&h->next);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h->now);
    free(h->tell);
    free(h);
}

/* ---- who asks ---- */

bool hunter_take(struct hunter *h, struct finding *out)
{
    pthread_mutex_lock(&h->lock);
    bool has = h->n_tell > 0;
    if (has) {
        *out = h->tell[0];
        memmove(h->tell, h->tell + 1, --h->n_tell * sizeof *h->tell);
    }
    pthread_mutex_unlock(&h->lock);
    return has;
}

bool hunter_take_note(struct hunter *h, char out[HUNTER_NOTE_MAX])
{
    pthread_mutex_lock(&h->lock);
    memcpy(out, h->note, HUNTER_NOTE_MAX);
    h->note[0] = '\0';
    pthread_mutex_unlock(&h->lock);
    return out[0] != '\0';
}

static int worst_first(const void *left, const void *right)
{
    const struct finding *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

size_t hunter_findings(struct hunter *h, struct finding *out, size_t max)
{
    pthread_mutex_lock(&h->lock);
    qsort(h->now, h->n_now, sizeof *h->now, worst_first);
    size_t n = h->n_now < max ? h->n_now : max;
    memcpy(out, h->now, n * sizeof *out);
    pthread_mutex_unlock(&h->lock);
    return n;
}

void hunter_count(struct hunter *h, struct hunter_counts *out)
{
    pthread_mutex_lock(&h->lock);
    *out = h->counts;
    pthread_mutex_unlock(&h->lock);
}
