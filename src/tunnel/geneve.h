/* Reading the options that a GENEVE layer came with: whose packet it is, as AWS and Google say it.
 */
#ifndef TUNNEL_GENEVE_H
#define TUNNEL_GENEVE_H

#include "net/packet.h"

/* Option classes (IANA), and the types within them. */
enum geneve_class {
    GENEVE_CLASS_AWS = 0x0108,
    GENEVE_CLASS_GOOGLE = 0x0132,
};

enum geneve_aws_type {
    GENEVE_AWS_ENDPOINT = 1,   /* 8 bytes: the gateway load balancer's endpoint interface */
    GENEVE_AWS_ATTACHMENT = 2, /* 8 bytes */
    GENEVE_AWS_COOKIE = 3,     /* 4 bytes: one value a flow */
};

enum geneve_google_type {
    GENEVE_GOOGLE_NETWORK = 1,  /* 4 bytes: network cookie (28 bits), reserved (3), egress (1) */
    GENEVE_GOOGLE_ENDPOINT = 2, /* any size */
    GENEVE_GOOGLE_PROFILE = 3,  /* 8 bytes */
};

/* The data of the first such option, the critical bit of the type not looked at; a failed reader
 * when there is none. Order and number of options are the sender's choice. */
struct reader geneve_option(const struct packet_layer *layer, uint16_t class, uint8_t type);

/* False when the option is not there or has another size. */
bool geneve_aws_eni(const struct packet_layer *layer, uint64_t *out);
bool geneve_aws_attachment(const struct packet_layer *layer, uint64_t *out);
bool geneve_aws_cookie(const struct packet_layer *layer, uint32_t *out);
bool geneve_google_network(const struct packet_layer *layer, uint32_t *out, bool *out_egress);
bool geneve_google_profile(const struct packet_layer *layer, uint64_t *out);

#endif
