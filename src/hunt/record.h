/* One line of a log as hunts see it, whoever wrote it (Zeek or we) and in whatever format. What the
 * log does not have is unset: a str with at == NULL, a number of HUNT_UNSET, a bool of false.
 *
 * Strings are borrowed from the batch that the record came in, and already without escapes: bytes
 * as they were on the wire. Whoever keeps them copies them. */
#ifndef HUNT_RECORD_H
#define HUNT_RECORD_H

#include "base/str.h"
#include "net/addr.h"

#define HUNT_UNSET INT64_MIN

/* The logs that are read; the file's name begins with the log's ("conn_summary" is none of them).
 */
enum hunt_log {
    HUNT_HTTP,
    HUNT_OPEN_HTTP,
    HUNT_SSL,
    HUNT_OPEN_SSL,
    HUNT_QUIC,
    HUNT_DNS,
    HUNT_SSH,
    HUNT_SMTP,
    HUNT_TUNNEL,
    HUNT_X509,
    HUNT_NOTICE,
    HUNT_CAPTURE_LOSS,
    HUNT_CONN, /* last: what was said in a connection comes before its end, in each hour's files */
    HUNT_OPEN_CONN,
    HUNT_N_LOGS,
};

#define HUNT_LOG_BIT(log) (1u << (log))

/* "conn", "open_http" … */
const char *hunt_log_name(enum hunt_log log);

/* An end of a connection. Equal private addresses of two networks are two hosts. */
struct hunt_host {
    struct addr addr;
    uint32_t network; /* hash of agent_uuid; 0: none was said, or the address is public */
};

/* conn_state, in Zeek's order. */
enum hunt_state {
    HUNT_STATE_NONE,
    HUNT_S0,
    HUNT_S1,
    HUNT_SF,
    HUNT_REJ,
    HUNT_S2,
    HUNT_S3,
    HUNT_RSTO,
    HUNT_RSTR,
    HUNT_RSTOS0,
    HUNT_RSTRH,
    HUNT_SH,
    HUNT_SHR,
    HUNT_OTH,
};

enum hunt_proto { HUNT_PROTO_UNKNOWN, HUNT_ICMP = 1, HUNT_TCP = 6, HUNT_UDP = 17 };

struct hunt_record {
    enum hunt_log log;
    int64_t ts;   /* ns since the epoch; always there: lines without a good one are refused */
    uint64_t uid; /* its hash; 0: the log has none */
    struct hunt_host orig, resp;
    uint16_t orig_port, resp_port; /* of ICMP: type and code */
    uint8_t proto;                 /* enum hunt_proto */
    bool has_ends;                 /* orig and resp are there */
    struct str network;            /* agent_uuid */
    struct str machine;            /* `source` of our logs, or agent_hostname */
    union {
        struct {
            struct str service;
            int64_t duration;               /* ns */
            int64_t orig_bytes, resp_bytes; /* payload */
            int64_t orig_pkts, resp_pkts;
            int64_t orig_ip_bytes, resp_ip_bytes;
            int64_t missed_bytes;
            struct str history;
            enum hunt_state state;
        } conn;
        struct {
            struct str method, host, uri, user_agent, referrer, version;
            struct str resp_mime; /* the first of resp_mime_types */
            int64_t status, trans_depth;
            int64_t request_size, response_size; /* of the bodies */
        } http;
        struct {
            struct str version, cipher, server_name, ja3, ja3s, ja4, next_protocol;
            struct str subject, issuer, validation, last_alert;
            struct str cert_chain; /* fingerprints, the server's own first, commas between */
            bool established, resumed;
        } ssl; /* HUNT_SSL, HUNT_OPEN_SSL, HUNT_QUIC (server_name, version, next_protocol) */
        struct {
            struct str query, answers; /* all answers, '\n' between */
            struct str qtype_name, rcode_name;
            int64_t qtype, rcode;
            uint16_t n_answers;
            bool rejected, aa, rd, ra;
        } dns;
        struct {
            struct str client, server, hassh, hassh_server;
            int64_t auth_success; /* 1, 0, HUNT_UNSET */
            int64_t auth_attempts;
        } ssh;
        struct {
            struct str last_reply; /* the server's, "250 OK" */
        } smtp;
        struct {
            struct str type, action; /* "Tunnel::GRE", "Tunnel::DISCOVER" */
        } tunnel;
        struct {
            struct str fingerprint, subject, issuer, san; /* san: dns names, '\n' between */
            int64_t not_before, not_after;                /* ns since the epoch */
            struct str key_type;
            int64_t key_length;
        } x509;
        struct {
            struct str note, msg, sub;
        } notice;
        struct {
            double percent_lost;
        } capture_loss;
    };
};

/* Of a record's time, rounded down. */
static inline int64_t hunt_ms(int64_t ns)
{
    return ns / 1000000 - (ns % 1000000 < 0);
}

/* A number of a log that counts something; 0 where there is none. */
static inline uint64_t hunt_known(int64_t number)
{
    return number == HUNT_UNSET || number < 0 ? 0 : (uint64_t)number;
}

#endif
