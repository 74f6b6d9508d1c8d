/* A made-up snapshot for tests: a few machines in several states, a refused sender, losses. */
#ifndef SENSOR_SNAPSHOT_BED_H
#define SENSOR_SNAPSHOT_BED_H

#include <stdio.h>
#include <stdlib.h>

#include "sensor/snapshot.h"

#define BED_S   1000000000ll
#define BED_NOW (1795317165ll * BED_S) /* 2026-11-22 03:12:45 UTC */

static inline void bed_text(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size)
        len = size - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}
#define BED_TEXT(field, text) bed_text(field, sizeof(field), text)

static inline struct snapshot_channel bed_channel(const char *encapsulation, uint32_t id,
                                                  const char *outer)
{
    struct snapshot_channel channel = {.has_id = id != 0, .id = id};
    BED_TEXT(channel.encapsulation, encapsulation);
    if (outer)
        (void)addr_parse(outer, &channel.outer);
    return channel;
}

static inline struct snapshot_machine bed_machine(const char *name, uint32_t vni, const char *outer,
                                                  enum health_state state, const char *reason)
{
    bool heard = state != HEALTH_SILENT;
    struct snapshot_machine m = {
        .configured = true,
        .channel = bed_channel("vxlan", vni, outer),
        .n_channels = 1,
        .state = state,
        .since = BED_NOW - 243 * BED_S,
        .first_packet = BED_NOW - 252 * BED_S,
        .last_packet = BED_NOW - (heard ? 200000000ll : 243 * BED_S),
        .n_packets = 1000000,
        .n_bytes = 800000000,
        .n_in_bytes = 500000000,
        .n_out_bytes = 300000000,
        .packets_per_second = heard ? 88000 : 0,
        .in_bits_per_second = heard ? 410.2e6 : 0,
        .out_bits_per_second = heard ? 212.9e6 : 0,
        .copies_share = heard ? 0.125 : 0,
        .usual_bytes_per_second = 1.5e6,
    };
    BED_TEXT(m.name, name);
    BED_TEXT(m.network, "default");
    BED_TEXT(m.reason, reason);
    return m;
}

#define BED_NEW(list, n) ((list) = calloc((n), sizeof *(list)))

static inline void bed_snapshot(struct snapshot *s)
{
    *s = (struct snapshot){
        .now = BED_NOW,
        .started = BED_NOW - 252 * BED_S,
        .n_packets = 45000000,
        .n_bytes = 36000000000,
        .n_lost = 17,
        .packets_per_second = 182000,
        .bits_per_second = 1.24e9,
        .n_connections_now = 12345,
        .n_connections = 1200000,
        .memory_used = 120000000,
        .memory_budget = 1000000000,
        .n_workers = 4,
        .n_machines = 3,
        .n_refused = 1,
        .n_refused_packets = 312,
        .n_drops = 5,
        .n_inputs = 3,
        .n_alarms = 2,
        .n_logs = 2,
    };
    BED_TEXT(s->version, "0.1.0");
    BED_TEXT(s->host, "sensor-1");
    BED_TEXT(s->folder, "/var/log/cloudspan/current");

    BED_NEW(s->machines, 3);
    s->machines[0] = bed_machine("old-7", 103, "10.0.9.4", HEALTH_SILENT,
                                 "usually 12 Mb/s; no packet and no canary for 4m03s");
    s->machines[1] = bed_machine("db-1", 102, "10.0.2.20", HEALTH_ONE_SIDED,
                                 "what it sends is never seen: is egress mirrored, too?");
    s->machines[1].out_bits_per_second = 0;
    s->machines[2] = bed_machine("web-1", 101, "10.0.1.11", HEALTH_OK, "");

    BED_NEW(s->refused, 1);
    s->refused[0] = (struct snapshot_refused){.channel = bed_channel("vxlan", 77, "10.9.8.7"),
                                              .n_packets = 312,
                                              .last_packet = BED_NOW - 2 * BED_S};
    BED_TEXT(s->refused[0].admit, "- name: NAME\n  channels: [\"vxlan:77 from 10.9.8.7\"]");

    BED_NEW(s->drops, 5);
    s->drops[0] = (struct snapshot_drop){"ring", "full", "packets found no room", 3, true};
    s->drops[1] = (struct snapshot_drop){"decode", "truncated", "packets were cut", 14, true};
    s->drops[2] = (struct snapshot_drop){"memory", "full", "packets had no connection", 0, true};
    s->drops[3] = (struct snapshot_drop){"policy", "copies", "packets came twice", 23456, false};
    s->drops[4] =
        (struct snapshot_drop){"policy", "refused", "packets of senders unknown", 312, false};

    BED_NEW(s->inputs, 3);
    static const char *const inputs[3][2] = {{"udp 0.0.0.0:4789 vxlan", "listening"},
                                             {"udp 0.0.0.0:6081 geneve", "listening"},
                                             {"gre", "refused: needs CAP_NET_RAW"}};
    for (size_t i = 0; i < 3; i++) {
        BED_TEXT(s->inputs[i].name, inputs[i][0]);
        BED_TEXT(s->inputs[i].state, inputs[i][1]);
        s->inputs[i].ok = i < 2;
    }
    s->inputs[0].n_packets = 45000000;

    BED_NEW(s->alarms, 2);
    s->alarms[0] = (struct snapshot_alarm){.ts = BED_NOW - 243 * BED_S, .state = HEALTH_SILENT};
    BED_TEXT(s->alarms[0].machine, "old-7");
    BED_TEXT(s->alarms[0].text, "old-7 is SILENT: usually 12 Mb/s; no packet for 30s");
    s->alarms[1] = (struct snapshot_alarm){.ts = BED_NOW - 250 * BED_S, .state = HEALTH_OK};
    BED_TEXT(s->alarms[1].machine, "web-1");
    BED_TEXT(s->alarms[1].text, "web-1 is ok again");

    s->n_findings = 2;
    s->n_critical = s->n_medium = 1;
    s->n_hunted = 1234000;
    BED_NEW(s->findings, 2);
    s->findings[0] = (struct snapshot_finding){
        .score = 0.97, .first = BED_NOW - 250 * BED_S, .last = BED_NOW - 10 * BED_S, .n = 24};
    BED_TEXT(s->findings[0].id, "00a1b2c3d4e5f607");
    BED_TEXT(s->findings[0].hunt, "beacon");
    BED_TEXT(s->findings[0].severity, "critical");
    BED_TEXT(s->findings[0].source, "db-1");
    BED_TEXT(s->findings[0].destination, "evil.example");
    BED_TEXT(s->findings[0].title, "every 10 s, 24 check-ins");
    s->findings[1] = (struct snapshot_finding){
        .score = 0.5, .first = BED_NOW - 130 * BED_S, .last = BED_NOW - 10 * BED_S, .n = 40};
    BED_TEXT(s->findings[1].id, "00a1b2c3d4e5f608");
    BED_TEXT(s->findings[1].hunt, "scan");
    BED_TEXT(s->findings[1].severity, "medium");
    BED_TEXT(s->findings[1].source, "10.1.2.3");
    BED_TEXT(s->findings[1].title, "port 22 of 40 hosts in 2 min");

    BED_NEW(s->logs, 2);
    s->logs[0] = (struct snapshot_log){"conn", 1200000, 0};
    s->logs[1] = (struct snapshot_log){"dns", 34567, 2};
}

#endif
