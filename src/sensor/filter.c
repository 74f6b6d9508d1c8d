/* Filters: see filter.h. One program for each kind of inner frame: Ethernet, and bare IP. */
#include "sensor/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

struct filter {
    struct bpf_program ethernet, ip;
};

static int compile(const char *expression, int link, struct bpf_program *out, struct err *err)
{
    pcap_t *pcap = pcap_open_dead(link, 262144);
    if (!pcap)
        return err_set(err, -ENOMEM, "out of memory");
    int result = 0;
    if (pcap_compile(pcap, out, expression, 1, PCAP_NETMASK_UNKNOWN) < 0)
        result = err_set(err, -EINVAL, "filter '%s': %s", expression, pcap_geterr(pcap));
    pcap_close(pcap);
    return result;
}

int filter_compile(const char *expression, struct filter **out, struct err *err)
{
    struct filter *filter = calloc(1, sizeof *filter);
    if (!filter)
        return err_set(err, -ENOMEM, "out of memory");
    int result = compile(expression, DLT_EN10MB, &filter->ethernet, err);
    if (result == 0) {
        struct err ignored;
        /* An expression about Ethernet has no meaning for bare IP: nothing passes then. */
        if (compile(expression, DLT_RAW, &filter->ip, &ignored) < 0)
            memset(&filter->ip, 0, sizeof filter->ip);
        *out = filter;
    } else {
        free(filter);
    }
    return result;
}

void filter_free(struct filter *filter)
{
    if (!filter)
        return;
    pcap_freecode(&filter->ethernet);
    if (filter->ip.bf_insns)
        pcap_freecode(&filter->ip);
    free(filter);
}

bool filter_passes(const struct filter *filter, const struct packet *p)
{
    const struct bpf_program *program = &filter->ethernet;
    const uint8_t *bytes = p->frame;
    uint32_t size = p->frame_size, wire = p->frame_wire_size;
    if (p->frame_link != LINK_ETHERNET || p->reassembled) { /* the frame is the last fragment's */
        if (p->kind != PACKET_IP)
            return false;
        program = &filter->ip;
        bytes = p->ip;
        size = p->ip_size;
        wire = p->ip_len;
    }
    return program->bf_insns && bpf_filter(program->bf_insns, bytes, wire, size) != 0;
}
