// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading: reserve (first driver of a session), map, load. Unloading: unload, unmap, release (last
 * driver). A load that fails in the middle goes down the second half of an unload.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/session/session_int.h"

static void next_op(struct sessions *s);

static void finish(struct op *op)
{
	struct sessions *s = op->s;

	s->ops = op->next;
	if (!s->ops)
		s->ops_tail = &s->ops;
	s->running = false;
	driver_unplan(op->driver);
	if (op->ret && !op->unload)
		sessions_drop_driver(s, op->driver);
	else if (!op->ret && op->unload)
		sessions_drop_driver(s, op->driver);
	if (op->done)
		op->done(op->arg, op->ret, op->err.text);
	free(op);
	next_op(s);
}

static void fail(struct op *op, int ret)
{
	op->ret = ret;
}

static bool send(struct op *op, const struct gate_command *c, gate_done_fn *fn)
{
	int ret = gate_command(op->s->gate, c, fn, op);

	if (ret) {
		err_set(&op->err, ret, "%s: cannot tell the guest: %s", op->driver->path,
			ret == -ENOTCONN ? "its agent has ended" : strerror(-ret));
		fail(op, ret);
	}
	return !ret;
}

static void released(void *arg, s64 result, u64 value)
{
	struct op *op = arg;

	(void)value;
	/* pages that the guest may still have mapped are not given to anybody else */
	if (result)
		op->driver->session->va = 0;
	else
		session_free_range(op->s, op->driver->session);
	finish(op);
}

static bool others_present(const struct driver *d)
{
	const struct driver *o;

	for (o = d->session->drivers; o; o = o->next)
		if (o != d && o->gate_page)
			return true;
	return false;
}

static void unmapped(void *arg, s64 result, u64 value)
{
	struct op *op = arg;
	struct driver *d = op->driver;
	struct session *ss = d->session;
	struct gate_command c = { .cmd = UMBRA_CMD_RELEASE, .a = ss->va };

	(void)value;
	/* a page that the guest may still have mapped is not given to anybody else */
	if (d->gate_page && !result) {
		gate_page_free(op->s->gate, ss->page_gpa[ss->text_pages + d->gate_page]);
		ss->page_gpa[ss->text_pages + d->gate_page] = 0;
	}
	d->gate_page = 0;
	if (d->inst) {
		gate_caller_remove(op->s->gate, d->inst);
		d->inst = 0;
	}
	if (ss->va && !others_present(d) && send(op, &c, released))
		return;
	finish(op);
}

/* Take away what the driver had: its gate page becomes the trap page. */
static void take_away(struct op *op)
{
	struct driver *d = op->driver;
	struct umbra_map trap = { 0, UMBRA_PAGES_GPA };
	struct gate_command c = {
		.cmd = UMBRA_CMD_MAP, .a = 1, .payload = &trap, .len = sizeof(trap)
	};

	if (!d->gate_page) {
		unmapped(op, 0, 0);
		return;
	}
	trap.va = session_gate_va(d->session, d->gate_page, 0);
	if (!send(op, &c, unmapped))
		finish(op);
}

static const char *load_hint(s64 error)
{
	switch (error) {
	case ENOEXEC:
		return "; its format or version does not fit the running kernel";
	case EKEYREJECTED:
	case ENOKEY:
		return "; the guest takes only signed modules";
	case EPERM:
		return "; the guest is locked down, or the driver's init said so";
	case EEXIST:
		return "; it or something that it registers is there already";
	case ENOENT:
		return "; an unknown symbol or parameter, or the driver's init said so";
	case ENODEV:
		return "; the driver found no device";
	case EFAULT:
		return "; it crashed in its init";
	case ENOTCONN:
		return "; the guest's agent has ended";
	default:
		return "";
	}
}

static void loaded(void *arg, s64 result, u64 value)
{
	struct op *op = arg;
	struct driver *d = op->driver;

	(void)value;
	if (!result) {
		d->state = DRIVER_LOADED;
		finish(op);
		return;
	}
	err_set(&op->err, (int)result,
		"%s in session %s: the guest's kernel refused it: %s%s; its log says why", d->path,
		d->session->name, strerror((int)-result), load_hint(-result));
	fail(op, result < 0 && result > -4096 ? (int)result : -EIO);
	take_away(op);
}

static u64 gate_address(void *arg, const char *symbol)
{
	const struct driver *d = arg;
	size_t i;

	for (i = 0; i < d->n_gates; i++)
		if (!strcmp(d->gates[i].symbol, symbol))
			return session_gate_va(d->session, d->gate_page, d->gates[i].slot);
	return 0;
}

static void mapped(void *arg, s64 result, u64 value)
{
	struct op *op = arg;
	struct driver *d = op->driver;
	struct link_addresses a = {
		.kaslr = op->s->kaslr,
		.shadow = d->session->va,
		.modules = MODULES_START,
		.modules_end = MODULES_LIMIT,
		.gate = gate_address,
		.arg = d,
	};
	struct gate_command c = { .cmd = UMBRA_CMD_LOAD,
				  .name = d->guest_name,
				  .params = d->params };
	const struct link_identity id = { d->guest_name, d->suffix };
	struct link_image image = { NULL, 0 };
	bool sent = false;
	int ret = (int)result;

	(void)value;
	if (ret) {
		err_set(&op->err, ret, "%s: the guest cannot map its entries: %s", d->path,
			strerror(-ret));
	} else {
		ret = link_emit(d->plan, &a, &id, &image, &op->err);
	}
	if (!ret) {
		c.payload = image.data;
		c.len = image.len;
		sent = send(op, &c, loaded);
	} else {
		fail(op, ret);
	}
	free(image.data);
	if (!sent)
		take_away(op);
}

static void map(struct op *op)
{
	struct driver *d = op->driver;
	struct sessions *s = op->s;
	struct umbra_map *maps = NULL;
	struct gate_command c = { .cmd = UMBRA_CMD_MAP };
	size_t n = 0;
	bool sent = false;
	int ret;

	ret = gate_caller_add(s->gate, d->session->policy, d->session->name, d->instance);
	if (ret > 0) {
		d->inst = (unsigned)ret;
		ret = session_prepare_pages(s, d, &maps, &n, &op->err);
	} else {
		err_set(&op->err, ret, "%s: too many drivers", d->path);
	}
	if (ret) {
		fail(op, ret);
	} else {
		c.a = n;
		c.payload = maps;
		c.len = n * sizeof(*maps);
		sent = send(op, &c, mapped);
	}
	free(maps);
	if (!sent)
		take_away(op);
}

static void reserved(void *arg, s64 result, u64 value)
{
	struct op *op = arg;
	int ret = (int)result;

	if (ret)
		err_set(&op->err, ret,
			"session %s: the guest has no module space left for it (a session takes 16 "
			"to 32 MiB of 1008); unload another session's drivers",
			op->driver->session->name);
	else
		ret = session_take_range(op->s, op->driver->session, value, &op->err);
	if (ret) {
		fail(op, ret);
		/* a range that was not taken is of no use to the guest either */
		if (!result && !op->driver->session->va) {
			struct gate_command c = { .cmd = UMBRA_CMD_RELEASE, .a = value };

			gate_command(op->s->gate, &c, NULL, NULL);
		}
		take_away(op);
		return;
	}
	map(op);
}

static void unloaded(void *arg, s64 result, u64 value)
{
	struct op *op = arg;
	struct driver *d = op->driver;

	(void)value;
	if (result) {
		d->state = DRIVER_LOADED;
		err_set(&op->err, (int)result, "%s in session %s does not unload: %s%s",
			d->instance, d->session->name, strerror((int)-result),
			result == -EAGAIN || result == -EBUSY ? "; it is in use" : "");
		fail(op, result > -4096 && result < 0 ? (int)result : -EIO);
		finish(op);
		return;
	}
	take_away(op);
}

static void next_op(struct sessions *s)
{
	struct op *op = s->ops;
	struct driver *d;

	if (!op || s->running)
		return;
	s->running = true;
	d = op->driver;
	if (op->unload) {
		struct gate_command c = { .cmd = UMBRA_CMD_UNLOAD, .name = d->guest_name };

		if (!send(op, &c, unloaded)) {
			d->state = DRIVER_LOADED;
			finish(op);
		}
		return;
	}
	d->state = DRIVER_LOADING;
	/* What it can link to may have changed since it was checked. */
	op->ret = driver_plan(s, d, false, &op->err);
	if (op->ret) {
		finish(op);
		return;
	}
	if (d->session->va) {
		map(op);
	} else {
		struct gate_command c = { .cmd = UMBRA_CMD_RESERVE,
					  .a = d->session->text_pages + GATE_PAGES };

		if (!send(op, &c, reserved))
			finish(op);
	}
}

int sessions_queue(struct sessions *s, struct driver *d, bool unload, session_done_fn *done,
		   void *arg)
{
	struct op *op = calloc(1, sizeof(*op));

	if (!op)
		return -ENOMEM;
	op->s = s;
	op->driver = d;
	op->unload = unload;
	op->done = done;
	op->arg = arg;
	if (unload)
		d->state = DRIVER_UNLOADING; /* from now on: nobody may queue it again */
	*s->ops_tail = op;
	s->ops_tail = &op->next;
	next_op(s);
	return 0;
}

void sessions_ops_free(struct sessions *s)
{
	while (s->ops) {
		struct op *op = s->ops;

		s->ops = op->next;
		if (op->done)
			op->done(op->arg, -ECANCELED, "the guest ended");
		free(op);
	}
	s->ops_tail = &s->ops;
}
