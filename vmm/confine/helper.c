// SPDX-License-Identifier: GPL-2.0-only
/* Starts a helper process with one socket, and none of the VMM's other descriptors. */
#include "vmm/confine/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/confine/confine.h"

#define ARGS_MAX 8

int helper_pair(int pair[2])
{
	int fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -errno;
	if (pair[1] != HELPER_FD)
		return 0;
	/* dup2() onto itself would leave it closed on exec. */
	fd = fcntl(pair[1], F_DUPFD_CLOEXEC, HELPER_FD + 1);
	if (fd < 0) {
		int ret = -errno;

		close(pair[0]);
		close(pair[1]);
		return ret;
	}
	close(pair[1]);
	pair[1] = fd;
	return 0;
}

int helper_spawn(const char *path, const char *const *argv, int theirs, enum confine_mode confine)
{
	char *copy[ARGS_MAX + 1] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int ret = ENOMEM;

	for (size_t i = 0; i < ARGS_MAX && argv[i]; i++) {
		copy[i] = strdup(argv[i]);
		if (!copy[i])
			goto out;
	}
	if (confine != CONFINE_OFF)
		confine_lend();
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	/*
	 * The helper gets two of the VMM's descriptors: its end of the socket, and stderr for its
	 * messages.
	 */
	posix_spawn_file_actions_adddup2(&files, theirs, HELPER_FD);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, HELPER_FD + 1);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	ret = posix_spawn(&pid, path, &files, &attr, copy, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
out:
	for (size_t i = 0; i < ARGS_MAX; i++)
		free(copy[i]);
	return -ret;
}

/* Room for one descriptor behind a packet. */
union helper_control {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int helper_send(int to, const void *data, size_t len, int fd)
{
	union helper_control control = { { 0 } };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
	}
	return sendmsg(to, &h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

ssize_t helper_receive(int from, void *data, size_t size, int *fd)
{
	union helper_control control;
	struct iovec iov = { data, size };
	struct msghdr h = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* sizeof(control), by its padding, has room for two, and one would be left open. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	struct cmsghdr *c;
	ssize_t len;

	*fd = -1;
	do {
		len = recvmsg(from, &h, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return len ? len : -EPIPE;
}
