/* Names of TLS numbers as Zeek's ssl.log writes them. */
#ifndef PROTO_TLS_NAMES_H
#define PROTO_TLS_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    TLS_UNKNOWN_VERSION = 0,
    TLS_SSLV2 = 0x0002,
    TLS_SSLV3 = 0x0300,
    TLS_V10 = 0x0301,
    TLS_V11 = 0x0302,
    TLS_V12 = 0x0303,
    TLS_V13 = 0x0304,
    TLS_DTLS10 = 0xfeff,
    TLS_DTLS12 = 0xfefd,
    TLS_DTLS13 = 0xfefc,
};

/* What the server's key exchange message of a cipher suite holds. */
enum tls_key { TLS_KEY_OTHER, TLS_KEY_ECDHE, TLS_KEY_ECDH_ANON, TLS_KEY_DHE, TLS_KEY_DH_ANON };

struct tls_cipher {
    uint32_t number;
    enum tls_key key;
    const char *name;
};

/* NULL: not known. */
const struct tls_cipher *tls_cipher_find(uint32_t number);

/* Each writes unknown numbers into `room`, as "unknown-N". */
#define TLS_NAME_ROOM 24
struct str tls_cipher_name(uint32_t number, char room[TLS_NAME_ROOM]);
struct str tls_version_name(uint16_t number, char room[TLS_NAME_ROOM]);
struct str tls_curve_name(uint16_t number, char room[TLS_NAME_ROOM]);
struct str tls_alert_name(uint16_t number, char room[TLS_NAME_ROOM]);

/* A draft of TLS 1.3, as Zeek tells them. */
static inline bool tls_is_draft(uint16_t version)
{
    return version / 0xff == 0x7f;
}

/* Values that clients offer to keep servers tolerant (RFC 8701): 0x0a0a, 0x1a1a … 0xfafa. */
static inline bool tls_is_grease(uint16_t value)
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

#endif
