/* What secrets need: see secret.h. */
#include "cloud/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_MAX (64u << 10)

bool cloud_url_is_safe(const char *url)
{
    static const char *const here[] = {"http://127.0.0.1", "http://[::1]", "http://localhost"};
    if (strncmp(url, "https://", 8) == 0 && url[8])
        return true;
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) {
        size_t len = strlen(here[i]);
        if (strncmp(url, here[i], len) == 0 && strchr(":/", url[len]))
            return true; /* also where the URL ends */
    }
    return false;
}

int cloud_read_secret(const char *path, char **out, struct err *err)
{
    char *bytes = malloc(SECRET_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC), result = 0;
    size_t size = 0;
    if (!bytes)
        result = err_set(err, -ENOMEM, "out of memory");
    else if (fd < 0)
        result = err_set(err, -errno, "%s: %s", path, strerror(errno));
    while (result == 0 && size <= SECRET_MAX) {
        ssize_t n = read(fd, bytes + size, SECRET_MAX + 1 - size);
        if (n < 0 && errno != EINTR)
            result = err_set(err, -errno, "%s: %s", path, strerror(errno));
        else if (n == 0)
            break;
        size += n > 0 ? (size_t)n : 0;
    }
    if (result == 0 && size > SECRET_MAX)
        result = err_set(err, -EFBIG, "%s: has more than %u KiB", path, SECRET_MAX >> 10);
    if (fd >= 0)
        (void)close(fd); /* it was only read */
    if (result < 0) {
        if (bytes)
            explicit_bzero(bytes, size);
        free(bytes);
        return result;
    }
    bytes[size] = '\0';
    *out = bytes;
    return 0;
}
