/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks up symbols of the placed kernel: addresses of names, and names for addresses in reports. */
#ifndef UMBRA_VMM_BOOT_SYMBOLIZE_H
#define UMBRA_VMM_BOOT_SYMBOLIZE_H

#include <stddef.h>

#include "vmm/machine/held_read.h"
#include "vmm/machine/machine.h"

/*
 * Copies @line, and puts " (symbol+0x12)" behind each "RIP 0x..." of the kernel's text. Loads the
 * kernel's symbols if that was not done; without them the line is copied as it is.
 */
void symbolize_line(struct machine *m, const char *line, char *buf, size_t len);
/* Returns true if @line has an address that symbolize_line() looks up. */
bool symbolize_needs_kernel(const char *line);

/*
 * Forgets the placed kernel's image, whose owner closes it now: 50 MB that a running guest has no
 * use for. It is opened anew if a report needs it, and then belongs to the machine's owner:
 * kernel_close(machine_kernel(m)) at the end.
 */
void symbolize_release_kernel(struct machine *m);

/*
 * Reads the placed kernel's file on a thread, so that the functions around need not: its storage
 * may not answer, and the main thread goes on. Zeroed but for what its owner sets.
 */
struct symbol_file {
	struct machine *m;
	void (*done)(void *arg); /* called when it is read; main thread; may be NULL */
	void *arg;

	/* Its own. */
	struct held_read read;
	u8 *data;
	size_t len;
};

/*
 * Begins to read, if the kernel is not in memory and is not being read. Returns true if done() is
 * to come; false: symbols can be looked up now. Main thread.
 */
bool symbol_file_read(struct symbol_file *f);
/* Serves the event loop until it is read; as held_read_await(). */
int symbol_file_await(struct symbol_file *f);

/* Returns the guest-physical address of a symbol of the placed kernel, or 0. Loads the symbols. */
u64 symbolize_phys(struct machine *m, const char *name);

#endif
