/* What AWS says of instance types in its guide to Traffic Mirroring. The lists change as types
 * come: nothing is refused because of the newer ones. See aws.h. */
#include <string.h>

#include "mirror/aws.h"

/* Of before the Nitro system, and never among those that can be mirrored. */
static const char *const old[] = {"c1", "c3", "cc2", "cg1", "cr1", "g2", "hi1", "hs1",
                                  "i2", "m1", "m2",  "m3",  "r3",  "t1", "t2",  NULL};

/* Families (what stands before the point) whose virtual machines can be mirrored, as of
 * AWS_SOURCES_AS_OF. */
static const char *const sources[] = {
    "a1",           "c4",        "c5",         "c5a",       "c5ad",       "c5d",      "c5n",
    "c6a",          "c6g",       "c6gd",       "c6gn",      "c6i",        "c6id",     "c6in",
    "c7a",          "c7g",       "c7gd",       "c7i",       "c7i-flex",   "d2",       "d3",
    "d3en",         "dl1",       "dl2q",       "f2",        "g3",         "g4ad",     "g4dn",
    "g5",           "g5g",       "g6",         "g6e",       "g6f",        "gr6",      "gr6f",
    "h1",           "hpc6a",     "hpc6id",     "hpc7a",     "i3",         "i3en",     "i4g",
    "i4i",          "i7i",       "im4gn",      "inf1",      "inf2",       "is4gen",   "m4",
    "m5",           "m5a",       "m5ad",       "m5d",       "m5dn",       "m5n",      "m5zn",
    "m6a",          "m6g",       "m6gd",       "m6i",       "m6id",       "m6idn",    "m6in",
    "m7a",          "m7g",       "m7gd",       "m7i",       "m7i-flex",   "mac1",     "mac2",
    "mac2-m1ultra", "mac2-m2",   "mac2-m2pro", "p3",        "p3dn",       "p4d",      "p4de",
    "p5",           "p5e",       "r4",         "r5",        "r5a",        "r5ad",     "r5b",
    "r5d",          "r5dn",      "r5n",        "r6a",       "r6g",        "r6gd",     "r6i",
    "r6id",         "r6idn",     "r6in",       "r7a",       "r7g",        "r7gd",     "r7i",
    "r7iz",         "t3",        "t3a",        "t4g",       "trn1",       "trn1n",    "u-12tb1",
    "u-18tb1",      "u-24tb1",   "u-3tb1",     "u-6tb1",    "u-9tb1",     "u7i-12tb", "u7i-6tb",
    "u7i-8tb",      "u7in-16tb", "u7in-24tb",  "u7in-32tb", "u7inh-32tb", "vt1",      "x1",
    "x1e",          "x2gd",      "x2idn",      "x2iedn",    "x2iezn",     "z1d",      NULL};

/* And those whose bare metal can: of the second Nitro version alone. */
static const char *const bare_sources[] = {
    "a1",  "c5",  "c5d",  "c6g",  "c6gd", "g5g",          "i3",      "m5",
    "m5d", "m6g", "m6gd", "mac1", "mac2", "mac2-m1ultra", "mac2-m2", "mac2-m2pro",
    "r5",  "r5b", "r5d",  "r6g",  "r6gd", "x2gd",         "z1d",     NULL};

/* Take 100 sources as a target, by type; all others 10. As of AWS_TARGETS_AS_OF. */
static const char *const large[] = {"c5.18xlarge",         "c5.24xlarge",
                                    "c5d.18xlarge",        "c5d.24xlarge",
                                    "c5n.18xlarge",        "c6a.48xlarge",
                                    "c6g.16xlarge",        "c6gd.16xlarge",
                                    "c6gn.16xlarge",       "c6i.32xlarge",
                                    "c6id.32xlarge",       "c6in.32xlarge",
                                    "c7a.48xlarge",        "c7gn.16xlarge",
                                    "c7i.48xlarge",        "c8a.48xlarge",
                                    "c8g.48xlarge",        "c8gb.24xlarge",
                                    "c8gb.48xlarge",       "c8gd.48xlarge",
                                    "c8gn.24xlarge",       "c8gn.48xlarge",
                                    "c8i.96xlarge",        "c8id.96xlarge",
                                    "dl1.24xlarge",        "dl2q.24xlarge",
                                    "f2.48xlarge",         "g5.48xlarge",
                                    "g5g.16xlarge",        "g6.48xlarge",
                                    "g6e.12xlarge",        "g6e.24xlarge",
                                    "g6e.48xlarge",        "g7e.12xlarge",
                                    "g7e.24xlarge",        "g7e.48xlarge",
                                    "hpc6a.48xlarge",      "hpc6id.32xlarge",
                                    "hpc7a.12xlarge",      "hpc7a.24xlarge",
                                    "hpc7a.48xlarge",      "hpc7a.96xlarge",
                                    "hpc7g.16xlarge",      "hpc7g.4xlarge",
                                    "hpc7g.8xlarge",       "hpc8a.96xlarge",
                                    "i3en.24xlarge",       "i4g.16xlarge",
                                    "i4i.32xlarge",        "i7i.48xlarge",
                                    "i7ie.48xlarge",       "i8g.48xlarge",
                                    "i8ge.48xlarge",       "im4gn.16xlarge",
                                    "inf1.24xlarge",       "inf2.48xlarge",
                                    "m5.24xlarge",         "m5d.24xlarge",
                                    "m5dn.24xlarge",       "m5n.24xlarge",
                                    "m5zn.12xlarge",       "m6a.48xlarge",
                                    "m6g.16xlarge",        "m6gd.16xlarge",
                                    "m6i.32xlarge",        "m6id.32xlarge",
                                    "m6idn.32xlarge",      "m6in.32xlarge",
                                    "m7a.48xlarge",        "m7i.48xlarge",
                                    "m8a.48xlarge",        "m8azn.24xlarge",
                                    "m8g.48xlarge",        "m8gb.24xlarge",
                                    "m8gb.48xlarge",       "m8gd.48xlarge",
                                    "m8gn.24xlarge",       "m8gn.48xlarge",
                                    "m8i.96xlarge",        "m8id.96xlarge",
                                    "p3dn.24xlarge",       "p4d.24xlarge",
                                    "p4de.24xlarge",       "p5.48xlarge",
                                    "p5.4xlarge",          "p5e.48xlarge",
                                    "p5en.48xlarge",       "p6-b200.48xlarge",
                                    "p6-b300.48xlarge",    "p6e-gb200.36xlarge",
                                    "r5.24xlarge",         "r5b.24xlarge",
                                    "r5d.24xlarge",        "r5dn.24xlarge",
                                    "r5n.24xlarge",        "r6a.48xlarge",
                                    "r6g.16xlarge",        "r6gd.16xlarge",
                                    "r6i.32xlarge",        "r6id.32xlarge",
                                    "r6idn.32xlarge",      "r6in.32xlarge",
                                    "r7a.48xlarge",        "r7i.48xlarge",
                                    "r7iz.32xlarge",       "r8a.48xlarge",
                                    "r8g.48xlarge",        "r8gb.24xlarge",
                                    "r8gb.48xlarge",       "r8gd.48xlarge",
                                    "r8gn.24xlarge",       "r8gn.48xlarge",
                                    "r8i.96xlarge",        "r8id.96xlarge",
                                    "trn1.32xlarge",       "trn1n.32xlarge",
                                    "trn2.3xlarge",        "trn2.48xlarge",
                                    "trn2u.48xlarge",      "u-12tb1.112xlarge",
                                    "u-18tb1.112xlarge",   "u-24tb1.112xlarge",
                                    "u-6tb1.112xlarge",    "u-6tb1.56xlarge",
                                    "u-9tb1.112xlarge",    "u7i-12tb.224xlarge",
                                    "u7i-6tb.112xlarge",   "u7i-8tb.112xlarge",
                                    "u7in-16tb.224xlarge", "u7in-24tb.224xlarge",
                                    "u7in-32tb.224xlarge", "u7inh-32tb.480xlarge",
                                    "vt1.24xlarge",        "x2gd.16xlarge",
                                    "x2idn.32xlarge",      "x2iedn.32xlarge",
                                    "x2iezn.12xlarge",     "x8aedz.24xlarge",
                                    "x8g.48xlarge",        "x8i.96xlarge",
                                    "z1d.12xlarge",        NULL};

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
    bool is_bare = strncmp(type + strcspn(type, "."), ".metal", 6) == 0;
    return type[0] && !has_family(is_bare ? bare_sources : sources, type);
}

bool aws_type_is_large(const char *type)
{
    for (size_t i = 0; large[i]; i++)
        if (strcmp(large[i], type) == 0)
            return true;
    return false;
}
