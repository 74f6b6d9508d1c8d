/* Reading folders: the same with any number of threads, what is new in growing and rotated files,
 * cut and damaged ones, and those that are not worth reading. */
#include "hunt/read_bed.h"

/* Without zlib nothing is packed, and nothing can be unpacked. */
static bool can_pack(void)
{
    return log_pack_suffix[0] != '\0';
}

/* Many blocks, in several files, plain and packed: the same text and marks with any threads. */
static void test_threads(void **state)
{
    struct read_bed b;
    read_bed_init(&b);
    char *many = read_bed_many(0, 20000, true);
    read_bed_write(&b, "2024-05-01/conn.00:00:00-01:00:00.log", many);
    free(many);
    many = read_bed_many(20000, 9000, true);
    (void)read_bed_add(&b, "2024-05-01/conn.01:00:00-02:00:00.log", many);
    free(many);
    many = read_bed_many(29000, 5000, true);
    read_bed_pack(&b, "2024-05-01/conn.02:00:00-03:00:00.log.gz", many);
    free(many);
    many = read_bed_many(34000, 5000, false);
    if (can_pack())
        read_bed_pack(&b, "2024-05-01/conn.02:00:00-03:00:00.log.gz", many);
    else
        read_bed_add(&b, "2024-05-01/conn.02:00:00-03:00:00.log.gz", many);
    free(many);
    for (int i = 0; i < 60; i++) {
        char name[64];
        snprintf(name, sizeof name, "2024-05-02/s%d_conn.00:00:00-01:00:00.log", i);
        many = read_bed_many(40000 + (unsigned)i, 1, true);
        read_bed_write(&b, name, many);
        free(many);
    }
    b.reading.n_threads = 1;
    read_bed_run(&b);
    assert_int_equal(b.result, 0);
    assert_int_equal(b.counts.n_records, 39060);
    assert_int_equal(b.counts.n_files, 63);
    assert_int_equal(b.counts.n_bad_lines, 0);
    char *text = strdup(b.text), *files = strdup(b.files);
    uint64_t offset = b.marks[0].offset;
    for (unsigned n = 2; n <= 9; n += n == 2 ? 1 : 3) {
        b.reading.n_threads = n;
        read_bed_run_anew(&b);
        assert_string_equal(b.text, text);
        assert_string_equal(b.files, files);
        assert_int_equal(b.n_marks, 63);
        assert_int_equal(b.marks[0].offset, offset);
    }
    /* And once more, with marks: nothing is new. */
    read_bed_run(&b);
    assert_string_equal(b.text, "");
    assert_int_equal(b.counts.n_skipped_files, 63);
    assert_int_equal(b.n_marks, 63);
    free(text);
    free(files);
    read_bed_done(&b);
}

/* A file that grows, by half lines too; with a new header in the middle; and one that shrinks. */
static void test_growing(void **state)
{
    struct read_bed b;
    read_bed_init(&b);
    read_bed_put(&b, "current/conn.log", "w", READ_BED_CONN, strlen(READ_BED_CONN), 7200);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 0);
    assert_int_equal(b.n_marks, 1);
    read_bed_add(&b, "current/conn.log", "5.0\tCa\t10.0.0.1\t1\t192.0.2.1\t2\ttcp\t-\t-\t-\t-\tSF");
    read_bed_run(&b);
    assert_string_equal(b.text, "");
    assert_int_equal(b.counts.n_cut_files, 0); /* it is being written */
    assert_int_equal(b.marks[0].offset, strlen(READ_BED_CONN));
    read_bed_add(&b, "current/conn.log", "\t0\t-\t1\t1\t1\t1\n6.0\t");
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 1);
    assert_non_null(strstr(b.text, "conn 5.000000000 "));
    /* Zeek is started anew, with other columns. */
    read_bed_add(&b, "current/conn.log",
                 "\n#fields\tid.resp_h\tid.orig_h\tts\n192.0.2.9\t10.0.0.1\t7.0\n");
    read_bed_run(&b);
    assert_int_equal(b.counts.n_bad_lines, 1); /* "6.0" */
    assert_string_equal(b.text, "conn 7.000000000 10.0.0.1:0>192.0.2.9:0/0 state=0\n");
    read_bed_add(&b, "current/conn.log", "192.0.2.9\t10.0.0.1\t8.0\n");
    read_bed_run(&b);
    assert_string_equal(b.text, "conn 8.000000000 10.0.0.1:0>192.0.2.9:0/0 state=0\n");
    assert_int_equal(b.counts.n_lines, 1);
    /* It shrinks: all of it is new. */
    read_bed_write(&b, "current/conn.log", "#fields\tid.resp_h\tid.orig_h\tts\n::1\t::2\t9.0\n");
    read_bed_run(&b);
    assert_string_equal(b.text, "conn 9.000000000 ::2:0>::1:0/0 state=0\n");
    read_bed_done(&b);
}

/* JSON is gone on with at once; and large ones of TSV find their header again. */
static void test_growing_large(void **state)
{
    struct read_bed b;
    read_bed_init(&b);
    char *many = read_bed_many(0, 30000, true);
    read_bed_write(&b, "conn.log", many);
    free(many);
    many = NULL;
    size_t size;
    FILE *out = open_memstream(&many, &size);
    for (int i = 0; i < 20000; i++)
        fprintf(out, "{\"ts\":%d.5,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"::1\"}\n", i);
    fclose(out);
    read_bed_write(&b, "ssl.log", many);
    free(many);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 50000);
    many = read_bed_many(30000, 3, false);
    read_bed_add(&b, "conn.log", many);
    free(many);
    read_bed_add(&b, "ssl.log", "{\"ts\":8.5,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"::1\"}\n");
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 4);
    assert_int_equal(b.counts.n_lines, 4);
    assert_non_null(strstr(b.text, "ssl 8.500000000 "));
    read_bed_done(&b);
}

/* conn.log becomes 2024-05-01/conn.14:00:00-15:00:00.log.gz, and another conn.log is begun. */
static void test_rotated(void **state)
{
    struct read_bed b;
    char path[256];
    read_bed_init(&b);
    char *first = read_bed_many(0, 3000, true), *all = read_bed_many(0, 3500, true);
    read_bed_write(&b, "current/conn.log", first);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 3000);
    /* For a moment it is nowhere, while its name is taken already. */
    char *second = read_bed_many(5000, 10, true);
    read_bed_put(&b, "current/conn.log", "w", second, strlen(second), 60);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 10);
    assert_int_equal(b.n_marks, 2);
    assert_string_not_equal(b.marks[0].path, b.marks[1].path);
    (void)mkdir(read_bed_path(&b, "2024-05-01", path), 0755);
    read_bed_pack(&b, "2024-05-01/conn.14:00:00-15:00:00.log.gz", all);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 500);
    assert_non_null(strstr(b.text, "conn 1714524600."));
    assert_null(strstr(b.text, "conn 1714524599."));
    assert_int_equal(b.counts.n_skipped_files, 1);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 0);
    assert_int_equal(b.counts.n_skipped_files, 2);
    free(first);
    free(second);
    free(all);
    read_bed_done(&b);
}

/* A mark is of its log alone: what looks the same of another is read. */
static void test_marks_of_other_logs(void **state)
{
    static const char text[] = "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\n"
                               "1.5\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\n";
    struct read_bed b;
    char path[256];
    read_bed_init(&b);
    read_bed_write(&b, "conn.log", text);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 1);
    assert_int_equal(remove(read_bed_path(&b, "conn.log", path)), 0);
    read_bed_write(&b, "dns.log", text);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 1);
    read_bed_done(&b);
}

/* Ends: with no newline, in the middle of a line, of a packed file; a damaged one. */
static void test_cut(void **state)
{
    static const char head[] = "#fields\tts\tid.orig_h\tid.resp_h\tservice\n";
    static const char json[] = "{\"ts\":1.5,\"id.orig_h\":\"10.0.0.1\",\"id.resp_h\":\"::1\"}";
    struct read_bed b;
    char text[256], path[256];
    read_bed_init(&b);
    snprintf(text, sizeof text, "%s1.0\t::1\t::2\tssl\n2.0\t::1\t::2\tdns", head);
    read_bed_write(&b, "conn.log", text);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 2);
    assert_int_equal(b.counts.n_cut_files, 0);
    /* It may be growing yet. */
    read_bed_put(&b, "conn.log", "w", text, strlen(text), 0);
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_records, 1);
    assert_int_equal(b.counts.n_cut_files, 1);
    snprintf(text, sizeof text, "%s1.0\t::1\t::2\tssl\n2.0\t::1\t:", head);
    read_bed_write(&b, "conn.log", text);
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_records, 1);
    assert_int_equal(b.counts.n_cut_files, 1);
    assert_non_null(strstr(b.said, "conn.log: its last line is cut off (potentially truncated)"));
    assert_int_equal(b.marks[0].offset, strlen(head) + strlen("1.0\t::1\t::2\tssl\n"));
    /* JSON says itself that it is whole. */
    read_bed_put(&b, "conn.log", "w", json, strlen(json), 0);
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_records, 1);
    read_bed_put(&b, "conn.log", "w", json, strlen(json) - 4, 0);
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_records, 0);
    assert_int_equal(b.counts.n_cut_files, 1);
    assert_int_equal(remove(read_bed_path(&b, "conn.log", path)), 0);
    if (can_pack()) {
        char *many = read_bed_many(0, 20000, true);
        struct stat st;
        read_bed_pack(&b, "conn.log.gz", many);
        free(many);
        assert_int_equal(stat(read_bed_path(&b, "conn.log.gz", path), &st), 0);
        assert_int_equal(truncate(path, st.st_size / 2), 0);
        read_bed_run_anew(&b);
        assert_in_range(b.counts.n_records, 5000, 15000);
        assert_int_equal(b.counts.n_cut_files, 1);
        assert_int_equal(b.counts.n_bad_lines, 0);
        assert_non_null(strstr(b.said, "the packed file is cut off (potentially truncated)"));
        int fd = open(path, O_WRONLY);
        assert_int_equal(pwrite(fd, "\xff\xff\xff\xff\xff\xff", 6, st.st_size / 4), 6);
        close(fd);
        read_bed_run_anew(&b);
        assert_int_equal(b.counts.n_cut_files, 1);
        assert_true(b.counts.n_records < 15000);
        /* Nothing but a beginning. */
        read_bed_put(&b, "conn.log.gz", "w", "\x1f\x8b\x08", 3, 7200);
        read_bed_run_anew(&b);
        assert_int_equal(b.counts.n_records, 0);
        assert_int_equal(b.counts.n_cut_files, 1);
    }
    read_bed_done(&b);
}

/* What begins well and goes on as garbage; what is bad now and then. */
static void test_bad_files(void **state)
{
    struct read_bed b;
    char *text = NULL;
    size_t size;
    read_bed_init(&b);
    FILE *out = open_memstream(&text, &size);
    fputs(READ_BED_CONN, out);
    for (unsigned i = 0; i < 60000; i++)
        if (i % 2)
            fputs("garbage\n", out);
        else
            read_bed_conn(out, i, i);
    fclose(out);
    read_bed_write(&b, "conn.log", text);
    free(text);
    read_bed_run(&b);
    assert_int_equal(b.result, 0);
    assert_int_equal(b.counts.n_given_up, 1);
    assert_in_range(b.counts.n_lines, 1000, 20000);
    assert_non_null(strstr(b.said, "conn.log: given up: "));
    assert_non_null(strstr(b.said, "the first of them line 10: it has too few columns"));
    /* The same, whoever reads it. */
    uint64_t n_lines = b.counts.n_lines;
    b.reading.n_threads = 7;
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_lines, n_lines);

    out = open_memstream(&text, &size);
    fputs(READ_BED_CONN, out);
    for (unsigned i = 0; i < 60000; i++)
        if (i % 5 == 4)
            fputs("garbage\n", out);
        else
            read_bed_conn(out, i, i);
    fclose(out);
    read_bed_write(&b, "conn.log", text);
    free(text);
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_given_up, 0);
    assert_int_equal(b.counts.n_bad_lines, 12000);
    assert_int_equal(b.counts.n_records, 48000);
    assert_non_null(strstr(b.said, "12000 of its 60000 lines came to nothing, the first of them "
                                   "line 13: it has too few columns"));
    read_bed_done(&b);
}

/* A capture that is read into the same folder again; a log that moves on is not that. */
static void test_rewritten(void **state)
{
    struct read_bed b;
    char path[256], to[256];
    read_bed_init(&b);
    char *many = read_bed_many(0, 100, true);
    read_bed_write(&b, "conn.log", many);
    free(many);
    many = read_bed_many(50, 1, true);
    read_bed_write(&b, "old_conn.log", many);
    free(many);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_rewritten + b.counts.n_gone, 0);
    /* The hour's file moves on, and another one takes its name, even if with older connections. */
    assert_int_equal(rename(read_bed_path(&b, "conn.log", path),
                            read_bed_path(&b, "conn.2024-05-01-00-00-00.log", to)),
                     0);
    many = read_bed_many(60, 100, true);
    read_bed_put(&b, "conn.log", "w", many, strlen(many), 7200);
    free(many);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 100);
    assert_int_equal(b.counts.n_rewritten + b.counts.n_gone, 0);
    /* The same times again, by other connections. */
    many = read_bed_many(91, 80, true);
    read_bed_put(&b, "conn.log", "w", many, strlen(many), 7300);
    free(many);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_rewritten, 1);
    /* What is not there any more could not be read again. */
    assert_int_equal(unlink(read_bed_path(&b, "old_conn.log", path)), 0);
    many = read_bed_many(92, 70, true);
    read_bed_put(&b, "conn.log", "w", many, strlen(many), 7400);
    free(many);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_rewritten, 1);
    assert_true(b.counts.n_gone > 0);
    read_bed_done(&b);
}

/* A mark of the byte order, as Windows puts it in front; and a file given by name that is empty. */
static void test_beginnings(void **state)
{
    struct read_bed b;
    char path[256];
    const char *paths[1] = {path};
    read_bed_init(&b);
    char *line = read_bed_many(5, 1, true), *marked = NULL;
    assert_true(asprintf(&marked, "\xef\xbb\xbf%s", line) > 0);
    read_bed_write(&b, "conn.log", marked);
    free(line);
    free(marked);
    read_bed_write(&b, "dns.log",
                   "\xef\xbb\xbf{\"ts\":1.5,\"id.orig_h\":\"::1\",\"id.resp_h\":\"::2\"}\n");
    read_bed_run(&b);
    assert_int_equal(b.counts.n_foreign_files, 0);
    assert_int_equal(b.counts.n_records, 2);
    assert_int_equal(b.counts.n_bad_lines, 0);
    /* Places in the file are still those of its bytes. */
    line = read_bed_many(6, 1, false);
    read_bed_add(&b, "conn.log", line);
    free(line);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 1);
    assert_int_equal(b.counts.n_bad_lines, 0);
    /* Given by name, nothing says which log it is, and marks of another run are there. */
    read_bed_write(&b, "copy.txt", "");
    read_bed_path(&b, "copy.txt", path);
    b.reading.paths = paths;
    b.reading.n_paths = 1;
    read_bed_run(&b);
    assert_int_equal(b.result, 0);
    assert_int_equal(b.counts.n_records, 0);
    read_bed_done(&b);
}

/* A line of many mebibytes between two good ones; one that has no end. */
static void test_long_lines(void **state)
{
    struct read_bed b;
    size_t n = 5u << 20;
    char *text = malloc(n);
    read_bed_init(&b);
    memset(text, 'x', n);
    read_bed_write(&b, "conn.log", READ_BED_CONN);
    char *line = read_bed_many(1, 1, false);
    read_bed_add(&b, "conn.log", line);
    read_bed_put(&b, "conn.log", "a", text, n, 7200);
    read_bed_add(&b, "conn.log", "\n");
    read_bed_add(&b, "conn.log", line);
    read_bed_put(&b, "conn.log", "a", text, n, 7200);
    for (unsigned i = 1; i <= 3; i += 2) {
        b.reading.n_threads = i;
        read_bed_run_anew(&b);
        assert_int_equal(b.counts.n_records, 2);
        assert_int_equal(b.counts.n_long_lines, 2);
        assert_int_equal(b.counts.n_bad_lines, 0);
        assert_non_null(strstr(b.said, "the first of them line 10: it is longer than a mebibyte"));
    }
    free(line);
    free(text);
    read_bed_done(&b);
}

/* Files of other logs, and of none. */
static void test_foreign(void **state)
{
    struct read_bed b;
    char path[256];
    const char *paths[1] = {path};
    read_bed_init(&b);
    read_bed_write(&b, "conn.log", "Lorem ipsum\n");
    read_bed_write(&b, "dns.log", READ_BED_CONN);
    read_bed_write(&b, "ssl.log", "");
    read_bed_run(&b);
    assert_int_equal(b.result, 0);
    assert_int_equal(b.counts.n_foreign_files, 2);
    assert_int_equal(b.counts.n_files, 3);
    assert_non_null(strstr(b.said, "conn.log: it does not begin like a Zeek log"));
    assert_non_null(strstr(b.said,
                           "dns.log: its name says it is a log of dns, its header that it is "
                           "of conn"));
    /* Without a name that says it, the beginning does. */
    char *line = read_bed_many(1, 1, true);
    read_bed_write(&b, "copy.txt", line);
    free(line);
    read_bed_path(&b, "copy.txt", path);
    b.reading.paths = paths;
    b.reading.n_paths = 1;
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 1);
    read_bed_write(&b, "copy.txt",
                   "{\"ts\":1.5,\"id.orig_h\":\"::1\",\"id.resp_h\":\"::2\",\"qclass\":1}\n");
    read_bed_run_anew(&b);
    assert_non_null(strstr(b.text, "dns 1.5"));
    read_bed_write(&b, "copy.txt", "nothing\n");
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_foreign_files, 1);
    read_bed_done(&b);
}

/* Stopped: the marks are of what was given, and the next run gives the rest. */
static void test_stopped(void **state)
{
    struct read_bed b;
    read_bed_init(&b);
    char *many = read_bed_many(0, 30000, true);
    read_bed_write(&b, "a_conn.log", many);
    read_bed_write(&b, "b_conn.log", many);
    free(many);
    b.reading.n_threads = 3;
    read_bed_run(&b);
    char *all = strdup(b.text), *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    hunt_marks_free(b.marks, b.n_marks);
    b.marks = NULL;
    b.n_marks = 0;
    int n_runs = 0;
    b.stop_after = 9000;
    do {
        read_bed_run(&b);
        fputs(b.text, out);
        assert_true(b.result == 0 || b.result == -EINTR);
        n_runs++;
        assert_true(n_runs < 20);
    } while (b.result == -EINTR);
    fclose(out);
    assert_true(n_runs > 3);
    assert_string_equal(text, all);
    free(text);
    free(all);
    read_bed_done(&b);
}

static void test_since(void **state)
{
    struct read_bed b;
    read_bed_init(&b);
    char *many = read_bed_many(0, 10000, true);
    read_bed_write(&b, "conn.log", many);
    free(many);
    b.reading.since = (INT64_C(1714521600) + 9990) * 1000000000;
    read_bed_run(&b);
    assert_int_equal(strncmp(b.text, "conn 1714531590.", 16), 0);
    size_t n = 0;
    for (const char *at = b.text; (at = strchr(at, '\n')); at++)
        n++;
    assert_int_equal(n, 10);
    read_bed_done(&b);
}

/* Those of RITA's data sets, if they are at hand. */
static bool data_of_rita(const char *name, char path[4096])
{
    const char *folder = getenv("CLOUDSPAN_CONFORMANCE");
    snprintf(path, 4096, "%s/../data/rita/%s", folder ? folder : "", name);
    if (folder && access(path, R_OK) == 0)
        return true;
    print_message("skipped: CLOUDSPAN_CONFORMANCE has no ../data/rita/%s\n", name);
    return false;
}

/* A field that nobody knows, and a last line without its end: as one of RITA's sets has both. It is
 * a line in a file that has been left alone, and may be half of one in a file that was written to
 * lately, as all files of a fresh copy are. */
static void test_last_line_of_rita(void **state)
{
    static char text[8192];
    char path[4096];
    if (!data_of_rita("has_unknown_field/http.log", path))
        skip();
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text, file);
    assert_true(size > 0 && size < sizeof text && text[size - 1] != '\n');
    fclose(file);
    struct read_bed b;
    read_bed_init(&b);
    read_bed_put(&b, "http.log", "w", text, size, 7200);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_records, 5);
    assert_int_equal(b.counts.n_cut_files, 0);
    assert_int_equal(b.counts.n_bad_lines, 0);
    read_bed_put(&b, "http.log", "w", text, size, 60);
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_records, 4);
    assert_int_equal(b.counts.n_cut_files, 1);
    assert_int_equal(b.counts.n_bad_lines, 0);
    read_bed_done(&b);
}

/* RITA's data sets, where they are: as many records as RITA's own tests see in them. */
static void test_data_of_rita(void **state)
{
    static const struct {
        const char *path;
        uint64_t n_records, n_cut, n_foreign;
    } facts[] = {
        {"proxy", 463 + 407 + 407 + 942 + 173 + 102 + 1, 0, 0}, /* the last: tunnel.log */
        {"open_sni", 24 + 2 + 4, 0, 0},
        {"open_conns/open", 29 + 34 + 10 + 10 + 59 + 20 + 20, 0, 0},
        {"open_conns/closed", 59 + 20 + 20, 0, 0},
        {"json_with_all_fields", 29 + 34 + 10 + 10 + 59 + 20 + 20, 0, 0},
        {"truncated/conn.log", 58, 1, 0},
        {"truncated/conn_top.log", 0, 0, 1},
        {"truncated/conn_json.log", 3, 1, 0},
        {"text_file", 0, 0, 1},
        {"valid_tsv", 27204, 0, 0},
    };
    char path[4096];
    if (!data_of_rita("", path))
        skip();
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct read_bed b;
        const char *paths[1] = {path};
        read_bed_init(&b);
        assert_true(data_of_rita(facts[i].path, path));
        b.reading.paths = paths;
        b.reading.n_paths = 1;
        read_bed_run(&b);
        if (b.result != 0 || b.counts.n_records != facts[i].n_records ||
            b.counts.n_cut_files != facts[i].n_cut ||
            b.counts.n_foreign_files != facts[i].n_foreign || b.counts.n_bad_lines != 0)
            fail_msg("%s: %llu records, %llu cut, %llu foreign, %llu bad", facts[i].path,
                     (unsigned long long)b.counts.n_records,
                     (unsigned long long)b.counts.n_cut_files,
                     (unsigned long long)b.counts.n_foreign_files,
                     (unsigned long long)b.counts.n_bad_lines);
        /* Times to the ns: the earliest record of this set, and not a rounded one. */
        if (strcmp(facts[i].path, "open_conns/open") == 0)
            assert_non_null(strstr(b.text, "open_conn 1517336042.090842000 "));
        read_bed_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_growing_large),
        cmocka_unit_test(test_rotated),
        cmocka_unit_test(test_marks_of_other_logs),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_rewritten),
        cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_last_line_of_rita),
        cmocka_unit_test(test_data_of_rita),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
