/* How a text looks: mixed, or made by chance. */
#ifndef HUNT_LOOK_H
#define HUNT_LOOK_H

#include "base/str.h"

/* Shannon's entropy of the bytes, in bits a byte; 0: empty. */
double look_entropy(struct str text);

/* Share (0 to 1) of neighbouring letters that words seldom have, of one label. Of ordinary names
 * nine in ten are below 0.25; of labels made by chance nine in ten are above 0.27, and the mean of
 * ten of them is near 0.45. Too short to say (below 6 pairs): negative. */
double look_random(struct str label);
#define LOOK_RANDOM 0.30 /* the mean of several above this: made by chance */

/* The name in lower case without a dot at its end; `out` has 256 bytes. Unset: empty or too long.
 */
struct str look_name(struct str name, char out[static 256]);

/* The label in front of the public suffix: "example" of www.example.co.uk. */
struct str look_main_label(struct str registrable);

#endif
