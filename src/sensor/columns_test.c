/* The columns after Zeek's. The Community IDs are those of the specification's test data. */
#include "sensor/columns.h"

#include "log/record_bed.h"

static const struct log_column columns[] = {{"id", LOG_STRING}};
static const struct log_schema schema = {.name = "ids", LOG_COLUMNS(columns)};

static struct flow flow_of(uint8_t ip_proto, const char *src, uint16_t sport, const char *dst,
                           uint16_t dport, bool one_way)
{
    struct addr end[2];
    assert_true(addr_parse(src, &end[0]) && addr_parse(dst, &end[1]));
    uint16_t port[2] = {sport, dport};
    int order = memcmp(end[0].b, end[1].b, 16);
    bool swap = !one_way && (order > 0 || (order == 0 && sport > dport));
    struct flow f = {.ip_proto = ip_proto, .orig_is_1 = swap, .one_way = one_way};
    f.proto = ip_proto == 6                     ? FLOW_TCP
              : ip_proto == 17                  ? FLOW_UDP
              : ip_proto == 1 || ip_proto == 58 ? FLOW_ICMP
                                                : FLOW_UNKNOWN;
    for (int i = 0; i < 2; i++) {
        f.addr[i] = end[swap ? !i : i];
        f.port[i] = port[swap ? !i : i];
    }
    return f;
}

static const struct {
    const char *id;
    uint8_t proto;
    const char *src, *dst;
    uint16_t sport, dport;
    bool one_way;
} rows[] = {
    {"1:LQU9qZlK+B5F3KDmev6m5PMibrg=", 6, "128.232.110.120", "66.35.250.204", 34855, 80, false},
    {"1:LQU9qZlK+B5F3KDmev6m5PMibrg=", 6, "66.35.250.204", "128.232.110.120", 80, 34855, false},
    {"1:d/FP5EW3wiY1vCndhwleRRKHowQ=", 17, "192.168.1.52", "8.8.8.8", 54585, 53, false},
    {"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", 1, "192.168.0.89", "192.168.0.1", 8, 0, false},
    {"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", 1, "192.168.0.1", "192.168.0.89", 0, 8, false},
};

static void test_community_ids(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct flow f = flow_of(rows[i].proto, rows[i].src, rows[i].sport, rows[i].dst,
                                rows[i].dport, rows[i].one_way);
        struct rec *rec = log_begin(b.writer, &schema);
        columns_put_community_id(rec, &f);
        log_end(rec);
    }
    struct rec *rec = log_begin(b.writer, &schema);
    columns_put_community_id(rec, NULL);
    log_end(rec);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "ids");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_CELL(text, i, "id", rows[i].id);
    CHECK_CELL(text, sizeof rows / sizeof rows[0], "id", "-");
    free(text);
    log_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_community_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
