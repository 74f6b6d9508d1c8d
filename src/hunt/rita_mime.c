/* Which endings of a URI belong to a text type: the registered media types text/... with the file
 * extensions of their registrations. Kept to them: what a browser gets along with is no measure of
 * what is odd. */
#include "hunt/rita_mime.h"

#include <stdlib.h>

/* By type; extensions with spaces between, none for types that have none registered. */
static const struct {
    const char *type, *extensions;
} types[] = {
    {"text/1d-interleaved-parityfec", ""},
    {"text/cache-manifest", "appcache manifest"},
    {"text/calendar", "ics ifb"},
    {"text/cql", "cql"},
    {"text/cql-extension", "cql"},
    {"text/cql-identifier", "cql"},
    {"text/css", "css"},
    {"text/csv", "csv"},
    {"text/csv-schema", "csvs"},
    {"text/directory", "vcf"},
    {"text/dns", "soa zone"},
    {"text/ecmascript", "es js"},
    {"text/encaprtp", ""},
    {"text/enriched", ""},
    {"text/example", ""},
    {"text/fhirpath", ""},
    {"text/flexfec", ""},
    {"text/fwdred", ""},
    {"text/gff3", "gff3"},
    {"text/grammar-ref-list", ""},
    {"text/hl7v2", ""},
    {"text/html", "html htm"},
    {"text/javascript", "js mjs es"},
    {"text/jcr-cnd", "cnd"},
    {"text/markdown", "md markdown"},
    {"text/mizar", "miz"},
    {"text/n3", "n3"},
    {"text/org", "org"},
    {"text/parameters", ""},
    {"text/parityfec", ""},
    {"text/plain", "txt text"},
    {"text/provenance-notation", "provn"},
    {"text/prs.fallenstein.rst", "rst"},
    {"text/prs.lines.tag", "tag dsc"},
    {"text/prs.prop.logic", ""},
    {"text/raptorfec", ""},
    {"text/red", ""},
    {"text/rfc822-headers", ""},
    {"text/richtext", "rtx"},
    {"text/rtf", "rtf"},
    {"text/rtp-enc-aescm128", ""},
    {"text/rtploopback", ""},
    {"text/rtx", ""},
    {"text/sgml", "sgml sgm"},
    {"text/shaclc", "shaclc shc"},
    {"text/shex", "shex"},
    {"text/spdx", "spdx"},
    {"text/strings", ""},
    {"text/t140", ""},
    {"text/tab-separated-values", "tsv"},
    {"text/troff", "t tr roff"},
    {"text/turtle", "ttl"},
    {"text/ulpfec", ""},
    {"text/uri-list", "uris uri"},
    {"text/vcard", "vcf vcard"},
    {"text/vnd.a", "a"},
    {"text/vnd.abc", "abc"},
    {"text/vnd.ascii-art", "ascii"},
    {"text/vnd.curl", "curl"},
    {"text/vnd.debian.copyright", "copyright"},
    {"text/vnd.dmclientscript", "dms"},
    {"text/vnd.dvb.subtitle", ""},
    {"text/vnd.esmertec.theme-descriptor", "jtd"},
    {"text/vnd.exchangeable", "vfk"},
    {"text/vnd.familysearch.gedcom", "ged"},
    {"text/vnd.ficlab.flt", "flt"},
    {"text/vnd.fly", "fly"},
    {"text/vnd.fmi.flexstor", "flx"},
    {"text/vnd.gml", ""},
    {"text/vnd.graphviz", "gv dot"},
    {"text/vnd.hans", "hans"},
    {"text/vnd.hgl", "hgl"},
    {"text/vnd.in3d.3dml", "3dml 3dm"},
    {"text/vnd.in3d.spot", "spot spo"},
    {"text/vnd.iptc.newsml", "xml"},
    {"text/vnd.iptc.nitf", "xml"},
    {"text/vnd.latex-z", ""},
    {"text/vnd.motorola.reflex", ""},
    {"text/vnd.ms-mediapackage", "mpf"},
    {"text/vnd.net2phone.commcenter.command", "ccc"},
    {"text/vnd.radisys.msml-basic-layout", ""},
    {"text/vnd.senx.warpscript", "mc2"},
    {"text/vnd.sosi", "sos"},
    {"text/vnd.sun.j2me.app-descriptor", "jad"},
    {"text/vnd.trolltech.linguist", "ts"},
    {"text/vnd.wap.si", "si"},
    {"text/vnd.wap.sl", "sl"},
    {"text/vnd.wap.wml", "wml"},
    {"text/vnd.wap.wmlscript", "wmls"},
    {"text/vtt", "vtt"},
    {"text/wgsl", "wgsl"},
    {"text/xml", "xml"},
    {"text/xml-dtd", ""},
    {"text/xml-external-parsed-entity", "xml ent"},
};

static int compare(struct str type, const char *other)
{
    size_t len = strlen(other);
    for (size_t i = 0; i < type.len && i < len; i++) {
        int differ = (unsigned char)str_lower_char(type.at[i]) - (unsigned char)other[i];
        if (differ != 0)
            return differ;
    }
    return (type.len > len) - (type.len < len);
}

static const char *extensions_of(struct str type)
{
    size_t from = 0, to = sizeof types / sizeof types[0];
    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = compare(type, types[middle].type);
        if (order == 0)
            return types[middle].extensions;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

struct str rita_uri_extension(struct str uri)
{
    static const struct str none = {"", 0};
    for (uint32_t i = 0; i + 2 < uri.len; i++) { /* http://host/path, as proxies are asked */
        if (uri.at[i] == '/' || uri.at[i] == '?')
            break;
        if (memcmp(uri.at + i, "://", 3) == 0) {
            uri = str_from(uri, i + 3);
            const char *path = memchr(uri.at, '/', uri.len);
            if (path == NULL)
                return none;
            uri = str_from(uri, (size_t)(path - uri.at));
            break;
        }
    }
    uint32_t len = 0;
    while (len < uri.len && uri.at[len] != '?' && uri.at[len] != '#')
        len++;
    uint32_t at = len;
    while (at > 0 && uri.at[at - 1] != '/' && uri.at[at - 1] != '.')
        at--;
    if (at == 0 || uri.at[at - 1] == '/')
        return none; /* no dot in the last segment */
    return str_upto(str_from(uri, at), len - at);
}

bool rita_mime_mismatch(struct str uri, struct str type)
{
    if (!str_set(uri) || uri.len == 0 || str_eq(uri, STR("/")) || !str_set(type))
        return false;
    const char *list = extensions_of(type);
    if (list == NULL)
        return false;
    struct str extension = rita_uri_extension(uri);
    if (extension.len == 0 || *list == '\0')
        return extension.len != 0 || *list != '\0';
    while (*list != '\0') {
        size_t len = strcspn(list, " ");
        if (str_eq_nocase(str_make(list, len), extension))
            return false;
        list += len;
        list += *list == ' ';
    }
    return true;
}
