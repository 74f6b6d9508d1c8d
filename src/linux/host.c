/* Facts of the machine: see host.h. */
#include "linux/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include "linux/text.h"

bool linux_sysctl(const char *name, uint64_t *out)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/proc/sys/%s", name);
    return text_read_number(path, out);
}

void linux_parse_softnet(const char *text, struct linux_softnet *out)
{
    *out = (struct linux_softnet){0};
    for (const char *line = text; line && *line; line = text_next_line(line)) {
        uint64_t packets, dropped, squeezed;
        const char *at = line;
        if (!text_number(&at, 16, &packets) || !text_number(&at, 16, &dropped) ||
            !text_number(&at, 16, &squeezed))
            continue;
        out->n_packets += packets;
        out->n_dropped += dropped;
        out->n_squeezed += squeezed;
        out->n_processors++;
    }
}

bool linux_softnet(struct linux_softnet *out)
{
    char *text = text_read_all("/proc/net/softnet_stat");
    if (!text)
        return false;
    linux_parse_softnet(text, out);
    free(text);
    return out->n_processors > 0;
}

/* "NAME:  123 kB" at the beginning of a line. */
static bool line_kilobytes(const char *text, const char *name, uint64_t *out)
{
    size_t len = strlen(name);
    for (const char *line = text; line; line = text_next_line(line)) {
        const char *at = line + len;
        if (strncmp(line, name, len) != 0 || !text_number(&at, 10, out))
            continue;
        *out *= 1024;
        return true;
    }
    return false;
}

bool linux_parse_memory(const char *text, struct linux_memory *out)
{
    return line_kilobytes(text, "MemTotal:", &out->total) &&
           line_kilobytes(text, "MemAvailable:", &out->available);
}

bool linux_memory(struct linux_memory *out)
{
    char *text = text_read_all("/proc/meminfo");
    bool found = text && linux_parse_memory(text, out);
    free(text);
    return found;
}

bool linux_parse_ticks(const char *text, struct linux_ticks *out)
{
    /* cpu user nice system idle iowait irq softirq steal guest guest_nice */
    uint64_t v[8] = {0};
    if (strncmp(text, "cpu ", 4) != 0)
        return false;
    const char *at = text + 4;
    *out = (struct linux_ticks){0};
    for (int i = 0; i < 8; i++) {
        if (!text_number(&at, 10, &v[i]))
            return false;
        out->all += v[i];
    }
    out->idle = v[3] + v[4];
    out->stolen = v[7];
    return true;
}

bool linux_ticks(struct linux_ticks *out)
{
    char text[512];
    return text_read("/proc/stat", text, sizeof text) > 0 && linux_parse_ticks(text, out);
}

bool linux_parse_cgroup(const char *text, char *out, size_t size)
{
    for (const char *line = text; line; line = text_next_line(line)) {
        size_t len = strcspn(line, "\n");
        if (strncmp(line, "0::/", 4) != 0 || len - 3 >= size)
            continue;
        memcpy(out, line + 3, len - 3);
        out[len - 3] = '\0';
        return true;
    }
    return false;
}

bool linux_memory_limit(uint64_t *out)
{
    char text[4096], group[512], path[640];
    bool found = false;
    if (text_read("/proc/self/cgroup", text, sizeof text) <= 0)
        return false;
    if (linux_parse_cgroup(text, group, sizeof group)) {
        for (;;) { /* a limit of any group above holds as well */
            uint64_t n;
            (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
            if (text_read_number(path, &n) && (!found || n < *out)) { /* "max" is no number */
                *out = n;
                found = true;
            }
            char *slash = strrchr(group, '/');
            if (!slash)
                break;
            *slash = '\0';
        }
    }
    uint64_t old;
    if (!found && text_read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", &old) &&
        old < (UINT64_C(1) << 60)) { /* more means none */
        *out = old;
        found = true;
    }
    return found;
}

bool linux_clock_is_kept(int64_t *out_error_us)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    *out_error_us = t.maxerror;
    return state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
}

uint64_t linux_capabilities(void)
{
    char text[4096];
    if (text_read("/proc/self/status", text, sizeof text) <= 0)
        return 0;
    for (const char *line = text; line; line = text_next_line(line)) {
        const char *at = line + 7;
        uint64_t bits;
        if (strncmp(line, "CapEff:", 7) == 0 && text_number(&at, 16, &bits))
            return bits;
    }
    return 0;
}
