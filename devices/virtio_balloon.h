/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates a virtio memory balloon (virtio 1.2, 5.5): a guest gives memory back to the host and gets
 * it again, tells how it uses what it has, and reports what it has freed.
 *
 * The host names a target, in bytes that the guest is to have. The driver takes pages out of the
 * guest's use (it inflates the balloon) or returns them (deflates) until it is reached, and says in
 * the configuration how many it holds. All of that is its good will: a guest that does not want to
 * give memory back does not, and nothing but the size of its RAM bounds what it takes.
 *
 * What a page that was given back is: host_ops.ram_discard() of it, zeroes from then on, and memory
 * of the host only once somebody touches it again. So a driver need not tell before it uses a page
 * again (MUST_TELL_HOST is not offered), and to deflate is no work. Where the host cannot give
 * single pages back (huge pages), the balloon counts and the memory stays; REPORTING is not to be
 * offered then.
 *
 * What it means for those that use the guest's RAM beside its CPUs, for a guest may give back a
 * page that they have under way:
 * - devices of this process, the gate's host end and the readers of the guest's kernel find zeroes,
 *   as if the guest had written them. All of them copy and check what they read, and none keeps
 *   what the page said. Memory that is not the guest's RAM (a firmware's ROM, Umbra's slots with
 *   the gate, the shim's answers and the shadow pages) is in no range that host_ops.ram() gives, so
 *   nothing here reaches it.
 * - io_uring, and a tap or socket, hold a reference on a page as long as they write to it: what
 *   they store after it was given back goes to the old page and is lost, to that guest; no page of
 *   anybody else is written.
 * - a vhost-user back end maps the same memfd, out of which the page is cut, and sees zeroes and
 *   then the new page, as this process does. One that has the memory pinned for a device of its own
 *   (VFIO, as SPDK does) goes on with the old pages, and its guest would lose data when it
 *   deflates: such a back end and a balloon do not go together; qemu-storage-daemon pins nothing.
 * - transparent huge pages: a piece of 4 KiB out of one leaves the process's memory at once, and
 *   the system's when the kernel splits the rest, which it does when memory is short. khugepaged
 *   may fill the hole again; `vmm memory` shows what was given back, `vmm ps` what the process has.
 *
 * Hostile input: page numbers that are no RAM are ignored, as QEMU does; one chain that names more
 * pages than the guest has, or that has no buffer of the kind that its queue wants, is an error of
 * the driver (DEVICE_NEEDS_RESET). All work is done on the device's own thread, which looks after
 * some pages whether it is to end: a guest that gives back its memory without end occupies that
 * thread, and no other.
 *
 * Queue 2 is for statistics; 3 and 4 are both for reports, since the specification has them at 4,
 * and Linux at the next number that is free (3 here, where FREE_PAGE_HINT is not offered; 2 without
 * statistics).
 *
 * A reset of the device forgets what the driver holds, and its statistics. The target stays, which
 * is the host's: a guest that boots anew gives the memory back again.
 */
#ifndef UMBRA_DEVICES_VIRTIO_BALLOON_H
#define UMBRA_DEVICES_VIRTIO_BALLOON_H

#include "devices/balloon_stats.h"
#include "devices/virtio.h"

struct virtio_balloon;

struct virtio_balloon_params {
	bool reporting;	     /* offer to have free pages reported, which are given back at once */
	bool deflate_on_oom; /* offer that the guest takes pages back before it kills a process */
	/*
	 * Called when the driver holds another number of pages; not again before
	 * virtio_balloon_look(). Any thread, perhaps with the core's lock (virtio.h) held. May be
	 * NULL.
	 */
	void (*changed)(void *arg);
	void *arg;
};

/* Makes a balloon that asks for nothing. -ENOMEM. */
int virtio_balloon_create(struct virtio_balloon **out, const struct virtio_balloon_params *params);
/* Frees the device, after the struct virtio that uses it. NULL allowed. */
void virtio_balloon_destroy(struct virtio_balloon *b);

/* Returns the type to create its struct virtio with (virtio.h); lives as long as @b. */
const struct virtio_type *virtio_balloon_type(const struct virtio_balloon *b);
/* Tells the device its struct virtio @v, which was created with @b as its argument. */
void virtio_balloon_attach(struct virtio_balloon *b, struct virtio *v);

/* Reads the state, and has changed() called for the next change. Any thread but the device's. */
void virtio_balloon_look(struct virtio_balloon *b, struct balloon_state *out);
/* Asks the guest to have @bytes, rounded down to pages; at most all of its RAM. Main thread. */
void virtio_balloon_set_target(struct virtio_balloon *b, u64 bytes);
/* Asks for statistics now, and then every @seconds; 0: no more. Main thread. */
void virtio_balloon_set_interval(struct virtio_balloon *b, unsigned seconds);
/* Asks for statistics once; they come when the driver likes. Main thread. */
void virtio_balloon_refresh(struct virtio_balloon *b);

#endif
