/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boots a Linux kernel directly by the 64-bit entry of the x86 boot protocol
 * (Documentation/x86/boot.rst): puts image, initramfs, command line, e820, ACPI, SMBIOS and a seed
 * into guest RAM, and vCPU 0 into long mode with an identity map of 4 GiB.
 *
 * The image is placed decompressed and relocated by us, so its addresses are known. If its payload
 * cannot be decoded here, the compressed kernel is entered instead and does that itself; then they
 * are not known.
 */
#ifndef UMBRA_VMM_BOOT_BOOT_H
#define UMBRA_VMM_BOOT_BOOT_H

#include "base/err.h"
#include "vmm/machine/machine.h"

struct kernel;
struct spec_smbios;

/*
 * The random bytes of one start, drawn by one system call: for KASLR's shift and the guest's seed.
 */
struct boot_random {
	u64 shift;
	u8 seed[32];
};

struct boot_plan {
	struct kernel *kernel;
	const char *initrd;	 /* path, for messages; or NULL */
	int initrd_fd;		 /* of boot_open_initrd(); stays open */
	const void *initrd_data; /* what that has, read already; or NULL */
	size_t initrd_len;
	const void *initrd_prefix; /* put before it, page-aligned; or NULL */
	size_t prefix_len;
	const char *cmdline;
	const struct spec_smbios *smbios;
	u64 kaslr;			  /* virtual shift; 0 unless the kernel is relocatable */
	const struct boot_random *random; /* of boot_draw() */
	bool randomize;			  /* let the kernel randomize its memory regions */
	bool reserve_umbra;		  /* announce Umbra's slots as reserved */
	unsigned pci_buses;		  /* 1, or LAYOUT_PCI_BUSES */
	bool *damaged; /* set if the prepared kernel was of no use, and the bzImage was read */
};

/* Draws the random bytes by getrandom(2). */
int boot_draw(struct boot_random *r, struct err *e);

/*
 * Returns a shift for @k: a multiple of its alignment, so that the image stays within its range. 0
 * if it cannot be moved.
 */
u64 boot_choose_kaslr(const struct kernel *k, const struct boot_random *r);

/*
 * Opens the initramfs at @path, which can then be loaded at each boot. Returns the descriptor or
 * -errno.
 */
int boot_open_initrd(const char *path, struct err *e);

/*
 * Places all of the plan into zeroed memory. It opens no file. -ENOMEM: the guest's memory is too
 * small for it.
 */
int boot_load(struct machine *m, const struct boot_plan *p, struct err *e);

#endif
