// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers one call of a driver: copies the frame, makes a request of it, lets the policy decide,
 * enters a name or object into the ledger, records, answers; and takes the result.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"
#include "vmm/machine/machine.h"

/* The host's enums travel as they are. */
_Static_assert((int)VERDICT_PASS == UMBRA_PASS && (int)VERDICT_REWRITE == UMBRA_REWRITE &&
		       (int)VERDICT_DENY == UMBRA_DENY && (int)VERDICT_EMULATE == UMBRA_EMULATE &&
		       (int)VERDICT_PENDING == UMBRA_PENDING,
	       "one set of verdicts");
_Static_assert(REQUEST_ARGS == UMBRA_ARGS, "a frame has the arguments of a request");
_Static_assert(REQUEST_NAME_MAX == UMBRA_NAME_MAX, "and its names");
_Static_assert(2 * REQUEST_NAME_MAX <= sizeof(((struct umbra_answer *)0)->data),
	       "root and name fit any answer");

/* The one who asks by policy_request.is_registered. */
struct who_asks {
	struct gate *g;
	const struct gate_caller *caller;
	const struct catalog_fn *fn;
};

/* One call while it is handled, on the stack of the vCPU's thread. */
struct driver_call {
	unsigned caller;
	struct umbra_frame frame; /* the one copy (G4) */
	struct who_asks who;	  /* of @r */
	struct policy_request r;
	struct decision d;
	/* of the thing registered, undone or started; set by call_decide() or call_prepare() */
	struct ledger_entry *entry;
	bool undoes;		    /* entry was registered before, and its name stays in place */
	bool known;		    /* SPACE_EXPORT: a get may have led where the name leads */
	bool inside;		    /* the name is in a directory that the driver made */
	char led[REQUEST_NAME_MAX]; /* behind c->r.led, or empty */
	bool first;		    /* no call of the function by this driver is in the record */
	char site[SITE_TEXT];	    /* where in the driver it comes from */
	char rule[160];		    /* of d, while the caller's policy may go */
	bool as_made;		 /* nobody decides: the driver's own name, and nothing kept of it */
	struct record_line line; /* until call_put_line() */
	u64 number;		 /* by which its end will be told, for those who see it; or 0 */
	char call[CALL_TEXT], result[RESULT_TEXT]; /* of one that is refused, and seen */
};

/*
 * Returns a string of the copied frame, NUL-terminated inside it; NULL: absent, or outside of the
 * copy.
 */
static const char *frame_string(struct umbra_frame *f, struct umbra_str s)
{
	if (!s.len || s.len > f->used || s.off > f->used - s.len)
		return NULL;
	f->data[s.off + s.len - 1] = 0;
	return f->data + s.off;
}

/*
 * Begins @c, with a copy of the frame, made once: a change that the guest makes later does not
 * matter (G4).
 */
static void call_begin(struct driver_call *c, u64 id, const struct umbra_frame *from)
{
	struct umbra_frame *f = &c->frame;

	c->caller = UMBRA_ID_CALLER((u32)id);
	memset(&c->d, 0, offsetof(struct decision, root));
	c->d.root[0] = c->d.name[0] = 0;
	c->entry = NULL;
	c->undoes = c->known = c->inside = c->first = c->as_made = false;
	c->line = (struct record_line){ .buf = NULL };
	c->number = 0;
	memcpy(f, from, offsetof(struct umbra_frame, data));
	if (f->used > sizeof(f->data))
		f->used = sizeof(f->data);
	memcpy(f->data, from->data, f->used);
}

static void call_read_request(struct driver_call *c, const struct catalog_fn *fn)
{
	struct umbra_frame *f = &c->frame;
	struct policy_request *r = &c->r;

	*r = (struct policy_request){ .fn = fn };
	memcpy(r->args, f->args, sizeof(r->args));
	if (f->flags & UMBRA_FRAME_HAS_NAME)
		r->name = frame_string(f, f->name);
	if (fn->from_init) {
		r->cwd = "/";
	} else {
		r->cwd = frame_string(f, f->cwd);
		/* "/" is not the guest's root here: it is that of another mount namespace */
		r->root = frame_string(f, f->root);
	}
	r->other_mounts = !fn->from_init && f->flags & UMBRA_FRAME_OTHER_MOUNTS;
	r->strvec = frame_string(f, f->strvec);
	r->too_long =
		f->flags & UMBRA_FRAME_TOO_LONG || (r->name && strlen(r->name) >= REQUEST_NAME_MAX);
	r->atomic = f->flags & UMBRA_FRAME_ATOMIC;
	r->pid = f->pid;
	r->guest_ns = f->time;
	f->command[sizeof(f->command) - 1] = '\0';
	r->command = f->command[0] ? f->command : NULL;
}

/*
 * Returns true if a user has given the name, by `ip link add NAME type KIND`: the kernel has marked
 * the new device as one that rtnetlink sets up, under a name that a user gave, for a KIND that this
 * driver registered. A device that the driver makes by itself has not all three.
 */
static bool name_is_a_users(struct gate *g, const struct driver_call *c)
{
	const __u64 *peek = c->frame.peek; /* name_assign_type, rtnl_link_state, rtnl_link_ops */
	enum { NET_NAME_USER = 3, RTNL_LINK_INITIALIZING = 1 };

	return c->r.fn->origin[0] && (u8)peek[0] == NET_NAME_USER &&
	       (u16)peek[1] == RTNL_LINK_INITIALIZING &&
	       ledger_has(g->ledger, c->caller, peek[2], SPACE_LINK);
}

static u64 call_directory(const struct driver_call *c)
{
	return c->r.fn->below ? c->r.args[c->r.fn->below - 1] : 0;
}

/*
 * Looks whether the name lies in a directory that the driver registered itself, by the argument
 * that is it or by the slashes of the name: then it is the driver's own affair.
 */
static void call_find_directory(struct gate *g, struct driver_call *c)
{
	const struct catalog_fn *fn = c->r.fn;
	const struct ledger_entry what = {
		.owner = c->caller, .fn = fn, .below = call_directory(c), .asked = c->r.name
	};
	size_t len;

	if (!c->r.name || c->r.too_long)
		return;
	if (fn->wide && !(c->frame.flags & UMBRA_FRAME_WIDE))
		c->r.led = c->r.name;
	if (!fn->below)
		return;
	c->inside = what.below && ledger_has(g->ledger, c->caller, what.below, fn->space);
	if (c->inside)
		c->r.led = c->r.name;
	len = c->r.led ? 0 : ledger_find_used(g->ledger, &what, c->led, sizeof(c->led));
	if (len) {
		memcpy(c->led + strlen(c->led), c->r.name + len, strlen(c->r.name + len) + 1);
		c->r.led = c->led;
	}
}

static bool is_of_its_session(const void *arg, unsigned owner)
{
	const struct who_asks *w = arg;
	const struct gate_caller *c = owner < UMBRA_CALLERS ? w->g->callers[owner] : NULL;

	return c && !strcmp(c->session, w->caller->session);
}

static bool session_has_registered(const void *arg, const char *name)
{
	const struct who_asks *w = arg;

	return ledger_has_used(w->g->ledger, w->fn->space, name, is_of_its_session, w);
}

static bool call_goes_ahead(const struct driver_call *c)
{
	return c->d.verdict == VERDICT_PASS || c->d.verdict == VERDICT_REWRITE;
}

static void call_refuse(struct driver_call *c, int error, const char *why)
{
	c->d.verdict = VERDICT_DENY;
	c->d.error = error;
	c->d.rule = why;
}

/*
 * Passes the undoing of what has the name that the driver gives, under the name that was really
 * used; what it has not registered is not taken away, but for what is in a directory of its own.
 */
static void call_decide_undo_name(struct gate *g, struct driver_call *c)
{
	struct decision *d = &c->d;

	if (c->r.name)
		c->entry = ledger_take_named(g->ledger, c->caller, call_directory(c), c->r.name,
					     c->r.fn);
	c->undoes = c->entry;
	d->verdict = VERDICT_PASS;
	if (c->entry) {
		d->rule = "undoes a registration";
		snprintf(d->name, sizeof(d->name), "%s", c->entry->used);
	} else if (c->r.led) {
		d->rule = "in a directory of its own";
		snprintf(d->name, sizeof(d->name), "%s", c->r.led);
	} else {
		d->verdict = VERDICT_EMULATE;
		d->rule = "not registered by this driver";
		return;
	}
	if (strcmp(c->r.name, d->name) != 0)
		d->verdict = VERDICT_REWRITE;
}

/*
 * Passes an undoing call, which is never refused: of the policy's decision only `record` is kept.
 * The record has the name that the driver knows. The entry is one of this caller's own (G10).
 */
static void call_decide_undo(struct gate *g, struct driver_call *c)
{
	const struct catalog_fn *fn = c->r.fn;
	struct decision *d = &c->d;

	c->entry = ledger_take(g->ledger, c->caller, c->r.args[fn->object_arg], fn);
	c->undoes = c->entry;
	d->verdict = VERDICT_PASS;
	d->rule = c->entry ? "undoes a registration" : "undoes";
	if (!c->entry || !*c->entry->asked)
		return;
	c->r.name = c->entry->asked;
	if (strcmp(c->entry->asked, c->entry->used) != 0)
		d->verdict = VERDICT_REWRITE;
	snprintf(d->name, sizeof(d->name), "%s", c->entry->used);
}

/* Passes __symbol_put(), which lets go of what the get of that name took, or does nothing. */
static void call_decide_put(struct driver_call *c)
{
	struct decision *d = &c->d;

	d->verdict = VERDICT_PASS;
	d->rule = "undoes";
	if (!c->known) {
		d->verdict = VERDICT_EMULATE;
		d->rule = "cannot have been taken";
	} else if (c->r.place == EXPORT_SESSION) {
		d->verdict = VERDICT_REWRITE;
		d->rule = "undoes, an export of its own session";
		snprintf(d->name, sizeof(d->name), "%s", c->r.export);
	}
}

/* Passes a call that is not decided: it is seen, or came before the entry was turned away. */
static void call_decide_uncritical(const struct gate_caller *caller, struct driver_call *c)
{
	const char *rule = policy_traced(caller->policy, c->r.fn->name, NULL);

	c->as_made = true;
	c->d.verdict = VERDICT_PASS;
	c->d.rule = rule ? rule : "not critical";
	c->d.record = rule;
}

static void call_decide(struct gate *g, const struct gate_caller *caller, struct driver_call *c)
{
	if (c->r.fn->space == SPACE_EXPORT && c->r.name)
		c->known = gate_exports_find(g, caller->session, &c->r);
	call_find_directory(g, c);
	if (c->r.fn->looks_up) {
		c->r.is_registered = session_has_registered;
		c->r.is_registered_arg = &c->who;
		c->who = (struct who_asks){ .g = g, .caller = caller, .fn = c->r.fn };
	}
	if (c->r.fn->undoes) {
		policy_decide(caller->policy, caller->driver, &c->r, &c->d);
		if (c->r.fn->space == SPACE_EXPORT)
			call_decide_put(c);
		else if (catalog_undoes_name(c->r.fn))
			call_decide_undo_name(g, c);
		else
			call_decide_undo(g, c);
	} else if (!policy_critical_fn(caller->policy, c->r.fn)) {
		call_decide_uncritical(caller, c);
	} else if (c->frame.flags & UMBRA_FRAME_FAULT) {
		call_refuse(c, EFAULT, "the name points nowhere");
	} else {
		policy_decide(caller->policy, caller->driver, &c->r, &c->d);
	}
	if (c->frame.flags & UMBRA_FRAME_FAULT)
		c->d.record = true;
}

/* Returns the name to use, also if it is the one asked for (G8); NULL: none. */
static const char *call_name(const struct driver_call *c)
{
	if (!c->r.name || c->r.fn->form == NAME_NONE || c->as_made)
		return NULL;
	return c->d.verdict == VERDICT_PASS && !c->d.resolve ? c->r.name : c->d.name;
}

/* Returns true if the kernel keeps a pointer to the name after the call has returned. */
static bool name_is_kept(const struct catalog_fn *fn)
{
	return (fn->form == NAME_FIELD_PTR && !fn->copied) || fn->space == SPACE_PROGRAM ||
	       fn->kept;
}

/* Keeps in mind that a name leads out of the session; refuses the call if that fails. */
static void call_let_through(struct gate *g, struct gate_caller *caller, struct driver_call *c)
{
	int ret;

	if (c->r.fn->space != SPACE_EXPORT || c->r.fn->undoes || !call_goes_ahead(c) ||
	    c->r.place != EXPORT_OUTSIDE)
		return;
	ret = gate_exports_let_through(g, caller, c->r.name);
	if (ret)
		call_refuse(c, -ret, "no room for the name");
}

/*
 * Enters a name or object that outlasts the call into the ledger; refuses the call if that fails.
 */
static void call_prepare(struct gate *g, struct driver_call *c)
{
	const struct catalog_fn *fn = c->r.fn;
	struct ledger_entry what;
	const char *name;
	int ret;

	if (!call_goes_ahead(c) || !fn->want_result || c->as_made)
		return;
	name = call_name(c);
	what = (struct ledger_entry){
		.owner = c->caller,
		.fn = fn,
		.addr = c->r.args[fn->object_arg], /* of a result: until that is told */
		.below = call_directory(c),
		.inside = c->inside,
		.old = c->frame.old,
		.asked = c->r.name ? c->r.name : "",
		.used = name ? name : "",
	};
	ret = ledger_open(g->ledger, &what, name && name_is_kept(fn), &c->entry);
	if (ret == -ENOSPC)
		call_refuse(c, ENOMEM, "no room for the name");
	else if (ret == -EDQUOT)
		call_refuse(c, ENOSPC, "the driver has too many objects");
	else if (ret)
		call_refuse(c, ENOMEM, "out of memory");
}

/* Keeps the text of a refusal, for the message of a driver that then does not load. */
static void call_keep_refusal(struct gate_caller *caller, const struct driver_call *c)
{
	char name[100];
	size_t n = 0;

	if (c->d.verdict != VERDICT_DENY)
		return;
	/* Drivers look for what may not be there: that is no reason why one does not load. */
	if (c->r.fn->space == SPACE_EXPORT && c->d.error == ENOENT)
		return;
	memset(name, 0, sizeof(name));
	for (const char *s = c->r.name; s && *s && n < sizeof(name) - 4; s++)
		name[n++] = *s >= 0x20 && *s < 0x7f ? *s : '?';
	pthread_mutex_lock(&caller->refusal_lock);
	snprintf(caller->refusal, sizeof(caller->refusal), "%s(%s%s%s): %s by %s", c->r.fn->name,
		 c->r.name ? "\"" : "", name, c->r.name ? "\"" : "", strerrorname_np(c->d.error),
		 c->d.rule);
	pthread_mutex_unlock(&caller->refusal_lock);
}

/*
 * Refuses a call that was to be kept in the record and could not, unless it undoes something or is
 * refused already (G6). The next call of the function is a first one then.
 */
static void call_refuse_unrecorded(struct gate *g, struct gate_caller *caller,
				   struct driver_call *c)
{
	if (c->first) {
		size_t fn = catalog_index(c->r.fn);

		atomic_fetch_and(&caller->recorded[fn / 64], ~(1ULL << fn % 64));
	}
	if (c->r.fn->refusal == REFUSE_NEVER || c->d.verdict == VERDICT_DENY)
		return;
	call_refuse(c, EIO, "the record cannot be written");
	call_keep_refusal(caller, c);
	if (c->entry)
		ledger_discard(g->ledger, c->entry);
	c->entry = NULL;
}

/* Returns true once for each function of a caller. */
static bool call_is_first(struct gate_caller *caller, const struct catalog_fn *fn)
{
	size_t i = catalog_index(fn);
	unsigned long long bit = 1ULL << i % 64;

	/* Most are not: no line of the cache is taken from other CPUs for them. */
	return !(atomic_load_explicit(&caller->recorded[i / 64], memory_order_relaxed) & bit) &&
	       !(atomic_fetch_or(&caller->recorded[i / 64], bit) & bit);
}

/* Returns what is to be seen of the call; NULL: it is decided, and no more. */
static const struct sight *call_sight(struct gate *g, const struct gate_caller *caller,
				      const struct driver_call *c)
{
	const struct sight *s =
		g->n_sights ? gate_sight_of(caller, (u32)catalog_index(c->r.fn)) : NULL;

	return s && gate_sight_is_wanted(s) ? s : NULL;
}

/* Writes the arguments of a call that is not made, and what the driver gets in its place. */
static void call_write_refusal(struct gate *g, struct driver_call *c)
{
	const struct catalog_fn *fn = c->r.fn;
	struct told_call told = { .ret = (u64)c->d.value };

	if (c->r.call)
		return;
	if (c->d.verdict == VERDICT_DENY)
		told.ret = umbra_refusal((u8)fn->refusal, (u32)c->d.error);
	memcpy(told.args, c->r.args, sizeof(told.args));
	if (fn->form == NAME_STRING && fn->name_arg < UMBRA_ARGS)
		told.texts[fn->name_arg] = c->r.name;
	gate_row_text(g, (u32)catalog_index(fn), &told, c->call, sizeof(c->call), c->result,
		      sizeof(c->result));
	/* It is called all the same, and nobody has asked what it returns. */
	if (fn->refusal == REFUSE_CREDS)
		c->result[0] = '\0';
	c->r.call = c->call;
	c->r.result = c->result;
}

/*
 * Prepares what is told of a call that is to be seen, too: one that goes ahead has an end, and of
 * another one all is known.
 */
static void call_prepare_sight(struct gate *g, const struct gate_caller *caller,
			       struct driver_call *c)
{
	if (!call_sight(g, caller, c))
		return;
	if (call_goes_ahead(c))
		c->number = gate_decided_number(g);
	else
		call_write_refusal(g, c);
	/* A line that is not there has no end. */
	c->r.id = c->d.record ? c->number : 0;
}

/*
 * Has those who see the call told, when nothing can refuse it any more: at its end, if it goes
 * ahead, else now.
 */
static void call_tell(struct gate *g, const struct gate_caller *caller, u64 id,
		      struct driver_call *c, u64 time_ns)
{
	const struct sight *sight = call_sight(g, caller, c);
	const struct record_call what = {
		.time_ns = time_ns,
		.session = caller->session,
		.driver = caller->driver,
		.req = &c->r,
		.d = &c->d,
	};

	if (sight && call_goes_ahead(c) && c->number &&
	    gate_decided_begin(g, c->number, (u32)id, sight, &what))
		return;
	c->number = c->r.id = 0;
	if (sight && !call_goes_ahead(c))
		call_write_refusal(g, c);
	if (sight && sight->traces)
		gate_trace_call(g, sight->traces, &what, c->d.verdict == VERDICT_DENY);
}

/* Enters the call into the record; its line is to be put there by call_put_line(). */
static void call_record(struct gate *g, struct gate_caller *caller, struct driver_call *c,
			u64 time_ns)
{
	struct record_call what = {
		.time_ns = time_ns,
		.session = caller->session,
		.driver = caller->driver,
		.req = &c->r,
		.d = &c->d,
	};

	if (!c->d.record)
		return;
	c->first = call_is_first(caller, c->r.fn);
	what.first = c->first;
	what.row = &caller->rows[catalog_index(c->r.fn)];
	if (record_add(g->rec, &what, &c->line))
		call_refuse_unrecorded(g, caller, c);
}

/*
 * Puts the call's line into the record, which may wait for room there: meanwhile this thread does
 * not hold callers_lock, for which the event loop would wait. Returns the caller, or NULL: it is
 * gone, which a guest has made the host believe that still is in a call of it. Its number, and its
 * memory, may be a successor's by then, whose serial is another one.
 */
static struct gate_caller *call_put_line(struct gate *g, struct gate_caller *caller, u64 id,
					 struct driver_call *c)
{
	u64 serial = caller->serial;
	size_t len;
	int ret;

	if (!c->line.len)
		return caller;
	/* They are others' strings, which may be freed once the lock is given back. */
	if (!c->d.rule)
		c->d.rule = "";
	len = strnlen(c->d.rule, sizeof(c->rule) - 1);
	memcpy(c->rule, c->d.rule, len);
	c->rule[len] = '\0';
	c->d.rule = c->rule;
	c->r.export = NULL;
	pthread_rwlock_unlock(&g->callers_lock);
	ret = record_write(g->rec, &c->line);
	pthread_rwlock_rdlock(&g->callers_lock);
	caller = gate_caller_of(g, id);
	if (!caller || caller->serial != serial) {
		if (c->entry)
			ledger_discard(g->ledger, c->entry);
		return NULL;
	}
	if (ret)
		call_refuse_unrecorded(g, caller, c);
	return caller;
}

/* Puts a string into the answer. Two of the greatest length fit: asserted above. */
static struct umbra_str answer_put(struct umbra_answer *a, u32 *used, const char *text)
{
	struct umbra_str s = { *used, (u32)strlen(text) + 1 };

	memcpy(a->data + s.off, text, s.len);
	*used += s.len;
	return s;
}

/* Writes the whole answer (G7); the ledger's entry is not this call's any more then. */
static void call_answer(struct gate *g, struct driver_call *c, struct umbra_answer *a)
{
	const struct decision *d = &c->d;
	const struct catalog_fn *fn = c->r.fn;
	bool ahead = call_goes_ahead(c);
	bool in_root = ahead && fn->space == SPACE_FILE && d->resolve & DECISION_IN_ROOT;
	const char *name = ahead && (!c->undoes || catalog_undoes_name(fn)) ? call_name(c) : NULL;
	u32 used = 0;

	memset(a, 0, offsetof(struct umbra_answer, data));
	a->verdict = d->verdict;
	a->error = (u32)d->error;
	a->resolve = d->resolve & DECISION_IN_ROOT;
	a->value = d->value;
	a->cookie = d->cookie;
	a->seen = c->number;
	if (in_root) {
		a->flags |= UMBRA_ANSWER_IN_ROOT;
		if (d->resolve & DECISION_CALLERS)
			a->flags |= UMBRA_ANSWER_CALLERS;
		a->root = answer_put(a, &used, d->root);
	}
	if (name && c->entry && c->entry->lent) {
		a->flags |= UMBRA_ANSWER_ARENA;
		a->name = (struct umbra_str){ c->entry->lent, (u32)strlen(name) + 1 };
	} else if (name) {
		a->name = answer_put(a, &used, name);
	}
	if (ahead && fn->copied) {
		a->flags |= UMBRA_ANSWER_RESTORE;
		a->value = (s64)c->frame.old;
	}
	if (!c->entry)
		return;
	a->flags |= UMBRA_ANSWER_RESULT;
	if (c->undoes && c->entry->fn->form == NAME_FIELD_PTR) {
		a->flags |= UMBRA_ANSWER_RESTORE;
		a->value = (s64)c->entry->old;
	}
	a->ticket = ledger_await(g->ledger, c->entry);
}

s64 gate_call(struct gate *g, unsigned vcpu, u64 idx, u64 id)
{
	const struct catalog_fn *all;
	struct gate_caller *caller;
	struct driver_call c;
	u64 now;
	size_t n;

	all = catalog_all(&n);
	if (idx >= UMBRA_FRAMES || id > UINT32_MAX || UMBRA_ID_FN(id) >= n ||
	    UMBRA_ID_CALLER(id) >= UMBRA_CALLERS)
		return -EINVAL;
	atomic_fetch_add_explicit(&g->calls, 1, memory_order_relaxed);
	call_begin(&c, id, &g->frames[idx]);
	if (c.frame.flags & UMBRA_FRAME_NESTED)
		atomic_fetch_add_explicit(&g->nested, 1, memory_order_relaxed);
	call_read_request(&c, &all[UMBRA_ID_FN(id)]);
	c.r.vcpu = vcpu;
	now = g->now(g->m);
	atomic_store_explicit(&g->guest_skew, (s64)(now - c.frame.time), memory_order_relaxed);

	pthread_rwlock_rdlock(&g->callers_lock);
	caller = gate_caller_of(g, id);
	if (caller) {
		c.r.by_user = name_is_a_users(g, &c);
		if (record_has_lines(g->rec) || g->traces)
			c.r.site = gate_site_text(g, caller, c.frame.site, true, c.site,
						  sizeof(c.site));
		atomic_fetch_add_explicit(&caller->calls, 1, memory_order_relaxed);
		call_decide(g, caller, &c);
		call_let_through(g, caller, &c);
		call_prepare(g, &c);
		call_keep_refusal(caller, &c);
		call_prepare_sight(g, caller, &c);
		call_record(g, caller, &c, now);
		caller = call_put_line(g, caller, id, &c);
	}
	if (caller) {
		call_tell(g, caller, id, &c, now);
		call_answer(g, &c, &g->answers[idx]);
	}
	pthread_rwlock_unlock(&g->callers_lock);
	if (!caller) {
		/* the guest names a caller that is no longer there */
		record_event(g->rec, g->now(g->m), "stray call", c.r.fn->name);
		return -EINVAL;
	}
	return 0;
}

/* Records that the kernel has made the name @real of the one that it was given, for @id. */
static void record_real_name(struct gate *g, u64 id, const char *used, const char *real)
{
	const struct gate_caller *caller;
	const struct catalog_fn *all;
	char text[256];
	size_t n;

	all = catalog_all(&n);
	pthread_rwlock_rdlock(&g->callers_lock);
	caller = gate_caller_of(g, id);
	snprintf(text, sizeof(text), "%s:%s: %s: %s is %s", caller ? caller->session : "?",
		 caller ? caller->driver : "?", all[UMBRA_ID_FN(id)].name, used, real);
	pthread_rwlock_unlock(&g->callers_lock);
	record_event(g->rec, g->now(g->m), "named", text);
}

/* Reaches the entry of the caller's own ticket only (G10), and frees what was let go of (G9). */
s64 gate_result(struct gate *g, u64 ticket, u64 id, u64 ret, const u64 name[2])
{
	char real[LEDGER_REAL_MAX + 1] = "", used[LEDGER_REAL_MAX + 1];
	const struct catalog_fn *all;
	size_t n;

	_Static_assert(LEDGER_REAL_MAX == 2 * sizeof(name[0]), "two registers");
	all = catalog_all(&n);
	if (id > UINT32_MAX || UMBRA_ID_FN(id) >= n || UMBRA_ID_CALLER(id) >= UMBRA_CALLERS)
		return -EINVAL;
	atomic_fetch_add_explicit(&g->results, 1, memory_order_relaxed);
	memcpy(real, name, LEDGER_REAL_MAX);
	if (*real &&
	    ledger_rename(g->ledger, UMBRA_ID_CALLER((u32)id), ticket, real, used, sizeof(used)))
		record_real_name(g, id, used, real);
	ledger_result(g->ledger, UMBRA_ID_CALLER((u32)id), ticket,
		      umbra_succeeded((u8)all[UMBRA_ID_FN(id)].refusal, ret), ret);
	return 0;
}

s64 gate_lost(struct gate *g, u64 id, bool refused)
{
	const struct gate_caller *caller;
	const struct catalog_fn *all, *fn;
	const struct seen_fn *seen;
	char text[256];
	size_t n;

	all = catalog_all(&n);
	id = (u32)id;
	seen = gate_seen_of(g, id);
	fn = UMBRA_ID_FN(id) < n ? &all[UMBRA_ID_FN(id)] : seen ? &seen->row : NULL;
	atomic_fetch_add_explicit(&g->lost, 1, memory_order_relaxed);
	pthread_rwlock_rdlock(&g->callers_lock);
	caller = gate_caller_of(g, id);
	snprintf(text, sizeof(text), "%s:%s: %s: no frame free, %s", caller ? caller->session : "?",
		 caller ? caller->driver : "?", fn ? fn->name : "?",
		 refused ? "refused" : "passed unseen");
	pthread_rwlock_unlock(&g->callers_lock);
	record_event(g->rec, g->now(g->m), "lost call", text);
	return 0;
}
