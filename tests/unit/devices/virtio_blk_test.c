// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests virtio-blk end to end, with its own thread and a real file: requests of every kind and
 * shape, and what a host's errors and a driver's nonsense come to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "devices/blk_request.h"
#include "tests/unit/devices/blk_fixture.h"

static void test_read(void **state)
{
	struct ctx *t = *state;
	s64 used;

	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 3, DATA, 1024, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1025);
	assert_int_equal(t->f.ram[DATA], 3);
	assert_int_equal(t->f.ram[DATA + 1023], 4);
	assert_int_equal(t->f.ram[DATA + 1024], 0);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, SECTORS, DATA, 0, &used), VIRTIO_BLK_S_OK);
	assert_true(t->f.n_vectors == 0);
}

static void test_write_and_flush(void **state)
{
	struct ctx *t = *state;
	u8 back[512];
	s64 used;

	memset(t->f.ram + DATA, 0xab, 512);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, SECTORS - 1, DATA, 512, &used),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_FLUSH, 0, 0, 0, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(t->fd, back, 512, (SECTORS - 1) * 512), 512);
	assert_memory_equal(back, t->f.ram + DATA, 512);
	start_device(t, 0); /* a driver that does not know flushes */
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 0, DATA, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_refused(void **state)
{
	struct ctx *t = *state;
	static const struct {
		u32 type;
		u64 sector;
		u32 len;
		u8 status;
	} bad[] = {
		{ VIRTIO_BLK_T_IN, SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, UINT64_MAX / 512 + 1, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, UINT64_MAX - 1, 1024, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_IN, 0, 511, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, 0, 513, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_OUT, SECTORS, 512, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, 15, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 17 * 16, VIRTIO_BLK_S_IOERR },
		{ 0xffffffff, 0, 512, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_GET_ID, 0, 19, VIRTIO_BLK_S_IOERR },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(do_request(t, bad[i].type, bad[i].sector, DATA, bad[i].len, NULL),
				 bad[i].status);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 0, DATA, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_id(void **state)
{
	struct ctx *t = *state;

	memset(t->f.ram + DATA, 0xee, 32);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_GET_ID, 0, DATA, 20, NULL), VIRTIO_BLK_S_OK);
	assert_memory_equal(t->f.ram + DATA, "a-serial\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(t->f.ram[DATA + 20], 0xee);
}

static void test_any_layout(void **state)
{
	struct ctx *t = *state;

	/* The header in 16 pieces; data and status in one. */
	set_header(t, VIRTIO_BLK_T_IN, 7);
	for (u32 i = 0; i < 13; i++)
		add_descriptor(t, HEADER + i, 1, false);
	add_descriptor(t, HEADER + 13, 3, false);
	t->f.ram[DATA + 512] = NO;
	add_descriptor(t, DATA, 513, true);
	assert_int_equal(submit_chain(t), 513);
	assert_int_equal(t->f.ram[DATA], 7);
	assert_int_equal(t->f.ram[DATA + 511], 7);
	assert_int_equal(t->f.ram[DATA + 512], VIRTIO_BLK_S_OK);
	/* Header and data in one, for a write. */
	set_header(t, VIRTIO_BLK_T_OUT, 9);
	memset(t->f.ram + HEADER + 16, 0, 1);
	memcpy(t->f.ram + 0xa000, t->f.ram + HEADER, 16);
	memset(t->f.ram + 0xa010, 0x77, 512);
	add_descriptor(t, 0xa000, 16 + 512, false);
	add_descriptor(t, STATUS, 1, true);
	assert_int_equal(submit_chain(t), 1);
	assert_int_equal(t->f.ram[STATUS], VIRTIO_BLK_S_OK);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 9, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(t->f.ram[DATA + 511], 0x77);
}

static void test_no_request(void **state)
{
	struct ctx *t = *state;

	/* No room for a status. */
	set_header(t, VIRTIO_BLK_T_FLUSH, 0);
	add_descriptor(t, HEADER, 16, false);
	assert_int_equal(submit_chain(t), -1);
	/* After a reset it works again. */
	start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	/* A header that is too short. */
	set_header(t, VIRTIO_BLK_T_FLUSH, 0);
	add_descriptor(t, HEADER, 15, false);
	add_descriptor(t, STATUS, 1, true);
	assert_int_equal(submit_chain(t), -1);
	assert_int_equal(t->f.ram[STATUS], NO);
	start_device(t, 0);
	/* A ring that is broken. */
	set_header(t, VIRTIO_BLK_T_FLUSH, 0);
	add_descriptor(t, FAKE_RAM, 16, false);
	assert_int_equal(submit_chain(t), -1);
}

static void test_truncated_file(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(ftruncate(t->fd, 512), 0);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 0, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 0, DATA, 1024, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 5, DATA, 512, NULL), VIRTIO_BLK_S_IOERR);
}

static void test_readonly(void **state)
{
	struct ctx *t = *state;
	u8 back[512];

	close_disk(t);
	open_disk(t, true);
	start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_RO);
	memset(t->f.ram + DATA, 0xab, 512);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 1, DATA, 512, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_FLUSH, 0, 0, 0, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(t->fd, back, 512, 512), 512);
	assert_int_equal(back[0], 1);
}

static void test_config(void **state)
{
	struct ctx *t = *state;
	u64 capacity = 0;
	u32 word = 0;

	virtio_config_io(t->v, 0, &capacity, 8, false);
	assert_int_equal(capacity, SECTORS);
	virtio_config_io(t->v, 20, &word, 4, false);
	assert_int_equal(word, 512);
	capacity = 0;
	virtio_config_io(t->v, 0, &capacity, 8, true);
	virtio_config_io(t->v, 0, &capacity, 8, false);
	assert_int_equal(capacity, SECTORS);
	for (u64 i = 0; i < 5000; i++)
		virtio_config_io(t->v, i, &capacity, 8, false);
	assert_int_equal(capacity, 0);
}

static u8 do_range(struct ctx *t, u32 type, u64 sector, u32 count, u32 flags)
{
	struct virtio_blk_discard_write_zeroes d[2] = { { sector, count, flags }, { 0, 0, 0 } };

	memcpy(t->f.ram + DATA, d, sizeof(d));
	return do_request(t, type, 0, DATA, sizeof(d), NULL);
}

static u8 byte_at(const struct ctx *t, u64 sector)
{
	u8 b = 0xff;

	assert_int_equal(pread(t->fd, &b, 1, (off_t)(sector * 512)), 1);
	return b;
}

static void test_discard_and_zero(void **state)
{
	struct ctx *t = *state;
	struct stat before, after;
	u64 features = 0;

	reg_write(t, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	features = reg_read(t, VIRTIO_PCI_COMMON_DF, 4);
	assert_true(features >> VIRTIO_BLK_F_DISCARD & 1);
	assert_true(features >> VIRTIO_BLK_F_WRITE_ZEROES & 1);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 3, 2, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(byte_at(t, 2), 2);
	assert_int_equal(byte_at(t, 3), 0);
	assert_int_equal(byte_at(t, 4), 0);
	assert_int_equal(byte_at(t, 5), 5);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 6, 1, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(byte_at(t, 6), 0);
	assert_int_equal(fstat(t->fd, &before), 0);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_DISCARD, 8, 48, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(fstat(t->fd, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(byte_at(t, 7), 7);
	assert_int_equal(byte_at(t, 56), 56);
	/* Bounds, flags that mean nothing there, flags that nobody knows. */
	assert_int_equal(do_range(t, VIRTIO_BLK_T_DISCARD, SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 1, SECTORS, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_DISCARD, 1, 1, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 1, 1, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(byte_at(t, 1), 1);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, SECTORS, 0, 0), VIRTIO_BLK_S_OK);
	/* As much as is announced, and no more. */
	assert_int_equal(ftruncate(t->fd, (off_t)(BLK_MAX_ZERO + 1) * 512), 0);
	assert_int_equal(virtio_blk_refresh(t->b), (BLK_MAX_ZERO + 1) * 512);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 0, BLK_MAX_ZERO + 1, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(byte_at(t, 1), 1);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 2, BLK_MAX_ZERO - 1, 1),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(byte_at(t, 2), 0);
	close_disk(t);
	open_disk(t, true);
	start_device(t, 1ULL << VIRTIO_BLK_F_RO);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_WRITE_ZEROES, 1, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(t, VIRTIO_BLK_T_DISCARD, 1, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(byte_at(t, 1), 1);
}

/* Aligned for direct I/O and not, through both descriptors of one file. */
static void test_alignments(void **state)
{
	struct ctx *t = *state;

	memset(t->f.ram + DATA, 0x11, 8192);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 8, DATA, 8192, NULL), VIRTIO_BLK_S_OK);
	memset(t->f.ram + DATA, 0x22, 8192);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 9, DATA + 7, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_FLUSH, 0, 0, 0, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 8, DATA, 8192, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(t->f.ram[DATA], 0x11);
	assert_int_equal(t->f.ram[DATA + 511], 0x11);
	assert_int_equal(t->f.ram[DATA + 512], 0x22);
	assert_int_equal(t->f.ram[DATA + 1023], 0x22);
	assert_int_equal(t->f.ram[DATA + 1024], 0x11);
}

static void test_resize(void **state)
{
	struct ctx *t = *state;
	u32 generation = reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	u64 capacity = 0;

	assert_int_equal(virtio_blk_refresh(t->b), SECTORS * 512);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	assert_int_equal(virtio_isr(t->v) & 2, 0);
	assert_int_equal(ftruncate(t->fd, (SECTORS + 8) * 512), 0);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, SECTORS, DATA, 512, NULL),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(virtio_blk_refresh(t->b), (SECTORS + 8) * 512);
	assert_int_not_equal(reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	assert_int_equal(virtio_isr(t->v) & 2, 2);
	virtio_config_io(t->v, 0, &capacity, 8, false);
	assert_int_equal(capacity, SECTORS + 8);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, SECTORS, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(ftruncate(t->fd, 512), 0);
	assert_int_equal(virtio_blk_refresh(t->b), 512);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 1, DATA, 512, NULL), VIRTIO_BLK_S_IOERR);
	/* By us. */
	generation = reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	assert_int_equal(virtio_blk_resize(t->b, SECTORS * 512), 0);
	assert_int_not_equal(reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	assert_int_equal(lseek(t->fd, 0, SEEK_END), SECTORS * 512);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(virtio_blk_resize(t->b, 513), -EINVAL);
	assert_int_equal(virtio_blk_resize(t->b, 0), -EINVAL);
	assert_int_equal(virtio_blk_resize(t->b, 1ULL << 63), -EINVAL);
	assert_int_not_equal(virtio_blk_resize(t->b, INT64_MAX & ~511LL), 0);
	assert_int_equal(virtio_blk_size(t->b), SECTORS * 512);
}

/* The second queue, with rings of its own. */
static void test_queues(void **state)
{
	struct ctx *t = *state;
	struct vring_desc *d = (struct vring_desc *)(void *)(t->f.ram + 0x5000);
	u16 *avail = (u16 *)(void *)(t->f.ram + 0x6000), *used = (u16 *)(void *)(t->f.ram + 0x7000);
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN, .sector = 5 };
	const struct queue_place places[] = { { SIZE, DESC, AVAIL, USED },
					      { SIZE, 0x5000, 0x6000, 0x7000 } };
	u16 queues = 0;

	virtio_config_io(t->v, 34, &queues, 2, false);
	assert_int_equal(queues, VIRTIO_MAX_QUEUES);
	registers_reset(t->v);
	memset(t->f.ram, 0, FAKE_RAM);
	registers_negotiate(t->v, 0);
	for (unsigned i = 0; i < 2; i++)
		registers_enable_queue(t->v, i, &places[i]);
	registers_driver_ok(t->v);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
	t->served = 0;
	/* All of the queue at once: reads of sector 5, one after the other into memory. */
	memcpy(t->f.ram + HEADER, &h, sizeof(h));
	for (u16 i = 0; i < 5; i++) {
		u16 at = (u16)(3 * i);

		t->f.ram[STATUS + i] = NO;
		d[at] = (struct vring_desc){ HEADER, 16, VRING_DESC_F_NEXT, (u16)(at + 1) };
		d[at + 1] = (struct vring_desc){ DATA + 512U * i, 512, 3, (u16)(at + 2) };
		d[at + 2] = (struct vring_desc){ STATUS + i, 1, VRING_DESC_F_WRITE, 0 };
		avail[2 + i] = at;
	}
	__atomic_store_n(&avail[1], 5, __ATOMIC_RELEASE);
	virtio_notify(t->v, 1);
	for (unsigned i = 0; i < 5000 && __atomic_load_n(&used[1], __ATOMIC_ACQUIRE) != 5; i++)
		nap();
	assert_int_equal(used[1], 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(t->f.ram[STATUS + i], VIRTIO_BLK_S_OK);
		assert_int_equal(t->f.ram[DATA + 512 * i], 5);
	}
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
}

/* A full disk: writes fail as I/O errors, reads go on. */
static void test_full_disk(void **state)
{
	struct ctx *t = *state;
	struct rlimit old, small;
	void (*was)(int) = signal(SIGXFSZ, SIG_IGN);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 16, DATA, 512, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_OUT, 0, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 16, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, was);
}

static int try_create(struct virtio_blk **b, const char *path, bool readonly, struct err *e)
{
	struct virtio_blk_params params = { .path = path, .id = "", .readonly = readonly };

	return virtio_blk_create(b, &params, e);
}

static void test_locked(void **state)
{
	struct ctx *t = *state;
	struct virtio_blk *other;
	struct err e;

	assert_int_equal(try_create(&other, t->path, false, &e), -EBUSY);
	assert_non_null(strstr(e.text, t->path));
	assert_int_equal(try_create(&other, t->path, true, &e), -EBUSY);
	close_disk(t);
	open_disk(t, true);
	assert_int_equal(try_create(&other, t->path, true, &e), 0);
	virtio_blk_destroy(other);
}

static void test_bad_images(void **state)
{
	struct virtio_blk *b;
	struct err e;

	(void)state;
	assert_int_equal(try_create(&b, "/tmp/no/such/file", false, &e), -ENOENT);
	assert_int_equal(try_create(&b, "/dev/null", false, &e), -EINVAL);
	assert_int_equal(try_create(&b, "/tmp", true, &e), -EINVAL);
}

/* Makes a transfer of 16 KiB available, and does not wait for it. */
static void ring_transfer(struct ctx *t, bool write)
{
	set_header(t, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 0);
	add_descriptor(t, HEADER, 16, false);
	add_descriptor(t, DATA, 16384, !write);
	add_descriptor(t, STATUS, 1, true);
	notify_queue(t);
}

static void test_reset_in_flight(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 200; i++) {
		ring_transfer(t, i % 2);
		reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		/* Nothing of the device touches memory from here on: ours to reuse. */
		memset(t->f.ram, 0xcc, FAKE_RAM);
		start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH);
	}
	assert_int_equal(do_request(t, VIRTIO_BLK_T_FLUSH, 0, 0, 0, NULL), VIRTIO_BLK_S_OK);
}

/* All rings above 4 GiB, with the largest size there is room for. */
static void test_rings_above_4_gib(void **state)
{
	struct ctx *t = *state;
	struct vring_desc *d = (struct vring_desc *)(void *)t->f.high;
	u16 *avail = (u16 *)(void *)(t->f.high + 0x1000);
	const u16 *used = (u16 *)(void *)(t->f.high + 0x1800);
	struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN, .sector = 9 };
	const struct queue_place large = { 256, FAKE_HIGH, FAKE_HIGH + 0x1000,
					   FAKE_HIGH + 0x1800 - 4 };
	const struct queue_place fits = { 128, FAKE_HIGH, FAKE_HIGH + 0x1000, FAKE_HIGH + 0x1800 };

	registers_reset(t->v);
	registers_negotiate(t->v, 0);
	registers_enable_queue(t->v, 0, &large);
	/* 4 + 8 * 256 + 2 bytes are not in what is left. */
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	registers_reset(t->v);
	registers_negotiate(t->v, 0);
	registers_enable_queue(t->v, 0, &fits);
	registers_driver_ok(t->v);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
	memcpy(t->f.ram + HEADER, &h, sizeof(h));
	d[127] = (struct vring_desc){ HEADER, 16, VRING_DESC_F_NEXT, 3 };
	d[3] = (struct vring_desc){ DATA, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 100 };
	d[100] = (struct vring_desc){ STATUS, 1, VRING_DESC_F_WRITE, 0 };
	avail[2] = 127;
	__atomic_store_n(&avail[1], 1, __ATOMIC_RELEASE);
	virtio_notify(t->v, 0);
	for (unsigned i = 0; i < 5000 && !__atomic_load_n(&used[1], __ATOMIC_ACQUIRE); i++)
		nap();
	assert_int_equal(used[1], 1);
	assert_int_equal(used[2], 127);
	assert_int_equal(t->f.ram[DATA + 511], 9);
	memset(t->f.high, 0, sizeof(t->f.high));
}

/* A reset while something is in flight, and then queues of other sizes. */
static void test_other_sizes_after_resets(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 60; i++) {
		u16 size = (u16)(1U << i % 9);

		set_header(t, VIRTIO_BLK_T_IN, 0);
		add_descriptor(t, HEADER, 16, false);
		add_descriptor(t, DATA, 16384, true);
		add_descriptor(t, STATUS, 1, true);
		notify_queue(t);
		reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		start_sized(t, 1ULL << VIRTIO_RING_F_INDIRECT_DESC, size);
		/* One descriptor is enough for a request, with a table. */
		set_header(t, VIRTIO_BLK_T_IN, i);
		add_descriptor(t, HEADER, 16, false);
		add_descriptor(t, DATA, 512, true);
		add_descriptor(t, STATUS, 1, true);
		memcpy(t->f.ram + HEADER + 512, t->f.ram + DESC, 48);
		t->n_desc = 0;
		add_descriptor(t, HEADER + 512, 48, false);
		((struct vring_desc *)(void *)(t->f.ram + DESC))->flags = VRING_DESC_F_INDIRECT;
		assert_int_equal(submit_chain(t), 513);
		assert_int_equal(t->f.ram[STATUS], VIRTIO_BLK_S_OK);
		assert_int_equal(t->f.ram[DATA], i);
	}
	start_device(t, 0);
}

static void test_destroyed_in_flight(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 50; i++) {
		ring_transfer(t, i % 2);
		close_disk(t);
		memset(t->f.ram, 0xcc, FAKE_RAM);
		nap();
		for (size_t k = 0; k < FAKE_RAM; k++)
			assert_int_equal(t->f.ram[k], 0xcc);
		open_disk(t, false);
		start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH);
	}
}

/* Kicks without end cost no memory, hold up nobody, and are no requests. */
static void test_notify_storm(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 20; i++) {
		for (unsigned k = 0; k < 5000; k++)
			virtio_notify(t->v, k % 3);
		assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, i, DATA, 512, NULL),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(t->f.ram[DATA], i);
	}
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	for (unsigned k = 0; k < 5000; k++)
		virtio_notify(t->v, 0);
	start_device(t, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
/* The same without io_uring, past the page cache, with several queues. */
#define PLAIN(f)                                              \
	{                                                     \
#f " (plain)", f, setup_plain, teardown, NULL \
	}
#define DIRECT(f)                                               \
	{                                                       \
#f " (direct)", f, setup_direct, teardown, NULL \
	}
#define QUEUES(f)                                               \
	{                                                       \
#f " (queues)", f, setup_queues, teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST(test_read),
		TEST(test_write_and_flush),
		TEST(test_refused),
		TEST(test_id),
		TEST(test_any_layout),
		TEST(test_no_request),
		TEST(test_truncated_file),
		TEST(test_readonly),
		TEST(test_config),
		TEST(test_discard_and_zero),
		TEST(test_alignments),
		TEST(test_resize),
		TEST(test_full_disk),
		TEST(test_locked),
		TEST(test_reset_in_flight),
		TEST(test_rings_above_4_gib),
		TEST(test_other_sizes_after_resets),
		TEST(test_destroyed_in_flight),
		TEST(test_notify_storm),
		PLAIN(test_destroyed_in_flight),
		PLAIN(test_read),
		PLAIN(test_write_and_flush),
		PLAIN(test_refused),
		PLAIN(test_any_layout),
		PLAIN(test_no_request),
		PLAIN(test_truncated_file),
		PLAIN(test_discard_and_zero),
		PLAIN(test_resize),
		PLAIN(test_full_disk),
		PLAIN(test_reset_in_flight),
		DIRECT(test_read),
		DIRECT(test_write_and_flush),
		DIRECT(test_refused),
		DIRECT(test_any_layout),
		DIRECT(test_truncated_file),
		DIRECT(test_alignments),
		DIRECT(test_reset_in_flight),
		QUEUES(test_queues),
		QUEUES(test_read),
		QUEUES(test_reset_in_flight),
		cmocka_unit_test(test_bad_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
