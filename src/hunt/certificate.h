/* What other hunts ask of certificates; certificate.c takes and judges them. */
#ifndef HUNT_CERTIFICATE_H
#define HUNT_CERTIFICATE_H

#include "hunt/hunt.h"

/* The one that a server showed, of ssl.log: by its fingerprint, or by what it says. 0: none is
 * known. */
book_name certificate_of(struct book *book, const struct hunt_record *ssl);
/* Whether x509.log says that it is signed by itself. */
bool certificate_is_self_signed(const struct hunt_judge *judge, book_name certificate);

#endif
