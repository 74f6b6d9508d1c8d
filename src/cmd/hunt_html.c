/* The report: one page of HTML that needs nothing else, neither a server nor the network. All that
 * came from the wire goes through put_text. */
#include <inttypes.h>
#include <string.h>

#include "base/version.h"
#include "cmd/hunt_show.h"
#include "cmd/hunt_svg.h"

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#667;--line:#d8dce2;--bar:#2f6fb0;"
    "--back:#f1f3f6;--critical:#b3151f;--high:#c25a00;--medium:#8a6d00;--low:#3a6b3a}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e4e7eb;--dim:#98a0aa;--line:#"
    "343a42;"
    "--bar:#6ea8e0;--back:#1f242a;--critical:#ff6b6b;--high:#ffa64d;--medium:#e0c050;"
    "--low:#8fc98f}}\n"
    "*{box-sizing:border-box}body{margin:1.5rem auto;max-width:90rem;padding:0 1rem;"
    "background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:1.35rem;margin:0 0 .3rem}.dim{color:var(--dim)}p{margin:.3rem 0}\n"
    "table{border-collapse:collapse;width:100%;margin-top:1rem}td,th{padding:.3rem .5rem;"
    "text-align:left;vertical-align:top}th{border-bottom:2px solid "
    "var(--line);white-space:nowrap}\n"
    "th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid "
    "var(--bar)}th[aria-sort=ascending] button::after{content:\" \\25b2\"}"
    "th[aria-sort=descending] button::after{content:\" \\25bc\"}\n"
    "tbody{border-bottom:1px solid var(--line)}td.w{overflow-wrap:anywhere}"
    "td.end{min-width:9.5rem}td.hunt{white-space:nowrap}"
    "td.num{font-variant-numeric:tabular-nums}"
    ".critical,.high,.medium,.low{font-weight:600}.critical{color:var(--critical)}"
    ".high{color:var(--high)}.medium{color:var(--medium)}.low{color:var(--low)}\n"
    "tr.more td{padding-top:0}details>summary{cursor:pointer;color:var(--dim)}"
    "details[open]{padding-bottom:1rem}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.6rem 0}"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}h3{font-size:1rem;margin:.9rem 0 "
    ".3rem}\n"
    "code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}"
    "svg{max-width:100%;height:auto;display:block}svg path,svg rect{fill:var(--bar)}"
    "svg rect.back{fill:var(--back)}svg text{fill:var(--dim);font:9px system-ui,sans-serif}"
    "svg text.n{text-anchor:middle;font-size:8px}\n"
    "svg.line{width:11rem;height:1.5rem;background:var(--back)}svg.large{width:100%;height:4rem}"
    "path.s0{opacity:.35}path.s1{opacity:.55}path.s2{opacity:.8}"
    ".pictures{display:flex;flex-wrap:wrap;gap:0 2.5rem}\n"
    "@media print{body{margin:0;max-width:none;font-size:11px}tbody{break-inside:avoid}"
    "details>summary{display:none}svg path,svg rect{print-color-adjust:exact}}\n";

/* Sorting by a column: a second press turns it round. Before printing everything is opened. */
static const char script[] =
    "const table=document.querySelector('table');\n"
    "if(table)for(const[i,th]of[...table.tHead.rows[0].cells].entries()){\n"
    " const button=th.querySelector('button');if(!button)continue;\n"
    " button.onclick=()=>{\n"
    "  const up=th.getAttribute('aria-sort')==='descending';\n"
    "  for(const other of th.parentNode.cells)other.removeAttribute('aria-sort');\n"
    "  th.setAttribute('aria-sort',up?'ascending':'descending');\n"
    "  const key=body=>body.rows[0].cells[i].dataset.v??body.rows[0].cells[i].textContent;\n"
    "  const order=(a,b)=>{const x=key(a),y=key(b),d=Number(x)-Number(y);\n"
    "   return(isNaN(d)?x.localeCompare(y):d)*(up?1:-1)};\n"
    "  table.append(...[...table.tBodies].sort(order));\n"
    " };\n"
    "}\n"
    "addEventListener('beforeprint',()=>document.querySelectorAll('details')"
    ".forEach(d=>d.open=true));\n";

/* Characters that turn the direction of text round, or are not seen. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || code >= 0xe0000;
}

static void put_text(struct text *out, const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t size = text_utf8(text + i, len - i, &code);
        if (size == 0 || is_hidden(code)) {
            text_format(out, "\\x%02x", (unsigned)(unsigned char)text[i++]);
            continue;
        }
        if (strchr("&<>\"'", text[i]))
            text_format(out, "&#%u;", code);
        else
            text_add(out, text + i, size);
        i += size;
    }
}

static void put_fact(struct text *out, const char *name, const char *value)
{
    if (!value[0])
        return;
    text_format(out, "<dt>%s</dt><dd>", name);
    put_text(out, value);
    text_put(out, "</dd>");
}

static void put_facts(const struct hunt_show *show, const struct finding *f, struct text *out)
{
    char addr[ADDR_TEXT_MAX + 1], from[32], to[32], up[32], down[32];
    text_put(out, "<dl>");
    put_fact(out, "machine", f->src_machine);
    hunt_address(f->has_src, &f->src, addr);
    put_fact(out, "from", addr);
    put_fact(out, "network", f->src_network);
    put_fact(out, "to machine", f->dst_machine);
    hunt_address(f->has_dst, &f->dst, addr);
    put_fact(out, "to", addr);
    put_fact(out, "name", f->name);
    put_fact(out, "ports", f->ports);
    hunt_time(f->first, show->utc, from);
    hunt_time(f->last, show->utc, to);
    text_format(out, "<dt>when</dt><dd>%s to %s</dd>", from, to);
    hunt_bytes(f->bytes_up, up);
    hunt_bytes(f->bytes_down, down);
    text_format(out, "<dt>how much</dt><dd>%" PRIu64 " time%s, %s sent, %s received</dd>", f->n,
                f->n == 1 ? "" : "s", up, down);
    text_format(out, "<dt>confidence</dt><dd>%.0f %%</dd>", f->confidence * 100);
    text_put(out, "</dl>");
}

static void put_pictures(const struct hunt_show *show, const struct picture *p, struct text *out)
{
    char from[32], to[32];
    hunt_time(p->from, show->utc, from);
    hunt_time(p->to, show->utc, to);
    text_format(out, "<h3>When: %s to %s</h3>", from, to);
    hunt_svg_timeline(p, true, out);
    text_put(out, "<div class=\"pictures\">");
    if (p->intervals.n) {
        text_put(out, "<div><h3>Time from one to the next, seconds</h3>");
        hunt_svg_bars(&p->intervals, "s", out);
        text_put(out, "</div>");
    }
    text_put(out, "<div><h3>Bytes sent in each</h3>");
    hunt_svg_bars(&p->sizes, "B", out);
    text_put(out, "</div><div><h3>Minutes of each hour of the last day</h3>");
    hunt_svg_raster(p, show->utc, out);
    text_put(out, "</div></div>");
}

static void put_details(const struct hunt_show *show, const struct hunt_picked *picked,
                        const struct picture *p, struct text *out)
{
    const struct finding *f = picked->finding;
    char line[HUNT_END_MAX * 2];
    put_facts(show, f, out);
    if (f->n_reasons)
        text_put(out, "<h3>Why</h3><ul>");
    for (unsigned i = 0; i < f->n_reasons; i++) {
        text_put(out, "<li>");
        put_text(out, f->reasons[i]);
        text_put(out, "</li>");
    }
    if (f->n_reasons)
        text_put(out, "</ul>");
    if (p->n_events)
        put_pictures(show, p, out);
    if (f->n_numbers)
        text_put(out, "<h3>Numbers</h3><dl>");
    for (unsigned i = 0; i < f->n_numbers; i++)
        text_format(out, "<dt>%s</dt><dd>%.6g</dd>", f->numbers[i].name, f->numbers[i].value);
    if (f->n_numbers)
        text_put(out, "</dl>");
    hunt_safelist_line(f, line, sizeof line);
    text_put(out, picked->hidden_by ? "<p>Hidden by the safelist: <code>"
                                    : "<p>This line of a safelist would hide it: <code>");
    put_text(out, picked->hidden_by ? picked->hidden_by : line);
    text_put(out, "</code></p>");
    struct text command;
    text_init(&command, 8192);
    hunt_lines_command(show, f, &command);
    text_put(out, "<p>Lines of the logs: <code>");
    put_text(out, command.at ? command.at : "");
    text_put(out, "</code></p>");
    text_done(&command);
}

static void put_finding(const struct hunt_show *show, const struct hunt_picked *picked,
                        struct text *out)
{
    const struct finding *f = picked->finding;
    const char *severity = hunt_severity_name(f->severity);
    char text[HUNT_END_MAX], id[HUNT_ID_MAX];
    struct picture picture;
    (void)picture_make(show->view, f, &picture);
    hunt_id_text(f->id, HUNT_ID_MAX - 1, id);
    text_format(out,
                "<tbody id=\"f%s\"><tr><td class=\"%s\" data-v=\"%d\">%s</td>"
                "<td class=\"num\">%.2f</td><td class=\"hunt\">%s</td><td class=\"w end\">",
                id, severity, (int)f->severity, severity, f->score, f->hunt->name);
    hunt_who(f, text);
    put_text(out, text);
    text_put(out, "</td><td class=\"w end\">");
    hunt_whom(f, text);
    put_text(out, text);
    text_put(out, "</td><td class=\"w\">");
    put_text(out, f->title);
    if (picked->hidden_by)
        text_put(out, " <span class=\"dim\">(safelisted)</span>");
    text_format(out, "</td><td data-v=\"%" PRId64 "\">", f->last);
    if (picture.n_events)
        hunt_svg_timeline(&picture, false, out);
    text_format(out,
                "</td></tr><tr class=\"more\"><td></td><td colspan=\"6\"><details><summary>%s"
                "</summary>",
                id);
    put_details(show, picked, &picture, out);
    text_put(out, "</details></td></tr></tbody>\n");
    picture_done(&picture);
}

static void put_intro(const struct hunt_show *show, const char *title, size_t n, struct text *out)
{
    char from[32], to[32];
    hunt_time(show->view->from, show->utc, from);
    hunt_time(show->view->to, show->utc, to);
    text_put(out, "<h1>cloudspan hunt: ");
    put_text(out, title);
    text_format(out, "</h1>\n<p class=\"dim\">%s to %s%s. ", from, to, show->utc ? " UTC" : "");
    text_format(out, "%zu finding%s", show->picks->n, show->picks->n == 1 ? "" : "s");
    if (show->picks->n_critical)
        text_format(out, ", %zu critical", show->picks->n_critical);
    if (show->picks->n_hidden)
        text_format(out, ", %zu hidden by the safelist%s", show->picks->n_hidden,
                    show->show_safelisted ? ", and shown" : "");
    if (n < show->picks->n)
        text_format(out, ", the gravest %zu of them here", n);
    text_put(out, ". cloudspan " VERSION_TEXT "</p>\n");
}

void hunt_html(const struct hunt_show *show, const char *title, struct text *out)
{
    static const char *const heads[] = {"Severity", "Score", "Hunt", "Who", "Whom", "What", "When"};
    size_t n = show->picks->n < show->limit ? show->picks->n : show->limit;
    text_put(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
                  "form-action 'none'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n<title>cloudspan "
                  "hunt: ");
    put_text(out, title);
    text_put(out, "</title>\n<style>\n");
    text_put(out, style);
    text_put(out, "</style></head>\n<body>\n");
    put_intro(show, title, n, out);
    if (n == 0) {
        text_put(out, "<p>Nothing was found.</p>\n");
    } else {
        text_put(out, "<table><thead><tr>");
        for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
            text_format(out, "<th%s><button>%s</button></th>",
                        i == 1 ? " aria-sort=\"descending\"" : "", heads[i]);
        text_put(out, "</tr></thead>\n");
        for (size_t i = 0; i < n; i++)
            put_finding(show, &show->picks->at[i], out);
        text_put(out, "</table>\n");
    }
    text_put(out, "<script>\n");
    text_put(out, script);
    text_put(out, "</script>\n</body>\n</html>\n");
}
