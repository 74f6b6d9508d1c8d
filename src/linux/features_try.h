/* For features.c only: the attempts. Each is made in a scratch network namespace, and leaves there
 * what it made. */
#ifndef LINUX_FEATURES_TRY_H
#define LINUX_FEATURES_TRY_H

#include "base/err.h"

int features_try_clsact(struct err *err) MUST_CHECK; /* first: the next need it */
int features_try_matchall(struct err *err) MUST_CHECK;
int features_try_u32(struct err *err) MUST_CHECK;
int features_try_bpf(struct err *err) MUST_CHECK;
int features_try_mirred(struct err *err) MUST_CHECK;
int features_try_police(struct err *err) MUST_CHECK;
int features_try_gact(struct err *err) MUST_CHECK;
int features_try_tunnel_key(struct err *err) MUST_CHECK;
int features_try_vxlan(struct err *err) MUST_CHECK;
int features_try_geneve(struct err *err) MUST_CHECK;
int features_try_gretap(struct err *err) MUST_CHECK;
int features_try_erspan1(struct err *err) MUST_CHECK;
int features_try_erspan2(struct err *err) MUST_CHECK;
int features_try_erspan3(struct err *err) MUST_CHECK;
int features_try_ip6gretap(struct err *err) MUST_CHECK;
int features_try_ip6erspan2(struct err *err) MUST_CHECK;
int features_try_ip6erspan3(struct err *err) MUST_CHECK;
int features_try_vlan(struct err *err) MUST_CHECK;

/* nftables and iptables: features_tables.c. */
int features_try_nft_in(struct err *err);
int features_try_nft_out(struct err *err);
int features_try_nft_ip(struct err *err);
int features_try_nft_ip6(struct err *err);
int features_try_tee(struct err *err);
int features_try_tee6(struct err *err);
int features_try_tee_filter(struct err *err);

#endif
