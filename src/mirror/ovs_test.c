/* Mirrors of Open vSwitch made, found, changed, damaged and unmade, in its database. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror/ovs_bed.h"

/* Made, found as it should be, changed to something else and back, unmade; what others have there
 * stays, to the last row. */
static void test_life(void **state)
{
    (void)state;
    static const char *const lives[] = {
        "--name=m --bridge=br-int --ports=p-a --to=gre:10.9.0.2",
        "--name=m --bridge=br-int --ports=p-a --to=gre:10.9.0.2 --id=4000000000 --csum",
        "--name=m --bridge=br-int --ports=p-a,p-b --to=erspan2:10.9.0.2 --id=300",
        "--name=m --bridge=br-int --ports=p-b,p-a --direction=in --to=erspan3:10.9.0.2 --id=0",
        "--name=m --bridge=br-int --ports=p-a --direction=out --to=vxlan:10.9.0.2:4790 --id=9",
        "--name=m --bridge=br-int --ports=p-c --to=vxlan:10.9.0.2:4790 --id=9",
        "--name=m --bridge=br-int --all-ports --to=port:p-c",
        "--name=m --bridge=br-int --vlan=7 --vlan=5 --to=vlan:9 --snap=100",
        "--name=m --bridge=br-int --ports=p-a --vlan=5 --to=vlan:9",
        "--name=m --bridge=br-int --ports=p-a --to=vxlan:10.9.0.2 --id=9",
    };
    if (!has_bed)
        skip();
    bed_switch_on();
    bed_vsctl("--id=@p get Port p-b -- --id=@m create Mirror name=theirs select_src_port=@p "
              "output_vlan=77 external_ids:cloudspan=../x -- add Bridge br-int mirrors @m");
    struct bed_mirror m;
    char reason[200];
    bed_connect(&m, lives[0]);
    char *before = bed_dump(m.job.state);
    bed_end(&m);
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        bed_connect(&m, lives[i]);
        int action = bed_plan(&m, reason, &m.err);
        if (action != (i == 0 ? MIRROR_MAKE : MIRROR_CHANGE))
            fail_msg("%s: %d %s %s", lives[i], action, reason, m.err.text);
        if (bed_apply(&m, &m.err) < 0)
            fail_msg("%s: %s", lives[i], m.err.text);
        action = bed_plan(&m, reason, &m.err);
        if (action != MIRROR_KEEP)
            fail_msg("%s: %d %s", lives[i], action, reason);
        char(*names)[MIRROR_NAME_MAX] = NULL;
        size_t n = 0;
        assert_int_equal(provider_ovs.names(&m.job, &names, &n, &m.err), 0);
        assert_int_equal(n, 1);
        assert_string_equal(names[0], "m");
        free(names);
        bed_end(&m);
    }
    /* By its marks alone. */
    struct mirror_job marks = {.provider = &provider_ovs, .name = "m", .partial = true};
    struct ovs_wish wish = {.where = bed.where};
    struct mirror_set found = {0};
    struct err err;
    marks.wish = &wish;
    assert_int_equal(provider_ovs.open(&marks, &err), 0);
    assert_int_equal(provider_ovs.find(&marks, &found, &err), 0);
    assert_int_equal(found.n, 1);
    assert_string_equal(found.at[0].key, "br-int");
    for (int i = 0; i < 2; i++) /* the second time it is gone */
        assert_int_equal(provider_ovs.unmake(&marks, &found.at[0], &err), 0);
    mirror_set_done(&found);
    char *after = bed_dump(marks.state);
    assert_string_equal(after, before);
    free(before);
    free(after);
    provider_ovs.close(&marks);
    bed_vsctl("clear Bridge br-int mirrors");
    bed_switch_off();
}

/* What is wrong is taken away again, and said in Open vSwitch's words. */
static void test_failures(void **state)
{
    (void)state;
    if (!has_bed)
        skip();
    struct bed_mirror m;
    char reason[200];
    /* Nobody takes it over. */
    bed_connect(&m, "--name=m --bridge=br-int --ports=p-a --to=gre:10.9.0.2");
    char *before = bed_dump(m.job.state);
    assert_int_equal(bed_apply(&m, &m.err), -ESRCH);
    assert_non_null(strstr(m.err.text, "ovs-vswitchd is not running"));
    bed_end(&m);
    bed_switch_on();
    /* The tunnel cannot be. */
    bed_connect(&m, "--name=m --bridge=br-int --ports=p-a --to=gre:10.9.0.2 --id=666");
    assert_int_equal(bed_apply(&m, &m.err), -EIO);
    assert_non_null(strstr(m.err.text, "File exists"));
    char *after = bed_dump(m.job.state);
    assert_string_equal(after, before);
    free(after);
    bed_end(&m);
    /* A good one that is changed to that stays what it was. */
    bed_connect(&m, "--name=m --bridge=br-int --ports=p-a --to=gre:10.9.0.2 --id=5");
    assert_int_equal(bed_apply(&m, &m.err), 0);
    bed_end(&m);
    bed_connect(&m, "--name=m --bridge=br-int --ports=p-b --to=gre:10.9.0.2 --id=666");
    assert_int_equal(bed_apply(&m, &m.err), -EIO);
    bed_end(&m);
    bed_connect(&m, "--name=m --bridge=br-int --ports=p-a --to=gre:10.9.0.2 --id=5");
    if (bed_plan(&m, reason, &m.err) != MIRROR_KEEP)
        fail_msg("%s", reason);
    bed_end(&m);
    /* A second one to the same place. */
    bed_connect(&m, "--name=n --bridge=br-int --ports=p-b --to=gre:10.9.0.2 --id=5");
    assert_int_equal(bed_apply(&m, &m.err), -EEXIST);
    assert_non_null(strstr(m.err.text, "cs-m is such a tunnel already"));
    bed_end(&m);
    /* Ports that others take, or take away, when the plan is made. */
    bed_connect(&m, "--name=n --bridge=br-int --ports=p-b --to=gre:10.9.0.2 --id=6");
    struct mirror_set wanted = {0};
    struct text remarks;
    text_init(&remarks, 4096);
    assert_int_equal(provider_ovs.want(&m.job, &wanted, &remarks, &m.err), 0);
    bed_vsctl("add-port br-phy cs-n");
    assert_int_equal(provider_ovs.make(&m.job, &wanted.at[0], &m.err), -EAGAIN);
    bed_vsctl("del-port cs-n -- del-port p-b");
    assert_int_equal(provider_ovs.make(&m.job, &wanted.at[0], &m.err), -ENODEV);
    assert_non_null(strstr(m.err.text, "p-b is gone"));
    bed_vsctl(
        "add-port br-int p-b -- set Interface p-b external_ids:attached-mac=02:00:00:00:00:0b");
    mirror_set_done(&wanted);
    text_done(&remarks);
    bed_end(&m);
    bed_connect(&m, "--name=m --bridge=br-int --ports=p-a --to=gre:10.9.0.2 --id=5");
    struct mirror_set found = {0};
    assert_int_equal(provider_ovs.find(&m.job, &found, &m.err), 0);
    assert_int_equal(provider_ovs.unmake(&m.job, &found.at[0], &m.err), 0);
    mirror_set_done(&found);
    bed_end(&m);
    free(before);
    bed_switch_off();
}

/* Parts of it are lost, or changed by hand: seen, and mended. */
static void test_damage(void **state)
{
    (void)state;
    static const struct {
        const char *command, *reason;
    } rows[] = {
        {"clear Bridge br-int mirrors", "select_all is missing"},
        {"del-port cs-m", "output_port is"},
        {"set Mirror cs-m select_all=true", "select_all is true, should be false"},
        {"clear Mirror cs-m select_dst_port", "select_dst_port is []"},
        {"set Mirror cs-m select_vlan=3", "select_vlan is [3]"},
        {"set Mirror cs-m snaplen=100", "snaplen is 100"},
        {"set Interface cs-m options:remote_ip=10.9.0.7", "options:remote_ip is 10.9.0.7"},
        {"set Interface cs-m options:erspan_idx=102", "options:erspan_idx is 102, should be 66"},
        {"set Interface cs-m type=gre", "type is gre"},
        {"set Port cs-m tag=7", "tag is 7, should be 0"},
        {"add-port br-int csn-m -- set Port csn-m external_ids:cloudspan=m",
         "leftovers is [\"csn-m\"]"},
        {"del-port p-a -- add-port br-int p-a", "select_src_port is [\"p-b\"]"},
    };
    if (!has_bed)
        skip();
    struct bed_mirror m;
    char reason[200];
    bed_switch_on();
    bed_connect(&m, "--name=m --bridge=br-int --ports=p-a,p-b --to=erspan2:10.9.0.2 --id=102");
    char *before = bed_dump(m.job.state);
    assert_int_equal(bed_apply(&m, &m.err), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bed_vsctl(rows[i].command);
        int action = bed_plan(&m, reason, &m.err);
        if (action != MIRROR_CHANGE || !strstr(reason, rows[i].reason))
            fail_msg("%s: %d %s", rows[i].command, action, reason);
        if (bed_apply(&m, &m.err) < 0)
            fail_msg("%s: %s", rows[i].command, m.err.text);
        if (bed_plan(&m, reason, &m.err) != MIRROR_KEEP)
            fail_msg("%s: %s", rows[i].command, reason);
    }
    /* What somebody added to it is not ours to judge. */
    bed_vsctl("set Interface cs-m options:tos=inherit external_ids:owner=me");
    assert_int_equal(bed_plan(&m, reason, &m.err), MIRROR_KEEP);
    struct mirror_set found = {0};
    assert_int_equal(provider_ovs.find(&m.job, &found, &m.err), 0);
    assert_int_equal(provider_ovs.unmake(&m.job, &found.at[0], &m.err), 0);
    mirror_set_done(&found);
    assert_null(ovs_row(m.job.state, OVS_MIRROR, 0));
    free(before);
    bed_end(&m);
    bed_vsctl("set Interface p-a external_ids:attached-mac=02:00:00:00:00:0a");
    bed_switch_off();
}

/* The commands do what the provider does: what they made, it finds as it should be. */
static void test_commands(void **state)
{
    (void)state;
    static const char *const lives[] = {
        "--name=m --bridge=br-int --ports=p-a,p-b --direction=in --to=gre:10.9.0.2",
        "--name=m --bridge=br-int --ports=p-a --to=erspan2:10.9.0.2 --id=300 --snap=99",
        "--name=m --bridge=br-int --ports=p-a --direction=out --to=erspan3:10.9.0.2 --id=3",
        "--name=m --bridge=br-int --vlan=7 --vlan=9 --to=vxlan:10.9.0.2 --id=3",
        "--name=m --bridge=br-int --all-ports --to=port:p-c",
        "--name=m --bridge=br-int --ports=p-a --to=vlan:9",
        "--name=m --bridge=br-int --ports=p-c --to=erspan2:10.9.0.2 --id=300",
    };
    if (!has_bed)
        skip();
    for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
        struct bed_mirror m;
        struct mirror_set wanted = {0};
        struct text remarks, lines;
        char reason[200];
        text_init(&remarks, 4096);
        bed_connect(&m, lives[i]);
        char *before = bed_dump(m.job.state);
        assert_int_equal(provider_ovs.want(&m.job, &wanted, &remarks, &m.err), 0);
        for (int unmake = 0; unmake < 2; unmake++) {
            text_init(&lines, 16384);
            provider_ovs.command(&m.job, &wanted.at[0], unmake, &lines);
            for (char *at = lines.at, *end; *at; at = end) {
                end = at + strcspn(at, "\n");
                *end++ = '\0';
                bed_vsctl(at + strlen("ovs-vsctl"));
            }
            text_done(&lines);
            if (!unmake && bed_plan(&m, reason, &m.err) != MIRROR_KEEP)
                fail_msg("%s: %s", lives[i], reason);
        }
        char *after = bed_dump(m.job.state);
        assert_string_equal(after, before);
        free(before);
        free(after);
        mirror_set_done(&wanted);
        text_done(&remarks);
        bed_end(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, bed_make, bed_unmake);
}
