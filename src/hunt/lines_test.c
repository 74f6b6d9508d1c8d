/* What lines of TSV and JSON become, of every log; and what hostile ones do. */
#include "hunt/read_bed.h"

/* The records of the text, as text; the caller frees it. From a block of the exact size. */
static char *take(enum hunt_log log, const char *text, size_t size, struct hunt_read_counts *counts,
                  struct err *err)
{
    char *out_text = NULL, *block = malloc(size ? size : 1);
    size_t out_size;
    struct hunt_read_counts own = {0};
    struct hunt_lines *lines = hunt_lines_new(log);
    const struct hunt_record *records;
    assert_true(block && lines);
    memcpy(block, text, size);
    FILE *out = open_memstream(&out_text, &out_size);
    long n = hunt_lines_take(lines, block, size, &records, counts ? counts : &own, err);
    if (n < 0)
        fprintf(out, "refused: %s\n", err->text);
    for (long i = 0; i < n; i++)
        read_bed_print(out, &records[i]);
    fclose(out);
    hunt_lines_free(lines);
    free(block);
    return out_text;
}

static void check(enum hunt_log log, const char *text, const char *is)
{
    struct err err = {""};
    char *got = take(log, text, strlen(text), NULL, &err);
    assert_string_equal(got, is);
    free(got);
}

#define ENDS        "1.5\tCa\t10.0.0.1\t1024\t192.0.2.1\t443"
#define ENDS_IS     " 1.500000000 uid=UIDA 10.0.0.1:1024>192.0.2.1:443"
#define ENDS_FIELDS "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p"

/* The uid's hash is of no interest here. */
static void check_with_uid(enum hunt_log log, const char *text, const char *is)
{
    struct err err = {""};
    char *got = take(log, text, strlen(text), NULL, &err), *at;
    for (char *from = got; (at = strstr(from, "uid=")); from = at + 4)
        memcpy(at + 4, "UIDA", 4);
    assert_string_equal(got, is);
    free(got);
}

static void test_conn_tsv(void **state)
{
    check_with_uid(
        HUNT_CONN,
        READ_BED_CONN "1517336042.279652\tCa\t192.168.88.2\t55638\t165.227.88.15\t53\tudp\tdns\t0."
                      "069982\t61\t81\t"
                      "SF\t0\tDd\t1\t89\t2\t109\n"
                      "1517336051.090978\tCb\tfe80::1\t14291\tff02::fb\t80\ttcp\t-\t-\t-\t-"
                      "\tS0\t0\tS\t1\t52\t0\t0"
                      "\n"
                      "#close\t2024-05-01-00-00-00\n",
        "conn 1517336042.279652000 uid=UIDA 192.168.88.2:55638>165.227.88.15:53/17 service=dns "
        "duration=69982000 orig_bytes=61 resp_bytes=81 orig_pkts=1 resp_pkts=2 orig_ip_bytes=89 "
        "resp_ip_bytes=109 missed=0 history=Dd state=3\n"
        "conn 1517336051.090978000 uid=UIDA fe80::1:14291>ff02::fb:80/6 orig_pkts=1 resp_pkts=0 "
        "orig_ip_bytes=52 resp_ip_bytes=0 missed=0 history=S state=1\n");
}

static void test_conn_json(void **state)
{
    check_with_uid(
        HUNT_CONN,
        "{\"@stream\":\"conn\",\"ts\":1588205199.82437,\"uid\":\"Ca\",\"id_orig_h\":\"10.0.1.6\","
        "\"id_orig_p\":54243,\"id_resp_h\":\"10.0.0.4\",\"id_resp_p\":53,\"proto\":\"udp\","
        "\"service\":\"dns\",\"duration\":0.001528024673461914,\"orig_bytes\":39,"
        "\"resp_bytes\":null,\"conn_state\":\"RSTOS0\",\"orig_l2_addr\":\"00:0d:3a:13:e3:69\"}\n"
        " { \"id.resp_p\" : \"53\" , \"id.resp_h\" : \"::1\", \"x\": {\"y\": [1, {\"z\": \"}\"}]},"
        " \"id.orig_p\": 1, \"id.orig_h\": \"::2\", \"tunnel_parents\": [], \"local\": true,\r\t"
        "\"ts\": \"2020-05-02T01:23:45.678901Z\", \"service\":\"-\" } \r\n",
        "conn 1588205199.824370000 uid=UIDA 10.0.1.6:54243>10.0.0.4:53/17 service=dns "
        "duration=1528025 orig_bytes=39 state=9\n"
        "conn 1588382625.678901000 ::2:1>::1:53/0 service=- state=0\n");
}

static void test_other_logs(void **state)
{
    check_with_uid(HUNT_HTTP,
                   ENDS_FIELDS
                   "\ttrans_depth\tmethod\thost\turi\treferrer\tversion\tuser_agent\t"
                   "request_body_len\tresponse_body_len\tstatus_code\ttags\tresp_mime_types\n" ENDS
                   "\t1\tGET\ta.example\t/x\\x09y\t-\t1.1\t\\x2d\t0\t12\t200\t(empty)\t"
                   "text/plain,text/html\n",
                   "http" ENDS_IS "/6 method=GET host=a.example uri=/x\ty agent=- version=1.1 "
                   "mime=text/plain status=200 depth=1 request=0 response=12\n");
    check_with_uid(HUNT_SSL,
                   ENDS_FIELDS
                   "\tversion\tcipher\tserver_name\tresumed\tlast_alert\tnext_protocol\t"
                   "established\tcert_chain_fuids\tcert_chain_fps\tsubject\tissuer\t"
                   "validation_status\tja3\tja3s\tja4\tsource\tagent_uuid\n" ENDS
                   "\tTLSv12\tX\ta.example\tF\t-\th2\tT\tF1,F2\taa,bb\tO=A\\\\, Inc.\tCN=B\tok\t"
                   "j3\tj3s\tj4\tweb-1\tu-1\n",
                   "ssl" ENDS_IS "/6 networks=1,0 network=u-1 machine=web-1 version=TLSv12 "
                   "cipher=X name=a.example ja3=j3 ja3s=j3s ja4=j4 next=h2 subject=O=A\\, Inc. "
                   "issuer=CN=B validation=ok chain=aa,bb established\n");
    check_with_uid(HUNT_SSL,
                   ENDS_FIELDS "\tcert_chain_fuids\tcert_chain_fps\tagent_hostname\n" ENDS
                               "\tF1,F2\t-\tdb-1\n",
                   "ssl" ENDS_IS "/6 machine=db-1 chain=F1,F2\n");
    check_with_uid(HUNT_QUIC,
                   ENDS_FIELDS "\tversion\tserver_name\tclient_protocol\n" ENDS
                               "\t1\ta.example\th3\n",
                   "quic" ENDS_IS "/17 version=1 name=a.example next=h3\n");
    check_with_uid(HUNT_DNS,
                   ENDS_FIELDS "\tproto\tquery\tqtype\tqtype_name\trcode\trcode_name\tAA\tRD\tRA\t"
                               "answers\trejected\n" ENDS
                               "\tudp\ta.example\t16\tTXT\t0\tNOERROR\tF\tT\tT\tTXT 3 a\\x2cb,"
                               "TXT 2 x\\x0ay,192.0.2.7\tF\n" ENDS
                               "\tudp\t-\t-\t-\t-\t-\tT\tF\tF\t-\tT\n",
                   "dns" ENDS_IS "/17 query=a.example answers=TXT 3 a,b\nTXT 2 x y\n192.0.2.7 "
                   "type=TXT code=NOERROR qtype=16 rcode=0 n=3 rd ra\n"
                   "dns" ENDS_IS "/17 n=0 rejected aa\n");
    check_with_uid(HUNT_DNS,
                   "{\"ts\":1.5,\"uid\":\"Ca\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":1024,"
                   "\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,\"proto\":\"tcp\",\"answers\":"
                   "[\"a\\\"b\", \"c\\u00e9\" ,7,null,[\"no\"],{\"no\":1}],\"AA\":true,"
                   "\"query\":\"\"}\n",
                   "dns" ENDS_IS "/6 query= answers=a\"b\nc\xc3\xa9\n7 n=3 aa\n");
    check_with_uid(HUNT_SSH,
                   ENDS_FIELDS
                   "\tauth_success\tauth_attempts\tclient\tserver\thasshServer\thassh\n" ENDS
                   "\tT\t2\tSSH-2.0-A\tSSH-2.0-B\thb\tha\n" ENDS "\t-\t0\t-\t-\t-\t-\n",
                   "ssh" ENDS_IS "/6 client=SSH-2.0-A server=SSH-2.0-B hassh=ha hassh_server=hb "
                   "success=1 attempts=2\nssh" ENDS_IS "/6 attempts=0\n");
    check(HUNT_X509,
          "{\"ts\":95.039877,\"id\":\"F1\",\"certificate.subject\":\"CN=a\","
          "\"certificate_issuer\":\"CN=b\",\"certificate.not_valid_before\":1470462331.0,"
          "\"certificate.not_valid_after\":\"9999-12-31T23:59:59Z\",\"certificate.key_type\":"
          "\"rsa\",\"certificate.key_length\":2048,\"san.dns\":[\"a\",\"b\"]}\n",
          "x509 95.039877000 print=F1 subject=CN=a issuer=CN=b san=a\nb from=1470462331000000000 "
          "to=9223372036854775807 key=rsa bits=2048\n");
    check(
        HUNT_NOTICE,
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tnote\tmsg\tsub\tsrc\t"
        "dst\tp\n2.0\t-\t-\t-\t-\t-\ttcp\tScan::Port\tm\ts\t10.0.0.9\t10.0.0.8\t22\n"
        "3.0\t-\t-\t-\t-\t-\t-\tA::B\tm\t-\t10.0.0.9\t-\t-\n",
        "notice 2.000000000 10.0.0.9:0>10.0.0.8:22/6 note=Scan::Port msg=m sub=s\n"
        "notice 3.000000000 note=A::B msg=m\n");
    check(HUNT_CAPTURE_LOSS, "#fields\tts\tts_delta\tpercent_lost\n1.0\t900.0\t12.345\n",
          "capture_loss 1.000000000 lost=12.345\n");
    check_with_uid(HUNT_OPEN_CONN, "#path\tconn\n" ENDS_FIELDS "\tconn_state\n" ENDS "\tOTH\n",
                   "open_conn" ENDS_IS "/0 state=13\n");
}

/* Other separators and marks than usual; a header in the middle; one with a tab before it. */
static void test_headers(void **state)
{
    check_with_uid(HUNT_CONN,
                   "#separator ,\n#set_separator,;\n#empty_field,EMPTY\n#unset_field,NONE\n"
                   "#path,conn\n#fields,ts,uid,id.orig_h,id.orig_p,id.resp_h,id.resp_p,service\n"
                   "1.5,Ca,10.0.0.1,1024,192.0.2.1,443,NONE\n"
                   "1.5,Ca,10.0.0.1,1024,192.0.2.1,443,-\n"
                   "#separator \\x09\n#unset_field\t-\n#empty_field\t\n"
                   "#fields\tservice\tid.resp_p\tid.resp_h\tid.orig_p\tid.orig_h\tuid\tts\n"
                   "ssl\t443\t192.0.2.1\t1024\t10.0.0.1\tCa\t1.5\n",
                   "conn" ENDS_IS "/0 state=0\nconn" ENDS_IS "/0 service=- state=0\n"
                   "conn" ENDS_IS "/0 service=ssl state=0\n");
    check_with_uid(HUNT_CONN, "\n\t#separator \\x09\r\n" ENDS_FIELDS "\r\n" ENDS "\r\n\r\n",
                   "conn" ENDS_IS "/0 state=0\n");
    check(HUNT_CONN, "Lorem ipsum dolor\n",
          "refused: it does not begin like a Zeek log, with lines of #fields or with JSON\n");
    check(HUNT_CONN, "1.5\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\n",
          "refused: it does not begin like a Zeek log, with lines of #fields or with JSON\n");
    check(HUNT_CONN, "#path\tdns\n",
          "refused: its name says it is a log of conn, its header that it is of dns\n");
    check(HUNT_CONN, "#separator \\x09\n" ENDS "\n", "refused: its header has no #fields line\n");
    check(HUNT_CONN, "#separator \\x0909\n",
          "refused: its header names a separator that is not one character\n");
    check(HUNT_CONN, "", "");
    check(HUNT_CONN, "\n\n", "");
}

/* Once refused, always. */
static void test_refused_stays(void **state)
{
    struct hunt_lines *lines = hunt_lines_new(HUNT_CONN);
    const struct hunt_record *records;
    struct hunt_read_counts counts = {0};
    struct err err;
    const char *good = READ_BED_CONN;
    assert_true(hunt_lines_take(lines, "x\n", 2, &records, &counts, &err) < 0);
    assert_true(hunt_lines_take(lines, good, strlen(good), &records, &counts, &err) < 0);
    assert_int_equal(counts.n_foreign_files, 1);
    hunt_lines_free(lines);
}

/* Each of these lines comes to nothing, and is counted. */
static void test_bad_lines(void **state)
{
    static const char *const tsv[] = {
        ENDS "\tx\ty",                                 /* too many */
        "1.5\tCa\t10.0.0.1",                           /* too few */
        "-\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\t1",    /* no time */
        "-5.0\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\t1", /* before 1970 */
        "9223372036854775807\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\t1",
        "31556952000000000\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\t1", /* in a billion years */
        "nan\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\t1",
        "1.5\tCa\t10.0.0.256\t1024\t192.0.2.1\t443\t1",
        "1.5\tCa\t-\t1024\t192.0.2.1\t443\t1",
        "1.5\tCa\t10.0.0.1\t1024\t\t443\t1",
        "1.5\tCa\t10.0.0.1\t1024\t192.0.2.1\t65536\t1",
        "1.5\tCa\t10.0.0.1\t-1\t192.0.2.1\t443\t1",
        "1.5\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\tmany",
        "1.5\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\t-3",
    };
    static const char *const json[] = {
        "{",
        "{}",
        "[]",
        "garbage",
        "{\"ts\":1}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\"",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\"}}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\",}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\",\"x\":[}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\",\"x\":[{]}}",
        "{\"ts\":-1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\"}",
        "{\"ts\":\"\",\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\"}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\\u0000\",\"id.resp_h\":\"10.0.0.2\"}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\",\"_path\":\"dns\"}",
        "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\",\"a\\",
    };
    for (size_t i = 0; i < sizeof tsv / sizeof *tsv + sizeof json / sizeof *json; i++) {
        bool is_tsv = i < sizeof tsv / sizeof *tsv;
        const char *line = is_tsv ? tsv[i] : json[i - sizeof tsv / sizeof *tsv];
        const char *good =
            is_tsv ? ENDS "\t1\n"
                   : "{\"ts\":1,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"10.0.0.2\"}\n";
        char text[1024];
        struct hunt_read_counts counts = {0};
        struct err err;
        snprintf(text, sizeof text, "%s%s%s\n%s", is_tsv ? ENDS_FIELDS "\torig_bytes\n" : "", good,
                 line, good);
        char *got = take(HUNT_CONN, text, strlen(text), &counts, &err);
        if (counts.n_bad_lines != 1 || counts.n_records != 2 || counts.n_lines != 3)
            fail_msg("%s: %s", line, got);
        free(got);
    }
}

/* Every beginning of good lines, from a block of its size; and each with one byte changed. */
static void test_prefixes(void **state)
{
    static const char *const texts[] = {
        ENDS_FIELDS "\tanswers\tquery\n" ENDS "\ta\\x2cb,c\\\\\t\\xff\n",
        "{\"ts\":1.5,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"::1\",\"answers\":[\"a\\u00e9\","
        "\"b\\\\\"]"
        ",\"n\":{\"a\":[1,2,{}]},\"query\":\"\\ud83d\\ude00\"}\n",
    };
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(texts[i]);
        for (size_t n = 0; n <= size; n++) {
            char copy[512];
            struct err err;
            free(take(HUNT_DNS, texts[i], n, NULL, &err));
            memcpy(copy, texts[i], size);
            for (int byte = 0; n < size && byte < 256; byte += 3) {
                copy[n] = (char)byte;
                free(take(HUNT_DNS, copy, size, NULL, &err));
            }
        }
    }
}

/* Lines of a mebibyte and more; lists of many; nothing but brackets; NULs. */
static void test_long(void **state)
{
    size_t size = 3u << 20, n = strlen(READ_BED_CONN);
    char *text = malloc(size);
    struct hunt_read_counts counts = {0};
    struct err err;
    assert_non_null(text);
    memset(text, 'a', size);
    memcpy(text, READ_BED_CONN, n);
    text[size - 1] = '\n';
    free(take(HUNT_CONN, text, size, &counts, &err));
    assert_int_equal(counts.n_long_lines, 1);
    assert_int_equal(counts.n_bad_lines, 0);
    for (size_t i = n; i < size - 1; i++)
        text[i] = i & 1 ? '\t' : '\\';
    free(take(HUNT_CONN, text, size, &counts, &err));
    memset(text, '[', size - 1);
    memcpy(text, "{\"a\":", 5);
    free(take(HUNT_CONN, text, size, &counts, &err));
    assert_int_equal(counts.n_long_lines, 3);
    text[1u << 19] = '\n';
    free(take(HUNT_CONN, text, (1u << 19) + 1, &counts, &err));
    assert_int_equal(counts.n_bad_lines, 1);
    memset(text, 0, size);
    memcpy(text, READ_BED_CONN, n);
    text[size / 2] = text[size / 2 + 1000] = '\n';
    free(take(HUNT_CONN, text, size / 2 + 1001, &counts, &err));
    assert_int_equal(counts.n_bad_lines, 2);
    free(text);
}

/* A list of a hundred thousand answers, each with an escape. */
static void test_long_list(void **state)
{
    char *text = NULL;
    size_t size;
    struct hunt_read_counts counts = {0};
    struct err err;
    FILE *out = open_memstream(&text, &size);
    fputs(ENDS_FIELDS "\tanswers\n" ENDS "\t", out);
    for (int i = 0; i < 100000; i++)
        fputs(i ? ",\\x2d" : "\\x2d", out);
    fputs("\n", out);
    fclose(out);
    char *got = take(HUNT_DNS, text, size, &counts, &err);
    assert_non_null(strstr(got, "-\n-\n-"));
    assert_non_null(strstr(got, "n=65535"));
    assert_int_equal(counts.n_records, 1);
    size_t n = 0;
    for (const char *at = got; (at = strchr(at, '\n')); at++)
        n++;
    assert_int_equal(n, 100000);
    free(got);
    free(text);
}

/* A last column that is lost is unset; two that are, are too many. */
static void test_missing_column(void **state)
{
    struct hunt_read_counts counts = {0};
    struct err err;
    const char *text = ENDS_FIELDS "\tservice\thistory\n" ENDS "\tssl\n" ENDS "\n";
    char *got = take(HUNT_CONN, text, strlen(text), &counts, &err);
    assert_int_equal(counts.n_records, 1);
    assert_int_equal(counts.n_bad_lines, 1);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conn_tsv),      cmocka_unit_test(test_conn_json),
        cmocka_unit_test(test_other_logs),    cmocka_unit_test(test_headers),
        cmocka_unit_test(test_refused_stays), cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_long),
        cmocka_unit_test(test_long_list),     cmocka_unit_test(test_missing_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
