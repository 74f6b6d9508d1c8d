/* A capture that is being sent: pcap or pcapng, either byte order, from a connection, a pipe or
 * standard input, read as far as it has come and never waited for. */
#ifndef CAPTURE_STREAM_H
#define CAPTURE_STREAM_H

#include "capture/live.h"

/* Takes the descriptor where it succeeds. It need not be non-blocking, and is not made so: standard
 * input is shared with other programs. Nobody else may read from it. (A regular file works too, but
 * epoll refuses it.) Its live_next gives -EPIPE at the end; live_problem says whether that was in
 * the middle of a packet. Holds 256 KiB, and up to 17 MiB where one packet is so large. */
int stream_attach(int fd, uint16_t input, struct live_source **out, struct err *err) MUST_CHECK;

#endif
