// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what virtio-blk promises about data: that nothing is dirty any more in the host's page
 * cache when a flush (or, without flushes, a write) is acknowledged, that a lost write is never
 * followed by a good flush, and that the used length counts only bytes that were written.
 *
 * cachestat(2) tells how many pages of a file are dirty; before Linux 6.5 those tests are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/unit/devices/blk_fixture.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct range {
	u64 off, len;
};

struct pages {
	u64 cached, dirty, writeback, evicted, recently_evicted;
};

/* Pages of the image that are not on the disk yet. */
static u64 unwritten(struct ctx *t)
{
	struct range all = { 0, 0 };
	struct pages p;

	if (syscall(SYS_cachestat, t->fd, &all, &p, 0)) {
		print_message("# SKIP no cachestat(2)\n");
		skip();
	}
	return p.dirty + p.writeback;
}

static int setup_mode(void **state, bool aio_threads, bool direct)
{
	struct virtio_blk_params params = { .aio = aio_threads ? BLK_AIO_THREADS : BLK_AIO_URING,
					    .direct = direct };
	struct ctx *t;
	int ret = setup_with(state, &params);

	t = *state;
	return ret ? ret : fsync(t->fd);
}

static int synced_ring(void **state)
{
	return setup_mode(state, false, false);
}

static int synced_threads(void **state)
{
	return setup_mode(state, true, false);
}

static int synced_direct(void **state)
{
	return setup_mode(state, false, true);
}

static u8 write_sectors(struct ctx *t, u64 sector, u32 n)
{
	memset(t->f.ram + DATA, 0xa5, 512UL * n);
	return do_request(t, VIRTIO_BLK_T_OUT, sector, DATA, 512 * n, NULL);
}

static u8 do_flush(struct ctx *t)
{
	return do_request(t, VIRTIO_BLK_T_FLUSH, 0, 0, 0, NULL);
}

static u8 do_zeroes(struct ctx *t, u64 sector, u32 n)
{
	struct virtio_blk_discard_write_zeroes d = { sector, n, 0 };

	memcpy(t->f.ram + DATA, &d, sizeof(d));
	return do_request(t, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, sizeof(d), NULL);
}

static void test_flush_reaches_the_disk(void **state)
{
	struct ctx *t = *state;

	for (u64 i = 0; i < 20; i++) {
		assert_int_equal(write_sectors(t, i, 1), VIRTIO_BLK_S_OK);
		/* Otherwise this test would prove nothing. */
		assert_int_not_equal(unwritten(t), 0);
		assert_int_equal(do_flush(t), VIRTIO_BLK_S_OK);
		assert_int_equal(unwritten(t), 0);
	}
}

/* A driver without VIRTIO_BLK_F_FLUSH takes every write for written (5.2.6.2). */
static void test_without_flushes_every_write_reaches_the_disk(void **state)
{
	struct ctx *t = *state;

	start_device(t, 0);
	for (u64 i = 0; i < 20; i++) {
		assert_int_equal(write_sectors(t, i, 1), VIRTIO_BLK_S_OK);
		assert_int_equal(unwritten(t), 0);
		assert_int_equal(do_zeroes(t, i + 1, 1), VIRTIO_BLK_S_OK);
		assert_int_equal(unwritten(t), 0);
	}
}

/* Aligned writes of a direct disk never are in the page cache. */
static void test_direct_writes_pass_the_cache(void **state)
{
	struct ctx *t = *state;

	for (u64 i = 0; i < 64; i += 8) {
		assert_int_equal(write_sectors(t, i, 8), VIRTIO_BLK_S_OK);
		assert_int_equal(unwritten(t), 0);
	}
	assert_int_equal(write_sectors(t, 1, 1), VIRTIO_BLK_S_OK);
	assert_int_not_equal(unwritten(t), 0);
	assert_int_equal(do_flush(t), VIRTIO_BLK_S_OK);
	assert_int_equal(unwritten(t), 0);
}

/* Returns the device's descriptor of the image. */
static int device_fd(const struct ctx *t)
{
	char link[64], target[128];

	for (int fd = 3; fd < 256; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		if (fd == t->fd || n <= 0)
			continue;
		target[n] = '\0';
		if (!strcmp(target, t->path))
			return fd;
	}
	fail_msg("the device has no descriptor of %s", t->path);
	return -1;
}

static void test_after_a_failed_flush_none_succeeds(void **state)
{
	struct ctx *t = *state;
	int fd = device_fd(t), saved = dup(fd), pair[2];

	assert_int_equal(do_flush(t), VIRTIO_BLK_S_OK);
	assert_int_equal(pipe(pair), 0);
	/* A pipe cannot be synchronised. */
	assert_int_equal(dup2(pair[1], fd), fd);
	assert_int_equal(do_flush(t), VIRTIO_BLK_S_IOERR);
	assert_int_equal(dup2(saved, fd), fd);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(do_flush(t), VIRTIO_BLK_S_IOERR);
	/* Neither a reset nor a driver that starts anew brings back what was lost. */
	start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(do_flush(t), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	close(saved);
	close(pair[0]);
	close(pair[1]);
}

/*
 * With a pipe in place of the file, a read is in flight for as long as nobody writes. A reset does
 * not wait for that, and what comes later does not reach the guest's memory any more.
 */
static void test_nothing_is_in_flight_after_a_reset(void **state)
{
	struct ctx *t = *state;
	int fd = device_fd(t), saved = dup(fd), pair[2];
	u8 sector[512], before[512], left[512];

	assert_int_equal(pipe(pair), 0);
	assert_int_equal(dup2(pair[0], fd), fd);
	set_header(t, VIRTIO_BLK_T_IN, 0);
	add_descriptor(t, HEADER, 16, false);
	add_descriptor(t, DATA, 512, true);
	add_descriptor(t, STATUS, 1, true);
	notify_queue(t);
	for (unsigned i = 0; i < 20; i++)
		nap();
	assert_int_equal(t->f.ram[STATUS], NO);
	memcpy(before, t->f.ram + DATA, sizeof(before));
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	memset(sector, 0x3c, sizeof(sector));
	assert_int_equal(write(pair[1], sector, sizeof(sector)), sizeof(sector));
	for (unsigned i = 0; i < 20; i++)
		nap();
	assert_memory_equal(t->f.ram + DATA, before, sizeof(before));
	assert_int_equal(t->f.ram[STATUS], NO);
	/* Nobody has taken it. */
	assert_int_equal(read(pair[0], left, sizeof(left)), sizeof(left));
	assert_memory_equal(left, sector, sizeof(left));
	assert_int_equal(dup2(saved, fd), fd);
	close(saved);
	close(pair[0]);
	close(pair[1]);
	start_device(t, 0);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_used_length(void **state)
{
	struct ctx *t = *state;
	s64 used;

	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 0, DATA, 1024, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1025);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, SECTORS, DATA, 512, &used),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(used, 0); /* the status is there, but not what precedes it */
	assert_int_equal(do_request(t, VIRTIO_BLK_T_GET_ID, 0, DATA, 20, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 21);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_GET_ID, 0, DATA, 30, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 20);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 0, DATA, 512, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, SECTORS, DATA, 512, &used),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(used, 1);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_FLUSH, 0, 0, 0, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	/* A read that finds the file's end in its middle. */
	assert_int_equal(ftruncate(t->fd, 512), 0);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 0, DATA, 1024, &used), VIRTIO_BLK_S_IOERR);
	assert_int_equal(used, 0);
}

/* What was cut off must not come back as zeroes, which it would if a write made the file grow. */
static void test_truncated_file_does_not_grow(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(ftruncate(t->fd, 512), 0);
	assert_int_equal(write_sectors(t, 0, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(write_sectors(t, 0, 2), VIRTIO_BLK_S_IOERR);
	assert_int_equal(write_sectors(t, 8, 8), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_zeroes(t, 0, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(do_zeroes(t, 5, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(lseek(t->fd, 0, SEEK_END), 512);
	assert_int_equal(do_flush(t), VIRTIO_BLK_S_OK);
	/* It has its size again. */
	assert_int_equal(ftruncate(t->fd, SECTORS * 512), 0);
	assert_int_equal(write_sectors(t, 8, 8), VIRTIO_BLK_S_OK);
	assert_int_equal(do_zeroes(t, 5, 1), VIRTIO_BLK_S_OK);
}

int main(void)
{
#define RING(f)                                                  \
	{                                                        \
#f " (io_uring)", f, synced_ring, teardown, NULL \
	}
#define PLAIN(f)                                                   \
	{                                                          \
#f " (threads)", f, synced_threads, teardown, NULL \
	}
#define DIRECT(f)                                                \
	{                                                        \
#f " (direct)", f, synced_direct, teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		RING(test_flush_reaches_the_disk),
		PLAIN(test_flush_reaches_the_disk),
		DIRECT(test_flush_reaches_the_disk),
		RING(test_without_flushes_every_write_reaches_the_disk),
		PLAIN(test_without_flushes_every_write_reaches_the_disk),
		DIRECT(test_without_flushes_every_write_reaches_the_disk),
		DIRECT(test_direct_writes_pass_the_cache),
		RING(test_after_a_failed_flush_none_succeeds),
		PLAIN(test_after_a_failed_flush_none_succeeds),
		RING(test_nothing_is_in_flight_after_a_reset),
		RING(test_truncated_file_does_not_grow),
		PLAIN(test_truncated_file_does_not_grow),
		DIRECT(test_truncated_file_does_not_grow),
		RING(test_used_length),
		PLAIN(test_used_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
