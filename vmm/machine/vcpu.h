/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a virtual CPU on a thread of its own. The functions in the first part are for code that
 * handles an exit, on the vCPU's own thread, and are valid only until the handler returns.
 *
 * The life of a vCPU, with the function on each arrow. In IDLE and DONE the thread, which the first
 * vcpu_start() makes, waits for the next run; in BETWEEN it looks for a stop, a pause or a probe;
 * all but IDLE and DONE are within vcpu_run().
 *
 *	vcpu_create()                                KVM_RUN
 *	      │      vcpu_start()         (V1)    ┌───────────► GUEST
 *	      ▼                                   │              │ │
 *	    IDLE ───────────────────► BETWEEN ────┘              │ │
 *	    │  ▲                       │ │ ▲ ▲                   │ │
 *	    │  │                       │ │ │ └───────────────────┘ │ an exit
 *	    │  │                       │ │ │  -EINTR: the kick of  │
 *	    │  │                       │ │ │  vcpu_pause(), _stop(), _nmi(), _probe(), _ask_tid()
 *	    │  │                       │ │ │                       ▼
 *	    │  │                       │ │ └──────────────────── EXIT, in vcpu_exit_fn
 *	    │  │                       │ │          true           │
 *	    │  │         vcpu_park()   │ │ (V1)                    │ false
 *	    │  │      ┌────────────────┘ │                         │
 *	    │  │      ▼                  ▼      complete_exit()    │
 *	    │  │    PARKED ───────────► DONE ◄─────────────────────┘
 *	    │  │      vcpu_stop()        │
 *	    │  └─────────────────────────┘
 *	    ▼     vcpu_await(), vcpu_reset()
 *	vcpu_destroy()
 *
 *	PARKED goes back to BETWEEN by vcpu_pause(v, 0).
 *
 *  (V1) In BETWEEN a stop, or the machine's end, comes before a pause, and a pause before the
 *       guest; that holds for the first entry, too.
 *  (V2) A wish is written (immediate_exit among it) before the signal is sent: a signal that
 *       arrives just before KVM_RUN is not lost. That of a question, vcpu_probe() or
 *       vcpu_ask_tid(), is: it is asked again.
 *  (V3) parked() of the vcpu_config is called in PARKED only, once for each number of a pause.
 *  (V4) The access of the last exit is completed in KVM before DONE, so that KVM does not complete
 *       it after a reset.
 *  (V5) One thread has all runs of a vCPU, until vcpu_destroy(), and its id stays: managers of
 *       virtual machines and people pin it, and put it into control groups, once. It confines
 *       itself once. In IDLE and DONE it touches nothing of the vCPU, whose descriptor and memory
 *       are the main thread's then; both change hands with the lock.
 */
#ifndef UMBRA_VMM_MACHINE_VCPU_H
#define UMBRA_VMM_MACHINE_VCPU_H

#include <linux/kvm.h>
#include <signal.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/types.h"

/*
 * Has a system call that waits return with EINTR: a handler that does nothing is set for it by the
 * first vcpu_create(), as a confined VMM can set none.
 */
#define VCPU_SIGNAL (SIGRTMIN + 1)

struct machine;
struct memory;
struct threads;
struct vcpu;

unsigned vcpu_index(const struct vcpu *v);
struct machine *vcpu_machine(const struct vcpu *v);

/*
 * Returns the general registers as KVM left them at this exit (KVM_CAP_SYNC_REGS: no system call).
 * To change them, write and call vcpu_set_regs_dirty(). At an OUT, RIP is that of the OUT and KVM
 * moves on by itself, unless RIP was changed. RAX must not be written at an IN, whose result KVM
 * puts there.
 */
struct kvm_regs *vcpu_regs(struct vcpu *v);
void vcpu_set_regs_dirty(struct vcpu *v);
/*
 * Returns the special registers, read-only. At the first exit at which they are asked for that is a
 * system call; at the exits that follow they come along for a while. NULL if KVM refuses.
 */
const struct kvm_sregs *vcpu_sregs(struct vcpu *v);
/* Returns the privilege level, 0 to 3; 3 (the least) if it cannot be read. */
unsigned vcpu_cpl(struct vcpu *v);

/*
 * Returns RIP at the exit before this one, 0 at the first. After a triple fault on AMD no other is
 * known: KVM has reset the vCPU by then.
 */
u64 vcpu_previous_rip(const struct vcpu *v);

/*
 * Translates guest-virtual to guest-physical by the vCPU's own page tables; -EFAULT: not mapped. In
 * 64-bit mode without a system call (vmm/machine/page_walk.h).
 */
int vcpu_translate(struct vcpu *v, u64 gva, u64 *gpa);

/*
 * Raises #GP(0) in the guest when this exit has been handled. A port or MMIO access counts as done,
 * so the fault is at the instruction that follows; after a store that KVM could not emulate, it is
 * at the store.
 */
void vcpu_inject_gp(struct vcpu *v);

/* --- for machine.c and machine_run.c --------------------------------------------------- */

#define VCPU_EXIT_REASONS 64

struct vcpu_config {
	struct machine *machine;     /* for vcpu_machine() */
	const struct memory *memory; /* where its page tables are */
	int vm;			     /* KVM's descriptor of the virtual machine */
	unsigned index;
	struct threads *threads; /* by which the vCPU's thread confines itself */
	const bool *ending;	 /* atomic: the machine's end has begun, run nothing more */
	/*
	 * Called on the vCPU's thread when it is out of the guest because of vcpu_pause(v, @pause).
	 */
	void (*parked)(void *arg, unsigned pause);
	void *arg;
};

/*
 * Makes a vCPU in the reset state that KVM gives; everything that @c points to is borrowed for the
 * vCPU's life.
 */
int vcpu_create(struct vcpu **out, const struct vcpu_config *c, struct err *e);
/* Ends the thread and frees the vCPU, which is IDLE or DONE. NULL is allowed. */
void vcpu_destroy(struct vcpu *v);
int vcpu_fd(const struct vcpu *v);
/*
 * Sets the registers to begin with, before vcpu_start(); they go along with the first KVM_RUN.
 * If KVM refuses them, that KVM_RUN fails.
 */
void vcpu_set_start(struct vcpu *v, const struct kvm_regs *regs, const struct kvm_sregs *sregs);

/*
 * Reads the registers of a vCPU that is out of the guest (IDLE, PARKED or DONE), as it goes on with
 * them. -errno.
 */
int vcpu_get_regs(struct vcpu *v, struct kvm_regs *regs, struct kvm_sregs *sregs);

/*
 * Handles an exit on the vCPU's thread; @error is 0, or the errno with which KVM_RUN failed, and
 * @run is then of no use. False ends the run.
 */
typedef bool vcpu_exit_fn(struct vcpu *v, struct kvm_run *run, int error);

/*
 * Begins a run, in which the thread has @fn called for each exit; the first one makes the thread.
 * -errno with a line. Main thread.
 */
int vcpu_start(struct vcpu *v, vcpu_exit_fn *fn, struct err *e);
/* Asks the thread to leave the guest for good; vcpu_await() waits for it. Any thread. */
void vcpu_stop(struct vcpu *v);
/* Returns true from vcpu_start() to DONE, so that vcpu_await() would wait. */
bool vcpu_runs(const struct vcpu *v);
/* Waits for the end of the run, if there is one. Main thread. */
void vcpu_await(struct vcpu *v);
/*
 * Makes the vCPU as it was created (vmm/machine/vcpu_reset.h), between vcpu_await() and another
 * vcpu_start(). A pause, the thread and the counters stay. -errno.
 */
int vcpu_reset(struct vcpu *v, struct err *e);

/*
 * Asks the thread to leave the guest and stay out, if @pause is not 0; it calls @parked of its
 * config with that number once it is out. 0: the thread may go on. Before vcpu_start(), too. Any
 * thread.
 */
void vcpu_pause(struct vcpu *v, unsigned pause);
/*
 * Sends an NMI as a machine's NMI button does: to pin LINT1 of the local APIC, where a guest that
 * has not programmed it for NMIs does not see it (Linux does so for its first processor, for all
 * with apic_extnmi=all). Now if the vCPU is in the guest; after the pause if it is out; several
 * that come meanwhile are one. Any thread.
 */
void vcpu_nmi(struct vcpu *v);
/*
 * Returns the id of the vCPU's thread as the host numbers it, the same at every run. 0: there is
 * none yet, or it is not known; it never is where the host has no /proc. That of vCPU 0 is known
 * from its first exit or pause on.
 */
pid_t vcpu_tid(const struct vcpu *v);
/*
 * Has a thread whose id is not known yet tell it, by leaving the guest for a moment. True: it is
 * still to come; a kick just before KVM_RUN is lost, so ask again. False: vcpu_tid() has it, or
 * there is none to come. Main thread.
 */
bool vcpu_ask_tid(struct vcpu *v);

/*
 * Asks whether the vCPU is at rest for ever (not started, or halted with interrupts off). The
 * answer comes as soon as the thread has left the guest for a moment. Any thread.
 */
void vcpu_probe(struct vcpu *v);
bool vcpu_at_rest(const struct vcpu *v);

/*
 * Returns the number of exits so far, by KVM_EXIT_*, without those of vcpu_probe(); a racy read is
 * good enough for figures.
 */
u64 vcpu_exits(const struct vcpu *v, unsigned reason);
u64 vcpu_exits_total(const struct vcpu *v);
/* Returns CLOCK_MONOTONIC in ns just before the first KVM_RUN, 0 before that. */
u64 vcpu_first_run_ns(const struct vcpu *v);

#endif
