/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes a guest's memory and registers as an ELF core, in the form that QEMU's dump-guest-memory
 * has without paging: crash(8), makedumpfile(8) and drgn(1) read it.
 *
 *	ELF64 header, program headers
 *	PT_NOTE   for each vCPU "CORE" (struct elf_prstatus of x86-64, its pid is the number of the
 *	          vCPU from 1 on), then for each "QEMU" (QEMUCPUState of QEMU's target/i386/
 *	          arch_dump.c: segments and control registers too), then "VMCOREINFO"
 *	PT_LOADs  p_paddr is guest-physical, p_vaddr 0: RAM, then the slots that Umbra or a firmware
 *	          has in the guest (gate, shadow pages), as the guest reads them; pages of one that
 *	          goes meanwhile are zero. In front of them, without bytes of its own, the kernel's
 *	          image at its virtual address, as VMCOREINFO tells it: drgn begins with that
 *
 * VMCOREINFO is the guest kernel's own note about itself, without which a reader knows neither
 * where KASLR has put it nor what its structures look like. QEMU learns its place by a device
 * (vmcoreinfo) whose driver few kernels load in time; here it is looked for: a stock kernel keeps
 * the whole note at the beginning of a page, from its init calls on. Any program of the guest can
 * have such a page. So the note must say the KASLR shift that the kernel was placed with, if it was
 * Umbra that placed it; where no note does (the guest has started another kernel by itself), or a
 * firmware has booted, it is the first. Finding it by the kernel's symbols was left out: they are
 * read from a file, which may have to wait for its storage, by the event loop.
 *
 * Zero pages are holes in a regular file that is empty and not open for appending, else zeros.
 */
#ifndef UMBRA_VMM_MACHINE_CORE_H
#define UMBRA_VMM_MACHINE_CORE_H

#include "base/err.h"
#include "base/types.h"

#define CORE_NOTE_MAX 4096 /* of VMCOREINFO's text: VMCOREINFO_BYTES in linux/crash_core.h */

struct core;
struct machine;

/*
 * Reads the registers and the map of the memory; no vCPU is in the guest until core_destroy(), nor
 * is the memory cleared. Main thread. -errno with a line.
 */
int core_create(struct core **out, struct machine *m, struct err *e);
void core_destroy(struct core *c); /* NULL allowed */

/*
 * Writes the core to @fd, from where that is on; on a thread that may wait for @fd (a
 * HOST_THREAD_FILE). A pipe, a socket or a terminal whose reader has stopped holds it in write(2)
 * until core_cancel(): O_NONBLOCK belongs to whoever else has the open file, and that poll(2) finds
 * room promises nothing where another process writes there, too, or where a terminal has less than
 * is written. So a signal interrupts the thread now and then. A regular file's storage may hold
 * it for longer. @append: @fd is open for appending. -ECANCELED, -EAGAIN: the user has too many
 * timers, or the -errno of write(2).
 */
int core_write(struct core *c, int fd, bool append);
/* Has core_write() end soon, if it has not. Any thread. */
void core_cancel(struct core *c);

/* Tells how many bytes have been written, of how many. Any thread. */
void core_progress(const struct core *c, u64 *done, u64 *total);
/*
 * Returns for how many milliseconds this host's kernel has been busy with one write to a regular
 * file; 0: it is not. Any thread.
 */
s64 core_held_ms(const struct core *c);
/* Returns true if the core has got a VMCOREINFO; after core_write(). */
bool core_has_vmcoreinfo(const struct core *c);

#endif
