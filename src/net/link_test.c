/* Every link header, alone and behind others, and every prefix of each frame. */
#include "net/frames.h"

#define IP4     "45000028 00010000 40060000 0a000001 0a000002"
#define TCP     "9c400050 00000001 00000002 5018ffff 00000000"
#define IP4_TCP IP4 TCP
#define IP6_TCP                                                                                    \
    "60000000 00140640 20010db8000000000000000000000001 20010db8000000000000000000000002" TCP
#define MACS "020000000002 020000000001 "

static const struct row {
    const char *what;
    uint16_t link;
    const char *hex;
    enum packet_kind kind;
    uint16_t vlan, inner_vlan;
    bool has_mac;
    const char *weird;
} rows[] = {
    {"Ethernet", LINK_ETHERNET, MACS "0800" IP4_TCP, PACKET_IP, .has_mac = true},
    {"Ethernet, IPv6", LINK_ETHERNET, MACS "86dd" IP6_TCP, PACKET_IP, .has_mac = true},
    {"Ethernet, wrong type", LINK_ETHERNET, MACS "0800" IP6_TCP, PACKET_IP, .has_mac = true},
    {"padded", LINK_ETHERNET, MACS "0800" IP4_TCP "000000000000", PACKET_IP, .has_mac = true},
    {"802.1Q", LINK_ETHERNET, MACS "8100 a00a 0800" IP4_TCP, PACKET_IP, 10, 0, true},
    {"QinQ", LINK_ETHERNET, MACS "88a8 0064 8100 000a 0800" IP4_TCP, PACKET_IP, 100, 10, true},
    {"QinQ of old", LINK_ETHERNET, MACS "9100 0064 9100 000a 86dd" IP6_TCP, PACKET_IP, 100, 10,
     true},
    {"three tags", LINK_ETHERNET, MACS "8100 0001 8100 0002 8100 0003 0800" IP4_TCP, PACKET_IP, 1,
     3, true},
    {"SNAP", LINK_ETHERNET, MACS "0030 aaaa03 000000 0800" IP4_TCP, PACKET_IP, .has_mac = true},
    {"SNAP of others", LINK_ETHERNET, MACS "0030 aaaa03 00000c 0800" IP4_TCP, PACKET_OTHER,
     .has_mac = true},
    {"tag and SNAP", LINK_ETHERNET, MACS "8100 0005 0030 aaaa03 000000 0800" IP4_TCP, PACKET_IP, 5,
     0, true},
    {"spanning tree", LINK_ETHERNET, MACS "0011 424203 0000000000000000000000000000", PACKET_OTHER,
     .has_mac = true},
    {"IPX", LINK_ETHERNET, MACS "0011 ffff00 0000000000000000000000000000", PACKET_OTHER,
     .has_mac = true},
    {"no type", LINK_ETHERNET, MACS "05ee" IP4_TCP, PACKET_MALFORMED, .has_mac = true,
     .weird = "undefined_ether_type"},
    {"ARP", LINK_ETHERNET, MACS "0806 0001080006040001", PACKET_ARP, .has_mac = true},
    {"RARP", LINK_ETHERNET, MACS "8035 0001080006040003", PACKET_ARP, .has_mac = true},
    {"LLDP", LINK_ETHERNET, MACS "88cc 0207040123456789ab", PACKET_OTHER, .has_mac = true},
    {"VN-tag", LINK_ETHERNET, MACS "8926 80010002 8100 0007 0800" IP4_TCP, PACKET_IP, 7, 0, true},
    {"FabricPath", LINK_ETHERNET, MACS "8903 1234" MACS "0800" IP4_TCP, PACKET_IP, .has_mac = true},
    {"provider backbone", LINK_ETHERNET, MACS "88e7 00000123" MACS "0800" IP4_TCP, PACKET_IP,
     .has_mac = true},
    {"MPLS", LINK_ETHERNET, MACS "8847 00010040 00012140" IP4_TCP, PACKET_IP, .has_mac = true},
    {"MPLS, IPv6", LINK_ETHERNET, MACS "8847 00012140" IP6_TCP, PACKET_IP, .has_mac = true},
    {"pseudo-wire", LINK_ETHERNET, MACS "8847 00012140 00000000" MACS "0800" IP4_TCP, PACKET_IP,
     .has_mac = true},
    {"pseudo-wire without control word", LINK_ETHERNET, MACS "8847 00012140" MACS "0800" IP4_TCP,
     PACKET_IP, .has_mac = true},
    {"MPLS, unknown", LINK_ETHERNET,
     MACS "8847 00012140 f0000000 0000000000000000000000000000000000000000", PACKET_MALFORMED,
     .has_mac = true, .weird = "unknown_ip_version"},
    {"PPPoE", LINK_ETHERNET, MACS "8864 1100 0001 002a 0021" IP4_TCP, PACKET_IP, .has_mac = true},
    {"PPPoE, padded", LINK_ETHERNET, MACS "8864 1100 0001 002a 0021" IP4_TCP "0000", PACKET_IP,
     .has_mac = true, .weird = "pppoe_extra_data_after_payload"},
    {"PPPoE, LCP", LINK_ETHERNET, MACS "8864 1100 0001 000a c021 0901000800000000", PACKET_OTHER,
     .has_mac = true},
    {"raw", LINK_RAW, IP4_TCP, PACKET_IP},
    {"raw, IPv6", LINK_RAW, IP6_TCP, PACKET_IP},
    {"unknown link", 999, IP4_TCP, PACKET_IP},
    {"loopback", LINK_NULL, "02000000" IP4_TCP, PACKET_IP},
    {"loopback, IPv6", LINK_NULL, "1e000000" IP6_TCP, PACKET_IP},
    {"loopback, big endian", LINK_NULL, "00000002" IP4_TCP, PACKET_IP},
    {"loop", LINK_LOOP, "0000001c" IP6_TCP, PACKET_IP},
    {"loopback, other", LINK_NULL, "07000000" IP4_TCP, PACKET_OTHER},
    {"PPP", LINK_PPP, "ff03 0021" IP4_TCP, PACKET_IP},
    {"PPP, bare", LINK_PPP, "0021" IP4_TCP, PACKET_IP},
    {"PPP, compressed", LINK_PPP, "21" IP4_TCP, PACKET_IP},
    {"PPP, MPLS", LINK_PPP, "ff03 0281 00012140" IP4_TCP, PACKET_IP},
    {"serial", LINK_PPP_SERIAL, "ff03 0057" IP6_TCP, PACKET_IP},
    {"cooked", LINK_SLL, "0000 0001 0006 0200000000010000 0800" IP4_TCP, PACKET_IP},
    {"cooked, tag", LINK_SLL, "0000 0001 0006 0200000000010000 8100 0009 0800" IP4_TCP, PACKET_IP,
     9},
    {"cooked 2", LINK_SLL2, "86dd 0000 00000002 0001 00 06 0200000000010000" IP6_TCP, PACKET_IP},
    {"nflog", LINK_NFLOG, "02000000 0500 0a00 41000000 0800 0300 00000000 2c00 0900" IP4_TCP,
     PACKET_IP},
    {"nflog, too long", LINK_NFLOG, "02000000 0001 0a00 00000000", PACKET_MALFORMED,
     .weird = "nflog_bad_tlv_len"},
    {"FDDI", LINK_FDDI, "50" MACS "aaaa03 000000 0800" IP4_TCP, PACKET_IP},
    {"802.11 to the station", LINK_IEEE802_11,
     "0802 0000 020000000001 020000000002 020000000003 0000 aaaa03 000000 0800" IP4_TCP, PACKET_IP,
     .has_mac = true},
    {"802.11 with QoS, four addresses", LINK_IEEE802_11,
     "8803 0000 020000000001 020000000002 020000000003 0000 020000000004 0000"
     "aaaa03 000000 86dd" IP6_TCP,
     PACKET_IP, .has_mac = true},
    {"802.11, encrypted", LINK_IEEE802_11,
     "0842 0000 020000000001 020000000002 020000000003 0000 0000000000000000" IP4_TCP,
     PACKET_OTHER},
    {"802.11 beacon", LINK_IEEE802_11,
     "8000 0000 ffffffffffff 020000000002 020000000003 0000 0000000000000000", PACKET_OTHER},
    {"radiotap", LINK_IEEE802_11_RADIOTAP,
     "0000 0800 00000000 0802 0000 020000000001 020000000002 020000000003 0000"
     "aaaa03 000000 0800" IP4_TCP,
     PACKET_IP, .has_mac = true},
    {"PPI", LINK_PPI, "0000 0800 01000000" MACS "0800" IP4_TCP, PACKET_IP, .has_mac = true},
    {"PPI in PPI", LINK_PPI, "0000 0800 c0000000 0000 0800 01000000" MACS "0800" IP4_TCP, PACKET_IP,
     .has_mac = true},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static void every_row_and_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &rows[i];
        struct bytes b = bytes_of(row->hex);
        for (size_t size = 0; size <= b.size; size++) {
            uint8_t *block = bytes_block(b.at, size);
            struct packet out;
            struct packet_weird weirds[PACKET_MAX_WEIRDS];
            enum packet_kind kind = decode_block(block, size, b.size, row->link, &out, weirds);
            free(block);
            if (size < b.size)
                continue;
            bool same = kind == row->kind && out.vlan == row->vlan &&
                        out.inner_vlan == row->inner_vlan && out.has_mac == row->has_mac &&
                        (out.weird ? row->weird && !strcmp(out.weird, row->weird) : !row->weird);
            if (!same)
                fail_msg("%s: kind %d, tags %u %u, weird %s", row->what, (int)kind, out.vlan,
                         out.inner_vlan, out.weird ? out.weird : "-");
            if (kind == PACKET_IP)
                assert_int_equal(out.payload_len, 20);
            if (row->has_mac && row->link == LINK_ETHERNET)
                assert_int_equal(out.src_mac[5], 1);
        }
    }
}

static void snap_length_leaves_what_is_there(void **state)
{
    (void)state;
    struct bytes b = bytes_of(MACS "0800" IP4_TCP);
    struct packet out;
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    assert_int_equal(decode_block(b.at, b.size - 7, b.size, LINK_ETHERNET, &out, weirds),
                     PACKET_IP);
    assert_int_equal(out.payload_len, 20);
    assert_int_equal(out.payload_size, 13);
    assert_null(out.weird);
    /* The same size on the wire: the header lies. */
    assert_int_equal(decode_block(b.at, b.size - 7, b.size - 7, LINK_ETHERNET, &out, weirds),
                     PACKET_MALFORMED);
    assert_string_equal(out.weird, "truncated_IP_len");
}

/* One provider's header in the other, until it is enough. */
static void too_many_headers(void **state)
{
    (void)state;
    struct bytes b = {.size = 0};
    for (int i = 0; i < 40; i++)
        bytes_add(&b, MACS "88e7 00000123");
    bytes_add(&b, MACS "0800" IP4_TCP);
    struct packet out;
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    assert_int_equal(decode_block(b.at, b.size, b.size, LINK_ETHERNET, &out, weirds),
                     PACKET_REFUSED);
    assert_string_equal(out.weird, "max_packet_analyzer_depth_exceeded");
    assert_string_equal(weirds[0].source, "ETHERNET");
}

static void every_known_link_has_a_row(void **state)
{
    (void)state;
    for (unsigned link = 0; link < 300; link++) {
        if (!link_known((uint16_t)link) || link == LINK_RAW_BSD || link == LINK_RAW_OPENBSD ||
            link == LINK_IPV4 || link == LINK_IPV6)
            continue;
        bool found = false;
        for (size_t i = 0; i < N_ROWS; i++)
            found |= rows[i].link == link;
        assert_true(found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_and_prefix),
        cmocka_unit_test(snap_length_leaves_what_is_there),
        cmocka_unit_test(too_many_headers),
        cmocka_unit_test(every_known_link_has_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
