// SPDX-License-Identifier: GPL-2.0-only
/* Closes the descriptors that the process was started with, or notes them, to close them later. */
#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define OWN_MAX 512U /* descriptors that the process may open itself */

void descriptors_look(struct descriptors *d, bool named)
{
	struct pollfd p[DESCRIPTORS_MAX];
	nfds_t n = DESCRIPTORS_MAX, n_free = 0;
	/* Linux before 5.9 has no such call. */
	bool closed_all = !named && !close_range(STDERR_FILENO + 1, ~0U, 0);

	if (closed_all)
		n = STDERR_FILENO + 1;
	memset(d, 0, sizeof(*d));
	memset(p, 0, sizeof(p));
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		p[fd].fd = fd;
	/* EINVAL: more than RLIMIT_NOFILE allows, so that many cannot be open. */
	while (poll(p, n, 0) < 0 && (errno == EINTR || (errno == EINVAL && n > 4)))
		n -= errno == EINVAL ? n / 4 : 0;
	for (nfds_t fd = 0; fd < n; fd++) {
		bool closed = p[fd].revents & POLLNVAL;

		n_free += closed;
		if (fd > STDERR_FILENO && !closed)
			d->open[fd / 64] |= 1ULL << fd % 64;
		/* open() takes the lowest free descriptor: this one. */
		else if (fd <= STDERR_FILENO && closed && open("/dev/null", O_RDWR) < 0)
			_exit(127);
	}
	/*
	 * If few numbers below DESCRIPTORS_MAX are free, files that this process opens get numbers
	 * above it. Then the inherited descriptors above it are closed now, since
	 * descriptors_close() cannot tell them from its own files.
	 */
	d->high_closed = closed_all || (n == DESCRIPTORS_MAX && n_free < OWN_MAX);
	if (d->high_closed && !closed_all)
		close_range(DESCRIPTORS_MAX, ~0U, 0);
}

int descriptors_keep(struct descriptors *d, int fd)
{
	if (fd <= STDERR_FILENO || fd >= DESCRIPTORS_MAX || !(d->open[fd / 64] >> fd % 64 & 1))
		return -EBADF;
	d->open[fd / 64] &= ~(1ULL << fd % 64);
	return 0;
}

void descriptors_close(const struct descriptors *d)
{
	if (!d->high_closed)
		close_range(DESCRIPTORS_MAX, ~0U, 0);
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		if (d->open[fd / 64] >> fd % 64 & 1)
			close(fd);
}
