/* Where the state is: see state.h. */
#include "base/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int state_folder(const char *given, char out[STATE_FOLDER_MAX], struct err *err)
{
    const char *named = given && *given ? given : getenv("CLOUDSPAN_STATE");
    const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
    int n;
    char here[STATE_FOLDER_MAX];
    if (named && *named && *named != '/' && !getcwd(here, sizeof here))
        return err_set(err, -errno, "the state folder %.80s cannot be found from here: %s", named,
                       strerror(errno));
    if (named && *named == '/')
        n = snprintf(out, STATE_FOLDER_MAX, "%s", named);
    else if (named && *named)
        n = snprintf(out, STATE_FOLDER_MAX, "%s/%s", here, named);
    else if (geteuid() == 0)
        n = snprintf(out, STATE_FOLDER_MAX, "%s", STATE_OF_ROOT);
    else if (xdg && *xdg == '/')
        n = snprintf(out, STATE_FOLDER_MAX, "%s/cloudspan", xdg);
    else if (home && *home == '/')
        n = snprintf(out, STATE_FOLDER_MAX, "%s/.local/state/cloudspan", home);
    else
        return err_set(err, -ENOENT,
                       "there is no HOME to keep the journal in: name a folder with --state");
    if (n >= STATE_FOLDER_MAX - 32)
        return err_set(err, -ENAMETOOLONG, "the state folder's name is too long: %.80s…", out);
    return 0;
}

int state_make(const char *folder, struct err *err)
{
    char path[STATE_FOLDER_MAX];
    (void)snprintf(path, sizeof path, "%s", folder);
    for (char *at = path + 1;; at++) {
        if (*at && *at != '/')
            continue;
        char end = *at;
        *at = '\0';
        struct stat facts;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return err_set(err, -errno, "the folder %s cannot be made: %s (another one: --state)",
                           path, strerror(errno));
        if (!end && (stat(path, &facts) < 0 || !S_ISDIR(facts.st_mode)))
            return err_set(err, -ENOTDIR, "%s is no folder (another one: --state)", path);
        *at = end;
        if (!end)
            return 0;
    }
}
