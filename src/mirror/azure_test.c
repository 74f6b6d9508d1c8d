/* Azure's ids, and which wishes are good ones. What calls do is for the scenarios. */
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

#include "mirror/azure.h"

#define NIC "/subscriptions/S/resourceGroups/Rg-1/providers/Microsoft.Network/networkInterfaces/Nic"

static void test_ids(void **state)
{
    (void)state;
    char text[AZURE_ID_MAX], key[MIRROR_KEY_MAX], small[3];
    assert_true(azure_part(NIC "/ipConfigurations/c", "networkinterfaces", text, sizeof text));
    assert_string_equal(text, "Nic");
    assert_true(azure_until(NIC "/ipConfigurations/c", "networkInterfaces", text));
    assert_string_equal(text, NIC);
    assert_true(azure_key(NIC, "networkInterfaces", key));
    assert_string_equal(key, "rg-1/nic");
    assert_false(azure_part(NIC, "networkInterfaces", small, sizeof small));
    assert_false(azure_part(NIC, "virtualMachines", text, sizeof text));
    assert_false(azure_part("", "networkInterfaces", text, sizeof text));
    assert_false(azure_part("/networkInterfaces/", "networkInterfaces", text, sizeof text));
    /* A group that is called like a type. */
    assert_true(azure_part("/subscriptions/S/resourceGroups/subscriptions/x", "resourceGroups",
                           text, sizeof text));
    assert_string_equal(text, "subscriptions");
}

static void test_wishes(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[6], *says, *name; /* says NULL: it is a good one */
    } rows[] = {
        {{"--resource-group=rg", "--vnet=main", "--to=self"}, NULL, "main"},
        {{"--resource-group=rg", "--all-instances", "--to=lb:/subscriptions/S/x"}, NULL, "rg"},
        {{"--resource-group=rg", "--tag=a=b", "--to=" NIC, "--port=8472"}, NULL, "rg"},
        {{"--resource-group=rg", "--to=self"}, "what is to be mirrored?", NULL},
        {{"--vnet=main", "--to=self"}, "which resource group?", NULL},
        {{"--resource-group=rg", "--vnet=main"}, "where to?", NULL},
        {{"--resource-group=r/g", "--vnet=main", "--to=self"}, "no group's name", NULL},
        {{"--resource-group=rg", "--vnet=main", "--to=eth0"}, "is none of", NULL},
        {{"--resource-group=rg", "--vnet=main", "--to=/subscriptions/x?y"}, "no id", NULL},
        {{"--resource-group=rg", "--vnet=main", "--to=self", "--port=0"}, "no port", NULL},
        {{"--resource-group=rg", "--vnet=main", "--to=self", "--port=65536"}, "no port", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mirror_provider *provider = &provider_azure;
        struct mirror_job job = {.provider = provider, .wish = calloc(1, provider->wish_size)};
        const char *rest[8];
        char *words[8] = {0};
        int n = 0;
        struct err err = {""};
        for (; n < 6 && rows[i].arguments[n]; n++)
            words[n] = strdup(rows[i].arguments[n]);
        int result =
            options_parse(provider->options, words, n, rest, provider->wish_take, job.wish, &err);
        if (result >= 0)
            result = provider->wish_check(&job, &err);
        if (rows[i].says ? result != -EINVAL || !strstr(err.text, rows[i].says) : result != 0)
            fail_msg("%zu: %d %s", i, result, err.text);
        if (rows[i].name)
            assert_string_equal(job.name, rows[i].name);
        for (int k = 0; k < n; k++)
            free(words[k]);
        free(job.wish);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
