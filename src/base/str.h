/* Text as bytes and a length: never ended by a NUL, may hold one. Borrowed unless said otherwise.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at; /* NULL means unset; a set empty string has at != NULL */
    uint32_t len;
};

#define STR(literal) ((struct str){.at = (literal), .len = sizeof(literal) - 1})

static inline struct str str_make(const void *bytes, size_t len)
{
    return (struct str){.at = (const char *)bytes, .len = (uint32_t)len};
}

static inline struct str str_c(const char *text)
{
    return (struct str){.at = text, .len = text ? (uint32_t)strlen(text) : 0};
}

static inline bool str_set(struct str s)
{
    return s.at != NULL;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline char str_lower_char(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* ASCII case ignored. */
static inline bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (uint32_t i = 0; i < a.len; i++)
        if (str_lower_char(a.at[i]) != str_lower_char(b.at[i]))
            return false;
    return true;
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static inline struct str str_from(struct str s, size_t offset)
{
    if (offset > s.len)
        offset = s.len;
    return (struct str){.at = s.at + offset, .len = s.len - (uint32_t)offset};
}

static inline struct str str_upto(struct str s, size_t len)
{
    return (struct str){.at = s.at, .len = len < s.len ? (uint32_t)len : s.len};
}

/* Spaces and tabs taken off both ends. */
static inline struct str str_trim(struct str s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = str_from(s, 1);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

#endif
