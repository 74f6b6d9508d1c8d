/* Who took it away, as far as CloudTrail knows: see aws.h. Events come there some minutes late. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mirror/aws.h"

#define DAYS   14
#define DAY    86400
#define PAGES  10
#define PAGE_N 50
#define LINES  50

static const struct {
    const char *kind, *event, *verb;
} deeds[] = {
    {"session", "DeleteTrafficMirrorSession", "deleted"},
    {"target", "DeleteTrafficMirrorTarget", "deleted"},
    {"filter", "DeleteTrafficMirrorFilter", "deleted"},
    {"rule", "DeleteTrafficMirrorFilterRule", "deleted"},
    {"opening", "RevokeSecurityGroupIngress", "revoked"},
    {"canary", "RevokeSecurityGroupIngress", "revoked"},
};

static const char *event_of(const char *kind, const char **out_verb)
{
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        if (strcmp(deeds[i].kind, kind) == 0) {
            *out_verb = deeds[i].verb;
            return deeds[i].event;
        }
    return NULL;
}

/* All events of one name, the newest first. */
static int ask(struct aws_mirror *state, const char *event, json_t *out, struct err *err)
{
    int64_t now = state->calls.now(state->calls.with) / 1000000000;
    char token[2048] = "";
    int result = 0;
    for (int page = 0; page < PAGES; page++) {
        json_t *answer = NULL;
        json_t *parameters =
            json_pack("{s:[{s:s, s:s}], s:i, s:I}", "LookupAttributes", "AttributeKey", "EventName",
                      "AttributeValue", event, "MaxResults", PAGE_N, "StartTime",
                      (json_int_t)(now - (int64_t)DAYS * DAY));
        if (token[0])
            (void)json_object_set_new(parameters, "NextToken", json_string(token));
        result =
            aws_mirror_call(state, "cloudtrail", "LookupEvents", parameters, &answer, NULL, err);
        if (result == 0)
            (void)json_array_extend(out, json_object_get(answer, "Events")); /* or none is known */
        (void)snprintf(token, sizeof token, "%s", mirror_text(answer, "NextToken"));
        json_decref(answer);
        if (result < 0 || !token[0])
            break;
    }
    return result;
}

/* As numbers since the epoch, or as they were written. */
static void put_time(const json_t *event, char out[40])
{
    const json_t *at = json_object_get(event, "EventTime");
    double number = json_number_value(at);
    time_t seconds = number > 0 && number < 1e11 ? (time_t)number : 0;
    struct tm tm;
    if (json_is_string(at))
        (void)snprintf(out, 40, "%s", json_string_value(at));
    else if (!gmtime_r(&seconds, &tm) || !strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm))
        (void)snprintf(out, 40, "an unknown time");
}

/* Whether a record of the call has this id somewhere in what was asked for. */
static bool is_about(const json_t *event, const char *id, char out_who[256])
{
    const char *text = mirror_text(event, "CloudTrailEvent");
    json_t *record = json_loads(text, 0, NULL);
    char *asked = json_dumps(json_object_get(record, "requestParameters"), JSON_ENCODE_ANY);
    const char *code = mirror_text(record, "errorCode");
    const json_t *who = json_object_get(record, "userIdentity");
    bool good = asked && strstr(asked, id) && !code[0];
    if (good)
        (void)snprintf(out_who, 256, "%s",
                       mirror_text(who, "arn")[0] ? mirror_text(who, "arn")
                                                  : mirror_text(event, "Username"));
    free(asked);
    json_decref(record);
    return good && out_who[0];
}

static bool put_line(const struct mirror_object *object, const char *id, const char *verb,
                     const json_t *events, struct text *out)
{
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        char who[256] = "", when[40];
        if (!is_about(event, id, who))
            continue;
        put_time(event, when);
        text_format(out, "%s %s of %.100s was %s by %s at %s\n", object->kind, id, object->key,
                    verb, who, when);
        return true;
    }
    return false;
}

int aws_blame(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
              struct err *err)
{
    struct aws_mirror *state = job->state;
    json_t *known = json_object(); /* event's name -> list of events */
    int result = 0;
    size_t n = 0;
    for (size_t i = 0; i < missing->n && result == 0 && n < LINES; i++) {
        const struct mirror_object *object = &missing->at[i];
        const char *verb = "", *event = event_of(object->kind, &verb);
        const char *id = mirror_text(mirror_job_known(job, object->kind, object->key), "id");
        if (!event || !id[0])
            continue;
        if (!json_object_get(known, event)) {
            json_t *events = json_array();
            result = ask(state, event, events, err);
            (void)json_object_set_new(known, event, events); /* then it is asked again */
        }
        n += put_line(object, id, verb, json_object_get(known, event), out);
    }
    json_decref(known);
    return result;
}
