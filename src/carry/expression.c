/* Filters for the kernel: see expression.h. libpcap only knows that the kernel keeps tags beside
 * the frame when it has a socket on the interface. */
#include "carry/expression.h"

#include <errno.h>
#include <string.h>

#include "net/packet.h"

#define SNAP 262144

static int open_live(const char *interface, pcap_t **out, struct err *err)
{
    char text[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = pcap_create(interface, text);
    if (!pcap)
        return err_set(err, -EIO, "interface %s: %s", interface, text);
    (void)pcap_set_snaplen(pcap, SNAP); /* these fail only where it is active already */
    (void)pcap_set_promisc(pcap, 0);
    int code = pcap_activate(pcap);
    if (code < 0) {
        code = code == PCAP_ERROR_PERM_DENIED      ? -EPERM
               : code == PCAP_ERROR_NO_SUCH_DEVICE ? -ENODEV
               : code == PCAP_ERROR_IFACE_NOT_UP   ? -ENETDOWN
                                                   : -EIO;
        (void)err_set(err, code, "interface %s: a filter cannot be made for it: %s", interface,
                      pcap_geterr(pcap));
        pcap_close(pcap);
        return code;
    }
    *out = pcap;
    return 0;
}

int expression_compile(const char *expression, const char *interface, uint16_t link,
                       struct bpf_program *out, struct err *err)
{
    pcap_t *pcap = NULL;
    if (link == LINK_ETHERNET) {
        int result = open_live(interface, &pcap, err);
        if (result < 0)
            return result;
    } else {
        pcap = pcap_open_dead(DLT_RAW, SNAP);
        if (!pcap)
            return err_set(err, -ENOMEM, "out of memory");
    }
    int result = 0;
    if (pcap_compile(pcap, out, expression, 1, PCAP_NETMASK_UNKNOWN) < 0)
        result = err_set(err, -EINVAL, "filter '%s': %s", expression, pcap_geterr(pcap));
    pcap_close(pcap);
    return result;
}
