/* The doctor's checks of the machine: rights, kernel, memory, processors, clock, disk. */
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cmd/doctor.h"
#include "linux/host.h"
#include "linux/sandbox_parts.h"

#define MIB             (UINT64_C(1) << 20)
#define GIB             (UINT64_C(1) << 30)
#define LEAST_MEMORY    (512 * MIB)
#define CLOCK_ERROR_MAX INT64_C(1000000) /* us */
#define STEAL_SAMPLE_MS 500

/* Opens what watch would open, so that the answer is the kernel's own. */
static void check_rights(struct doctor *d)
{
    char path[512] = "/usr/bin/cloudspan", mend[700];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n > 0)
        path[n] = '\0';
    (void)snprintf(mend, sizeof mend, "sudo setcap cap_net_raw+ep %s    # or run it with sudo",
                   path);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        doctor_warn(d, false, mend,
                    "interfaces and GRE cannot be watched by this user (%s); UDP listeners need no "
                    "right",
                    strerror(errno));
        return;
    }
    int version = TPACKET_V3;
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0)
        doctor_warn(d, true, "a kernel of 3.2 or later", "this kernel has no rings of packets: %s",
                    strerror(errno));
    else
        doctor_ok(d, "this user may watch interfaces and GRE, and the kernel has rings");
    close(fd);
}

static void check_kernel(struct doctor *d)
{
    struct utsname name;
    unsigned landlock = sandbox_landlock_abi();
    bool seccomp = prctl(PR_GET_SECCOMP) >= 0;
    if (uname(&name) < 0)
        name.release[0] = '\0';
    if (landlock && seccomp)
        doctor_ok(d, "Linux %s shuts the packet process in (Landlock %u, seccomp)", name.release,
                  landlock);
    else
        doctor_warn(d, false,
                    landlock ? "" : "boot with lsm=landlock,… (see /sys/kernel/security/lsm)",
                    "Linux %s shuts the packet process in without%s%s", name.release,
                    landlock ? "" : " Landlock", seccomp ? "" : " seccomp");
}

static void check_memory(struct doctor *d)
{
    struct linux_memory memory;
    uint64_t limit;
    if (!linux_memory(&memory)) {
        doctor_unknown(d, "/proc/meminfo cannot be read");
        return;
    }
    if (memory.available < LEAST_MEMORY)
        doctor_warn(d, true, "cloudspan watch --memory SIZE    # or a larger machine",
                    "%" PRIu64 " MiB of %" PRIu64 " MiB memory are left", memory.available / MIB,
                    memory.total / MIB);
    else
        doctor_ok(d, "%" PRIu64 " MiB of %" PRIu64 " MiB memory are left", memory.available / MIB,
                  memory.total / MIB);
    if (linux_memory_limit(&limit) && limit < memory.total) {
        if (limit < LEAST_MEMORY)
            doctor_warn(d, true, "systemctl edit cloudspan    # MemoryMax=",
                        "this process may have %" PRIu64 " MiB (limit of its control group)",
                        limit / MIB);
        else
            doctor_ok(d, "this process may have %" PRIu64 " MiB (limit of its control group)",
                      limit / MIB);
    }
}

static void check_processors(struct doctor *d)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    struct linux_ticks before, after;
    struct timespec sample = {.tv_nsec = STEAL_SAMPLE_MS * 1000000L};
    if (!linux_ticks(&before)) {
        doctor_unknown(d, "/proc/stat cannot be read");
        return;
    }
    (void)nanosleep(&sample, NULL); /* a shorter one does for a share */
    if (!linux_ticks(&after))
        after = before;
    uint64_t all = after.all - before.all, stolen = after.stolen - before.stolen;
    uint64_t idle = after.idle - before.idle;
    if (all > 0 && stolen * 20 > all)
        doctor_warn(d, true, "a machine with processors of its own (not burstable)",
                    "the host took %" PRIu64 " %% of the processors' time for others",
                    stolen * 100 / all);
    else if (n == 1)
        doctor_warn(d, false, "a machine with two processors or more",
                    "there is one processor: a burst waits while logs are written");
    else
        doctor_ok(d, "%ld processors, %" PRIu64 " %% idle now", n, all ? idle * 100 / all : 0);
}

static void check_clock(struct doctor *d)
{
    int64_t error;
    if (linux_clock_is_kept(&error) && error < CLOCK_ERROR_MAX)
        doctor_ok(d, "the clock is kept (within %" PRId64 " ms)", error / 1000);
    else
        doctor_warn(d, false, "sudo apt install chrony",
                    "nothing keeps the clock: times in the logs will not fit those of other "
                    "machines");
}

/* The folder, or the nearest one above that is there. */
static bool existing(const char *folder, char *out, size_t size)
{
    int n = snprintf(out, size, "%s%s", folder[0] == '/' ? "" : "./", folder);
    if (n < 0 || (size_t)n >= size)
        return false;
    while (access(out, F_OK) < 0) {
        char *slash = strrchr(out, '/');
        if (!slash)
            return false;
        if (slash == out) {
            out[1] = '\0';
            break;
        }
        *slash = '\0';
    }
    return true;
}

static void check_disk(struct doctor *d)
{
    char folder[1024], mend[300];
    struct statvfs facts;
    if (!existing(d->folder, folder, sizeof folder) || statvfs(folder, &facts) < 0) {
        doctor_unknown(d, "%.300s: %s", d->folder, strerror(errno));
        return;
    }
    uint64_t left = (uint64_t)facts.f_bavail * facts.f_frsize;
    uint64_t all = (uint64_t)facts.f_blocks * facts.f_frsize;
    if (access(folder, W_OK | X_OK) < 0) {
        (void)snprintf(mend, sizeof mend, "sudo install -d -o \"$USER\" %.200s", d->folder);
        doctor_warn(d, true, mend, "%.300s: logs cannot be written there: %s", folder,
                    strerror(errno));
        return;
    }
    (void)snprintf(mend, sizeof mend, "df -h %.200s    # and delete, or say another with -d",
                   folder);
    if (left < GIB)
        doctor_warn(d, true, mend, "%.200s: %" PRIu64 " MiB are left for logs", d->folder,
                    left / MIB);
    else if (left < all / 20)
        doctor_warn(d, false, mend, "%.200s: %" PRIu64 " GiB are left for logs, of %" PRIu64,
                    d->folder, left / GIB, all / GIB);
    else
        doctor_ok(d, "%.200s: %" PRIu64 " GiB are left for logs", d->folder, left / GIB);
    if (facts.f_files > 0 && facts.f_favail < 1000)
        doctor_warn(d, true, mend, "%.200s: there is room for %" PRIu64 " more files", d->folder,
                    (uint64_t)facts.f_favail);
}

const struct doctor_check doctor_host_checks[] = {
    {"rights", "what this user may open", check_rights},
    {"kernel", "what the kernel has to shut in with", check_kernel},
    {"memory", "memory and its limits", check_memory},
    {"processors", "processors, and who else uses them", check_processors},
    {"clock", "whether the clock is right", check_clock},
    {"disk", "room for logs", check_disk},
    {0}};
