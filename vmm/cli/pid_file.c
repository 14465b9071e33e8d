// SPDX-License-Identifier: GPL-2.0-only
/* Writes, locks and removes a file with a process's number. */
#include "vmm/cli/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Holds the file @fd nothing but a number and a newline, or nothing at all? */
static bool is_pid_file(int fd)
{
	char text[32];
	struct stat st;
	ssize_t n;
	size_t digits;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n < 0 || n != st.st_size)
		return false;
	text[n] = '\0';
	digits = strspn(text, "0123456789");
	return digits == (size_t)n || (digits && digits + 1 == (size_t)n && text[digits] == '\n');
}

/* Writes the number. Returns -errno. */
static int write_pid(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%d\n", getpid());
	ssize_t n;

	if (ftruncate(fd, 0))
		return -errno;
	n = pwrite(fd, text, (size_t)len, 0);
	if (n < 0)
		return -errno;
	return n == len ? 0 : -ENOSPC;
}

int pid_file_create(const char *path, struct err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd, ret;

	/* A fifo or a device is looked at, not waited for. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0)
		return err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	if (!is_pid_file(fd))
		ret = err_set(e, -EEXIST,
			      "%s: something else than a process's number is in it; "
			      "name another file",
			      path);
	else if (fcntl(fd, F_SETLK, &lock))
		ret = err_set(e, -EBUSY, "%s: another process holds it", path);
	else if ((ret = write_pid(fd)))
		err_set(e, ret, "%s: cannot write: %s", path, strerror(-ret));
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

void pid_file_remove(const char *path, int fd)
{
	file_remove_own(path, fd);
	close(fd);
}
