/* `cloudspan mirror plan --print`: what makes a mirror without cloudspan, or keeps it in step. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cmd/mirror_show.h"

static void put_lines(const struct mirror_settings *settings, const struct mirror_set *set,
                      bool unmake, struct text *out)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct mirror_object *object = &set->at[unmake ? set->n - 1 - i : i];
        settings->job.provider->command(&settings->job, object, unmake, out);
    }
}

/* A script for `start` and `stop`. What a start that failed has left, or what outlives the
 * machine's (Open vSwitch's database does), is taken away first. */
static void put_script(const struct mirror_settings *settings, const struct mirror_set *set,
                       struct text *out)
{
    text_put(out, "#!/bin/sh\ncase $1 in\nstart)\nsh \"$0\" stop >/dev/null 2>&1\nset -e\n");
    put_lines(settings, set, false, out);
    text_put(out, ";;\nstop)\n");
    put_lines(settings, set, true, out);
    text_put(out, ";;\nesac\n");
}

static void put_unit(const struct mirror_settings *settings, struct text *out)
{
    text_format(out,
                "[Unit]\nDescription=Traffic mirror %s\nWants=network-online.target\n"
                "After=network-online.target openvswitch-switch.service\n\n"
                "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
                "ExecStart=/usr/local/sbin/mirror-%s start\n"
                "ExecStop=/usr/local/sbin/mirror-%s stop\n\n"
                "[Install]\nWantedBy=multi-user.target\n",
                settings->job.name, settings->job.name, settings->job.name);
}

/* Each line with `indent` in front. */
static void put_indented(const struct text *text, const char *indent, struct text *out)
{
    for (const char *at = text->at; at && *at;) {
        size_t len = strcspn(at, "\n");
        if (len)
            text_put(out, indent);
        text_add(out, at, len);
        text_put(out, "\n");
        at += len + (at[len] == '\n');
    }
}

/* Of a cloud nothing is lost when a machine starts anew: what is to be kept in step is the mirror,
 * as machines come and go. */
static int put_follower(const struct mirror_settings *settings, struct text *out, struct err *err)
{
    const struct mirror_job *job = &settings->job;
    char program[512];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0)
        return err_set(err, -errno, "where is this program? %s", strerror(errno));
    program[n] = '\0';
    text_format(out,
                "# To be run after cloudspan mirror apply, on a machine that may call the cloud.\n"
                "# Credentials that are variables go into /etc/cloudspan/%s.env, as NAME=VALUE.\n"
                "cat >/etc/systemd/system/cloudspan-follow-%s.service <<'END_OF_UNIT'\n",
                job->provider->name, job->name);
    text_format(out,
                "[Unit]\nDescription=Keeps the traffic mirror %s in step (cloudspan)\n"
                "Documentation=man:cloudspan-mirror(1)\nWants=network-online.target\n"
                "After=network-online.target\n\n",
                job->name);
    text_format(out, "[Service]\nType=notify\nEnvironmentFile=-/etc/cloudspan/%s.env\n",
                job->provider->name);
    text_put(out, "ExecStart=");
    text_put(out, program);
    text_format(out, " mirror follow %s --name=%s", job->provider->name, job->name);
    text_put(out, " --state=");
    text_put(out, job->folder);
    text_put(out, "\nRestart=on-failure\nRestartSec=60\nWatchdogSec=300\n\n"
                  "[Install]\nWantedBy=multi-user.target\nEND_OF_UNIT\n");
    text_format(out, "systemctl daemon-reload\nsystemctl enable --now cloudspan-follow-%s\n",
                job->name);
    return 0;
}

int mirror_show_commands(const struct mirror_settings *settings,
                         const struct mirror_planned *planned, struct text *out, struct err *err)
{
    if (settings->job.provider->keeps && settings->form == MIRROR_FORM_UNIT)
        return put_follower(settings, out, err);
    if (!settings->job.provider->command)
        return err_set(err, -EOPNOTSUPP,
                       "--print: what does the same without cloudspan is not known of %s%s",
                       settings->job.provider->name,
                       settings->job.provider->keeps
                           ? "; --print=systemd prints a unit that keeps the mirror in step"
                           : "");
    const struct mirror_set *set = &planned->wanted;
    const char *name = settings->job.name;
    struct text script, unit;
    text_init(&script, 65536);
    text_init(&unit, 4096);
    put_script(settings, set, &script);
    put_unit(settings, &unit);
    switch ((enum mirror_form)settings->form) {
    case MIRROR_FORM_NONE:
        break;
    case MIRROR_FORM_COMMANDS:
        put_lines(settings, set, false, out);
        text_put(out, "\n# To take it away again:\n");
        text_done(&script);
        text_init(&script, 65536);
        put_lines(settings, set, true, &script);
        put_indented(&script, "# ", out);
        break;
    case MIRROR_FORM_CLOUD_INIT:
        text_format(out,
                    "#cloud-config\nwrite_files:\n  - path: /usr/local/sbin/mirror-%s\n"
                    "    permissions: '0755'\n    content: |\n",
                    name);
        put_indented(&script, "      ", out);
        text_format(out, "  - path: /etc/systemd/system/mirror-%s.service\n    content: |\n", name);
        put_indented(&unit, "      ", out);
        text_format(out,
                    "runcmd:\n  - systemctl daemon-reload\n  - systemctl enable --now mirror-%s\n",
                    name);
        break;
    case MIRROR_FORM_UNIT:
        text_format(out, "cat >/usr/local/sbin/mirror-%s <<'END_OF_SCRIPT'\n", name);
        text_add(out, script.at, script.size);
        text_format(out,
                    "END_OF_SCRIPT\nchmod 755 /usr/local/sbin/mirror-%s\n"
                    "cat >/etc/systemd/system/mirror-%s.service <<'END_OF_UNIT'\n",
                    name, name);
        text_add(out, unit.at, unit.size);
        text_format(out, "END_OF_UNIT\nsystemctl daemon-reload\nsystemctl enable --now mirror-%s\n",
                    name);
        break;
    }
    out->failed |= script.failed || unit.failed;
    text_done(&script);
    text_done(&unit);
    return 0;
}
