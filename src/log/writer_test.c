/* Log files under trouble: a full disk, a folder that cannot be written, several workers at once.
 */
#include "log/record_bed.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/text.h"

static const struct log_column columns[] = {{"n", LOG_COUNT}, {"a", LOG_STRING}, {"b", LOG_STRING}};
static const struct log_schema schema = {.name = "rows", LOG_COLUMNS(columns)};

static void put_row(struct log_writer *writer, uint64_t n)
{
    static const char filler[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    struct rec *rec = log_begin(writer, &schema);
    rec_count(rec, n);
    rec_str(rec, str_make(filler, n % sizeof filler));
    rec_str(rec, STR("end"));
    log_end(rec);
}

/* Every row is whole, with its number's filler. Gives the number of rows. */
static size_t check_rows(const char *text)
{
    size_t n_rows = 0;
    for (const char *at = text; at && *at; at = log_next_line(at)) {
        size_t len = strcspn(at, "\n");
        assert_int_equal(at[len], '\n');
        if (*at == '#')
            continue;
        assert_true(len >= 6 && memcmp(at + len - 4, "\tend", 4) == 0);
        uint64_t n = strtoull(at, NULL, 10);
        char *filler = log_field(at, 1);
        assert_int_equal(strlen(filler), n % 37 ? n % 37 : strlen("(empty)"));
        free(filler);
        n_rows++;
    }
    return n_rows;
}

/* ---- a disk that fills ---- */

static void limit_files(rlim_t size)
{
    struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_disk_full(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    limit_files(1000000); /* in the midst of a line */
    for (uint64_t n = 0; n < 100000; n++)
        put_row(b.writer, n);
    log_writer_free(b.writer);
    struct err err = {{0}};
    assert_int_equal(log_set_close(b.set, &err), -EIO);
    limit_files(RLIM_INFINITY);
    assert_non_null(strstr(err.text, "rows.log"));
    assert_non_null(strstr(err.text, strerror(EFBIG)));
    assert_non_null(strstr(err.text, "lost"));
    char *text = log_bed_take(&b, "rows");
    assert_true(strlen(text) <= 1000000 && strlen(text) > 500000);
    assert_true(check_rows(text) > 10000);
    assert_null(strstr(text, "#close"));
    free(text);
    log_bed_remove(&b);
}

static void test_no_room_from_the_start(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t size = 0; size < 400; size += 13) { /* within the header, too */
        struct log_bed b;
        log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
        limit_files(size);
        for (uint64_t n = 0; n < 5; n++)
            put_row(b.writer, n);
        log_writer_free(b.writer);
        struct err err = {{0}};
        int result = log_set_close(b.set, &err);
        limit_files(RLIM_INFINITY);
        char *text = log_bed_take(&b, "rows");
        assert_int_equal(result, strstr(text, "#close") ? 0 : -EIO);
        if (text[0])
            check_rows(text);
        free(text);
        log_bed_remove(&b);
    }
}

static void test_dev_full(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) < 0)
        skip();
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    char path[80];
    snprintf(path, sizeof path, "%s/rows.log", b.folder);
    assert_int_equal(symlink("/dev/full", path), 0);
    for (uint64_t n = 0; n < 100000; n++)
        put_row(b.writer, n);
    log_writer_free(b.writer);
    struct err err = {{0}};
    assert_int_equal(log_set_close(b.set, &err), -EIO);
    assert_non_null(strstr(err.text, strerror(ENOSPC)));
    log_bed_remove(&b);
}

static void test_pipe_that_nobody_reads(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    char path[80];
    snprintf(path, sizeof path, "%s/rows.log", b.folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    put_row(b.writer, 1);
    log_writer_free(b.writer);
    struct err err = {{0}};
    assert_int_equal(log_set_close(b.set, &err), -EIO);
    assert_non_null(strstr(err.text, strerror(ENXIO)));
    log_bed_remove(&b);
}

/* ---- folders ---- */

static void test_folder_is_made(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    char path[80];
    snprintf(path, sizeof path, "%s/new", b.folder);
    struct log_set_options options = {.folder = path};
    struct log_set *set;
    struct err err;
    assert_int_equal(log_set_open(&options, &set, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07, 0); /* logs are not for everybody */
    assert_int_equal(log_set_close(set, &err), 0);
    assert_int_equal(rmdir(path), 0); /* no record came: no file */
    log_bed_close(&b);
    log_bed_remove(&b);
}

static void test_folders_that_will_not_do(void **state)
{
    (void)state;
    static const char *const folders[] = {"/dev/null", "/dev/null/x", "/proc/no/such/folder"};
    for (size_t i = 0; i < 3; i++) {
        struct log_set_options options = {.folder = folders[i]};
        struct log_set *set = NULL;
        struct err err = {{0}};
        assert_true(log_set_open(&options, &set, &err) < 0);
        assert_null(set);
        assert_non_null(strstr(err.text, folders[i]));
    }
}

static void test_old_logs_are_replaced(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    char path[80];
    snprintf(path, sizeof path, "%s/rows.log", b.folder);
    FILE *old = fopen(path, "w");
    assert_non_null(old);
    for (int i = 0; i < 1000; i++)
        fputs("an old line\n", old);
    fclose(old);
    put_row(b.writer, 1);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "rows");
    assert_int_equal(check_rows(text), 1);
    free(text);
    log_bed_remove(&b);
}

/* ---- several workers ---- */

enum { N_WORKERS = 4, N_ROWS = 30000 };

struct job {
    struct log_set *set;
    uint64_t first;
};

static void *work(void *with)
{
    struct job *job = with;
    struct log_writer *writer = log_writer_new(job->set);
    for (uint64_t n = 0; n < N_ROWS; n++) {
        put_row(writer, job->first + n);
        if (n % 977 == job->first % 977)
            log_writer_flush(writer);
    }
    log_writer_free(writer);
    return NULL;
}

static void test_several_workers_write_whole_lines(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    pthread_t threads[N_WORKERS];
    struct job jobs[N_WORKERS];
    for (uint64_t i = 0; i < N_WORKERS; i++) {
        jobs[i] = (struct job){.set = b.set, .first = i * N_ROWS};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < N_WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(log_set_n_records(b.set), N_WORKERS * N_ROWS);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "rows");
    assert_int_equal(check_rows(text), N_WORKERS * N_ROWS);
    static bool seen[N_WORKERS * N_ROWS];
    for (const char *at = text; at && *at; at = log_next_line(at)) {
        if (*at == '#')
            continue;
        uint64_t n = strtoull(at, NULL, 10);
        assert_true(n < N_WORKERS * N_ROWS && !seen[n]);
        seen[n] = true;
    }
    const char *first = strstr(text, "#fields");
    assert_null(strstr(first + 1, "#fields")); /* one header */
    free(text);
    log_bed_remove(&b);
}

static void test_several_workers_and_a_full_disk(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    limit_files(1234567);
    pthread_t threads[N_WORKERS];
    struct job jobs[N_WORKERS];
    for (uint64_t i = 0; i < N_WORKERS; i++) {
        jobs[i] = (struct job){.set = b.set, .first = i * N_ROWS};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < N_WORKERS; i++)
        pthread_join(threads[i], NULL);
    log_writer_free(b.writer);
    struct err err = {{0}};
    assert_int_equal(log_set_close(b.set, &err), -EIO);
    limit_files(RLIM_INFINITY);
    char *text = log_bed_take(&b, "rows");
    assert_true(check_rows(text) > 1000);
    free(text);
    log_bed_remove(&b);
}

/* ---- who listens ---- */

struct heard {
    struct text text;
    uint64_t n_lines;
    pthread_mutex_t lock;
};

static void hear(void *with, const struct log_schema *of, const char *lines, size_t size,
                 uint64_t n_lines)
{
    struct heard *heard = with;
    pthread_mutex_lock(&heard->lock);
    assert_ptr_equal(of, &schema);
    assert_int_equal(lines[size - 1], '\n');
    text_add(&heard->text, lines, size);
    heard->n_lines += n_lines;
    pthread_mutex_unlock(&heard->lock);
}

/* All that is in the file is heard, in its order; and what the disk refuses too. */
static void test_a_listener(void **state)
{
    (void)state;
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct log_bed b;
    char header[LOG_HEADER_MAX];
    text_init(&heard.text, 64u << 20);
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    log_set_listen(b.set, hear, &heard);
    size_t size = log_set_header(b.set, &schema, header);
    static const char names[] = "#fields\tn\ta\tb\n#types\tcount\tstring\tstring\n";
    assert_null(memmem(header, size, "#open", 5));
    assert_non_null(memmem(header, size, names, strlen(names)));
    assert_int_equal(header[size - 1], '\n');
    for (uint64_t n = 0; n < 5000; n++)
        put_row(b.writer, n);
    log_writer_free(b.writer);
    struct err err = {{0}};
    assert_int_equal(log_set_close(b.set, &err), 0);
    char *file = log_bed_take(&b, "rows");
    const char *rows = strstr(file, "\n0\t(empty)");
    assert_non_null(rows);
    assert_int_equal(heard.n_lines, 5000);
    assert_memory_equal(rows + 1, heard.text.at, heard.text.size);
    assert_int_equal(strncmp(rows + 1 + heard.text.size, "#close", 6), 0);

    free(file);
    text_done(&heard.text);
    log_bed_remove(&b);

    text_init(&heard.text, 64u << 20);
    heard.n_lines = 0;
    log_bed_open(&b, LOG_FORMAT_JSON, NULL, 0);
    log_set_listen(b.set, hear, &heard);
    assert_int_equal(log_set_header(b.set, &schema, header), 0);
    limit_files(1000);
    for (uint64_t n = 0; n < 5000; n++)
        put_row(b.writer, n);
    log_writer_free(b.writer);
    assert_int_equal(log_set_close(b.set, &err), -EIO);
    limit_files(RLIM_INFINITY);
    assert_int_equal(heard.n_lines, 5000);
    text_done(&heard.text);
    log_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_no_room_from_the_start),
        cmocka_unit_test(test_dev_full),
        cmocka_unit_test(test_pipe_that_nobody_reads),
        cmocka_unit_test(test_folder_is_made),
        cmocka_unit_test(test_folders_that_will_not_do),
        cmocka_unit_test(test_old_logs_are_replaced),
        cmocka_unit_test(test_several_workers_write_whole_lines),
        cmocka_unit_test(test_several_workers_and_a_full_disk),
        cmocka_unit_test(test_a_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
