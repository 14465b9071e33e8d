// SPDX-License-Identifier: GPL-2.0-only
/* Reads and writes whole files, and checks ELF headers. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Reads up to @len bytes at @at, fewer only where the file ends. Returns their number or -errno. */
static ssize_t pread_up_to(int fd, u8 *buf, size_t len, u64 at)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, buf + got, len - got, (off_t)(at + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int file_pread(int fd, void *buf, size_t len, u64 at)
{
	ssize_t n = pread_up_to(fd, buf, len, at);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EIO;
}

int file_write(int fd, const void *buf, size_t len)
{
	const u8 *from = buf;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_read_fd(int fd, const char *path, size_t max, u8 **data, size_t *len, struct err *e)
{
	struct stat st;
	u8 *buf = NULL;
	ssize_t n;
	int ret;

	if (fstat(fd, &st) < 0) {
		ret = err_set(e, -errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		ret = err_set(e, -EINVAL, "%s: not a regular file", path);
		goto out;
	}
	if (st.st_size <= 0) {
		ret = err_set(e, -EINVAL, "%s: the file is empty", path);
		goto out;
	}
	if ((u64)st.st_size > max) {
		ret = err_set(e, -EFBIG, "%s: too large (%lld bytes; at most %zu are read)", path,
			      (long long)st.st_size, max);
		goto out;
	}
	buf = malloc((size_t)st.st_size);
	if (!buf) {
		ret = err_set(e, -ENOMEM, "%s: out of memory", path);
		goto out;
	}
	/* A file that has become shorter meanwhile counts with its new length. */
	n = pread_up_to(fd, buf, (size_t)st.st_size, 0);
	if (n <= 0) {
		ret = n ? err_set(e, (int)n, "%s: cannot read: %s", path, strerror((int)-n))
			: err_set(e, -EINVAL, "%s: the file is empty", path);
		goto out;
	}
	*data = buf;
	*len = (size_t)n;
	buf = NULL;
	ret = 0;
out:
	free(buf);
	return ret;
}

int file_open(const char *path, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not make us wait for a writer before we can refuse it. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno)) : fd;
}

int file_read(const char *path, size_t max, u8 **data, size_t *len, struct err *e)
{
	int fd = file_open(path, e), ret;

	if (fd < 0)
		return fd;
	ret = file_read_fd(fd, path, max, data, len, e);
	close(fd);
	return ret;
}

void file_remove_own(const char *path, int fd)
{
	struct stat own, named;

	if (!fstat(fd, &own) && !lstat(path, &named) && own.st_dev == named.st_dev &&
	    own.st_ino == named.st_ino)
		unlink(path);
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "32-bit ARM";
	case EM_AARCH64:
		return "64-bit ARM";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "64-bit PowerPC";
	case EM_S390:
		return "IBM Z";
	case EM_MIPS:
		return "MIPS";
	case EM_LOONGARCH:
		return "LoongArch";
	default:
		return NULL;
	}
}

static const char *file_type_name(unsigned type)
{
	switch (type) {
	case ET_REL:
		return "a relocatable object";
	case ET_EXEC:
		return "an executable";
	case ET_DYN:
		return "a shared object";
	case ET_CORE:
		return "a core dump";
	default:
		return "of an unknown type";
	}
}

int elf_check(const void *data, size_t len, unsigned type, const char *what, const char *label,
	      struct err *e)
{
	const u8 *id = data;
	unsigned machine, have;

	if (len < SELFMAG || memcmp(id, ELFMAG, SELFMAG) != 0)
		return err_set(e, -EINVAL, "%s: not %s (no ELF file)", label, what);
	if (len < sizeof(Elf64_Ehdr))
		return err_set(e, -EINVAL, "%s: truncated (%zu bytes, inside the ELF header)",
			       label, len);
	/* e_type and e_machine lie at the same place in 32-bit files. */
	if (id[EI_DATA] == ELFDATA2MSB) {
		have = (unsigned)id[16] << 8 | id[17];
		machine = (unsigned)id[18] << 8 | id[19];
	} else {
		have = (unsigned)id[17] << 8 | id[16];
		machine = (unsigned)id[19] << 8 | id[18];
	}
	if (machine != EM_X86_64 || id[EI_CLASS] != ELFCLASS64 || id[EI_DATA] != ELFDATA2LSB) {
		const char *name = machine_name(machine);

		if (machine == EM_X86_64)
			name = "x86-64, but not as 64-bit little-endian ELF";
		if (name)
			return err_set(
				e, -EINVAL,
				"%s: built for another architecture (%s); only x86-64 runs here",
				label, name);
		return err_set(
			e, -EINVAL,
			"%s: built for another architecture (ELF machine %u); only x86-64 runs here",
			label, machine);
	}
	if (have != type)
		return err_set(e, -EINVAL, "%s: not %s, but %s", label, what, file_type_name(have));
	return 0;
}
