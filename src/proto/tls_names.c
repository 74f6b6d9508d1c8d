/* Versions, curves (IANA's "TLS Supported Groups") and alerts by their numbers. */
#include "proto/tls_names.h"

#include <stdio.h>

struct row {
    uint16_t number;
    const char *name;
};

static const struct row versions[] = {
    {TLS_SSLV2, "SSLv2"},    {TLS_SSLV3, "SSLv3"},    {TLS_V10, "TLSv10"},
    {TLS_V11, "TLSv11"},     {TLS_V12, "TLSv12"},     {TLS_V13, "TLSv13"},
    {TLS_DTLS13, "DTLSv13"}, {TLS_DTLS12, "DTLSv12"}, {TLS_DTLS10, "DTLSv10"},
};

static const struct row curves[] = {
    {1, "sect163k1"},
    {2, "sect163r1"},
    {3, "sect163r2"},
    {4, "sect193r1"},
    {5, "sect193r2"},
    {6, "sect233k1"},
    {7, "sect233r1"},
    {8, "sect239k1"},
    {9, "sect283k1"},
    {10, "sect283r1"},
    {11, "sect409k1"},
    {12, "sect409r1"},
    {13, "sect571k1"},
    {14, "sect571r1"},
    {15, "secp160k1"},
    {16, "secp160r1"},
    {17, "secp160r2"},
    {18, "secp192k1"},
    {19, "secp192r1"},
    {20, "secp224k1"},
    {21, "secp224r1"},
    {22, "secp256k1"},
    {23, "secp256r1"},
    {24, "secp384r1"},
    {25, "secp521r1"},
    {26, "brainpoolP256r1"},
    {27, "brainpoolP384r1"},
    {28, "brainpoolP512r1"},
    {29, "x25519"},
    {30, "x448"},
    {31, "brainpoolP256r1tls13"},
    {32, "brainpoolP384r1tls13"},
    {33, "brainpoolP512r1tls13"},
    {34, "GC256A"},
    {35, "GC256B"},
    {36, "GC256C"},
    {37, "GC256D"},
    {38, "GC512A"},
    {39, "GC512B"},
    {40, "GC512C"},
    {41, "curveSM2"},
    {256, "ffdhe2048"},
    {257, "ffdhe3072"},
    {258, "ffdhe4096"},
    {259, "ffdhe6144"},
    {260, "ffdhe8192"},
    {512, "MLKEM512"},
    {513, "MLKEM768"},
    {514, "MLKEM1024"},
    {4587, "SecP256r1MLKEM768"},
    {4588, "X25519MLKEM768"},
    {4589, "SecP384r1MLKEM1024"},
    {4590, "curveSM2MLKEM768"},
    {16696, "CECPQ2"},
    {25497, "X25519Kyber768Draft00"},
    {25498, "SecP256r1Kyber768Draft00"},
    {65281, "arbitrary_explicit_prime_curves"},
    {65282, "arbitrary_explicit_char2_curves"},
};

static const struct row alerts[] = {
    {0, "close_notify"},
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {21, "decryption_failed"},
    {22, "record_overflow"},
    {30, "decompression_failure"},
    {40, "handshake_failure"},
    {41, "no_certificate"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {60, "export_restriction"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {110, "unsupported_extension"},
    {111, "certificate_unobtainable"},
    {112, "unrecognized_name"},
    {113, "bad_certificate_status_response"},
    {114, "bad_certificate_hash_value"},
    {115, "unknown_psk_identity"},
    {116, "certificate_required"},
    {117, "general_error"},
    {120, "no_application_protocol"},
    {121, "ech_required"},
};

#define N_ROWS(table) (sizeof(table) / sizeof *(table))

static struct str find(const struct row *rows, size_t n, uint32_t number, char room[TLS_NAME_ROOM])
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rows[middle].number == number)
            return str_c(rows[middle].name);
        if (rows[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return str_make(room, (size_t)snprintf(room, TLS_NAME_ROOM, "unknown-%u", number));
}

struct str tls_cipher_name(uint32_t number, char room[TLS_NAME_ROOM])
{
    const struct tls_cipher *cipher = tls_cipher_find(number);
    return cipher ? str_c(cipher->name) : find(NULL, 0, number, room);
}

struct str tls_version_name(uint16_t number, char room[TLS_NAME_ROOM])
{
    if (tls_is_draft(number))
        return str_make(room,
                        (size_t)snprintf(room, TLS_NAME_ROOM, "TLSv13-draft%d", number % 0x7f));
    return find(versions, N_ROWS(versions), number, room);
}

struct str tls_curve_name(uint16_t number, char room[TLS_NAME_ROOM])
{
    if (tls_is_grease(number))
        return str_make(room, (size_t)snprintf(room, TLS_NAME_ROOM, "grease_0x%04X", number));
    return find(curves, N_ROWS(curves), number, room);
}

struct str tls_alert_name(uint16_t number, char room[TLS_NAME_ROOM])
{
    return find(alerts, N_ROWS(alerts), number, room);
}
