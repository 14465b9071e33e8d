// SPDX-License-Identifier: GPL-2.0-only
/* Takes doorbells that count (G2), refuses all others, and reports blocked writes (G1). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/little_endian.h"
#include "guest-shim/gate_blob.h"
#include "vmm/gate/gate_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"

#define REPORTS_MAX 10

/* Writes "0xffffffffc0123456 (symbol+0x12)" for people. */
static void address_text(struct gate *g, u64 va, char *buf, size_t len)
{
	u64 off = 0;
	const char *name = kernel_symbolize(g->k, va - g->kaslr, &off);

	if (name)
		snprintf(buf, len, "0x%" PRIx64 " (%s+0x%" PRIx64 ")", va, name, off);
	else
		snprintf(buf, len, "0x%" PRIx64, va);
}

static void report_event(struct gate *g, u64 count, const char *kind, const char *text)
{
	record_event(g->rec, g->now(g->m), kind, text);
	if (count <= REPORTS_MAX)
		note_put(machine_notes(g->m), "%s: %s%s", kind, text,
			 count == REPORTS_MAX ? " (no more lines of this kind; see the record)"
					      : "");
}

static void doorbell_refuse(struct gate *g, struct vcpu *v, const char *why)
{
	char at[128], text[256];
	u64 n = atomic_fetch_add(&g->refused, 1) + 1;

	address_text(g, vcpu_regs(v)->rip, at, sizeof(at));
	snprintf(text, sizeof(text), "%s, from %s, CPL %u, vCPU %u", why, at, vcpu_cpl(v),
		 vcpu_index(v));
	report_event(g, n, "doorbell refused", text);
	vcpu_inject_gp(v);
}

/* Does the instruction that rang the doorbell lie in the gate's own page, at its own place (G2)? */
static bool from_gate(struct vcpu *v, u64 gate_va, const char **why)
{
	u64 rip = vcpu_regs(v)->rip, gpa;
	u64 off = (u64)(umbra_gate_out - umbra_gate_blob);

	if (vcpu_cpl(v)) {
		*why = "not from the kernel";
	} else if (!gate_va || rip != gate_va + off) {
		*why = "not from the gate";
	} else if (vcpu_translate(v, rip, &gpa) || gpa != UMBRA_GATE_GPA + off) {
		*why = "from a page that is not the gate's";
	} else {
		return true;
	}
	return false;
}

/*
 * Finishes the gate page: from now on gates lead to the shim's functions, whose addresses are in
 * rdx, rcx and r8 (G3).
 */
static s64 take_hello(struct gate *g, const struct kvm_regs *regs)
{
	const u64 gate = regs->rsi, enter = regs->rdx;
	const u64 end = gate + (u64)(umbra_gate_patch - umbra_gate_blob) + 4;
	const s64 rel = (s64)(enter - end);
	const s32 rel32 = (s32)rel;
	bool first;
	u64 one = 1;

	if (gate & 0xfff || rel != rel32)
		return -ERANGE;
	pthread_mutex_lock(&g->done_lock);
	first = !gate_alive(g);
	if (first) {
		store_u32(g->page + (umbra_gate_patch - umbra_gate_blob), (u32)rel32);
		g->see_va = regs->rcx;
		g->few_va = regs->r8;
		atomic_store(&g->gate_va, gate);
	}
	pthread_mutex_unlock(&g->done_lock);
	if (!first)
		return -EEXIST;
	return write(g->event, &one, sizeof(one)) == sizeof(one) ? 0 : -EIO;
}

/* Carries out a doorbell that came from the gate; returns the value for rax. */
static s64 doorbell_dispatch(struct gate *g, unsigned vcpu, const struct kvm_regs *regs)
{
	switch (regs->rdi) {
	case UMBRA_OP_HELLO:
		return take_hello(g, regs);
	case UMBRA_OP_CALL:
	case UMBRA_OP_POLL:
		/* OP_POLL's cookie is not used: the call is decided anew. */
		return gate_call(g, vcpu, regs->rsi, regs->rdx);
	case UMBRA_OP_RESULT:
		return gate_result(g, regs->rsi, regs->rdx, regs->rcx,
				   (const u64[2]){ regs->r8, regs->r9 });
	case UMBRA_OP_DONE:
		return gate_mailbox_done(g, regs->rsi, (s64)regs->rdx, regs->rcx);
	case UMBRA_OP_TAKEN:
		return gate_mailbox_taken(g, regs->rsi);
	case UMBRA_OP_GONE:
		return gate_mailbox_gone(g);
	case UMBRA_OP_COMING:
		return g->coming ? g->coming(g->coming_arg, regs->rsi) : 0;
	case UMBRA_OP_WATCHED:
		return gate_watched(g, vcpu,
				    &(struct watched_call){ regs->rsi, regs->rdx, regs->rcx,
							    regs->r8, regs->r9 });
	case UMBRA_OP_SEEN:
		return gate_seen(g, vcpu, regs->rsi, regs->rdx, regs->rcx);
	case UMBRA_OP_DRAIN:
		return gate_drain_ring(g, regs->rsi);
	case UMBRA_OP_LOST:
		return gate_lost(g, regs->rsi, regs->rdx);
	default:
		return -EOPNOTSUPP;
	}
}

/* Handles an access to the doorbell's port. */
static void on_doorbell(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct gate *g = arg;
	struct kvm_regs *regs = vcpu_regs(v);
	u64 gate = atomic_load(&g->gate_va);
	const char *why = "";
	u64 ret;

	if (!a->write)
		return;
	if (a->size != 1 || a->count != 1) {
		doorbell_refuse(g, v, "wrong width");
		return;
	}
	/* The first hello says where the gate is, and must come from there. */
	if (!gate && regs->rdi == UMBRA_OP_HELLO)
		gate = regs->rsi;
	if (!from_gate(v, gate, &why)) {
		doorbell_refuse(g, v, why);
		return;
	}
	ret = (u64)doorbell_dispatch(g, vcpu_index(v), regs);
	if (regs->rax == ret)
		return;
	regs->rax = ret;
	vcpu_set_regs_dirty(v);
}

/*
 * Ends the machine as (E12) of machine.h: the agent could not load the shim. Ignored once a shim is
 * there.
 */
static void agent_failed(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct gate *g = arg;
	u32 error = 0;

	(void)v;
	if (!a->write || !a->count || gate_alive(g))
		return;
	memcpy(&error, a->data, a->size < sizeof(error) ? a->size : sizeof(error));
	error &= 0xfff;
	machine_exit(
		g->m, EXIT_CODE_ERROR, "the guest's kernel refused the shim: %s%s",
		strerror((int)error),
		error == EKEYREJECTED || error == EPERM || error == ENOKEY
			? "; it takes only signed modules (module.sig_enforce, lockdown or Secure "
			  "Boot), start it without"
			: "; rebuild the shim for this kernel (umbra-shim RELEASE)");
}

static void blocked_write(void *arg, struct vcpu *v, u64 gpa, unsigned len, const void *data)
{
	struct gate *g = arg;
	char at[128], text[256];
	const char *what = gpa >= UMBRA_PAGES_GPA     ? "a session's entry page"
			   : gpa >= UMBRA_MAILBOX_GPA ? "the mailbox"
			   : gpa >= UMBRA_ARENA_GPA   ? "the names"
			   : gpa >= UMBRA_ANSWER_GPA  ? "an answer"
			   : gpa >= UMBRA_GATE_GPA    ? "the gate"
						      : "the info page";
	u64 n = atomic_fetch_add(&g->blocked, 1) + 1;

	(void)data;
	address_text(g, vcpu_regs(v)->rip, at, sizeof(at));
	snprintf(text, sizeof(text),
		 "%u bytes to %s at guest-physical 0x%" PRIx64 ", from %s, vCPU %u", len, what, gpa,
		 at, vcpu_index(v));
	report_event(g, n, "write blocked", text);
}

void gate_doorbell_fill(struct gate *g)
{
	memset(g->page, 0xcc, UMBRA_GATE_SIZE);
	memcpy(g->page, umbra_gate_blob, (size_t)(umbra_gate_blob_end - umbra_gate_blob));
}

int gate_doorbell_init(struct gate *g, struct err *e)
{
	int ret;

	gate_doorbell_fill(g);
	ret = machine_pio_add(g->m, UMBRA_PORT, 1, on_doorbell, g);
	if (!ret)
		ret = machine_pio_add(g->m, UMBRA_PORT_FAIL, 1, agent_failed, g);
	if (ret)
		return err_set(e, ret, "port 0x%x for the doorbell: %s", UMBRA_PORT,
			       strerror(-ret));
	machine_set_ro_write_hook(g->m, blocked_write, g);
	return 0;
}
