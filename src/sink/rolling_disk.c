/* Writes buffers of packets into files, begins new files, removes old ones: see rolling.h.
 *
 * What is written is always whole blocks: a write that the disk did not take as a whole is undone
 * by cutting the file to where it was. */
#include "sink/rolling_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/version.h"
#include "net/packet.h"
#include "sink/block.h"
#include "sink/folder.h"

#define MAX_PIECES     512
#define MAX_INTERFACES 1024 /* in a file; more begin a new one */
#define MAX_LINKS      4    /* files at a time, without per_source */
#define NO_INTERFACE   UINT32_MAX
#define SECOND         1000000000ll

struct interface {
    uint16_t link;
    uint32_t hash;
    char source[SINK_NAME_MAX];
};

/* One that is being written. */
struct open_file {
    int fd; /* -1: this place is free */
    char name[FOLDER_NAME_MAX];
    uint16_t link;              /* of all its packets: libpcap reads no others */
    char source[SINK_NAME_MAX]; /* with per_source */
    uint64_t size;
    uint64_t n_packets;
    int64_t begun;
    uint64_t last_used; /* in turns of the disk */
    uint32_t n_interfaces;
    struct interface *interfaces; /* MAX_INTERFACES of them */
};

struct rolling_disk {
    struct rolling_options options;
    struct sink *sink;
    struct folder *folder;
    uint64_t limit; /* of all files; UINT64_MAX: none */
    uint64_t turn;
    int64_t stopped_until; /* the disk refused: not asked again before */
    int stopped_by;        /* errno; 0: it works */
    struct sink_counters counters;
    uint32_t n_files;
    struct open_file *files;

    /* Of the buffer and the file in hand. */
    uint32_t interface_of[ROLLING_MAX_SLOTS];
    uint32_t n_pieces, n_blocks; /* waiting */
    uint64_t size, bytes;
    struct iovec pieces[MAX_PIECES];
};

/* The limit follows the file system's size, which an administrator may change. */
static void set_limit(struct rolling_disk *disk)
{
    disk->limit = disk->options.total_size ? disk->options.total_size : UINT64_MAX;
    uint64_t size = disk->options.disk_share > 0 ? folder_disk_size(disk->folder) : 0;
    double share = (double)size * disk->options.disk_share;
    if (size > 0 && share < (double)disk->limit)
        disk->limit = (uint64_t)share;
}

int rolling_disk_open(const struct rolling_options *options, struct sink *sink,
                      struct rolling_disk **out, struct err *err)
{
    struct folder *folder;
    int result = folder_open(options->folder, &folder, err);
    if (result < 0)
        return result;
    struct rolling_disk *disk = calloc(1, sizeof *disk);
    if (disk) {
        disk->n_files = !options->per_source ? MAX_LINKS
                        : options->max_open  ? options->max_open
                                             : 64;
        disk->files = calloc(disk->n_files, sizeof *disk->files);
    }
    if (!disk || !disk->files) {
        folder_close(folder);
        free(disk);
        return err_set(err, -ENOMEM, "out of memory");
    }
    disk->options = *options;
    disk->options.folder = NULL;
    if (disk->options.file_size == 0)
        disk->options.file_size = 1ull << 30;
    disk->sink = sink;
    disk->folder = folder;
    set_limit(disk);
    for (uint32_t i = 0; i < disk->n_files; i++)
        disk->files[i].fd = -1;
    *out = disk;
    return 0;
}

static void finish_file(struct rolling_disk *disk, struct open_file *file)
{
    if (file->fd < 0)
        return;
    folder_finish(disk->folder, file->fd, file->name, file->n_packets ? file->size : 0);
    free(file->interfaces);
    *file = (struct open_file){.fd = -1};
}

void rolling_disk_close(struct rolling_disk *disk)
{
    if (!disk)
        return;
    for (uint32_t i = 0; i < disk->n_files; i++)
        finish_file(disk, &disk->files[i]);
    sink_publish(disk->sink, &disk->counters);
    folder_close(disk->folder);
    free(disk->files);
    free(disk);
}

static void stop(struct rolling_disk *disk, int code, int64_t now)
{
    if (disk->stopped_by != -code)
        sink_say(disk->sink, "packet files: %s: packets are not kept until this is over",
                 strerror(-code));
    disk->stopped_by = -code;
    disk->stopped_until = now + SECOND;
}

static bool is_full(int code)
{
    return code == -ENOSPC || code == -EDQUOT;
}

/* All of it behind the file's end, or nothing. 0 or a negative errno. */
static int put_pieces(struct rolling_disk *disk, struct open_file *file, struct iovec *pieces,
                      uint32_t n_pieces)
{
    uint64_t at = file->size;
    while (n_pieces > 0) {
        ssize_t n = pwritev(file->fd, pieces, (int)n_pieces, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        int code = n == 0 ? -EIO : n < 0 ? -errno : 0;
        if (code == 0) {
            at += (uint64_t)n;
            for (; n_pieces > 0 && (size_t)n >= pieces->iov_len; pieces++, n_pieces--)
                n -= (ssize_t)pieces->iov_len;
            if (n_pieces > 0) {
                pieces->iov_base = (uint8_t *)pieces->iov_base + n;
                pieces->iov_len -= (size_t)n;
            }
        } else if (!is_full(code) || !folder_remove_oldest(disk->folder)) {
            if (ftruncate(file->fd, (off_t)file->size) < 0)
                return -EIO; /* its end is not whole now: the next start mends it */
            return code;
        }
    }
    file->size = at;
    return 0;
}

static int put_block(struct rolling_disk *disk, struct open_file *file, uint8_t *block, size_t size)
{
    struct iovec piece = {.iov_base = block, .iov_len = size};
    return put_pieces(disk, file, &piece, 1);
}

static void refuse(struct rolling_disk *disk, uint64_t n_packets)
{
    int why = disk->stopped_by;
    disk->counters.n_refused[is_full(-why) ? SINK_DISK : SINK_ERROR] += n_packets;
}

/* Writes what waits for this file. */
static void put_waiting(struct rolling_disk *disk, struct open_file *file, int64_t now)
{
    if (disk->n_blocks == 0)
        return;
    bool asked = disk->stopped_until <= now;
    int code = asked ? put_pieces(disk, file, disk->pieces, disk->n_pieces) : -disk->stopped_by;
    if (asked && code < 0)
        stop(disk, code, now);
    if (code < 0) {
        refuse(disk, disk->n_blocks);
    } else {
        if (disk->stopped_by)
            sink_say(disk->sink, "packet files: packets are kept again");
        disk->stopped_by = 0;
        file->n_packets += disk->n_blocks;
        disk->counters.n_written += disk->n_blocks;
        disk->counters.n_bytes += disk->bytes;
    }
    disk->n_pieces = disk->n_blocks = 0;
    disk->size = disk->bytes = 0;
}

/* What a name says besides the time: the source, with per_source, and a link type that is not the
 * usual one. */
static void make_label(const struct rolling_disk *disk, const char *source, uint16_t link,
                       char *out, size_t size)
{
    const char *name = !disk->options.per_source ? "" : source[0] ? source : "unknown";
    if (link == LINK_ETHERNET)
        (void)snprintf(out, size, "%s", name);
    else
        (void)snprintf(out, size, "%.48s%slink-%u", name, name[0] ? "." : "", link);
}

static int begin_file(struct rolling_disk *disk, struct open_file *file, const char *source,
                      uint16_t link, int64_t now)
{
    char label[SINK_NAME_MAX + 16];
    uint8_t block[BLOCK_HEAD_MAX];
    char comment[SINK_NAME_MAX + 16];
    struct open_file fresh = {.link = link, .begun = now, .last_used = disk->turn};
    fresh.interfaces = calloc(MAX_INTERFACES, sizeof *fresh.interfaces);
    if (!fresh.interfaces)
        return -ENOMEM;
    make_label(disk, source, link, label, sizeof label);
    while ((fresh.fd = folder_create(disk->folder, str_c(label), now, fresh.name)) < 0)
        if (!is_full(fresh.fd) || !folder_remove_oldest(disk->folder)) {
            free(fresh.interfaces);
            return fresh.fd;
        }
    (void)snprintf(fresh.source, sizeof fresh.source, "%s", source);
    (void)snprintf(comment, sizeof comment, "source %s", source[0] ? source : "unknown");
    size_t size = block_section(block, STR("cloudspan " VERSION_TEXT),
                                disk->options.per_source ? str_c(comment) : (struct str){0});
    *file = fresh;
    int code = put_block(disk, file, block, size);
    if (code < 0)
        finish_file(disk, file);
    return code;
}

/* The source's file; NULL: there can be none now. */
static struct open_file *file_of(struct rolling_disk *disk, const char *source, uint16_t link,
                                 int64_t now)
{
    struct open_file *place = &disk->files[0];
    if (!disk->options.per_source)
        source = "";
    for (uint32_t i = 0; i < disk->n_files; i++) {
        struct open_file *file = &disk->files[i];
        if (file->fd >= 0 && file->link == link && strcmp(file->source, source) == 0) {
            file->last_used = disk->turn;
            return file;
        }
        if (place->fd >= 0 && (file->fd < 0 || file->last_used < place->last_used))
            place = file;
    }
    if (disk->stopped_until > now)
        return NULL;
    finish_file(disk, place);
    int code = begin_file(disk, place, source, link, now);
    if (code < 0)
        stop(disk, code, now);
    return code < 0 ? NULL : place;
}

static void forget_interfaces(struct rolling_disk *disk)
{
    for (uint32_t i = 0; i < ROLLING_MAX_SLOTS; i++)
        disk->interface_of[i] = NO_INTERFACE;
}

/* The slot's interface in the file: known, or described there now. NO_INTERFACE: it cannot be. */
static uint32_t interface_of(struct rolling_disk *disk, struct open_file *file,
                             const struct rolling_slot *slot, int64_t now)
{
    uint8_t block[BLOCK_HEAD_MAX];
    char comment[SINK_NAME_MAX + 16];
    for (uint32_t i = 0; i < file->n_interfaces; i++) {
        const struct interface *known = &file->interfaces[i];
        if (known->hash == slot->hash && known->link == slot->link &&
            strcmp(known->source, slot->source) == 0)
            return i;
    }
    if (file->n_interfaces == MAX_INTERFACES || disk->stopped_until > now)
        return NO_INTERFACE;
    const char *name = slot->source[0] ? slot->source : "unknown";
    (void)snprintf(comment, sizeof comment, "source %s", name);
    size_t size =
        block_interface(block, slot->link, disk->options.snap_size, str_c(name),
                        slot->how[0] ? str_c(slot->how) : (struct str){0}, str_c(comment));
    put_waiting(disk, file, now);
    int code = put_block(disk, file, block, size);
    if (code < 0) {
        stop(disk, code, now);
        return NO_INTERFACE;
    }
    struct interface *fresh = &file->interfaces[file->n_interfaces];
    fresh->link = slot->link;
    fresh->hash = slot->hash;
    memcpy(fresh->source, slot->source, sizeof fresh->source);
    return file->n_interfaces++;
}

static uint64_t file_limit(const struct rolling_disk *disk)
{
    uint64_t size = disk->options.file_size;
    return disk->limit / 4 < size ? disk->limit / 4 : size;
}

/* Puts a packet's block behind those that wait. NULL: there is no file any more. */
static struct open_file *add_block(struct rolling_disk *disk, struct open_file *file,
                                   const struct rolling_buffer *buffer, uint8_t *block, int64_t now)
{
    uint32_t slot, kept;
    memcpy(&slot, block + 8, sizeof slot);
    memcpy(&kept, block + 20, sizeof kept);
    uint32_t size = block_size(block);
    bool has_packets = file->n_packets + disk->n_blocks > 0;
    if (has_packets &&
        (file->size + disk->size + size > file_limit(disk) ||
         (file->n_interfaces == MAX_INTERFACES && disk->interface_of[slot] == NO_INTERFACE))) {
        char source[SINK_NAME_MAX];
        uint16_t link = file->link;
        memcpy(source, file->source, sizeof source);
        put_waiting(disk, file, now);
        finish_file(disk, file);
        forget_interfaces(disk);
        file = file_of(disk, source, link, now);
    }
    if (!file)
        return NULL;
    if (disk->interface_of[slot] == NO_INTERFACE)
        disk->interface_of[slot] = interface_of(disk, file, &buffer->slots[slot], now);
    if (disk->interface_of[slot] == NO_INTERFACE) {
        refuse(disk, 1);
        return file;
    }
    block_set_interface(block, disk->interface_of[slot]);
    struct iovec *last = disk->n_pieces ? &disk->pieces[disk->n_pieces - 1] : NULL;
    if (last && (uint8_t *)last->iov_base + last->iov_len == block) {
        last->iov_len += size;
    } else {
        if (disk->n_pieces == MAX_PIECES)
            put_waiting(disk, file, now);
        disk->pieces[disk->n_pieces++] = (struct iovec){.iov_base = block, .iov_len = size};
    }
    disk->n_blocks++;
    disk->size += size;
    disk->bytes += kept;
    return file;
}

/* The packets of those slots whose `mine` is set: of one file. */
static void write_slots(struct rolling_disk *disk, struct rolling_buffer *buffer,
                        const bool mine[ROLLING_MAX_SLOTS], const struct rolling_slot *slot_of_file,
                        int64_t now)
{
    disk->turn++;
    forget_interfaces(disk);
    struct open_file *file = file_of(disk, slot_of_file->source, slot_of_file->link, now);
    for (uint32_t at = 0, size; at < buffer->used; at += size) {
        uint8_t *block = buffer->bytes + at;
        uint32_t slot;
        size = block_size(block);
        memcpy(&slot, block + 8, sizeof slot);
        if (!mine[slot])
            continue;
        if (file)
            file = add_block(disk, file, buffer, block, now);
        if (!file)
            refuse(disk, 1);
    }
    if (file)
        put_waiting(disk, file, now);
}

static uint64_t total_size(const struct rolling_disk *disk)
{
    uint64_t size = folder_size(disk->folder);
    for (uint32_t i = 0; i < disk->n_files; i++)
        size += disk->files[i].fd >= 0 ? disk->files[i].size : 0;
    return size;
}

/* The oldest go first; one that is being written only when there is nothing else. */
static void keep_limit(struct rolling_disk *disk)
{
    while (total_size(disk) > disk->limit) {
        if (folder_remove_oldest(disk->folder))
            continue;
        struct open_file *oldest = NULL;
        for (uint32_t i = 0; i < disk->n_files; i++)
            if (disk->files[i].fd >= 0 && (!oldest || disk->files[i].begun < oldest->begun))
                oldest = &disk->files[i];
        if (!oldest)
            return;
        finish_file(disk, oldest);
        if (folder_n_files(disk->folder) == 0)
            return; /* it could not be given its name: nothing gets better here */
    }
}

static bool same_file(const struct rolling_disk *disk, const struct rolling_slot *a,
                      const struct rolling_slot *b)
{
    return a->link == b->link && (!disk->options.per_source || strcmp(a->source, b->source) == 0);
}

void rolling_disk_write(struct rolling_disk *disk, struct rolling_buffer *buffer, int64_t now)
{
    bool done[ROLLING_MAX_SLOTS] = {0};
    for (uint32_t i = 0; i < buffer->n_slots; i++) {
        if (done[i])
            continue;
        bool mine[ROLLING_MAX_SLOTS] = {0};
        for (uint32_t j = i; j < buffer->n_slots; j++)
            if (same_file(disk, &buffer->slots[i], &buffer->slots[j]))
                done[j] = mine[j] = true;
        write_slots(disk, buffer, mine, &buffer->slots[i], now);
    }
    keep_limit(disk);
    sink_publish(disk->sink, &disk->counters);
}

void rolling_disk_tick(struct rolling_disk *disk, int64_t now)
{
    int64_t every = disk->options.file_time;
    for (uint32_t i = 0; i < disk->n_files; i++) {
        struct open_file *file = &disk->files[i];
        if (file->fd >= 0 && every > 0 && now / every != file->begun / every)
            finish_file(disk, file);
    }
    if (disk->options.keep_time > 0)
        while (folder_remove_older(disk->folder, now - disk->options.keep_time))
            ;
    set_limit(disk);
    keep_limit(disk);
}
