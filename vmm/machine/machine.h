/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The KVM machine: memory, vCPUs, interrupts, I/O regions, and its end.
 *
 * Interrupts: the full in-kernel irqchip, with an interrupt routing table of our own in which no
 * line leads to the PIC. With it the IO-APIC's EOIs and the timers cost no exit, and the trap of
 * hardware-reduced ACPI (a PIC that nobody masks delivers vector 8, a double fault) cannot happen,
 * because that PIC has no inputs. Firmware guests add the PIC's routes and a PIT, nothing else.
 *
 * The split irqchip (KVM_CAP_SPLIT_IRQCHIP: only the local APICs in the kernel) was measured against
 * it with an IO-APIC of our own: the cloud kernel to its init and off again, one CPU, one disk. Exits
 * to user space went from 1,433 to 1,961: all of the 529 additional ones are the guest setting up the
 * IO-APIC's 24 pins, and each costs a return to user space where it cost KVM a function call. After
 * that there is nothing to win or lose, for our lines are edges, whose EOIs no IO-APIC sees, and all
 * devices but the serial port and the power button send messages. What a split would win is less code
 * of the host's kernel within a guest's reach; it would take an IO-APIC of our own for that.
 *
 * Functions may be called from any thread unless they say otherwise.
 */
#ifndef UMBRA_VMM_MACHINE_MACHINE_H
#define UMBRA_VMM_MACHINE_MACHINE_H

#include "base/err.h"
#include "base/loop.h"
#include "base/types.h"
#include "devices/host.h"
#include "vmm/machine/io.h"
#include "vmm/machine/vcpu.h"

struct kernel;
struct lifecycle;
struct machine;

struct machine_config {
	u64 memory;    /* bytes of RAM, a multiple of 4096 */
	bool shared;   /* RAM that other processes can map (host_ops.ram_region) */
	u64 huge_page; /* RAM of huge pages of so many bytes, or 0 */
	unsigned cpus;
	u64 start_ns; /* CLOCK_MONOTONIC at exec, or 0: now */
	bool pc;      /* with what a PC's firmware expects: PIC, PIT; vCPU 0 starts at reset */
};

int machine_create(struct machine **out, const struct machine_config *c, struct err *e);
/* All threads must have ended (machine_run() sees to it). NULL is allowed. */
void machine_destroy(struct machine *m);

struct loop *machine_loop(const struct machine *m);
/* The guest's parts, of which the machine is the first. */
struct lifecycle *machine_lifecycle(const struct machine *m);
/* What devices see of the machine. */
struct host *machine_host(struct machine *m);
unsigned machine_cpus(const struct machine *m);
struct vcpu *machine_vcpu(const struct machine *m, unsigned i);
u64 machine_memory(const struct machine *m);
u64 machine_time_ns(const struct machine *m); /* since start_ns */

/* The kernel that was placed, for reports; borrowed. @phys of its first byte, its KASLR shift. */
void machine_set_kernel(struct machine *m, struct kernel *k, u64 phys, u64 kaslr);
struct kernel *machine_kernel(const struct machine *m);
u64 machine_kernel_phys(const struct machine *m);
u64 machine_kaslr(const struct machine *m);

/* --- memory -------------------------------------------------------------------------------- */

/*
 * The checked door to guest RAM: NULL unless all of [gpa, gpa + len) is RAM in one piece. Umbra's
 * own slots are not RAM and never come out of it.
 */
void *machine_gpa(struct machine *m, u64 gpa, size_t len);

/*
 * Fresh zeroed memory of @len bytes (a multiple of 4096) in a memory slot of its own at @gpa,
 * which must lie in [LAYOUT_UMBRA, LAYOUT_UMBRA_END). Without @guest_writable KVM refuses the
 * guest's stores, whatever its page tables say. *hva is writable here. -EEXIST: overlap; -ENOSPC:
 * no slot left. May be called while the guest runs.
 */
int machine_add_slot(struct machine *m, u64 gpa, size_t len, bool guest_writable, void **hva,
		     struct err *e);
/* Unmaps the memory; the caller sees to it that nobody uses *hva any more. -ENOENT. */
int machine_remove_slot(struct machine *m, u64 gpa);

/*
 * Called on the vCPU's thread for a guest's store to a slot that it cannot write, which had no
 * effect. @data is NULL (and @len the instruction's best known width, or 0) if KVM could not
 * emulate the store; the guest then gets #GP at the store by itself.
 */
typedef void machine_ro_write_fn(void *arg, struct vcpu *v, u64 gpa, unsigned len,
				 const void *data);
/* Before machine_run(), by one owner at a time; NULL gives it back. */
void machine_set_ro_write_hook(struct machine *m, machine_ro_write_fn *fn, void *arg);

/* --- I/O ----------------------------------------------------------------------------------- */

/* -EEXIST: a port is taken; -ENOSPC. Dispatch is by a flat table, without a lock. */
int machine_pio_add(struct machine *m, u16 port, u16 len, io_pio_fn *fn, void *arg);

/* One edge on an interrupt line of the IO-APIC. */
int machine_irq_pulse(struct machine *m, u32 gsi);

/* --- run ----------------------------------------------------------------------------------- */

/*
 * Pause: all vCPUs leave the guest and stay out until machine_resume(); interrupts that come
 * meanwhile wait for them. Devices go on, so I/O that was begun ends. Returns at once; a vCPU whose
 * exit is being handled takes its time, and when the last one is out, the machine's parts become quiet
 * (lifecycle_quiesce()), on the loop's thread. Before machine_run(), the guest begins paused. The guest's clocks go on meanwhile,
 * and kvm-clock tells its watchdogs that they were not looked after. Main thread. -errno.
 */
int machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/* Are all vCPUs out because of a machine_pause()? */
bool machine_paused(const struct machine *m);

/*
 * Start the vCPU threads, serve the event loop until the machine ends, stop and join the threads.
 * Returns an exit code (base/exit_code.h). Once, and once more after each machine_reset().
 */
int machine_run(struct machine *m, struct err *e);

/*
 * The machine's part of a reset (lifecycle_reset()), which comes last: memory zeroed, interrupt controllers and vCPUs as they
 * were created, ready for another boot and machine_run(). Umbra's slots stay as they are, and a pause.
 * The process stays, rather than a new one for each start as crosvm has it: sockets, terminals, taps
 * and who is connected to them outlive a reboot as cables outlive one; and it is confined, so the VM
 * itself is not made anew either, as Cloud Hypervisor does it: that would open files.
 * -errno: the machine cannot be used any more.
 */
int machine_reset(struct machine *m, struct err *e);

/*
 * Request the end with exit code @code; the first request wins, but any other wins over a reset, after
 * which the guest might go on. @fmt: one line for people, without "\n", or NULL if there is nothing to
 * tell. Is it this one now?
 */
bool machine_exit(struct machine *m, int code, const char *fmt, ...) __printf(3, 4);
/* The line of the request that won, or "". Valid after machine_run(). */
const char *machine_exit_line(const struct machine *m);
/* True as soon as somebody called machine_exit(). */
bool machine_exiting(const struct machine *m);

#endif
