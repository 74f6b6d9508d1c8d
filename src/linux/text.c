/* Files of /proc and /sys: see text.h. */
#include "linux/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHOLE_MAX (4u << 20)

long text_read(const char *path, char *out, size_t size)
{
    out[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    size_t at = 0;
    ssize_t n = 0;
    while (at < size - 1 && (n = read(fd, out + at, size - 1 - at)) > 0)
        at += (size_t)n;
    int code = errno;
    close(fd);
    if (n < 0) {
        out[0] = '\0';
        return -code;
    }
    if (at > 0 && out[at - 1] == '\n')
        at--;
    out[at] = '\0';
    return (long)at;
}

char *text_read_all(const char *path)
{
    for (size_t size = 16384; size <= WHOLE_MAX; size *= 4) {
        char *text = malloc(size);
        long n = text ? text_read(path, text, size) : -ENOMEM;
        if (n >= 0 && (size_t)n < size - 2)
            return text;
        free(text);
        if (n < 0)
            return NULL;
    }
    return NULL;
}

bool text_number(const char **at, int base, uint64_t *out)
{
    const char *text = *at + strspn(*at, " \t:");
    char *end;
    if (*text == '-' || *text == '+' || *text == '\n')
        return false;
    errno = 0;
    unsigned long long v = strtoull(text, &end, base);
    if (errno || end == text)
        return false;
    *at = end;
    *out = v;
    return true;
}

bool text_read_number(const char *path, uint64_t *out)
{
    char text[64];
    const char *at = text;
    return text_read(path, text, sizeof text) > 0 && text_number(&at, 10, out);
}

const char *text_next_line(const char *at)
{
    const char *end = strchr(at, '\n');
    return end ? end + 1 : NULL;
}
