/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holds write(2) and close(2) of one file, as a host's kernel does whose storage does not answer;
 * for a test that is linked with --wrap=write,--wrap=close.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_HELD_FILE_H
#define UMBRA_TESTS_UNIT_VMM_HELD_FILE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static ino_t held_file;		 /* atomic; 0: none */
static bool holds;		 /* atomic */
static bool holds_close;	 /* atomic */
static unsigned n_held;		 /* atomic: calls that are */
static bool failed;		 /* atomic: a write has, by the next */
static int fails;		 /* atomic: errno of what was held, once it is given back; or 0 */
static void (*on_close)(int fd); /* atomic: called by each close(2) before it is held; or NULL */

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);

int __real_close(int fd);
int __wrap_close(int fd);

static inline bool is_held_file(int fd)
{
	ino_t held = __atomic_load_n(&held_file, __ATOMIC_ACQUIRE);
	struct stat st;

	return held && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == held;
}

static inline void wait_while(const bool *flag, int fd)
{
	struct timespec ms = { 0, 1000000 };

	if (!is_held_file(fd))
		return;
	__atomic_fetch_add(&n_held, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		nanosleep(&ms, NULL);
	__atomic_fetch_sub(&n_held, 1, __ATOMIC_ACQ_REL);
}

static inline void wait_while_held(int fd)
{
	wait_while(&holds, fd);
}

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	int error = __atomic_load_n(&fails, __ATOMIC_ACQUIRE);

	wait_while_held(fd);
	if (!error || !is_held_file(fd))
		return __real_write(fd, buf, len);
	__atomic_store_n(&failed, true, __ATOMIC_RELEASE);
	errno = error;
	return -1;
}

int __wrap_close(int fd)
{
	void (*fn)(int fd) = __atomic_load_n(&on_close, __ATOMIC_ACQUIRE);

	if (fn)
		fn(fd);
	wait_while(&holds_close, fd);
	return __real_close(fd);
}

/* Has what is done to the file held while `holds` is set. */
static inline void choose_file(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	__atomic_store_n(&held_file, st.st_ino, __ATOMIC_RELEASE);
}

static inline void hold_nothing(void)
{
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	__atomic_store_n(&holds_close, false, __ATOMIC_RELEASE);
	__atomic_store_n(&held_file, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&fails, 0, __ATOMIC_RELEASE);
}

#endif
