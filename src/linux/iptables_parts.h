/* Between the files of iptables.h: rules as lines, in the words and the order that iptables-save
 * prints them in. */
#ifndef LINUX_IPTABLES_PARTS_H
#define LINUX_IPTABLES_PARTS_H

#include "base/program.h"
#include "linux/iptables.h"

#define TEE_PREFIX    "CSPN-"
#define TEE_MADE      "CSPN.made-" /* and "table", "PREROUTING", "POSTROUTING" */
#define TEE_COMMENT   "cloudspan "
#define TEE_CHAIN_MAX 29     /* with the NUL; the kernel's */
#define TEE_TEXT_MAX  262144 /* of one mirror's rules */

/* The mirror's chain of one direction. A long name is cut, with a hash of all of it. */
void tee_chain_name(const char *mirror, bool in, char out[TEE_CHAIN_MAX]);

/* "PREROUTING" or "POSTROUTING". */
const char *tee_hook(bool in);

bool tee_is_mirror_name(const char *name);
bool tee_is_device(const char *name);

/* "10.9.0.2/32" as iptables-save prints it, with its length; else without. */
void tee_put_address(const struct addr *address, bool with_length, struct text *out);

/* The filter as iptables takes it: "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0". */
void tee_put_filter(const struct linux_tee *tee, struct text *out);

/* Lines "-A …" of the chain of one direction, and the one that jumps to it. */
void tee_put_rules(const struct linux_tee *tee, bool in, struct text *out);
void tee_put_jump(const struct linux_tee *tee, bool in, struct text *out);

/* One mirror's lines as they are. */
struct tee_lines {
    char mirror[32];
    bool has_chain[2];    /* [in] */
    struct text rules[2]; /* of the chains, "-A …" */
    struct text jumps[2]; /* of PREROUTING and POSTROUTING */
    char strange[200];    /* "": nothing */
    struct linux_tee_found found;
};

struct tee_state {
    struct tee_lines *at;
    size_t n;
};

/* Sorts what iptables-save printed by mirrors. */
int tee_sort(const char *saved, const char *mirror, struct tee_state *out,
             struct err *err) MUST_CHECK;
void tee_state_done(struct tee_state *state);

/* Runs a program of the family, "-restore" or "-save" behind its name. */
int tee_run(int family, const char *which, const char *const *arguments, const char *in,
            struct program_result *out, struct err *err) MUST_CHECK;

/* Makes the rules of what is known to be right. */
int tee_make(const struct linux_tee *want, struct err *err) MUST_CHECK;

/* The empty chains that say what was made: those that are needed now, as lines for
 * iptables-restore; and the end of all that they tell of, where no mirror is left. */
void tee_put_marks(int family, struct text *out);
int tee_tidy(int family, struct err *err) MUST_CHECK;

#endif
