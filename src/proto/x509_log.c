/* Rows of x509.log: one for each certificate, in each role, a day. */
#include "flow/weird.h"
#include "proto/analyzer.h"
#include "proto/oid.h"
#include "proto/x509.h"
#include "proto/x509_memory.h"

/* Zeek prints serial numbers and names into a buffer of 2048 bytes, the last of them NUL. */
#define TEXT_MAX 2047u

static const struct log_column columns[] = {
    {"ts", LOG_TIME},
    {"fingerprint", LOG_STRING},
    {"certificate.version", LOG_COUNT},
    {"certificate.serial", LOG_STRING},
    {"certificate.subject", LOG_STRING},
    {"certificate.issuer", LOG_STRING},
    {"certificate.not_valid_before", LOG_TIME},
    {"certificate.not_valid_after", LOG_TIME},
    {"certificate.key_alg", LOG_STRING},
    {"certificate.sig_alg", LOG_STRING},
    {"certificate.key_type", LOG_STRING},
    {"certificate.key_length", LOG_COUNT},
    {"certificate.exponent", LOG_STRING},
    {"certificate.curve", LOG_STRING},
    {"san.dns", LOG_VECTOR_STRING},
    {"san.uri", LOG_VECTOR_STRING},
    {"san.email", LOG_VECTOR_STRING},
    {"san.ip", LOG_VECTOR_ADDR},
    {"basic_constraints.ca", LOG_BOOL},
    {"basic_constraints.path_len", LOG_COUNT},
    {"host_cert", LOG_BOOL},
    {"client_cert", LOG_BOOL},
};

const struct log_schema x509_log = {.name = "x509", LOG_COLUMNS(columns)};

static void put_serial(struct rec *rec, struct str integer)
{
    char text[TEXT_MAX];
    rec_str(rec, str_make(text, x509_serial_format(integer, text, sizeof text)));
}

static void put_name(struct rec *rec, struct str name)
{
    char text[TEXT_MAX];
    rec_str(rec, str_make(text, x509_name_format(name, text, sizeof text)));
}

static void put_key(struct rec *rec, const struct x509 *cert)
{
    struct x509_key key;
    x509_read_key(cert, &key);
    rec_str(rec, str_c(key.algorithm));
    const struct oid *signature = oid_find(cert->signature_oid);
    rec_str(rec, signature ? str_c(oid_long_name(signature)) : STR(""));
    rec_text(rec, key.type[0] ? key.type : NULL);
    if (key.bits)
        rec_count(rec, key.bits);
    else
        rec_unset(rec);
    rec_text(rec, key.exponent[0] ? key.exponent : NULL);
    rec_text(rec, key.curve);
}

static void put_names(struct rec *rec, const struct x509 *cert, enum x509_name_kind kind)
{
    struct reader names = cert->san;
    struct str name;
    if (!cert->has_san || !x509_next_name(&names, kind, &name)) {
        rec_unset(rec);
        return;
    }
    rec_set_begin(rec);
    do {
        if (kind == X509_IP) {
            if (name.len != 4 && name.len != 16)
                continue;
            const uint8_t *bytes = (const uint8_t *)name.at;
            struct addr addr = name.len == 4 ? addr_v4(bytes) : addr_v6(bytes);
            rec_item_addr(rec, &addr);
        } else {
            rec_item_str(rec, name);
        }
    } while (x509_next_name(&names, kind, &name));
    rec_set_end(rec);
}

static void put_constraints(struct rec *rec, const struct x509 *cert)
{
    if (cert->has_constraints)
        rec_bool(rec, cert->ca);
    else
        rec_unset(rec);
    if (cert->has_constraints && cert->has_path_length)
        rec_count(rec, (uint64_t)cert->path_length);
    else
        rec_unset(rec);
}

static void write_row(struct log_writer *writer, const struct x509 *cert,
                      const uint8_t *fingerprint, unsigned flags, int64_t ts)
{
    char hex[2 * HASH_SHA256_SIZE];
    hash_hex(fingerprint, HASH_SHA256_SIZE, hex);
    struct rec *rec = log_begin(writer, &x509_log);
    rec_time(rec, ts);
    rec_str(rec, str_make(hex, sizeof hex));
    rec_count(rec, cert->version);
    put_serial(rec, cert->serial);
    put_name(rec, cert->subject);
    put_name(rec, cert->issuer);
    rec_time_seconds(rec, x509_time(&cert->not_before));
    rec_time_seconds(rec, x509_time(&cert->not_after));
    put_key(rec, cert);
    put_names(rec, cert, X509_DNS);
    put_names(rec, cert, X509_URI);
    put_names(rec, cert, X509_EMAIL);
    put_names(rec, cert, X509_IP);
    put_constraints(rec, cert);
    rec_bool(rec, flags & X509_HOST);
    rec_bool(rec, flags & X509_CLIENT);
    log_end(rec);
}

void x509_write_row(struct log_writer *writer, struct str bytes,
                    const uint8_t fingerprint[HASH_SHA256_SIZE], unsigned flags, int64_t ts)
{
    struct x509 cert;
    if (x509_parse(bytes, &cert))
        write_row(writer, &cert, fingerprint, flags, ts);
}

static bool logged_before(struct analysis *a, const struct x509 *cert, const uint8_t *fingerprint,
                          unsigned flags)
{
    struct flow_context *context = a->context;
    if (!context->certificates)
        context->certificates = x509_memory_new(context->pool);
    return context->certificates && x509_memory_check(context->certificates, fingerprint, flags,
                                                      analysis_now(a), cert->whole);
}

/* Zeek says these of the file, not of the connection. */
static void say_weird(struct analysis *a, const char *name)
{
    struct flow_uid id = flow_file_id(a->context, a->flow, (uint64_t)a->n_files++ << 8 | 'X');
    struct packet_weird weird = {.name = name};
    memcpy(weird.addl, id.text, sizeof id.text);
    weird_packet(a->context, &weird);
}

struct x509_seen_certificate x509_observe(struct analysis *a, struct str bytes, unsigned flags,
                                          struct str host)
{
    struct x509_seen_certificate seen = {0};
    struct x509 cert;
    if (!x509_parse(bytes, &cert)) {
        say_weird(a, "x509_cert_parse_error");
        return seen;
    }
    if (cert.constraints_bad)
        say_weird(a, "x509_invalid_basic_constraint");
    if (cert.san_bad)
        say_weird(a, "x509_san_parse_error");
    seen.ok = true;
    hash_sha256(cert.whole.at, cert.whole.len, seen.fingerprint);
    seen.matches = str_set(host) && x509_matches_host(&cert, host);
    if (!logged_before(a, &cert, seen.fingerprint, flags))
        write_row(a->context->log, &cert, seen.fingerprint, flags, analysis_now(a));
    return seen;
}
