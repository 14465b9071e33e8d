/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the gate's insides among the files of this room only.
 *
 * Locks: `callers_lock` (calls read, changes of callers write) and `done_lock` (a finished
 * command). The ledger has its own, which may be taken under the first, and so may `outside_lock`
 * and `decided_lock`.
 * A ring's lock (seen_ring.lock) is taken before callers_lock.
 * The event loop takes all of them, so no thread holds one while it puts a line into the record,
 * which may wait for room there.
 */
#ifndef UMBRA_VMM_GATE_GATE_INT_H
#define UMBRA_VMM_GATE_GATE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/strmap.h"
#include "policy/ledger.h"
#include "vmm/gate/gate.h"

struct outside_name;
struct gate_trace;
struct caller_text;

struct gate_caller {
	u64 serial; /* no other caller of this gate has it, before or after */
	const struct policy_session *policy;
	char *session;
	char *driver;
	atomic_ullong calls;
	/* a bit for each function of the catalogue: a call of it is in the record */
	atomic_ullong recorded[(CATALOG_MAX + 63) / 64];
	u32 rows[CATALOG_MAX]; /* of each, of its last call: record_call.row */
	pthread_mutex_t refusal_lock;
	char refusal[GATE_REFUSAL_MAX]; /* of the last call that was refused, or "" */
	/* exports.c; names and array are one allocation */
	struct gate_export *exports;
	size_t n_exports;
	u64 exports_live; /* 0: not live; else a number that grows from driver to driver */
	struct outside_name *outside; /* outside_lock */
	struct caller_text *text;     /* site.c; NULL: not known */
	/* sights.c: what is to be seen of it, by the functions' numbers */
	struct sight *sights;
	size_t n_sights;
};

/* One entry of a caller. */
struct sight {
	struct gate_sight as;
	u32 row;	  /* of its last call: record_call.row */
	u32 traces;	  /* a bit for each client that follows it (trace.h) */
	atomic_bool told; /* the first call's line is there, so others may go into the ring */
};

/*
 * The most commands in the guest's hands at a time: one in the mailbox, others that it has taken
 * out.
 */
#define MAIL_RUNNING_MAX 64

/* A command that waits for its turn, or for its DONE; owns its strings and payload. */
struct mail {
	struct mail *next;
	struct gate_command c;
	gate_done_fn *fn;
	void *arg;
};

/* A command in the guest's hands. */
struct mail_running {
	struct mail *q; /* NULL: the place is free */
	u32 seq;
	bool done;
	s64 result;
	u64 value;
};

#define SEEN_MAX (UMBRA_WATCHED_FIRST - CATALOG_MAX)

/* A function that is only seen. */
struct seen_fn {
	struct catalog_fn row; /* for the record; its name is its own */
	struct kernel_callee callee;
};

#define SEEN_TEXTS 4 /* of a call */

/* What the host knows of one of the guest's rings, in which it believes nothing. */
struct seen_ring {
	pthread_mutex_t lock;
	u64 tail;	/* the position of the next slot to be read */
	u64 drained_ns; /* when it was drained last */
	/* the last clock slot: the time-stamp counter, the guest's time, and kHz; 0: none came */
	u64 tsc, ns, khz;
	u32 interrupt; /* of its bits of a context */
	u32 pid;       /* of the last task slot, and its name */
	char command[UMBRA_COMMAND_MAX];
	/* texts of the call that is to follow */
	u8 n_texts, text_arg[SEEN_TEXTS];
	char text[SEEN_TEXTS][UMBRA_TEXT_MAX];
};

struct gate {
	struct machine *m;
	struct kernel *k;
	struct record *rec;
	u64 (*now)(const struct machine *m); /* ns since the start */
	u64 kaslr;

	/* the region's slots (G1) */
	struct umbra_info *info;
	u8 *page; /* the gate page */
	struct umbra_frame *frames;
	struct umbra_answer *answers;
	char *arena;
	struct umbra_mail *mailbox;
	u8 *pages;
	struct umbra_seen_area *seen_area;

	u64 see_va, few_va;  /* the shim's umbra_see_save() and umbra_few_save(), with gate_va */
	_Atomic u64 gate_va; /* 0 until the hello */

	pthread_rwlock_t callers_lock;
	struct gate_caller *callers[UMBRA_CALLERS]; /* 0 is none */
	u64 callers_made;			    /* the last one's serial */
	/* of a free number that counts names of programs: the session whose driver left them */
	char *left_by[UMBRA_CALLERS];

	pthread_mutex_t outside_lock; /* the callers' `outside`, of all */
	u64 exports_live;	      /* drivers whose exports have become so */

	struct ledger *ledger;

	u8 *page_used; /* one byte per page */
	size_t page_hint;

	/* commands: on the loop's thread only */
	struct loop *loop;
	int event; /* eventfd: the hello, a DONE or the agent's end has to be looked at */
	gate_hello_fn *hello;
	void *hello_arg;
	bool hello_told;
	gate_coming_fn *coming;
	void *coming_arg;
	struct mail *head, **tail;
	bool full;	/* the mailbox holds a command that is neither taken nor done */
	bool gone_seen; /* `gone` has been acted upon */
	u32 seq;

	/* from the vCPUs' threads to the loop's */
	pthread_mutex_t done_lock;
	struct mail_running running[MAIL_RUNNING_MAX];
	bool taken; /* the mailbox's words were read */
	bool gone;  /* no agent any more */

	/*
	 * seen.c; the loop's thread adds, before an entry names what was added, and the vCPUs'
	 * threads read.
	 */
	struct {
		struct seen_fn *list; /* SEEN_MAX of them, untouched ones cost no memory */
		_Atomic size_t n;
		struct strmap by_name; /* to the index in list */
		bool full_told;
	} seen;

	/* see_ring.c */
	struct seen_ring rings[UMBRA_SEEN_CPUS];
	u32 seen_lost[UMBRA_CALLERS]; /* as the guest has said; the loop's thread */
	_Atomic size_t n_sights;      /* that are wanted, of all callers */
	bool drained;		      /* for the last time: the kernel may be gone */
	unsigned drain_at;	      /* the ring at which the timer goes on */
	int drain_timer;	      /* runs while there are any; -1: there is no loop */
	_Atomic s64 guest_skew;	      /* the host's time less the guest's, as it has said */

	/* decided.c */
	struct decided *decided; /* NULL: none yet */
	pthread_mutex_t decided_lock;
	_Atomic u64 decided_last;	 /* the number that was given out last */
	struct kernel_callee *row_types; /* row_types.c: callers_lock; NULL: of none yet */

	/* trace.c: clients that follow calls, under callers_lock, and those that get their rest */
	struct gate_trace *traces, *traces_ending;
	u32 trace_bits; /* that they have; the loop's thread */

	gate_sections_fn *sections; /* or NULL */
	void *sections_arg;
	struct watched *watched; /* watch.c: UMBRA_WATCHED_MAX of them, callers_lock; NULL: none */

	atomic_ullong calls, results, refused, blocked, lost, nested;
};

/* info_page.c */

/* Writes the info page: addresses and descriptors, which never change. -ENOENT, -E2BIG. */
int gate_fill_info(struct gate *g, struct err *e);

/* callers.c: makes the table of callers and its lock. */
void gate_callers_init(struct gate *g);
void gate_callers_destroy(struct gate *g);
/* Frees all callers. No vCPU runs. */
void gate_callers_forget(struct gate *g);
/* Returns the caller that gate id @id names; callers_lock is held. NULL: none (any more). */
static inline struct gate_caller *gate_caller_of(struct gate *g, u64 id)
{
	u64 number = UMBRA_ID_CALLER(id);

	return number < UMBRA_CALLERS ? g->callers[number] : NULL;
}

/* exports.c; callers_lock is held */

/*
 * Says in @r->place and @r->export where @r->name leads for a caller of @session. False: nowhere
 * where a get can have led.
 */
bool gate_exports_find(struct gate *g, const char *session, struct policy_request *r);
/*
 * Notes that @name leads out of the session from now on, until @c is gone. -ENOMEM; -ENOSPC: @c was
 * let through with too many.
 */
int gate_exports_let_through(struct gate *g, struct gate_caller *c, const char *name);
/* Frees what is noted of @c, which nobody else knows any more. */
void gate_exports_free(struct gate_caller *c);

/* seen.c: makes the table of functions whose calls can be seen, and empties it. */
int gate_seen_init(struct gate *g);
void gate_seen_forget(struct gate *g);
/* Returns the function of gate id @id if it is one that is only seen, else NULL. */
const struct seen_fn *gate_seen_of(const struct gate *g, u64 id);

/* see_calls.c */

/* A call that is over, copied out of a frame or a ring: all of it is the guest's word. */
struct told_call {
	u64 id;
	unsigned vcpu;
	u64 args[UMBRA_ARGS];
	const char *texts[UMBRA_ARGS];
	u64 ret, duration_ns, site, time_ns, guest_ns;
	u64 number; /* of a function of the catalogue: as the answer had it */
	u32 pid;
	const char *command;
	bool by_exit, may_wait;
};

/* Puts it into the record, if it is to be seen. -EINVAL: there is no such caller or function. */
s64 gate_seen_put(struct gate *g, const struct told_call *c);

/* row_types.c; callers_lock is held */

/*
 * Prepares for calls of function number @fn to be seen, if it is one of the catalogue; held for
 * writing.
 */
void gate_row_prepare(struct gate *g, u32 fn);
#define CALL_TEXT   1024 /* bytes of the arguments, as text */
#define RESULT_TEXT 100
/* Writes arguments and result of a call of one that was prepared; else "". */
void gate_row_text(struct gate *g, u32 fn, const struct told_call *c, char *call, size_t size,
		   char *result, size_t result_size);
/* Says so as kernel_call_failed() does. */
bool gate_row_failed(struct gate *g, u32 fn, u64 ret);
/* Forgets all, with the kernel. No vCPU runs. */
void gate_row_types_forget(struct gate *g);

/* decided.c */

struct decided;

void gate_decided_init(struct gate *g);
void gate_decided_destroy(struct gate *g);
/* Forgets all calls whose ends are not there. No vCPU runs. */
void gate_decided_forget(struct gate *g);
/* Returns a number for a call, not 0; any thread. */
u64 gate_decided_number(struct gate *g);

/*
 * Keeps call @number, by gate id @id, until its end comes out of a ring: then the record, if the
 * policy wants it, and those who follow get its line. callers_lock is held. False: no memory.
 */
bool gate_decided_begin(struct gate *g, u64 number, u32 id, const struct sight *s,
			const struct record_call *call);
/*
 * Ends the call that the guest says is over. -EINVAL: there is none such. callers_lock is not held.
 */
s64 gate_decided_end(struct gate *g, const struct told_call *c);
/*
 * Tells @traces of calls that are not over yet, by a line without a result. callers_lock is held.
 */
void gate_decided_tell_open(struct gate *g, u32 traces);

/* sights.c; callers_lock is held, for writing where something changes */

/* Returns what is to be seen of a function by its number. NULL: nothing. */
struct sight *gate_sight_of(const struct gate_caller *c, u32 fn);
/* Is it to be seen? A critical one is decided all the same. */
static inline bool gate_sight_is_wanted(const struct sight *s)
{
	return s->as.rule || s->traces;
}
/* Turns the entry as it is to be now; for reading, too. */
void gate_sight_turn(struct gate *g, struct sight *s);
/* Sets all, an array of @n that is taken over, or one, and turns the entries. */
void gate_sights_set(struct gate *g, struct gate_caller *c, struct sight *list, size_t n);
void gate_sight_change(struct gate *g, struct gate_caller *c, const struct gate_sight *as);
/* Sets for each entry again who follows it, and turns it. */
void gate_sights_retrace(struct gate *g);
/* Frees what is to be seen of @c. */
void gate_sights_free(struct gate *g, struct gate_caller *c);

#define SITE_TEXT 160

/*
 * site.c: writes where in the driver of @c @va is. NULL: its symbols are not known. @look: it may
 * look for the driver's sections, as long as the guest's list of modules is; not on the loop's
 * thread.
 */
const char *gate_site_text(struct gate *g, struct gate_caller *c, u64 va, bool look, char *buf,
			   size_t size);
void gate_text_free(struct caller_text *t);

/* trace_lines.c; callers_lock is held */

/* Returns who follows calls of @function by @c. */
u32 gate_traces_of(const struct gate *g, const struct gate_caller *c, const char *function);
/* Returns true if one of @traces gets lines, not counts alone. */
bool gate_trace_wants_lines(const struct gate *g, u32 traces);
/* What is told of a call besides its line. */
struct told_end {
	const char *function; /* lives as long as the gate's table of functions, or the catalogue */
	u64 time_ns, duration_ns;
	bool failed;
};
/* Tells @traces of a call, by its @line, which may be empty where nobody wants one. */
void gate_trace_line(struct gate *g, u32 traces, const struct told_end *told,
		     const struct record_line *line);
/* Does so of one whose line is yet to be made. */
void gate_trace_call(struct gate *g, u32 traces, const struct record_call *call, bool failed);
/* Tells those that follow @session that its guest has lost @n calls. */
void gate_trace_lose(struct gate *g, const char *session, u64 n);
/*
 * trace.c: ends all, and says why, without the lock, on the loop's thread; what sockets take at
 * once is sent.
 */
void gate_traces_end(struct gate *g, const char *why);

/* see_ring.c */
void gate_rings_init(struct gate *g);
void gate_rings_destroy(struct gate *g);
/* Begins anew: the guest's memory was cleared. */
void gate_rings_forget(struct gate *g);
/* Drains one ring, on a vCPU's thread. */
s64 gate_drain_ring(struct gate *g, u64 cpu);
/* Has the timer run if anything is to be seen, else not. */
void gate_drain_arm(struct gate *g);

/* see_calls.c: puts down a call that has returned; nothing is decided about it. */
s64 gate_seen(struct gate *g, unsigned vcpu, u64 idx, u64 id, u64 ret);
/* watch.c: takes the word of a call of a driver by the kernel; returns the value for rax. */
struct watched_call {
	u64 id, result, ns, arg, pid; /* as UMBRA_OP_WATCHED has them */
};
s64 gate_watched(struct gate *g, unsigned vcpu, const struct watched_call *c);
/* Forgets all. No vCPU runs. */
void gate_watched_forget(struct gate *g);

/* call.c: each carries out one kind of doorbell and returns the value for rax. */
s64 gate_call(struct gate *g, unsigned vcpu, u64 idx, u64 id);
s64 gate_result(struct gate *g, u64 ticket, u64 id, u64 ret, const u64 name[2]);
s64 gate_lost(struct gate *g, u64 id, bool refused);

/* doorbell.c */

/* Puts the gate's code into its page. */
void gate_doorbell_fill(struct gate *g);
/* Does so and takes the ports. */
int gate_doorbell_init(struct gate *g, struct err *e);

/* mailbox.c */

/*
 * Handles the event descriptor: tells the hello, finishes commands that are done, sends the next.
 */
void gate_mailbox_event(void *arg, u32 events);
/*
 * Notes, on a vCPU's thread, that command @seq was read from the mailbox. -EINVAL: it is not the
 * one in there.
 */
s64 gate_mailbox_taken(struct gate *g, u64 seq);
/* Notes, on a vCPU's thread, that command @seq is done. -EINVAL: it is not in the guest's hands. */
s64 gate_mailbox_done(struct gate *g, u64 seq, s64 result, u64 value);
/* Notes, on a vCPU's thread, that the agent has ended. */
s64 gate_mailbox_gone(struct gate *g);
/* Frees all commands, those that wait and those that run, and calls none of their callbacks. */
void gate_mailbox_free_all(struct gate *g);

#endif
