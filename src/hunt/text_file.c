/* Files of lines: see text_file.h. */
#include "hunt/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What can be read at all: a pipe gives no size, and could give bytes for ever. */
static int read_all(int fd, size_t max, char **out, size_t *out_size)
{
    size_t room = 65536, size = 0;
    char *bytes = malloc(room);
    while (bytes) {
        if (size == room) {
            char *grown = realloc(bytes, room * 2);
            if (!grown)
                break;
            bytes = grown;
            room *= 2;
        }
        ssize_t n = read(fd, bytes + size, room - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int code = -errno;
            free(bytes);
            return code;
        }
        if (n == 0) {
            *out = bytes;
            *out_size = size;
            return 0;
        }
        size += (size_t)n;
        if (size > max) {
            free(bytes);
            return -EFBIG;
        }
    }
    free(bytes);
    return -ENOMEM;
}

int text_file_read(const char *path, size_t max, char **out, size_t *out_size, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int code = -errno;
        return err_set(err, code, "%s: %s", path, strerror(-code));
    }
    int result = read_all(fd, max, out, out_size);
    close(fd);
    /* As editors of Windows put it in front: it is in no line. */
    if (result == 0 && *out_size >= 3 && memcmp(*out, TEXT_FILE_MARK, 3) == 0) {
        *out_size -= 3;
        memmove(*out, *out + 3, *out_size);
    }
    if (result == -EFBIG)
        return err_set(err, result, "%s: larger than %zu MiB: is it the right file?", path,
                       max >> 20);
    return result < 0 ? err_set(err, result, "%s: %s", path, strerror(-result)) : 0;
}

bool text_file_line(struct str *rest, struct str *out)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->at, '\n', rest->len);
    *out = str_upto(*rest, end ? (size_t)(end - rest->at) : rest->len);
    *rest = str_from(*rest, end ? (size_t)out->len + 1 : out->len);
    if (out->len > 0 && out->at[out->len - 1] == '\r')
        out->len--;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

bool text_file_word(struct str *line, struct str *out)
{
    while (line->len > 0 && is_blank(line->at[0]))
        *line = str_from(*line, 1);
    uint32_t len = 0;
    while (len < line->len && !is_blank(line->at[len]))
        len++;
    *out = str_upto(*line, len);
    *line = str_from(*line, len);
    return len > 0;
}
