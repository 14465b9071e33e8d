// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes a disk with the memory of its driver as the input; see fuzz_dev_driver.h. The disk is a
 * file in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/virtio_blk.h"
#include "tests/fuzz/fuzz_dev_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	p.aio = (enum blk_aio)((*data & 3) % 3);
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
