/* Credentials as they are needed: fetched, and fetched anew before they expire. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/aws_impl.h"

#define NS        INT64_C(1000000000)
#define EARLY_MAX (300 * NS)

int aws_keys_of_json(const json_t *json, const struct aws_key_names *names, const char *whose,
                     struct aws_keys *out, struct err *err)
{
    const char *id = json_string_value(json_object_get(json, names->id));
    const char *secret = json_string_value(json_object_get(json, names->secret));
    const json_t *expires = json_object_get(json, names->expires);
    if (!id || !*id || !secret || !*secret)
        return err_set(err, -EPROTO, "%s: an answer without %s and %s", whose, names->id,
                       names->secret);
    int result =
        aws_keys_set(out, id, secret, json_string_value(json_object_get(json, names->token)), err);
    if (result < 0)
        return result;
    if (json_is_string(expires))
        out->expires = aws_time(json_string_value(expires));
    else if (json_is_integer(expires)) /* SSO's milliseconds */
        out->expires = json_integer_value(expires) < INT64_MAX / 1000000
                           ? json_integer_value(expires) * 1000000
                           : 0;
    return 0;
}

static int fetch_static(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                        struct err *err)
{
    struct aws_files *files;
    if (!source->profile)
        return err_set(err, -EKEYEXPIRED, "the credentials of %s are over", source->origin);
    /* Tools for signing in write new ones there. */
    int result = aws_files_read(&aws->env, &files, err);
    if (result < 0)
        return result;
    const char *id =
        aws_files_of(files, source->file, "profile", source->profile, "aws_access_key_id");
    const char *secret =
        aws_files_of(files, source->file, "profile", source->profile, "aws_secret_access_key");
    const char *token =
        aws_files_of(files, source->file, "profile", source->profile, "aws_session_token");
    if (id && secret)
        result = aws_keys_set(out, id, secret, token, err);
    else
        result = err_set(err, -ENOKEY, "%s: the credentials are there no longer", source->origin);
    aws_files_free(files);
    return result;
}

static int fetch(struct aws *aws, struct aws_source *source, struct aws_keys *out, struct err *err)
{
    static int (*const fetchers[])(struct aws *, struct aws_source *, struct aws_keys *,
                                   struct err *) = {
        [AWS_KIND_STATIC] = fetch_static,
        [AWS_KIND_ROLE] = aws_fetch_role,
        [AWS_KIND_WEB_IDENTITY] = aws_fetch_web_identity,
        [AWS_KIND_SSO] = aws_fetch_sso,
        [AWS_KIND_PROCESS] = aws_fetch_process,
        [AWS_KIND_CONTAINER] = aws_fetch_container,
        [AWS_KIND_INSTANCE] = aws_fetch_instance,
    };
    int result = fetchers[source->kind](aws, source, out, err);
    if (result < 0)
        err_wrap(err, "credentials of %s", source->origin);
    return result;
}

bool aws_source_can_renew(const struct aws_source *source)
{
    return source->kind != AWS_KIND_STATIC || source->profile;
}

/* Some minutes before they expire; of those that live for minutes, a part of that. */
static int64_t renewal_of(const struct aws_keys *keys, int64_t now)
{
    if (keys->expires == 0)
        return 0;
    int64_t early = (keys->expires - now) / 4;
    return keys->expires - (early > EARLY_MAX ? EARLY_MAX : early < 0 ? 0 : early);
}

int aws_source_keys(struct aws *aws, struct aws_source *source, bool renew,
                    const struct aws_keys **out, struct err *err)
{
    int64_t now = aws_now(aws);
    bool is_due = source->renew_at && now >= source->renew_at;
    *out = &source->keys;
    if (source->keys.id && !renew && !is_due)
        return 0;
    struct aws_keys fresh = {0};
    struct err why = {{0}};
    int result = fetch(aws, source, &fresh, &why);
    if (result == 0) {
        now = aws_now(aws);
        aws_keys_done(&source->keys);
        source->keys = fresh;
        source->renew_at = renewal_of(&fresh, now);
        return 0;
    }
    aws_keys_done(&fresh);
    if (source->keys.id && !renew && now < source->keys.expires) {
        /* Still good: whoever gives new ones may be back in a minute. */
        source->renew_at =
            now + 60 * NS < source->keys.expires ? now + 60 * NS : source->keys.expires;
        return 0;
    }
    if (err)
        *err = why;
    return result;
}
