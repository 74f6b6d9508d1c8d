/* A feed's text, from a block of its exact size: taken twice it says the same as once, and what it
 * says of any of its lines can be asked for. */
#include <stdlib.h>
#include <string.h>

#include "hunt/feeds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void ask(const struct feeds *feeds, struct str line)
{
    const char *said = feeds_of_name(feeds, line);
    if (said && strlen(said) > 400)
        abort();
    (void)feeds_of_fingerprint(feeds, line);
    struct addr addr;
    memset(&addr, 0, sizeof addr);
    memcpy(addr.b, line.at, line.len < sizeof addr.b ? line.len : sizeof addr.b);
    (void)feeds_of_addr(feeds, &addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *exact = malloc(size ? size : 1);
    struct feeds *feeds = feeds_new(7);
    if (!exact || !feeds)
        abort();
    memcpy(exact, bytes, size);
    struct str text = str_make(exact, size);
    struct feeds_counts once, twice;
    feeds_take(feeds, "feed", text);
    feeds_count(feeds, &once);
    feeds_take(feeds, "again", text);
    feeds_count(feeds, &twice);
    if (once.n_entries != twice.n_entries || twice.n_refused != 2 * once.n_refused)
        abort();
    while (text.len > 0) {
        const char *end = memchr(text.at, '\n', text.len);
        size_t len = end ? (size_t)(end - text.at) : text.len;
        ask(feeds, str_upto(text, len));
        text = str_from(text, end ? len + 1 : len);
    }
    feeds_free(feeds);
    free(exact);
    return 0;
}
