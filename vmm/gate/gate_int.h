/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of this room only. Locks: `instances` (rwlock; calls read), `ledger` (mutex, also
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
	struct gate_command c;
	gate_done_fn *fn;
	void *arg;
};

struct gate {
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
	struct lent_names *names;

	u8 *page_used; /* one byte per page */
	size_t page_hint;

	struct loop *loop;
	int event;
	gate_hello_fn *hello;
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

/* gate_call.c: handle one doorbell; the value for rax. */
s64 gate_call(struct gate *p, u64 idx, u64 id);
s64 gate_result(struct gate *p, u64 idx, u64 id);
s64 gate_lost(struct gate *p, u64 id, bool refused);
/* gate_ledger.c; the caller holds ledger_lock. */
void gate_object_insert(struct gate *p, struct object *o);
/* Take the object out that @inst registered at @addr with a function that @undo undoes. */
struct object *gate_object_take(struct gate *p, unsigned inst, u64 addr,
				const struct catalog_fn *undo);
void gate_object_free(struct gate *p, struct object *o);
void gate_objects_drop(struct gate *p, unsigned inst);
/* gate_doorbell.c */
int gate_doorbell_init(struct gate *p, struct err *e);
/* gate_command.c */
void gate_command_event(void *arg, u32 events);
s64 gate_command_gone(struct gate *p);
void gate_command_slow(void *arg, u32 expiries);
s64 gate_command_done(struct gate *p, u64 seq, s64 result, u64 value);
void gate_command_free_all(struct gate *p);

#endif
