/* Findings as objects of JSON, and as comma-separated values. Both are ASCII or UTF-8 whatever came
 * from the wire. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cmd/hunt_show.h"

/* ---- JSON ---- */

static void put_key(struct text *out, const char *name)
{
    text_format(out, ",\"%s\":", name);
}

/* null where there is none. */
static void put_string(struct text *out, const char *name, const char *value)
{
    put_key(out, name);
    if (value && value[0])
        text_json(out, value, SIZE_MAX / 2);
    else
        text_put(out, "null");
}

static void put_number(struct text *out, double value)
{
    if (isfinite(value))
        text_format(out, "%.10g", value);
    else
        text_put(out, "null");
}

static void put_seconds(struct text *out, const char *name, int64_t ms)
{
    put_key(out, name);
    if (ms <= 0)
        text_put(out, "null");
    else
        text_format(out, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
}

static void put_ports(struct text *out, const char *ports)
{
    text_put(out, ",\"ports\":[");
    const char *comma = "";
    for (const char *p = ports; *p;) {
        size_t len = strcspn(p, ",");
        text_put(out, comma);
        text_json(out, p, len);
        comma = ",";
        p += len;
        p += strspn(p, ", ");
    }
    text_put(out, "]");
}

void hunt_json(const struct finding *f, const char *hidden_by, const char *alert, struct text *out)
{
    char id[HUNT_ID_MAX], addr[ADDR_TEXT_MAX + 1];
    hunt_id_text(f->id, HUNT_ID_MAX - 1, id);
    text_format(out, "{\"id\":\"%s\"", id);
    if (alert)
        put_string(out, "alert", alert);
    put_string(out, "hunt", f->hunt->name);
    put_string(out, "severity", hunt_severity_name(f->severity));
    put_key(out, "score");
    put_number(out, round(f->score * 1000) / 1000);
    put_key(out, "confidence");
    put_number(out, round(f->confidence * 1000) / 1000);
    put_string(out, "title", f->title);
    hunt_address(f->has_src, &f->src, addr);
    put_string(out, "src", addr);
    put_string(out, "src_machine", f->src_machine);
    put_string(out, "src_network", f->src_network);
    hunt_address(f->has_dst, &f->dst, addr);
    put_string(out, "dst", addr);
    put_string(out, "dst_machine", f->dst_machine);
    put_string(out, "name", f->name);
    put_ports(out, f->ports);
    put_seconds(out, "first", f->first);
    put_seconds(out, "last", f->last);
    text_format(out, ",\"count\":%" PRIu64 ",\"bytes_up\":%" PRIu64 ",\"bytes_down\":%" PRIu64,
                f->n, f->bytes_up, f->bytes_down);
    text_put(out, ",\"reasons\":[");
    for (unsigned i = 0; i < f->n_reasons; i++) {
        text_put(out, i ? "," : "");
        text_json(out, f->reasons[i], sizeof f->reasons[i]);
    }
    text_put(out, "],\"numbers\":{");
    for (unsigned i = 0; i < f->n_numbers; i++) {
        text_format(out, "%s\"%s\":", i ? "," : "", f->numbers[i].name);
        put_number(out, f->numbers[i].value);
    }
    text_put(out, "}");
    put_string(out, "hidden_by", hidden_by);
    text_put(out, "}\n");
}

/* ---- comma-separated values (RFC 4180) ---- */

/* Control characters and bytes that are no UTF-8 become \xNN. A field that a spreadsheet would take
 * for a formula gets an apostrophe in front. */
static void put_field(struct text *out, const char *value)
{
    size_t len = strlen(value);
    text_put(out, "\"");
    if (len && strchr("=+-@", value[0]))
        text_put(out, "'");
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t size = text_utf8(value + i, len - i, &code);
        if (size == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            text_format(out, "\\x%02x", (unsigned)(unsigned char)value[i++]);
            continue;
        }
        if (value[i] == '"')
            text_put(out, "\"");
        text_add(out, value + i, size);
        i += size;
    }
    text_put(out, "\"");
}

void hunt_csv_header(struct text *out)
{
    text_put(out, "id,hunt,severity,score,confidence,src,src_machine,src_network,dst,dst_machine,"
                  "name,ports,first,last,count,bytes_up,bytes_down,title,reasons\r\n");
}

void hunt_csv(const struct finding *f, struct text *out)
{
    char id[HUNT_ID_MAX], src[ADDR_TEXT_MAX + 1], dst[ADDR_TEXT_MAX + 1];
    hunt_id_text(f->id, HUNT_ID_MAX - 1, id);
    hunt_address(f->has_src, &f->src, src);
    hunt_address(f->has_dst, &f->dst, dst);
    text_format(out, "%s,%s,%s,%.3f,%.3f,%s,", id, f->hunt->name, hunt_severity_name(f->severity),
                f->score, f->confidence, src);
    put_field(out, f->src_machine);
    text_put(out, ",");
    put_field(out, f->src_network);
    text_format(out, ",%s,", dst);
    put_field(out, f->dst_machine);
    text_put(out, ",");
    put_field(out, f->name);
    text_put(out, ",");
    put_field(out, f->ports);
    text_format(out, ",%.3f,%.3f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", (double)f->first / 1e3,
                (double)f->last / 1e3, f->n, f->bytes_up, f->bytes_down);
    put_field(out, f->title);
    text_put(out, ",");
    struct text reasons;
    text_init(&reasons, FINDING_REASONS * (FINDING_REASON_MAX + 4));
    for (unsigned i = 0; i < f->n_reasons; i++) {
        text_put(&reasons, i ? " | " : "");
        text_put(&reasons, f->reasons[i]);
    }
    put_field(out, reasons.at ? reasons.at : "");
    text_done(&reasons);
    text_put(out, "\r\n");
}
