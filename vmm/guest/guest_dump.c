// SPDX-License-Identifier: GPL-2.0-only
/* Makes the file for a dump at a panic, and removes it if there was none. */
#include "vmm/guest/guest_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/socket_file.h"
#include "vmm/confine/helper.h"
#include "vmm/monitor/monitor.h"

#define SAME_SECOND 100 /* files of one name that are tried */

struct guest_dump {
	char *path;
	int fd; /* -1: it was used */
	struct socket_id id;
	int remover; /* the socket to the helper that removes an empty file, or -1 */
};

/* Makes the first of NAME-TIME.core, NAME-TIME-2.core, ... that is not there; its path to *path. */
static int make_file(int at, const char *dir, const char *name, char **path)
{
	char when[32], number[16] = "";
	time_t now = time(NULL);
	struct tm tm;
	int fd = -1;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%SZ", &tm);
	for (unsigned i = 2; fd < 0 && i < SAME_SECOND; i++) {
		free(*path);
		if (asprintf(path, "%s/%s-%s%s.core", dir, name, when, number) < 0) {
			*path = NULL;
			return -ENOMEM;
		}
		fd = openat(at, *path + strlen(dir) + 1,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return -errno;
		snprintf(number, sizeof(number), "-%u", i);
	}
	return fd < 0 ? -EEXIST : fd;
}

/* Starts the helper that removes an empty file when this process is gone. -errno. */
static int start_remover(struct guest_dump *d)
{
	char dev[24], ino[24];
	const char *const argv[] = { "vmm", "remove-helper", d->path, dev, ino, NULL };
	int pair[2], ret;

	snprintf(dev, sizeof(dev), "%" PRIu64, d->id.dev);
	snprintf(ino, sizeof(ino), "%" PRIu64, d->id.ino);
	ret = helper_pair(pair);
	if (ret)
		return ret;
	/* It makes no namespace, so it is lent no right for that. */
	ret = helper_spawn("/proc/self/exe", argv, pair[1], CONFINE_OFF);
	close(pair[1]);
	if (ret)
		close(pair[0]);
	else
		d->remover = pair[0];
	return ret;
}

int guest_dump_remove(const char *path, u64 dev, u64 ino)
{
	const struct socket_id id = { .dev = dev, .ino = ino };
	struct pollfd p = { .fd = HELPER_FD };
	int ret;

	/* Without events: what the VMM writes there wakes nobody. */
	while (!p.revents)
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
	ret = unused_file_remove(path, &id);
	return ret == -ENOENT || ret == -ESTALE ? 0 : ret;
}

int guest_dump_create(struct guest_dump **out, const char *dir, const char *name,
		      enum confine_mode confine, struct err *e)
{
	struct guest_dump *d = calloc(1, sizeof(*d));
	int at, ret;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->remover = -1;
	at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	d->fd = at < 0 ? -errno : make_file(at, dir, name ? name : "guest", &d->path);
	if (at >= 0)
		close(at);
	ret = d->fd < 0 ? d->fd : unused_file_id(d->path, &d->id);
	d->id.made_ns = 0;
	if (ret) {
		err_set(e, ret, "--dump-on-panic %s: cannot make a file in it: %s", dir,
			strerror(-ret));
		guest_dump_destroy(d, true);
		return ret;
	}
	ret = confine == CONFINE_MANAGED ? start_remover(d) : 0;
	if (ret) {
		err_set(e, ret, "--dump-on-panic %s: cannot start a process for its file: %s", dir,
			strerror(-ret));
		guest_dump_destroy(d, false);
		return ret;
	}
	*out = d;
	return 0;
}

const char *guest_dump_file(const struct guest_dump *d)
{
	return d->path;
}

void guest_dump_panicked(struct guest_dump *d, struct monitor *mon)
{
	int fd = d->fd;

	d->fd = -1;
	if (fd >= 0)
		monitor_dump_ended(mon, fd, d->path);
}

void guest_dump_close(struct guest_dump *d, struct monitor *mon)
{
	if (d->fd >= 0)
		monitor_close_file(mon, d->fd, d->path);
	d->fd = -1;
}

void guest_dump_destroy(struct guest_dump *d, bool supervised)
{
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	/* A confined VMM cannot; the helper, if there is one, does so now. */
	if (!supervised)
		unused_file_remove(d->path, &d->id);
	if (d->remover >= 0)
		close(d->remover);
	free(d->path);
	free(d);
}
