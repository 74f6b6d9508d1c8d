/* IAM Identity Center (SSO): with the token that `aws sso login` left, its portal gives a role's
 * credentials. Signing in itself needs a browser, and is left to AWS's tool. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloud/aws_error.h"
#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

static const struct aws_key_names sso_names = {"accessKeyId", "secretAccessKey", "sessionToken",
                                               "expiration"};

static int take_answer(const struct aws_source *source, const struct cloud_response *response,
                       struct aws_keys *out, struct err *err)
{
    struct cloud_refusal refusal;
    if (response->status == 401)
        return aws_sso_lacks(source, "the portal no longer takes the sign-in", err);
    if (response->status != 200) {
        aws_explain(response->body, response->size, response->status, &refusal);
        int result = aws_error_code(&refusal);
        return err_set(err, result < 0 ? result : -EIO, "the portal says %s%s%s", refusal.code,
                       refusal.code[0] ? ": " : "", refusal.message);
    }
    json_t *answer = json_loadb(response->body, response->size, JSON_REJECT_DUPLICATES, NULL);
    int result = aws_keys_of_json(json_object_get(answer, "roleCredentials"), &sso_names,
                                  "the portal", out, err);
    aws_json_forget(answer);
    return result;
}

int aws_fetch_sso(struct aws *aws, struct aws_source *source, struct aws_keys *out, struct err *err)
{
    char host[512];
    struct text url;
    json_t *token = NULL;
    struct cloud_response response = {0};
    const struct cloud_manners manners = {.n_attempts = aws->n_attempts};
    text_init(&url, 8192);
    int result = aws_sso_token(aws, source, &token, err);
    if (result == 0)
        result =
            aws_endpoint(aws, aws_service_of("portal.sso"), source->region, host, sizeof host, err);
    if (result < 0)
        goto out;
    text_put(&url, host);
    text_put(&url, "federation/credentials?role_name=");
    cloud_put_escaped(&url, source->role, "");
    text_put(&url, "&account_id=");
    cloud_put_escaped(&url, source->session, "");
    struct cloud_request request = {.method = "GET", .url = url.at, .what = "GetRoleCredentials"};
    cloud_request_header(&request, "x-amz-sso_bearer_token",
                         json_string_value(json_object_get(token, "accessToken")));
    cloud_request_header(&request, "Accept", "application/json");
    result = url.failed ? err_set(err, -ENAMETOOLONG, "the role's name is too long")
                        : cloud_http_call(aws->http, &request, true, &manners, &response, err);
    cloud_request_done(&request);
    if (result == 0)
        result = take_answer(source, &response, out, err);
out:
    cloud_response_done(&response);
    text_done(&url);
    aws_json_forget(token);
    return result;
}
