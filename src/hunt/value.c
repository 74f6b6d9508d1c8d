/* The values of log columns from their text. */
#include "hunt/value.h"
#include "base/text.h"

#define NS_PER_S 1000000000

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* value * 10^power, rounded to the nearest. */
static uint64_t scale_by(uint64_t value, int power)
{
    if (value == 0)
        return 0;
    for (; power > 0; power--)
        if (__builtin_mul_overflow(value, 10u, &value))
            return UINT64_MAX;
    if (power < -20)
        return 0;
    uint64_t divisor = 1;
    for (; power < -1 && value; power++) {
        if (divisor > UINT64_MAX / 10) {
            value /= 10;
            continue;
        }
        divisor *= 10;
    }
    if (power == -1) {
        if (divisor > UINT64_MAX / 10)
            value /= 10;
        else
            divisor *= 10;
    }
    return value / divisor + (value % divisor >= divisor - divisor / 2 && divisor > 1);
}

/* Digits that no longer fit are counted in `power`; the first of them rounds. */
struct digits {
    uint64_t value;
    int power;
    bool any, full;
};

static const char *take_digits(const char *at, const char *end, bool fraction, struct digits *d)
{
    for (; at < end && is_digit(*at); at++) {
        d->any = true;
        if (!d->full && d->value < UINT64_C(1000000000000000000)) {
            d->value = d->value * 10 + (uint64_t)(*at - '0');
            d->power -= fraction;
            continue;
        }
        if (!d->full)
            d->value += *at >= '5';
        d->full = true;
        d->power += !fraction;
    }
    return at;
}

static bool take_exponent(const char *at, const char *end, struct digits *d)
{
    int exponent = 0;
    bool minus = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end)
        return false;
    for (; at < end && is_digit(*at); at++)
        if (exponent < 10000)
            exponent = exponent * 10 + (*at - '0');
    d->power += minus ? -exponent : exponent;
    return at == end;
}

/* Few digits, and none finer than what is wanted: nearly all numbers are so. */
static bool plain_decimal(struct str text, unsigned scale, int64_t *out)
{
    static const uint64_t powers[] = {1,      10,      100,      1000,      10000,
                                      100000, 1000000, 10000000, 100000000, 1000000000};
    uint64_t value = 0;
    uint32_t i = 0, whole;
    if (text.len > 18 || text.len == 0)
        return false;
    for (; i < text.len && is_digit(text.at[i]); i++)
        value = value * 10 + (uint64_t)(text.at[i] - '0');
    whole = i;
    if (i < text.len && text.at[i] == '.')
        for (i++; i < text.len && is_digit(text.at[i]); i++)
            value = value * 10 + (uint64_t)(text.at[i] - '0');
    uint32_t finer = i > whole ? i - whole - 1 : 0;
    if (i < text.len || whole == 0 || finer > scale || scale >= sizeof powers / sizeof *powers ||
        __builtin_mul_overflow(value, powers[scale - finer], &value) || value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

bool value_decimal(struct str text, unsigned scale, int64_t *out)
{
    if (plain_decimal(text, scale, out))
        return true;
    const char *at = text.at, *end = text.at + text.len;
    bool minus = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (end - at > 1000)
        return false;
    struct digits d = {0};
    at = take_digits(at, end, false, &d);
    if (at < end && *at == '.')
        at = take_digits(at + 1, end, true, &d);
    if (!d.any)
        return false;
    if (at < end && ((*at != 'e' && *at != 'E') || !take_exponent(at + 1, end, &d)))
        return false;
    uint64_t value = scale_by(d.value, d.power + (int)scale);
    if (value > INT64_MAX)
        *out = minus ? INT64_MIN : INT64_MAX;
    else
        *out = minus ? -(int64_t)value : (int64_t)value;
    return true;
}

bool value_time(struct str text, int64_t *out)
{
    return value_decimal(text, 9, out);
}

/* Digits of a fixed number; -1: others are there. */
static int fixed_number(struct str text, uint32_t at, uint32_t n)
{
    int value = 0;
    if (at + n > text.len)
        return -1;
    for (uint32_t i = at; i < at + n; i++) {
        if (!is_digit(text.at[i]))
            return -1;
        value = value * 10 + (text.at[i] - '0');
    }
    return value;
}

/* Days since the epoch of a day of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "Z", "+01:00", "+0100", or nothing. */
static bool take_zone(struct str zone, int64_t *out_seconds)
{
    *out_seconds = 0;
    if (zone.len == 0 || (zone.len == 1 && zone.at[0] == 'Z'))
        return true;
    if ((zone.len != 5 && zone.len != 6) || (zone.at[0] != '+' && zone.at[0] != '-') ||
        (zone.len == 6 && zone.at[3] != ':'))
        return false;
    int hours = fixed_number(zone, 1, 2), minutes = fixed_number(zone, zone.len - 2, 2);
    if (hours < 0 || minutes < 0)
        return false;
    *out_seconds = (hours * 60 + minutes) * (zone.at[0] == '-' ? -60 : 60);
    return true;
}

static bool iso_time(struct str text, int64_t *out)
{
    int year = fixed_number(text, 0, 4), month = fixed_number(text, 5, 2);
    int day = fixed_number(text, 8, 2), hour = fixed_number(text, 11, 2);
    int minute = fixed_number(text, 14, 2), second = fixed_number(text, 17, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 24 ||
        minute < 0 || minute > 59 || second < 0 || second > 60 || text.at[4] != '-' ||
        text.at[7] != '-' || (text.at[10] != 'T' && text.at[10] != ' '))
        return false;
    uint32_t end = 19;
    int64_t fraction = 0, zone;
    if (end < text.len && text.at[end] == '.') {
        while (++end < text.len && is_digit(text.at[end]))
            ;
        if (end == 20 || !value_decimal(str_make(text.at + 19, end - 19), 9, &fraction))
            return false;
    }
    if (!take_zone(str_from(text, end), &zone))
        return false;
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone;
    if (seconds >= INT64_MAX / NS_PER_S)
        *out = INT64_MAX;
    else if (seconds <= INT64_MIN / NS_PER_S)
        *out = INT64_MIN;
    else
        *out = seconds * NS_PER_S + fraction;
    return true;
}

/* Whole numbers are milliseconds where they would be the year 5138 or later: Zeek writes seconds
 * with a fraction, ".0" if need be. */
bool value_time_json(struct str text, int64_t *out)
{
    int64_t whole;
    if (text.len >= 19 && text.at[4] == '-')
        return iso_time(text, out);
    if (text.len >= 12 && text.len <= 14 && !memchr(text.at, '.', text.len) &&
        !memchr(text.at, 'e', text.len) && value_decimal(text, 0, &whole) &&
        whole >= INT64_C(100000000000)) {
        *out = __builtin_mul_overflow(whole, 1000000, out) ? INT64_MAX : *out;
        return true;
    }
    return value_decimal(text, 9, out);
}

static bool take_v4(const char *at, const char *end, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned octet = 0;
        const char *start = at;
        for (; at < end && is_digit(*at) && at - start < 3; at++)
            octet = octet * 10 + (unsigned)(*at - '0');
        if (at == start || octet > 255)
            return false;
        out[i] = (uint8_t)octet;
        if (i < 3 && (at == end || *at++ != '.'))
            return false;
    }
    return at == end;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = str_lower_char(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 4291, 2.2: groups, of which "::" stands for as many zeros as are missing. */
static bool take_v6(const char *at, const char *end, uint8_t out[16])
{
    uint8_t bytes[16] = {0};
    int n = 0, gap = -1;
    if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
        gap = 0;
        at += 2;
    }
    while (at < end) {
        const char *start = at;
        unsigned group = 0;
        for (; at < end && at - start < 5 && hex_value(*at) >= 0; at++)
            group = group << 4 | (unsigned)hex_value(*at);
        if (at < end && *at == '.') {
            if (n > 12 || !take_v4(start, end, bytes + n))
                return false;
            n += 4;
            at = end;
            break;
        }
        if (at == start || at - start > 4 || n > 14)
            return false;
        bytes[n++] = (uint8_t)(group >> 8);
        bytes[n++] = (uint8_t)group;
        if (at == end)
            break;
        if (*at++ != ':' || at == end)
            return false;
        if (*at == ':') {
            if (gap >= 0)
                return false;
            gap = n;
            at++;
        }
    }
    if (gap < 0 ? n != 16 : n > 14)
        return false;
    memset(out, 0, 16);
    if (gap < 0)
        gap = 16;
    memcpy(out, bytes, (size_t)(gap < n ? gap : n));
    if (gap < n)
        memcpy(out + 16 - (n - gap), bytes + gap, (size_t)(n - gap));
    return true;
}

bool value_addr(struct str text, struct addr *out)
{
    uint8_t bytes[16];
    const char *end = text.at + text.len;
    if (text.len < 2 || text.len >= ADDR_TEXT_MAX)
        return false;
    if (take_v4(text.at, end, bytes))
        *out = addr_v4(bytes);
    else if (take_v6(text.at, end, bytes))
        *out = addr_v6(bytes);
    else
        return false;
    return true;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t value_hash(struct str text)
{
    const char *at = text.at;
    size_t left = text.len;
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) ^ text.len, word;
    for (; left >= 8; at += 8, left -= 8) {
        memcpy(&word, at, 8);
        hash = fold(hash ^ word, UINT64_C(0xd6e8feb86659fd93));
    }
    word = 0;
    if (left)
        memcpy(&word, at, left);
    hash = fold(hash ^ word, UINT64_C(0xa0761d6478bd642f));
    hash = fold(hash ^ UINT64_C(0xe7037ed1a0b428db), UINT64_C(0x8ebc6af09c88c6e3));
    return hash ? hash : 1;
}

/* The byte of "\xNN" that begins at `at`, or -1. */
static int hex_byte(struct str text, uint32_t at)
{
    if (text.len - at < 4 || text.at[at + 1] != 'x')
        return -1;
    int high = hex_value(text.at[at + 2]), low = hex_value(text.at[at + 3]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Names are compared and shown up to a NUL, which would make "bank.com\0.evil.net" that of a bank:
 * it stays as it is written in TSV. */
static size_t put_nul(char *out)
{
    memcpy(out, "\\x00", 4);
    return 4;
}

size_t value_unescape_tsv(struct str text, char *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < text.len;) {
        int byte = text.at[i] == '\\' ? hex_byte(text, i) : -1;
        if (byte == 0) {
            n += put_nul(out + n);
            i += 4;
            continue;
        }
        if (byte > 0) {
            out[n++] = (char)byte;
            i += 4;
            continue;
        }
        if (text.at[i] == '\\' && text.len - i > 1 && text.at[i + 1] == '\\')
            i++;
        out[n++] = text.at[i++];
    }
    return n;
}

static int take_code(struct str text, uint32_t at)
{
    int code = 0;
    if (text.len - at < 6 || text.at[at] != '\\' || text.at[at + 1] != 'u')
        return -1;
    for (uint32_t i = at + 2; i < at + 6; i++) {
        int digit = hex_value(text.at[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

size_t value_unescape_json(struct str text, char *out)
{
    static const char plain[256] = {['b'] = '\b', ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r',
                                    ['t'] = '\t', ['"'] = '"',  ['\\'] = '\\', ['/'] = '/'};
    size_t n = 0;
    for (uint32_t i = 0; i < text.len;) {
        if (text.at[i] != '\\' || text.len - i < 2) {
            out[n++] = text.at[i++];
            continue;
        }
        char next = text.at[i + 1];
        int code = next == 'u' ? take_code(text, i) : -1;
        /* Bytes that are no UTF-8 are written as \\xNN; a visible character never is. */
        int byte = next == '\\' ? hex_byte(str_from(text, i + 1), 0) : -1;
        if (byte == 0 || code == 0) {
            n += put_nul(out + n);
            i += byte == 0 ? 5 : 6;
        } else if (byte > 0 && (byte < 0x20 || byte > 0x7e)) {
            out[n++] = (char)byte;
            i += 5;
        } else if (code >= 0) {
            i += 6;
            int low = code >= 0xd800 && code < 0xdc00 ? take_code(text, i) : -1;
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
                i += 6;
            }
            n += text_put_utf8((uint32_t)code, out + n);
        } else if (plain[(uint8_t)next]) {
            out[n++] = plain[(uint8_t)next];
            i += 2;
        } else {
            out[n++] = text.at[i++];
        }
    }
    return n;
}
