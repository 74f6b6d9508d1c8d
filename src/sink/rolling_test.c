// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink/block.h"
#include "sink/folder.h"
#include "sink/rolling_bed.h"
#include "sink/rolling_disk.h"

#define SECOND 1000000000ll
#define NOW    (1790000000ll * SECOND) /* 2026-09-21 14:13:20 UTC */

#define MAX_NAMES 64

struct bed {
    char path[64];
    size_t n_names;
    char names[MAX_NAMES][160]; /* of the files in it, sorted */
};

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void look(struct bed *bed)
{
    DIR *dir = opendir(bed->path);
    assert_non_null(dir);
    const struct dirent *entry;
    bed->n_names = 0;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.') {
            assert_true(bed->n_names < MAX_NAMES);
            (void)snprintf(bed->names[bed->n_names++], sizeof bed->names[0], "%.150s",
                           entry->d_name);
        }
    closedir(dir);
    qsort(bed->names, bed->n_names, sizeof bed->names[0], by_text);
}

static const char *path_of(const struct bed *bed, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", bed->path, name);
    return path;
}

static int setup(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    (void)snprintf(bed->path, sizeof bed->path, "/tmp/cloudspan-rolling-XXXXXX");
    assert_non_null(mkdtemp(bed->path));
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    look(bed);
    for (size_t i = 0; i < bed->n_names; i++)
        unlink(path_of(bed, bed->names[i]));
    rmdir(bed->path);
    free(bed);
    return 0;
}

static void put_file(const struct bed *bed, const char *name, const void *bytes, size_t size)
{
    int fd = open(path_of(bed, name), O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static size_t file_size(const struct bed *bed, const char *name)
{
    struct stat st;
    assert_int_equal(stat(path_of(bed, name), &st), 0);
    return (size_t)st.st_size;
}

static const uint8_t bytes_of_packet[2000] = {0x45};

static struct sink_packet packet_of(const char *source, uint32_t size)
{
    return (struct sink_packet){.ts = NOW + 7,
                                .bytes = bytes_of_packet,
                                .size = size,
                                .wire_size = size,
                                .link = 1,
                                .source = source};
}

static void test_written_and_read(void **state)
{
    struct bed *bed = *state;
    struct rolling_options options = {
        .folder = bed->path, .snap_size = 100, .packet_comments = true};
    struct sink *sink;
    struct sink_writer *one, *two;
    struct err err;
    assert_int_equal(rolling_open(&options, &sink, &err), 0);
    assert_int_equal(sink_start(sink, &err), 0);
    assert_int_equal(sink_attach(sink, &one, &err), 0);
    assert_int_equal(sink_attach(sink, &two, &err), 0);
    for (int i = 0; i < 5000; i++) {
        struct sink_packet packet = packet_of(i % 2 ? "web-1" : "db-1", 60 + (uint32_t)i % 100);
        sink_write(i % 3 ? one : two, &packet);
        if (i % 32 == 0)
            sink_burst(one);
    }
    struct addr outer = {{[10] = 0xff, [11] = 0xff, [12] = 10}};
    struct sink_packet last = packet_of(NULL, 70);
    last.link = 101;
    last.encapsulation = "vxlan";
    last.outer = &outer;
    sink_write(one, &last);
    sink_detach(one);
    sink_detach(two);
    assert_int_equal(sink_close(sink, &err), 0);
    look(bed);
    assert_int_equal(bed->n_names, 2); /* each link type has its own: libpcap wants it so */
    bool is_first = strstr(bed->names[0], "-000.link-101.pcapng") != NULL;
    assert_true(is_first || strstr(bed->names[1], "-000.link-101.pcapng"));
    const struct found *found = read_back(path_of(bed, bed->names[is_first ? 0 : 1]));
    assert_int_equal(found->n_packets, 1);
    assert_int_equal(found->n_interfaces, 1);
    assert_string_equal(found->interfaces[0], "unknown");
    found = read_back(path_of(bed, bed->names[is_first ? 1 : 0]));
    assert_int_equal(found->n_packets, 5000);
    assert_int_equal(found->n_interfaces, 2);
    assert_int_equal(found->of_interface[0], 2500);
    assert_int_equal(found->of_interface[1], 2500);
    assert_string_equal(found->packet_comment[0] == 'w' ? "web-1" : "db-1", found->packet_comment);
    assert_true(found->last_size <= 100);
    assert_int_equal(found->last_ts, NOW + 7);
    struct stat st;
    assert_int_equal(stat(path_of(bed, bed->names[0]), &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0640u, 0);
}

/* The disk's half alone, with times of its own. */
struct disk_bed {
    struct sink sink;
    struct rolling_disk *disk;
    struct rolling_buffer *buffer;
    struct sink_counters counters;
};

static const struct sink_ops no_ops = {.name = "test"};

static void open_disk(struct disk_bed *d, const struct rolling_options *options)
{
    struct err err;
    sink_init(&d->sink, &no_ops);
    d->buffer = calloc(1, sizeof *d->buffer);
    assert_int_equal(rolling_disk_open(options, &d->sink, &d->disk, &err), 0);
}

static void close_disk(struct disk_bed *d)
{
    rolling_disk_close(d->disk);
    sink_count(&d->sink, &d->counters);
    sink_done(&d->sink);
    free(d->buffer);
}

/* `n` packets of `size` bytes, from n_sources in turn, in one buffer. */
static void write_some(struct disk_bed *d, unsigned n, uint32_t size, unsigned n_sources,
                       unsigned first_source, int64_t now)
{
    struct rolling_buffer *b = d->buffer;
    memset(b->slots, 0, sizeof b->slots);
    b->used = 0;
    b->n_slots = n_sources;
    for (unsigned i = 0; i < n_sources; i++) {
        b->slots[i].link = 1;
        b->slots[i].hash = first_source + i;
        (void)snprintf(b->slots[i].source, SINK_NAME_MAX, "host-%04u", first_source + i);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_true(b->used + size + BLOCK_PACKET_MORE <= ROLLING_BUFFER_SIZE);
        b->used += (uint32_t)block_packet(b->bytes + b->used, i % n_sources, now, bytes_of_packet,
                                          size, size, (struct str){0});
    }
    rolling_disk_write(d->disk, b, now);
}

static void test_size(void **state)
{
    struct bed *bed = *state;
    struct disk_bed d;
    open_disk(&d, &(struct rolling_options){.folder = bed->path, .file_size = 20000});
    for (int i = 0; i < 5; i++)
        write_some(&d, 100, 500, 3, 0, NOW);
    close_disk(&d);
    look(bed);
    unsigned n = 0;
    for (size_t i = 0; i < bed->n_names; i++) {
        assert_true(file_size(bed, bed->names[i]) <= 20000);
        if (i + 1 < bed->n_names)
            assert_true(file_size(bed, bed->names[i]) > 19000);
        n += read_back(path_of(bed, bed->names[i]))->n_packets;
    }
    assert_int_equal(n, 500);
    assert_int_equal(d.counters.n_written, 500);
    assert_int_equal(d.counters.n_bytes, 250000);
    assert_string_equal(bed->names[0], "cloudspan-20260921-141320-000.pcapng");
    assert_string_equal(bed->names[1], "cloudspan-20260921-141320-001.pcapng");
}

static void test_time(void **state)
{
    struct bed *bed = *state;
    struct disk_bed d;
    open_disk(&d, &(struct rolling_options){.folder = bed->path, .file_time = 3600 * SECOND});
    write_some(&d, 1, 100, 1, 0, NOW);
    rolling_disk_tick(d.disk, NOW + SECOND);
    look(bed);
    assert_string_equal(bed->names[0], "cloudspan-20260921-141320-000.pcapng.part");
    assert_int_equal(read_back(path_of(bed, bed->names[0]))->n_packets,
                     1); /* to be read at any time */
    rolling_disk_tick(d.disk, NOW + 2799 * SECOND);
    look(bed);
    assert_string_equal(bed->names[0], "cloudspan-20260921-141320-000.pcapng.part");
    rolling_disk_tick(d.disk, NOW + 2800 * SECOND); /* 15:00:00 */
    look(bed);
    assert_int_equal(bed->n_names, 1);
    assert_string_equal(bed->names[0], "cloudspan-20260921-141320-000.pcapng");
    write_some(&d, 1, 100, 1, 0, NOW + 2800 * SECOND);
    close_disk(&d);
    look(bed);
    assert_int_equal(bed->n_names, 2);
    assert_string_equal(bed->names[1], "cloudspan-20260921-150000-000.pcapng");
}

static void test_total_size(void **state)
{
    struct bed *bed = *state;
    struct disk_bed d;
    put_file(bed, "cloudspan-20200101-000000-000.pcapng", bytes_of_packet, 2000);
    put_file(bed, "mine.pcapng", bytes_of_packet, 2000);
    put_file(bed, "cloudspan-2020-notes.pcapng", bytes_of_packet, 2000);
    put_file(bed, "cloudspan-20200101-000000-000.pcapng.gz", bytes_of_packet, 2000);
    assert_int_equal(symlink("mine.pcapng", path_of(bed, "cloudspan-20200101-000000-001.pcapng")),
                     0);
    open_disk(&d, &(struct rolling_options){
                      .folder = bed->path, .file_size = 20000, .total_size = 100000});
    for (int i = 0; i < 10; i++) {
        write_some(&d, 100, 500, 3, 0, NOW + i * SECOND);
        look(bed);
        size_t total = 0;
        for (size_t j = 0; j < bed->n_names; j++)
            if (strncmp(bed->names[j], "cloudspan-2026", 14) == 0)
                total += file_size(bed, bed->names[j]);
        assert_true(total <= 100000);
        assert_true(i < 2 || total > 70000);
    }
    close_disk(&d);
    look(bed);
    assert_string_equal(bed->names[0], "cloudspan-2020-notes.pcapng"); /* nothing of others' */
    assert_string_equal(bed->names[1], "cloudspan-20200101-000000-000.pcapng.gz");
    assert_string_equal(bed->names[2], "cloudspan-20200101-000000-001.pcapng");
    assert_string_equal(bed->names[bed->n_names - 1], "mine.pcapng");
    assert_string_equal(bed->names[bed->n_names - 2], "cloudspan-20260921-141329-002.pcapng");
}

static void test_age(void **state)
{
    struct bed *bed = *state;
    struct disk_bed d;
    put_file(bed, "cloudspan-20260921-131319-000.pcapng", bytes_of_packet, 10);
    put_file(bed, "cloudspan-20260921-131320-000.pcapng", bytes_of_packet, 10);
    open_disk(&d, &(struct rolling_options){.folder = bed->path, .keep_time = 3600 * SECOND});
    rolling_disk_tick(d.disk, NOW);
    look(bed);
    assert_int_equal(bed->n_names, 1);
    assert_string_equal(bed->names[0], "cloudspan-20260921-131320-000.pcapng");
    rolling_disk_tick(d.disk, NOW + SECOND);
    look(bed);
    assert_int_equal(bed->n_names, 0);
    close_disk(&d);
}

static void test_per_source(void **state)
{
    struct bed *bed = *state;
    struct disk_bed d;
    open_disk(&d,
              &(struct rolling_options){.folder = bed->path, .per_source = true, .max_open = 4});
    write_some(&d, 30, 100, 10, 0, NOW); /* more than may be open */
    look(bed);
    unsigned n_open = 0;
    for (size_t i = 0; i < bed->n_names; i++)
        n_open += strstr(bed->names[i], ".part") != NULL;
    assert_int_equal(bed->n_names, 10);
    assert_int_equal(n_open, 4);
    write_some(&d, 2, 100, 2, 8, NOW + SECOND); /* those used last are still open */
    close_disk(&d);
    look(bed);
    assert_int_equal(bed->n_names, 10);
    for (size_t i = 0; i < 10; i++) {
        char name[64], comment[32];
        (void)snprintf(name, sizeof name, "cloudspan-20260921-141320-000.host-%04zu.pcapng", i);
        (void)snprintf(comment, sizeof comment, "source host-%04zu", i);
        assert_string_equal(bed->names[i], name);
        const struct found *found = read_back(path_of(bed, name));
        assert_int_equal(found->n_packets, i < 8 ? 3 : 4);
        assert_int_equal(found->n_interfaces, 1);
        assert_string_equal(found->section_comment, comment);
        assert_string_equal(found->interfaces[0], comment + 7);
    }
}

static void test_names_are_made_fit(void **state)
{
    struct bed *bed = *state;
    struct folder *folder;
    struct err err;
    char name[FOLDER_NAME_MAX];
    static const char *const labels[] = {"../../etc/x", ".hidden", "a b\n\x01\xff", "2001:db8::1",
                                         ("0123456789012345678901234567890123456789"
                                          "0123456789012345678901234567890123456789")};
    static const char *const names[] = {"_._.._etc_x", "_hidden", "a_b___", "2001_db8__1",
                                        ("0123456789012345678901234567890123456789"
                                         "012345678901234567890123")};
    assert_int_equal(folder_open(bed->path, &folder, &err), 0);
    for (size_t i = 0; i < 5; i++) {
        int fd = folder_create(folder, str_c(labels[i]), NOW, name);
        assert_true(fd >= 0);
        char want[FOLDER_NAME_MAX];
        (void)snprintf(want, sizeof want, "cloudspan-20260921-141320-000.%s.pcapng.part", names[i]);
        assert_string_equal(name, want);
        folder_finish(folder, fd, name, 1);
    }
    assert_int_equal(folder_n_files(folder), 5);
    folder_close(folder);
    assert_int_equal(folder_open(bed->path, &folder, &err), 0);
    assert_int_equal(folder_n_files(folder), 5); /* they are found again */
    folder_close(folder);
}

/* As after a kill in the middle of a write, at every byte of the last block. */
static void test_leftovers(void **state)
{
    struct bed *bed = *state;
    static const char part[] = "cloudspan-20260921-141320-000.web.pcapng.part";
    static const char final[] = "cloudspan-20260921-141320-000.web.pcapng";
    uint8_t bytes[2000];
    size_t head = block_section(bytes, STR("test"), (struct str){0});
    head += block_interface(bytes + head, 1, 0, STR("web"), (struct str){0}, (struct str){0});
    size_t one = head + block_packet(bytes + head, 0, NOW, bytes_of_packet, 77, 77, STR("c"));
    size_t two = one + block_packet(bytes + one, 0, NOW, bytes_of_packet, 31, 31, (struct str){0});
    for (size_t size = head; size <= two; size++) {
        struct folder *folder;
        put_file(bed, part, bytes, size);
        assert_int_equal(folder_open(bed->path, &folder, NULL), 0);
        look(bed);
        if (size < one) {
            assert_int_equal(bed->n_names, 0); /* nothing was in it */
        } else {
            assert_int_equal(bed->n_names, 1);
            assert_string_equal(bed->names[0], final);
            assert_int_equal(file_size(bed, final), size < two ? one : two);
            assert_int_equal(folder_size(folder), size < two ? one : two);
            unlink(path_of(bed, final));
        }
        folder_close(folder);
    }
}

static void test_files_of_another_process_are_left_alone(void **state)
{
    struct bed *bed = *state;
    struct folder *folder, *other;
    char name[FOLDER_NAME_MAX], other_name[FOLDER_NAME_MAX];
    assert_int_equal(folder_open(bed->path, &folder, NULL), 0);
    int fd = folder_create(folder, STR(""), NOW, name);
    assert_int_equal(write(fd, "half", 4), 4);
    assert_int_equal(folder_open(bed->path, &other, NULL), 0);
    assert_int_equal(folder_n_files(other), 0);
    assert_int_equal(file_size(bed, name), 4);
    int fd2 = folder_create(other, STR(""), NOW, other_name);
    assert_string_not_equal(name, other_name);
    folder_finish(other, fd2, other_name, 0);
    folder_finish(folder, fd, name, 4);
    look(bed);
    assert_int_equal(bed->n_names, 1);
    folder_close(other);
    folder_close(folder);
}

static void test_many_interfaces(void **state)
{
    struct bed *bed = *state;
    struct disk_bed d;
    open_disk(&d, &(struct rolling_options){.folder = bed->path});
    for (unsigned i = 0; i < 20; i++)
        write_some(&d, 200, 60, 100, i * 100, NOW);
    close_disk(&d);
    look(bed);
    assert_int_equal(bed->n_names, 2);
    unsigned n = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct found *found = read_back(path_of(bed, bed->names[i]));
        assert_true(found->n_interfaces <= 1024);
        n += found->n_packets;
    }
    assert_int_equal(n, 4000);
}

/* When nothing takes the buffers (here: no thread was started), they are used up, and no more. */
static void test_a_disk_that_is_too_slow(void **state)
{
    struct bed *bed = *state;
    struct sink *sink;
    struct sink_writer *writer;
    struct sink_counters counters;
    struct err err;
    assert_int_equal(
        rolling_open(&(struct rolling_options){.folder = bed->path, .memory = 1}, &sink, &err), 0);
    assert_int_equal(sink_attach(sink, &writer, &err), 0);
    struct sink_packet packet = packet_of("web-1", 2000);
    for (int i = 0; i < 2000; i++)
        sink_write(writer, &packet);
    sink_burst(writer);
    sink_count(sink, &counters);
    assert_in_range(counters.n_refused[SINK_FULL], 2000 - 5 * 130, 2000 - 5 * 110);
    sink_detach(writer);
    assert_int_equal(sink_close(sink, &err), 0);
}

/* On a file system of its own, of 256 KiB. */
static void test_full_disk(void **state)
{
    struct bed *bed = *state;
    struct disk_bed d;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", bed->path, "tmpfs", 0, "size=256k") < 0) {
        print_message("skipped: cannot mount: %s\n", strerror(errno));
        skip();
    }
    open_disk(&d, &(struct rolling_options){.folder = bed->path, .file_size = 60000});
    for (int i = 0; i < 20; i++) /* the oldest make room */
        write_some(&d, 100, 500, 3, 0, NOW + i);
    sink_count(&d.sink, &d.counters);
    assert_int_equal(d.counters.n_written, 2000);
    look(bed);
    assert_in_range(bed->n_names, 3, 5);

    /* Somebody takes our finished files away, and all the room. */
    static uint8_t zeros[4096];
    int fd = open(path_of(bed, "others"), O_WRONLY | O_CREAT, 0640);
    for (size_t i = 0; i < bed->n_names; i++)
        if (!strstr(bed->names[i], ".part"))
            unlink(path_of(bed, bed->names[i]));
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    for (int i = 0; i < 20; i++)
        write_some(&d, 100, 500, 3, 0, NOW + i * 2 * SECOND);
    char note[SINK_NOTE_MAX];
    sink_count(&d.sink, &d.counters);
    uint64_t refused = d.counters.n_refused[SINK_DISK];
    assert_true(refused > 0);
    assert_int_equal(d.counters.n_written + refused, 4000);
    assert_true(sink_take_note(&d.sink, note));
    assert_non_null(strstr(note, strerror(ENOSPC)));
    look(bed);
    for (size_t i = 0; i < bed->n_names; i++)
        if (bed->names[i][0] == 'c')
            (void)read_back(path_of(bed, bed->names[i])); /* whole blocks only */

    /* There is room again. */
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    write_some(&d, 100, 500, 3, 0, NOW + 100 * SECOND);
    sink_count(&d.sink, &d.counters);
    assert_int_equal(d.counters.n_refused[SINK_DISK], refused);
    assert_true(sink_take_note(&d.sink, note));
    close_disk(&d);
    look(bed);
    unsigned n = 0;
    for (size_t i = 0; i < bed->n_names; i++)
        if (bed->names[i][0] == 'c')
            n += read_back(path_of(bed, bed->names[i]))->n_packets;
    assert_true(n >= 100);
    assert_int_equal(umount(bed->path), 0);
}

static void test_folder_that_cannot_be(void **state)
{
    struct sink *sink;
    struct err err;
    assert_int_equal(rolling_open(&(struct rolling_options){.folder = "/dev/null/x"}, &sink, &err),
                     -ENOTDIR);
    assert_non_null(strstr(err.text, "/dev/null/x"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_written_and_read),
        TEST(test_size),
        TEST(test_time),
        TEST(test_total_size),
        TEST(test_age),
        TEST(test_per_source),
        TEST(test_names_are_made_fit),
        TEST(test_leftovers),
        TEST(test_files_of_another_process_are_left_alone),
        TEST(test_many_interfaces),
        TEST(test_a_disk_that_is_too_slow),
        TEST(test_folder_that_cannot_be),
        TEST(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
