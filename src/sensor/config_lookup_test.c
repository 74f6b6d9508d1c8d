/* Whose channel, address or MAC it is: against a search through all sources, which is slow and
 * plain. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

#include "sensor/config.h"

static struct config *load(const char *text)
{
    struct config *config = NULL;
    struct err err = {{0}};
    if (config_load_text(text, strlen(text), "f", &config, &err) < 0)
        fail_msg("%s", err.text);
    return config;
}

static int ask(const struct config *c, const struct tunnel_decoder *decoder, int id,
               const char *outer)
{
    struct addr addr;
    assert_true(addr_parse(outer, &addr));
    return config_source_of_channel(c, decoder, id >= 0, id >= 0 ? (uint32_t)id : 0, &addr);
}

static void test_what_says_more(void **state)
{
    (void)state;
    struct config *c = load("sources:\n"
                            "- {name: a, channel: vxlan:101@10.0.1.11}\n"
                            "- {name: b, channel: vxlan:101@10.0.0.0/16}\n"
                            "- {name: c, channel: vxlan:101}\n"
                            "- {name: d, channel: 101}\n"
                            "- {name: e, channel: vxlan@10.0.1.11}\n"
                            "- {name: f, channel: any@10.0.0.0/8}\n"
                            "- {name: g, channel: erspan}\n"
                            "- {name: h, channel: erspan2:5}\n"
                            "- {name: i, channel: 'any@::/0'}\n"
                            "- {name: j, channel: 'any@0.0.0.0/0'}\n");
    assert_int_equal(ask(c, &tunnel_vxlan, 101, "10.0.1.11"), 0);
    assert_int_equal(ask(c, &tunnel_vxlan, 101, "10.0.1.12"), 1);
    assert_int_equal(ask(c, &tunnel_vxlan, 101, "10.1.1.12"), 2);
    assert_int_equal(ask(c, &tunnel_vxlan, 101, "fd00::1"), 2);
    assert_int_equal(ask(c, &tunnel_geneve, 101, "10.0.1.11"), 3);
    assert_int_equal(ask(c, &tunnel_vxlan, 102, "10.0.1.11"), 4);
    assert_int_equal(ask(c, &tunnel_vxlan, -1, "10.0.1.11"), 4);
    assert_int_equal(ask(c, &tunnel_geneve, 102, "10.0.1.11"), 5);
    assert_int_equal(ask(c, &tunnel_gre, -1, "10.200.0.1"), 5);
    assert_int_equal(ask(c, &tunnel_erspan3, 4, "192.0.2.1"), 6);
    assert_int_equal(ask(c, &tunnel_erspan1, -1, "192.0.2.1"), 6);
    assert_int_equal(ask(c, &tunnel_erspan2, 5, "192.0.2.1"), 7);
    assert_int_equal(ask(c, &tunnel_erspan3, 5, "192.0.2.1"), 6);
    assert_int_equal(ask(c, &tunnel_gre, 1, "fd00::1"), 8);
    assert_int_equal(ask(c, &tunnel_gre, 1, "192.0.2.1"), 9);
    config_free(c);
}

/* As the header says it: id, then kind, then the longest prefix. */
static int rank(const struct config_channel *c, const struct tunnel_decoder *decoder, bool has_id,
                uint32_t id, const struct addr *outer)
{
    bool is_erspan =
        decoder == &tunnel_erspan1 || decoder == &tunnel_erspan2 || decoder == &tunnel_erspan3;
    if ((c->has_id && (!has_id || c->id != id)) || (c->decoder && c->decoder != decoder) ||
        (c->erspan && !is_erspan) || (c->has_outer && !config_prefix_has(&c->outer, outer)))
        return -1;
    return c->has_id * 1000 +
           (c->decoder  ? 400
            : c->erspan ? 200
                        : 0) +
           (c->has_outer ? 1 + c->outer.bits : 0);
}

static int search(const struct config *c, const struct tunnel_decoder *decoder, bool has_id,
                  uint32_t id, const struct addr *outer)
{
    int best = -1, found = -1;
    for (size_t i = 0; i < c->n_sources; i++) {
        for (size_t k = 0; k < c->sources[i].n_channels; k++) {
            int r = rank(&c->sources[i].channels[k], decoder, has_id, id, outer);
            if (r > best) {
                best = r;
                found = (int)i;
            }
        }
    }
    return found;
}

static uint32_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33);
}

static const struct tunnel_decoder *const kinds[] = {&tunnel_vxlan, &tunnel_geneve, &tunnel_erspan2,
                                                     &tunnel_erspan3, &tunnel_gre};

/* Channels of few values, so that many questions are near to many of them. Those that come twice
 * are refused, so each source is tried by itself. */
static void test_against_search(void **state)
{
    (void)state;
    uint64_t seed = 20260101;
    char *text = strdup("sources:\n");
    assert_non_null(text);
    for (int i = 0; i < 300; i++) {
        static const char *const names[] = {"vxlan", "geneve", "erspan2", "erspan", "any"};
        uint32_t name = next(&seed) % 5;
        char channel[60], id[12] = "", outer[32] = "";
        if (next(&seed) % 2)
            snprintf(id, sizeof id, ":%u", next(&seed) % 6);
        static const unsigned widths[] = {0, 8, 24, 30, 31, 32};
        unsigned bits = widths[next(&seed) % 6];
        uint32_t v4 = 0x0a000000 | (next(&seed) % 4) << 8 | next(&seed) % 8;
        v4 = bits == 0 ? 0 : v4 & (uint32_t)(0xffffffffull << (32 - bits));
        if (next(&seed) % 3 || (name == 4 && !id[0]))
            snprintf(outer, sizeof outer, "@%u.%u.%u.%u/%u", v4 >> 24, v4 >> 16 & 255,
                     v4 >> 8 & 255, v4 & 255, bits);
        snprintf(channel, sizeof channel, "%s%s%s", names[name], id, outer);
        char *longer = NULL;
        assert_true(asprintf(&longer, "%s- {name: m%d, channel: '%s'}\n", text, i, channel) > 0);
        struct config *c = NULL;
        struct err err;
        if (config_load_text(longer, strlen(longer), "f", &c, &err) == 0) {
            config_free(c);
            free(text);
            text = longer;
        } else {
            if (!strstr(err.text, "this channel is also that of"))
                fail_msg("%s", err.text);
            free(longer);
        }
    }
    struct config *c = load(text);
    assert_in_range(c->n_sources, 100, 299);
    int n_found = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t v4 = 0x0a000000 | (next(&seed) % 5) << 8 | next(&seed) % 10;
        uint8_t bytes[4] = {(uint8_t)(next(&seed) % 20 ? 10 : 192), 0, (uint8_t)(v4 >> 8),
                            (uint8_t)v4};
        struct addr outer = addr_v4(bytes);
        const struct tunnel_decoder *kind = kinds[next(&seed) % 5];
        bool has_id = next(&seed) % 4;
        uint32_t id = has_id ? next(&seed) % 7 : 0;
        int expected = search(c, kind, has_id, id, &outer);
        assert_int_equal(config_source_of_channel(c, kind, has_id, id, &outer), expected);
        n_found += expected >= 0;
    }
    assert_in_range(n_found, 1000, 20000);
    config_free(c);
    free(text);
}

/* As many as there may be. */
static void test_many(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    fputs("sources:\n", f);
    for (unsigned i = 0; i < CONFIG_MAX_SOURCES; i++)
        fprintf(f, "- {name: m%u, channel: 'vxlan:%u@10.1.%u.%u', addresses: [10.0.%u.%u]}\n", i, i,
                i >> 8, i & 255, i >> 8, i & 255);
    assert_int_equal(fclose(f), 0);
    struct config *c = load(text);
    assert_int_equal(c->n_sources, CONFIG_MAX_SOURCES);
    for (unsigned i = 0; i < CONFIG_MAX_SOURCES; i++) {
        uint8_t outer[4] = {10, 1, (uint8_t)(i >> 8), (uint8_t)i},
                inner[4] = {10, 0, outer[2], outer[3]};
        struct addr a = addr_v4(outer), b = addr_v4(inner);
        assert_int_equal(config_source_of_channel(c, &tunnel_vxlan, true, i, &a), i);
        assert_int_equal(config_source_of_channel(c, &tunnel_vxlan, true, i + 1, &a), -1);
        assert_int_equal(config_source_of_address(c, 0, &b), i);
        assert_int_equal(config_source_of_address(c, 0, &a), -1);
    }
    config_free(c);

    char *more = NULL;
    assert_true(asprintf(&more, "%s- {name: x, channel: 1}\n", text) > 0);
    struct err err;
    struct config *none = NULL;
    assert_true(config_load_text(more, strlen(more), "f", &none, &err) < 0);
    assert_non_null(strstr(err.text, "'sources' has more than 16384 entries"));
    free(more);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_says_more),
        cmocka_unit_test(test_against_search),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
