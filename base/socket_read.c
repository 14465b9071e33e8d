// SPDX-License-Identifier: GPL-2.0-only
/* Reads from sockets of strangers, with all descriptors that come. */
#include "base/socket_read.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define FDS_AT_ONCE 253 /* as many as one message can have (SCM_MAX_FD) */
#define EMPTY_BYTES 4096

ssize_t socket_read(int fd, void *buf, size_t len, socket_drop_fn *drop, void *arg)
{
	char room[CMSG_SPACE(FDS_AT_ONCE * sizeof(int))]
		__attribute__((aligned(__alignof__(struct cmsghdr))));
	struct iovec iov = { buf, len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return got;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h; h = CMSG_NXTHDR(&msg, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int one;

			memcpy(&one, CMSG_DATA(h) + i * sizeof(int), sizeof(one));
			drop(arg, one);
		}
	}
	return got;
}

void socket_empty(int fd, socket_drop_fn *drop, void *arg)
{
	char buf[EMPTY_BYTES];
	ssize_t n;

	shutdown(fd, SHUT_RDWR);
	do
		n = socket_read(fd, buf, sizeof(buf), drop, arg);
	while (n > 0 || (n < 0 && errno == EINTR));
}
