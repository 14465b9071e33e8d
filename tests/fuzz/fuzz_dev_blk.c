// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes a disk with the memory of its driver as the input; see fuzz_dev_driver.h. The disk is a
 * file in memory, and passes for one on a device in some runs: its writes are copies at once then,
 * beside a ring. The linker leads blk_image_storage() here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/virtio_blk.h"
#include "tests/fuzz/fuzz_dev_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
enum blk_storage __wrap_blk_image_storage(const struct blk_image *im);

static const struct way {
	enum blk_aio aio;
	enum blk_storage storage; /* for BLK_AIO_AUTO */
} ways[] = {
	{ .aio = BLK_AIO_URING },
	{ .aio = BLK_AIO_THREADS },
	{ .aio = BLK_AIO_AUTO, .storage = BLK_STORAGE_MEMORY },
	{ .aio = BLK_AIO_AUTO, .storage = BLK_STORAGE_DEVICE },
};
static const struct way *way;

enum blk_storage __wrap_blk_image_storage(const struct blk_image *im)
{
	(void)im;
	return way->storage;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	struct virtio_blk_params p = { .id = "fuzz", .queues = 2 };
	struct virtio_blk *b;
	struct virtio *v;
	char path[64];
	struct err e;
	int fd;

	if (!size)
		return 0;
	way = &ways[*data & 3];
	p.aio = way->aio;
	fd = memfd_create("disk", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 65536))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	p.path = path;
	fake_host_init(&f);
	if (virtio_blk_create(&b, &p, &e) || virtio_create(&v, &f.host, virtio_blk_type(b), b))
		abort();
	virtio_blk_attach(b, v);
	fuzz_drive(&f, v, data + 1, size - 1);
	virtio_blk_refresh(b);
	virtio_destroy(v);
	virtio_blk_destroy(b);
	close(fd);
	return 0;
}
