// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements a virtual CPU: its thread, how it enters and leaves the guest, and what it counts.
 *
 * A thread leaves the guest by immediate_exit and a signal, in that order (V2). A pause, a stop, an
 * NMI and an exit to complete may want it in or out at once, so the field is only written with the
 * lock, from the wishes of all four.
 */
#include "vmm/machine/vcpu.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "vmm/machine/page_walk.h"
#include "vmm/machine/threads.h"
#include "vmm/machine/vcpu_reset.h"

#define GP_VECTOR 13
/*
 * Who has asked for the special registers at an exit asks at the next ones, too (a driver's calls):
 * for so many KVM_RUNs they come along, which costs less than a system call for them, and more than
 * nothing at exits where nobody asks.
 */
#define SREGS_RUNS  8
#define TID_UNKNOWN (-1) /* asked for, and the host did not tell */

#define CR0_PG	 0x80000000U
#define CR4_LA57 0x1000U
#define EFER_LMA 0x400U

/* Of the local APIC (SDM vol. 3, 11.5.1): the pin that a machine's NMI button is wired to. */
#define APIC_LINT1    0x360
#define LINT_MODE     0x700U
#define LINT_MODE_NMI 0x400U
#define LINT_MASKED   0x10000U

/*
 * Of a vCPU's area that is shared with KVM: struct kvm_run, and the data of port I/O. Those of MMIO
 * that is coalesced, which is not used here, would be a third page (<asm/kvm.h>).
 */
#define RUN_SIZE ((size_t)(KVM_PIO_PAGE_OFFSET + 1) * 4096)

_Static_assert(sizeof(struct kvm_run) <= 4096, "a page");

struct vcpu {
	struct vcpu_config config;
	int fd;
	struct kvm_run *run;
	vcpu_exit_fn *fn;
	pthread_t thread;
	pid_t tid;	      /* atomic; 0: not asked for yet */
	bool started;	      /* atomic, as runs: there is a thread, until the vCPU is destroyed */
	bool runs;	      /* atomic, written with the lock: neither IDLE nor DONE */
	bool quit;	      /* with the lock: the thread is to end */
	bool stop;	      /* atomic */
	pthread_mutex_t lock; /* immediate_exit, and for the conditions */
	pthread_cond_t wake;  /* stop, pause, runs or quit has changed; the thread waits for it */
	pthread_cond_t done;  /* the thread has come to DONE */
	unsigned pause;	      /* atomic; not 0: stay out of the guest */
	bool nmi;	      /* atomic: vcpu_nmi() wants one delivered */
	bool probe;	      /* atomic: vcpu_probe() wants an answer */
	bool at_rest;	      /* atomic: the answer to vcpu_probe() */
	bool inject_gp;	      /* own thread only, as all below; in IDLE vcpu_reset()'s */
	unsigned parked;      /* the last pause that was reported: (V3), over a reset, too */
	bool sregs_valid;     /* sregs has those of this exit, by a system call */
	unsigned sregs_runs;  /* so many KVM_RUNs bring the special registers along */
	u64 rip, previous_rip;
	struct kvm_sregs sregs;
	u64 exits[VCPU_EXIT_REASONS]; /* written by the own thread, read by any: atomic */
	u64 first_run_ns;	      /* atomic */
};

unsigned vcpu_index(const struct vcpu *v)
{
	return v->config.index;
}

struct machine *vcpu_machine(const struct vcpu *v)
{
	return v->config.machine;
}

struct kvm_regs *vcpu_regs(struct vcpu *v)
{
	return &v->run->s.regs.regs;
}

void vcpu_set_regs_dirty(struct vcpu *v)
{
	v->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}

void vcpu_set_start(struct vcpu *v, const struct kvm_regs *regs, const struct kvm_sregs *sregs)
{
	v->run->s.regs.regs = *regs;
	v->run->s.regs.sregs = *sregs;
	v->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

int vcpu_get_regs(struct vcpu *v, struct kvm_regs *regs, struct kvm_sregs *sregs)
{
	const struct kvm_run *run = v->run;

	/* What was written goes along with the next KVM_RUN; KVM does not have it yet. */
	if (run->kvm_dirty_regs & KVM_SYNC_X86_REGS)
		*regs = run->s.regs.regs;
	else if (ioctl(v->fd, KVM_GET_REGS, regs))
		return -errno;
	if (run->kvm_dirty_regs & KVM_SYNC_X86_SREGS)
		*sregs = run->s.regs.sregs;
	else if (ioctl(v->fd, KVM_GET_SREGS, sregs))
		return -errno;
	return 0;
}

const struct kvm_sregs *vcpu_sregs(struct vcpu *v)
{
	v->sregs_runs = SREGS_RUNS;
	if (v->run->kvm_valid_regs & KVM_SYNC_X86_SREGS)
		return &v->run->s.regs.sregs;
	if (!v->sregs_valid) {
		if (ioctl(v->fd, KVM_GET_SREGS, &v->sregs))
			return NULL;
		v->sregs_valid = true;
	}
	return &v->sregs;
}

u64 vcpu_previous_rip(const struct vcpu *v)
{
	return v->previous_rip;
}

unsigned vcpu_cpl(struct vcpu *v)
{
	const struct kvm_sregs *s = vcpu_sregs(v);

	/* SS.DPL is the CPL in every mode (SDM vol. 3, 5.5); real mode has 0 there. */
	return s ? s->ss.dpl : 3;
}

/* Asks KVM, which knows the tables of every mode. */
static int translate_by_kvm(struct vcpu *v, u64 gva, u64 *gpa)
{
	struct kvm_translation t = { .linear_address = gva };

	if (ioctl(v->fd, KVM_TRANSLATE, &t))
		return -errno;
	if (!t.valid)
		return -EFAULT;
	*gpa = t.physical_address;
	return 0;
}

int vcpu_translate(struct vcpu *v, u64 gva, u64 *gpa)
{
	const struct kvm_sregs *s = vcpu_sregs(v);
	unsigned unused;
	int levels;
	u64 left;

	if (!s || !(s->cr0 & CR0_PG) || !(s->efer & EFER_LMA))
		return translate_by_kvm(v, gva, gpa);
	levels = s->cr4 & CR4_LA57 ? 5 : 4;
	unused = 64 - (12 + 9 * (unsigned)levels); /* bits of an address, all like the one below */
	if ((u64)((s64)(gva << unused) >> unused) != gva)
		return -EFAULT;
	return page_walk(v->config.memory, s->cr3, levels, gva, gpa, &left);
}

void vcpu_inject_gp(struct vcpu *v)
{
	v->inject_gp = true;
}

static void vcpu_on_kick(int sig)
{
	(void)sig;
}

int vcpu_create(struct vcpu **out, const struct vcpu_config *c, struct err *e)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	struct sigaction sa = { .sa_handler = vcpu_on_kick };
	int ret;

	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->wake, NULL);
	pthread_cond_init(&v->done, NULL);
	/* The handler is set here because a confined VMM cannot set one any more. */
	sigemptyset(&sa.sa_mask); /* and no SA_RESTART, since KVM_RUN is to return */
	if (c->index == 0)
		sigaction(VCPU_SIGNAL, &sa, NULL);
	v->config = *c;
	v->fd = ioctl(c->vm, KVM_CREATE_VCPU, (unsigned long)c->index);
	if (v->fd < 0) {
		ret = err_set(e, -errno, "KVM cannot create vCPU %u: %s", c->index,
			      strerror(errno));
		goto fail;
	}
	v->run = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		ret = err_set(e, -errno, "cannot map vCPU %u: %s", c->index, strerror(errno));
		goto fail;
	}
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	*out = v;
	return 0;
fail:
	vcpu_destroy(v);
	return ret;
}

/* Ends the thread, which waits for another run (V5). */
static void vcpu_end_thread(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	v->quit = true;
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
	pthread_join(v->thread, NULL);
}

void vcpu_destroy(struct vcpu *v)
{
	if (!v)
		return;
	if (v->started)
		vcpu_end_thread(v);
	if (v->run)
		munmap(v->run, RUN_SIZE);
	if (v->fd >= 0)
		close(v->fd);
	pthread_cond_destroy(&v->done);
	pthread_cond_destroy(&v->wake);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

int vcpu_fd(const struct vcpu *v)
{
	return v->fd;
}

/*
 * Sets immediate_exit of struct kvm_run while the vCPU is to stop, to pause or to take an NMI. The
 * caller holds the lock.
 */
static void update_immediate_exit(struct vcpu *v)
{
	bool out = __atomic_load_n(&v->stop, __ATOMIC_ACQUIRE) ||
		   __atomic_load_n(&v->pause, __ATOMIC_ACQUIRE) ||
		   __atomic_load_n(&v->nmi, __ATOMIC_ACQUIRE);

	__atomic_store_n(&v->run->immediate_exit, out, __ATOMIC_RELEASE);
}

/*
 * Enters with immediate_exit: KVM finishes the access of the last exit and does not run the guest.
 */
static int complete_exit(struct vcpu *v)
{
	int ret;

	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&v->lock);
	ret = ioctl(v->fd, KVM_RUN, 0) ? errno : 0;
	pthread_mutex_lock(&v->lock);
	update_immediate_exit(v);
	pthread_mutex_unlock(&v->lock);
	return ret == EINTR || ret == EAGAIN ? 0 : ret;
}

static int do_inject_gp(struct vcpu *v)
{
	struct kvm_vcpu_events ev;
	int ret;

	v->inject_gp = false;
	ret = complete_exit(v);
	if (ret)
		return ret;
	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &ev))
		return errno;
	ev.flags = 0;
	ev.exception.injected = 1;
	ev.exception.pending = 0;
	ev.exception.nr = GP_VECTOR;
	ev.exception.has_error_code = 1;
	ev.exception.error_code = 0;
	return ioctl(v->fd, KVM_SET_VCPU_EVENTS, &ev) ? errno : 0;
}

/* Asks whether the guest lets the NMI button through to this vCPU, which waits for no start. */
static bool nmi_pin_is_open(const struct vcpu *v)
{
	struct kvm_mp_state mp;
	struct kvm_lapic_state a;
	u32 lint1;

	if (ioctl(v->fd, KVM_GET_MP_STATE, &mp) || ioctl(v->fd, KVM_GET_LAPIC, &a))
		return false;
	memcpy(&lint1, a.regs + APIC_LINT1, sizeof(lint1));
	return mp.mp_state != KVM_MP_STATE_UNINITIALIZED &&
	       mp.mp_state != KVM_MP_STATE_INIT_RECEIVED && !(lint1 & LINT_MASKED) &&
	       (lint1 & LINT_MODE) == LINT_MODE_NMI;
}

static void deliver_nmi(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->nmi, false, __ATOMIC_RELEASE);
	update_immediate_exit(v);
	pthread_mutex_unlock(&v->lock);
	if (nmi_pin_is_open(v))
		ioctl(v->fd, KVM_NMI, 0);
}

static void answer_probe(struct vcpu *v)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	bool rest;

	if (ioctl(v->fd, KVM_GET_MP_STATE, &mp))
		return;
	rest = mp.mp_state == KVM_MP_STATE_UNINITIALIZED ||
	       mp.mp_state == KVM_MP_STATE_INIT_RECEIVED ||
	       (mp.mp_state == KVM_MP_STATE_HALTED && !v->run->if_flag);
	__atomic_store_n(&v->at_rest, rest, __ATOMIC_RELEASE);
}

static void note_first_run(struct vcpu *v)
{
	if (v->first_run_ns)
		return; /* this run comes after a reset */
	__atomic_store_n(&v->first_run_ns, now_ns(), __ATOMIC_RELAXED);
}

static void note_tid(struct vcpu *v)
{
	pid_t tid;

	if (v->tid)
		return;
	tid = threads_own_id(v->config.threads);
	__atomic_store_n(&v->tid, tid ? tid : TID_UNKNOWN, __ATOMIC_RELEASE);
}

/* Stays out of the guest (PARKED) until the pause is over; reports it once for each pause (V3). */
static void vcpu_park(struct vcpu *v)
{
	unsigned pause;

	note_tid(v);
	pthread_mutex_lock(&v->lock);
	while ((pause = __atomic_load_n(&v->pause, __ATOMIC_ACQUIRE)) &&
	       !__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE)) {
		if (pause != v->parked) {
			v->parked = pause;
			pthread_mutex_unlock(&v->lock);
			v->config.parked(v->config.arg, pause);
			pthread_mutex_lock(&v->lock);
			continue;
		}
		pthread_cond_wait(&v->wake, &v->lock);
	}
	pthread_mutex_unlock(&v->lock);
	/*
	 * Tells a guest that has a kvm-clock, so that its watchdogs excuse the gap; without one KVM
	 * gives an error.
	 */
	if (v->first_run_ns)
		ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
}

/* Says which registers are to come along with the next exit. */
static void choose_registers(struct vcpu *v)
{
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	if (!v->sregs_runs)
		return;
	v->sregs_runs--;
	v->run->kvm_valid_regs |= KVM_SYNC_X86_SREGS;
}

/* Runs the guest, from the first BETWEEN to just before DONE. */
static void vcpu_run(struct vcpu *v)
{
	bool go_on = true;

	while (__atomic_load_n(&v->pause, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE))
		vcpu_park(v);
	note_first_run(v);
	/* (V1): a processor that has reset or switched off its machine executes nothing more. */
	while (go_on && !__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(v->config.ending, __ATOMIC_ACQUIRE)) {
		unsigned reason;
		int error;

		if (__atomic_load_n(&v->pause, __ATOMIC_ACQUIRE)) {
			vcpu_park(v);
			continue;
		}
		if (__atomic_load_n(&v->nmi, __ATOMIC_ACQUIRE))
			deliver_nmi(v);
		choose_registers(v);
		error = ioctl(v->fd, KVM_RUN, 0) ? errno : 0;
		v->sregs_valid = false;
		note_tid(v);
		if (error == EINTR || error == EAGAIN) {
			if (__atomic_exchange_n(&v->probe, false, __ATOMIC_ACQ_REL))
				answer_probe(v);
			continue;
		}
		if (!error) {
			v->previous_rip = v->rip;
			v->rip = v->run->s.regs.regs.rip;
			reason = v->run->exit_reason;
			if (reason >= VCPU_EXIT_REASONS)
				reason = KVM_EXIT_UNKNOWN;
			__atomic_store_n(&v->exits[reason], v->exits[reason] + 1, __ATOMIC_RELAXED);
		}
		go_on = v->fn(v, v->run, error);
		if (go_on && v->inject_gp) {
			error = do_inject_gp(v);
			if (error)
				go_on = v->fn(v, v->run, error);
		}
	}
	/* (V4) */
	complete_exit(v);
	note_tid(v);
}

/* Stays in DONE and IDLE until vcpu_start(); returns false if the thread is to end (V5). */
static bool vcpu_await_run(struct vcpu *v)
{
	bool runs;

	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->runs, false, __ATOMIC_RELEASE);
	pthread_cond_signal(&v->done);
	while (!(runs = __atomic_load_n(&v->runs, __ATOMIC_ACQUIRE)) && !v->quit)
		pthread_cond_wait(&v->wake, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return runs;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", v->config.index);
	threads_begin(v->config.threads, THREAD_VCPU, name);
	/*
	 * The id of vCPU 0's thread is noted at its first exit, to save the start a system call.
	 * Another vCPU may stay in its first KVM_RUN until the guest starts it.
	 */
	if (v->config.index)
		note_tid(v);
	do
		vcpu_run(v);
	while (vcpu_await_run(v));
	return NULL;
}

int vcpu_start(struct vcpu *v, vcpu_exit_fn *fn, struct err *e)
{
	int ret = 0;

	pthread_mutex_lock(&v->lock);
	v->fn = fn;
	if (v->started)
		pthread_cond_signal(&v->wake); /* the thread waits for that (V5) */
	else
		ret = pthread_create(&v->thread, NULL, vcpu_thread, v);
	/* With the lock: who has written a wish since then finds the thread, to kick it (V2). */
	__atomic_store_n(&v->started, !ret, __ATOMIC_RELEASE);
	__atomic_store_n(&v->runs, !ret, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&v->lock);
	if (ret)
		return err_set(e, -ret, "cannot start a thread for vCPU %u: %s", v->config.index,
			       strerror(ret));
	return 0;
}

static void vcpu_kick(struct vcpu *v)
{
	if (__atomic_load_n(&v->started, __ATOMIC_ACQUIRE))
		pthread_kill(v->thread, VCPU_SIGNAL);
}

void vcpu_stop(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->stop, true, __ATOMIC_RELEASE);
	update_immediate_exit(v);
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
	vcpu_kick(v);
}

void vcpu_pause(struct vcpu *v, unsigned pause)
{
	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->pause, pause, __ATOMIC_RELEASE);
	update_immediate_exit(v);
	pthread_cond_signal(&v->wake);
	pthread_mutex_unlock(&v->lock);
	if (pause)
		vcpu_kick(v);
}

void vcpu_nmi(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->nmi, true, __ATOMIC_RELEASE);
	update_immediate_exit(v);
	pthread_mutex_unlock(&v->lock);
	vcpu_kick(v);
}

pid_t vcpu_tid(const struct vcpu *v)
{
	pid_t tid = __atomic_load_n(&v->tid, __ATOMIC_ACQUIRE);

	return tid == TID_UNKNOWN ? 0 : tid;
}

bool vcpu_ask_tid(struct vcpu *v)
{
	if (!v->started || __atomic_load_n(&v->tid, __ATOMIC_ACQUIRE))
		return false;
	vcpu_kick(v);
	return true;
}

bool vcpu_runs(const struct vcpu *v)
{
	return __atomic_load_n(&v->runs, __ATOMIC_ACQUIRE);
}

void vcpu_await(struct vcpu *v)
{
	pthread_mutex_lock(&v->lock);
	while (__atomic_load_n(&v->runs, __ATOMIC_ACQUIRE))
		pthread_cond_wait(&v->done, &v->lock);
	pthread_mutex_unlock(&v->lock);
}

int vcpu_reset(struct vcpu *v, struct err *e)
{
	v->run->kvm_dirty_regs = 0;
	v->inject_gp = v->sregs_valid = false;
	v->rip = v->previous_rip = 0;
	v->probe = v->at_rest = false;
	pthread_mutex_lock(&v->lock);
	__atomic_store_n(&v->stop, false, __ATOMIC_RELEASE);
	__atomic_store_n(&v->nmi, false, __ATOMIC_RELEASE);
	update_immediate_exit(v);
	pthread_mutex_unlock(&v->lock);
	return vcpu_reset_state(v->fd, v->config.index, e);
}

void vcpu_probe(struct vcpu *v)
{
	__atomic_store_n(&v->at_rest, false, __ATOMIC_RELEASE);
	__atomic_store_n(&v->probe, true, __ATOMIC_RELEASE);
	vcpu_kick(v);
}

bool vcpu_at_rest(const struct vcpu *v)
{
	return __atomic_load_n(&v->at_rest, __ATOMIC_ACQUIRE);
}

u64 vcpu_exits(const struct vcpu *v, unsigned reason)
{
	return reason < VCPU_EXIT_REASONS ? __atomic_load_n(&v->exits[reason], __ATOMIC_RELAXED)
					  : 0;
}

u64 vcpu_exits_total(const struct vcpu *v)
{
	u64 sum = 0;

	for (unsigned i = 0; i < VCPU_EXIT_REASONS; i++)
		sum += vcpu_exits(v, i);
	return sum;
}

u64 vcpu_first_run_ns(const struct vcpu *v)
{
	return __atomic_load_n(&v->first_run_ns, __ATOMIC_RELAXED);
}
