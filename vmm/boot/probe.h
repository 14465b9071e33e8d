/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs bare-metal guests of a few instructions, in long mode at CPL 0, in a machine of their own,
 * to learn what a /dev/kvm can do (vmm doctor), and to test the machine itself.
 */
#ifndef UMBRA_VMM_BOOT_PROBE_H
#define UMBRA_VMM_BOOT_PROBE_H

#include "base/err.h"
#include "vmm/machine/machine.h"

#define PROBE_CODE    0x100000ULL /* guest-physical, identity-mapped */
#define PROBE_SCRATCH 0x200000ULL
#define PROBE_MEMORY  (16ULL << 20)

/*
 * Makes a machine of @cpus vCPUs with @code of @len bytes at PROBE_CODE, vCPU 0 to be entered at
 * @offset of it with RDI = PROBE_SCRATCH, RSI = PROBE_CODE.
 */
int probe_machine(struct machine **out, unsigned cpus, const void *code, size_t len, size_t offset,
		  struct err *e);
/* Places the code into a machine of probe_machine() once more, after machine_reset(). */
int probe_place(struct machine *m, const void *code, size_t len, size_t offset, struct err *e);

struct probe_result {
	bool cmpxchg16b, xrstor, int3;
	double mips; /* million instructions/s in CPL 0; 0: not measured */
};

/* A stock kernel needs some 300 million instructions to its init. */
#define PROBE_MIN_MIPS 20.0

/* Runs the doctor's guests. -errno: no machine could be made at all. */
int probe_kvm(struct probe_result *r, struct err *e);

/* Writes why no stock kernel runs here, for people, parts by "; "; "" if one does. */
void probe_reasons(const struct probe_result *r, char *buf, size_t len);
/*
 * Returns true if the processor says that it can virtualize. Where it does not, /dev/kvm is made of
 * software, and probe_kvm() tells whether a stock kernel runs. Costs two instructions and no system
 * call.
 */
bool probe_hardware(void);

#endif
