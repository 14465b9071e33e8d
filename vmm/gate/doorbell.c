// SPDX-License-Identifier: GPL-2.0-only
/*
 * What counts as a doorbell, and what happens to what does not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "guest-shim/gate_blob.h"
#include "vmm/gate/gate_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"

#define REPORTS_MAX 10

/* "0xffffffffc0123456 (symbol+0x12)" for people. */
static void where(struct gate *p, u64 va, char *buf, size_t len)
{
	u64 off = 0;
	const char *name = kernel_symbolize(p->k, va - p->kaslr, &off);

	if (name)
		snprintf(buf, len, "0x%" PRIx64 " (%s+0x%" PRIx64 ")", va, name, off);
	else
		snprintf(buf, len, "0x%" PRIx64, va);
}

static void report(struct gate *p, u64 count, const char *kind, const char *text)
{
	record_event(p->rec, p->now(p->m), kind, text);
	if (count <= REPORTS_MAX)
		fprintf(stderr, "vmm: %s: %s%s\n", kind, text,
			count == REPORTS_MAX ? " (no more lines of this kind; see the record)"
					     : "");
}

static void refuse(struct gate *p, struct vcpu *v, const char *why)
{
	char at[128], text[256];
	u64 n = atomic_fetch_add(&p->refused, 1) + 1;

	where(p, vcpu_regs(v)->rip, at, sizeof(at));
	snprintf(text, sizeof(text), "%s, from %s, CPL %u, vCPU %u", why, at, vcpu_cpl(v),
		 vcpu_index(v));
	report(p, n, "doorbell refused", text);
	vcpu_inject_gp(v);
}

/* Does the instruction that rang lie in the gate's own frame, at its own place? */
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

/* Finish the gate page: from now on gates lead to the shim. */
static s64 hello(struct gate *p, u64 gate, u64 frames, u64 answers, u64 arena, u64 enter)
{
	s64 rel = (s64)(enter - (gate + (u64)(umbra_gate_patch - umbra_gate_blob) + 4));
	s32 rel32 = (s32)rel;
	u64 one = 1;

	(void)frames;
	(void)answers;
	(void)arena;
	if (gate & 0xfff || rel != rel32)
		return -ERANGE;
	memcpy(p->gate + (umbra_gate_patch - umbra_gate_blob), &rel32, sizeof(rel32));
	atomic_store(&p->gate_va, gate);
	if (write(p->event, &one, sizeof(one)) != sizeof(one))
		return -EIO;
	return 0;
}

static void doorbell(void *arg, struct vcpu *v, bool is_write, u16 port, u8 size, void *data,
		     u32 count)
{
	struct gate *p = arg;
	struct kvm_regs *regs = vcpu_regs(v);
	u64 gate = atomic_load(&p->gate_va);
	const char *why = "";
	s64 ret;

	(void)port;
	(void)data;
	if (!is_write)
		return;
	if (size != 1 || count != 1) {
		refuse(p, v, "wrong width");
		return;
	}
	/* The first hello says where the gate is; it must be there. */
	if (!gate && regs->rdi == UMBRA_OP_HELLO)
		gate = regs->rsi;
	if (!from_gate(v, gate, &why)) {
		refuse(p, v, why);
		return;
	}
	switch (regs->rdi) {
	case UMBRA_OP_HELLO:
		ret = atomic_load(&p->gate_va)
			      ? -EEXIST
			      : hello(p, regs->rsi, regs->rdx, regs->rcx, regs->r8, regs->r9);
		break;
	case UMBRA_OP_CALL:
	case UMBRA_OP_POLL:
		/* A cookie is only for the policy; a poll decides again. */
		ret = gate_call(p, regs->rsi, regs->rdx);
		break;
	case UMBRA_OP_RESULT:
		ret = gate_result(p, regs->rsi, regs->rdx);
		break;
	case UMBRA_OP_DONE:
		ret = gate_command_done(p, regs->rsi, (s64)regs->rdx, regs->rcx);
		break;
	case UMBRA_OP_GONE:
		ret = gate_command_gone(p);
		break;
	case UMBRA_OP_LOST:
		ret = gate_lost(p, regs->rsi, regs->rdx);
		break;
	default:
		ret = -EOPNOTSUPP;
		break;
	}
	regs->rax = (u64)ret;
	vcpu_set_regs_dirty(v);
}

/* The agent could not load the shim. It is believed only before there is one. */
static void agent_failed(void *arg, struct vcpu *v, bool is_write, u16 port, u8 size, void *data,
			 u32 count)
{
	struct gate *p = arg;
	u32 error = 0;

	(void)v;
	(void)port;
	if (!is_write || !count || gate_alive(p))
		return;
	memcpy(&error, data, size < sizeof(error) ? size : sizeof(error));
	error &= 0xfff;
	machine_exit(
		p->m, VMM_EXIT_ERROR, "the guest's kernel refused the shim: %s%s",
		strerror((int)error),
		error == EKEYREJECTED || error == EPERM || error == ENOKEY
			? "; it takes only signed modules (module.sig_enforce, lockdown or Secure "
			  "Boot), start it without"
			: "; rebuild the shim for this kernel (umbra-shim RELEASE)");
}

static void blocked_write(void *arg, struct vcpu *v, u64 gpa, unsigned len, const void *data)
{
	struct gate *p = arg;
	char at[128], text[256];
	const char *what = gpa >= UMBRA_PAGES_GPA     ? "a session's entry page"
			   : gpa >= UMBRA_MAILBOX_GPA ? "the mailbox"
			   : gpa >= UMBRA_ARENA_GPA   ? "the names"
			   : gpa >= UMBRA_ANSWER_GPA  ? "an answer"
			   : gpa >= UMBRA_GATE_GPA    ? "the gate"
						      : "the info page";
	u64 n = atomic_fetch_add(&p->blocked, 1) + 1;

	(void)data;
	where(p, vcpu_regs(v)->rip, at, sizeof(at));
	snprintf(text, sizeof(text),
		 "%u bytes to %s at guest-physical 0x%" PRIx64 ", from %s, vCPU %u", len, what, gpa,
		 at, vcpu_index(v));
	report(p, n, "write blocked", text);
}

int gate_doorbell_init(struct gate *p, struct err *e)
{
	int ret;

	memset(p->gate, 0xcc, UMBRA_GATE_SIZE);
	memcpy(p->gate, umbra_gate_blob, (size_t)(umbra_gate_blob_end - umbra_gate_blob));
	ret = machine_pio_add(p->m, UMBRA_PORT, 1, doorbell, p);
	if (!ret)
		ret = machine_pio_add(p->m, UMBRA_PORT_FAIL, 1, agent_failed, p);
	if (ret)
		return err_set(e, ret, "port 0x%x for the doorbell: %s", UMBRA_PORT,
			       strerror(-ret));
	machine_set_ro_write_hook(p->m, blocked_write, p);
	return 0;
}
