// SPDX-License-Identifier: GPL-2.0-only
/* Copies a file into a sealed memfd, and knows one. */
#include "base/sealed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define PIECE 65536U

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* linux/memfd.h, since 6.3 */
#endif

static int sealed_file_too_large(const char *path, size_t max, struct err *e)
{
	return err_set(e, -EFBIG, "%s: too large (at most %zu bytes are read)", path, max);
}

/* Copies from the offset of @fd on. A file that grows meanwhile is held to @max as well. */
static int sealed_file_fill(int memory, int fd, const char *path, size_t max, struct err *e)
{
	char piece[PIECE];
	size_t len = 0;
	ssize_t n;
	int ret;

	while ((n = pread(fd, piece, sizeof(piece), (off_t)len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "%s: cannot read: %s", path, strerror(errno));
		len += (size_t)n;
		if (len > max)
			return sealed_file_too_large(path, max, e);
		ret = file_write(memory, piece, (size_t)n);
		if (ret)
			return err_set(e, ret, "%s: cannot be copied: %s", path, strerror(-ret));
	}
	return 0;
}

/*
 * Makes memory that can never be executed, which is all that a host with vm.memfd_noexec=2 gives
 * out. Linux before 6.3 does not know that, and has memory for files of mode 0777 only.
 */
static int memory_create(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("umbra-file", flags | MFD_NOEXEC_SEAL);

	return fd < 0 && errno == EINVAL ? memfd_create("umbra-file", flags) : fd;
}

int sealed_file_copy(int fd, const char *path, size_t max, struct err *e)
{
	struct stat st;
	int memory, ret;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (u64)st.st_size > max)
		return sealed_file_too_large(path, max, e);
	memory = memory_create();
	if (memory < 0)
		return err_set(e, -errno, "%s: cannot be copied: %s", path, strerror(errno));
	ret = sealed_file_fill(memory, fd, path, max, e);
	if (!ret && (lseek(memory, 0, SEEK_SET) || fcntl(memory, F_ADD_SEALS, SEALS)))
		ret = err_set(e, -errno, "%s: its copy cannot be sealed: %s", path,
			      strerror(errno));
	if (!ret)
		return memory;
	close(memory);
	return ret;
}

bool sealed_file_is(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}
