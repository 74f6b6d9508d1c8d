/* Reads a certificate (RFC 5280, 4.1), as strictly as OpenSSL's d2i_X509:
 *
 *     Certificate ::= SEQUENCE {
 *         tbsCertificate SEQUENCE {
 *             version         [0] { INTEGER } OPTIONAL,
 *             serialNumber    INTEGER,
 *             signature       SEQUENCE { OID, parameters },
 *             issuer          Name,
 *             validity        SEQUENCE { Time, Time },
 *             subject         Name,
 *             key             SEQUENCE { SEQUENCE { OID, parameters }, BIT STRING },
 *             issuerUniqueID  [1] BIT STRING OPTIONAL,
 *             subjectUniqueID [2] BIT STRING OPTIONAL,
 *             extensions      [3] { SEQUENCE OF SEQUENCE { OID, BOOLEAN, OCTET STRING } } OPTIONAL
 * }, signatureAlgorithm SEQUENCE { OID, parameters }, signature BIT STRING }
 */
#include "proto/x509.h"

#include "proto/oid.h"

static bool is_integer(int64_t *out, struct str bytes)
{
    if (bytes.len == 0 || bytes.len > 8)
        return false;
    uint64_t value = (uint8_t)bytes.at[0] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < bytes.len; i++)
        value = value << 8 | (uint8_t)bytes.at[i];
    *out = (int64_t)value;
    return true;
}

static struct str read_algorithm(struct reader *r, struct der *parameters)
{
    struct reader algorithm = der_expect(r, DER_SEQUENCE);
    struct str oid = der_oid(&algorithm);
    struct der rest = {0};
    if (rd_left(&algorithm) > 0)
        rest = der_next(&algorithm);
    if (!rd_done(&algorithm))
        rd_fail(r);
    if (parameters)
        *parameters = rest;
    return oid;
}

static struct str read_name(struct reader *r)
{
    struct reader name = der_expect(r, DER_SEQUENCE);
    struct str content = der_rest(&name);
    if (rd_ok(r) && !x509_name_valid(content))
        rd_fail(r);
    return content;
}

static struct der read_time(struct reader *r)
{
    struct der time = der_next(r);
    if (time.tag != DER_UTC_TIME && time.tag != DER_GENERALIZED_TIME)
        rd_fail(r);
    return time;
}

static void read_unique_ids(struct reader *r)
{
    struct reader id;
    for (uint8_t number = 1; number <= 2; number++)
        if (der_optional(r, DER_CONTEXT(number), &id) && !der_bits_valid(id))
            rd_fail(r);
}

/* GeneralName's choices: [0] and [3] to [5] are constructed, the others primitive. */
static bool names_valid(struct reader names)
{
    while (rd_left(&names) > 0) {
        struct der name = der_next(&names);
        switch (name.tag) {
        case DER_CONSTRUCTED(0): {
            (void)der_oid(&name.content);
            struct reader value = der_expect(&name.content, DER_CONSTRUCTED(0));
            (void)der_next(&value);
            if (!rd_done(&value) || !rd_done(&name.content))
                return false;
            break;
        }
        case DER_CONSTRUCTED(4): {
            (void)read_name(&name.content);
            if (!rd_done(&name.content))
                return false;
            break;
        }
        case DER_CONTEXT(8):
            if (!oid_valid(der_rest(&name.content)))
                return false;
            break;
        case DER_CONSTRUCTED(3):
        case DER_CONSTRUCTED(5):
        case DER_CONTEXT(X509_EMAIL):
        case DER_CONTEXT(X509_DNS):
        case DER_CONTEXT(X509_URI):
        case DER_CONTEXT(X509_IP):
            break;
        default:
            return false;
        }
    }
    return rd_ok(&names);
}

static void read_san(struct x509 *cert, struct reader value)
{
    struct reader names = der_expect(&value, DER_SEQUENCE);
    bool bad = !rd_ok(&value) || !names_valid(names);
    if (!cert->has_first_san) {
        cert->has_first_san = true;
        cert->first_san = names;
        cert->first_san_bad = bad;
    }
    if (bad) {
        cert->san_bad = true;
        return;
    }
    cert->has_san = true;
    cert->san = names;
}

static void read_constraints(struct x509 *cert, struct reader value)
{
    struct reader r = der_expect(&value, DER_SEQUENCE);
    struct reader flag;
    bool ca = false;
    if (der_optional(&r, DER_BOOLEAN, &flag)) {
        if (rd_left(&flag) != 1)
            rd_fail(&r);
        ca = rd_u8(&flag) != 0;
    }
    bool has_length = rd_left(&r) > 0;
    int64_t length = 0;
    if (has_length && !is_integer(&length, der_integer(&r)))
        length = -1;
    if (!rd_ok(&value) || !rd_done(&r)) {
        cert->constraints_bad = true;
        return;
    }
    cert->has_constraints = true;
    cert->ca = ca;
    cert->has_path_length = has_length;
    cert->path_length = length;
}

static void read_extensions(struct reader *tbs, struct x509 *cert)
{
    struct reader wrapped;
    if (!der_optional(tbs, DER_CONSTRUCTED(3), &wrapped))
        return;
    struct reader all = der_expect(&wrapped, DER_SEQUENCE);
    while (rd_left(&all) > 0) {
        struct reader extension = der_expect(&all, DER_SEQUENCE);
        struct str oid = der_oid(&extension);
        struct reader critical;
        if (der_optional(&extension, DER_BOOLEAN, &critical) && rd_left(&critical) != 1)
            rd_fail(&extension);
        struct reader value = der_expect(&extension, DER_OCTET_STRING);
        if (!rd_done(&extension)) {
            rd_fail(&all);
            break;
        }
        if (str_eq(oid, STR("\x55\x1d\x11")))
            read_san(cert, value);
        else if (str_eq(oid, STR("\x55\x1d\x13")))
            read_constraints(cert, value);
    }
    if (!rd_ok(&all) || !rd_done(&wrapped))
        rd_fail(tbs);
}

bool x509_parse(struct str bytes, struct x509 *out)
{
    *out = (struct x509){.version = 1};
    struct reader r = rd_make(bytes.at, bytes.len);
    struct der outer = der_next(&r);
    if (outer.tag != DER_SEQUENCE)
        return false;
    out->whole = outer.whole;

    struct reader tbs = der_expect(&outer.content, DER_SEQUENCE);
    struct reader version;
    if (der_optional(&tbs, DER_CONSTRUCTED(0), &version)) {
        int64_t number = -1;
        (void)is_integer(&number, der_integer(&version));
        if (!rd_done(&version))
            rd_fail(&tbs);
        out->version = (uint64_t)number + 1;
    }
    out->serial = der_integer(&tbs);
    (void)read_algorithm(&tbs, NULL);
    out->issuer = read_name(&tbs);
    struct reader validity = der_expect(&tbs, DER_SEQUENCE);
    out->not_before = read_time(&validity);
    out->not_after = read_time(&validity);
    out->subject = read_name(&tbs);
    struct reader key = der_expect(&tbs, DER_SEQUENCE);
    out->key_oid = read_algorithm(&key, &out->key_parameters);
    struct reader bits = der_bit_string(&key);
    out->key_bits = der_rest(&bits);
    read_unique_ids(&tbs);
    read_extensions(&tbs, out);

    out->signature_oid = read_algorithm(&outer.content, NULL);
    (void)der_bit_string(&outer.content);
    return rd_done(&validity) && rd_done(&key) && rd_done(&tbs) && rd_done(&outer.content);
}

bool x509_next_name(struct reader *san, enum x509_name_kind kind, struct str *out)
{
    while (rd_left(san) > 0) {
        struct der name = der_next(san);
        if (name.tag == DER_CONTEXT(kind)) {
            *out = der_rest(&name.content);
            return true;
        }
    }
    return false;
}

static uint32_t position(struct str text, uint32_t from, char c)
{
    const char *found = from < text.len ? memchr(text.at + from, c, text.len - from) : NULL;
    return found ? (uint32_t)(found - text.at) : UINT32_MAX;
}

/* A wildcard may end the leftmost label, of a name with three labels at least. */
static bool host_matches(struct str host, struct str name)
{
    if (str_eq(host, name))
        return true;
    uint32_t star = position(name, 0, '*');
    uint32_t dot = position(name, 0, '.');
    if (star == UINT32_MAX || dot == UINT32_MAX || star + 1 != dot ||
        position(name, dot + 1, '.') == UINT32_MAX)
        return false;
    uint32_t host_dot = position(host, 0, '.');
    if (host_dot == UINT32_MAX)
        return false;
    return str_eq(str_from(host, host_dot), str_from(name, dot)) &&
           str_eq(str_upto(host, star), str_upto(name, star));
}

bool x509_matches_host(const struct x509 *cert, struct str host)
{
    if (cert->has_first_san) {
        struct reader names = cert->first_san;
        struct str name;
        while (!cert->first_san_bad && x509_next_name(&names, X509_DNS, &name))
            if (host_matches(host, name))
                return true;
        return false;
    }
    char text[2047];
    size_t len;
    return x509_name_common(cert->subject, text, sizeof text, &len) &&
           host_matches(host, str_make(text, len));
}

/* Two decimal digits; what is not a digit counts by its code, as in Zeek. */
static int64_t two(struct str text, uint32_t at)
{
    return (text.at[at] - '0') * 10 + (text.at[at + 1] - '0');
}

/* Days since 1970 of a day of the Gregorian calendar; months and days may lie out of range. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year += (month - 1) / 12;
    month = (month - 1) % 12 + 1;
    if (month < 1) {
        month += 12;
        year--;
    }
    if (month <= 2)
        year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468 + day - 1;
}

/* What stands after the minutes: seconds, a fraction that is dropped, and the zone. */
static bool time_tail(struct str text, int64_t *seconds, int64_t *zone)
{
    *seconds = *zone = 0;
    if (text.len > 0 && !memchr("Z+-", text.at[0], 3)) {
        if (text.len < 2)
            return false;
        *seconds = two(text, 0);
        text = str_from(text, 2);
        if (text.len > 0 && text.at[0] == '.') {
            text = str_from(text, 1);
            while (text.len > 0 && text.at[0] >= '0' && text.at[0] <= '9')
                text = str_from(text, 1);
        }
    }
    if (text.len == 0 || text.at[0] == 'Z')
        return true;
    if (text.len < 5 || (text.at[0] != '+' && text.at[0] != '-'))
        return false;
    *zone = two(text, 1) * 60 + two(text, 3); /* Zeek takes the minutes for seconds */
    if (text.at[0] == '-')
        *zone = -*zone;
    return true;
}

int64_t x509_time(const struct der *time)
{
    struct str text = der_rest(&time->content);
    int64_t year;
    if (time->tag == DER_UTC_TIME) {
        if (text.len < 11 || text.len > 17 || text.at[text.len - 1] != 'Z')
            return 0;
        year = (text.at[0] < '5' ? 2000 : 1900) + two(text, 0);
        text = str_from(text, 2);
    } else if (time->tag == DER_GENERALIZED_TIME) {
        if (text.len < 12 || text.len > 23)
            return 0;
        year = two(text, 0) * 100 + two(text, 2);
        if (year <= 1900)
            year += 1900;
        text = str_from(text, 4);
    } else {
        return 0;
    }
    int64_t seconds;
    int64_t zone;
    if (!time_tail(str_from(text, 8), &seconds, &zone))
        return 0;
    int64_t days = days_of(year, two(text, 0), 1) + two(text, 2) - 1;
    int64_t result = days * 86400 + two(text, 4) * 3600 + two(text, 6) * 60 + seconds;
    return result ? result + zone : 0;
}
