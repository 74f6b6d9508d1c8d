/* Well-known services, as tables of names: see services.h. Only names that their owner alone can
 * fill are here: under a cloud's or a content network's general names anybody's server may be. */
#include "hunt/services.h"

#include "hunt/hunt.h"

struct service {
    const char *suffix; /* it and the names below it */
    const char *words;
};

static const struct service services[] = {
    /* time */
    {"pool.ntp.org", "NTP"},
    {"ntp.org", "NTP"},
    {"time.windows.com", "NTP (Windows)"},
    {"time.apple.com", "NTP (Apple)"},
    {"time.google.com", "NTP (Google)"},
    {"time.android.com", "NTP (Android)"},
    {"time.cloudflare.com", "NTP (Cloudflare)"},
    {"time.nist.gov", "NTP (NIST)"},
    {"ntp.ubuntu.com", "NTP (Ubuntu)"},
    {"time.facebook.com", "NTP (Facebook)"},
    {"time.aws.com", "NTP (AWS)"},

    /* updates */
    {"windowsupdate.com", "Windows Update"},
    {"windowsupdate.microsoft.com", "Windows Update"},
    {"update.microsoft.com", "Windows Update"},
    {"delivery.mp.microsoft.com", "Windows Update"},
    {"dl.delivery.mp.microsoft.com", "Windows Update"},
    {"do.dsp.mp.microsoft.com", "Windows delivery optimisation"},
    {"wns.windows.com", "Windows push notifications"},
    {"definitionupdates.microsoft.com", "Microsoft Defender updates"},
    {"wdcp.microsoft.com", "Microsoft Defender"},
    {"wdcpalt.microsoft.com", "Microsoft Defender"},
    {"smartscreen.microsoft.com", "Microsoft SmartScreen"},
    {"smartscreen-prod.microsoft.com", "Microsoft SmartScreen"},
    {"officecdn.microsoft.com", "Office updates"},
    {"config.office.com", "Office configuration"},
    {"msedge.api.cdp.microsoft.com", "Edge updates"},
    {"swscan.apple.com", "Apple updates"},
    {"swcdn.apple.com", "Apple updates"},
    {"swdist.apple.com", "Apple updates"},
    {"gdmf.apple.com", "Apple updates"},
    {"mesu.apple.com", "Apple updates"},
    {"update.googleapis.com", "Google updates"},
    {"tools.google.com", "Google updates"},
    {"clients2.google.com", "Chrome extensions and updates"},
    {"dl.google.com", "Google downloads"},
    {"edgedl.me.gvt1.com", "Chrome updates"},
    {"aus5.mozilla.org", "Firefox updates"},
    {"firefox.settings.services.mozilla.com", "Firefox settings"},
    {"archive.ubuntu.com", "Ubuntu packages"},
    {"security.ubuntu.com", "Ubuntu packages"},
    {"ports.ubuntu.com", "Ubuntu packages"},
    {"changelogs.ubuntu.com", "Ubuntu updates"},
    {"motd.ubuntu.com", "Ubuntu news"},
    {"esm.ubuntu.com", "Ubuntu packages"},
    {"api.snapcraft.io", "Snap packages"},
    {"deb.debian.org", "Debian packages"},
    {"security.debian.org", "Debian packages"},
    {"ftp.debian.org", "Debian packages"},
    {"mirrors.fedoraproject.org", "Fedora packages"},
    {"mirrorlist.centos.org", "CentOS packages"},
    {"subscription.rhsm.redhat.com", "Red Hat subscription"},
    {"cdn.redhat.com", "Red Hat packages"},
    {"cdn.amazonlinux.com", "Amazon Linux packages"},
    {"updates.suse.com", "SUSE packages"},
    {"scc.suse.com", "SUSE registration"},
    {"cdn.fwupd.org", "firmware updates"},
    {"database.clamav.net", "ClamAV updates"},

    /* certificate status */
    {"digicert.com", "certificate status (DigiCert)"},
    {"lencr.org", "certificate status (Let's Encrypt)"},
    {"letsencrypt.org", "certificates (Let's Encrypt)"},
    {"ocsp.pki.goog", "certificate status (Google)"},
    {"pki.goog", "certificate status (Google)"},
    {"ocsp.apple.com", "certificate status (Apple)"},
    {"ocsp2.apple.com", "certificate status (Apple)"},
    {"crl.apple.com", "certificate status (Apple)"},
    {"valid.apple.com", "certificate status (Apple)"},
    {"crl.microsoft.com", "certificate status (Microsoft)"},
    {"mscrl.microsoft.com", "certificate status (Microsoft)"},
    {"ocsp.msocsp.com", "certificate status (Microsoft)"},
    {"oneocsp.microsoft.com", "certificate status (Microsoft)"},
    {"ctldl.windowsupdate.com", "certificate trust list (Microsoft)"},
    {"ocsp.sectigo.com", "certificate status (Sectigo)"},
    {"crl.sectigo.com", "certificate status (Sectigo)"},
    {"ocsp.usertrust.com", "certificate status (Sectigo)"},
    {"ocsp.comodoca.com", "certificate status (Sectigo)"},
    {"crl.comodoca.com", "certificate status (Sectigo)"},
    {"ocsp.globalsign.com", "certificate status (GlobalSign)"},
    {"ocsp2.globalsign.com", "certificate status (GlobalSign)"},
    {"crl.globalsign.com", "certificate status (GlobalSign)"},
    {"ocsp.entrust.net", "certificate status (Entrust)"},
    {"crl.entrust.net", "certificate status (Entrust)"},
    {"ocsp.godaddy.com", "certificate status (GoDaddy)"},
    {"crl.godaddy.com", "certificate status (GoDaddy)"},
    {"amazontrust.com", "certificate status (Amazon)"},
    {"ocsp.verisign.com", "certificate status (Symantec)"},
    {"symcd.com", "certificate status (Symantec)"},
    {"symcb.com", "certificate status (Symantec)"},
    {"ocsp.thawte.com", "certificate status (Thawte)"},

    /* is there an Internet */
    {"msftncsi.com", "connectivity check (Windows)"},
    {"msftconnecttest.com", "connectivity check (Windows)"},
    {"captive.apple.com", "connectivity check (Apple)"},
    {"connectivitycheck.gstatic.com", "connectivity check (Android)"},
    {"connectivitycheck.android.com", "connectivity check (Android)"},
    {"clients3.google.com", "connectivity check (Google)"},
    {"detectportal.firefox.com", "connectivity check (Firefox)"},
    {"connectivity-check.ubuntu.com", "connectivity check (Ubuntu)"},
    {"network-test.debian.org", "connectivity check (Debian)"},
    {"nmcheck.gnome.org", "connectivity check (GNOME)"},
    {"fedoraproject.org", "connectivity check (Fedora)"},

    /* telemetry and push */
    {"vortex.data.microsoft.com", "Windows telemetry"},
    {"events.data.microsoft.com", "Windows telemetry"},
    {"settings-win.data.microsoft.com", "Windows telemetry"},
    {"watson.telemetry.microsoft.com", "Windows error reports"},
    {"telemetry.microsoft.com", "Windows telemetry"},
    {"ods.opinsights.azure.com", "Azure Monitor"},
    {"oms.opinsights.azure.com", "Azure Monitor"},
    {"agentsvc.azure-automation.net", "Azure Automation"},
    {"guestconfiguration.azure.com", "Azure guest configuration"},
    {"push.apple.com", "Apple push notifications"},
    {"courier.push.apple.com", "Apple push notifications"},
    {"init.itunes.apple.com", "Apple services"},
    {"metrics.icloud.com", "Apple telemetry"},
    {"mtalk.google.com", "Google push notifications"},
    {"android.clients.google.com", "Google Play services"},
    {"safebrowsing.googleapis.com", "Google Safe Browsing"},
    {"logging.googleapis.com", "Google Cloud logging"},
    {"monitoring.googleapis.com", "Google Cloud monitoring"},
    {"push.services.mozilla.com", "Firefox push notifications"},
    {"telemetry.mozilla.org", "Firefox telemetry"},
    {"metadata.google.internal", "cloud metadata"},
    {"popcon.debian.org", "Debian package survey"},
    {"daisy.ubuntu.com", "Ubuntu error reports"},
    {NULL, NULL},
};

static const struct service zones[] = {
    {"in-addr.arpa", "reverse lookups"},
    {"ip6.arpa", "reverse lookups"},
    {"e164.arpa", "telephone numbers"},
    {"spamhaus.org", "a block list"},
    {"spamhaus.net", "a block list"},
    {"spamcop.net", "a block list"},
    {"barracudacentral.org", "a block list"},
    {"sorbs.net", "a block list"},
    {"surbl.org", "a block list"},
    {"uribl.com", "a block list"},
    {"abuseat.org", "a block list"},
    {"mailspike.net", "a block list"},
    {"manitu.net", "a block list"},
    {"psbl.org", "a block list"},
    {"dnswl.org", "a list of good senders"},
    {"senderscore.com", "a reputation list"},
    {"isipp.com", "a list of good senders"},
    {"cymru.com", "lookups of networks' owners"},
    {"countries.nerd.dk", "lookups of networks' countries"},
    {"routeviews.org", "lookups of networks' owners"},
    {"abuse.ch", "a block list"},
    {"gbudb.net", "a reputation list"},
    {"mcafee.com", "McAfee's file reputation"},
    {"trellix.com", "Trellix's file reputation"},
    {"sophosxl.net", "Sophos's reputation"},
    {"e5.sk", "ESET's reputation"},
    {"eset.com", "ESET's reputation"},
    {"trendmicro.com", "Trend Micro's reputation"},
    {"avast.com", "Avast's reputation"},
    {"avcdn.net", "Avast's updates"},
    {"bitdefender.net", "Bitdefender's reputation"},
    {"kaspersky-labs.com", "Kaspersky's reputation"},
    {"brightcloud.com", "a reputation list"},
    {"webcfs00.com", "SonicWall's filter"},
    {"fortiguard.net", "FortiGuard's filter"},
    {"opendns.com", "OpenDNS's own names"},
    {"akamai.net", "a content network"},
    {"akamaiedge.net", "a content network"},
    {"akamaihd.net", "a content network"},
    {"akadns.net", "a content network"},
    {"edgekey.net", "a content network"},
    {"edgesuite.net", "a content network"},
    {"akamaized.net", "a content network"},
    {"akstat.io", "Akamai's measurements"},
    {"cloudfront.net", "a content network"},
    {"fastly.net", "a content network"},
    {"fastlylb.net", "a content network"},
    {"cdn.cloudflare.net", "a content network"},
    {"azureedge.net", "a content network"},
    {"trafficmanager.net", "a content network"},
    {"llnwd.net", "a content network"},
    {"cdn77.org", "a content network"},
    {"b-cdn.net", "a content network"},
    {"googlevideo.com", "a content network"},
    {"gvt1.com", "a content network"},
    {"gvt2.com", "a content network"},
    {"googleusercontent.com", "a content network"},
    {"googlesyndication.com", "advertisements"},
    {"2mdn.net", "advertisements"},
    {"fbcdn.net", "a content network"},
    {"nflxvideo.net", "a content network"},
    {"ttvnw.net", "a content network"},
    {"amazonaws.com", "a cloud's own names"},
    {"elb.amazonaws.com", "a cloud's own names"},
    {"windows.net", "a cloud's own names"},
    {"azure.com", "a cloud's own names"},
    {"cloudapp.net", "a cloud's own names"},
    {"googleapis.com", "a cloud's own names"},
    {"apple-dns.net", "Apple's own names"},
    {"aaplimg.com", "Apple's own names"},
    {"measurement.office.com", "Microsoft's measurements"},
    {"clo.footprintdns.com", "Microsoft's measurements"},
    {"footprintdns.com", "Microsoft's measurements"},
    {"msedge.net", "Microsoft's own names"},
    {"instana.io", "measurements"},
    {NULL, NULL},
};

static const char *const private_names[] = {
    "local",   "lan",       "localdomain", "localhost", "home",         "internal", "corp",
    "private", "intranet",  "home.arpa",   "test",      "invalid",      "example",  "onion",
    "domain",  "workgroup", "fritz.box",   "belkin",    "ec2.internal", NULL,
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
    for (; table->suffix; table++)
        if (services_is_below(name, str_c(table->suffix)))
            return table->words;
    return NULL;
}

const char *services_of_zone(struct str name)
{
    return words_of(zones, name);
}

bool services_is_private(struct str name)
{
    for (size_t i = 0; private_names[i]; i++)
        if (services_is_below(name, str_c(private_names[i])))
            return true;
    return false;
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
