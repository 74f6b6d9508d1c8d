/* The interfaces that a cloud has: see cloud.h. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/cloud.h"
#include "net/addr.h"

/* The members that are texts; all others are plain. */
static char **text_of(struct cloud_nic *nic, size_t i)
{
    char **const texts[] = {&nic->id,     &nic->machine,     &nic->name, &nic->network,
                            &nic->subnet, &nic->subnet_name, &nic->zone, &nic->type,
                            &nic->outer,  &nic->collector};
    return i < sizeof texts / sizeof texts[0] ? texts[i] : NULL;
}

/* Whoever may name a machine could else write lines of his own into a plan. NULL: no memory. */
static char *copy_of(const char *text)
{
    char *copy = strdup(text ? text : "");
    for (unsigned char *at = (unsigned char *)copy; at && *at; at++) {
        /* U+0080 to U+009F are control characters, too. */
        bool is_long = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if (is_long || *at < ' ' || *at == 0x7f)
            *at = '_';
        if (is_long)
            *++at = '_';
    }
    return copy;
}

static void nic_done(struct cloud_nic *nic)
{
    char **text;
    for (size_t i = 0; (text = text_of(nic, i)); i++)
        free(*text);
    json_decref(nic->tags);
}

static bool make_room(struct cloud_inventory *inventory)
{
    if (inventory->n < inventory->capacity)
        return true;
    size_t capacity = inventory->capacity ? inventory->capacity * 2 : 64;
    struct cloud_nic *grown = reallocarray(inventory->at, capacity, sizeof *grown);
    if (!grown)
        return false;
    inventory->at = grown;
    inventory->capacity = capacity;
    return true;
}

struct cloud_nic *cloud_inventory_add(struct cloud_inventory *inventory, const char *id)
{
    if (inventory->failed || inventory->n >= CLOUD_NICS_MAX || !make_room(inventory)) {
        inventory->failed = true;
        return NULL;
    }
    struct cloud_nic *nic = &inventory->at[inventory->n];
    *nic = (struct cloud_nic){.tags = json_object()};
    bool ok = nic->tags != NULL;
    char **text;
    for (size_t i = 0; (text = text_of(nic, i)); i++)
        ok &= (*text = copy_of(text == &nic->id ? id : "")) != NULL;
    if (!ok) {
        nic_done(nic);
        inventory->failed = true;
        return NULL;
    }
    inventory->n++;
    return nic;
}

void cloud_nic_text(struct cloud_inventory *inventory, char **member, const char *text)
{
    char *copy = copy_of(text);
    if (!copy) {
        inventory->failed = true;
        return;
    }
    free(*member);
    *member = copy;
}

void cloud_nic_address(struct cloud_nic *nic, const char *address)
{
    struct addr addr;
    char text[ADDR_TEXT_MAX + 1];
    if (!address || !addr_parse(address, &addr))
        return;
    text[addr_format(&addr, text)] = '\0';
    for (size_t i = 0; i < CLOUD_ADDRESSES_MAX; i++) {
        if (strcmp(nic->addresses[i], text) == 0)
            return;
        if (!nic->addresses[i][0]) {
            memcpy(nic->addresses[i], text, strlen(text) + 1);
            return;
        }
    }
}

void cloud_inventory_done(struct cloud_inventory *inventory)
{
    for (size_t i = 0; i < inventory->n; i++)
        nic_done(&inventory->at[i]);
    free(inventory->at);
    *inventory = (struct cloud_inventory){0};
}

const char *cloud_nic_label(const struct cloud_nic *nic)
{
    return nic->name[0] ? nic->name : nic->machine[0] ? nic->machine : nic->id;
}
