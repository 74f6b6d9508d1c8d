/* Sessions that were made by hand, taken into a mirror: they get its tags, and with them their
 * filter and their target, unless others use these, too. Nothing else is changed: what differs from
 * what the mirror should be, the next apply changes, as it says. See aws.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/aws.h"

#define SESSIONS_MAX 1000

struct adoption {
    struct mirror_job *job;
    struct aws_mirror *state;
    json_t *sessions; /* id -> its item */
    bool has_filter;
    bool is_yes, json;
    struct text *out;
};

/* ---- what is asked for ---- */

static int take_session(struct adoption *adoption, const char *id, struct err *err)
{
    const struct mirror_job *job = adoption->job;
    const struct aws_mirror *state = adoption->state;
    const json_t *session = aws_by_id(state->sessions, "trafficMirrorSessionId", id);
    const char *mark = aws_tag(session, AWS_TAG_MIRROR);
    const char *interface = mirror_text(session, "networkInterfaceId");
    if (!session)
        return err_set(err, -ENOENT,
                       "%.60s: there is no such session in %s (aws ec2 "
                       "describe-traffic-mirror-sessions lists them)",
                       id, state->region);
    if (mark && strcmp(mark, job->name) != 0)
        return err_set(err, -EEXIST, "%s is of the mirror %.60s already", id, mark);
    if (mark)
        return 0;
    for (size_t i = 0; i < json_array_size(state->sessions); i++) {
        const json_t *other = json_array_get(state->sessions, i);
        const char *other_id = mirror_text(other, "trafficMirrorSessionId");
        if (other != session && strcmp(mirror_text(other, "networkInterfaceId"), interface) == 0 &&
            (aws_is_ours(other, job->name) || json_object_get(adoption->sessions, other_id)))
            return err_set(err, -EEXIST,
                           "%s: the mirror %s has the session %s of %s already, and needs one only",
                           id, job->name, other_id, interface);
    }
    return json_object_set(adoption->sessions, id, (json_t *)(uintptr_t)session) < 0
               ? err_set(err, -ENOMEM, "out of memory")
               : 0;
}

/* Whether a session of somebody else uses it; then it stays theirs. */
static const char *other_user(const struct adoption *adoption, const char *member, const char *id)
{
    const struct aws_mirror *state = adoption->state;
    for (size_t i = 0; i < json_array_size(state->sessions); i++) {
        const json_t *session = json_array_get(state->sessions, i);
        const char *session_id = mirror_text(session, "trafficMirrorSessionId");
        if (strcmp(mirror_text(session, member), id) == 0 &&
            !aws_is_ours(session, adoption->job->name) &&
            !json_object_get(adoption->sessions, session_id))
            return session_id;
    }
    return NULL;
}

/* ---- tagging ---- */

static int tag(struct adoption *adoption, const char *id, const char *kind, const char *key,
               struct err *err)
{
    char mark[MIRROR_KIND_MAX + MIRROR_KEY_MAX + 1];
    (void)snprintf(mark, sizeof mark, "%s/%s", kind, key);
    if (adoption->json) {
        text_format(adoption->out,
                    "{\"type\":\"adopt\",\"provider\":\"aws\",\"mirror\":\"%s\",\"kind\":\"%s\","
                    "\"id\":",
                    adoption->job->name, kind);
        text_json(adoption->out, id, SIZE_MAX);
        text_put(adoption->out, ",\"key\":");
        text_json(adoption->out, key, SIZE_MAX);
        text_format(adoption->out, ",\"done\":%s}\n", adoption->is_yes ? "true" : "false");
    } else
        text_format(adoption->out, "  %s the %s %s%s%.160s\n", adoption->is_yes ? "=" : "+", kind,
                    id, strcmp(key, "filter") == 0 ? "" : " of ",
                    strcmp(key, "filter") == 0 ? "" : key);
    if (!adoption->is_yes)
        return 0;
    return aws_mirror_call(adoption->state, "ec2", "CreateTags",
                           json_pack("{s:[s], s:[{s:s, s:s}, {s:s, s:s}]}", "ResourceId", id, "Tag",
                                     "Key", AWS_TAG_MIRROR, "Value", adoption->job->name, "Key",
                                     AWS_TAG_KEY, "Value", mark),
                           NULL, NULL, err);
}

static void say_shared(const struct adoption *adoption, const char *kind, const char *id,
                       const char *user)
{
    if (!adoption->json)
        text_format(adoption->out,
                    "  ! the %s %s stays as it is, since %s uses it, too; the next apply gives "
                    "these sessions one of this mirror\n",
                    kind, id, user);
}

static int adopt_filter(struct adoption *adoption, const json_t *session, json_t *seen,
                        struct err *err)
{
    const char *id = mirror_text(session, "trafficMirrorFilterId");
    const json_t *filter = aws_by_id(adoption->state->filters, "trafficMirrorFilterId", id);
    const char *user = other_user(adoption, "trafficMirrorFilterId", id);
    if (json_object_get(seen, id) || !filter || aws_tag(filter, AWS_TAG_MIRROR))
        return 0;
    (void)json_object_set_new(seen, id, json_true()); /* or it is said again */
    if (user || adoption->has_filter) {
        say_shared(adoption, "filter", id, user ? user : "only one filter is needed, and another");
        return 0;
    }
    adoption->has_filter = true;
    return tag(adoption, id, "filter", "filter", err);
}

static int adopt_target(struct adoption *adoption, const json_t *session, json_t *seen,
                        struct err *err)
{
    const char *id = mirror_text(session, "trafficMirrorTargetId");
    const json_t *target = aws_by_id(adoption->state->targets, "trafficMirrorTargetId", id);
    const char *user = other_user(adoption, "trafficMirrorTargetId", id);
    const char *resource = aws_target_resource(target);
    if (json_object_get(seen, id) || !resource[0] || aws_tag(target, AWS_TAG_MIRROR))
        return 0;
    (void)json_object_set_new(seen, id, json_true()); /* or it is said again */
    for (size_t i = 0; !user && i < json_array_size(adoption->state->targets); i++) {
        const json_t *other = json_array_get(adoption->state->targets, i);
        if (aws_is_ours(other, adoption->job->name) &&
            strcmp(aws_target_resource(other), resource) == 0)
            user = mirror_text(other, "trafficMirrorTargetId");
    }
    if (user) {
        say_shared(adoption, "target", id, user);
        return 0;
    }
    return tag(adoption, id, "target", resource, err);
}

static int adopt_all(struct adoption *adoption, struct err *err)
{
    json_t *seen = json_object(), *session;
    const char *id;
    int result = 0;
    for (size_t i = 0; i < json_array_size(adoption->state->filters); i++)
        adoption->has_filter |=
            aws_is_ours(json_array_get(adoption->state->filters, i), adoption->job->name);
    /* The sessions come last: one that has the tags is done. */
    json_object_foreach(adoption->sessions, id, session)
    {
        if (result == 0)
            result = adopt_filter(adoption, session, seen, err);
        if (result == 0)
            result = adopt_target(adoption, session, seen, err);
    }
    json_object_foreach(adoption->sessions, id, session)
    {
        if (result == 0)
            result = tag(adoption, id, "session", mirror_text(session, "networkInterfaceId"), err);
    }
    json_decref(seen);
    return result;
}

int aws_adopt(struct mirror_job *job, const char *const *words, size_t n_words, bool is_yes,
              bool json, struct text *out, struct err *err)
{
    struct adoption adoption = {.job = job,
                                .state = job->state,
                                .sessions = json_object(),
                                .is_yes = is_yes,
                                .json = json,
                                .out = out};
    int result = 0;
    if (!job->name[0])
        result = err_set(err, -EINVAL, "adopt: into which mirror? --name NAME");
    else if (n_words == 0 || n_words > SESSIONS_MAX)
        result = err_set(err, -EINVAL, "adopt: which sessions? tms-… (1 to %d)", SESSIONS_MAX);
    if (result == 0)
        result = aws_mirror_look(job, err);
    for (size_t i = 0; result == 0 && i < n_words; i++)
        result = take_session(&adoption, words[i], err);
    if (result == 0 && !json)
        text_format(out, "The mirror %s %s:\n", job->name,
                    is_yes ? "has now" : "would take over, as they are");
    if (result == 0)
        result = adopt_all(&adoption, err);
    if (result == 0 && json_object_size(adoption.sessions) == 0) {
        text_put(out, json ? "" : "  nothing new: they are of it already\n");
        result = 1;
    } else if (result == 0 && is_yes && !json) {
        text_put(out, "apply brings them in line with the rest; remove takes them away, too.\n");
    }
    json_decref(adoption.sessions);
    return result;
}
