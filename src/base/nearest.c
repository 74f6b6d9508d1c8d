/* The nearest known word: see nearest.h. */
#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#define MAX_WORD 63
#define TOO_FAR  99

/* How many edits turn one into the other. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[MAX_WORD + 1];
    size_t n = strlen(b);
    if (n >= MAX_WORD || strnlen(a, MAX_WORD) >= MAX_WORD)
        return TOO_FAR;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

struct nearest nearest_begin(const char *asked)
{
    size_t len = strlen(asked);
    len = len < MAX_WORD ? len : MAX_WORD;
    return (struct nearest){.asked = asked, .least = len < 4 ? 2 : len < 6 ? 3 : 4};
}

void nearest_try(struct nearest *nearest, const char *word)
{
    unsigned d = distance(nearest->asked, word);
    if (d < nearest->least) {
        nearest->least = d;
        nearest->word = word;
    }
}

const char *nearest_text(const struct nearest *nearest, char out[NEAREST_TEXT_MAX])
{
    out[0] = '\0';
    if (nearest->word)
        (void)snprintf(out, NEAREST_TEXT_MAX, "; did you mean '%s'?", nearest->word);
    return out;
}
