/* IP headers with options, extension headers, and all that can be wrong with them. */
#include "net/frames.h"

#define ADDR4 "0a000001 0a000002"
#define A     "20010db8000000000000000000000001"
#define B     "20010db8000000000000000000000002"
#define C     "20010db8000000000000000000000003"
#define UDP   "30393039 000c 0000 61626364"

static const struct row {
    const char *what;
    const char *hex;
    enum packet_kind kind;
    uint8_t proto;
    uint32_t payload_len;
    const char *weird, *weird2;
    const char *src, *dst;
} rows[] = {
    {"options", "46000024 00010000 40110000" ADDR4 "01010101" UDP, PACKET_IP, 17, 12},
    {"total 0", "45000000 00010000 40110000" ADDR4 UDP, PACKET_IP, 17, 12, "ip_hdr_len_zero"},
    {"more than sent", "45000021 00010000 40110000" ADDR4 UDP, PACKET_MALFORMED,
     .weird = "truncated_IP_len"},
    {"less than the header", "45000010 00010000 40110000" ADDR4 UDP, PACKET_MALFORMED,
     .weird = "invalid_IP_header_size"},
    {"header of 16", "44000020 00010000 40110000" ADDR4 UDP, PACKET_MALFORMED,
     .weird = "IPv4_min_header_size"},
    {"version 5", "55000020 00010000 40110000" ADDR4 UDP, PACKET_MALFORMED,
     .weird = "unknown_ip_version"},
    {"trailer", "45000020 00010000 40110000" ADDR4 UDP "deadbeef", PACKET_IP, 17, 12},
    {"first fragment", "45000020 00012000 40110000" ADDR4 UDP, PACKET_FRAGMENT, 17, 12},
    {"IPv6", "60000000 000c1140" A B UDP, PACKET_IP, 17, 12},
    {"IPv6, more than sent", "60000000 000d1140" A B UDP, PACKET_MALFORMED,
     .weird = "truncated_IP_len"},
    {"hop by hop", "60000000 00140040" A B "1100050200000000" UDP, PACKET_IP, 17, 12},
    {"hop by hop, destination, AH",
     "60000000 00340040" A B "3c00050200000000 3300010400000000"
     "1104000000000001000000010000000000000000 00000000" UDP,
     PACKET_IP, 17, 12},
    {"route, done", "60000000 00242b40" A B "11020000 00000000" C UDP, PACKET_IP, 17, 12,
     "routing0_hdr"},
    {"route", "60000000 00242b40" A B "11020001 00000000" C UDP, PACKET_IP, 17, 12, "routing0_hdr",
     .dst = "2001:db8::3"},
    {"odd route", "60000000 002c2b40" A B "11030001 00000000" C "0000000000000000" UDP, PACKET_IP,
     17, 12, "odd_routing0_len", "routing0_hdr"},
    {"two routes", "60000000 003c2b40" A B "2b020201 00000000" C "11020201 00000000" A UDP,
     PACKET_IP, 17, 12, "multiple_routing_headers", .dst = "2001:db8::3"},
    {"segment route", "60000000 00242b40" A B "11020401 00000000" C UDP, PACKET_IP, 17, 12,
     "unknown_routing_type"},
    {"home address", "60000000 00243c40" A B "1102 01020000 c910" C UDP, PACKET_IP, 17, 12,
     .src = "2001:db8::3"},
    {"home address of 1", "60000000 00143c40" A B "1100 c90100 010100" UDP, PACKET_IP, 17, 12,
     "bad_home_addr_len"},
    {"ESP", "60000000 000c3240" A B "000000010000000261626364", PACKET_OTHER},
    {"ESP over IPv4", "45000020 00010000 40320000" ADDR4 UDP, PACKET_IP, 50, 12},
    {"mobility", "60000000 00088740" A B "3b00000000000000", PACKET_OTHER},
    {"mobility and more", "60000000 00148740" A B "1100000000000000" UDP, PACKET_OTHER,
     .weird = "mobility_piggyback"},
    {"fragment", "60000000 00142c40" A B "1100000100000007" UDP, PACKET_FRAGMENT, 17, 12},
    {"no next header", "60000000 00003b40" A B, PACKET_IP, 59, 0},
    {"half a header", "60000000 00083c40" A B "1105010400000000", PACKET_IP, 60, 8},
    {"header longer than the packet", "60000000 00043c40" A B "1100010400000000" UDP,
     PACKET_MALFORMED, .weird = "invalid_IP_header_size"},
    {"jumbogram", "60000000 00000040" A B "1100c20400000014" UDP, PACKET_IP, 17, 12},
};

static void every_row_and_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct bytes b = bytes_of(row->hex);
        for (size_t size = 0; size <= b.size; size++) {
            uint8_t *block = bytes_block(b.at, size);
            struct packet p;
            struct packet_weird weirds[PACKET_MAX_WEIRDS];
            enum packet_kind kind = decode_block(block, size, b.size, LINK_RAW, &p, weirds);
            free(block);
            if (size < 20)
                assert_int_equal(kind, PACKET_TRUNCATED);
            if (size < b.size)
                continue;
            bool same = kind == row->kind &&
                        (row->weird ? p.weird && !strcmp(p.weird, row->weird) : !p.weird) &&
                        (!row->weird2 || (p.n_weirds > 1 && !strcmp(weirds[1].name, row->weird2)));
            if (kind == PACKET_IP)
                same &= p.ip_proto == row->proto && p.payload_len == row->payload_len;
            if (!same)
                fail_msg("%s: kind %d, protocol %u, payload %u, weird %s", row->what, (int)kind,
                         p.ip_proto, p.payload_len, p.weird ? p.weird : "-");
            struct addr want;
            if (row->src && addr_parse(row->src, &want))
                assert_true(addr_eq(&want, &p.src));
            if (row->dst && addr_parse(row->dst, &want))
                assert_true(addr_eq(&want, &p.dst));
        }
    }
}

static void fields_of_a_fragment(void **state)
{
    (void)state;
    struct bytes b = bytes_of("45000020 12346002 40110000" ADDR4 UDP);
    struct packet p = {.n_weirds = 0};
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    p.weirds = weirds;
    struct reader r = rd_make(b.at, b.size);
    struct ip_fragment f;
    assert_int_equal(ip_decode(&r, (uint32_t)b.size, false, &p, &f), PACKET_FRAGMENT);
    assert_true(f.more && f.dont && f.id == 0x1234 && f.offset == 16 && f.header_size == 20);

    b = bytes_of("60000000 001c3c40" A B "2c00010400000000 11000ff9 00abcdef" UDP);
    p = (struct packet){.weirds = weirds};
    r = rd_make(b.at, b.size);
    assert_int_equal(ip_decode(&r, (uint32_t)b.size, false, &p, &f), PACKET_FRAGMENT);
    assert_true(f.more && f.id == 0xabcdef && f.offset == 0xff8 && f.header_size == 48);
    assert_true(f.next == 17 && f.next_at == 40);
}

/* A fragment that was not captured whole: the first is as good as a packet, others are not. */
static void cut_fragments(void **state)
{
    (void)state;
    struct packet p;
    struct packet_weird weirds[PACKET_MAX_WEIRDS];
    struct bytes b = bytes_of("45000020 00012000 40110000" ADDR4 UDP);
    assert_int_equal(decode_block(b.at, b.size - 2, b.size, LINK_RAW, &p, weirds), PACKET_IP);
    assert_string_equal(p.weird, "incompletely_captured_fragment");
    b = bytes_of("45000020 00012001 40110000" ADDR4 UDP);
    assert_int_equal(decode_block(b.at, b.size - 2, b.size, LINK_RAW, &p, weirds),
                     PACKET_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_and_prefix),
        cmocka_unit_test(fields_of_a_fragment),
        cmocka_unit_test(cut_fragments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
