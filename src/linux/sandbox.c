/* The sandbox of the packet process: see sandbox.h. */
#include "linux/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <execinfo.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "linux/sandbox_parts.h"

#define NOBODY     65534
#define OWN_USER   "cloudspan"
#define RECORD_MAX 16384 /* of the user database */

static bool number_of(const char *text, unsigned *out)
{
    if (!text || *text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno || *end || v >= UINT32_MAX) /* the largest means "unchanged" to the kernel */
        return false;
    *out = (unsigned)v;
    return true;
}

static bool look_up(const char *name, struct sandbox_user *out)
{
    struct passwd entry, *found = NULL;
    char text[RECORD_MAX];
    unsigned uid;
    if (number_of(name, &uid)) {
        if (getpwuid_r(uid, &entry, text, sizeof text, &found) || !found)
            return false;
    } else if (getpwnam_r(name, &entry, text, sizeof text, &found) || !found) {
        return false;
    }
    *out = (struct sandbox_user){.change = true, .uid = found->pw_uid, .gid = found->pw_gid};
    (void)snprintf(out->name, sizeof out->name, "%.39s", found->pw_name);
    return true;
}

static void stay(struct sandbox_user *out)
{
    *out = (struct sandbox_user){.uid = geteuid(), .gid = getegid()};
    struct sandbox_user self;
    char uid[16];
    (void)snprintf(uid, sizeof uid, "%u", (unsigned)out->uid);
    (void)snprintf(out->name, sizeof out->name, "%s", look_up(uid, &self) ? self.name : uid);
}

void sandbox_default_user(struct sandbox_user *out)
{
    if (geteuid() != 0) {
        stay(out);
        return;
    }
    unsigned uid, gid;
    if (number_of(getenv("SUDO_UID"), &uid) && number_of(getenv("SUDO_GID"), &gid) && uid != 0 &&
        gid != 0) {
        *out = (struct sandbox_user){.change = true, .uid = uid, .gid = gid};
        struct sandbox_user known;
        char text[16];
        (void)snprintf(text, sizeof text, "%u", uid);
        (void)snprintf(out->name, sizeof out->name, "%s",
                       look_up(text, &known) ? known.name : text);
        return;
    }
    if ((look_up(OWN_USER, out) || look_up("nobody", out)) && out->uid != 0)
        return;
    *out = (struct sandbox_user){.change = true, .uid = NOBODY, .gid = NOBODY, .name = "nobody"};
}

int sandbox_find_user(const char *name, struct sandbox_user *out, struct err *err)
{
    struct sandbox_user found;
    if (!look_up(name, &found))
        return err_set(err, -ENOENT, "there is no user %s", name);
    if (found.uid == geteuid())
        found.change = false;
    else if (geteuid() != 0)
        return err_set(err, -EPERM, "only root can change to user %s", name);
    *out = found;
    return 0;
}

/* The C library loads some of itself, and reads the time zone, when it first needs them: then it
 * would be too late. */
static void load_early(void)
{
    void *frames[1];
    (void)backtrace(frames, 1);
    tzset();
    json_object_seed(0); /* from /dev/urandom, or else from nothing better than the time */
}

static int check_single(struct err *err)
{
    struct stat facts;
    if (stat("/proc/self/task", &facts) == 0 && facts.st_nlink > 3) /* ".", "..", and one each */
        return err_set(err, -EBUSY, "the sandbox must be entered before threads are started");
    return 0;
}

static int change_user(const struct sandbox_options *options, struct sandbox_report *out,
                       struct err *err)
{
    const struct sandbox_user *user = &options->user;
    if (capng_get_caps_process() < 0)
        return err_set(err, -EIO, "reading the capabilities of this process failed");
    /* Without this one the bounding set cannot be changed; no-new-privs makes it moot. */
    bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, 8 /* CAP_SETPCAP */) != 0;
    capng_clear(CAPNG_SELECT_ALL);
    if (user->change) {
        unsigned flags = CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_AMBIENT;
        if (may_bound)
            flags |= CAPNG_CLEAR_BOUNDING;
        int code = capng_change_id((int)user->uid, (int)user->gid, (capng_flags_t)flags);
        if (code)
            return err_set(err, -EPERM,
                           "changing to user %s was refused (step %d); it needs CAP_SETUID, "
                           "CAP_SETGID and CAP_SETPCAP",
                           user->name, code);
        if (geteuid() != user->uid || getegid() != user->gid || setuid(0) == 0)
            return err_set(err, -EPERM, "changing to user %s did not last", user->name);
        out->changed_user = true;
    } else {
        int code =
            capng_apply(may_bound ? CAPNG_SELECT_ALL
                                  : (capng_select_t)(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT));
        if (code)
            return err_set(err, -EPERM, "dropping the capabilities was refused (step %d)", code);
    }
    out->uid = geteuid();
    out->gid = getegid();
    if (capng_get_caps_process() < 0)
        return err_set(err, -EIO, "reading the capabilities of this process failed");
    out->no_capabilities = capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE &&
                           capng_have_capabilities(CAPNG_SELECT_AMBIENT) == CAPNG_NONE;
    out->no_bounding = capng_have_capabilities(CAPNG_SELECT_BOUNDS) == CAPNG_NONE;
    if (!out->no_capabilities)
        return err_set(err, -EPERM, "some capabilities stayed");
    return 0;
}

int sandbox_enter(const struct sandbox_options *options, struct sandbox_report *out,
                  struct err *err)
{
    struct sandbox_report report = {0};
    pid_t parent = getppid();
    load_early();
    int result = check_single(err);
    if (!result)
        result = change_user(options, &report, err);
    if (result)
        goto out;
    /* The kernel forgets the signal when the user changes, so it is asked for now. */
    if (options->death_signal) {
        if (prctl(PR_SET_PDEATHSIG, options->death_signal) < 0) {
            result = err_set(err, -errno, "prctl: %s", strerror(errno));
            goto out;
        }
        if (getppid() != parent) { /* it died while we were busy */
            result = err_set(err, -ESRCH, "the parent process has gone");
            goto out;
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        result = err_set(err, -errno, "no-new-privs: %s", strerror(errno));
        goto out;
    }
    report.no_new_privileges = true;
    result = sandbox_enter_landlock(options, &report.landlock_abi, err);
    if (result)
        goto out;
    report.landlock = report.landlock_abi > 0;
    const char *why = NULL;
    result = sandbox_enter_seccomp(options, &why, err);
    if (result)
        goto out;
    report.seccomp = !why;
    (void)snprintf(
        report.text, sizeof report.text,
        "packets are parsed as user %s without capabilities, files outside its folders "
        "%s, other system calls %s%s%s",
        options->user.name,
        report.landlock ? "closed by Landlock" : "open to that user (the kernel has no Landlock)",
        report.seccomp ? "closed by seccomp" : "open (no seccomp: ", report.seccomp ? "" : why,
        report.seccomp ? "" : ")");
    *out = report;
out:
    if (result)
        err_wrap(err, "sandbox");
    return result;
}
