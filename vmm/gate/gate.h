/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate: carries a driver's critical calls to the host PVM (policy/) and its answers back, and
 * the VMM's commands to the guest.
 *
 * It knows frames, answers and callers; it does not know how drivers are linked or loaded
 * (vmm/session/), nor what the policy says. A call is handled on the thread of the vCPU that rang.
 *
 * Invariants, which the code names by their numbers:
 *
 *  (G1)  The guest writes frames and rings, and nothing else of the region. Info, gate, answers,
 *        arena, mailbox and session pages are read-only slots; a store there is blocked and
 *        recorded (blocked_write).
 *  (G2)  A doorbell counts only from CPL 0, from the gate's own OUT, while that address
 *        translates to the gate's own page (from_gate). Any other raises #GP in the guest and is
 *        recorded.
 *  (G3)  The hello is taken once, before any gate entry exists; from then on the gate page and
 *        its address stay as they are.
 *  (G4)  A frame, and a slot of a ring, is copied once, and only the copy is looked at: a change
 *        by the guest meanwhile does not matter (call_begin, gate_seen, slot_copy).
 *  (G5)  A CPU holds at most UMBRA_CONTEXTS frames, each only from marshalling until its answer
 *        is copied, so that no caller can leave another without one.
 *  (G6)  Nothing new is done that is not recorded: a call's line is in the record's queue before
 *        its answer is there (policy/record.h). The first call of a function by a caller that
 *        finds no room there is refused, unless it undoes something; a refusal waits for room, and
 *        stands without it. Other calls go on, and the record tells how many it lacks.
 *  (G7)  The answer is written once for each call, whole, before rax says that it is there.
 *  (G8)  The string that was checked is the one that is used: it comes with the answer, also if
 *        it is the one asked for. If the kernel keeps a pointer to it, it is lent in the arena.
 *  (G9)  A lent name lives until the kernel has let go of it: until the RESULT of a registration
 *        that failed, of the undoing, or of the program's start.
 *  (G10) A call that undoes finds its entry by the object, among those of the same caller. A
 *        ticket's entry is reached only by the caller that got the ticket, once. __symbol_put()
 *        has no object: exports.c says what keeps it with its get.
 *  (G11) A caller's number is given to another only when none of its gates can be called any
 *        more.
 *
 * One call; guest functions (guest-shim/shim_gate.c) on the left, host functions on the right:
 *
 *   umbra_gate_save, umbra_gate_enter
 *     shim_frame_claim, frame_marshal
 *     doorbell CALL ─────────────────▶ on_doorbell (G2) ─▶ gate_call
 *                                        call_begin (G4), call_read_request
 *                                        call_decide ── policy_decide, or ledger_take to undo
 *                                        call_prepare ─ ledger_open: entry and lent name (G8)
 *                                        call_let_through ── a name that leads out of the session
 *                                        call_record, call_put_line (G6) ── if one fails:
 *                                          call_refuse_unrecorded
 *                                        call_answer (G7) ── ledger_await: ticket
 *     answer_take, shim_frame_release ◀─ rax = 0; with -errno there is no answer
 *     call_carry_out
 *       call_real
 *     doorbell RESULT ticket ────────▶ gate_result ── ledger_result (G9) (G10)
 *
 * policy/ledger.h draws the states of the ledger's entry that a ticket stands for.
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
 * Adds the slots, fills the info page for @k running at @kaslr, and takes the ports. @rec is
 * borrowed. -ENOENT: the kernel lacks something that the shim needs; @e names it.
 */
int gate_create(struct gate **out, struct machine *m, struct kernel *k, u64 kaslr,
		struct record *rec, struct err *e);
/* Frees the gate, after the vCPUs have ended. NULL is allowed. */
void gate_destroy(struct gate *g);

/*
 * Forgets all commands, those that wait and those in the guest's hands, without a word to those who
 * gave them: the guest has ended. No vCPU runs. On the loop's thread.
 */
void gate_forget_commands(struct gate *g);
/*
 * Forgets the kernel that was, before the guest is reset: its hello, all callers with their exports
 * and objects, lent names, entries, pages, commands, and the hook, and calls no function of theirs.
 * The record and gate_stats() go on. No vCPU runs. Then only gate_restart() and gate_stats() may
 * follow. -errno: the gate cannot be used any more.
 */
int gate_reset(struct gate *g, struct err *e);
/* Makes the gate for @k at @kaslr, as gate_create() does. After gate_reset(). */
int gate_restart(struct gate *g, struct kernel *k, u64 kaslr, struct err *e);

/* Delivers finished commands and the hello on @l; once, before the guest runs. -errno. */
int gate_start(struct gate *g, struct loop *l);
/*
 * Called on the loop's thread when the shim has said hello. Once, before the guest runs, and once
 * after each gate_reset().
 */
typedef void gate_hello_fn(void *arg);
void gate_set_hello_hook(struct gate *g, gate_hello_fn *fn, void *arg);
bool gate_alive(const struct gate *g);
/*
 * Called on a vCPU's thread for each module that the guest's kernel has relocated, with the address
 * of its struct module. Nothing of the module runs before it returns; -errno: nothing will. Once,
 * before the guest runs, and once after each gate_reset().
 */
typedef s64 gate_coming_fn(void *arg, u64 module);
void gate_set_coming_hook(struct gate *g, gate_coming_fn *fn, void *arg);

/* --- pages of the sessions (UMBRA_PAGES_GPA); page 0 is the trap page -------------------- */

/* Allocates a page, full of int3. -ENOSPC. */
int gate_page_alloc(struct gate *g, u64 *gpa, u8 **hva);
void gate_page_free(struct gate *g, u64 gpa);

/* --- callers ----------------------------------------------------------------------------- */

/*
 * Adds a caller: a driver, or a session's shadow kernel (@driver "-"), which the host tells from
 * others by the gate entry that was used. @session and @driver are copied; @s is borrowed until
 * the caller is removed or gets another, or the vCPUs have ended. Returns its number (> 0), or
 * -ENOSPC: no number is free; -ENOMEM.
 */
int gate_caller_add(struct gate *g, const struct policy_session *s, const char *session,
		    const char *driver);
/* Removes a caller, its objects and names. No call of it may be in progress in the guest (G11). */
void gate_caller_remove(struct gate *g, unsigned caller);
/*
 * Puts another policy in force for the caller's next call. Waits for the calls in progress, but for
 * those whose line is put into the record, which have used theirs (call_put_line). So no call of
 * the caller uses the one before any more.
 */
void gate_caller_set_policy(struct gate *g, unsigned caller, const struct policy_session *s);
/* Returns how many objects (devices, ...) the caller registered and has not taken back. */
size_t gate_caller_objects(struct gate *g, unsigned caller);
/*
 * Writes the last call of the caller that was refused, for people: "filp_open("/x"): EPERM by
 * files[0] at demo.policy:7"; "" if none was.
 */
#define GATE_REFUSAL_MAX 320
void gate_caller_refusal(struct gate *g, unsigned caller, char out[GATE_REFUSAL_MAX]);
/* Returns the number of calls so far. */
u64 gate_caller_calls(struct gate *g, unsigned caller);

/*
 * The exports of a driver, for symbol_get() by its session: the name in its source, and the one
 * that it has in the guest.
 */
struct gate_export {
	const char *name, *real;
};

/*
 * Notes the exports of @caller, once; they are copied, and found only from gate_exports_live() on:
 * when the driver's init has succeeded. gate_caller_remove() forgets them. -ENOMEM; -E2BIG: more
 * than GATE_EXPORTS_MAX.
 */
#define GATE_EXPORTS_MAX 65536
int gate_exports_add(struct gate *g, unsigned caller, const struct gate_export *list, size_t n);
void gate_exports_live(struct gate *g, unsigned caller);
/* Makes them unfindable again: the guest has removed the module by itself. */
void gate_exports_dead(struct gate *g, unsigned caller);

/*
 * Returns 0 if the function is as the catalogue's row has it, by the kernel's own types, or is not
 * there; else -errno, with the difference. A driver that imports it must not be linked then: its
 * calls would be refused. Others work.
 */
int gate_fits(const struct kernel *k, const struct catalog_fn *fn, struct err *e);
/*
 * Writes a gate entry for @fn at @entry (16 bytes), which the guest maps at @va; -ERANGE if the
 * gate page is out of a branch's reach. Only after the hello.
 */
int gate_entry(struct gate *g, u8 *entry, u64 va, unsigned caller, const struct catalog_fn *fn);

/* A function of a driver's own. */
struct gate_function {
	const char *name, *section;
	u64 section_size, value; /* value: in the section */
};

/*
 * Notes the driver's functions, once, by which the record says where its calls come from: each
 * section's behind each other, in ascending order; copied. @module: its name in the guest. -ENOMEM.
 */
int gate_caller_text(struct gate *g, unsigned caller, const char *module,
		     const struct gate_function *list, size_t n);

/* Where the guest's loader has put a section of a module. */
struct gate_section {
	char name[64];
	u64 addr;
};

#define GATE_SECTIONS_MAX 128
/* Lists them; on any thread. Returns how many; 0: it is not known. */
typedef size_t gate_sections_fn(void *arg, const char *module,
				struct gate_section out[GATE_SECTIONS_MAX]);
/* Before the guest runs. */
void gate_set_sections_hook(struct gate *g, gate_sections_fn *fn, void *arg);

#define GATE_NO_FN UINT32_MAX

/*
 * Makes a function at @real (with the KASLR shift), which the catalogue lacks, one whose calls can
 * be seen, if it is none yet. *fn is its number in a gate id. -errno as kernel_call_shape();
 * -ENOSPC. On the loop's thread.
 */
int gate_see(struct gate *g, const char *symbol, u64 real, u32 *fn, const char **why);

/* An entry of a driver's own, of UMBRA_OWN_ENTRY bytes; calls arrive at UMBRA_OWN_ENTRY_AT. */
struct own_entry {
	u8 *at;	  /* aligned to 8 bytes */
	u64 va;	  /* in the guest */
	u64 real; /* the function: the kernel's, or of an inward entry the driver's */
	u32 fn;	  /* as in a gate id; GATE_NO_FN: it never leads to the gate */
};

/*
 * Writes one that leads to the function. -ERANGE: this or the gate is out of a branch's reach. Only
 * after the hello, and before the guest maps it.
 */
int gate_own_entry(struct gate *g, const struct own_entry *en, unsigned caller);

/* Where calls by an entry of a driver's own go. */
enum entry_way {
	ENTRY_KERNEL, /* to the function */
	ENTRY_EXIT,   /* to the gate, and each out of the guest */
	ENTRY_RING,   /* to the gate and into the CPU's ring; of a function that is only seen */
};

/*
 * Turns one that was written, while the guest may be calling it: who calls from now on arrives
 * there.
 */
void gate_own_entry_turn(struct gate *g, const struct own_entry *en, enum entry_way way);

/* What is known of one entry, and how the caller's calls by it are to be seen. */
struct gate_sight {
	struct own_entry en; /* that has a number */
	bool critical;	     /* calls are decided: each by an exit, seen or not */
	bool stays;	     /* it does not leave the gate once it leads there */
	bool each;	     /* each by an exit, whose line is the host's own word */
	u64 closed;	     /* where the entry leads instead, while it is closed; 0: it is not */
	/* the policy's line by which they are recorded, borrowed as the policy is; NULL: none */
	const char *rule;
};

/*
 * Sets what is to be seen of @caller, and turns its entries. The list is copied; n == 0: nothing
 * any more, and no entry is turned: the pages are about to go, and calls that are in the rings go
 * into the record first. -ENOMEM. On the loop's thread.
 */
int gate_caller_see(struct gate *g, unsigned caller, const struct gate_sight *list, size_t n);
/*
 * Changes one of that list, whose function @s names, and turns its entry while the guest may be
 * calling by it: who calls from now on arrives where it is to.
 */
void gate_caller_see_anew(struct gate *g, unsigned caller, const struct gate_sight *s);
/* Returns how many of its functions clients follow at present (trace.h). */
size_t gate_caller_followed(struct gate *g, unsigned caller);
/*
 * Puts the calls that are in the guest's rings into the record, now. The gate does so by itself now
 * and then, as long as something is seen. On the loop's thread.
 */
void gate_drain(struct gate *g);
/*
 * Does so for the last time before gate_reset() or gate_destroy(), as long as kernel and record are
 * there, and ends all who follow, who hear @why. No vCPU runs. @g NULL is allowed.
 */
void gate_end_calls(struct gate *g, const char *why);

/*
 * Writes an inward entry, whose @real is not known yet: it leads into its own padding, a trap.
 */
void gate_inward_entry(const struct own_entry *en);
/* Leads one to @en->real, while the guest may be calling it. False: it is out of reach. */
bool gate_inward_entry_lead(const struct own_entry *en);

/* A function of a driver's own whose calls by the kernel are to be told. */
struct gate_watch {
	const char *symbol; /* copied */
	unsigned caller;
	u64 real;
	u8 args; /* at most UMBRA_WATCHED_ARGS */
	enum kernel_result result;
};
/*
 * Makes it known to the shim; *fn is its number in a gate id, until gate_unwatch(). -ENOSPC,
 * -ENOMEM. On the loop's thread.
 */
int gate_watch(struct gate *g, const struct gate_watch *w, u32 *fn);
void gate_unwatch(struct gate *g, u32 fn);
/* Leads an inward entry of @caller to the gate, which calls @fn and tells. -ERANGE. */
int gate_inward_entry_watch(struct gate *g, const struct own_entry *en, unsigned caller, u32 fn);

/* What a closed entry does in place of the function. */
enum gate_closed {
	GATE_REFUSES, /* returns -ENODEV, as an int or as a pointer */
	GATE_NOTHING, /* returns 0 or NULL, or nothing */
};
/* Returns the address where such an entry leads; 0 before the hello. */
u64 gate_closed_va(struct gate *g, enum gate_closed how);
/* Closes an entry of either direction, while the guest may be calling it. False: out of reach. */
bool gate_own_entry_close(struct gate *g, const struct own_entry *en, enum gate_closed how);
/* Leads an outward one to its function, or where it is closed; @closed 0: it is not. */
void gate_own_entry_lead(const struct own_entry *en, u64 closed);
/* Returns where the entry leads now. */
u64 gate_own_entry_target(const struct own_entry *en);

/* --- commands to the guest --------------------------------------------------------------- */

/* Called with a command's result, on the loop's thread. */
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
 * Queues a command; strings and payload are copied. Commands begin in order, from the hello on;
 * those of the agent (LOAD, UNLOAD) run beside the ones that follow. @fn is not called if the guest
 * ends first. On the loop's thread only.
 */
int gate_command(struct gate *g, const struct gate_command *c, gate_done_fn *fn, void *arg);

/* Adds an event of the sessions' to the record. */
void gate_record_event(struct gate *g, const char *kind, const char *text);

struct gate_stats {
	u64 calls, results, refused_doorbells, blocked_writes, lost, nested;
	u64 gate; /* VA of the gate page; 0 before the hello */
};
void gate_stats(struct gate *g, struct gate_stats *out);

#endif
