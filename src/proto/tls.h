/* What TLS over TCP (ssl.c) and DTLS (dtls.c) share: the handshake, the state of the encryption,
 * and the row of ssl.log. The two own the record layer and hand complete records up:
 *
 *     ssl.c, dtls.c  →  tls_record.c  →  tls_handshake.c  →  tls_hello.c  →  tls_log.c
 *
 * What is logged, and when, follows Zeek: "the client" is whoever sends the client hello, even when
 * it did not open the connection (the direction is then flipped). */
#ifndef PROTO_TLS_H
#define PROTO_TLS_H

#include "proto/analyzer.h"
#include "proto/tls_names.h"

enum { TLS_CHANGE_CIPHER_SPEC = 20, TLS_ALERT, TLS_HANDSHAKE, TLS_APPLICATION_DATA, TLS_HEARTBEAT };

enum {
    TLS_HELLO_REQUEST = 0,
    TLS_CLIENT_HELLO = 1,
    TLS_SERVER_HELLO = 2,
    TLS_HELLO_VERIFY_REQUEST = 3,
    TLS_SESSION_TICKET = 4,
    TLS_CERTIFICATE = 11,
    TLS_SERVER_KEY_EXCHANGE = 12,
    TLS_CERTIFICATE_REQUEST = 13,
    TLS_SERVER_HELLO_DONE = 14,
    TLS_CERTIFICATE_VERIFY = 15,
    TLS_CLIENT_KEY_EXCHANGE = 16,
    TLS_FINISHED = 20,
    TLS_CERTIFICATE_URL = 21,
    TLS_CERTIFICATE_STATUS = 22,
};

#define TLS_MAX_MESSAGE      (1u << 20) /* bytes of one handshake message */
#define TLS_MAX_HISTORY      100        /* Zeek's limit; flips may go beyond */
#define TLS_MAX_CERTIFICATES 255u       /* kept in the row, for each side */
#define TLS_MAX_TEXT         16384u /* server name, next protocol; and all texts together: four times */

/* Fingerprints of the certificates that one side sent. */
struct tls_chain {
    uint8_t *fingerprints; /* of 32 bytes each, in the arena */
    uint8_t n, room;
};

enum tls_leaf { TLS_LEAF_NONE, TLS_LEAF_BAD, TLS_LEAF_OK };

/* The row of ssl.log in the making. */
struct tls_info {
    int64_t ts;                            /* of the first event */
    struct str server_name, next_protocol; /* in the arena */
    uint32_t cipher;
    uint16_t version, curve, alert;
    uint8_t session_id[32];
    bool begun, logged;
    bool has_version, has_cipher, has_curve, has_alert, has_session_id;
    bool resumed, established;
    bool ticket, client_key, psk, retry; /* seen: what "resumed" and the history depend on */
    bool has_chain;
    struct tls_chain chain[2]; /* of the server, of the client */
    enum tls_leaf leaf;        /* the server's first certificate */
    bool leaf_matches;         /* it is for the server's name */
    bool history_said;
    uint8_t n_history;
    char history[TLS_MAX_HISTORY + 60];
    char ja3[32], ja3s[32], ja4[40]; /* "" where not asked for */
};

struct tls {
    struct analysis *analysis;
    struct arena arena;     /* until the row is written */
    struct buf messages[2]; /* the handshake message that has not come in full */
    uint16_t negotiated;    /* version; TLS_UNKNOWN_VERSION before the server's hello */
    enum tls_key key;       /* of the chosen cipher suite */
    bool encrypted[2];
    bool established;
    bool flipped, flip_said;
    struct str
        row;   /* as it was logged, kept for open_ssl.log until the connection ends; pool memory */
    bool gone; /* taken off by violation, or nothing more is wanted: stop at once */
    struct tls_info info;
};

void tls_start(struct tls *tls, struct analysis *a);

/* Writes the row when there is something to write, and gives the memory back. */
void tls_end(struct tls *tls);

/* DTLS marks its encrypted records; TLS does not, and the state of the connection must say. */
enum tls_protection { TLS_BY_STATE, TLS_PLAINTEXT, TLS_CIPHERTEXT };

/* The body of a record that has come in full. */
void tls_record(struct tls *tls, int dir, unsigned type, struct reader body,
                enum tls_protection protection);

/* Will a record of this type be encrypted, as far as can be told by now? It may set the state. */
bool tls_is_encrypted(struct tls *tls, int dir, unsigned type);
void tls_ciphertext(struct tls *tls); /* one encrypted record has passed */
void tls_plaintext(struct tls *tls, unsigned type);
void tls_alert(struct tls *tls, int dir, uint16_t alert);

/* Bytes of handshake messages, in order. */
void tls_handshake(struct tls *tls, int dir, const uint8_t *bytes, size_t size);
void tls_certificate(struct tls *tls, bool is_client, bool is_first, struct str bytes);

/* Bodies of the hellos; the reader fails when one is wrong. */
void tls_client_hello(struct tls *tls, int dir, struct reader *r);
void tls_server_hello(struct tls *tls, int dir, struct reader *r);
void tls_hello_request(struct tls *tls, int dir);

/* ---- events of the log ---- */

bool tls_version_ok(uint16_t version);

/* The other party broke the protocol: the row is written as it is. True: return at once. */
bool tls_violation(struct tls *tls, const char *reason);
void tls_skip(struct tls *tls); /* nothing more is looked at */

void tls_begin(struct tls *tls); /* something happened: there will be a row */
void tls_history(struct tls *tls, bool is_client, char letter);
void tls_flip(struct tls *tls);
void tls_log_client_hello(struct tls *tls, struct str session_id);
void tls_log_server_hello(struct tls *tls, uint16_t version, struct str session_id, uint32_t cipher,
                          bool is_retry);
void tls_log_extension(struct tls *tls, bool is_client, uint16_t type, size_t size);
void tls_log_message(struct tls *tls, bool is_client, uint8_t type);
void tls_log_established(struct tls *tls);
void tls_set_text(struct tls *tls, struct str *text, struct str value);

/* The row, as it was logged or as it is by now, into open_ssl.log. */
void tls_log_open(struct tls *tls);
void tls_log_forget(struct tls *tls); /* the connection is over */

extern const struct log_schema tls_log, tls_open_log; /* ssl.log, open_ssl.log */

/* ---- fingerprints of hellos (tls_ja.c); the readers stand at the version ---- */

void tls_ja3(struct reader hello, bool is_dtls, char out[32]);
void tls_ja3s(struct reader hello, char out[32]);
void tls_ja4(struct reader hello, bool is_dtls, char out[40]);

static inline bool tls_is_client(const struct tls *tls, int dir)
{
    return (dir == FLOW_ORIG) != tls->flipped;
}

static inline bool tls_is_13(const struct tls *tls)
{
    return tls->negotiated == TLS_V13 || tls_is_draft(tls->negotiated);
}

#endif
