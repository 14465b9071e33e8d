/* SPDX-License-Identifier: GPL-2.0-only */
/* Shares the notes of a core between core.c, which writes them, and core_notes.c, their form. */
#ifndef UMBRA_VMM_MACHINE_CORE_INT_H
#define UMBRA_VMM_MACHINE_CORE_INT_H

#include <linux/kvm.h>

#include "base/types.h"

struct vcpu;

struct core_cpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	u64 kernel_gs_base;
};

/* Reads the registers of a vCPU that is out of the guest. Main thread. -errno. */
int core_read_cpu(struct core_cpu *c, struct vcpu *v);

/* Returns the size of the notes of so many vCPUs, and of a VMCOREINFO (0: without one). */
size_t core_notes_size(unsigned n_cpus, size_t vmcoreinfo_len);
void core_put_notes(u8 *to, const struct core_cpu *cpus, unsigned n_cpus, const char *vmcoreinfo,
		    size_t vmcoreinfo_len);

/*
 * Copies the text of the VMCOREINFO note that is at @note, in @len bytes of guest memory, to @text,
 * of CORE_NOTE_MAX bytes. Returns its length; 0: there is none that fits.
 */
size_t core_take_vmcoreinfo(const u8 *note, u64 len, char *text);
/*
 * Reads where the kernel's image is, by the KERNELOFFSET and the phys_base of such a text: its
 * virtual address and its physical one, for what both are worth. False: it does not say so, or what
 * no kernel would.
 */
bool core_kernel_place(const char *text, size_t len, u64 *va, u64 *pa);
/* Returns true if @text, of @len bytes, has @line in it; always if that is "". */
bool core_text_has(const char *text, size_t len, const char *line);

#endif
