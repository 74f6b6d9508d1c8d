/* What the recognisers of protocols that turn into TLS share. Only proto/starttls*.c includes it.
 *
 *     starttls.c          the analyzer: cuts the streams into messages, hands the rest over
 *     starttls_lines.c    SMTP, FTP, POP3, IMAP
 *     starttls_adat.c     FTP with TLS inside its lines
 *     starttls_xmpp.c     XMPP
 *     starttls_records.c  LDAP, MySQL, PostgreSQL, RDP
 *     starttls_socks.c    SOCKS proxies: not TLS, but whatever is proxied
 *
 * Each protocol is one descriptor that stands alone, so that a full analyzer of it can take its
 * place. */
#ifndef PROTO_STARTTLS_H
#define PROTO_STARTTLS_H

#include "proto/inner.h"

#define STARTTLS_KEPT 128 /* bytes of a message that are looked at */

#define STARTTLS_NOT_MINE SIZE_MAX

struct starttls_protocol {
    uint16_t ports[8]; /* of the responder; 0 ends */

    /* As in struct analyzer; NULL: by port only. */
    enum analyzer_match (*match)(const struct probe *probe);

    /* Messages end with this character; 0: `size` says. Of a longer message than STARTTLS_KEPT the
     * rest is not seen. */
    char delimiter;

    /* Size of the message that begins with `head`; 0: more of it is needed to tell;
     * STARTTLS_NOT_MINE: this is another protocol. */
    size_t (*size)(struct analysis *a, int dir, struct reader head);

    /* One message, as much as is kept of it. May call starttls_tls, starttls_inner or
     * analysis_finish. */
    void (*message)(struct analysis *a, int dir, struct reader message);
};

extern const struct starttls_protocol starttls_lines, starttls_xmpp, starttls_ldap, starttls_mysql,
    starttls_postgresql, starttls_rdp, starttls_socks;

struct starttls_lines_state {
    uint8_t row; /* of the protocol whose command to upgrade was sent, plus 1 */
    bool by_content;
    uint8_t tag_size;
    uint16_t pending; /* code of the reply whose lines are not all in */
    uint32_t n_commands, n_replies;
    uint32_t upgrade; /* number of the reply that must agree */
    char tag[32];
};

struct starttls_socks_state {
    uint8_t version, method;
    bool has_method, in_login;
    bool done[2];
};

/* One direction of the stream. */
struct starttls_side {
    uint32_t skip; /* bytes of the message that are not looked at */
    uint8_t n_kept;
    bool is_cut; /* the message is longer than what is kept */
    uint8_t kept[STARTTLS_KEPT];
};

/* FTP after AUTH GSSAPI. */
struct starttls_adat_state {
    struct buf line[2]; /* that have not come in full */
    bool begun;         /* the first token was TLS */
};

enum starttls_stage { STARTTLS_PLAIN, STARTTLS_TLS, STARTTLS_INNER, STARTTLS_ADAT };

struct starttls {
    const struct starttls_protocol *protocol; /* NULL before the first bytes */
    enum starttls_stage stage;
    uint32_t seen; /* bytes before TLS, in both directions */
    struct analysis *tls;
    union {
        struct {
            struct starttls_side side[2]; /* of STARTTLS_PLAIN */
            union {
                struct starttls_lines_state lines;
                struct starttls_socks_state socks;
                bool requested;  /* LDAP, PostgreSQL, XMPP, RDP: the client asked for it */
                uint8_t version; /* MySQL: of the protocol, by the server's greeting */
            };
        };
        struct inner inner;              /* of STARTTLS_INNER */
        struct starttls_adat_state adat; /* of STARTTLS_ADAT */
    };
};

static inline struct starttls *starttls_of(struct analysis *a)
{
    return a->state;
}

/* All that follows, in both directions, is TLS. */
void starttls_tls(struct analysis *a);

/* TLS follows in base64, in lines of FTP. */
void starttls_adat(struct analysis *a);
void starttls_adat_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size);
void starttls_adat_gap(struct analysis *a);
void starttls_adat_end(struct analysis *a);

/* All that follows is another protocol, which must be found. */
void starttls_inner(struct analysis *a);

#endif
