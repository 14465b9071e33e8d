// SPDX-License-Identifier: GPL-2.0-only
/* Handles each VM exit: dispatches I/O, and ends the machine where KVM cannot go on. */
#include "vmm/machine/vmexit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/exit_code.h"
#include "vmm/machine/io.h"
#include "vmm/machine/machine_int.h"
#include "vmm/machine/memory.h"
#include "vmm/machine/ro_store.h"

#define RESET_RIP 0xfff0 /* of a vCPU that KVM has reset */

/* Writes "RIP 0x...", to which symbolize_line() adds the symbol when the machine has stopped. */
static void where_text(struct vcpu *v, char *buf, size_t len)
{
	snprintf(buf, len, "RIP 0x%" PRIx64, (u64)vcpu_regs(v)->rip);
}

/* Ends the machine as (E6) of machine.h. */
static void end_as_kvm_failed(struct vcpu *v, const char *what)
{
	char where[200];

	where_text(v, where, sizeof(where));
	machine_exit(vcpu_machine(v), EXIT_CODE_KVM, "KVM cannot go on: %s; vCPU %u, %s", what,
		     vcpu_index(v), where);
}

static void handle_pio(struct vcpu *v, struct kvm_run *run)
{
	const struct io_pio_access a = {
		.port = run->io.port,
		.size = run->io.size,
		.write = run->io.direction == KVM_EXIT_IO_OUT,
		.count = run->io.count,
		.data = (u8 *)run + run->io.data_offset,
	};

	io_pio(machine_io(vcpu_machine(v)), v, &a);
}

static void handle_mmio(struct vcpu *v, struct kvm_run *run)
{
	struct machine *m = vcpu_machine(v);
	u64 gpa = run->mmio.phys_addr;
	unsigned len = run->mmio.len;

	if (len > sizeof(run->mmio.data))
		return;
	if (io_mmio(machine_io(m), gpa, run->mmio.data, len, run->mmio.is_write))
		return;
	if (run->mmio.is_write && memory_is_readonly(machine_memory_map(m), gpa, len))
		machine_ro_write(m, v, gpa, len, run->mmio.data);
}

/* Ends the machine as (E5) of machine.h. */
static void handle_shutdown(struct vcpu *v)
{
	struct machine *m = vcpu_machine(v);
	unsigned i = vcpu_index(v);
	char where[200];

	where_text(v, where, sizeof(where));
	if (vcpu_regs(v)->rip != RESET_RIP)
		machine_exit(m, EXIT_CODE_TRIPLE_FAULT, "the guest triple-faulted: vCPU %u, %s", i,
			     where);
	else if (vcpu_previous_rip(v))
		machine_exit(
			m, EXIT_CODE_TRIPLE_FAULT,
			"the guest triple-faulted: vCPU %u, some time after its last exit at RIP "
			"0x%" PRIx64,
			i, vcpu_previous_rip(v));
	else
		machine_exit(m, EXIT_CODE_TRIPLE_FAULT,
			     "the guest triple-faulted: vCPU %u, before its first exit", i);
}

/*
 * Returns true if it was a store to a read-only slot, and the guest goes on with a fault; else ends
 * the machine.
 */
static bool handle_internal_error(struct vcpu *v, const struct kvm_run *run)
{
	char what[80];
	unsigned len = 0;
	u64 gpa;

	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    ro_store_find(v, &gpa, &len)) {
		machine_ro_write(vcpu_machine(v), v, gpa, len, NULL);
		vcpu_inject_gp(v);
		return true;
	}
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		snprintf(what, sizeof(what), "it does not know this instruction");
	else
		snprintf(what, sizeof(what), "internal error %u", run->internal.suberror);
	end_as_kvm_failed(v, what);
	return false;
}

bool vmexit_handle(struct vcpu *v, struct kvm_run *run, int error)
{
	struct machine *m = vcpu_machine(v);
	char what[80];

	if (error) {
		snprintf(what, sizeof(what), "KVM_RUN: %s", strerror(error));
		end_as_kvm_failed(v, what);
		return false;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_pio(v, run);
		return true;
	case KVM_EXIT_MMIO:
		handle_mmio(v, run);
		return true;
	case KVM_EXIT_INTR:
	case KVM_EXIT_HLT:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return true;
	case KVM_EXIT_SHUTDOWN:
		handle_shutdown(v);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		return handle_internal_error(v, run);
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(what, sizeof(what),
			 "the processor refuses to enter the guest (reason 0x%" PRIx64 ")",
			 (u64)run->fail_entry.hardware_entry_failure_reason);
		end_as_kvm_failed(v, what);
		return false;
	case KVM_EXIT_SYSTEM_EVENT: /* (E3) */
		machine_exit(m, EXIT_CODE_REBOOT, "the guest asked for a reboot (system event %u)",
			     run->system_event.type);
		return false;
	default:
		snprintf(what, sizeof(what), "exit reason %u is not known here", run->exit_reason);
		end_as_kvm_failed(v, what);
		return false;
	}
}

const char *vmexit_name(unsigned reason)
{
	switch (reason) {
	case KVM_EXIT_UNKNOWN:
		return "unknown";
	case KVM_EXIT_EXCEPTION:
		return "exception";
	case KVM_EXIT_IO:
		return "io";
	case KVM_EXIT_DEBUG:
		return "debug";
	case KVM_EXIT_HLT:
		return "hlt";
	case KVM_EXIT_MMIO:
		return "mmio";
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return "irq-window";
	case KVM_EXIT_SHUTDOWN:
		return "shutdown";
	case KVM_EXIT_FAIL_ENTRY:
		return "fail-entry";
	case KVM_EXIT_INTR:
		return "signal";
	case KVM_EXIT_INTERNAL_ERROR:
		return "internal-error";
	case KVM_EXIT_SYSTEM_EVENT: /* (E3) */
		return "system-event";
	default:
		return NULL;
	}
}
