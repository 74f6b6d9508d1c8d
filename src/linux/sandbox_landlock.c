/* Landlock: files beneath a few folders and no others. By raw system calls, since the C library has
 * none; the constants of later ABIs are given here, since headers are older than kernels. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/sandbox_parts.h"

#define ACCESS_FS_ABI_1  ((UINT64_C(1) << 13) - 1)
#define ACCESS_REFER     (UINT64_C(1) << 13) /* ABI 2: rename between folders */
#define ACCESS_TRUNCATE  (UINT64_C(1) << 14) /* ABI 3 */
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define NET_BIND_TCP     (UINT64_C(1) << 0)  /* ABI 4 */
#define NET_CONNECT_TCP  (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT   (UINT64_C(1) << 0) /* ABI 6: sockets with abstract names of others */
#define SCOPE_SIGNAL     (UINT64_C(1) << 1)

/* The kernel takes as much of it as the size says, and refuses what it does not know. */
struct ruleset {
    uint64_t access_fs, access_net, scoped;
};

static const uint64_t may_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t may_write =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | ACCESS_REFER | ACCESS_TRUNCATE;
static const uint64_t of_files =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE;

unsigned sandbox_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? (unsigned)abi : 0;
}

static int allow(int ruleset, const char *path, uint64_t access, struct err *err)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    int result = 0;
    struct stat facts;
    if (fstat(fd, &facts) < 0) {
        result = err_set(err, -errno, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISDIR(facts.st_mode))
        access &= of_files;
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        result = err_set(err, -errno, "landlock: %s: %s", path, strerror(errno));
out:
    close(fd);
    return result;
}

int sandbox_enter_landlock(const struct sandbox_options *options, unsigned *out_abi,
                           struct err *err)
{
    unsigned abi = sandbox_landlock_abi();
    *out_abi = abi;
    if (!abi)
        return 0;
    struct ruleset attr = {.access_fs = ACCESS_FS_ABI_1};
    size_t size = 8;
    if (abi >= 2)
        attr.access_fs |= ACCESS_REFER;
    if (abi >= 3)
        attr.access_fs |= ACCESS_TRUNCATE;
    if (abi >= 4) {
        attr.access_net = NET_BIND_TCP | NET_CONNECT_TCP;
        size = 16;
    }
    if (abi >= 5)
        attr.access_fs |= ACCESS_IOCTL_DEV;
    if (abi >= 6) {
        attr.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
        size = 24;
    }
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return err_set(err, -errno, "landlock: %s", strerror(errno));
    int result = 0;
    for (size_t i = 0; !result && options->write_dirs && options->write_dirs[i]; i++)
        result = allow(ruleset, options->write_dirs[i], may_write & attr.access_fs, err);
    for (size_t i = 0; !result && options->read_dirs && options->read_dirs[i]; i++) {
        result = allow(ruleset, options->read_dirs[i], may_read, err);
        if (result == -ENOENT) /* nothing to read: no machine has all of them */
            result = 0;
    }
    if (!result && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        result = err_set(err, -errno, "landlock: %s", strerror(errno));
    close(ruleset);
    return result;
}
