/* Asking again, and how patiently: see http.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "cloud/http_parts.h"

#define ATTEMPTS        6
#define NAME_ATTEMPTS   3 /* where nobody knows the name: it may be written wrong */
#define BASE_MS         500
#define MAX_MS          20000
#define RETRY_AFTER_MAX 120000

static uint32_t below(const struct cloud_http *http, uint32_t limit)
{
    uint32_t number = 0;
    if (limit == 0)
        return 0;
    if (http->world->random)
        return http->world->random(limit, http->world->with);
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = 0; /* no jitter without it */
    return number % limit;
}

static enum cloud_verdict usual_verdict(const struct cloud_response *response, bool is_safe)
{
    switch (response->status) {
    case 401:
        return CLOUD_RENEW;
    case 429:
        return CLOUD_THROTTLED;
    case 503:
        return CLOUD_RETRY;
    case 500:
    case 502:
    case 504: /* it may have been carried out */
        return is_safe ? CLOUD_RETRY : CLOUD_DONE;
    default:
        return CLOUD_DONE;
    }
}

uint32_t cloud_http_retry_after(const struct cloud_http *http,
                                const struct cloud_response *response)
{
    const char *value = cloud_response_header(response, "retry-after");
    if (!value)
        return 0;
    unsigned long seconds = isdigit((unsigned char)*value) ? strtoul(value, NULL, 10) : 0;
    if (!isdigit((unsigned char)*value)) {
        time_t at = curl_getdate(value, NULL);
        int64_t now = cloud_http_now(http) / 1000000000;
        seconds = at > now ? (unsigned long)(at - now) : 0;
    }
    return seconds > RETRY_AFTER_MAX / 1000 ? RETRY_AFTER_MAX : (uint32_t)seconds * 1000;
}

/* Half of it for sure, half of it by chance: those that were refused together do not come back
 * together. */
static uint32_t pause_ms(const struct cloud_http *http, const struct cloud_manners *manners,
                         uint32_t attempt)
{
    uint32_t base = manners->base_ms ? manners->base_ms : BASE_MS;
    uint32_t max = manners->max_ms ? manners->max_ms : MAX_MS;
    uint64_t ms = (uint64_t)base << (attempt < 16 ? attempt : 16);
    uint32_t whole = ms > max ? max : (uint32_t)ms;
    return whole / 2 + below(http, whole / 2 + 1);
}

static bool is_passing(int result)
{
    return result == -ECONNREFUSED || result == -ETIMEDOUT || result == -EHOSTUNREACH ||
           result == -EIO;
}

int cloud_http_call(struct cloud_http *http, struct cloud_request *request, bool is_safe,
                    const struct cloud_manners *manners, struct cloud_response *out,
                    struct err *err)
{
    uint32_t n = request->is_near ? 1 : manners->n_attempts ? manners->n_attempts : ATTEMPTS;
    bool renewed = false, renew = false;
    for (uint32_t attempt = 0;; attempt++) {
        enum cloud_verdict verdict = CLOUD_DONE;
        uint32_t ms = 0;
        if (http->slow_ms && !cloud_http_wait(http, below(http, http->slow_ms) + 1))
            return err_set(err, -ECANCELED, "interrupted");
        int result = manners->prepare ? manners->prepare(request, renew, manners->with, err) : 0;
        if (result < 0)
            return result;
        renew = false;
        http->only_once = !is_safe;
        result = cloud_http_send(http, request, out, err);
        http->only_once = false;
        if (result == 0) {
            verdict =
                manners->judge ? manners->judge(out, manners->with) : usual_verdict(out, is_safe);
            ms = cloud_http_retry_after(http, out);
        } else if (is_passing(result) && (is_safe || !http->was_sent)) {
            verdict = CLOUD_RETRY;
        }
        if (verdict == CLOUD_RENEW && !renewed && manners->prepare) {
            renewed = renew = true;
            cloud_response_done(out);
            attempt--; /* it was not the cloud's fault */
            continue;
        }
        /* What is slow stays slow for this run, and gets faster with each that is not refused. */
        http->slow_ms =
            verdict == CLOUD_THROTTLED
                ? (http->slow_ms ? http->slow_ms * 2 > 4000 ? 4000 : http->slow_ms * 2 : 250)
                : http->slow_ms / 2;
        if (verdict == CLOUD_DONE || verdict == CLOUD_RENEW || attempt + 1 >= n ||
            (result == -EHOSTUNREACH && attempt + 1 >= NAME_ATTEMPTS))
            return result;
        if (result == 0)
            cloud_response_done(out);
        if (ms == 0)
            ms = pause_ms(http, manners, attempt);
        if (!cloud_http_wait(http, ms))
            return err_set(err, -ECANCELED, "interrupted");
    }
}
