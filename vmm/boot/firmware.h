/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts a guest as a PC starts: at the reset vector, in a firmware. Made for SeaBIOS, whose image
 * ends at 4 GiB (read-only) with its last 128 KiB once more below 1 MiB, as RAM.
 *
 * It is told all it needs by fw_cfg: memory map, number of CPUs, ACPI and SMBIOS tables, the order
 * of the disks, and to use the serial port as its screen and keyboard. A machine with .pc is
 * needed, with the bus of devices/i440fx.h. After a reset it starts anew, from the image as it was
 * read at first.
 *
 * A Linux-like kernel (bzImage) may be given too: a Linux kernel, or iPXE's ipxe.lkrn. It is
 * started by an option ROM of ours, first in the boot order, by the kernel's 16-bit entry, so that
 * it can call the BIOS. The ROM does not load anything: it asks at one port, and the VMM puts
 * kernel, initrd and command line where they belong at that moment, when nothing of the firmware is
 * in the way any more.
 */
#ifndef UMBRA_VMM_BOOT_FIRMWARE_H
#define UMBRA_VMM_BOOT_FIRMWARE_H

#include "base/err.h"
#include "vmm/boot/firmware_tables.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"

#define FIRMWARE_SEABIOS "/usr/share/seabios/bios-256k.bin" /* of Debian's package seabios */

struct closer;
struct firmware;
struct held_read;

struct firmware_config {
	const char *image; /* "seabios" or a file; outlives the firmware */
	/*
	 * File for the firmware's debug messages (port 0x402), or NULL: appended to, by one guest
	 * at most 16 MiB. Messages that would have to wait for a reader are lost, and a note at the
	 * end tells how many bytes are missing. A regular file is written by a thread of its own
	 * (vmm/machine/file_writer.h).
	 */
	const char *log;
	const char *kernel; /* bzImage to start instead of a disk, or NULL */
	const char *initrd; /* for it, or NULL */
	const char *cmdline;
	const struct spec_smbios *smbios; /* NULL: the firmware makes up its own tables */
	struct firmware_pci pci;	  /* a BIOS boots the first disk only */
};

/*
 * Opens the files and makes the chips, where there is no boot_load(). The files are read at the
 * start, so that a VMM can confine itself before.
 */
int firmware_create(struct firmware **out, struct machine *m, const struct firmware_config *c,
		    struct err *e);
/*
 * Serves the event loop until the log has all that was written to it, whatever the host's kernel
 * holds; a note names the log if that takes a second. To be called when no vCPU runs any more and
 * before firmware_destroy(), which does not serve the loop.
 */
void firmware_await_log(struct firmware *f);
/*
 * Has the kernel's files read for the start that follows a reset, by a thread, and serves the event
 * loop until they are: their storage may not answer, which a note and held_read_ms()
 * tell. No vCPU runs. Returns the exit code by then, as machine_wait() does.
 */
int firmware_await_kernel(struct firmware *f);
/* Returns that read, for held_read_ms(). */
const struct held_read *firmware_kernel_reading(const struct firmware *f);
/*
 * Has @c close the files that starts read, before firmware_destroy(), which might wait for their
 * storage. There is no start any more.
 */
void firmware_release_files(struct firmware *f, struct closer *c);
/* Returns for how many ms this host's kernel has had lines for the log; 0: none. Any thread. */
s64 firmware_log_held_ms(const struct firmware *f);
/*
 * Frees the firmware, for callers without a lifecycle; else firmware_part's end() calls it. NULL
 * allowed.
 */
void firmware_destroy(struct firmware *f);
/*
 * start() puts the image's low copy into RAM; the first one reads image and kernel. -EINVAL: no
 * bzImage; -ENOMEM: too large for the guest's memory. reset() resets the chips and reads the
 * kernel's files again.
 */
extern const struct lifecycle_ops firmware_part;

#endif
