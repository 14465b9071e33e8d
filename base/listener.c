// SPDX-License-Identifier: GPL-2.0-only
/* Checks a listening socket of another process and makes it fit for an event loop. */
#include "base/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/types.h"

/* Returns the value of a socket's option; -errno. */
static int socket_option(int fd, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -errno : value;
}

/* Returns what is wrong with the descriptor; NULL: nothing. */
static const char *listener_fault(int fd)
{
	int domain = socket_option(fd, SO_DOMAIN);

	if (domain == -EBADF)
		return "it is not open";
	if (domain == -ENOTSOCK)
		return "it is no socket";
	if (domain != AF_UNIX)
		return "it is no UNIX socket";
	if (socket_option(fd, SO_TYPE) != SOCK_STREAM)
		return "it is no stream socket";
	if (socket_option(fd, SO_ACCEPTCONN) != 1)
		return "it does not listen; want the socket itself, and no connection to it";
	return NULL;
}

int listener_take(int fd, const char *what, struct err *e)
{
	const char *fault = listener_fault(fd);
	int flags;

	if (fault)
		return err_set(e, -EINVAL, "%s: descriptor %d: %s", what, fd, fault);
	flags = fcntl(fd, F_GETFL);
	/*
	 * Clients learn by SO_PEERCRED who has called listen() last, and signal and await that
	 * process: it is to be this one, and not the starter, a service manager perhaps.
	 */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
	    listen(fd, SOMAXCONN))
		return err_set(e, -errno, "%s: descriptor %d: %s", what, fd, strerror(errno));
	return 0;
}

void listener_path(int fd, char *path, size_t size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);

	/* An abstract name begins with a 0 byte, and is no path. */
	if (getsockname(fd, (struct sockaddr *)&sa, &len) || len <= sizeof(sa.sun_family))
		sa.sun_path[0] = '\0';
	snprintf(path, size, "%.*s", (int)sizeof(sa.sun_path), sa.sun_path);
}
