/* Roles: AWS's Security Token Service lends their credentials. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

#define TOKEN_MAX (64u << 10)

static const struct aws_key_names sts_names = {"AccessKeyId", "SecretAccessKey", "SessionToken",
                                               "Expiration"};

static int assume(struct aws *aws, struct aws_source *source, const char *action,
                  json_t *parameters, struct aws_keys *out, struct err *err)
{
    char member[64];
    json_t *answer = NULL;
    if (!parameters)
        return err_set(err, -ENOMEM, "no memory for a request");
    if (source->duration)
        (void)json_object_set_new(parameters, "DurationSeconds", json_integer(source->duration));
    int result = aws_call_as(aws, source->base, aws_service_of("sts"), action, parameters, &answer,
                             NULL, err);
    if (result == 0) {
        (void)snprintf(member, sizeof member, "%sResult", action);
        result = aws_keys_of_json(json_object_get(json_object_get(answer, member), "Credentials"),
                                  &sts_names, action, out, err);
    }
    aws_json_forget(answer);
    return result;
}

int aws_fetch_role(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                   struct err *err)
{
    json_t *parameters = json_pack("{s:s, s:s, s:s*}", "RoleArn", source->role, "RoleSessionName",
                                   source->session, "ExternalId", source->external_id);
    int result = assume(aws, source, "AssumeRole", parameters, out, err);
    json_decref(parameters);
    return result;
}

int aws_fetch_web_identity(struct aws *aws, struct aws_source *source, struct aws_keys *out,
                           struct err *err)
{
    struct text token;
    /* Read each time: who runs the container writes a new one every hour. */
    int result = aws_file_read(source->from, TOKEN_MAX, &token, err);
    if (result < 0)
        return result;
    size_t len = token.at ? strcspn(token.at, "\r\n") : 0;
    json_t *parameters =
        json_pack("{s:s, s:s, s:s%}", "RoleArn", source->role, "RoleSessionName", source->session,
                  "WebIdentityToken", token.at ? token.at : "", len);
    result = len ? assume(aws, source, "AssumeRoleWithWebIdentity", parameters, out, err)
                 : err_set(err, -ENOKEY, "%s: there is no token in it", source->from);
    aws_json_forget(parameters);
    aws_text_forget(&token);
    return result;
}
