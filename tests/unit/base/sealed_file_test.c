// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests copies of files in sealed memory: whole, bounded, and known from anything else. The linker
 * leads memfd_create(2) here, which can be that of an older Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sealed_file.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

static bool old_kernel;

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);

int __wrap_memfd_create(const char *name, unsigned flags)
{
	if (!old_kernel || !(flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING)))
		return __real_memfd_create(name, flags);
	errno = EINVAL;
	return -1;
}

static int make_file(const void *data, size_t len)
{
	char path[] = "/tmp/umbra-unit-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, data, len), len);
	return fd;
}

static void a_copy_is_whole_and_cannot_change(void **state)
{
	size_t len = 200001;
	u8 *data = malloc(len), *got = malloc(len);
	struct err e;
	int fd, copy;

	(void)state;
	for (size_t i = 0; i < len; i++)
		data[i] = (u8)(i * 7 ^ i >> 8);
	/* The offset of @fd is at its end here: a copy begins at the file's start. */
	fd = make_file(data, len);
	copy = sealed_file_copy(fd, "x.ko", len, &e);
	assert_true(copy >= 0);
	assert_true(sealed_file_is(copy));
	assert_int_equal(pwrite(fd, "changed", 7, 0), 7);
	assert_int_equal(read(copy, got, len), len);
	assert_memory_equal(got, data, len);
	assert_int_equal(read(copy, got, 1), 0);
	assert_int_equal(pwrite(copy, "y", 1, 0), -1);
	assert_int_equal(ftruncate(copy, 1), -1);
	assert_int_equal(ftruncate(copy, 1 << 20), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, copy, 0), MAP_FAILED);
	close(copy);
	close(fd);
	free(data);
	free(got);
}

static void a_copy_has_a_bound(void **state)
{
	struct err e;
	int fd = make_file("12345", 5), copy;

	(void)state;
	assert_int_equal(sealed_file_copy(fd, "x.ko", 4, &e), -EFBIG);
	assert_string_equal(e.text, "x.ko: too large (at most 4 bytes are read)");
	copy = sealed_file_copy(fd, "x.ko", 5, &e);
	assert_true(copy >= 0);
	close(copy);
	/* Before any of it is copied. */
	assert_int_equal(ftruncate(fd, (off_t)1 << 42), 0);
	alarm(20);
	assert_int_equal(sealed_file_copy(fd, "x.ko", 64 << 20, &e), -EFBIG);
	alarm(0);
	close(fd);
	/* One without a size, and one that cannot be read. */
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(sealed_file_copy(fd, "zero", 100000, &e), -EFBIG);
	close(fd);
	fd = open("/tmp", O_RDONLY | O_CLOEXEC);
	assert_int_equal(sealed_file_copy(fd, "tmp", 100000, &e), -EISDIR);
	close(fd);
}

/* Where the kernel knows of it, and where not. */
static void a_copy_cannot_be_executed(void **state)
{
	struct stat st;
	struct err e;
	int fd = make_file("#!/bin/sh\n", 10), copy;
	int known = memfd_create("x", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	(void)state;
	copy = sealed_file_copy(fd, "x.ko", 10, &e);
	assert_true(copy >= 0);
	assert_true(sealed_file_is(copy));
	if (known >= 0) {
		assert_int_equal(fstat(copy, &st), 0);
		assert_int_equal(st.st_mode & 0111, 0);
		assert_true(fcntl(copy, F_GET_SEALS) & F_SEAL_EXEC);
		close(known);
	}
	close(copy);
	old_kernel = true;
	copy = sealed_file_copy(fd, "x.ko", 10, &e);
	old_kernel = false;
	assert_true(copy >= 0);
	assert_true(sealed_file_is(copy));
	close(copy);
	close(fd);
}

/* Each seal that is missing leaves somebody a way to change what is read. */
static void nothing_else_is_one(void **state)
{
	static const int missing[] = { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE };
	int fd = make_file("x", 1), pair[2];

	(void)state;
	assert_false(sealed_file_is(fd));
	close(fd);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_false(sealed_file_is(pair[0]));
	close(pair[0]);
	close(pair[1]);
	fd = memfd_create("x", MFD_CLOEXEC);
	assert_false(sealed_file_is(fd));
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS & ~missing[i]), 0);
		assert_false(sealed_file_is(fd));
		close(fd);
	}
	assert_false(sealed_file_is(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_is_whole_and_cannot_change),
		cmocka_unit_test(a_copy_has_a_bound),
		cmocka_unit_test(a_copy_cannot_be_executed),
		cmocka_unit_test(nothing_else_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
