/* For tests: the mirror in user space by itself, without a provider around it.
 *
 *     carrier mirror carry OPTION…   runs it (what carry_start starts, too)
 *     carrier start OPTION…          in the background
 *     carrier stop FILE
 *     carrier status FILE            as JSON */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carry/carry.h"

static int fail(const struct err *err)
{
    fprintf(stderr, "carrier: %s\n", err->text);
    return 1;
}

static void say(const char *text, void *with)
{
    (void)with;
    fprintf(stderr, "%s\n", text);
}

static int run(char **args, int n_args, bool in_background)
{
    struct carry_options options = {0};
    struct err err = {""};
    const char *rest[64];
    if (n_args > 64)
        return 2;
    int n_rest = options_parse(carry_rows, args, n_args, rest, carry_take, &options, &err);
    if (n_rest != 0) {
        if (n_rest > 0)
            (void)err_set(&err, -1, "%s: is no option", rest[0]);
        return fail(&err);
    }
    int result = in_background ? carry_start(&options, &err) : carry_run(&options, say, NULL, &err);
    return result < 0 ? fail(&err) : 0;
}

static int print_status(const char *path)
{
    struct carry_status s;
    struct err err;
    if (carry_status_read(path, &s, &err) < 0)
        return fail(&err);
    const struct carry_counters *n = &s.counters;
    json_t *json = json_pack(
        "{s:b, s:i, s:i, s:s, s:s, s:s, s:i, s:s,"
        " s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
        " s:I, s:I}",
        "alive", (int)s.alive, "pid", (int)s.pid, "state", s.state, "name", s.name, "interface",
        s.interface, "to", s.to, "id", (int)s.id, "trouble", s.trouble,                       //
        "seen", (json_int_t)n->n_seen, "bytes_seen", (json_int_t)n->bytes_seen,               //
        "sent", (json_int_t)n->n_sent, "bytes_sent", (json_int_t)n->bytes_sent,               //
        "segmented", (json_int_t)n->n_segmented, "segments", (json_int_t)n->n_segments,       //
        "finished", (json_int_t)n->n_finished, "snapped", (json_int_t)n->n_snapped,           //
        "own", (json_int_t)n->n_own, "over_limit", (json_int_t)n->n_over_limit,               //
        "not_cut", (json_int_t)n->n_not_cut, "ring_lost", (json_int_t)n->n_ring_lost,         //
        "full", (json_int_t)n->n_full, "denied", (json_int_t)n->n_denied,                     //
        "unreachable", (json_int_t)n->n_unreachable, "too_large", (json_int_t)n->n_too_large, //
        "error", (json_int_t)n->n_error, "answers", (json_int_t)n->n_answers,                 //
        "interface_losses", (json_int_t)n->n_interface_losses,                                //
        "lost", (json_int_t)carry_lost(n));
    char *text = json ? json_dumps(json, 0) : NULL;
    if (!text)
        return 1;
    puts(text);
    free(text);
    json_decref(json);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err;
    if (argc > 2 && strcmp(argv[1], "mirror") == 0)
        return run(argv + 3, argc - 3, false);
    if (argc > 1 && strcmp(argv[1], "start") == 0)
        return run(argv + 2, argc - 2, true);
    if (argc == 3 && strcmp(argv[1], "stop") == 0)
        return carry_stop(argv[2], &err) < 0 ? fail(&err) : 0;
    if (argc == 3 && strcmp(argv[1], "status") == 0)
        return print_status(argv[2]);
    fprintf(stderr, "usage: carrier start OPTION… | stop FILE | status FILE\n");
    return 2;
}
