/* For unit tests: a real ovsdb-server with Open vSwitch's schema, in a folder of its own. No
 * ovs-vswitchd: what is written stays as it is. */
#ifndef LINUX_OVSDB_BED_H
#define LINUX_OVSDB_BED_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OVSDB_BED_SCHEMA "/usr/share/openvswitch/vswitch.ovsschema"

struct ovsdb_bed {
    char folder[32];
    char where[64]; /* "unix:…" */
    pid_t server;
};

/* Starts a program whose output goes nowhere; it ends with us. */
static inline pid_t ovsdb_bed_run(const char *const *arguments)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
        _exit(126);
    (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static inline void ovsdb_bed_remove(const struct ovsdb_bed *bed, const char *name)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/%s", bed->folder, name);
    (void)unlink(path);
}

static inline void ovsdb_bed_stop(struct ovsdb_bed *bed)
{
    if (bed->server > 0) {
        (void)kill(bed->server, SIGKILL);
        (void)waitpid(bed->server, NULL, 0);
    }
    bed->server = 0;
    ovsdb_bed_remove(bed, "db.sock");
    ovsdb_bed_remove(bed, "conf.db");
    ovsdb_bed_remove(bed, ".conf.db.~lock~");
    ovsdb_bed_remove(bed, "server.ctl");
    (void)rmdir(bed->folder);
}

/* False, and says why, where there is none. */
static inline bool ovsdb_bed_start(struct ovsdb_bed *bed)
{
    char database[64], remote[80], control[64];
    *bed = (struct ovsdb_bed){.folder = "/tmp/ovsdb-XXXXXX"};
    if (access(OVSDB_BED_SCHEMA, R_OK) != 0 || !mkdtemp(bed->folder)) {
        printf("skipped: there is no %s\n", OVSDB_BED_SCHEMA);
        return false;
    }
    (void)snprintf(database, sizeof database, "%s/conf.db", bed->folder);
    (void)snprintf(bed->where, sizeof bed->where, "unix:%s/db.sock", bed->folder);
    (void)snprintf(remote, sizeof remote, "--remote=p%s", bed->where);
    (void)snprintf(control, sizeof control, "--unixctl=%s/server.ctl", bed->folder);
    const char *const create[] = {"ovsdb-tool", "create", database, OVSDB_BED_SCHEMA, NULL};
    const char *const server[] = {"ovsdb-server", "--no-chdir", control, remote, database, NULL};
    int status = -1;
    (void)waitpid(ovsdb_bed_run(create), &status, 0);
    if (status == 0) {
        bed->server = ovsdb_bed_run(server);
        struct timespec pause = {0, 10000000};
        for (int i = 0; i < 1000 && access(bed->where + 5, F_OK) != 0; i++)
            (void)nanosleep(&pause, NULL);
        /* As `ovs-vsctl init` does. */
        const char *const init[] = {
            "ovsdb-client", "transact", bed->where,
            "[\"Open_vSwitch\",{\"op\":\"insert\",\"table\":\"Open_vSwitch\",\"row\":{}}]", NULL};
        (void)waitpid(ovsdb_bed_run(init), &status, 0);
    }
    if (status == 0)
        return true;
    printf("skipped: ovsdb-tool, ovsdb-server and ovsdb-client do not run here\n");
    ovsdb_bed_stop(bed);
    return false;
}

#endif
