/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host PVM's side of the gate: memory slots, doorbell, calls in progress, commands to the shim.
 *
 * It knows frames, answers and instances (one per driver that is loaded, plus one per session for
 * the shadow's own entries); it does not know how drivers are linked or loaded (vmm/session/sessions.c), nor
 * what the policy says (policy/). A call is handled on the thread of the vCPU that rang; the frame
 * is copied once and only the copy is looked at.
 *
 * A doorbell counts if it comes from CPL 0, from the gate's own OUT, and if that address translates
 * to the gate's own frame at this moment. Anything else raises #GP in the guest and is recorded.
 *
 * Why the ledger of objects is here and not in the guest: a name that was rewritten at registration
 * is undone at the matching unregister from what the host remembers, so that a driver cannot make
 * the host undo something that it never did.
 */
#ifndef UMBRA_VMM_GATE_GATE_H
#define UMBRA_VMM_GATE_GATE_H

#include "base/err.h"
#include "base/types.h"
#include "guest-shim/abi.h"
#include "policy/policy.h"
#include "policy/record.h"
#include "shadow/kernel/kernel.h"

struct machine;
struct loop;
struct gate;

/*
 * Add the slots, fill the info page for @k running at @kaslr, take the ports. @rec is borrowed.
 * -ENOENT: the kernel lacks something that the shim needs; @e names it.
 */
int gate_create(struct gate **out, struct machine *m, struct kernel *k, u64 kaslr,
		struct record *rec, struct err *e);
/* After the vCPUs have ended. NULL is allowed. */
void gate_destroy(struct gate *p);

/* Deliver finished commands and the hello on @l; before the guest runs. */
typedef void gate_hello_fn(void *arg);
int gate_start(struct gate *p, struct loop *l, gate_hello_fn *hello, void *arg);
bool gate_alive(const struct gate *p);

/* --- pages of the sessions (UMBRA_PAGES_GPA); page 0 is the trap page -------------------- */

/* A page of int3. -ENOSPC. */
int gate_page_alloc(struct gate *p, u64 *gpa, u8 **hva);
void gate_page_free(struct gate *p, u64 gpa);

/* --- instances --------------------------------------------------------------------------- */

/*
 * A caller that the host can tell apart. @session and @driver are copied; @s is borrowed and must
 * outlive it or be replaced. Returns the number (> 0) or -ENOSPC.
 */
int gate_caller_add(struct gate *p, const struct policy_session *s, const char *session,
		    const char *driver);
/* Forgets its objects and strings. No call of it may be in progress in the guest. */
void gate_caller_remove(struct gate *p, unsigned inst);
/* Put another policy in force for the instance's next call. */
void gate_caller_set_policy(struct gate *p, unsigned inst, const struct policy_session *s);
/* Objects (devices, ...) that the instance registered and has not taken back. */
size_t gate_caller_objects(struct gate *p, unsigned inst);
/* Calls so far. */
u64 gate_caller_calls(struct gate *p, unsigned inst);

/*
 * Write a gate entry for @fn at @entry (16 bytes), which the guest maps at @va; -ERANGE if the gate
 * page is out of a branch's reach. Only after the hello.
 */
int gate_entry(struct gate *p, u8 *entry, u64 va, unsigned inst, const struct catalog_fn *fn);

/* --- commands to the guest --------------------------------------------------------------- */

/* On the loop's thread. */
typedef void gate_done_fn(void *arg, s64 result, u64 value);

struct gate_command {
	u32 cmd; /* enum umbra_cmd */
	u64 a;
	const char *name;
	const char *params;
	const void *payload;
	size_t len;
};

/*
 * Queue a command; strings and payload are copied. Commands run one after the other, from the hello
 * on. @fn is not called if the guest ends first. On the loop's thread only.
 */
int gate_command(struct gate *p, const struct gate_command *c, gate_done_fn *fn, void *arg);

struct gate_stats {
	u64 calls, results, refused_doorbells, blocked_writes, lost, nested;
	u64 gate; /* VA of the gate page; 0 before the hello */
};
void gate_stats(struct gate *p, struct gate_stats *out);

#endif
