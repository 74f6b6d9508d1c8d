/* A book as bytes, a piece at a time, so that saving and loading need no second memory for all of
 * it. book_save and book_load (book.h) are the same in one block.
 *
 * A frame, its numbers with the lowest byte first:
 *
 *     raw size (4)  packed size (4)  how (1: 0 as it is, 1 zlib)  checksum (8)  packed bytes
 *
 * The checksum is XXH3 of the packed bytes with the book's secret. Raw, a piece begins with its
 * kind:
 *
 *     BEGIN  "cloudspan book", format (2), byte order (4), day (8), part (1), proof of the
 *            secret (8)
 *     TEXTS  n (4), then n of: varint length, bytes
 *     ROWS   name's length (1), name, version (2), key size (2), value size (2), n series (1), n
 * (4), then n entries END    number of texts (8) and entries (8), struct book_refused (4 * 8)
 *
 * An entry is key and value, both filled up to 8 bytes and with the series zeroed, as words of 4
 * bytes, each XORed with the same word of the entry before (of this piece): first 2 bits for each
 * word (it has 0, 1, 2 or 4 bytes), then those bytes. Then for each series: varint events refused,
 * varint events, and these packed as in memory, the first against the day's beginning. A series
 * that is too long for a piece goes on in the next one: there its key comes again, and what comes
 * with a key that is there already is only events. */
#ifndef HUNT_BOOK_FILE_H
#define HUNT_BOOK_FILE_H

#include "hunt/book.h"

#define BOOK_FRAME_HEAD 17
#define BOOK_PIECE_MAX  (768u << 10) /* raw; one entry's key and value fit a piece */
#define BOOK_FORMAT     2

enum book_piece { BOOK_BEGIN = 1, BOOK_TEXTS, BOOK_ROWS, BOOK_END };

/* One whole frame; what it gives but 0 ends the saving. */
typedef int book_sink_fn(void *with, const void *frame, size_t size, struct err *err);
int book_save_to(const struct book *book, const struct book_table *const *tables, size_t n_tables,
                 book_sink_fn *sink, void *with, struct err *err) MUST_CHECK;

/* Puts a head before `size` raw bytes; `out` has room for BOOK_FRAME_HEAD and as many. Gives the
 * frame's size. */
size_t book_frame(uint64_t secret, const uint8_t *raw, size_t size, uint8_t *out);

/* Grows with book_at, book_add_event and book_text; 0 for one that was loaded and left as it is.
 * Who changes values that book_find gave knows it himself. */
uint64_t book_changes(const struct book *book);

struct book_loading;
/* NULL: out of memory. The tables are borrowed until the end. */
struct book_loading *book_load_begin(const struct book_table *const *tables, size_t n_tables,
                                     size_t memory, uint64_t secret);
/* Whole frames, one or more. After a failure nothing more may be given. */
int book_load_take(struct book_loading *loading, const void *frames, size_t size,
                   struct err *err) MUST_CHECK;
/* Frees it in any case. Out: the book; with a result of 1 `err` says which tables were left out. */
int book_load_end(struct book_loading *loading, struct book **out, struct err *err) MUST_CHECK;
void book_load_cancel(struct book_loading *loading);

#endif
