/* "Did you mean": the known word that is nearest to what was written. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

struct nearest {
    const char *asked;
    const char *word; /* the nearest so far; NULL: none is near */
    unsigned least;   /* edits that turn one into the other */
};

/* `asked` is borrowed. A short word has to be nearer than a long one. */
struct nearest nearest_begin(const char *asked);

/* `word` is borrowed too. Of two that are equally near the first stays. */
void nearest_try(struct nearest *nearest, const char *word);

/* "; did you mean 'WORD'?" or nothing. */
#define NEAREST_TEXT_MAX 96
const char *nearest_text(const struct nearest *nearest, char out[NEAREST_TEXT_MAX]);

#endif
