/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Notices that the guest's kernel panicked, and ends the machine: (E4) of vmm/machine/machine.h.
 *
 * A guest that has loaded its pvpanic module tells us. A stock kernel has not, when it dies early,
 * and then loops for ever or resets. So the console's text is watched for the kernel's last words;
 * since any program of the guest can print those, they are believed only when the kernel's own
 * variable says so too (panic_cpu, read from guest memory, which needs the kernel's symbols; they
 * are loaded at that moment, from what a thread reads of the kernel's file). Where addresses are
 * unknown, only a reset that follows the words counts as a panic.
 */
#ifndef UMBRA_VMM_BOOT_PANIC_WATCH_H
#define UMBRA_VMM_BOOT_PANIC_WATCH_H

#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"

struct panic_watch;
struct symbol_file;

/*
 * Makes a watch. @poll: it also looks at panic_cpu once a second; only if the symbols are loaded
 * anyhow.
 */
int panic_watch_create(struct panic_watch **out, struct machine *m, bool poll);
/* Its reset() forgets all that was read of the kernel that is gone. */
extern const struct lifecycle_ops panic_watch_part;
/*
 * Returns the kernel's file, which the watch reads, for held_read_ms(), and for
 * symbol_file_await() before a reset or the end.
 */
struct symbol_file *panic_watch_symbols(struct panic_watch *w);
/* Takes a byte of the guest's console; @watch is the struct panic_watch. */
void panic_watch_byte(void *watch, u8 byte);

#endif
