// SPDX-License-Identifier: GPL-2.0-only
/* Creates the disks of a guest and ends them, and tells what the host's kernel holds of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/vhost_user_blk.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_pci.h"
#include "vmm/backend/dialer.h"
#include "vmm/backend/net.h"
#include "vmm/backend/platform_int.h"

int platform_add_disk(struct platform *p, struct host *h, const struct spec_disk *spec,
		      unsigned cpus, struct err *e)
{
	struct disk *d = &p->disks[p->n_disks];
	struct virtio *v = NULL;
	char id[24];
	static const enum blk_aio aio[] = {
		[SPEC_AIO_AUTO] = BLK_AIO_AUTO,
		[SPEC_AIO_URING] = BLK_AIO_URING,
		[SPEC_AIO_THREADS] = BLK_AIO_THREADS,
	};
	struct virtio_blk_params params = {
		.path = spec->path,
		.id = spec->serial ? spec->serial : id,
		.readonly = spec->readonly,
		.direct = spec->direct,
		.aio = aio[spec->aio],
		.queues = spec->queues ? spec->queues : cpus,
	};
	int ret;

	d->spec = spec;
	snprintf(id, sizeof(id), "umbra-disk%zu", p->n_disks);
	ret = virtio_blk_create(&d->blk, &params, e);
	if (ret)
		return ret;
	p->n_disks++;
	ret = virtio_create(&v, h, virtio_blk_type(d->blk), d->blk);
	if (!ret) {
		virtio_blk_attach(d->blk, v);
		ret = platform_plug(p, &spec->dev, v, &d->pci);
	}
	return ret ? err_set(e, ret, "--disk %s: cannot add the device: %s", spec->path,
			     strerror(-ret))
		   : 0;
}

/* Puts a note; it may run on the disk's thread, for which a reset waits. */
static void vhost_disk_note(void *arg, const char *line)
{
	const struct disk *d = arg;

	note_put(d->helper.p->notes, "%s", line);
}

/*
 * Asks for a connection, on the disk's thread. That nobody listens is what is waited for, and the
 * keeper tells when its process has ended: any other error is noted once.
 */
static int dial_back_end(void *arg, int cancel)
{
	struct disk *d = arg;
	int ret = dialer_dial(d->dialer, cancel);
	bool usual = ret >= 0 || ret == -ENOENT || ret == -ECONNREFUSED || ret == -EAGAIN ||
		     ret == -EPIPE || ret == -ECANCELED;

	if (!usual && ret != d->dial_error)
		note_put(d->helper.p->notes, "disk vhost-user=%s: %s%s; it is tried on",
			 d->spec->path,
			 ret == -ETIMEDOUT
				 ? "the process that connects to its back end does not answer"
				 : "cannot connect to a back end: ",
			 ret == -ETIMEDOUT ? "" : strerror(-ret));
	d->dial_error = usual ? 0 : ret;
	return ret;
}

static void dialer_up(struct disk *d)
{
	bool again = d->dials;

	d->dials = true;
	d->helper.state.down = false;
	if (!again)
		return;
	d->helper.state.restarts++;
	note_put(
		d->helper.p->notes,
		"--disk vhost-user=%s: the process that connects to its back end was started again",
		d->spec->path);
	kept_changed(&d->helper, true);
}

static void on_dialer(void *arg, u32 events)
{
	struct disk *d = arg;
	struct err why;

	(void)events;
	switch (dialer_news(d->dialer, &why)) {
	case KEEPER_UP:
		dialer_up(d);
		break;
	case KEEPER_DOWN:
		kept_down(&d->helper, why.text);
		break;
	case KEEPER_GONE:
		err_set(&why, 0,
			"--disk vhost-user=%s: there is no process any more that connects to its "
			"back end; if that ends, the guest's requests wait until the guest is "
			"started anew",
			d->spec->path);
		kept_gone(&d->helper, why.text);
		break;
	case KEEPER_NOTHING:
	default:
		break;
	}
}

int platform_add_vhost_disk(struct platform *p, struct host *h, const struct spec_disk *spec,
			    unsigned cpus, enum confine_mode confine, struct err *e)
{
	const struct vhost_user_blk_params params = {
		.path = spec->path,
		.queues = spec->queues ? spec->queues : cpus,
		.fewer = !spec->queues,
		.dial = dial_back_end,
		.note = vhost_disk_note,
		.arg = &p->disks[p->n_disks],
	};
	struct disk *d = &p->disks[p->n_disks];
	struct virtio *v = NULL;
	int ret;

	d->helper = (struct kept){ .p = p, .changed = &p->hooks.dialer, .i = p->n_disks };
	ret = vhost_user_blk_create(&d->vhost, h, &params, e);
	if (ret)
		return ret;
	d->spec = spec;
	ret = dialer_create(&d->dialer, spec->path, confine, e);
	if (ret) {
		vhost_user_blk_destroy(d->vhost);
		return ret;
	}
	d->dials = confine == CONFINE_STRICT; /* it was waited for */
	d->helper.keeper = dialer_keeper(d->dialer);
	p->n_disks++;
	ret = kept_watch(&d->helper, on_dialer, d);
	if (!ret)
		ret = virtio_create(&v, h, vhost_user_blk_type(d->vhost), d->vhost);
	if (!ret)
		ret = platform_plug(p, &spec->dev, v, &d->pci);
	if (!ret)
		ret = vhost_user_blk_attach(d->vhost, v);
	return ret ? err_set(e, ret, "--disk vhost-user=%s: cannot add the device: %s", spec->path,
			     strerror(-ret))
		   : 0;
}

/* --- disks whose requests the host's kernel holds ------------------------------------------- */

/*
 * Returns for how many milliseconds a reset, the end or a resize has waited for a disk; 0: none
 * does.
 */
s64 disk_held_ms(const struct disk *d)
{
	s64 requests = d->blk ? virtio_blk_held_ms(d->blk) : 0;
	s64 resize = file_job_ms(&d->resize.job), close = file_job_ms(&d->close);
	s64 job = resize > close ? resize : close;

	return requests > job ? requests : job;
}

static bool disks_are_busy(void *arg)
{
	const struct platform *p = arg;

	for (size_t i = 0; i < p->n_disks; i++)
		if (disk_held_ms(&p->disks[i]))
			return true;
	return false;
}

/* Notes each disk that a wait for its threads is about, once for each wait. */
void platform_note_held_disks(void *arg)
{
	struct platform *p = arg;

	for (size_t i = 0; i < p->n_disks; i++) {
		struct disk *d = &p->disks[i];
		s64 ms = disk_held_ms(d);

		machine_note_held(p->m, &d->held_noted, ms, "--disk", d->spec->path);
		d->held_noted &= ms >= MACHINE_HELD_MS;
	}
}

int platform_await_disks(struct platform *p)
{
	p->stopping = true;
	for (size_t i = 0; i < p->n_disks; i++)
		if (p->disks[i].blk)
			virtio_blk_stop_begin(p->disks[i].blk);
	return machine_wait(p->m, disks_are_busy, p);
}

static void disk_close(void *arg)
{
	struct disk *d = arg;

	virtio_blk_close(d->blk);
}

void platform_close_disks(struct platform *p)
{
	platform_await_disks(p);
	/* There was no memory for that wait: platform_destroy() closes them. */
	if (disks_are_busy(p))
		return;
	for (size_t i = 0; i < p->n_disks; i++) {
		struct disk *d = &p->disks[i];

		if (!d->blk)
			continue;
		d->close = (struct file_job){ .name = "disk-close", .run = disk_close, .arg = d };
		file_job_start(&d->close, p->m);
	}
	machine_wait(p->m, disks_are_busy, p);
}

/* --- life and reports ---------------------------------------------------------------------- */

size_t platform_disk_places(const struct platform *p, struct pci_place *places, size_t max)
{
	size_t n;

	for (n = 0; n < p->n_disks && n < max; n++)
		places[n] = virtio_pci_place(p->disks[n].pci);
	return n;
}

size_t platform_disk_count(const struct platform *p)
{
	return p->n_disks;
}

void platform_disk(const struct platform *p, size_t i, struct platform_disk *out)
{
	const struct disk *d = &p->disks[i];

	*out = (struct platform_disk){ .spec = d->spec };
	if (d->vhost) {
		out->size = vhost_user_blk_size(d->vhost);
		out->readonly = vhost_user_blk_is_readonly(d->vhost);
	} else {
		out->size = virtio_blk_size(d->blk);
		out->readonly = d->spec->readonly;
		virtio_blk_stats(d->blk, &out->stats);
		out->held_ms = disk_held_ms(d);
	}
}

void platform_dialer(const struct platform *p, size_t i, struct platform_helper *out)
{
	*out = i < p->n_disks ? p->disks[i].helper.state
			      : (struct platform_helper){ .down = false };
}

/* Checks the disks' images, of which nothing was read before, since they may be a stranger's. */
int platform_check_disks(const struct platform *p, struct err *e)
{
	int ret = 0;

	for (size_t i = 0; i < p->n_disks && !ret; i++) {
		const struct disk *d = &p->disks[i];
		const struct virtio_blk_params params = {
			.path = d->spec->path,
			.readonly = d->spec->readonly,
			.note = p->notes->line,
			.arg = p->notes->arg,
		};

		if (d->blk)
			ret = virtio_blk_check(d->blk, &params, e);
	}
	return ret;
}

void platform_forget_held(struct platform *p)
{
	p->stopping = false;
	/* The wait is over: the next one is told anew. */
	for (size_t i = 0; i < p->n_disks; i++)
		p->disks[i].held_noted = false;
}

void platform_destroy_disks(struct platform *p)
{
	for (size_t i = 0; i < p->n_disks; i++) {
		file_job_wait(&p->disks[i].resize.job);
		file_job_wait(&p->disks[i].close);
		kept_unwatch(&p->disks[i].helper);
		vhost_user_blk_shut(p->disks[i].vhost);
		virtio_pci_destroy(p->disks[i].pci);
		vhost_user_blk_destroy(p->disks[i].vhost);
		dialer_destroy(p->disks[i].dialer);
		virtio_blk_destroy(p->disks[i].blk);
	}
}
