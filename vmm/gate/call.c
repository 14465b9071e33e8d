// SPDX-License-Identifier: GPL-2.0-only
/*
 * One call of a driver: copy the frame, make a request of it, let the policy decide, record, answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"
#include "vmm/machine/machine.h"

/* A string of the copied frame, NUL-terminated inside it; NULL if absent or not in what was copied. */
static const char *frame_string(struct umbra_frame *f, struct umbra_str s)
{
	if (!s.len || s.len > f->used || s.off > f->used - s.len)
		return NULL;
	f->data[s.off + s.len - 1] = 0;
	return f->data + s.off;
}

/* The one copy: what the guest changes later does not matter. */
static void copy_frame(struct gate *p, u64 idx, struct umbra_frame *f)
{
	const struct umbra_frame *from = &p->frames[idx];

	memcpy(f, from, offsetof(struct umbra_frame, data));
	if (f->used > sizeof(f->data))
		f->used = sizeof(f->data);
	memcpy(f->data, from->data, f->used);
}

static void request_from_frame(struct request *r, struct umbra_frame *f,
			       const struct catalog_fn *fn)
{
	*r = (struct request){ .fn = fn };
	memcpy(r->args, f->args, sizeof(r->args));
	if (f->flags & UMBRA_FRAME_HAS_NAME)
		r->name = frame_string(f, f->name);
	r->cwd = frame_string(f, f->cwd);
	/* "/" is not the guest's root here: it is that of another mount namespace */
	r->root = frame_string(f, f->root);
	r->strvec = frame_string(f, f->strvec);
	r->too_long =
		f->flags & UMBRA_FRAME_TOO_LONG || (r->name && strlen(r->name) >= REQUEST_NAME_MAX);
	r->atomic = f->flags & UMBRA_FRAME_ATOMIC;
}

static bool put(struct umbra_answer *a, u32 *used, struct umbra_str *s, const char *text)
{
	size_t len = strlen(text) + 1;

	if (len > sizeof(a->data) - *used)
		return false;
	memcpy(a->data + *used, text, len);
	s->off = *used;
	s->len = (u32)len;
	*used += (u32)len;
	return true;
}

static void deny(struct decision *d, int error, const char *why)
{
	d->verdict = VERDICT_DENY;
	d->error = error;
	d->rule = why;
}

/* A registration: remember it until its result is known. */
static int begin_object(struct gate *p, u64 idx, unsigned inst, const struct request *r,
			const struct umbra_frame *f, const struct decision *d, u32 name)
{
	struct pending *w = &p->pending[idx];
	struct object *o;

	if (p->instances[inst] && p->instances[inst]->objects >= OBJECTS_MAX)
		return -ENOSPC;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->inst = inst;
	o->fn = r->fn;
	o->addr = r->fn->object_arg < UMBRA_ARGS ? r->args[r->fn->object_arg] : 0;
	o->old = f->old;
	o->name = name;
	o->asked = strdup(r->name ? r->name : "");
	o->used = strdup(d->name);
	if (!o->asked || !o->used) {
		o->name = 0;
		gate_object_free(p, o);
		return -ENOMEM;
	}
	if (w->active)
		gate_object_free(p, w->object);
	*w = (struct pending){ .active = true, .inst = inst, .object = o };
	return 0;
}

/*
 * A program that is started without waiting is read by the kernel some time later, perhaps when its
 * driver is gone: such names are never given to anybody else.
 */
static unsigned name_owner(unsigned inst, const struct catalog_fn *fn)
{
	return fn->space == SPACE_PROGRAM ? UMBRA_INSTANCES + inst : inst;
}

/*
 * Turn the decision into the answer. What the kernel keeps a pointer to goes into the arena, also
 * when it passes: the string that was checked is the string that is used.
 */
static void answer(struct gate *p, u64 idx, unsigned inst, const struct request *r,
		   const struct umbra_frame *f, struct decision *d, const struct object *undone)
{
	struct umbra_answer *a = &p->answers[idx];
	const struct catalog_fn *fn = r->fn;
	bool calls = d->verdict == VERDICT_PASS || d->verdict == VERDICT_REWRITE;
	bool in_root = d->resolve & DECISION_IN_ROOT && fn->opens_path;
	bool keep = fn->long_lived || fn->form == NAME_FIELD_PTR;
	struct umbra_str root = { 0, 0 }, name = { 0, 0 };
	u32 flags = 0, used = 0, off = 0;

	if (calls && r->name && fn->form != NAME_NONE && !undone) {
		const char *text = d->verdict == VERDICT_PASS ? r->name : d->name;
		bool ok = true;

		if (in_root)
			ok = put(a, &used, &root, d->root);
		if (ok && keep) {
			pthread_mutex_lock(&p->ledger_lock);
			off = lent_names_get(p->names, name_owner(inst, fn), text);
			pthread_mutex_unlock(&p->ledger_lock);
			name = (struct umbra_str){ off, (u32)strlen(text) + 1 };
			flags |= UMBRA_ANSWER_ARENA;
			ok = off;
		} else if (ok) {
			ok = put(a, &used, &name, text);
		}
		if (!ok) {
			calls = false;
			deny(d, ENOMEM, "no room for the name");
		}
	}
	if (calls && fn->want_result) {
		pthread_mutex_lock(&p->ledger_lock);
		if (begin_object(p, idx, inst, r, f, d, off)) {
			lent_names_put(p->names, inst, off);
			calls = false;
			deny(d, ENOSPC, "the driver has too many objects");
		}
		pthread_mutex_unlock(&p->ledger_lock);
		flags |= UMBRA_ANSWER_RESULT;
	}
	if (undone && undone->fn->form == NAME_FIELD_PTR)
		flags |= UMBRA_ANSWER_RESTORE;
	if (undone)
		flags |= UMBRA_ANSWER_RESULT;
	if (in_root)
		flags |= UMBRA_ANSWER_IN_ROOT;

	a->flags = calls ? flags : 0;
	a->error = (u32)d->error;
	a->resolve = d->resolve;
	a->value = undone ? (s64)undone->old : d->value;
	a->cookie = d->cookie;
	a->root = root;
	a->name = name;
	switch (d->verdict) {
	case VERDICT_PASS:
		a->verdict = UMBRA_PASS;
		break;
	case VERDICT_REWRITE:
		a->verdict = UMBRA_REWRITE;
		break;
	case VERDICT_EMULATE:
		a->verdict = UMBRA_EMULATE;
		break;
	case VERDICT_PENDING:
		a->verdict = UMBRA_PENDING;
		break;
	case VERDICT_DENY:
	default:
		a->verdict = UMBRA_DENY;
		break;
	}
}

/* What is undone is found by its object; it is recorded under the name that the driver knows. */
static struct object *undo(struct gate *p, unsigned inst, struct request *r, struct decision *d)
{
	struct object *o = NULL;

	if (r->fn->object_arg < UMBRA_ARGS) {
		pthread_mutex_lock(&p->ledger_lock);
		o = gate_object_take(p, inst, r->args[r->fn->object_arg], r->fn);
		pthread_mutex_unlock(&p->ledger_lock);
	}
	d->verdict = VERDICT_PASS;
	d->record = true;
	d->rule = o ? "undoes a registration" : "undoes";
	if (o && *o->asked) {
		r->name = o->asked;
		if (strcmp(o->asked, o->used) != 0)
			d->verdict = VERDICT_REWRITE;
		snprintf(d->name, sizeof(d->name), "%s", o->used);
	}
	return o;
}

static void forget_pending(struct gate *p, u64 idx)
{
	struct pending *w = &p->pending[idx];

	pthread_mutex_lock(&p->ledger_lock);
	if (w->active)
		gate_object_free(p, w->object);
	memset(w, 0, sizeof(*w));
	pthread_mutex_unlock(&p->ledger_lock);
}

/* What is being undone keeps its name until the kernel has let go of it: until RESULT. */
static void park(struct gate *p, u64 idx, unsigned inst, struct object *o)
{
	forget_pending(p, idx);
	pthread_mutex_lock(&p->ledger_lock);
	p->pending[idx] =
		(struct pending){ .active = true, .undone = true, .inst = inst, .object = o };
	pthread_mutex_unlock(&p->ledger_lock);
}

static void handle(struct gate *p, u64 idx, unsigned inst, struct instance *in, struct request *r,
		   struct umbra_frame *f, struct decision *d)
{
	struct object *undone = NULL;

	if (r->fn->undoes)
		undone = undo(p, inst, r, d);
	else if (f->flags & UMBRA_FRAME_FAULT)
		deny(d, EFAULT, "the name points nowhere");
	else
		policy_decide(in->policy, in->driver, r, d);
	if (f->flags & UMBRA_FRAME_FAULT)
		d->record = true;

	answer(p, idx, inst, r, f, d, undone);
	if (d->record && record_add(p->rec, p->now(p->m), in->session, in->driver, r, d) &&
	    r->fn->refusal != REFUSE_NEVER) {
		/* Nothing is done that could not be recorded. */
		deny(d, EIO, "the record cannot be written");
		p->answers[idx].flags = 0;
		p->answers[idx].error = EIO;
		p->answers[idx].verdict = UMBRA_DENY;
		forget_pending(p, idx);
	}
	if (undone)
		park(p, idx, inst, undone);
}

s64 gate_call(struct gate *p, u64 idx, u64 id)
{
	const struct catalog_fn *all;
	unsigned inst, fn;
	struct umbra_frame f;
	struct request r;
	struct decision d;
	size_t n;
	s64 ret = -EINVAL;

	all = catalog_all(&n);
	if (idx >= UMBRA_FRAMES || id > UINT32_MAX)
		return -EINVAL;
	inst = UMBRA_ID_INST((u32)id);
	fn = UMBRA_ID_FN((u32)id);
	if (inst >= UMBRA_INSTANCES || fn >= n)
		return -EINVAL;
	atomic_fetch_add_explicit(&p->calls, 1, memory_order_relaxed);
	copy_frame(p, idx, &f);
	if (f.flags & UMBRA_FRAME_NESTED)
		atomic_fetch_add_explicit(&p->nested, 1, memory_order_relaxed);
	request_from_frame(&r, &f, &all[fn]);
	memset(&d, 0, offsetof(struct decision, root));
	d.root[0] = d.name[0] = 0;

	pthread_rwlock_rdlock(&p->instances_lock);
	if (p->instances[inst]) {
		atomic_fetch_add_explicit(&p->instances[inst]->calls, 1, memory_order_relaxed);
		handle(p, idx, inst, p->instances[inst], &r, &f, &d);
		ret = 0;
	}
	pthread_rwlock_unlock(&p->instances_lock);
	return ret;
}

static bool succeeded(const struct catalog_fn *fn, u64 ret)
{
	switch (fn->refusal) {
	case REFUSE_ERRNO:
		return (s32)ret >= 0;
	case REFUSE_ERR_PTR:
		return ret < (u64)-4095;
	case REFUSE_NULL:
		return ret;
	case REFUSE_NEVER:
	default:
		return true;
	}
}

s64 gate_result(struct gate *p, u64 idx, u64 id)
{
	struct pending *w;
	u64 ret;

	if (idx >= UMBRA_FRAMES)
		return -EINVAL;
	atomic_fetch_add_explicit(&p->results, 1, memory_order_relaxed);
	ret = __atomic_load_n(&p->frames[idx].ret, __ATOMIC_RELAXED);
	w = &p->pending[idx];
	pthread_rwlock_rdlock(&p->instances_lock);
	pthread_mutex_lock(&p->ledger_lock);
	if (w->active && w->inst == UMBRA_ID_INST((u32)id) && p->instances[w->inst]) {
		if (!w->undone && succeeded(w->object->fn, ret))
			gate_object_insert(p, w->object);
		else
			gate_object_free(p, w->object);
		memset(w, 0, sizeof(*w));
	}
	pthread_mutex_unlock(&p->ledger_lock);
	pthread_rwlock_unlock(&p->instances_lock);
	return 0;
}

s64 gate_lost(struct gate *p, u64 id, bool refused)
{
	const struct catalog_fn *all;
	const struct instance *in;
	char text[256];
	size_t n;

	all = catalog_all(&n);
	atomic_fetch_add_explicit(&p->lost, 1, memory_order_relaxed);
	pthread_rwlock_rdlock(&p->instances_lock);
	in = UMBRA_ID_INST((u32)id) < UMBRA_INSTANCES ? p->instances[UMBRA_ID_INST((u32)id)] : NULL;
	snprintf(text, sizeof(text), "%s:%s: %s: no frame free, %s", in ? in->session : "?",
		 in ? in->driver : "?",
		 UMBRA_ID_FN((u32)id) < n ? all[UMBRA_ID_FN((u32)id)].name : "?",
		 refused ? "refused" : "passed unseen");
	pthread_rwlock_unlock(&p->instances_lock);
	record_event(p->rec, p->now(p->m), "lost call", text);
	return 0;
}
