/* SPDX-License-Identifier: GPL-2.0-only */
/* Passes a descriptor whose close(2) takes seconds: a TCP socket whose peer does not read. */
#ifndef UMBRA_TESTS_UNIT_VMM_LINGERING_H
#define UMBRA_TESTS_UNIT_VMM_LINGERING_H

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vmm/send_fds.h"

/* Makes one that lingers for @seconds, or until *peer is closed. */
static inline int lingering_socket(int seconds, int *peer)
{
	static const char much[65536];
	const struct linger l = { 1, seconds };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*peer, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(*peer, 1), 0);
	assert_int_equal(getsockname(*peer, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	return fd;
}

/* Sends a byte with @fd, which is closed here. */
static inline void send_away(int to, int fd)
{
	assert_int_equal(send_fds(to, " ", 1, &fd, 1, 0), 1);
	close(fd);
}

#endif
