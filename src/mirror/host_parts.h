/* What the files host_*.c say to each other. */
#ifndef MIRROR_HOST_PARTS_H
#define MIRROR_HOST_PARTS_H

#include "mirror/host.h"

/* The other end of a tunnel for packets that the IP layer hands to its device. No packet has these
 * addresses: they only choose the neighbour. */
#define HOST_GATEWAY_4   "169.254.77.1"
#define HOST_GATEWAY_6   "fe80::77:1"
#define HOST_GATEWAY_MAC "02:00:00:00:00:01"

/* Whether clsact on the interface is ours: a mark or the journal says so. */
bool host_owns_clsact(const struct mirror_job *job, const struct linux_link *mirrored);

/* Whether anybody but this mirror copies what leaves by `link`, and does not leave out what goes to
 * the collector of `wish`; *out_to: where to. Of other people's only filters of tc are seen. */
bool host_find_copier(const struct host *host, const char *mirror, const struct host_wish *wish,
                      const struct linux_link *link, char out_to[16]);

/* Six bytes, each of two hexadecimal digits; `between` them, unless it is 0. */
bool host_read_six(const char *text, char between, uint8_t out[6]);

/* What a filter of this mirror is known by; false: `want` is none. */
bool host_filter_cookie(const struct mirror_job *job, const struct mirror_object *want,
                        uint8_t out[LINUX_TC_COOKIE_MAX]);

/* Of all that cannot be read back of a filter: twelve hexadecimal digits. */
void host_content_text(const json_t *program, uint64_t rate, bool forgets, char out[13]);

/* Of a file's bytes: twelve hexadecimal digits. */
void host_digest_text(const char *bytes, size_t size, char out[13]);

/* The command line of a carrier, as an array; NULL: err says why. */
json_t *host_carrier_arguments(const struct mirror_job *job, const struct host_wish *wish,
                               const struct host_tap *tap, const struct host_way *way,
                               struct err *err);
/* Its status file. */
void host_carrier_path(const char *mirror, const char *interface, char out[256]);

/* Whether a frame that leaves with the mark in it is a copy of this mirror, or a copy that was
 * copied again: not the marked frame itself, and not what another mirror makes of it. */
bool host_is_copy(const uint8_t *bytes, size_t size, size_t mark_at, const struct host_wish *wish,
                  uint32_t id);

struct linux_nft;
struct linux_tee;
int host_read_nft(const char *mirror, const struct mirror_object *want, struct linux_nft *out,
                  struct err *err) MUST_CHECK;
int host_read_tee(const char *mirror, const struct mirror_object *want, struct linux_tee *out,
                  struct err *err) MUST_CHECK;

int host_want_unit(const struct mirror_job *job, struct mirror_set *out,
                   struct err *err) MUST_CHECK;
int host_find_unit(const struct mirror_job *job, struct mirror_set *out,
                   struct err *err) MUST_CHECK;
int host_make_unit(const struct mirror_job *job, const struct mirror_object *want,
                   struct err *err) MUST_CHECK;
int host_unmake_unit(const struct mirror_job *job, const struct mirror_object *have,
                     struct err *err) MUST_CHECK;

#endif
