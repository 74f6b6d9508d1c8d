/* Tried passwords: many short sessions in a row that are alike, or failed logins that ssh.log
 * counted. A part of the hunt for lateral movement, of its table. A monitoring system that logs in
 * every minute does not come near: it is slow, or ssh.log knows that it was let in. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hunt/lateral.h"

void lateral_fill(const struct hunt_judge *judge, struct finding *finding,
                  const struct lateral_edge *edge)
{
    gather_ends(judge, finding, &edge->key.src, &edge->key.dst, edge->value.first,
                edge->value.last);
    snprintf(finding->ports, sizeof(finding->ports), "%u:tcp", edge->key.port);
    finding->n = edge->value.n;
    finding->bytes_up = edge->value.bytes_up;
    finding->bytes_down = edge->value.bytes_down;
    finding->events_of = &lateral_table;
    memcpy(finding->events_key, &edge->key, sizeof(edge->key));
    finding->events_series = 0;
    finding_number(finding, "n_success", (double)edge->value.n_success);
    finding_number(finding, "n_failed", (double)edge->value.n_failed);
}

void lateral_tell_logins(const struct lateral_walk *walk, const struct lateral_edge *edge)
{
    const struct lateral_value *value = &edge->value;
    double n = (double)value->n_short;
    double mean = n > 0 ? (double)value->sum_short / n : 0;
    double spread =
        n > 1 && mean > 0 ? sqrt(fmax(0, value->squares_short / n - mean * mean)) / mean : 1;
    uint32_t limit = walk->settings->logins;
    bool by_log = value->n_auth_failed >= limit;
    bool by_shape =
        value->shorts.most >= limit && spread <= 0.25 && value->n_auth_success * 2 < value->n_short;
    if (!by_log && !by_shape)
        return;
    struct finding finding;
    finding_init(&finding, walk->judge->hunt);
    lateral_fill(walk->judge, &finding, edge);
    /* A password that is guessed is another matter than a first connection: another id. */
    snprintf(finding.name, sizeof(finding.name), "%s logins", edge->service->name);
    double tries = by_log ? (double)value->n_auth_failed : value->shorts.most;
    snprintf(finding.title, sizeof(finding.title),
             by_log ? "%.0f failed %s logins" : "%.0f short %s sessions, as of tried passwords",
             tries, edge->service->name);
    finding.score = 0.55 + 0.1 * log10(tries / 10);
    if (by_log)
        finding_because(&finding, "%.0f logins failed, as ssh.log says", tries);
    if (by_shape)
        finding_because(&finding,
                        "%.0f short sessions within five minutes, their sizes within %.0f %%",
                        value->shorts.most, 100 * spread);
    if (value->way == HUNT_INSIDE) {
        finding.score += 0.1;
        finding_because(&finding, "inside the network");
    } else if (value->way == HUNT_IN) {
        finding.score -= 0.25;
        finding_because(&finding, "from outside, where trying passwords never ends");
    }
    if (by_log && value->n_auth_success > 0) {
        finding.score += 0.25;
        finding_because(&finding, "and then a login succeeded");
    }
    if (!by_log) {
        finding_because(&finding, "no log says whether a login succeeded: programs that work over "
                                  "short sessions look the same");
        finding.confidence *= 0.8;
    }
    finding.score = fmin(0.98, fmax(0.2, finding.score));
    finding_number(&finding, "n_logins_failed", (double)value->n_auth_failed);
    finding_number(&finding, "n_logins", (double)value->n_auth_success);
    finding_number(&finding, "n_short", n);
    finding_number(&finding, "most_short_in_5_minutes", value->shorts.most);
    findings_add(walk->judge->findings, &finding);
}
