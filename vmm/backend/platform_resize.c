// SPDX-License-Identifier: GPL-2.0-only
/* Gives a disk another size while the guest runs, on a thread. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "devices/virtio_blk.h"
#include "vmm/backend/platform_int.h"

#define SLOW_NS NS_PER_SECOND /* a wait for a resize that is longer is told */

/* Has the file made longer or shorter, on a thread that may wait for its storage. */
static void disk_resize(void *arg)
{
	struct disk *d = arg;
	int ret = virtio_blk_resize(d->blk, d->resize.bytes);

	if (ret == -ENOTSUP)
		virtio_blk_refresh(d->blk);
	d->resize.bytes = virtio_blk_size(d->blk);
	d->resize.ret = ret;
}

static int resize_error(int ret, u64 bytes, struct err *e)
{
	switch (ret) {
	case 0:
		return 0;
	case -EBUSY:
		return err_set(e, ret, "the guest resets it just now; try again");
	case -EROFS:
		return err_set(e, ret, "it is read-only");
	case -EINVAL:
		return err_set(e, ret, "a size is a multiple of 512 bytes, and not 0");
	case -ENOTSUP:
		return err_set(e, ret,
			       "it is a block device, which has %llu bytes; resize that first",
			       (unsigned long long)bytes);
	default:
		return err_set(e, ret, "%s", strerror(-ret));
	}
}

static void disk_resized(void *arg)
{
	struct disk *d = arg;
	struct err e = { "" };
	int ret = resize_error(d->resize.ret, d->resize.bytes, &e);

	if (d->resize.timer >= 0)
		loop_timer_del(machine_loop(d->resize.job.m), d->resize.timer);
	d->resize.fn(d->resize.arg, ret, e.text);
}

static void on_slow_resize(void *arg, u32 expiries)
{
	struct disk *d = arg;

	(void)expiries;
	d->resize.fn(d->resize.arg, -EINPROGRESS, "this host's kernel has not answered yet");
}

int platform_disk_resize(struct platform *p, size_t i, u64 bytes, platform_resized_fn *fn,
			 void *arg, struct err *e)
{
	struct disk *d = &p->disks[i];
	int ret;

	if (d->vhost)
		return err_set(e, -ENOTSUP,
			       "another process serves it; resize it there (block_resize of "
			       "qemu-storage-daemon), and the guest will learn of it");
	if (p->stopping || machine_exiting(p->m))
		return err_set(e, -EBUSY, "the guest ends or resets just now");
	if (disk_held_ms(d) >= MACHINE_HELD_MS)
		return err_set(e, -EBUSY, "this host's kernel holds its requests");
	if (file_job_ms(&d->resize.job))
		return err_set(e, -EBUSY, "another resize of it is under way");
	d->resize.job = (struct file_job){
		.name = "disk-resize", .run = disk_resize, .done = disk_resized, .arg = d
	};
	d->resize.bytes = bytes;
	d->resize.fn = fn;
	d->resize.arg = arg;
	ret = file_job_start(&d->resize.job, p->m);
	if (ret)
		return err_set(e, ret, "no thread for that: %s", strerror(-ret));
	d->resize.timer = loop_timer(p->loop, SLOW_NS, 0, on_slow_resize, d);
	return 0;
}
