/* How a text looks: see look.h. */
#include "hunt/look.h"

#include <math.h>

/* For each letter the letters that follow it in at least 1.2 % of cases, a to z from bit 0: counted
 * over 6,600 English words of manuals and 6,200 labels of ordinary DNS names. Measured on as many
 * other labels: shares of 0.07 (median), 0.25 (90 %), 0.50 (99 %); of letters by chance, 8 to 24 of
 * them: 0.14 to 0.30 (10 %), 0.45 (median). */
static const uint32_t follows[26] = {
    0x33fb96f, 0x11e7917, 0x01e5d9d, 0x016f95f, 0x0eeb97d, 0x11a493d, 0x01679d1,
    0x11e7919, 0x02ef87f, 0x11e5b73, 0x11efdbb, 0x19c491d, 0x014f113, 0x03c6d7f,
    0x07efd6f, 0x01ec995, 0x01ba909, 0x13efd7f, 0x11cdd95, 0x15e5995, 0x00eb97f,
    0x014e111, 0x0466999, 0x0cce93f, 0x3def99f, 0x34059d9,
};

double look_entropy(struct str text)
{
    /* H = log2 N - (sum of n log2 n) / N, over what is there: most texts are short. */
    uint32_t n_of[256] = {0};
    for (uint32_t i = 0; i < text.len; i++)
        n_of[(uint8_t)text.at[i]]++;
    double sum = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        uint32_t *n = &n_of[(uint8_t)text.at[i]];
        if (*n > 1)
            sum += *n * log2(*n);
        *n = 0;
    }
    if (text.len < 2)
        return 0;
    double bits = log2(text.len) - sum / text.len;
    return bits > 0 ? bits : 0;
}

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

double look_random(struct str label)
{
    double odd = 0, n = 0;
    char before = '-';
    for (uint32_t i = 0; i < label.len; i++) {
        char c = str_lower_char(label.at[i]);
        if (is_letter(before) && is_letter(c)) {
            n += 1;
            odd += follows[before - 'a'] >> (c - 'a') & 1 ? 0 : 1;
        } else if ((is_letter(before) && is_digit(c)) || (is_digit(before) && is_letter(c))) {
            /* A change between letters and digits is half as odd as two letters that never meet. */
            n += 1;
            odd += 0.5;
        }
        before = c;
    }
    return n < 6 ? -1 : odd / n;
}

struct str look_name(struct str name, char out[static 256])
{
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > 255)
        return (struct str){0};
    for (uint32_t i = 0; i < name.len; i++)
        out[i] = str_lower_char(name.at[i]);
    out[name.len] = '\0';
    return str_make(out, name.len);
}

struct str look_main_label(struct str registrable)
{
    uint32_t len = 0;
    while (len < registrable.len && registrable.at[len] != '.')
        len++;
    return str_upto(registrable, len);
}
