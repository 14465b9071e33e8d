/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the pvm*.c files only. Locks: `instances` (rwlock; calls read), `ledger` (mutex, also
 * guards the names), `queue` (mutex; finished commands). None is held while another is taken, but
 * that instances may be held when the ledger is taken.
 */
#ifndef UMBRA_VMM_GATE_GATE_INT_H
#define UMBRA_VMM_GATE_GATE_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "policy/lent_names.h"
#include "vmm/gate/gate.h"

struct vcpu;

struct instance {
	const struct policy_session *policy;
	char *session;
	char *driver;
	atomic_ullong calls;
	size_t objects;
};

/* Something that an instance registered under another name. */
struct object {
	struct object *next;
	unsigned inst;
	u64 addr;
	u64 old;  /* what the field held */
	u32 name; /* in names, or 0 */
	const struct catalog_fn *fn;
	char *asked, *used;
};

#define OBJECT_BUCKETS 4096
/* Of one instance: what a hostile driver can make the host remember. */
#define OBJECTS_MAX 16384

/* What the host remembers of a frame between CALL and RESULT; guarded by the ledger's lock. */
struct pending {
	bool active;
	bool undone; /* the object was taken out and may be forgotten when the kernel has let go */
	unsigned inst;
	struct object *object;
};

struct queued {
	struct queued *next;
	struct pvm_command c;
	pvm_done_fn *fn;
	void *arg;
};

struct pvm {
	struct machine *m;
	struct kernel *k;
	struct record *rec;
	u64 (*now)(const struct machine *m); /* ns since the start */
	u64 kaslr;

	struct umbra_info *info;
	u8 *gate;
	struct umbra_frame *frames;
	struct umbra_answer *answers;
	char *arena;
	struct umbra_mail *mail;
	u8 *pages;

	_Atomic u64 gate_va; /* 0 until the hello */

	pthread_rwlock_t instances_lock;
	struct instance *instances[UMBRA_INSTANCES];

	pthread_mutex_t ledger_lock;
	struct object *objects[OBJECT_BUCKETS];
	struct pending pending[UMBRA_FRAMES];
	struct names *names;

	u8 *page_used; /* one byte per page */
	size_t page_hint;

	struct loop *loop;
	int event;
	pvm_hello_fn *hello;
	void *hello_arg;
	bool hello_told;
	struct queued *head, **tail; /* loop's thread only */
	bool sent;
	bool gone_seen;
	int slow_timer; /* armed while a command is out */
	u32 seq;

	pthread_mutex_t done_lock;
	bool done;
	bool gone; /* no agent any more */
	s64 done_result;
	u64 done_value;

	atomic_ullong calls, results, refused, blocked, lost, nested;
};

/* pvm_call.c: handle one doorbell; the value for rax. */
s64 pvm_call(struct pvm *p, u64 idx, u64 id);
s64 pvm_result(struct pvm *p, u64 idx, u64 id);
s64 pvm_lost(struct pvm *p, u64 id, bool refused);
/* pvm_ledger.c; the caller holds ledger_lock. */
void pvm_object_insert(struct pvm *p, struct object *o);
/* Take the object out that @inst registered at @addr with a function that @undo undoes. */
struct object *pvm_object_take(struct pvm *p, unsigned inst, u64 addr,
			       const struct catalog_fn *undo);
void pvm_object_free(struct pvm *p, struct object *o);
void pvm_objects_drop(struct pvm *p, unsigned inst);
/* pvm_doorbell.c */
int pvm_doorbell_init(struct pvm *p, struct err *e);
/* pvm_command.c */
void pvm_command_event(void *arg, u32 events);
s64 pvm_command_gone(struct pvm *p);
void pvm_command_slow(void *arg, u32 expiries);
s64 pvm_command_done(struct pvm *p, u64 seq, s64 result, u64 value);
void pvm_command_free_all(struct pvm *p);

#endif
