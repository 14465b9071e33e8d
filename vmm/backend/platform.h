/* SPDX-License-Identifier: GPL-2.0-only */
/* Creates the devices of every guest, but for its console and those that only a firmware needs. */
#ifndef UMBRA_VMM_BACKEND_PLATFORM_H
#define UMBRA_VMM_BACKEND_PLATFORM_H

#include "devices/balloon_stats.h"
#include "devices/blk_stats.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"
#include "vmm/spec/spec.h"

struct platform;
struct pci_bus;
struct pci_place;

/* Makes the devices of a guest. @spec must outlive them. */
int platform_create(struct platform **out, struct machine *m, const struct guest_spec *spec,
		    struct err *e);
/* Gives the places of the disks on PCI in their order, at most @max; returns how many. */
size_t platform_disk_places(const struct platform *p, struct pci_place *places, size_t max);
/* Returns how many buses the host bridge of such a guest has. */
unsigned platform_pci_buses(const struct guest_spec *spec);
/* A disk's state, for reports. */
struct platform_disk {
	const struct spec_disk *spec;
	u64 size; /* bytes, now */
	bool readonly;
	struct blk_stats stats; /* all 0 of a vhost-user disk, whose requests do not pass here */
	/*
	 * For how many milliseconds a reset or the end has waited for its requests, or a resize for
	 * its file, which from MACHINE_HELD_MS on are held by the host's kernel; 0: none waits.
	 */
	s64 held_ms;
};

size_t platform_disk_count(const struct platform *p);
/* Describes disk @i, below the count. Main thread. */
void platform_disk(const struct platform *p, size_t i, struct platform_disk *out);
/*
 * Called on the main thread when a disk has got its other size, or not: @ret is -errno, and @why a
 * line for people without the disk's name. -EINPROGRESS, once and before that: the file's storage
 * has not answered for a moment.
 */
typedef void platform_resized_fn(void *arg, int ret, const char *why);
/*
 * Gives disk @i another size, in bytes, while the guest runs: a file is made longer or shorter, a
 * block device has to have it already. A thread does that, since the file's storage may not answer,
 * and @fn is called then. -errno and a line for people, without the disk's name: nothing is done,
 * and @fn is not called; so it is once a reset or the end has begun, which would wait for it. Main
 * thread.
 */
int platform_disk_resize(struct platform *p, size_t i, u64 bytes, platform_resized_fn *fn,
			 void *arg, struct err *e);
/* Returns where notes about the devices go. */
const struct note_sink *platform_notes(const struct platform *p);
/* The state of a process that serves a device, for reports. */
struct platform_helper {
	bool down; /* it has ended, or has never run */
	bool gone; /* and will not be started again */
	unsigned restarts;
};

/* Describes the process of network @i, below the count of the guest's networks. Main thread. */
void platform_net(const struct platform *p, size_t i, struct platform_helper *out);
/* Describes the process that connects to disk @i's back end, if it has one. Main thread. */
void platform_dialer(const struct platform *p, size_t i, struct platform_helper *out);
/* Reads the state of the guest's balloon; false: it has none. Main thread, as the next three. */
bool platform_balloon(const struct platform *p, struct balloon_state *out);
/*
 * Asks the guest to have so much memory, in bytes; for statistics every so many seconds, 0: no
 * more; or for statistics once. Only for a guest that has a balloon.
 */
void platform_balloon_set_target(struct platform *p, u64 bytes);
void platform_balloon_set_interval(struct platform *p, unsigned seconds);
void platform_balloon_refresh(struct platform *p);
/*
 * Called on the main thread when the process of network or disk @i has ended, and with @up when
 * another one has taken its place.
 */
typedef void platform_helper_fn(void *arg, size_t i, bool up);
/* One owner; NULL gives it back. */
struct platform_hooks {
	platform_helper_fn *net, *dialer;
	/* The guest has another size, by its balloon; not again before platform_balloon(). */
	void (*balloon)(void *arg);
	void *arg;
};
void platform_set_hooks(struct platform *p, const struct platform_hooks *hooks);
/* Presses the power button, which a guest may ignore. Any thread. */
void platform_power_button(struct platform *p);
/*
 * Asks all disks' threads to end, and serves the event loop until they have, and so have resizes;
 * whatever the host's kernel holds, control socket and signals are answered. Each disk that holds
 * up this, or a vCPU in a reset of its own, for more than a second gets a note with its file. No
 * vCPU runs; a reset or the end follows. Returns the exit code by then, as machine_wait() does.
 */
int platform_await_disks(struct platform *p);
/*
 * Does the same at the end, and closes the images, each by a thread: to close a file is to wait for
 * its storage, too (NFS: until the server has all of it).
 */
void platform_close_disks(struct platform *p);
/*
 * Stops all I/O. For callers without a lifecycle; else platform_part's end() calls it. NULL
 * allowed.
 */
void platform_destroy(struct platform *p);
/*
 * reset() leaves all devices on the bus, the console's too, and the power button as they were
 * created; it returns when no I/O is under way. Back ends stay connected.
 */
extern const struct lifecycle_ops platform_part;
/* Returns the bus that @dev asks for, for other owners' devices; valid until platform_destroy(). */
struct pci_bus *platform_bus(const struct platform *p, const struct spec_device *dev);

#endif
