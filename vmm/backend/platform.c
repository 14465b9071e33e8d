// SPDX-License-Identifier: GPL-2.0-only
/* Creates the devices of a guest on its bus, with their back ends, and reports on them. */
#include "vmm/backend/platform.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "devices/i440fx.h"
#include "devices/pci.h"
#include "devices/pci_port.h"
#include "devices/power.h"
#include "devices/vhost_user_blk.h"
#include "devices/virtio_balloon.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_net.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_rng.h"
#include "vmm/backend/dialer.h"
#include "vmm/backend/net.h"
#include "vmm/machine/file_job.h"
#include "vmm/machine/layout.h"

#define SLOW_NS NS_PER_SECOND /* a wait for a resize that is longer is told */

/* A process of a device that a keeper starts again, as the keeper has told of it. */
struct kept {
	struct platform *p;
	int keeper;
	bool watched; /* the keeper is in the loop */
	struct platform_helper state;
	platform_helper_fn *const *changed; /* the hook for it */
	size_t i;			    /* of its device */
};

struct disk {
	const struct spec_disk *spec;
	struct virtio_blk *blk; /* one of the two */
	struct vhost_user_blk *vhost;
	struct dialer *dialer; /* of vhost, with the next three */
	struct kept helper;    /* the process that connects */
	bool dials;	       /* there was one */
	int dial_error;	       /* the last one that was noted; the disk's thread's */
	bool held_noted;       /* there was a note that the host's kernel holds its requests */
	struct virtio_pci *pci;
	struct file_job close; /* at the end */
	struct {
		struct file_job job; /* runs as long as the size is changed */
		u64 bytes;	     /* the new size, then the one that it has */
		int ret;
		int timer; /* until it is slow, or -1 */
		platform_resized_fn *fn;
		void *arg;
	} resize;
};

struct nic {
	const struct spec_net *spec;
	struct kept helper; /* its keeper (net.h) is -1 for a tap */
	struct net_backend backend;
	struct virtio_net *net;
	struct virtio_pci *pci;
};

struct platform {
	struct machine *m;
	struct loop *loop;
	const struct note_sink *notes;
	struct platform_hooks hooks;
	struct power *power;
	const struct guest_spec *spec;
	struct pci_bus *bus, *behind[SPEC_MAX_ROOT_PORTS];
	struct wait_hook wait_hook;
	struct disk disks[SPEC_MAX_DISKS];
	size_t n_disks;
	bool stopping; /* a reset or the end has asked the disks' threads to end */
	struct nic nics[SPEC_MAX_NETS];
	size_t n_nics;
	struct virtio_rng *rng;
	struct virtio_pci *rng_pci;
	struct virtio_balloon *balloon; /* or NULL */
	struct virtio_pci *balloon_pci;
	struct loop_call balloon_changed;
};

/* --- processes that are kept ---------------------------------------------------------------- */

static void kept_changed(const struct kept *k, bool up)
{
	if (*k->changed)
		(*k->changed)(k->p->hooks.arg, k->i, up);
}

/* Notes that the process has ended. */
static void kept_down(struct kept *k, const char *line)
{
	bool was_down = k->state.down;

	note_put(k->p->notes, "%s", line);
	k->state.down = true;
	if (!was_down)
		kept_changed(k, false);
}

static void kept_unwatch(struct kept *k)
{
	if (k->watched)
		loop_del(k->p->loop, k->keeper);
	k->watched = false;
}

/* Notes that the keeper has ended, too. */
static void kept_gone(struct kept *k, const char *line)
{
	kept_unwatch(k);
	k->state.gone = true;
	kept_down(k, line);
}

/* Watches the keeper of a process that is set up; @fn(@arg) reads its news. -errno. */
static int kept_watch(struct kept *k, loop_fn *fn, void *arg)
{
	int ret = loop_add(k->p->loop, k->keeper, EPOLLIN, fn, arg);

	k->watched = !ret;
	return ret;
}

/* --- devices ------------------------------------------------------------------------------- */

/* Puts a device on the bus, where @dev says. @v is taken over, also on failure. */
static int plug_device(struct platform *p, const struct spec_device *dev, struct virtio *v,
		       struct virtio_pci **pci)
{
	int ret = virtio_pci_create_at(pci, machine_host(p->m), platform_bus(p, dev), dev->slot, v);

	if (ret)
		virtio_destroy(v);
	return ret;
}

static int add_disk(struct platform *p, struct host *h, const struct spec_disk *spec, unsigned cpus,
		    struct err *e)
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
		ret = plug_device(p, &spec->dev, v, &d->pci);
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

static int add_vhost_disk(struct platform *p, struct host *h, const struct spec_disk *spec,
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
		ret = plug_device(p, &spec->dev, v, &d->pci);
	if (!ret)
		ret = vhost_user_blk_attach(d->vhost, v);
	return ret ? err_set(e, ret, "--disk vhost-user=%s: cannot add the device: %s", spec->path,
			     strerror(-ret))
		   : 0;
}

static void nic_up(struct nic *n)
{
	n->helper.state.down = false;
	n->helper.state.restarts++;
	virtio_net_backend_back(n->net);
	note_put(n->helper.p->notes,
		 "--net %s: its process was started again; the guest's link is up", n->spec->text);
	kept_changed(&n->helper, true);
}

/*
 * Follows the keeper's news. When the process has ended the link goes down here, since the device
 * notices by itself only when it reads next.
 */
static void on_keeper(void *arg, u32 events)
{
	struct nic *n = arg;
	struct err why;

	(void)events;
	switch (net_news(n->helper.keeper, &n->backend, &why)) {
	case KEEPER_DOWN:
		virtio_net_backend_gone(n->net);
		kept_down(&n->helper, why.text);
		break;
	case KEEPER_UP:
		nic_up(n);
		break;
	case KEEPER_GONE:
		virtio_net_backend_gone(n->net);
		err_set(&why, 0,
			"--net %s: the process of this network has ended; the guest's link is down",
			n->spec->text);
		kept_gone(&n->helper, why.text);
		break;
	case KEEPER_NOTHING:
	default:
		break;
	}
}

static int add_nic(struct platform *p, struct host *h, const struct guest_spec *all,
		   const struct spec_net *spec, struct err *e)
{
	struct nic *n = &p->nics[p->n_nics];
	struct virtio *v = NULL;
	int keeper, ret = net_open(&n->backend, &keeper, spec, all->confine, all->user, e);

	if (ret)
		return ret;
	n->spec = spec;
	n->helper = (struct kept){
		.p = p, .keeper = keeper, .changed = &p->hooks.net, .i = p->n_nics++
	};
	ret = virtio_net_create(&n->net, &n->backend);
	if (!ret)
		ret = virtio_create(&v, h, virtio_net_type(n->net), n->net);
	if (!ret) {
		virtio_net_attach(n->net, v);
		ret = plug_device(p, &spec->dev, v, &n->pci);
	}
	if (!ret && keeper >= 0)
		ret = kept_watch(&n->helper, on_keeper, n);
	return ret ? err_set(e, ret, "--net %s: cannot add the device: %s", spec->text,
			     strerror(-ret))
		   : 0;
}

static int add_rng(struct platform *p, struct host *h, const struct spec_device *dev, struct err *e)
{
	struct virtio *v = NULL;
	int ret = virtio_rng_create(&p->rng);

	if (!ret)
		ret = virtio_create(&v, h, virtio_rng_type(), p->rng);
	if (!ret) {
		virtio_rng_attach(p->rng, v);
		ret = plug_device(p, dev, v, &p->rng_pci);
	}
	return ret ? err_set(e, ret, "cannot add the entropy device: %s", strerror(-ret)) : 0;
}

static void on_balloon(void *arg)
{
	const struct platform *p = arg;

	if (p->hooks.balloon)
		p->hooks.balloon(p->hooks.arg);
}

/* Leaves it to the main thread to tell that the guest has another size. Any thread. */
static void balloon_changed(void *arg)
{
	struct platform *p = arg;

	loop_call(p->loop, &p->balloon_changed);
}

static int add_balloon(struct platform *p, struct host *h, const struct guest_spec *spec,
		       struct err *e)
{
	const struct virtio_balloon_params params = {
		.reporting = !spec->balloon.no_reporting && !spec->huge_page,
		.deflate_on_oom = !spec->balloon.no_deflate_on_oom,
		.changed = balloon_changed,
		.arg = p,
	};
	struct virtio *v = NULL;
	int ret;

	p->balloon_changed = (struct loop_call){ .fn = on_balloon, .arg = p };
	ret = virtio_balloon_create(&p->balloon, &params);
	if (!ret)
		ret = virtio_create(&v, h, virtio_balloon_type(p->balloon), p->balloon);
	if (!ret) {
		virtio_balloon_attach(p->balloon, v);
		ret = plug_device(p, &spec->balloon.dev, v, &p->balloon_pci);
	}
	if (ret)
		return err_set(e, ret, "--balloon: cannot add the device: %s", strerror(-ret));
	if (spec->huge_page)
		note_put(p->notes, "--balloon: huge pages are not given back in parts; what the "
				   "guest gives up stays memory of this process");
	return 0;
}

/* --- disks whose requests the host's kernel holds ------------------------------------------- */

/*
 * Returns for how many milliseconds a reset, the end or a resize has waited for a disk; 0: none
 * does.
 */
static s64 disk_held_ms(const struct disk *d)
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
static void note_held_disks(void *arg)
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

/* --- buses ------------------------------------------------------------------------------------ */

unsigned platform_pci_buses(const struct guest_spec *spec)
{
	return spec->n_root_ports ? LAYOUT_PCI_BUSES : 1;
}

struct pci_bus *platform_bus(const struct platform *p, const struct spec_device *dev)
{
	int port = guest_spec_root_port(p->spec, dev);

	return port < 0 ? p->bus : p->behind[port];
}

/* Adds the bus behind the root port, which is number @i. */
static int add_root_port(struct platform *p, size_t i)
{
	const struct spec_root_port *spec = &p->spec->root_ports[i];
	unsigned number = 8 * spec->dev.slot + spec->function;
	const struct pci_port_config c = {
		.slot = spec->dev.slot,
		.function = spec->function,
		.number = (u8)(spec->number < 0 ? number : (unsigned)spec->number),
		.chassis = (u16)(spec->chassis ? spec->chassis : i + 1),
	};

	return pci_port_create(&p->behind[i], p->bus, &c);
}

static int add_buses(struct platform *p, struct host *h)
{
	unsigned buses = platform_pci_buses(p->spec);
	u64 window = LAYOUT_PCI_WINDOW(buses);
	int ret = p->spec->firmware ? i440fx_create(&p->bus, h, window, LAYOUT_PCI_END)
				    : pci_bus_create(&p->bus, h, window, LAYOUT_PCI_END);

	if (!ret)
		ret = pci_bus_map_ecam(p->bus, LAYOUT_ECAM, buses);
	for (size_t i = 0; i < p->spec->n_root_ports && !ret; i++)
		ret = add_root_port(p, i);
	if (!ret)
		pci_bus_keep_slots(p->bus, guest_spec_slots(p->spec));
	return ret;
}

/* --- life ---------------------------------------------------------------------------------- */

int platform_create(struct platform **out, struct machine *m, const struct guest_spec *spec,
		    struct err *e)
{
	static const struct power_config power = {
		.sleep_port = LAYOUT_PORT_SLEEP,
		.reset_port = LAYOUT_PORT_RESET,
		.pvpanic_port = LAYOUT_PORT_PVPANIC,
		.ged_port = LAYOUT_PORT_GED,
		.ged_gsi = LAYOUT_GSI_GED,
		.sleep_type_off = LAYOUT_SLEEP_TYPE_OFF,
	};
	struct host *h = machine_host(m);
	struct platform *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->m = m;
	p->spec = spec;
	p->loop = machine_loop(m);
	p->notes = machine_notes(m);
	p->wait_hook = (struct wait_hook){ .fn = note_held_disks, .arg = p };
	machine_add_wait_hook(m, &p->wait_hook);
	ret = power_create(&p->power, h, &power);
	if (!ret)
		ret = add_buses(p, h);
	if (ret)
		err_set(e, ret, "cannot set up the platform: %s", strerror(-ret));
	for (size_t i = 0; i < spec->n_disks && !ret; i++)
		ret = spec->disks[i].vhost_user
			      ? add_vhost_disk(p, h, &spec->disks[i], spec->cpus, spec->confine, e)
			      : add_disk(p, h, &spec->disks[i], spec->cpus, e);
	for (size_t i = 0; i < spec->n_nets && !ret; i++)
		ret = add_nic(p, h, spec, &spec->nets[i], e);
	if (!ret && !spec->no_rng)
		ret = add_rng(p, h, &spec->rng, e);
	if (!ret && spec->balloon.on)
		ret = add_balloon(p, h, spec, e);
	if (ret) {
		platform_destroy(p);
		return ret;
	}
	*out = p;
	return 0;
}

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

const struct note_sink *platform_notes(const struct platform *p)
{
	return p->notes;
}

void platform_net(const struct platform *p, size_t i, struct platform_helper *out)
{
	*out = i < p->n_nics ? p->nics[i].helper.state : (struct platform_helper){ .down = false };
}

void platform_dialer(const struct platform *p, size_t i, struct platform_helper *out)
{
	*out = i < p->n_disks ? p->disks[i].helper.state
			      : (struct platform_helper){ .down = false };
}

bool platform_balloon(const struct platform *p, struct balloon_state *out)
{
	if (p->balloon)
		virtio_balloon_look(p->balloon, out);
	return p->balloon;
}

void platform_balloon_set_target(struct platform *p, u64 bytes)
{
	virtio_balloon_set_target(p->balloon, bytes);
}

void platform_balloon_set_interval(struct platform *p, unsigned seconds)
{
	virtio_balloon_set_interval(p->balloon, seconds);
}

void platform_balloon_refresh(struct platform *p)
{
	virtio_balloon_refresh(p->balloon);
}

void platform_set_hooks(struct platform *p, const struct platform_hooks *hooks)
{
	assert(!p->hooks.arg || !hooks);
	p->hooks = hooks ? *hooks : (struct platform_hooks){ .net = NULL };
}

void platform_power_button(struct platform *p)
{
	power_button(p->power);
}

/* Resets the devices by their bus, then the chip beside it: the order that lifecycle.h has. */
static int reset_platform(void *part, struct err *e)
{
	struct platform *p = part;

	(void)e;
	pci_bus_reset(p->bus);
	power_reset(p->power);
	p->stopping = false;
	/* The wait is over: the next one is told anew. */
	for (size_t i = 0; i < p->n_disks; i++)
		p->disks[i].held_noted = false;
	return 0;
}

static int end_platform(void *part, struct err *e)
{
	(void)e;
	platform_destroy(part);
	return 0;
}

/* Checks the disks' images, of which nothing was read before, since they may be a stranger's. */
static int start_platform(void *part, bool again, struct err *e)
{
	struct platform *p = part;
	int ret = 0;

	for (size_t i = 0; i < p->n_disks && !ret && !again; i++) {
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

const struct lifecycle_ops platform_part = {
	.name = "platform",
	.start = start_platform,
	.reset = reset_platform,
	.end = end_platform,
};

void platform_destroy(struct platform *p)
{
	if (!p)
		return;
	machine_remove_wait_hook(p->m, &p->wait_hook);
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
	for (size_t i = 0; i < p->n_nics; i++) {
		kept_unwatch(&p->nics[i].helper);
		virtio_pci_destroy(p->nics[i].pci);
		virtio_net_destroy(p->nics[i].net);
		net_close(&p->nics[i].backend, p->nics[i].helper.keeper);
	}
	virtio_pci_destroy(p->rng_pci);
	virtio_rng_destroy(p->rng);
	virtio_pci_destroy(p->balloon_pci);
	virtio_balloon_destroy(p->balloon);
	/* The reset at its end may have changed the guest's size once more. */
	loop_call_cancel(p->loop, &p->balloon_changed);
	pci_bus_destroy(p->bus);
	power_destroy(p->power);
	free(p);
}
