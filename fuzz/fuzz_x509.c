/* One certificate: parsed, and everything of it printed. (src/proto/x509_test.c holds the results
 * against libcrypto's.) */
#include <stdlib.h>

#include "fuzz/frames.h"
#include "proto/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void print_all(const struct x509 *cert)
{
    char text[2047];
    struct x509_key key;
    size_t len = x509_name_format(cert->subject, text, sizeof text);
    len += x509_name_format(cert->issuer, text, 100);
    len += x509_serial_format(cert->serial, text, 100);
    (void)x509_name_common(cert->subject, text, sizeof text, &len);
    x509_read_key(cert, &key);
    (void)x509_time(&cert->not_before);
    (void)x509_time(&cert->not_after);
    (void)x509_matches_host(cert, STR("a.example.com"));
    static const enum x509_name_kind kinds[] = {X509_DNS, X509_URI, X509_EMAIL, X509_IP};
    for (size_t i = 0; i < 4 && cert->has_san; i++) {
        struct reader names = cert->san;
        struct str name;
        while (x509_next_name(&names, kinds[i], &name))
            if (name.len > cert->whole.len)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    if (size)
        memcpy(exact, bytes, size);
    struct x509 cert;
    if (x509_parse(str_make(exact, size), &cert))
        print_all(&cert);
    free(exact);
    return 0;
}
