/* Resource records (RFC 1035, 3.2.1), and the text that dns.log has for each kind.
 *
 *      0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *     /                      NAME                     /
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *     |                      TYPE                     |
 *     |                     CLASS                     |
 *     |                      TTL                      |
 *     |                                               |
 *     |                   RDLENGTH                    |
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *     /                     RDATA                     /
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *
 * dns.log is Zeek's, and Zeek reads most kinds by their content, up to the end of the message,
 * and goes on where the content ended, not where RDLENGTH says. Where the two disagree, the next
 * record is read from there, so that broken messages are logged alike. Each record takes at least
 * the bytes of its header, so the loop over them ends. */
#include "proto/dns_record.h"

#include "net/addr.h"
#include "proto/dns_answers.h"
#include "proto/dns_name.h"
#include "proto/dns_security.h"
#include "proto/dns_take.h"
#include "proto/dns_types.h"

/* Whether the text of this record is wanted. From the first such record on, m->answered stays. */
static bool answer_begin(struct dns_message *m)
{
    if (!m->is_answer)
        return false;
    m->has_answer = true;
    dns_answers_begin(&m->answers, m->ttl);
    return true;
}

static void answer_address(struct dns_message *m, const struct addr *address)
{
    if (!answer_begin(m))
        return;
    char text[ADDR_TEXT_MAX];
    dns_answers_add(&m->answers, text, addr_format(address, text));
    dns_answers_end(&m->answers);
}

static void answer_name(struct dns_message *m, const struct dns_name *name)
{
    if (!answer_begin(m))
        return;
    dns_answers_add_str(&m->answers, dns_name_str(name));
    dns_answers_end(&m->answers);
}

static bool skip_data(struct dns_message *m)
{
    rd_skip(&m->rest, m->rd_size);
    return true;
}

static bool read_a(struct dns_message *m)
{
    if (m->rd_size != 4) {
        dns_weird(m, "DNS_RR_bad_length");
        return false;
    }
    const uint8_t *bytes = rd_bytes(&m->rest, 4);
    struct addr address = addr_v4(bytes);
    answer_address(m, &address);
    return true;
}

static bool read_aaaa(struct dns_message *m)
{
    struct addr address;
    for (unsigned i = 0; i < sizeof address.b; i += 4) {
        uint32_t word = __builtin_bswap32(dns_take_be32(&m->rest));
        memcpy(address.b + i, &word, sizeof word);
    }
    answer_address(m, &address);
    return true;
}

static void check_size(struct dns_message *m, size_t before)
{
    if (before - rd_left(&m->rest) != m->rd_size)
        dns_weird(m, "DNS_RR_length_mismatch");
}

/* NS, CNAME, PTR; with some bytes before the name, MX and SRV. */
static bool read_name(struct dns_message *m, unsigned n_shorts_before)
{
    size_t before = rd_left(&m->rest);
    for (unsigned i = 0; i < n_shorts_before; i++)
        dns_take_be16(&m->rest);
    struct dns_name name;
    dns_name_read(m, DNS_NAME_LOWER, &name);
    check_size(m, before);
    answer_name(m, &name);
    return true;
}

static bool read_srv(struct dns_message *m)
{
    /* On NetBIOS' port this number is a node's status, which is not looked at. */
    return m->netbios_responder ? true : read_name(m, 3);
}

static bool read_soa(struct dns_message *m)
{
    size_t before = rd_left(&m->rest);
    struct dns_name server, mailbox;
    dns_name_read(m, DNS_NAME_LOWER, &server);
    dns_name_read(m, DNS_NAME_LOWER, &mailbox);
    if (rd_left(&m->rest) < 20)
        return false;
    rd_skip(&m->rest, 20);
    check_size(m, before);
    answer_name(m, &server);
    return true;
}

static bool read_wks(struct dns_message *m)
{
    if (answer_begin(m))
        dns_answers_end(&m->answers); /* no text */
    return true;
}

/* The next string of a record that has `left` bytes left; false when there is none. */
static bool take_string(struct dns_message *m, size_t *left, struct str *out)
{
    if (*left == 0)
        return false;
    uint8_t len = rd_u8(&m->rest);
    --*left;
    if (len > *left) {
        dns_weird(m, "DNS_TXT_char_str_past_rdlen");
        return false;
    }
    *out = str_make(rd_bytes(&m->rest, len), len);
    *left -= len;
    return true;
}

/* TXT and SPF: each string behind its kind and its length. */
static bool read_strings(struct dns_message *m, struct str kind)
{
    bool wanted = answer_begin(m);
    size_t left = m->rd_size;
    struct str text;
    for (bool first = true; take_string(m, &left, &text); first = false) {
        if (!wanted)
            continue;
        if (!first)
            dns_answers_add_text(&m->answers, " ");
        dns_answers_add_str(&m->answers, kind);
        dns_answers_add_text(&m->answers, " ");
        dns_answers_add_number(&m->answers, text.len);
        dns_answers_add_text(&m->answers, " ");
        dns_answers_add_str(&m->answers, text);
    }
    if (wanted)
        dns_answers_end(&m->answers);
    return left == 0;
}

static bool read_naptr(struct dns_message *m)
{
    uint16_t order = dns_take_be16(&m->rest);
    uint16_t preference = dns_take_be16(&m->rest);
    if (rd_left(&m->rest) == 0 || m->rd_size <= 4) {
        m->violation = "DNS_NAPTR_too_short";
        return false;
    }
    size_t left = m->rd_size - 4u;
    struct str flags = {0}, service = {0}, expression = {0};
    bool whole = take_string(m, &left, &flags);
    whole = take_string(m, &left, &service) && whole;
    whole = take_string(m, &left, &expression) && whole;
    struct dns_name replacement;
    dns_name_read(m, DNS_NAME_AS_IT_IS, &replacement);
    if (!whole) {
        m->violation = "DNS_NAPTR_RR_too_short";
        return false;
    }
    if (!answer_begin(m))
        return true;
    dns_answers_add_text(&m->answers, "NAPTR ");
    dns_answers_add_number(&m->answers, order);
    dns_answers_add_text(&m->answers, " ");
    dns_answers_add_number(&m->answers, preference);
    dns_answers_add_text(&m->answers, " ");
    dns_answers_add_str(&m->answers, flags);
    dns_answers_add_text(&m->answers, " ");
    dns_answers_add_str(&m->answers, service);
    dns_answers_add_text(&m->answers, " ");
    dns_answers_add_str(&m->answers, expression);
    if (expression.len > 0 && replacement.len > 0)
        dns_answers_add_text(&m->answers, " ");
    dns_answers_add_str(&m->answers, dns_name_str(&replacement));
    dns_answers_end(&m->answers);
    return true;
}

static bool read_loc(struct dns_message *m)
{
    if (rd_left(&m->rest) < 15)
        return false;
    uint16_t version_size = dns_take_be16(&m->rest);
    uint16_t precisions = dns_take_be16(&m->rest);
    for (unsigned i = 0; i < 3; i++) /* latitude, longitude, altitude */
        dns_take_be32(&m->rest);
    if (version_size >> 8 != 0)
        dns_weird_number(m, "DNS_LOC_version_unrecognized", version_size >> 8);
    if (!answer_begin(m))
        return true;
    dns_answers_add_text(&m->answers, "LOC:  ");
    dns_answers_add_number(&m->answers, version_size & 0xff);
    dns_answers_add_text(&m->answers, " ");
    dns_answers_add_number(&m->answers, precisions >> 8);
    dns_answers_add_text(&m->answers, " ");
    dns_answers_add_number(&m->answers, precisions & 0xff);
    dns_answers_end(&m->answers);
    return true;
}

/* SVCB and HTTPS (RFC 9460) are read, and not logged. */
static bool read_svcb(struct dns_message *m)
{
    size_t before = rd_left(&m->rest);
    if (before < 3) {
        dns_weird(m, "DNS_SVCB_wrong_length");
        return false;
    }
    dns_take_be16(&m->rest);
    struct dns_name target;
    dns_name_read(m, DNS_NAME_SKIP, &target);
    size_t used = before - rd_left(&m->rest);
    if (used < m->rd_size)
        rd_skip(&m->rest, m->rd_size - used);
    return true;
}

/* OPT (RFC 6891): options, each a code and a length. Answers are no place for it. */
static bool read_opt(struct dns_message *m)
{
    while (rd_left(&m->rest) >= 4) {
        rd_be16(&m->rest);
        uint16_t size = rd_be16(&m->rest);
        if (size > rd_left(&m->rest))
            break;
        rd_skip(&m->rest, size);
    }
    if (rd_left(&m->rest) == 0)
        return true;
    dns_weird(m, "EDNS_truncated_option");
    return false;
}

static bool read_unknown(struct dns_message *m)
{
    if (answer_begin(m)) {
        dns_answers_add_text(&m->answers, "<unknown type=");
        dns_answers_add_number(&m->answers, m->type);
        dns_answers_add_text(&m->answers, ">");
        dns_answers_end(&m->answers);
    }
    dns_weird_number(m, "DNS_RR_unknown_type", m->type);
    return skip_data(m);
}

/* The kinds with an answer like "DS 8 2"; see dns_security.c. */
static bool read_security(struct dns_message *m)
{
    struct dns_security s;
    if (!dns_security_read(m, &s))
        return false;
    if (!answer_begin(m))
        return true;
    for (unsigned i = 0; i < s.n_words; i++) {
        if (i > 0)
            dns_answers_add_text(&m->answers, " ");
        dns_answers_add_str(&m->answers, s.words[i]);
    }
    for (unsigned i = 0; i < s.n_numbers; i++) {
        dns_answers_add_text(&m->answers, " ");
        dns_answers_add_number(&m->answers, s.numbers[i]);
    }
    if (s.has_name) {
        dns_answers_add_text(&m->answers, " ");
        if (s.name.len == 0 && m->type == DNS_TYPE_RRSIG)
            dns_answers_add_text(&m->answers, "<Root>");
        dns_answers_add_str(&m->answers, dns_name_str(&s.name));
    }
    for (unsigned i = 0; i < s.fingerprint.len; i++) {
        static const char hex[] = "0123456789abcdef";
        uint8_t byte = (uint8_t)s.fingerprint.at[i];
        char digits[3] = {hex[byte >> 4], hex[byte & 15]};
        dns_answers_add(&m->answers, digits, 2);
    }
    dns_answers_end(&m->answers);
    return true;
}

static bool read_data(struct dns_message *m)
{
    switch (m->type) {
    case DNS_TYPE_A:
        return read_a(m);
    case DNS_TYPE_AAAA:
    case DNS_TYPE_A6:
        return read_aaaa(m);
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
    case DNS_TYPE_PTR:
        return read_name(m, 0);
    case DNS_TYPE_MX:
        return read_name(m, 1);
    case DNS_TYPE_SRV:
        return read_srv(m);
    case DNS_TYPE_SOA:
        return read_soa(m);
    case DNS_TYPE_WKS:
        return read_wks(m);
    case DNS_TYPE_TXT:
        return read_strings(m, STR("TXT"));
    case DNS_TYPE_SPF:
        return read_strings(m, STR("SPF"));
    case DNS_TYPE_NAPTR:
        return read_naptr(m);
    case DNS_TYPE_LOC:
        return read_loc(m);
    case DNS_TYPE_SVCB:
    case DNS_TYPE_HTTPS:
        return read_svcb(m);
    case DNS_TYPE_OPT:
        return read_opt(m);
    case DNS_TYPE_HINFO:
    case DNS_TYPE_CAA:
    case DNS_TYPE_TKEY:
    case DNS_TYPE_NBS:
        return skip_data(m); /* of these dns.log says nothing */
    case DNS_TYPE_RRSIG:
    case DNS_TYPE_DNSKEY:
    case DNS_TYPE_NSEC:
    case DNS_TYPE_NSEC3:
    case DNS_TYPE_NSEC3PARAM:
    case DNS_TYPE_DS:
    case DNS_TYPE_BINDS:
    case DNS_TYPE_SSHFP:
        return read_security(m);
    case DNS_TYPE_TSIG:
        return dns_security_skip_tsig(m);
    default:
        return read_unknown(m);
    }
}

bool dns_record_read(struct dns_message *m)
{
    m->owner = m->rest;
    dns_name_read(m, m->is_answer && !m->has_answer ? DNS_NAME_LOWER : DNS_NAME_SKIP, &m->answered);
    if (rd_left(&m->rest) < 4) {
        dns_weird(m, "DNS_truncated_ans_too_short");
        return false;
    }
    m->type = rd_be16(&m->rest);
    m->class = rd_be16(&m->rest);
    m->ttl = dns_take_be32(&m->rest);
    m->rd_size = dns_take_be16(&m->rest);
    if (m->rd_size > rd_left(&m->rest)) {
        dns_weird(m, "DNS_truncated_RR_rdlength_lt_len");
        return false;
    }
    if (m->rd_size == 0 && rd_left(&m->rest) > 0) {
        dns_weird(m, "DNS_zero_rdlength");
        return false;
    }
    return read_data(m);
}
