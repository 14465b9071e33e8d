/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs the KVM machine: memory, vCPUs, interrupts, I/O regions, and its end.
 *
 * A machine's life, with the function on each arrow. lifecycle.h has the life of all parts of a
 * guest, of which this is the first; vcpu.h has the life of one vCPU within RUNNING.
 *
 *	            machine_create()
 *	                   │
 *	                   ▼     machine_run()              machine_pause()
 *	┌──────────────► READY ───────────────► RUNNING ───────────────────► PAUSING ──┐ the last
 *	│                  │                     ▲   │                          │      │ vcpu_park()
 *	│                  │    machine_resume() ├───┼──────────────────────────┘      ▼
 *	│                  │                     └───┼─────────────────────────────── PAUSED
 *	│                  │                         │                                 │
 *	│                  │                         │ machine_exit(), of any of these │
 *	│                  │                         ▼                                 │
 *	│                  │                      ENDING ◄─────────────────────────────┘
 *	│                  │                         │ machine_run(): vcpu_stop(), vcpu_await()
 *	│  machine_reset() │                         ▼
 *	└──────────────────┼───────────────────── STOPPED
 *	                   │ machine_destroy()       │
 *	                   └──────────► gone ◄───────┘
 *
 * A pause is kept beside this state: machine_pause() before machine_run() and a pause that outlasts
 * a reset make the vCPUs' threads park before their first instruction. machine_rest() leaves a
 * machine STOPPED.
 *
 * How a machine ends. All requests go through machine_exit(), but for (E13); the code is one of
 * enum exit_code (base/exit_code.h). The function is the one that makes the request.
 *
 *        cause                                 function                           code
 *  (E1)  the guest switches off (ACPI S5)      machine.c end_by_device()          POWEROFF 0
 *  (E2)  the guest resets itself: keyboard     machine.c end_by_device()          REBOOT 10
 *        controller, ACPI reset register,
 *        port 0xcf9, port 0x92
 *  (E3)  KVM reports a system event            vmexit.c vmexit_handle()           REBOOT 10
 *  (E4)  the guest's kernel panics: pvpanic,   panic_watch.c panic_end()          PANIC 11
 *        its last words on the console,
 *        panic_cpu
 *  (E5)  a vCPU shuts down (triple fault)      vmexit.c handle_shutdown()         TRIPLE_FAULT 12
 *  (E6)  KVM cannot go on: KVM_RUN fails, an   vmexit.c end_as_kvm_failed()       KVM 13
 *        internal error, a refused entry, an
 *        exit that is not known
 *  (E7)  all vCPUs are halted, interrupts off  machine_run.c on_halt_watch()      HALTED 14
 *  (E8)  Ctrl-a x on the console               endpoint_stdio.c filter_escapes()  ESCAPE 15
 *  (E9)  a signal of guest_config.end_signals  guest_start.c on_guest_signal()    128 + signal
 *  (E10) QMP system_reset                      run_state.c reset_guest()          REBOOT 10
 *  (E11) QMP quit                              run_state.c end_guest()            128 + SIGTERM
 *  (E12) the shim or a driver of the command   doorbell.c agent_failed();         ERROR 1
 *        line is not loaded                    sessions.c guest_on_whether_up(),
 *                                              ask_whether_up(), driver_load_next(),
 *                                              driver_started()
 *  (E13) no timer, no vCPU thread, or the      machine_run.c machine_run()        ERROR 1
 *        event loop fails
 *
 * Waiting. A request is made at once but for these two:
 *  - (E2) if the console showed "Kernel panic": panic_watch.c on_panic_power() takes the reset
 *    over, and the guest goes on until on_panic_check() has read panic_cpu on the loop's thread; it
 *    is (E4) then, or (E2). (E4) by the last words is decided there too; by panic_cpu alone, which
 *    is polled only where there are sessions, it waits one more second for the words.
 *  - (E7) comes after a second in which no vCPU left the guest, and two more in which none did but
 *    to answer whether it is at rest. A vCPU that is paused does not answer, so a paused machine
 *    does not end by it.
 * From the request on: the loop returns after the callback that it is in; machine_run() asks all
 * vCPUs to stop, and serves the loop until they have, each when it has handled the exit that it is
 * in to its end. Their threads stay for the next run (V5).
 * After (E2), (E3) and (E10) guest_run() resets the machine and runs it again, unless --no-reboot
 * forbids it. With --no-shutdown it rests at an end that the guest itself brought about,
 * (E1) to (E7), and at a reset that --no-reboot forbids: machine_rest() serves the loop until an
 * (E10), which starts the guest anew, paused; or (E8), (E9), (E11), (E12), (E13). Else guest_end()
 * waits for the threads of the disks, of the files that console, ports, firmware and record write,
 * of files of clients that are read, and of those that close what starts have read, which the
 * host's kernel may hold, and serves the loop meanwhile; then it ends the parts downwards, by (L5)
 * of lifecycle.h: the console waits up to 700 ms for its readers, the devices' threads are joined,
 * the record is closed. If sessions have not loaded all their drivers by an (E1), guest_run() makes
 * its code ERROR, and does not rest.
 *
 * The request that wins:
 *  (W1) The first.
 *  (W2) Any but a reset wins over a reset that came before it: after that the guest might go on.
 *  (W3) machine_run() returns the winner's code; (E13) wins over all.
 *  (W4) A request that ends the process, (E8), (E9), (E11) or (E12), is not lost by (W1) on a guest
 *       that rests: it counts when the end is over. The code is that of the end at which the guest
 *       rested, but for ERROR.
 *
 * Outside this table are events that end the process and not the machine: a system call that the
 * filter forbids (confine/filter.c, 128 + SIGSYS), a thread that cannot confine itself (confine.c,
 * ERROR), a signal that kills the VMM (supervisor.c, 128 + signal); and probe.c's machines, whose
 * two ends are an answer and a timeout.
 *
 * Interrupts: the full in-kernel irqchip, with an interrupt routing table of our own in which no
 * line leads to the PIC. With it the IO-APIC's EOIs and the timers cost no exit, and the trap of
 * hardware-reduced ACPI (a PIC that nobody masks delivers vector 8, a double fault) cannot happen,
 * because that PIC has no inputs. Firmware guests add the PIC's routes and a PIT, nothing else.
 *
 * The split irqchip (KVM_CAP_SPLIT_IRQCHIP: only the local APICs in the kernel) was measured
 * against it with an IO-APIC of our own: the cloud kernel to its init and off again, one CPU, one
 * disk. Exits to user space went from 1,433 to 1,961: all of the 529 additional ones are the guest
 * setting up the IO-APIC's 24 pins, and each costs a return to user space where it cost KVM a
 * function call. After that there is nothing to win or lose, for our lines are edges, whose EOIs no
 * IO-APIC sees, and all devices but the serial port and the power button send messages. A split
 * would leave less code of the host's kernel within a guest's reach; it would take an IO-APIC of
 * our own for that.
 *
 * Functions may be called from any thread unless they say otherwise.
 */
#ifndef UMBRA_VMM_MACHINE_MACHINE_H
#define UMBRA_VMM_MACHINE_MACHINE_H

#include "base/err.h"
#include "base/loop.h"
#include "base/note.h"
#include "base/types.h"
#include "devices/host.h"
#include "vmm/machine/io.h"
#include "vmm/machine/vcpu.h"

struct confine;
struct kernel;
struct lifecycle;
struct machine;

struct machine_config {
	u64 memory;    /* bytes of RAM, a multiple of 4096 */
	bool shared;   /* RAM that other processes can map (host_ops.ram_region) */
	u64 huge_page; /* RAM of huge pages of so many bytes, or 0 */
	unsigned cpus;
	u64 start_ns; /* CLOCK_MONOTONIC at exec, or 0: now */
	bool pc;      /* for a firmware: with PIC and PIT; vCPU 0 starts at the reset vector */
	struct note_sink notes; /* of all parts of the guest; its arg outlives the machine */
};

/* Makes a machine, READY, with nothing in its memory. -errno with a line. */
int machine_create(struct machine **out, const struct machine_config *c, struct err *e);
/*
 * Ends the vCPUs' threads and frees the machine, outside of machine_run(), when those of its
 * devices have ended. NULL is allowed.
 */
void machine_destroy(struct machine *m);

struct loop *machine_loop(const struct machine *m);
/* Returns the guest's parts, of which the machine is the first. */
struct lifecycle *machine_lifecycle(const struct machine *m);
/*
 * Returns where all parts of the guest put their notes (base/note.h). It is set once, by
 * machine_config, so that nobody can take it away from the front end of the guest.
 */
const struct note_sink *machine_notes(const struct machine *m);
/* Returns the machine as its devices see it (devices/host.h). */
struct host *machine_host(struct machine *m);
unsigned machine_cpus(const struct machine *m);
struct vcpu *machine_vcpu(const struct machine *m, unsigned i);
u64 machine_memory(const struct machine *m);
u64 machine_start_ns(const struct machine *m); /* as machine_config has it, and never 0 */
u64 machine_time_ns(const struct machine *m);  /* since start_ns */

/*
 * Sets, once and before machine_run(), the confinement that each thread enters first; NULL: none.
 * @c outlives the threads.
 */
void machine_set_confine(struct machine *m, const struct confine *c);
/* Was machine_set_confine() called, so that a thread can be made? */
bool machine_can_make_threads(const struct machine *m);

/*
 * Notes the kernel that was placed, for reports; it is borrowed. @phys: of its first byte; @kaslr:
 * its KASLR shift.
 */
void machine_set_kernel(struct machine *m, struct kernel *k, u64 phys, u64 kaslr);
struct kernel *machine_kernel(const struct machine *m);
u64 machine_kernel_phys(const struct machine *m);
u64 machine_kaslr(const struct machine *m);

/* --- memory -------------------------------------------------------------------------------- */

/*
 * Returns the host's address of guest RAM at @gpa; NULL unless all of [gpa, gpa + len) is RAM in
 * one piece. Umbra's own slots are not RAM.
 */
void *machine_gpa(struct machine *m, u64 gpa, size_t len);

/*
 * Adds zeroed memory of @len bytes (a multiple of 4096) in a memory slot of its own at @gpa, which
 * must lie in [LAYOUT_UMBRA, LAYOUT_UMBRA_END). Without @guest_writable KVM refuses the guest's
 * stores, whatever its page tables say. *hva is writable here. -EEXIST: overlap; -ENOSPC: no slot
 * left. May be called while the guest runs.
 */
int machine_add_slot(struct machine *m, u64 gpa, size_t len, bool guest_writable, void **hva,
		     struct err *e);
/* Unmaps the memory; the caller sees to it that nobody uses *hva any more. -ENOENT. */
int machine_remove_slot(struct machine *m, u64 gpa);

/* Zeroes the memory, between a machine_run() and the next. -ENOENT; -errno. */
int machine_clear_slot(struct machine *m, u64 gpa);

/*
 * Called on the vCPU's thread for a guest's store to a slot that it cannot write, which had no
 * effect. @data is NULL (and @len the instruction's best known width, or 0) if KVM could not
 * emulate the store; the guest then gets #GP at the store by itself.
 */
typedef void machine_ro_write_fn(void *arg, struct vcpu *v, u64 gpa, unsigned len,
				 const void *data);
/* Sets the hook, of one owner at a time; NULL gives it back. Before machine_run(). */
void machine_set_ro_write_hook(struct machine *m, machine_ro_write_fn *fn, void *arg);

/* --- I/O ----------------------------------------------------------------------------------- */

/*
 * Adds the handler of @len ports. -EEXIST: a port is taken; -ENOSPC. Dispatch is by a flat table,
 * without a lock.
 */
int machine_pio_add(struct machine *m, u16 port, u16 len, io_pio_fn *fn, void *arg);

/* Raises and lowers an interrupt line of the IO-APIC: one edge. */
int machine_irq_pulse(struct machine *m, u32 gsi);

/* --- run ----------------------------------------------------------------------------------- */

/*
 * Pauses the guest: all vCPUs leave it and stay out until machine_resume(); interrupts that come
 * meanwhile wait for them. Devices go on, so I/O that was begun ends. Returns at once (PAUSING); a
 * vCPU whose exit is being handled takes its time, and when the last one is out (PAUSED), the
 * machine's parts become quiet (lifecycle_quiesce()), on the loop's thread. Before machine_run(),
 * the guest begins paused. The guest's clocks go on meanwhile, and kvm-clock tells its watchdogs
 * that they were not looked after. Main thread. -errno.
 */
int machine_pause(struct machine *m);
void machine_resume(struct machine *m);
/*
 * Returns true if a pause or the machine's end wants the vCPUs back, for one that waits while its
 * exit is handled. Any thread; takes a lock that is held for moments.
 */
bool machine_wants_vcpus(const struct machine *m);
/* Returns true if all vCPUs are out because of a machine_pause(): PAUSED. */
bool machine_paused(const struct machine *m);

/*
 * Sends an NMI to all vCPUs, as vcpu_nmi() does; to those of a paused guest when it goes on.
 */
void machine_nmi(struct machine *m);

/*
 * Lets the vCPUs run, each on a thread of its own that the first run makes, serves the event loop
 * until the machine ends, and stops them. Returns the exit code of (W3). READY -> STOPPED; main
 * thread.
 */
int machine_run(struct machine *m, struct err *e);

/*
 * Serves the event loop until @busy(@arg) is false, so that control socket and signals are answered
 * while an end or a reset waits for threads. The caller joins them then. No vCPU enters the guest
 * meanwhile. Returns the exit code by then: a request may have come that wins (W2). Main thread,
 * outside of machine_run().
 */
int machine_wait(struct machine *m, bool (*busy)(void *arg), void *arg);
/*
 * What this host's kernel has held for that many milliseconds is told to people: a wait for it by
 * notes, and all of it by umbra-info.
 */
#define MACHINE_HELD_MS 1000

/*
 * Notes that the guest's reset or end waits for @file, with which this host's kernel has been busy
 * for @ms, unless that is less than MACHINE_HELD_MS or *@noted is set; sets *@noted then. @what:
 * what the file is ("--disk", "console"); NULL: @file says it all. Main thread.
 */
void machine_note_held(const struct machine *m, bool *noted, s64 ms, const char *what,
		       const char *file);
/* What is called after a second of such a wait, or of machine_run()'s for its vCPUs, and again. */
struct wait_hook {
	void (*fn)(void *arg);
	void *arg;
	struct wait_hook *next; /* the machine's */
};

/* Adds a hook, which lives until machine_remove_wait_hook(). Main thread. */
void machine_add_wait_hook(struct machine *m, struct wait_hook *hook);
/* Removes a hook; one that was not added is ignored. Main thread. */
void machine_remove_wait_hook(struct machine *m, struct wait_hook *hook);

/*
 * Serves the event loop after machine_run(), whose end this forgets, until another request comes
 * that is not the guest's own: a reset, or what ends the process. One of the latter that had lost
 * by (W1) counts now. No vCPU runs. Returns the request's code; -errno of the loop is
 * EXIT_CODE_ERROR. The machine is STOPPED before and after. Main thread.
 */
int machine_rest(struct machine *m, struct err *e);

/*
 * Does the machine's part of a reset (lifecycle_reset()), which comes last: zeroes the memory and
 * makes interrupt controllers and vCPUs as they were created, ready for another boot and
 * machine_run(). STOPPED -> READY. Umbra's slots and a pause stay.
 *
 * The process stays, rather than a new one for each start as crosvm has it: sockets, terminals,
 * taps and the peers that are connected to them outlive a reboot as cables outlive one; and it is
 * confined, so the VM itself is not made anew either, as Cloud Hypervisor does it: that would open
 * files. -errno: the machine cannot be used any more.
 */
int machine_reset(struct machine *m, struct err *e);

/*
 * Requests the end with exit code @code, by (W1) and (W2). @fmt: one line for people, without "\n",
 * or NULL if there is nothing to tell. Returns true if this request is the one that counts now.
 */
bool machine_exit(struct machine *m, int code, const char *fmt, ...) __printf(3, 4);
/* Returns the line of the request that won, or "". Valid after machine_run(). */
const char *machine_exit_line(const struct machine *m);
/*
 * Returns true once somebody has asked for the end of the process, by (E8), (E9) or (E11), also if
 * that has lost by (W1).
 */
bool machine_end_asked(const struct machine *m);
/* Returns true from the first machine_exit() until machine_reset(). */
bool machine_exiting(const struct machine *m);

#endif
