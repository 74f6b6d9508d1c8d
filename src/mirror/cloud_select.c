/* Which of a cloud's interfaces the user wants: see cloud.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "mirror/cloud_parts.h"
#include "net/addr.h"

#define REASONS_MAX 8 /* reasons why machines that were asked for can't be mirrored */
#define NAMES_MAX   5 /* machines that are named with each */

/* ---- taking options ---- */

struct prefix {
    struct addr net;
    unsigned bits; /* of 128 */
};

/* 1: it is one; 0: it is none; -EINVAL: it would be one, but for its number of bits. */
static int parse_prefix(const char *text, struct prefix *out)
{
    char address[64], *end;
    const char *slash = strrchr(text, '/');
    if (!slash || slash == text || (size_t)(slash - text) >= sizeof address)
        return 0;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    if (!addr_parse(address, &out->net))
        return 0;
    unsigned max = strchr(address, ':') ? 128 : 32;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end || bits > max)
        return -EINVAL;
    out->bits = (unsigned)bits + 128 - max;
    return 1;
}

static int take_one(const char *option, const char *value, const char **list, size_t max, size_t *n,
                    struct err *err)
{
    if (!*value)
        return err_set(err, -EINVAL, "%s: it is empty", option);
    if (strlen(value) > 512)
        return err_set(err, -EINVAL, "%s: '%.40s…' is too long", option, value);
    if (*n == max)
        return err_set(err, -E2BIG,
                       "%s: it can be given %zu times at most; patterns with * name several",
                       option, max);
    list[(*n)++] = value;
    return 0;
}

static int take_tags(const char *option, const char *value, const char **list, size_t *n,
                     struct err *err)
{
    int result = cloud_tag_check(option, value, err);
    return result < 0 ? result : take_one(option, value, list, 16, n, err);
}

static int take_subnet(const char *value, struct cloud_select *s, struct err *err)
{
    struct prefix prefix;
    if (parse_prefix(value, &prefix) < 0)
        return err_set(err, -EINVAL, "--subnet: '%.80s' is no prefix of addresses: 10.1.0.0/16",
                       value);
    return take_one("--subnet", value, s->subnets, sizeof s->subnets / sizeof s->subnets[0],
                    &s->n_subnets, err);
}

int cloud_select_take(int row, const char *value, struct cloud_select *s, struct err *err)
{
    switch (row) {
    case CLOUD_ROW_TAG:
        return take_tags("--tag", value, s->tags, &s->n_tags, err);
    case CLOUD_ROW_EXCLUDE:
        return take_tags("--exclude", value, s->exclude, &s->n_exclude, err);
    case CLOUD_ROW_SUBNET:
        return take_subnet(value, s, err);
    case CLOUD_ROW_MACHINE:
        return take_one("--instance", value, s->machines,
                        sizeof s->machines / sizeof s->machines[0], &s->n_machines, err);
    case CLOUD_ROW_ZONE:
        return take_one("--zone", value, s->zones, sizeof s->zones / sizeof s->zones[0],
                        &s->n_zones, err);
    case CLOUD_ROW_EVERY:
        s->all = true;
        return 0;
    default:
        return err_set(err, -EINVAL, "this is no option of a selection");
    }
}

bool cloud_select_is_empty(const struct cloud_select *s)
{
    return !s->all && s->n_tags + s->n_subnets + s->n_machines + s->n_zones == 0;
}

/* ---- who fits ---- */

static bool is_inside(const struct prefix *prefix, const char *text)
{
    struct addr addr;
    if (!addr_parse(text, &addr))
        return false;
    for (unsigned i = 0; i < prefix->bits; i++)
        if ((addr.b[i / 8] ^ prefix->net.b[i / 8]) & (0x80 >> i % 8))
            return false;
    return true;
}

static bool is_in_subnet(const struct cloud_nic *nic, const char *wanted)
{
    struct prefix prefix;
    if (cloud_pattern_fits(wanted, nic->subnet) || cloud_pattern_fits(wanted, nic->subnet_name))
        return true;
    if (parse_prefix(wanted, &prefix) <= 0)
        return false;
    for (size_t i = 0; i < CLOUD_ADDRESSES_MAX && nic->addresses[i][0]; i++)
        if (is_inside(&prefix, nic->addresses[i]))
            return true;
    return false;
}

static bool is_machine(const struct cloud_nic *nic, const char *wanted)
{
    return cloud_pattern_fits(wanted, nic->machine) || cloud_pattern_fits(wanted, nic->name) ||
           cloud_pattern_fits(wanted, nic->id);
}

static bool is_in_zone(const struct cloud_nic *nic, const char *wanted)
{
    return cloud_pattern_fits(wanted, nic->zone);
}

static bool has_tags(const struct cloud_nic *nic, const char *expression)
{
    return cloud_tag_holds(expression, nic->tags);
}

typedef bool test_of_nic(const struct cloud_nic *nic, const char *wanted);

static const char *first_that(test_of_nic *test, bool holds, const struct cloud_nic *nic,
                              const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (test(nic, list[i]) == holds)
            return list[i];
    return NULL;
}

/* The fate that the selection gives it, and why. */
static enum cloud_fate judge(const struct cloud_select *s, const struct cloud_nic *nic,
                             char why[200])
{
    const char *expression = first_that(has_tags, false, nic, s->tags, s->n_tags);
    const char *out = first_that(has_tags, true, nic, s->exclude, s->n_exclude);
    why[0] = '\0';
    if (s->n_machines && !first_that(is_machine, true, nic, s->machines, s->n_machines))
        (void)snprintf(why, 200, "no --instance names it");
    else if (s->n_subnets && !first_that(is_in_subnet, true, nic, s->subnets, s->n_subnets))
        (void)snprintf(why, 200, "it is in no subnet of --subnet");
    else if (s->n_zones && !first_that(is_in_zone, true, nic, s->zones, s->n_zones))
        (void)snprintf(why, 200, "it is in no zone of --zone");
    else if (expression)
        (void)snprintf(why, 200, "its tags do not fulfil --tag %.150s", expression);
    if (why[0])
        return CLOUD_NOT_SELECTED;
    if (!out)
        return CLOUD_WANTED;
    (void)snprintf(why, 200, "its tags fulfil --exclude %.150s", out);
    return CLOUD_EXCLUDED;
}

/* ---- remarks ---- */

static bool any_fits(test_of_nic *test, const struct cloud_inventory *inventory, const char *wanted)
{
    for (size_t i = 0; i < inventory->n; i++)
        if (test(&inventory->at[i], wanted))
            return true;
    return false;
}

static void try_names(struct nearest *nearest, const struct cloud_nic *nic, test_of_nic *test)
{
    if (test == is_machine) {
        nearest_try(nearest, nic->name);
        nearest_try(nearest, nic->machine);
        nearest_try(nearest, nic->id);
    } else if (test == is_in_subnet) {
        nearest_try(nearest, nic->subnet_name);
        nearest_try(nearest, nic->subnet);
    } else {
        nearest_try(nearest, nic->zone);
    }
}

static void remark_names(const char *option, const char *what, test_of_nic *test,
                         const char *const *list, size_t n, const struct cloud_inventory *inventory,
                         struct text *remarks)
{
    for (size_t i = 0; i < n; i++) {
        char end[NEAREST_TEXT_MAX];
        struct nearest nearest = nearest_begin(list[i]);
        if (any_fits(test, inventory, list[i]))
            continue;
        for (size_t k = 0; k < inventory->n && !strpbrk(list[i], "*?"); k++)
            try_names(&nearest, &inventory->at[k], test);
        text_format(remarks, "%s: there is no %s '%.100s'%s\n", option, what, list[i],
                    nearest_text(&nearest, end));
    }
}

struct keys {
    const struct cloud_inventory *inventory;
    struct text *remarks;
    const char *option;
};

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

/* A key that no machine has is a slip of the pen, more often than not. */
static void remark_key(const char *key, void *with)
{
    const struct keys *keys = with;
    struct nearest nearest = nearest_begin(key);
    char end[NEAREST_TEXT_MAX];
    for (size_t i = 0; i < keys->inventory->n; i++) {
        const char *name;
        json_t *value;
        json_object_foreach(keys->inventory->at[i].tags, name, value)
        {
            if (strcmp(name, key) == 0)
                return;
            if (is_printable(name))
                nearest_try(&nearest, name);
        }
    }
    text_format(keys->remarks, "%s: no machine has a tag '%.100s'%s\n", keys->option, key,
                nearest_text(&nearest, end));
}

static void remark_tags(const char *option, const char *const *list, size_t n,
                        const struct cloud_inventory *inventory, struct text *remarks)
{
    struct keys keys = {inventory, remarks, option};
    for (size_t i = 0; i < n; i++) {
        cloud_tag_keys(list[i], remark_key, &keys);
        if (!any_fits(has_tags, inventory, list[i]))
            text_format(remarks, "%s: no machine's tags fulfil '%.200s'\n", option, list[i]);
    }
}

/* What was asked for and can't be had, by reason. */
struct reasons {
    const char *why[REASONS_MAX];
    const struct cloud_nic *named[REASONS_MAX][NAMES_MAX];
    size_t n_of[REASONS_MAX], n, n_more;
};

static void count_reason(struct reasons *reasons, const struct cloud_nic *nic)
{
    size_t i = 0;
    while (i < reasons->n && strcmp(reasons->why[i], nic->why) != 0)
        i++;
    if (i == REASONS_MAX) {
        reasons->n_more++;
        return;
    }
    if (i == reasons->n)
        reasons->why[reasons->n++] = nic->why;
    if (reasons->n_of[i] < NAMES_MAX)
        reasons->named[i][reasons->n_of[i]] = nic;
    reasons->n_of[i]++;
}

static void remark_reasons(const struct reasons *reasons, struct text *remarks)
{
    for (size_t i = 0; i < reasons->n; i++) {
        size_t n = reasons->n_of[i];
        text_format(remarks, "%zu interface%s that %s asked for can't be mirrored (%s):", n,
                    n > 1 ? "s" : "", n > 1 ? "were" : "was", reasons->why[i]);
        for (size_t k = 0; k < n && k < NAMES_MAX; k++) {
            const struct cloud_nic *nic = reasons->named[i][k];
            const char *label = cloud_nic_label(nic);
            if (strcmp(label, nic->id) == 0)
                text_format(remarks, "%s %.200s", k ? "," : "", label);
            else
                text_format(remarks, "%s %.100s (%.200s)", k ? "," : "", label, nic->id);
        }
        if (n > NAMES_MAX)
            text_format(remarks, " and %zu more", n - NAMES_MAX);
        text_put(remarks, "\n");
    }
    if (reasons->n_more)
        text_format(remarks, "%zu more can't be mirrored, for other reasons\n", reasons->n_more);
}

void cloud_select(const struct cloud_select *s, struct cloud_inventory *inventory,
                  struct text *remarks)
{
    struct reasons reasons = {.n = 0};
    for (size_t i = 0; i < inventory->n; i++) {
        struct cloud_nic *nic = &inventory->at[i];
        char why[sizeof nic->why];
        enum cloud_fate fate = judge(s, nic, why);
        if (nic->fate == CLOUD_UNFIT && fate == CLOUD_WANTED)
            count_reason(&reasons, nic);
        if (nic->fate != CLOUD_WANTED || fate == CLOUD_WANTED)
            continue;
        nic->fate = fate;
        memcpy(nic->why, why, sizeof why);
    }
    remark_names("--instance", "machine", is_machine, s->machines, s->n_machines, inventory,
                 remarks);
    remark_names("--subnet", "subnet", is_in_subnet, s->subnets, s->n_subnets, inventory, remarks);
    remark_names("--zone", "zone", is_in_zone, s->zones, s->n_zones, inventory, remarks);
    remark_tags("--tag", s->tags, s->n_tags, inventory, remarks);
    remark_tags("--exclude", s->exclude, s->n_exclude, inventory, remarks);
    remark_reasons(&reasons, remarks);
}
