/* Inside of a running watch: shared by watch.c (the loop), watch_records.c
 * (machines that mirrors recorded), watch_show.c (snapshots, and who asks
 * for them), watch_hunt.c (what hunts found), watch_balance.c (what gives way under overload),
 * watch_alarm.c (whom to tell), watch_measures.c (its own measures) and watch_output.c (packets for
 * other tools). */
#ifndef SENSOR_WATCH_PARTS_H
#define SENSOR_WATCH_PARTS_H

#include <pthread.h>
#include <stdarg.h>

#include "base/clock.h"
#include "log/retention.h"
#include "sensor/control.h"
#include "sensor/gate.h"
#include "sensor/hunter.h"
#include "sensor/watch.h"
#include "sensor/watch_measures.h"
#include "web/http.h"

struct watch {
    struct watch_options options;
    struct config *config;
    struct services_host host;
    struct services_list list;
    struct rules *rules;
    struct workers *workers;
    struct machines_workers shared; /* what the workers have, for the machines */
    struct inputs *inputs;
    struct machines *machines;
    struct canary *canary;
    struct log_writer *log; /* the control thread's own */
    struct control *control;
    struct web *web;
    struct hunter *hunter; /* NULL: none runs */

    /* Under the lock: what other threads than the control thread read or write. */
    pthread_mutex_t lock;
    struct snapshot current;                /* made once a second; HTTP reads it */
    struct log_retention_options retention; /* of the configuration; the keeper reads it */
    char keeper_note[512];                  /* what it has to say; "": nothing */

    pthread_t keeper; /* archives logs and takes old ones away */
    bool has_keeper;
    int keeper_stops; /* written and read at once: atomically */

    bool ends, interrupted;
    int64_t started, started_ticks;
    int64_t next_look; /* at the records of mirrors */
    int64_t next_update, next_open, next_show, next_host, next_report, next_stats, next_loss;
    uint64_t last_packets, last_bytes, last_lost; /* of the rates */
    int64_t last_rates;
    double packets_per_second, bits_per_second, loss_share;
    struct gate gate;
    struct arrival_gate gate_times; /* the workers read it */
    bool can_gate;                  /* the senders that are admitted are known */
    bool is_gated, said_gated, is_overloaded;
    struct admit_list senders;

    struct pipeline_counters counters; /* of the end, once the workers are stopped */
    struct arrival_counters arrival;
    struct handoff_counters handoff;
    struct watch_measured stats, loss; /* at the last rows of stats.log, of capture_loss.log */
    uint64_t n_kernel_dropped, n_ring_dropped; /* the former of both rings and sockets */
    uint64_t n_loops_said;
};

void watch_say(struct watch *w, enum note_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes `config`. False: it can't be had, and that was said; the one before stays in force. */
bool watch_take_config(struct watch *w, struct config *config);

/* watch_records.c */
void watch_follow_records(struct watch *w);

/* watch_show.c */
void watch_show(struct watch *w);
/* The configuration is another one. */
void watch_set_retention(struct watch *w);
int watch_start_serving(struct watch *w, struct err *err) MUST_CHECK;
void watch_stop_serving(struct watch *w);
void watch_stop_workers(struct watch *w);

/* watch_balance.c */
void watch_renew_gate(struct watch *w); /* the rules, or this host's addresses, are new ones */
void watch_balance(struct watch *w);    /* after each update of the machines */

/* watch_alarm.c */
void watch_alarm(void *with, const struct snapshot_alarm *alarm);
/* A line of notice.log about a machine. */
void watch_notice(struct watch *w, int64_t now, const char *machine, const char *note,
                  const char *text);
/* The same with addresses; either may be NULL. */
void watch_notice_about(struct watch *w, int64_t now, const char *machine, const char *note,
                        const char *text, const struct addr *src, const struct addr *dst);

/* watch_hunt.c: started before the workers, stopped when all they logged is written. */
int watch_start_hunts(struct watch *w, struct err *err) MUST_CHECK;
/* The configuration is another one: what of it hunts can't take while they run is said. */
void watch_change_hunts(struct watch *w, const struct hunt_settings *before);
void watch_take_hunts(struct watch *w); /* once a second: tells what is new */
void watch_stop_hunts(struct watch *w);
void watch_free_hunts(struct watch *w);
void watch_show_hunts(struct watch *w, struct snapshot *s, struct hunter_counts *out);

/* watch_measures.c: of an interval that begins now, or ended. */
void watch_start_measures(struct watch *w);
void watch_log_measures(struct watch *w, bool is_end);

/* watch_output.c: one for each worker. */
void *watch_output_new(struct watch *w);
void watch_output_packet(void *output, const struct packet *packet, const struct source *source);
void watch_output_flush(void *output);
void watch_output_free(void *output);

#endif
