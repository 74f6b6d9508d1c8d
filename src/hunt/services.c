/* Well-known services, as tables of names: see services.h. Only names that their owner alone can
 * fill are here: under a cloud's or a content network's general names anybody's server may be. */
#include "hunt/services.h"

#include "hunt/hunt.h"

struct service {
    const char *suffix; /* it and the names below it */
    size_t len;
    const char *words;
};

/* Lengths are counted by the compiler: a name is compared with all of a table. */
#define SERVICE(suffix, words)                                                                     \
    {                                                                                              \
        suffix, sizeof(suffix) - 1, words                                                          \
    }

static const struct service services[] = {
    /* time */
    SERVICE("pool.ntp.org", "NTP"),
    SERVICE("ntp.org", "NTP"),
    SERVICE("time.windows.com", "NTP (Windows)"),
    SERVICE("time.apple.com", "NTP (Apple)"),
    SERVICE("time.google.com", "NTP (Google)"),
    SERVICE("time.android.com", "NTP (Android)"),
    SERVICE("time.cloudflare.com", "NTP (Cloudflare)"),
    SERVICE("time.nist.gov", "NTP (NIST)"),
    SERVICE("ntp.ubuntu.com", "NTP (Ubuntu)"),
    SERVICE("time.facebook.com", "NTP (Facebook)"),
    SERVICE("time.aws.com", "NTP (AWS)"),

    /* updates */
    SERVICE("windowsupdate.com", "Windows Update"),
    SERVICE("windowsupdate.microsoft.com", "Windows Update"),
    SERVICE("update.microsoft.com", "Windows Update"),
    SERVICE("delivery.mp.microsoft.com", "Windows Update"),
    SERVICE("dl.delivery.mp.microsoft.com", "Windows Update"),
    SERVICE("do.dsp.mp.microsoft.com", "Windows delivery optimisation"),
    SERVICE("wns.windows.com", "Windows push notifications"),
    SERVICE("definitionupdates.microsoft.com", "Microsoft Defender updates"),
    SERVICE("wdcp.microsoft.com", "Microsoft Defender"),
    SERVICE("wdcpalt.microsoft.com", "Microsoft Defender"),
    SERVICE("smartscreen.microsoft.com", "Microsoft SmartScreen"),
    SERVICE("smartscreen-prod.microsoft.com", "Microsoft SmartScreen"),
    SERVICE("officecdn.microsoft.com", "Office updates"),
    SERVICE("config.office.com", "Office configuration"),
    SERVICE("msedge.api.cdp.microsoft.com", "Edge updates"),
    SERVICE("swscan.apple.com", "Apple updates"),
    SERVICE("swcdn.apple.com", "Apple updates"),
    SERVICE("swdist.apple.com", "Apple updates"),
    SERVICE("gdmf.apple.com", "Apple updates"),
    SERVICE("mesu.apple.com", "Apple updates"),
    SERVICE("update.googleapis.com", "Google updates"),
    SERVICE("tools.google.com", "Google updates"),
    SERVICE("clients2.google.com", "Chrome extensions and updates"),
    SERVICE("dl.google.com", "Google downloads"),
    SERVICE("edgedl.me.gvt1.com", "Chrome updates"),
    SERVICE("aus5.mozilla.org", "Firefox updates"),
    SERVICE("firefox.settings.services.mozilla.com", "Firefox settings"),
    SERVICE("archive.ubuntu.com", "Ubuntu packages"),
    SERVICE("security.ubuntu.com", "Ubuntu packages"),
    SERVICE("ports.ubuntu.com", "Ubuntu packages"),
    SERVICE("changelogs.ubuntu.com", "Ubuntu updates"),
    SERVICE("motd.ubuntu.com", "Ubuntu news"),
    SERVICE("esm.ubuntu.com", "Ubuntu packages"),
    SERVICE("api.snapcraft.io", "Snap packages"),
    SERVICE("deb.debian.org", "Debian packages"),
    SERVICE("security.debian.org", "Debian packages"),
    SERVICE("ftp.debian.org", "Debian packages"),
    SERVICE("mirrors.fedoraproject.org", "Fedora packages"),
    SERVICE("mirrorlist.centos.org", "CentOS packages"),
    SERVICE("subscription.rhsm.redhat.com", "Red Hat subscription"),
    SERVICE("cdn.redhat.com", "Red Hat packages"),
    SERVICE("cdn.amazonlinux.com", "Amazon Linux packages"),
    SERVICE("updates.suse.com", "SUSE packages"),
    SERVICE("scc.suse.com", "SUSE registration"),
    SERVICE("cdn.fwupd.org", "firmware updates"),
    SERVICE("database.clamav.net", "ClamAV updates"),

    /* certificate status */
    SERVICE("digicert.com", "certificate status (DigiCert)"),
    SERVICE("lencr.org", "certificate status (Let's Encrypt)"),
    SERVICE("letsencrypt.org", "certificates (Let's Encrypt)"),
    SERVICE("ocsp.pki.goog", "certificate status (Google)"),
    SERVICE("pki.goog", "certificate status (Google)"),
    SERVICE("ocsp.apple.com", "certificate status (Apple)"),
    SERVICE("ocsp2.apple.com", "certificate status (Apple)"),
    SERVICE("crl.apple.com", "certificate status (Apple)"),
    SERVICE("valid.apple.com", "certificate status (Apple)"),
    SERVICE("crl.microsoft.com", "certificate status (Microsoft)"),
    SERVICE("mscrl.microsoft.com", "certificate status (Microsoft)"),
    SERVICE("ocsp.msocsp.com", "certificate status (Microsoft)"),
    SERVICE("oneocsp.microsoft.com", "certificate status (Microsoft)"),
    SERVICE("ctldl.windowsupdate.com", "certificate trust list (Microsoft)"),
    SERVICE("ocsp.sectigo.com", "certificate status (Sectigo)"),
    SERVICE("crl.sectigo.com", "certificate status (Sectigo)"),
    SERVICE("ocsp.usertrust.com", "certificate status (Sectigo)"),
    SERVICE("ocsp.comodoca.com", "certificate status (Sectigo)"),
    SERVICE("crl.comodoca.com", "certificate status (Sectigo)"),
    SERVICE("ocsp.globalsign.com", "certificate status (GlobalSign)"),
    SERVICE("ocsp2.globalsign.com", "certificate status (GlobalSign)"),
    SERVICE("crl.globalsign.com", "certificate status (GlobalSign)"),
    SERVICE("ocsp.entrust.net", "certificate status (Entrust)"),
    SERVICE("crl.entrust.net", "certificate status (Entrust)"),
    SERVICE("ocsp.godaddy.com", "certificate status (GoDaddy)"),
    SERVICE("crl.godaddy.com", "certificate status (GoDaddy)"),
    SERVICE("amazontrust.com", "certificate status (Amazon)"),
    SERVICE("ocsp.verisign.com", "certificate status (Symantec)"),
    SERVICE("symcd.com", "certificate status (Symantec)"),
    SERVICE("symcb.com", "certificate status (Symantec)"),
    SERVICE("ocsp.thawte.com", "certificate status (Thawte)"),

    /* mail programs look every few minutes, or wait for 29 */
    SERVICE("imap.gmail.com", "mail (Google)"),
    SERVICE("pop.gmail.com", "mail (Google)"),
    SERVICE("smtp.gmail.com", "mail (Google)"),
    SERVICE("outlook.office365.com", "mail (Microsoft)"),
    SERVICE("smtp.office365.com", "mail (Microsoft)"),
    SERVICE("imap-mail.outlook.com", "mail (Microsoft)"),
    SERVICE("pop-mail.outlook.com", "mail (Microsoft)"),
    SERVICE("mail.me.com", "mail (Apple)"),
    SERVICE("imap.mail.yahoo.com", "mail (Yahoo)"),
    SERVICE("pop.mail.yahoo.com", "mail (Yahoo)"),
    SERVICE("imap.gmx.net", "mail (GMX)"),
    SERVICE("imap.gmx.com", "mail (GMX)"),
    SERVICE("imap.web.de", "mail (WEB.DE)"),
    SERVICE("imap.aol.com", "mail (AOL)"),
    SERVICE("imap.fastmail.com", "mail (Fastmail)"),

    /* is there an Internet */
    SERVICE("msftncsi.com", "connectivity check (Windows)"),
    SERVICE("msftconnecttest.com", "connectivity check (Windows)"),
    SERVICE("captive.apple.com", "connectivity check (Apple)"),
    SERVICE("connectivitycheck.gstatic.com", "connectivity check (Android)"),
    SERVICE("connectivitycheck.android.com", "connectivity check (Android)"),
    SERVICE("clients3.google.com", "connectivity check (Google)"),
    SERVICE("detectportal.firefox.com", "connectivity check (Firefox)"),
    SERVICE("connectivity-check.ubuntu.com", "connectivity check (Ubuntu)"),
    SERVICE("network-test.debian.org", "connectivity check (Debian)"),
    SERVICE("nmcheck.gnome.org", "connectivity check (GNOME)"),
    SERVICE("fedoraproject.org", "connectivity check (Fedora)"),

    /* telemetry and push */
    SERVICE("vortex.data.microsoft.com", "Windows telemetry"),
    SERVICE("events.data.microsoft.com", "Windows telemetry"),
    SERVICE("settings-win.data.microsoft.com", "Windows telemetry"),
    SERVICE("watson.telemetry.microsoft.com", "Windows error reports"),
    SERVICE("telemetry.microsoft.com", "Windows telemetry"),
    SERVICE("ods.opinsights.azure.com", "Azure Monitor"),
    SERVICE("oms.opinsights.azure.com", "Azure Monitor"),
    SERVICE("agentsvc.azure-automation.net", "Azure Automation"),
    SERVICE("guestconfiguration.azure.com", "Azure guest configuration"),
    SERVICE("push.apple.com", "Apple push notifications"),
    SERVICE("courier.push.apple.com", "Apple push notifications"),
    SERVICE("init.itunes.apple.com", "Apple services"),
    SERVICE("metrics.icloud.com", "Apple telemetry"),
    SERVICE("mtalk.google.com", "Google push notifications"),
    SERVICE("android.clients.google.com", "Google Play services"),
    SERVICE("safebrowsing.googleapis.com", "Google Safe Browsing"),
    SERVICE("logging.googleapis.com", "Google Cloud logging"),
    SERVICE("monitoring.googleapis.com", "Google Cloud monitoring"),
    SERVICE("push.services.mozilla.com", "Firefox push notifications"),
    SERVICE("telemetry.mozilla.org", "Firefox telemetry"),
    SERVICE("metadata.google.internal", "cloud metadata"),
    SERVICE("popcon.debian.org", "Debian package survey"),
    SERVICE("daisy.ubuntu.com", "Ubuntu error reports"),
    {NULL, 0, NULL},
};

static const struct service zones[] = {
    SERVICE("in-addr.arpa", "reverse lookups"),
    SERVICE("ip6.arpa", "reverse lookups"),
    SERVICE("e164.arpa", "telephone numbers"),
    SERVICE("spamhaus.org", "a block list"),
    SERVICE("spamhaus.net", "a block list"),
    SERVICE("spamcop.net", "a block list"),
    SERVICE("barracudacentral.org", "a block list"),
    SERVICE("sorbs.net", "a block list"),
    SERVICE("surbl.org", "a block list"),
    SERVICE("uribl.com", "a block list"),
    SERVICE("abuseat.org", "a block list"),
    SERVICE("mailspike.net", "a block list"),
    SERVICE("manitu.net", "a block list"),
    SERVICE("psbl.org", "a block list"),
    SERVICE("dnswl.org", "a list of good senders"),
    SERVICE("senderscore.com", "a reputation list"),
    SERVICE("isipp.com", "a list of good senders"),
    SERVICE("cymru.com", "lookups of networks' owners"),
    SERVICE("countries.nerd.dk", "lookups of networks' countries"),
    SERVICE("routeviews.org", "lookups of networks' owners"),
    SERVICE("abuse.ch", "a block list"),
    SERVICE("gbudb.net", "a reputation list"),
    SERVICE("mcafee.com", "McAfee's file reputation"),
    SERVICE("trellix.com", "Trellix's file reputation"),
    SERVICE("sophosxl.net", "Sophos's reputation"),
    SERVICE("e5.sk", "ESET's reputation"),
    SERVICE("eset.com", "ESET's reputation"),
    SERVICE("trendmicro.com", "Trend Micro's reputation"),
    SERVICE("avast.com", "Avast's reputation"),
    SERVICE("avcdn.net", "Avast's updates"),
    SERVICE("bitdefender.net", "Bitdefender's reputation"),
    SERVICE("kaspersky-labs.com", "Kaspersky's reputation"),
    SERVICE("brightcloud.com", "a reputation list"),
    SERVICE("webcfs00.com", "SonicWall's filter"),
    SERVICE("fortiguard.net", "FortiGuard's filter"),
    SERVICE("opendns.com", "OpenDNS's own names"),
    SERVICE("akamai.net", "a content network"),
    SERVICE("akamaiedge.net", "a content network"),
    SERVICE("akamaihd.net", "a content network"),
    SERVICE("akadns.net", "a content network"),
    SERVICE("edgekey.net", "a content network"),
    SERVICE("edgesuite.net", "a content network"),
    SERVICE("akamaized.net", "a content network"),
    SERVICE("akstat.io", "Akamai's measurements"),
    SERVICE("cloudfront.net", "a content network"),
    SERVICE("fastly.net", "a content network"),
    SERVICE("fastlylb.net", "a content network"),
    SERVICE("cdn.cloudflare.net", "a content network"),
    SERVICE("azureedge.net", "a content network"),
    SERVICE("trafficmanager.net", "a content network"),
    SERVICE("llnwd.net", "a content network"),
    SERVICE("cdn77.org", "a content network"),
    SERVICE("b-cdn.net", "a content network"),
    SERVICE("googlevideo.com", "a content network"),
    SERVICE("gvt1.com", "a content network"),
    SERVICE("gvt2.com", "a content network"),
    SERVICE("googleusercontent.com", "a content network"),
    SERVICE("googlesyndication.com", "advertisements"),
    SERVICE("2mdn.net", "advertisements"),
    SERVICE("fbcdn.net", "a content network"),
    SERVICE("nflxvideo.net", "a content network"),
    SERVICE("ttvnw.net", "a content network"),
    SERVICE("amazonaws.com", "a cloud's own names"),
    SERVICE("elb.amazonaws.com", "a cloud's own names"),
    SERVICE("windows.net", "a cloud's own names"),
    SERVICE("azure.com", "a cloud's own names"),
    SERVICE("cloudapp.net", "a cloud's own names"),
    SERVICE("googleapis.com", "a cloud's own names"),
    SERVICE("apple-dns.net", "Apple's own names"),
    SERVICE("aaplimg.com", "Apple's own names"),
    SERVICE("measurement.office.com", "Microsoft's measurements"),
    SERVICE("clo.footprintdns.com", "Microsoft's measurements"),
    SERVICE("footprintdns.com", "Microsoft's measurements"),
    SERVICE("msedge.net", "Microsoft's own names"),
    SERVICE("instana.io", "measurements"),
    {NULL, 0, NULL},
};

/* Not those that are reserved for tests and examples: no network has them, laboratories do. */
static const struct service private_names[] = {
    SERVICE("local", ""),        SERVICE("lan", ""),       SERVICE("localdomain", ""),
    SERVICE("localhost", ""),    SERVICE("home", ""),      SERVICE("internal", ""),
    SERVICE("corp", ""),         SERVICE("private", ""),   SERVICE("intranet", ""),
    SERVICE("home.arpa", ""),    SERVICE("onion", ""),     SERVICE("domain", ""),
    SERVICE("workgroup", ""),    SERVICE("fritz.box", ""), SERVICE("belkin", ""),
    SERVICE("ec2.internal", ""), {NULL, 0, NULL},
};

bool services_is_below(struct str name, struct str suffix)
{
    if (name.len == suffix.len)
        return str_eq_nocase(name, suffix);
    return name.len > suffix.len && name.at[name.len - suffix.len - 1] == '.' &&
           str_eq_nocase(str_from(name, name.len - suffix.len), suffix);
}

static const char *words_of(const struct service *table, struct str name)
{
    for (; table->suffix; table++) {
        if (name.len < table->len ||
            (name.len > table->len && name.at[name.len - table->len - 1] != '.'))
            continue;
        if (services_is_below(name, str_make(table->suffix, table->len)))
            return table->words;
    }
    return NULL;
}

const char *services_of_zone(struct str name)
{
    return words_of(zones, name);
}

bool services_is_private(struct str name)
{
    return words_of(private_names, name) != NULL;
}

const char *hunt_known_service(struct str name, uint16_t port, uint8_t proto)
{
    if (proto == HUNT_UDP && port == 123)
        return "NTP";
    if (proto == HUNT_UDP && (port == 67 || port == 68 || port == 546 || port == 547))
        return "DHCP";
    if (proto == HUNT_TCP && port == 4460 && name.len > 0 && words_of(services, name))
        return "NTP with keys";
    if (name.len == 0)
        return NULL;
    /* http's Host may come with its port. */
    for (uint32_t i = 0; i < name.len; i++)
        if (name.at[i] == ':')
            name = str_upto(name, i);
    /* On a port of its own a name says little: such services use the web's. */
    if (proto == HUNT_TCP && port != 0 && port != 80 && port != 443 && port != 5223 && port != 5228)
        return NULL;
    return words_of(services, name);
}
