/* What tests of live packets share: rules of a configuration's text, sources of frames in memory,
 * and mirrors' frames. */
#ifndef SENSOR_LIVE_BED_H
#define SENSOR_LIVE_BED_H

#include "sensor/pipeline_bed.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "capture/live_kind.h"
#include "sensor/rules.h"

/* This collector's address, to which frames_wrap sends. */
static inline struct addr live_own(void)
{
    return frame_addr(192, 168, 255, 254);
}

static inline int64_t live_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

/* ---- rules ---- */

struct live_rules {
    struct config *config;
    struct config_listener listeners[3];
    struct rules *rules;
};

static inline struct config *live_config(const char *yaml)
{
    struct config *config = NULL;
    struct err err;
    if (config_load_text(yaml, strlen(yaml), "test", &config, &err) < 0)
        fail_msg("%s\n%s", err.text, yaml);
    return config;
}

/* Input 1: an interface that was named; 2: the default route's, which nobody named; 3: a port. */
static inline void live_rules_init(struct live_rules *r, const char *yaml,
                                   const struct rules *before)
{
    static const char *const texts[] = {"interface:eth1", "interface:eth0", "vxlan"};
    struct rules_input inputs[3];
    struct addr own = live_own();
    struct err err;
    r->config = live_config(yaml);
    for (size_t i = 0; i < 3; i++) {
        if (config_parse_listener(texts[i], &r->listeners[i], &err) < 0)
            fail_msg("%s", err.text);
        inputs[i] = (struct rules_input){.listener = &r->listeners[i], .is_default = i == 1};
    }
    r->rules = rules_new(r->config, inputs, 3, &own, 1, NULL, before);
    assert_non_null(r->rules);
}

static inline void live_rules_done(struct live_rules *r)
{
    rules_free(r->rules);
    for (size_t i = 0; i < 3; i++)
        config_listener_done(&r->listeners[i]);
    config_free(r->config);
}

/* ---- sources ---- */

/* In a thread that is not the test's, which cmocka does not know. */
static inline void live_must(bool ok)
{
    if (!ok)
        abort();
}

/* Gives its frames, tells so, and then has none, or breaks. */
struct live_fake {
    struct live_source live; /* first */
    const struct frame *frames;
    size_t n, at;
    int error; /* at the end; 0: none */
    int told;  /* eventfd of the test, or -1 */
};

static inline int live_fake_next(struct live_source *source, struct frame out[CAPTURE_BURST])
{
    struct live_fake *fake = (struct live_fake *)(void *)source;
    uint64_t one;
    if (fake->at == fake->n) {
        if (read(source->fd, &one, sizeof one) == (ssize_t)sizeof one && fake->told >= 0)
            live_must(write(fake->told, &(uint64_t){1}, sizeof one) == (ssize_t)sizeof one);
        return fake->error;
    }
    int n = 0;
    while (n < CAPTURE_BURST && fake->at < fake->n)
        out[n++] = fake->frames[fake->at++];
    return n;
}

static inline void live_fake_free(struct live_source *source)
{
    free(source);
}

/* `told` is written to when all frames were taken. */
static inline struct live_source *live_fake_new(const struct frame *frames, size_t n,
                                                uint16_t input, int error, int told)
{
    static const struct live_kind kind = {.next = live_fake_next, .free = live_fake_free};
    struct live_fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    fake->live = (struct live_source){
        .kind = &kind, .fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), .input = input};
    assert_true(fake->live.fd >= 0);
    fake->frames = frames;
    fake->n = n;
    fake->error = error;
    fake->told = told;
    return &fake->live;
}

/* Until `n` sources have told. */
static inline void live_wait(int told, unsigned n)
{
    while (n > 0) {
        uint64_t one;
        struct pollfd fd = {.fd = told, .events = POLLIN};
        assert_int_equal(poll(&fd, 1, -1), 1);
        assert_int_equal(read(told, &one, sizeof one), sizeof one);
        n -= (unsigned)one;
    }
}

#endif
