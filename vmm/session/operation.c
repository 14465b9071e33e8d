// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads and unloads a driver, by one table of steps. Loading does them from the first to the last;
 * unloading undoes them from the last to the first, and so does a load that fails, from where it
 * failed. So one number, driver.steps, says which resources a driver has in the guest.
 */
#include "vmm/session/operation.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "vmm/machine/machine.h"
#include "vmm/session/driver_copy.h"
#include "vmm/session/presence.h"
#include "vmm/session/unmatched.h"

/*
 * The shim answers at once if the guest runs at all; a driver's own code takes as long as it wants.
 */
#define SHIM_SECONDS   30
#define DRIVER_SECONDS 30

/* A step's do or undo returns 0 (it has happened), -errno with op->err, or: */
#define STEP_WAITS 1 /* for the guest's answer to *c */

struct op {
	struct op *next;
	struct sessions *s;
	struct driver *driver;
	bool undoing; /* the steps are walked backwards */
	int ret;      /* to report at the end, with op->err */
	struct err err;
	void *payload; /* of the command that is being made; freed when it is queued */
	struct umbra_map trap;
	u64 deadline; /* now_ns(), of the step that waits; 0: none, or told already */
	operation_done_fn *done;
	void *arg;
};

struct step {
	const char *doing, *undoing; /* for people: "is still ..." */
	unsigned seconds;	     /* after which somebody is told; 0: it does not wait */
	/* Fills *c and returns STEP_WAITS; or does the step at once and returns 0 or -errno. */
	int (*does)(struct op *op, struct gate_command *c);
	/* Called when the guest has answered. Returns 0, or -errno with op->err. */
	int (*done)(struct op *op, s64 result, u64 value);
	/* Undoes as much of the step as was done, which may be nothing. */
	int (*undoes)(struct op *op, struct gate_command *c);
	/*
	 * Called when the guest has answered. Only the last step may refuse: nothing has been taken
	 * back yet.
	 */
	int (*undone)(struct op *op, s64 result, u64 value);
};

static void op_begin(struct session *ss);

/* Returns the guest's result as -errno; -EIO if it is no errno. */
static int guest_error(s64 result)
{
	return result < 0 && result > -4096 ? (int)result : -EIO;
}

/* --- plan: made anew, since other drivers may have come or gone meanwhile -------------------- */

static int plan_make(struct op *op, struct gate_command *c)
{
	(void)c;
	return driver_plan(op->s, op->driver, false, &op->err);
}

static int plan_drop(struct op *op, struct gate_command *c)
{
	(void)c;
	driver_unplan(op->driver);
	return 0;
}

/* --- shadow: with layout "same", module space for the session with its first driver ----------- */

static int shadow_reserve(struct op *op, struct gate_command *c)
{
	const struct driver *d = op->driver;
	const struct session *ss = d->session;

	if (d->layout == LAYOUT_SAME && !ss->va)
		c->a = ss->text_pages + GATE_PAGES;
	c->cmd = UMBRA_CMD_RESERVE;
	return c->a ? STEP_WAITS : 0;
}

static int shadow_reserved(struct op *op, s64 result, u64 value)
{
	struct session *ss = op->driver->session;
	struct gate_command give_back = { .cmd = UMBRA_CMD_RELEASE, .a = value };
	int ret;

	if (result)
		return err_set(
			&op->err, guest_error(result),
			"session %s: the guest has no module space left for it (a session of layout "
			"\"same\" takes 16 to 32 MiB of 1008); unload another session's drivers, or "
			"leave the layout out of the policy",
			ss->name);
	ret = session_take_range(op->s, ss, value, &op->err);
	if (ret)
		gate_command(op->s->gate, &give_back, NULL, NULL);
	return ret;
}

static bool range_is_used(const struct driver *d)
{
	const struct driver *o;

	for (o = d->session->drivers; o; o = o->next)
		if (o != d && o->own_page)
			return true;
	return false;
}

static int shadow_release(struct op *op, struct gate_command *c)
{
	const struct driver *d = op->driver;

	if (d->layout == LAYOUT_SAME && !range_is_used(d))
		c->a = d->session->va; /* (S2) */
	c->cmd = UMBRA_CMD_RELEASE;
	return c->a ? STEP_WAITS : 0;
}

static int shadow_released(struct op *op, s64 result, u64 value)
{
	(void)value;
	if (result)
		session_abandon_range(op->s, op->driver->session);
	else
		session_free_range(op->s, op->driver->session);
	return 0;
}

/* --- range: module space for the driver's own entries ---------------------------------------- */

static int range_reserve(struct op *op, struct gate_command *c)
{
	c->cmd = UMBRA_CMD_RESERVE;
	c->a = own_pages_needed(op->driver);
	return c->a ? STEP_WAITS : 0;
}

static int range_reserved(struct op *op, s64 result, u64 value)
{
	struct gate_command give_back = { .cmd = UMBRA_CMD_RELEASE, .a = value };
	int ret;

	if (result)
		return err_set(&op->err, guest_error(result),
			       "%s: the guest has no module space left for its entries (%u pages); "
			       "unload other drivers",
			       op->driver->path, own_pages_needed(op->driver));
	ret = own_pages_take_range(op->driver, value, &op->err);
	if (ret)
		gate_command(op->s->gate, &give_back, NULL, NULL);
	return ret;
}

static int range_release(struct op *op, struct gate_command *c)
{
	c->cmd = UMBRA_CMD_RELEASE;
	c->a = op->driver->own.va;
	return c->a ? STEP_WAITS : 0;
}

static int range_released(struct op *op, s64 result, u64 value)
{
	(void)result;
	(void)value;
	op->driver->own.va = 0; /* what the guest does not release is lost to it */
	return 0;
}

/* --- caller: the number by which the gate tells its calls from others ----------------------- */

static int caller_add(struct op *op, struct gate_command *c)
{
	struct driver *d = op->driver;
	int ret = gate_caller_add(op->s->gate, d->session->policy, d->session->name, d->name);

	(void)c;
	if (ret < 0)
		return err_set(&op->err, ret, "%s: %s", d->path,
			       ret == -ENOMEM ? "out of memory" : "too many drivers");
	d->caller = (unsigned)ret;
	ret = driver_note_functions(op->s, d, &op->err);
	return ret ? ret : driver_note_exports(op->s, d, &op->err);
}

/*
 * Removes the driver's caller, by (G11) of gate.h: its module is gone by now, and its page was
 * taken from the guest or is lost.
 */
static int caller_remove(struct op *op, struct gate_command *c)
{
	struct driver *d = op->driver;

	(void)c;
	if (d->caller)
		gate_caller_remove(op->s->gate, d->caller);
	d->caller = 0;
	return 0;
}

/* --- pages: with layout "same", those of the shadow that it needs, and its page there --------- */

static int pages_map(struct op *op, struct gate_command *c)
{
	struct umbra_map *maps = NULL;
	size_t n = 0;
	int ret;

	if (op->driver->layout != LAYOUT_SAME)
		return 0;
	ret = session_prepare_pages(op->s, op->driver, &maps, &n, &op->err);
	if (ret)
		return ret;
	c->cmd = UMBRA_CMD_MAP;
	c->payload = op->payload = maps;
	c->a = n;
	c->len = n * sizeof(*maps);
	return STEP_WAITS;
}

/* Makes the driver's page the trap page; those of the shadow stay as long as the range. */
static int pages_unmap(struct op *op, struct gate_command *c)
{
	struct driver *d = op->driver;

	if (!d->own_page)
		return 0;
	op->trap =
		(struct umbra_map){ session_gate_va(d->session, d->own_page, 0), UMBRA_PAGES_GPA };
	c->cmd = UMBRA_CMD_MAP;
	c->payload = &op->trap;
	c->a = 1;
	c->len = sizeof(op->trap);
	return STEP_WAITS;
}

static int pages_unmapped(struct op *op, s64 result, u64 value)
{
	(void)value;
	session_free_driver_page(op->s, op->driver, !result); /* (S4) */
	return 0;
}

/* --- entries: the driver's own --------------------------------------------------------------- */

static int entries_map(struct op *op, struct gate_command *c)
{
	const struct own_pages *own = &op->driver->own;
	int ret = own_pages_fill(op->s, op->driver, &op->err);

	if (ret)
		return ret;
	c->cmd = UMBRA_CMD_MAP;
	c->payload = own->maps;
	c->a = own->n;
	c->len = own->n * sizeof(*own->maps);
	return own->n ? STEP_WAITS : 0;
}

static int entries_mapped(struct op *op, s64 result, u64 value)
{
	(void)value;
	if (!result)
		return 0;
	return err_set(&op->err, guest_error(result), "%s: the guest cannot map its entries: %s",
		       op->driver->path, strerror(-guest_error(result)));
}

/* Makes the driver's own pages the trap page. */
static int entries_unmap(struct op *op, struct gate_command *c)
{
	const struct own_pages *own = &op->driver->own;

	c->cmd = UMBRA_CMD_MAP;
	c->a = own->n;
	c->payload = own->maps + own->n;
	c->len = own->n * sizeof(*own->maps);
	return own->n ? STEP_WAITS : 0;
}

static int entries_unmapped(struct op *op, s64 result, u64 value)
{
	(void)value;
	own_pages_free(op->s, op->driver, !result); /* (S4) */
	return 0;
}

/* --- module: the guest's own loader takes it, and its init runs ----------------------------- */

static const char *load_hint(s64 error)
{
	switch (error) {
	case ENOEXEC:
		return "; its format or version does not fit the running kernel";
	case EKEYREJECTED:
	case ENOKEY:
		return "; the guest takes only signed modules";
	case EPERM:
		return "; the driver's init said so, or the guest takes no such module";
	case EEXIST:
		return "; it or something that it registers is there already";
	case ENOENT:
		return "; an unknown symbol or parameter, or the driver's init said so";
	case ENODEV:
		return "; the driver found no device";
	case ENOTCONN:
		return "; the guest's agent has ended";
	/* The kernel's own, which no header of a program has. */
	case 512:
		return "; ERESTARTSYS: the driver's init waited for something and was interrupted";
	case 517:
		return "; EPROBE_DEFER: what the driver's init wants is not there yet";
	case 524:
		return "; ENOTSUPP: the driver's init found no support for what it wants";
	default:
		return "";
	}
}

static int module_load(struct op *op, struct gate_command *c)
{
	struct driver *d = op->driver;
	struct link_image image = { NULL, 0 };
	int ret = driver_copy_write(d, op->s->kaslr, op->s->k, &image, &op->err);

	if (ret)
		return ret;
	op->payload = image.data;
	ret = inward_await(op->s, d, &op->err);
	if (ret)
		return ret;
	c->cmd = UMBRA_CMD_LOAD;
	c->name = d->guest_name;
	c->params = d->params;
	c->payload = image.data;
	c->len = image.len;
	return STEP_WAITS;
}

/* Says what is seen of a driver that is loaded: to who asked for it, and in the record. */
static void tell_sight(struct op *op)
{
	const struct driver *d = op->driver;
	char text[UNSEEN_TEXT], line[UNSEEN_TEXT + 80];
	struct unseen unseen;

	driver_unseen(d, &unseen);
	unseen_text(&unseen, text);
	snprintf(line, sizeof(line), "%s:%s: %s", d->session->name, d->name, text);
	err_set(&op->err, 0, "%s", line);
	gate_record_event(op->s->gate, "driver loaded", line);
}

static int module_loaded(struct op *op, s64 result, u64 value)
{
	struct driver *d = op->driver;
	char refusal[GATE_REFUSAL_MAX], why[PLACEMENT_WHY_MAX];
	const enum placing how = inward_settle(d, why);

	(void)value;
	d->in_guest = !result || result == UMBRA_CRASHED;
	if (!result) {
		if (how != PLACED)
			note_put(
				machine_notes(op->s->m),
				"driver %s of session %s: the guest's kernel has loaded it without "
				"a word of the shim; whoever calls its functions crashes",
				d->name, d->session->name);
		/* what the policy watches of it is told from now on */
		own_pages_turn(op->s, d);
		driver_remember_place(op->s, d);
		gate_exports_live(op->s->gate, d->caller);
		tell_sight(op);
		session_note_unmatched(machine_notes(op->s->m), d->session);
		return 0;
	}
	if (result == UMBRA_CRASHED) {
		d->state = DRIVER_CRASHED;
		return err_set(
			&op->err, -EIO,
			"%s in session %s: it crashed in its init; what it made may still run, so "
			"its entries stay as long as the guest; its log says where",
			d->path, d->session->name);
	}
	if (how == NOT_PLACED)
		return err_set(
			&op->err, guest_error(result),
			"%s in session %s: its inward entries could not be placed, so it was "
			"not loaded: %s",
			d->path, d->session->name, why);
	gate_caller_refusal(op->s->gate, d->caller, refusal);
	if (*refusal)
		return err_set(&op->err, guest_error(result),
			       "%s in session %s: its init failed: %s; the policy had refused %s",
			       d->path, d->session->name, strerror(-guest_error(result)), refusal);
	return err_set(&op->err, guest_error(result),
		       "%s in session %s: the guest's kernel refused it: %s%s; its log says why",
		       d->path, d->session->name, strerror(-guest_error(result)),
		       load_hint(-result));
}

static const char *unload_hint(s64 error)
{
	return error == EAGAIN || error == EBUSY ? "; it is in use"
	       : error == ENOENT
		       ? "; it hides from the guest's kernel, and goes with the guest only"
	       : error == ENOTCONN ? "; the guest's agent has ended"
				   : "";
}

static int unload_refused(struct op *op, s64 result)
{
	const struct driver *d = op->driver;

	return err_set(&op->err, guest_error(result), "%s in session %s does not unload: %s%s",
		       d->name, d->session->name, strerror(-guest_error(result)),
		       unload_hint(-result));
}

/*
 * Looks at the driver anew before the guest is told, because the operation may have waited for its
 * turn: by now a module of its name may be somebody else's.
 */
static int module_unload(struct op *op, struct gate_command *c)
{
	struct driver *d = op->driver;

	if (!d->in_guest)
		return 0;
	d->state = DRIVER_LOADED;
	driver_look(op->s, d);
	d->in_guest = d->state != DRIVER_REMOVED; /* (D3) */
	if (!d->in_guest)
		return 0;
	if (d->state == DRIVER_HIDDEN)
		return unload_refused(op, -ENOENT);
	d->state = DRIVER_UNLOADING;
	c->cmd = UMBRA_CMD_UNLOAD;
	c->name = d->guest_name;
	return STEP_WAITS;
}

static int module_unloaded(struct op *op, s64 result, u64 value)
{
	struct driver *d = op->driver;

	(void)value;
	/* -ENOENT: the module hides, or a program in the guest has removed it. */
	if (result == -ENOENT) {
		d->state = DRIVER_LOADED;
		driver_look(op->s, d);
	}
	d->in_guest = result && d->state != DRIVER_REMOVED; /* (D3) */
	return d->in_guest ? unload_refused(op, result) : 0;
}

static const struct step steps[] = {
	{ "being resolved", "being forgotten", 0, plan_make, NULL, plan_drop, NULL },
	{ "reserving module space for its session", "releasing module space of its session",
	  SHIM_SECONDS, shadow_reserve, shadow_reserved, shadow_release, shadow_released },
	{ "reserving module space", "releasing module space", SHIM_SECONDS, range_reserve,
	  range_reserved, range_release, range_released },
	{ "being made known to the gate", "being forgotten by the gate", 0, caller_add, NULL,
	  caller_remove, NULL },
	{ "mapping pages of its session", "unmapping its page", SHIM_SECONDS, pages_map,
	  entries_mapped, pages_unmap, pages_unmapped },
	{ "mapping its entries", "unmapping its entries", SHIM_SECONDS, entries_map, entries_mapped,
	  entries_unmap, entries_unmapped },
	{ "loading", "unloading", DRIVER_SECONDS, module_load, module_loaded, module_unload,
	  module_unloaded },
};

/* --- walking ------------------------------------------------------------------------------- */

static const struct step *op_current_step(const struct op *op)
{
	return &steps[op->driver->steps - 1];
}

/* Arms the timer for the earliest deadline of all sessions. */
static void deadlines_arm(struct sessions *s)
{
	const struct session *ss;
	u64 first = 0, now = now_ns();

	for (ss = s->list; ss; ss = ss->next) {
		const struct op *op = ss->ops;

		if (op && op->deadline && (!first || op->deadline < first))
			first = op->deadline;
	}
	if (first)
		loop_timer_set(s->loop, s->slow_timer, first > now ? first - now : 1, 0);
}

/*
 * Notes which driver the VMM waits for. A deadline does not end a step, because nothing is taken
 * away from a driver whose code may still run.
 */
void operations_slow(void *arg, u32 expiries)
{
	struct sessions *s = arg;
	struct session *ss;

	(void)expiries;
	for (ss = s->list; ss; ss = ss->next) {
		struct op *op = ss->ops;

		if (!op || !op->deadline || op->deadline > now_ns())
			continue;
		op->deadline = 0;
		note_put(machine_notes(s->m), "the guest has not answered for %u s: %s %s",
			 op_current_step(op)->seconds,
			 op->undoing ? op_current_step(op)->undoing : op_current_step(op)->doing,
			 op->driver->guest_name);
	}
	deadlines_arm(s);
}

/* Reports the operation's end, and begins the session's next one, which @done may have queued. */
static void op_end(struct op *op)
{
	struct driver *d = op->driver;
	struct session *ss = d->session;

	ss->ops = op->next;
	if (!ss->ops)
		ss->ops_tail = &ss->ops;
	driver_unplan(d); /* its imports are not looked up again */
	if (!d->steps)
		driver_drop(d);
	else if (d->state == DRIVER_LOADING || d->state == DRIVER_UNLOADING)
		d->state = DRIVER_LOADED;
	if (op->done)
		op->done(op->arg, op->ret, op->err.text);
	free(op);
	ss->busy = false;
	op_begin(ss);
}

/*
 * Ends the step that was under way, with @ret. False: the operation has ended with it, because the
 * guest's kernel keeps the module, unwillingly or crashed; nothing was taken back then (D3).
 */
static bool op_on_step_end(struct op *op, int ret)
{
	if (!op->undoing) {
		op->ret = ret;
		op->undoing = ret;
		return !ret || op->driver->state != DRIVER_CRASHED;
	}
	if (ret) {
		op->ret = ret;
		return false;
	}
	op->driver->steps--;
	return true;
}

static void op_walk(struct op *op);

static void guest_answered(void *arg, s64 result, u64 value)
{
	struct op *op = arg;
	const struct step *st = op_current_step(op);

	op->deadline = 0;
	if (op_on_step_end(op, op->undoing ? st->undone(op, result, value)
					   : st->done(op, result, value)))
		op_walk(op);
	else
		op_end(op);
}

/* Hands a step's command to the guest. */
static int op_send(struct op *op, const struct gate_command *c)
{
	const struct step *st = op_current_step(op);
	int ret = gate_command(op->s->gate, c, guest_answered, op);

	free(op->payload);
	op->payload = NULL;
	if (!ret) {
		op->deadline = now_ns() + st->seconds * NS_PER_SECOND;
		deadlines_arm(op->s);
		return STEP_WAITS;
	}
	/* A guest that cannot be told lets go of nothing. */
	if (op->undoing)
		return st->undone(op, ret, 0);
	return err_set(&op->err, ret, "%s: cannot tell the guest: %s", op->driver->path,
		       ret == -ENOTCONN ? "its agent has ended" : strerror(-ret));
}

/* Takes the operation to its end, or to the next step that waits for the guest. */
static void op_walk(struct op *op)
{
	struct driver *d = op->driver;

	while (op->undoing ? d->steps > 0 : d->steps < ARRAY_SIZE(steps)) {
		struct gate_command c = { 0 };
		int ret;

		d->steps += !op->undoing;
		ret = op->undoing ? op_current_step(op)->undoes(op, &c)
				  : op_current_step(op)->does(op, &c);
		if (ret == STEP_WAITS)
			ret = op_send(op, &c);
		if (ret == STEP_WAITS)
			return;
		if (!op_on_step_end(op, ret))
			break;
	}
	op_end(op);
}

/* Begins the session's first operation, if none is under way. */
static void op_begin(struct session *ss)
{
	struct op *op = ss->ops;

	if (!op || ss->busy)
		return;
	ss->busy = true;
	if (!op->undoing)
		op->driver->state = DRIVER_LOADING;
	op_walk(op);
}

static int op_queue(struct sessions *s, struct driver *d, bool undoing, operation_done_fn *done,
		    void *arg)
{
	struct session *ss = d->session;
	struct op *op = calloc(1, sizeof(*op));

	if (!op)
		return -ENOMEM;
	op->s = s;
	op->driver = d;
	op->undoing = undoing;
	op->done = done;
	op->arg = arg;
	*ss->ops_tail = op;
	ss->ops_tail = &op->next;
	return 0;
}

int driver_load(struct sessions *s, struct driver *d, operation_done_fn *done, void *arg)
{
	int ret;

	assert(d->state == DRIVER_QUEUED && !d->steps); /* (D3) */
	ret = op_queue(s, d, false, done, arg);
	if (!ret)
		op_begin(d->session);
	return ret;
}

int driver_unload(struct sessions *s, struct driver *d, operation_done_fn *done, void *arg)
{
	int ret;

	assert(d->state == DRIVER_LOADED || d->state == DRIVER_REMOVED); /* (D2) */
	assert(d->steps == ARRAY_SIZE(steps));				 /* (D3) */
	ret = op_queue(s, d, true, done, arg);
	if (ret)
		return ret;
	/* A module of its name would be somebody else's by now. */
	if (d->state == DRIVER_REMOVED)
		d->in_guest = false;
	d->state = DRIVER_UNLOADING; /* from now on: nobody may queue it again (D2) */
	op_begin(d->session);
	return 0;
}

void operations_cancel(struct sessions *s, const char *why)
{
	struct session *ss;

	for (ss = s->list; ss; ss = ss->next) {
		while (ss->ops) {
			struct op *op = ss->ops;

			ss->ops = op->next;
			if (op->done)
				op->done(op->arg, -ECANCELED, why);
			free(op);
		}
		ss->ops_tail = &ss->ops;
	}
}
