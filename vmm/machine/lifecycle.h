/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries a guest's parts through its life, each turn in a fixed order.
 *
 * A part has state of a running guest: the machine itself, its monitor, the gate, the session
 * layer, devices, the kernel or firmware that starts it, the console. Each says in one table what
 * it does at each turn of the guest's life, and is added to the machine's list before the first
 * start, from the ground up: the machine first, then the parts that use it. From that order all
 * others follow. vmm/guest/guest.h lists the parts.
 *
 *                  lifecycle_add() (L1)
 *                        ┌──┐
 *                        │  ▼
 *    lifecycle_create ─► CREATED ── lifecycle_start (L2) ─► STARTED ◄─ lifecycle_start (L2) ─┐
 *                         │  │                               │  │                            │
 *                         │  │ -errno                        │  └─── lifecycle_reset (L4) ─► RESET
 *                         │  ▼                      -errno   │              │ -errno         │
 *                         │ FAILED ◄─────────────────────────┼──────────────┴────────────────┤
 *                         │  │ (L6)                          │                               │
 *                         │  │         lifecycle_end (L5)    │                               │
 *                         └──┴───────────────┬───────────────┴───────────────────────────────┘
 *                                            ▼
 *                                          ENDED
 *
 * Beside it, and kept by a reset: quiet or not. lifecycle_quiesce() and lifecycle_resume() turn
 * from one to the other (L3).
 *
 *  (L1) A part is added once, before the first start, when it is complete.
 *  (L2) start() runs upwards, in the order of addition; no vCPU executes until all parts have
 *       started.
 *  (L3) quiesce() runs downwards when all vCPUs are out because of a pause, and only then;
 *       resume() runs upwards, before the first vCPU is let in again. A pause may outlast a
 *       reset.
 *  (L4) reset() runs downwards, while no vCPU runs: users of memory are quiet when it is cleared.
 *       After it a part is as it was when it was created, and start() runs again, with @again.
 *  (L5) end() runs downwards once for each part that was added, whatever failed before, and frees
 *       it; a part without an end() is freed by its owner. A part's end may use all that lies
 *       below it.
 *  (L6) After an error of start() or reset() only end() follows.
 *
 * All of it runs on the main thread. (L1), (L2), (L4) and (L6) are asserted; a quiesce() or
 * resume() out of its order (L3) does nothing.
 *
 * A device or a chip is no part of its own: the part that made it carries it along. That is the
 * platform for the bus, all that is plugged into it (the console's device too) and the power
 * registers; the firmware for the chips that only it needs; the console for the serial port. Why:
 * how many devices there are is for the spec to say, what they hang on gives their order, and
 * devices/ knows of its host what devices/host.h has, which is why a device is tested without a
 * machine. Within such a part:
 *
 *   reset()  From the bus: pci_bus_reset() calls reset() of struct pci_ops, slot by slot, by which
 *            virtio_pci.c calls virtio_reset(), and that stop() of struct virtio_type. Then the
 *            chips beside the bus, each by its NAME_reset(). None needs another for it.
 *   end()    Each device by its NAME_destroy(): at first what the guest sees of it
 *            (virtio_pci_destroy()), which ends its I/O, then the device, then its back end. The
 *            bus when all of them are gone, then the chips.
 *
 * Why one table: reset was five functions of different shape that `vmm run` called in an order of
 * its own, and a pause had one hook, which the last caller won silently. Propolis has one trait for
 * all turns, which each device implements and one place calls, so that a device cannot be forgotten
 * by one of them; OpenBSD's vmd pairs X_dump with X_restore in the same way. save() and load() will
 * stand between quiesce() and resume(), in the same table, and go the way of reset() to the devices
 * of a part: beside reset() of struct pci_ops, beside stop() of struct virtio_type, and NAME_save()
 * and NAME_load() beside a chip's NAME_reset(). Devices, which go on during a pause today, will
 * then have a quiesce() by the same way that leaves nothing in flight.
 */
#ifndef UMBRA_VMM_MACHINE_LIFECYCLE_H
#define UMBRA_VMM_MACHINE_LIFECYCLE_H

#include "base/err.h"
#include "base/types.h"

#define LIFECYCLE_MAX_PARTS 16

struct lifecycle;

/* Any function may be NULL: the part does nothing then. */
struct lifecycle_ops {
	const char *name;
	/* Starts the part. @again: after a reset. -errno ends the guest. */
	int (*start)(void *part, bool again, struct err *e);
	void (*quiesce)(void *part);
	void (*resume)(void *part);
	/* Resets the part. -errno ends the guest. */
	int (*reset)(void *part, struct err *e);
	/*
	 * Ends the part. -errno: something of the guest could not be kept; the part is gone all the
	 * same.
	 */
	int (*end)(void *part, struct err *e);
};

/* Makes an empty lifecycle. -ENOMEM. */
int lifecycle_create(struct lifecycle **out);
/* Frees the memory, when all parts have ended. NULL allowed. */
void lifecycle_destroy(struct lifecycle *l);

/*
 * Adds a part. @ops and @part live until its end. There is room for LIFECYCLE_MAX_PARTS, which is
 * asserted.
 */
void lifecycle_add(struct lifecycle *l, const struct lifecycle_ops *ops, void *part);
/* Starts all parts. 0 or the first -errno, with its line. */
int lifecycle_start(struct lifecycle *l, struct err *e);
/*
 * Quiesces all parts; like the next two, does nothing if they are in that state already, or have
 * not started.
 */
void lifecycle_quiesce(struct lifecycle *l);
void lifecycle_resume(struct lifecycle *l);
int lifecycle_reset(struct lifecycle *l, struct err *e);
/* Ends all parts. 0 or the first -errno, with its line; all have ended in either case. */
int lifecycle_end(struct lifecycle *l, struct err *e);

#endif
