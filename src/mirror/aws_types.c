/* What AWS says of instance types: as of AWS_TYPES_AS_OF, in its guide to Traffic Mirroring. The
 * list of newer ones changes: nothing is refused because of it. See aws.h. */
#include <string.h>

#include "mirror/aws.h"

static const char *const old[] = {"c1", "c3", "cc2", "cg1", "cr1", "g2", "hi1", "hs1",
                                  "i2", "m1", "m2",  "m3",  "r3",  "t1", "t2",  NULL};

/* "can't be mirrored", by family: what stands before the point. */
static const char *const unfit[] = {
    "c6a",   "c6gd",  "c6gn",   "c6i",      "c6id",   "c6in",  "c7a",   "c7g",  "c7gd",
    "c7gn",  "c7i",   "c8g",    "hpc6a",    "hpc6id", "hpc7a", "hpc7g", "i4g",  "i4i",
    "im4gn", "inf2",  "is4gen", "m6a",      "m6i",    "m6id",  "m6idn", "m6in", "m7a",
    "m7g",   "m7gd",  "m7i",    "m7i-flex", "m8g",    "p5",    "r6a",   "r6i",  "r6id",
    "r6idn", "r6in",  "r7a",    "r7g",      "r7gd",   "r7i",   "r7iz",  "r8g",  "trn1",
    "trn1n", "x2idn", "x2iedn", "x2iezn",   "x8g",    NULL};

/* Take 100 sources as a target, by type; all others 10. */
static const char *const large[] = {
    "c4.8xlarge",    "c5.18xlarge",  "c5.24xlarge",   "c5a.24xlarge",  "c5ad.24xlarge",
    "c5d.18xlarge",  "c5d.24xlarge", "c5n.18xlarge",  "c6g.16xlarge",  "d3en.12xlarge",
    "g4dn.16xlarge", "g4dn.8xlarge", "i3.16xlarge",   "i3en.24xlarge", "inf1.24xlarge",
    "m4.16xlarge",   "m5.24xlarge",  "m5a.24xlarge",  "m5ad.24xlarge", "m5d.24xlarge",
    "m5dn.24xlarge", "m5n.24xlarge", "m5zn.12xlarge", "m6g.16xlarge",  "p3.16xlarge",
    "p3dn.24xlarge", "p4d.24xlarge", "r4.16xlarge",   "r5.24xlarge",   "r5a.24xlarge",
    "r5ad.24xlarge", "r5b.24xlarge", "r5d.24xlarge",  "r5dn.24xlarge", "r5n.24xlarge",
    "r6g.16xlarge",  "x1.32xlarge",  "x1e.32xlarge",  "z1d.12xlarge",  NULL};

static bool has_family(const char *const *families, const char *type)
{
    size_t len = strcspn(type, ".");
    for (size_t i = 0; families[i]; i++)
        if (strlen(families[i]) == len && strncmp(families[i], type, len) == 0)
            return true;
    return false;
}

bool aws_type_is_old(const char *type)
{
    return has_family(old, type);
}

bool aws_type_is_unfit(const char *type)
{
    return has_family(unfit, type) || strncmp(type + strcspn(type, "."), ".metal", 6) == 0;
}

bool aws_type_is_large(const char *type)
{
    for (size_t i = 0; large[i]; i++)
        if (strcmp(large[i], type) == 0)
            return true;
    return false;
}
