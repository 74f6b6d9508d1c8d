/* What a mirror of Open vSwitch should be: wishes, what is refused, and how it is put in words. */
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

static void test_wishes(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *says; /* NULL: it is a good one */
    } rows[] = {
        {"--bridge=b --ports=p --to=gre:10.9.0.2", NULL},
        {"--bridge=b --ports=p --to=gre:10.9.0.2 --id=4294967295 --csum", NULL},
        {"--bridge=b --ports=p,q --ports=r --to=erspan2:10.9.0.2 --id=1023", NULL},
        {"--bridge=b --all-ports --to=vxlan:[fd00::2]:4790 --id=0 --csum", NULL},
        {"--bridge=b --vlan=0 --vlan=4094 --to=geneve:10.9.0.2 --id=5 --snap=14", NULL},
        {"--bridge=b --ports=p --to=port:q --direction=in", NULL},
        {"--bridge=b --ports=p --to=vlan:4094 --snap=65535", NULL},
        {"--bridge=b --ports=p", "where to?"},
        {"--bridge=b --to=gre:10.9.0.2", "what is to be mirrored?"},
        {"--ports=p --to=gre:10.9.0.2", "which bridge?"},
        {"--bridge= --ports=p --to=gre:10.9.0.2", "no bridge's name"},
        {"--bridge=b --ports=p, --to=gre:10.9.0.2", "no list of ports"},
        {"--bridge=b --ports=,p --to=gre:10.9.0.2", "no list of ports"},
        {"--bridge=b --ports= --to=gre:10.9.0.2", "no list of ports"},
        {"--bridge=b --ports=p --all-ports --to=gre:10.9.0.2", "leave --ports out"},
        {"--bridge=b --all-ports --direction=in --to=gre:10.9.0.2", "--direction needs --ports"},
        {"--bridge=b --ports=p --direction=up --to=gre:10.9.0.2", "none of in, out, both"},
        {"--bridge=b --ports=p --vlan=4095 --to=gre:10.9.0.2", "no VLAN"},
        {"--bridge=b --ports=p --vlan=x --to=gre:10.9.0.2", "no VLAN"},
        {"--bridge=b --ports=p --vlan=5 --to=vlan:5", "VLAN 5 is mirrored itself"},
        {"--bridge=b --ports=p --to=erspan1:10.9.0.2", "begins with none of"},
        {"--bridge=b --ports=p --to=interface:eth0", "begins with none of"},
        {"--bridge=b --ports=p --to=erspan2:10.9.0.2", "needs one (0 to 1023)"},
        {"--bridge=b --ports=p --to=erspan3:10.9.0.2 --id=1024", "0 to 1023"},
        {"--bridge=b --ports=p --to=vxlan:10.9.0.2 --id=16777216", "0 to 16777215"},
        {"--bridge=b --ports=p --to=gre:10.9.0.2 --id=4294967296", "is no number"},
        {"--bridge=b --ports=p --to=port:q --id=1", "carry no id"},
        {"--bridge=b --ports=p --to=gre:10.9.0.2 --snap=13", "14 to 65535"},
        {"--bridge=b --ports=p --to=gre:10.9.0.2 --snap=65536", "14 to 65535"},
        {"--bridge=b --ports=p --to=erspan2:10.9.0.2 --id=1 --csum", "no such checksum"},
        {"--bridge=b --ports=p --to=port:q --csum", "no such checksum"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bed_mirror m;
        int result = bed_begin(&m, rows[i].arguments);
        if (rows[i].says ? result != -EINVAL || !strstr(m.err.text, rows[i].says) : result != 0)
            fail_msg("%s: %d %s", rows[i].arguments, result, m.err.text);
        bed_end(&m);
    }
}

static void test_names_of_mirrors(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *name;
    } rows[] = {
        {"--bridge=br --ports=p-b,p-a --to=gre:10.9.0.2", "p-a"},
        {"--bridge=br --all-ports --to=gre:10.9.0.2", "br"},
        {"--bridge=br --ports=_a:b/c --to=gre:10.9.0.2", "a-b-c"},
        {"--bridge=br --ports=abcdefghijklmnopqrstuvwxyz0123456789 --to=gre:10.9.0.2",
         "abcdefghijklmnopqrstuvwxyz01234"},
        {"--bridge=br --ports=p --name=web --to=gre:10.9.0.2", "web"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bed_mirror m;
        assert_int_equal(bed_begin(&m, rows[i].arguments), 0);
        assert_string_equal(m.job.name, rows[i].name);
        bed_end(&m);
    }
    /* Of ports: short ones as they are, all different, none too long for a datapath. */
    char a[OVS_NAME_MAX], b[OVS_NAME_MAX];
    ovs_put_port_name("web", a);
    assert_string_equal(a, "cs-web");
    ovs_put_port_name("123456789012", a);
    assert_string_equal(a, "cs-123456789012");
    ovs_put_port_name("1234567890123", a);
    ovs_put_port_name("1234567890124", b);
    assert_int_equal(strlen(a), 13);
    assert_string_not_equal(a, b);
    ovs_put_nudge_name("1234567890123", b);
    assert_int_equal(strlen(b), 14);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int code; /* 0: it is not refused */
        const char *says;
    } rows[] = {
        {"--bridge=br-x --ports=p-a --to=gre:10.9.0.2", -ENODEV, "br-int, br-one, br-phy"},
        {"--bridge=vlan5 --ports=p-a --to=gre:10.9.0.2", -ENODEV, "--bridge br-int --vlan 5"},
        {"--bridge=br-int --ports=p-x --to=gre:10.9.0.2", -ENODEV, "has no port 'p-x'"},
        {"--bridge=br-int --ports=p-phy --to=gre:10.9.0.2", -ENODEV, "on the bridge br-phy"},
        {"--bridge=br-int --ports=e1 --to=gre:10.9.0.2", -ENODEV, "of the port bond0"},
        {"--bridge=br-int --ports=bond0 --to=gre:10.9.0.2", 0, ""},
        {"--bridge=br-int --ports=p-a --to=geneve:10.9.0.2 --id=1", -EPROTONOSUPPORT, "no geneve"},
        {"--bridge=br-int --ports=p-a --to=gre:10.66.0.2", -ENETUNREACH, "cannot be reached"},
        {"--bridge=br-int --ports=p-a --to=gre:10.9.0.1", -EADDRINUSE, "this machine's own"},
        {"--bridge=br-int --ports=p-a --to=port:p-a", -EINVAL, "is mirrored itself"},
        {"--bridge=br-int --ports=p-a --to=port:br-int", -EINVAL, "the bridge's own port"},
        {"--bridge=br-int --ports=p-a --to=port:p-phy", -ENODEV, "on the bridge br-phy"},
        {"--bridge=br-int --ports=p-a --to=port:p-b", 0, ""},
        {"--bridge=br-int --all-ports --to=gre:10.9.0.2", 0, ""},
        /* The way out. */
        {"--bridge=br-phy --all-ports --to=gre:10.9.0.2", -ELOOP, "all of its ports"},
        {"--bridge=br-phy --vlan=0 --to=gre:10.9.0.2", -ELOOP, "all of its ports"},
        {"--bridge=br-phy --vlan=5 --to=gre:10.9.0.2", 0, ""},
        {"--bridge=br-phy --ports=br-phy --to=gre:10.9.0.2", -ELOOP, "leave this machine by"},
        {"--bridge=br-phy --ports=p-phy --to=gre:10.9.0.2", -ELOOP, "--uplink PORT"},
        {"--bridge=br-phy --ports=p-phy --to=gre:10.7.0.2", 0, ""},
        {"--bridge=br-phy --all-ports --to=gre:10.7.0.2", 0, ""},
        {"--bridge=br-one --ports=tap7 --to=gre:10.8.0.2", 0, ""},
        {"--bridge=br-one --ports=veth1 --to=gre:10.8.0.2", -ELOOP, "--uplink PORT"},
        {"--bridge=br-one --ports=veth1 --uplink=up1 --to=gre:10.8.0.2", 0, ""},
        {"--bridge=br-one --ports=veth1,up1 --uplink=up1 --to=gre:10.8.0.2", -ELOOP, "pass up1"},
        {"--bridge=br-one --ports=veth1 --uplink=p-a --to=gre:10.8.0.2", -ENODEV, "'p-a' is no"},
        {"--bridge=br-one --all-ports --uplink=up1 --to=gre:10.8.0.2", -ELOOP, "all of its ports"},
        {"--bridge=br-one --ports=tap7 --uplink=up1 --to=port:up1", -EINVAL, "connects the"},
    };
    if (!has_bed)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bed_mirror m;
        struct mirror_set set = {0};
        struct text remarks;
        text_init(&remarks, 4096);
        bed_connect(&m, rows[i].arguments);
        int result = provider_ovs.want(&m.job, &set, &remarks, &m.err);
        if (result != rows[i].code || (result < 0 && !strstr(m.err.text, rows[i].says)))
            fail_msg("%s: %d %s", rows[i].arguments, result, m.err.text);
        assert_int_equal(set.n, result == 0);
        mirror_set_done(&set);
        text_done(&remarks);
        bed_end(&m);
    }
}

/* The tunnel's port takes off what tags the switch puts on, where that is the same for all. */
static void test_tags(void **state)
{
    (void)state;
    static const struct {
        const char *set, *ports, *mode;
        int tag;
        bool remark;
    } rows[] = {
        {"get Port p-c tag", "p-c", "access", 4095, false},
        {"get Port p-a tag", "p-a", "", 0, false},
        {"get Port p-a tag", "p-a,p-c", "", 0, true},
        {"set Port p-a tag=9", "p-a,p-c", "access", 4095, false},
        {"set Port p-a vlan_mode=access", "p-a,p-c", "access", 4095, false},
        {"set Port p-a vlan_mode=dot1q-tunnel", "p-a", "dot1q-tunnel", 4095, false},
        {"set Port p-a vlan_mode=dot1q-tunnel", "p-a,p-c", "", 0, true},
        {"set Port p-a vlan_mode=native-untagged", "p-a", "native-untagged", 9, false},
        {"set Port p-b vlan_mode=native-untagged tag=9", "p-a,p-b", "native-untagged", 9, false},
        {"set Port p-b tag=8", "p-a,p-b", "", 0, true},
        {"set Port p-a vlan_mode=native-tagged", "p-a", "", 0, false},
        {"clear Port p-a vlan_mode tag -- clear Port p-b vlan_mode tag", "p-a,p-b", "", 0, false},
    };
    if (!has_bed)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bed_mirror m;
        struct mirror_set set = {0};
        struct text remarks;
        char arguments[120];
        text_init(&remarks, 4096);
        bed_vsctl(rows[i].set);
        (void)snprintf(arguments, sizeof arguments, "--bridge=br-int --ports=%s --to=gre:10.9.0.2",
                       rows[i].ports);
        bed_connect(&m, arguments);
        assert_int_equal(provider_ovs.want(&m.job, &set, &remarks, &m.err), 0);
        assert_string_equal(json_string_value(json_object_get(set.at[0].is, "vlan_mode")),
                            rows[i].mode);
        assert_int_equal(json_integer_value(json_object_get(set.at[0].is, "tag")), rows[i].tag);
        assert_int_equal(remarks.at && strstr(remarks.at, "drop-vlan"), rows[i].remark);
        mirror_set_done(&set);
        text_done(&remarks);
        bed_end(&m);
    }
}

/* Bridges that patch ports connect with the one where copies leave. */
static void test_patches(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        int code;
    } rows[] = {
        {"--bridge=br-int --ports=tap7 --to=gre:10.9.0.2", -ENODEV},
        {"--bridge=br-int --ports=p-a --to=gre:10.9.0.2", 0}, /* it has a MAC: a machine's */
        {"--bridge=br-int --ports=p-c --to=gre:10.9.0.2", -ELOOP},
        {"--bridge=br-int --ports=p-c --uplink=p-phy --to=gre:10.9.0.2", 0},
        {"--bridge=br-int --ports=to-phy --to=gre:10.9.0.2", -ELOOP},
        {"--bridge=br-int --ports=to-phy --uplink=p-phy --to=gre:10.9.0.2", 0},
        {"--bridge=br-int --ports=to-phy --uplink=bond0 --to=gre:10.9.0.2", -ELOOP},
        {"--bridge=br-int --ports=bond0 --uplink=bond0 --to=gre:10.9.0.2", -ELOOP},
        {"--bridge=br-int --all-ports --to=gre:10.9.0.2", -ELOOP},
        {"--bridge=br-int --all-ports --uplink=p-phy --to=gre:10.9.0.2", 0},
        {"--bridge=br-int --all-ports --uplink=bond0 --to=gre:10.9.0.2", -ELOOP},
        {"--bridge=br-int --ports=p-a --to=port:to-phy", -EINVAL},
    };
    if (!has_bed)
        skip();
    bed_vsctl("add-port br-int to-phy -- set Interface to-phy type=patch options:peer=to-int -- "
              "add-port br-phy to-int -- set Interface to-int type=patch options:peer=to-phy");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bed_mirror m;
        struct mirror_set set = {0};
        struct text remarks;
        text_init(&remarks, 4096);
        bed_connect(&m, rows[i].arguments);
        int result = provider_ovs.want(&m.job, &set, &remarks, &m.err);
        if (result != rows[i].code)
            fail_msg("%s: %d %s", rows[i].arguments, result, m.err.text);
        mirror_set_done(&set);
        text_done(&remarks);
        bed_end(&m);
    }
    bed_vsctl("del-port to-phy -- del-port to-int");
}

/* A bridge in user space, whose copies the kernel's own interface does not carry. */
static void test_datapaths(void **state)
{
    (void)state;
    if (!has_bed)
        skip();
    struct bed_mirror m;
    char reason[200];
    bed_vsctl("set Bridge br-int datapath_type=netdev");
    bed_connect(&m, "--bridge=br-int --ports=p-a --to=gre:10.7.0.2");
    assert_int_equal(bed_plan(&m, reason, &m.err), -ENETUNREACH);
    assert_non_null(strstr(m.err.text, "eth9"));
    bed_end(&m);
    bed_connect(&m, "--bridge=br-int --ports=p-a --to=gre:10.9.0.2");
    assert_int_equal(bed_plan(&m, reason, &m.err), -ENETUNREACH);
    bed_vsctl("set Bridge br-phy datapath_type=netdev");
    assert_int_equal(bed_plan(&m, reason, &m.err), MIRROR_MAKE);
    bed_vsctl("set Bridge br-phy datapath_type=\"\" -- set Bridge br-int datapath_type=\"\"");
    bed_end(&m);
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *words;
    } rows[] = {
        {"--name=m --bridge=br-int --ports=p-a,p-b --to=gre:10.9.0.2 --id=8",
         "mirror of the bridge br-int: p-a, p-b; by gre to 10.9.0.2, key 8, out of cs-m"},
        {"--name=m --bridge=br-int --ports=p-a --direction=in --to=erspan2:10.9.0.2 --id=8",
         "mirror of the bridge br-int: what goes to p-a; by erspan type II to 10.9.0.2, session "
         "8, out of cs-m"},
        {"--name=m --bridge=br-int --ports=p-a --direction=out --to=vxlan:10.9.0.2:1 --id=8 "
         "--snap=64",
         "mirror of the bridge br-int: what comes from p-a; by vxlan to 10.9.0.2, port 1, VNI 8, "
         "out of cs-m, 64 bytes of each frame"},
        {"--name=m --bridge=br-int --vlan=5 --vlan=6 --to=port:p-c",
         "mirror of the bridge br-int: all ports in VLAN 5, 6; out of the port p-c"},
        {"--name=m --bridge=br-int --all-ports --to=vlan:9",
         "mirror of the bridge br-int: all ports; into VLAN 9"},
    };
    if (!has_bed)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bed_mirror m;
        struct mirror_set wanted = {0};
        struct text remarks, words;
        text_init(&remarks, 4096);
        text_init(&words, 4096);
        bed_connect(&m, rows[i].arguments);
        assert_int_equal(provider_ovs.want(&m.job, &wanted, &remarks, &m.err), 0);
        provider_ovs.describe(&wanted.at[0], &words);
        assert_string_equal(words.at, rows[i].words);
        mirror_set_done(&wanted);
        text_done(&remarks);
        text_done(&words);
        bed_end(&m);
    }
}

static void test_sources(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        size_t n;
        const char *name, *channel, *mac, *direction;
    } rows[] = {
        {"--bridge=br-int --ports=p-a --to=erspan2:10.9.0.2 --id=5 --direction=in", 1, "p-a",
         "erspan:5@10.9.0.1", "", "in"},
        {"--bridge=br-int --ports=p-a --to=erspan3:10.9.0.2 --id=5", 1, "p-a", "erspan:5@10.9.0.1",
         "", "both"},
        {"--bridge=br-int --ports=p-a --to=gre:10.9.0.2", 1, "p-a", "gre@10.9.0.1", "", "both"},
        {"--bridge=br-int --ports=p-b,p-a --to=vxlan:10.9.0.2:4790 --id=7", 2, "p-a", "",
         "02:00:00:00:00:0a", "both"},
        {"--bridge=br-int --ports=p-a,p-c --name=two --to=vxlan:10.9.0.2 --id=7", 1, "*-two",
         "vxlan:7@10.9.0.1", "", "both"},
        {"--bridge=br-int --ports=p-a --to=port:p-c", 0, "", "", "", ""},
    };
    if (!has_bed)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bed_mirror m;
        struct mirror_set wanted = {0};
        struct mirror_sources sources = {0};
        struct text remarks;
        text_init(&remarks, 4096);
        bed_connect(&m, rows[i].arguments);
        assert_int_equal(provider_ovs.want(&m.job, &wanted, &remarks, &m.err), 0);
        assert_int_equal(provider_ovs.sources(&m.job, &wanted, &sources, &m.err), 0);
        assert_int_equal(sources.n, rows[i].n);
        if (sources.n) {
            const char *name = sources.at[0].name;
            if (rows[i].name[0] == '*')
                assert_non_null(strstr(name, rows[i].name + 1));
            else
                assert_string_equal(name, rows[i].name);
            assert_string_equal(sources.at[0].channels[0], rows[i].channel);
            assert_string_equal(sources.at[0].macs[0], rows[i].mac);
            assert_string_equal(sources.at[0].direction, rows[i].direction);
            assert_string_equal(sources.at[0].collector, "10.9.0.2");
        }
        free(sources.at);
        mirror_set_done(&wanted);
        text_done(&remarks);
        bed_end(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wishes),   cmocka_unit_test(test_names_of_mirrors),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_tags),
        cmocka_unit_test(test_patches),  cmocka_unit_test(test_datapaths),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, bed_make, bed_unmake);
}
