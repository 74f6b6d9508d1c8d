/* Ids of copies: never two the same, the same ones again, and kept whoever comes or goes. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>

#include "mirror/cloud_bed.h"

static const struct cloud_ids wide = {.min = 1, .max = 0xffffff};

static void add(struct cloud_inventory *world, uint32_t number)
{
    char id[32];
    (void)snprintf(id, sizeof id, "eni-%08x", number);
    (void)bed_nic(world, id, "", "", NULL, NULL);
}

static json_t *numbers_of(const struct cloud_inventory *world)
{
    json_t *numbers = json_object();
    for (size_t i = 0; i < world->n; i++)
        if (world->at[i].has_id)
            (void)json_object_set_new(numbers, world->at[i].id,
                                      json_integer(world->at[i].id_number));
    return numbers;
}

static void check(const struct cloud_inventory *world, const struct cloud_ids *ids)
{
    for (size_t i = 0; i < world->n; i++) {
        const struct cloud_nic *nic = &world->at[i];
        assert_int_equal(nic->has_id, nic->fate == CLOUD_WANTED);
        if (!nic->has_id)
            continue;
        assert_in_range(nic->id_number, ids->min, ids->max);
        for (size_t k = 0; k < ids->n_taken; k++)
            assert_int_not_equal(nic->id_number, ids->taken[k]);
        for (size_t k = 0; k < i; k++)
            if (world->at[k].has_id)
                assert_int_not_equal(nic->id_number, world->at[k].id_number);
    }
}

/* The numbers themselves are a promise: a later version has to come to the same ones. */
static void test_promise(void **state)
{
    (void)state;
    struct cloud_inventory world = {0};
    struct err err;
    (void)bed_nic(&world, "eni-0123456789abcdef0", "", "", NULL, NULL);
    assert_int_equal(cloud_give_ids("prod", NULL, &wide, &world, &err), 0);
    assert_int_equal(world.at[0].id_number, 11552866);
    assert_int_equal(cloud_give_ids("test", NULL, &wide, &world, &err), 0);
    assert_int_equal(world.at[0].id_number, 11963721);
    cloud_inventory_done(&world);
}

/* Any order of the list, any size of the range. */
static void test_order(void **state)
{
    (void)state;
    uint64_t random = 3;
    struct err err;
    for (uint32_t range = 200; range < 100000; range = range * 3 + 1) {
        struct cloud_inventory one = {0}, other = {0};
        const struct cloud_ids ids = {.min = 7, .max = 7 + range - 1};
        uint32_t start = bed_random(&random);
        for (uint32_t i = 0; i < 200; i++)
            add(&one, start + i);
        for (uint32_t i = 0; i < 200; i++)
            add(&other, start + (i * 77 + 5) % 200);
        assert_int_equal(cloud_give_ids("m", NULL, &ids, &one, &err), 0);
        assert_int_equal(cloud_give_ids("m", NULL, &ids, &other, &err), 0);
        check(&one, &ids);
        json_t *a = numbers_of(&one), *b = numbers_of(&other);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
        cloud_inventory_done(&one);
        cloud_inventory_done(&other);
    }
}

/* Machines come and go, others take numbers: who has one keeps it while nobody else has. */
static void test_life(void **state)
{
    (void)state;
    uint64_t random = 11;
    struct err err;
    json_t *kept = json_object();
    uint32_t taken[20];
    for (int round = 0; round < 150; round++) {
        struct cloud_inventory world = {0};
        struct cloud_ids ids = {.min = 100, .max = 250, .taken = taken};
        ids.n_taken = bed_random(&random) % 20;
        for (size_t i = 0; i < ids.n_taken; i++)
            taken[i] = 90 + bed_random(&random) % 170;
        for (uint32_t i = 0; i < 200; i++) {
            if (bed_random(&random) % 2)
                continue;
            add(&world, i);
            if (bed_random(&random) % 5 == 0)
                world.at[world.n - 1].fate = CLOUD_EXCLUDED;
        }
        if (cloud_give_ids("m", kept, &ids, &world, &err) < 0)
            fail_msg("%s", err.text);
        check(&world, &ids);
        for (size_t i = 0; i < world.n; i++) {
            const json_t *before = json_object_get(kept, world.at[i].id);
            bool lost = false;
            for (size_t k = 0; before && k < ids.n_taken; k++)
                lost |= (json_int_t)taken[k] == json_integer_value(before);
            if (before && world.at[i].has_id && !lost)
                assert_int_equal(world.at[i].id_number, json_integer_value(before));
        }
        json_decref(kept);
        kept = numbers_of(&world);
        cloud_inventory_done(&world);
    }
    json_decref(kept);
}

/* What is to be unmade lends its number only when there is no other. */
static void test_gone(void **state)
{
    (void)state;
    struct err err;
    struct cloud_ids ids = {.min = 1, .max = 4};
    json_t *kept = json_pack("{s:i,s:i}", "gone-1", 1, "gone-2", 3);
    struct cloud_inventory world = {0};
    add(&world, 1);
    add(&world, 2);
    assert_int_equal(cloud_give_ids("m", kept, &ids, &world, &err), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(world.at[i].id_number % 2, 0);
    add(&world, 3);
    add(&world, 4);
    assert_int_equal(cloud_give_ids("m", kept, &ids, &world, &err), 0);
    check(&world, &ids);
    add(&world, 5);
    assert_int_equal(cloud_give_ids("m", kept, &ids, &world, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "5 interfaces"));
    json_decref(kept);
    cloud_inventory_done(&world);
}

/* What was kept and makes no sense. */
static void test_kept(void **state)
{
    (void)state;
    struct err err;
    const struct cloud_ids ids = {.min = 10, .max = 20};
    json_t *kept =
        json_pack("{s:i,s:i,s:s,s:I,s:i}", "eni-00000001", 15, "eni-00000002", 15, "eni-00000003",
                  "16", "eni-00000004", (json_int_t)1 << 40, "eni-00000005", 9);
    struct cloud_inventory world = {0};
    for (uint32_t i = 5; i > 0; i--)
        add(&world, i);
    assert_int_equal(cloud_give_ids("m", kept, &ids, &world, &err), 0);
    check(&world, &ids);
    assert_int_equal(world.at[4].id_number, 15); /* of two the first by its id */
    json_decref(kept);
    cloud_inventory_done(&world);
}

static void test_edges(void **state)
{
    (void)state;
    struct err err;
    struct cloud_inventory world = {0};
    const struct cloud_ids none = {.min = 2, .max = 1}, all = {.min = 0, .max = UINT32_MAX},
                           zero = {.min = 0, .max = 0},
                           top = {.min = UINT32_MAX, .max = UINT32_MAX};
    assert_int_equal(cloud_give_ids("m", NULL, &all, &world, &err), 0);
    add(&world, 1);
    assert_int_equal(cloud_give_ids("m", NULL, &none, &world, &err), -EINVAL);
    assert_int_equal(cloud_give_ids("m", NULL, &all, &world, &err), 0);
    check(&world, &all);
    assert_int_equal(cloud_give_ids("m", NULL, &zero, &world, &err), 0);
    assert_int_equal(world.at[0].id_number, 0);
    assert_int_equal(cloud_give_ids("m", NULL, &top, &world, &err), 0);
    assert_true(world.at[0].id_number == UINT32_MAX);
    add(&world, 2);
    assert_int_equal(cloud_give_ids("m", NULL, &top, &world, &err), -ENOSPC);
    const uint32_t taken[] = {0};
    const struct cloud_ids full = {.min = 0, .max = 0, .taken = taken, .n_taken = 1};
    assert_int_equal(cloud_give_ids("m", NULL, &full, &world, &err), -ENOSPC);
    cloud_inventory_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promise), cmocka_unit_test(test_order), cmocka_unit_test(test_life),
        cmocka_unit_test(test_gone),    cmocka_unit_test(test_kept),  cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
