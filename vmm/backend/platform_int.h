/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of the platform among its files: platform.c creates, resets and ends it;
 * platform_bus.c makes the buses; platform_disk.c, platform_net.c and platform_balloon.c make the
 * devices, platform_resize.c gives a disk another size; platform_kept.c follows processes that
 * serve a device.
 */
#ifndef UMBRA_VMM_BACKEND_PLATFORM_INT_H
#define UMBRA_VMM_BACKEND_PLATFORM_INT_H

#include "base/loop.h"
#include "devices/net_backend.h"
#include "vmm/backend/platform.h"
#include "vmm/machine/file_job.h"

struct dialer;
struct power;
struct vhost_user_blk;
struct virtio;
struct virtio_balloon;
struct virtio_blk;
struct virtio_net;
struct virtio_pci;
struct virtio_rng;

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

/* --- platform_kept.c ------------------------------------------------------------------------- */

/* Calls the hook for the process. */
void kept_changed(const struct kept *k, bool up);
/* Notes that the process has ended. */
void kept_down(struct kept *k, const char *line);
/* Notes that the keeper has ended, too. */
void kept_gone(struct kept *k, const char *line);
/* Watches the keeper of a process that is set up; @fn(@arg) reads its news. -errno. */
int kept_watch(struct kept *k, loop_fn *fn, void *arg);
void kept_unwatch(struct kept *k);

/* --- devices --------------------------------------------------------------------------------- */

int platform_add_buses(struct platform *p, struct host *h);
/* Puts a device on the bus, where @dev says. @v is taken over, also on failure. */
int platform_plug(struct platform *p, const struct spec_device *dev, struct virtio *v,
		  struct virtio_pci **pci);

int platform_add_disk(struct platform *p, struct host *h, const struct spec_disk *spec,
		      unsigned cpus, struct err *e);
/* Adds a disk whose back end is another process. */
int platform_add_vhost_disk(struct platform *p, struct host *h, const struct spec_disk *spec,
			    unsigned cpus, enum confine_mode confine, struct err *e);
/* Checks the disks' images, of which nothing was read before, since they may be a stranger's. */
int platform_check_disks(const struct platform *p, struct err *e);
/*
 * Returns for how many milliseconds a reset, the end or a resize has waited for a disk; 0: none
 * does.
 */
s64 disk_held_ms(const struct disk *d);
/* Notes each disk that a wait for its threads is about, once for each wait. @arg: the platform. */
void platform_note_held_disks(void *arg);
/* Begins anew after a reset, for which disks may have been waited for. */
void platform_forget_held(struct platform *p);
void platform_destroy_disks(struct platform *p);

int platform_add_nic(struct platform *p, struct host *h, const struct guest_spec *all,
		     const struct spec_net *spec, struct err *e);
void platform_destroy_nics(struct platform *p);

int platform_add_rng(struct platform *p, struct host *h, const struct spec_device *dev,
		     struct err *e);
int platform_add_balloon(struct platform *p, struct host *h, const struct guest_spec *spec,
			 struct err *e);

#endif
