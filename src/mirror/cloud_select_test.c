/* Selections: who is taken, who is not and why, and what the user is told of names that fit
 * nobody. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>

#include "mirror/cloud_bed.h"

static void place(struct cloud_inventory *world, struct cloud_nic *nic, const char *subnet,
                  const char *subnet_name, const char *zone)
{
    cloud_nic_text(world, &nic->subnet, subnet);
    cloud_nic_text(world, &nic->subnet_name, subnet_name);
    cloud_nic_text(world, &nic->zone, zone);
}

static void make_world(struct cloud_inventory *world)
{
    *world = (struct cloud_inventory){0};
    place(world, bed_nic(world, "eni-1", "i-1", "web-1", "10.1.0.4", "env=prod role=web"),
          "subnet-a", "front", "eu-1a");
    place(world, bed_nic(world, "eni-2", "i-1", "web-1", "10.2.0.4", "env=prod role=web"),
          "subnet-b", "back", "eu-1a");
    place(world, bed_nic(world, "eni-3", "i-2", "db-1", "10.2.0.5", "env=prod role=db"), "subnet-b",
          "back", "eu-1b");
    place(world, bed_nic(world, "eni-4", "i-3", "test-1", "fd00::4", "env=test"), "subnet-c", "lab",
          "eu-1b");
    struct cloud_nic *unfit = bed_nic(world, "eni-5", "i-4", "old-1", "10.1.0.9", "env=prod");
    place(world, unfit, "subnet-a", "front", "eu-1a");
    unfit->fate = CLOUD_UNFIT;
    (void)snprintf(unfit->why, sizeof unfit->why, "the type t1.micro");
    struct cloud_nic *own = bed_nic(world, "eni-6", "i-5", "collector", "10.1.0.2", "env=prod");
    own->fate = CLOUD_OWN;
}

struct words {
    const char *at[8];
};

/* Options in pairs: a row's number as a letter in front. */
static int take(struct cloud_select *s, const struct words *words, struct err *err)
{
    static const char letters[] = "tsizxa";
    *s = (struct cloud_select){0};
    for (size_t i = 0; words->at[i]; i++) {
        int row = (int)(strchr(letters, words->at[i][0]) - letters);
        int result = cloud_select_take(row, words->at[i] + 2, s, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static const struct {
    struct words words;
    const char *fates; /* of eni-1 …: W wanted, N not selected, X excluded, U unfit, O own */
    const char *remark;
} rows[] = {
    {{{"a:"}},
     "WWWWUO",
     "1 interface that was asked for can't be mirrored (the type t1.micro): "
     "old-1 (eni-5)\n"},
    {{{"t:env=prod"}}, "WWWNUO", "t1.micro"},
    {{{"t:env=prod", "t:role=db"}}, "NNWNUO", ""},
    {{{"t:env=prod", "x:role=db"}}, "WWXNUO", "t1.micro"},
    {{{"a:", "x:env=prod"}}, "XXXWUO", ""},
    {{{"a:", "x:role=db", "x:env=test"}}, "WWXXUO", "t1.micro"},
    {{{"t:env=test", "x:role=db"}}, "NNNWUO", ""},
    {{{"s:subnet-b"}}, "NWWNUO", ""},
    {{{"s:back", "s:lab"}}, "NWWWUO", ""},
    {{{"s:10.2.0.0/16"}}, "NWWNUO", ""},
    {{{"s:10.2.0.4/31"}}, "NWWNUO", ""},
    {{{"s:10.2.0.4/32"}}, "NWNNUO", ""},
    {{{"s:0.0.0.0/0"}}, "WWWNUO", "t1.micro"},
    {{{"s:fd00::/8"}}, "NNNWUO", ""},
    {{{"s:::/0"}}, "WWWWUO", "t1.micro"}, /* IPv4 is a part of it here */
    {{{"s:10.9.0.0/16"}}, "NNNNUO", "--subnet: there is no subnet '10.9.0.0/16'\n"},
    {{{"s:fron"}}, "NNNNUO", "did you mean 'front'?"},
    {{{"i:web-1"}}, "WWNNUO", ""},
    {{{"i:i-2", "i:eni-4"}}, "NNWWUO", ""},
    {{{"i:*-1"}}, "WWWWUO", "t1.micro"},
    {{{"i:web-2"}}, "NNNNUO", "--instance: there is no machine 'web-2'; did you mean 'web-1'?\n"},
    {{{"i:w*x"}}, "NNNNUO", "--instance: there is no machine 'w*x'\n"},
    {{{"i:old-1"}}, "NNNNUO", "t1.micro"},
    {{{"z:eu-1b"}}, "NNWWUO", ""},
    {{{"z:eu-1c"}}, "NNNNUO", "--zone: there is no zone 'eu-1c'; did you mean 'eu-1a'?\n"},
    {{{"z:eu-1b", "t:env=prod"}}, "NNWNUO", ""},
    {{{"s:back", "i:web-1", "z:eu-1?"}}, "NWNNUO", ""},
    {{{"t:enf=prod"}},
     "NNNNUO",
     "--tag: no machine has a tag 'enf'; did you mean 'env'?\n--tag: no machine's tags fulfil "
     "'enf=prod'\n"},
    {{{"a:", "x:env=prd"}}, "WWWWUO", "--exclude: no machine's tags fulfil 'env=prd'\n"},
};

static char fate_letter(const struct cloud_nic *nic)
{
    static const char letters[] = {[CLOUD_WANTED] = 'W',
                                   [CLOUD_NOT_SELECTED] = 'N',
                                   [CLOUD_EXCLUDED] = 'X',
                                   [CLOUD_UNFIT] = 'U',
                                   [CLOUD_OWN] = 'O'};
    return letters[nic->fate];
}

static void test_fates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cloud_inventory world;
        struct cloud_select s;
        struct text remarks;
        struct err err = {""};
        char fates[8] = "";
        make_world(&world);
        text_init(&remarks, 4096);
        if (take(&s, &rows[i].words, &err) < 0)
            fail_msg("%s", err.text);
        assert_false(cloud_select_is_empty(&s));
        cloud_select(&s, &world, &remarks);
        for (size_t k = 0; k < world.n; k++) {
            fates[k] = fate_letter(&world.at[k]);
            assert_int_equal(world.at[k].why[0] != '\0', fates[k] != 'W' && fates[k] != 'O');
        }
        const char *said = remarks.at ? remarks.at : "";
        if (strcmp(fates, rows[i].fates) != 0)
            fail_msg("%s …: %s, not %s", rows[i].words.at[0], fates, rows[i].fates);
        if (rows[i].remark[0] ? !strstr(said, rows[i].remark) : said[0])
            fail_msg("%s …: '%s', not '%s'", rows[i].words.at[0], said, rows[i].remark);
        text_done(&remarks);
        cloud_inventory_done(&world);
    }
}

static void test_reasons(void **state)
{
    (void)state;
    struct cloud_inventory world;
    struct cloud_select s;
    struct text remarks;
    struct err err;
    const struct words words = {{"t:env=prod", "x:role=db", "z:eu-1a", "i:web-1", "i:i-2"}};
    make_world(&world);
    text_init(&remarks, 4096);
    assert_int_equal(take(&s, &words, &err), 0);
    s.n_zones = 0;
    cloud_select(&s, &world, &remarks);
    assert_string_equal(world.at[2].why, "its tags fulfil --exclude role=db");
    assert_string_equal(world.at[3].why, "no --instance names it");
    assert_string_equal(world.at[4].why, "the type t1.micro");
    text_done(&remarks);
    cloud_inventory_done(&world);
}

static void test_refused(void **state)
{
    (void)state;
    struct cloud_select s = {.n_tags = 0};
    struct err err;
    assert_true(cloud_select_is_empty(&s));
    assert_int_equal(cloud_select_take(CLOUD_ROW_EXCLUDE, "a=b", &s, &err), 0);
    assert_true(cloud_select_is_empty(&s)); /* all but those: of whom? */
    assert_int_equal(cloud_select_take(CLOUD_ROW_TAG, "a b", &s, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--tag: 'a b', character 3"));
    assert_int_equal(cloud_select_take(CLOUD_ROW_EXCLUDE, "(a", &s, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--exclude: "));
    static const char *const prefixes[] = {"10.0.0.0/33", "10.0.0.0/",   "fd00::/129",
                                           "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        assert_int_equal(cloud_select_take(CLOUD_ROW_SUBNET, prefixes[i], &s, &err), -EINVAL);
        assert_non_null(strstr(err.text, "no prefix"));
    }
    assert_int_equal(
        cloud_select_take(CLOUD_ROW_SUBNET, "/subscriptions/x/subnets/front", &s, &err), 0);
    assert_int_equal(cloud_select_take(CLOUD_ROW_MACHINE, "", &s, &err), -EINVAL);
    for (int i = 0; i < 16; i++)
        assert_int_equal(cloud_select_take(CLOUD_ROW_ZONE, "z", &s, &err), 0);
    assert_int_equal(cloud_select_take(CLOUD_ROW_ZONE, "z", &s, &err), -E2BIG);
    assert_int_equal(s.n_zones, 16);
    for (size_t i = s.n_tags; i < 16; i++)
        assert_int_equal(cloud_select_take(CLOUD_ROW_TAG, "a", &s, &err), 0);
    assert_int_equal(cloud_select_take(CLOUD_ROW_TAG, "a", &s, &err), -E2BIG);
}

static void test_many_reasons(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct cloud_select s = {.all = true};
    struct text remarks;
    text_init(&remarks, 1 << 16);
    for (unsigned i = 0; i < 300; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "eni-%u", i);
        struct cloud_nic *nic = bed_nic(&world, id, "", "", NULL, NULL);
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why, "reason %u", i % 10);
    }
    cloud_select(&s, &world, &remarks);
    assert_non_null(strstr(remarks.at, "30 interfaces that were asked for can't be mirrored "
                                       "(reason 0): eni-0, eni-10, eni-20, eni-30, eni-40 and 25 "
                                       "more\n"));
    assert_non_null(strstr(remarks.at, "60 more can't be mirrored, for other reasons\n"));
    text_done(&remarks);
    cloud_inventory_done(&world);
}

static void test_inventory(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct cloud_nic *nic = bed_nic(&world, "eni-1", "", "", "10.0.0.1", NULL);
    assert_string_equal(cloud_nic_label(nic), "eni-1");
    cloud_nic_text(&world, &nic->machine, "i-1");
    assert_string_equal(cloud_nic_label(nic), "i-1");
    cloud_nic_text(&world, &nic->name, "web");
    assert_string_equal(cloud_nic_label(nic), "web");
    cloud_nic_text(&world, &nic->name, "web\n  ! \x1b[2Jall is well\x7f");
    assert_string_equal(nic->name, "web_  ! _[2Jall is well_");
    cloud_nic_text(&world, &nic->name, NULL);
    assert_string_equal(nic->name, "");
    cloud_nic_address(nic, "10.0.0.1");
    cloud_nic_address(nic, "2001:DB8:0::1");
    cloud_nic_address(nic, "none");
    cloud_nic_address(nic, NULL);
    assert_string_equal(nic->addresses[1], "2001:db8::1");
    assert_string_equal(nic->addresses[2], "");
    for (unsigned i = 2; i < 20; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "10.0.0.%u", i);
        cloud_nic_address(nic, text);
    }
    assert_string_equal(nic->addresses[CLOUD_ADDRESSES_MAX - 1], "10.0.0.7");
    while (world.n < CLOUD_NICS_MAX)
        assert_non_null(cloud_inventory_add(&world, "x"));
    assert_false(world.failed);
    assert_null(cloud_inventory_add(&world, "x"));
    assert_true(world.failed);
    cloud_inventory_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fates),     cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_many_reasons),
        cmocka_unit_test(test_inventory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
