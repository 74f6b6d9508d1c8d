/* Between nft.c, nft_rules.c, nft_text.c and nft_read.c: a table as JSON, as nft takes and prints
 * it, and as text in nft's own words. The text is what is compared, too: nft's versions print the
 * same rule as different JSON, of which one text is made. */
#ifndef LINUX_NFT_PARTS_H
#define LINUX_NFT_PARTS_H

#include <jansson.h>

#include "base/program.h"
#include "linux/nft.h"

#define NFT_PREFIX "cloudspan_"

#define NFT_RECEIVED "received"
#define NFT_SENT     "sent"
#define NFT_EXCLUDED "excluded"
#define NFT_TAGGED   "excluded_tagged" /* behind VLAN tags that are in the frame's bytes */

/* "cloudspan_NAME". */
#define NFT_TABLE_MAX (sizeof NFT_PREFIX + 32)
void nft_table_name(const char *mirror, char out[NFT_TABLE_MAX]);

/* The other way; false: it is no mirror's table. */
bool nft_mirror_of(const char *table, char out[32]);

/* Whether the exclusion is about the packets of this family. */
bool nft_concerns(int family, const struct linux_exclusion *exclusion);

/* [{"table": …}, {"chain": …}, …, {"rule": …}, …] of the table that should be there; NULL: no
 * memory. The caller's. */
json_t *nft_rules_make(const struct linux_nft *want);

/* Runs nft. Where it refuses, the code tells why and `out` is empty. -EOPNOTSUPP: the kernel has no
 * such thing, or what was named is not there. */
int nft_run(const char *const *arguments, const char *in, struct program_result *out,
            struct err *err) MUST_CHECK;

/* Takes `commands` over: [{"add": …}, …], all or none of which are done. */
int nft_run_commands(json_t *commands, struct err *err) MUST_CHECK;

/* Makes the table of what is known to be right, or its chains alone. */
int nft_make(const struct linux_nft *want, bool with_rules, struct err *err) MUST_CHECK;

/* One rule's expressions, and one chain's head ("type filter hook …"; "": it has none), as text. */
void nft_put_rule(const json_t *expressions, struct text *out);
void nft_put_head(const json_t *chain, struct text *out);

/* The table's chains with their rules. `comment`: of the table; NULL: none is written. */
void nft_put_table(const json_t *objects, const char *comment, struct text *out);

/* A device's name that means the same inside quotes, to nft and to a shell's here-document. */
bool nft_is_device(const char *name);

/* The string of that name, or "". */
const char *nft_string(const json_t *object, const char *name);

#endif
