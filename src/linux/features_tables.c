/* Attempts at nftables' and iptables' ways to copy: see features_try.h. */
#include "linux/features_try.h"
#include "linux/iptables.h"
#include "linux/nft.h"

int features_try_nft_in(struct err *err)
{
    return linux_nft_can(LINUX_NFT_CAN_NETDEV_IN, err);
}

int features_try_nft_out(struct err *err)
{
    return linux_nft_can(LINUX_NFT_CAN_NETDEV_OUT, err);
}

int features_try_nft_ip(struct err *err)
{
    return linux_nft_can(LINUX_NFT_CAN_IP, err);
}

int features_try_nft_ip6(struct err *err)
{
    return linux_nft_can(LINUX_NFT_CAN_IP6, err);
}

int features_try_tee(struct err *err)
{
    return linux_tee_can(LINUX_TEE_CAN_4, err);
}

int features_try_tee6(struct err *err)
{
    return linux_tee_can(LINUX_TEE_CAN_6, err);
}

int features_try_tee_filter(struct err *err)
{
    return linux_tee_can(LINUX_TEE_CAN_FILTER_4, err);
}
