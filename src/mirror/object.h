/* What a mirror consists of: things in a kernel, a switch or a cloud. A provider says which should
 * be there and which are; the difference is the plan (plan.h). */
#ifndef MIRROR_OBJECT_H
#define MIRROR_OBJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIRROR_KIND_MAX 24  /* with the NUL */
#define MIRROR_KEY_MAX  160 /* with the NUL */
#define MIRROR_SET_MAX  65536

struct mirror_object {
    char kind[MIRROR_KIND_MAX]; /* a word of the provider's: "link", "filter", "session" */
    char key[MIRROR_KEY_MAX];   /* which of them; the same for what is wanted and what is found */

    /* Owned. Of a wanted object all that makes it the right one; a found object is right when it
     * has all of these with the same values, whatever else it has. */
    json_t *is;

    /* Owned: [[kind, key], …], objects of the same set that this one stands on. They are made
     * before it; when one of them has to be made anew, so has this. NULL: none. */
    json_t *on;

    /* Owned; what is good to know of a found object and decides nothing: its number in the kernel,
     * its counters. NULL: nothing. */
    json_t *also;

    char why[160]; /* what it is for: "copies what eth0 sends" */

    /* Of a wanted object: when the cloud refuses this one (make gives -EOPNOTSUPP, -EDQUOT,
     * -ENOENT, -EBUSY, -EEXIST or -EINVAL), the others are made all the same, and apply says which
     * were not. */
    bool may_lack;
};

/* In the order in which they are made; they are unmade in the opposite one. */
struct mirror_set {
    struct mirror_object *at;
    size_t n, capacity;
    bool failed;       /* memory, or MIRROR_SET_MAX; asked once, at the end */
    uint32_t *index;   /* numbers + 1 of objects, by the hashes of kind and key; 0: free */
    size_t index_size; /* a power of two, more than twice as many as there are objects */
};

void mirror_set_done(struct mirror_set *set);

/* A member of an object that is a text; "": it has none of that name. */
const char *mirror_text(const json_t *object, const char *name);

/* Takes `is` over, also when it fails. NULL: no memory (set->failed says it too). */
struct mirror_object *mirror_set_add(struct mirror_set *set, const char *kind, const char *key,
                                     json_t *is);
void mirror_object_on(struct mirror_set *set, struct mirror_object *object, const char *kind,
                      const char *key);
void mirror_object_why(struct mirror_object *object, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct mirror_object *mirror_set_get(const struct mirror_set *set, const char *kind,
                                     const char *key);

#endif
