/* SPDX-License-Identifier: GPL-2.0-only */
/* Sends descriptors by a UNIX socket, as any client may. */
#ifndef UMBRA_TESTS_UNIT_VMM_SEND_FDS_H
#define UMBRA_TESTS_UNIT_VMM_SEND_FDS_H

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define SEND_FDS_MAX 253 /* as many as a message can have (SCM_MAX_FD) */

/* Sends @len bytes of @data with the @n descriptors @fds, which stay open; as sendmsg(2). */
static inline ssize_t send_fds(int to, const void *data, size_t len, const int *fds, unsigned n,
			       int flags)
{
	char room[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))]
		__attribute__((aligned(__alignof__(struct cmsghdr)))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;

	if (n) {
		msg.msg_control = room;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		h = CMSG_FIRSTHDR(&msg);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	}
	return sendmsg(to, &msg, flags);
}

#endif
