// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles a critical call in the guest: asks the VMM in a frame, then carries out its answer.
 *
 *   umbra_gate_enter()                 from the gate page, in any context, hard interrupts included
 *     call_ask()
 *       frame_claim()     ┐
 *       frame_marshal()   │ preemption is off, nothing sleeps: a CPU can hold
 *       doorbell CALL     │ UMBRA_CONTEXTS frames, so one is always free (abi.h)
 *       answer_take()     │
 *       frame_release()   ┘
 *     call_carry_out()                 with a copy of the answer; may sleep as the driver may
 *       name_put_in_place()
 *       call_real(), shim_open_in_root() or program_run()
 *       name_take_back()               if it failed
 *       doorbell RESULT                if the answer has a ticket
 *
 * Nothing is kept per CPU: a call may be interrupted by another one at any instruction.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/umh.h>

#include "shim.h"

#define ARRAY_NAME_MAX 64 /* bytes of a char array inside a structure */

typedef u64 (*real_fn)(u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64);

/* One call of a driver, on its stack. */
struct shim_call {
	const struct umbra_fn *fn;
	u32 id;
	bool can_sleep;
	u64 arg[6 + UMBRA_ARGS]; /* as they will be passed: registers, then the driver's stack */
	u64 old;		 /* FIELD_PTR: the field's value before */
	struct shim_place place; /* of the calling task, if the name is a path */
};

/* The VMM's answer, copied out of its slot while the frame was held. */
struct answer {
	u32 verdict, flags, error, resolve;
	s64 value;
	u64 ticket;
	const char *root, *name; /* NULL: none */
	u32 name_len;		 /* with the NUL */
	char small[128];	 /* where root and name lie, if they fit */
	char *big;		 /* else */
};

static u64 call_real(const struct shim_call *c)
{
	const u64 *a = c->arg;

	/* Stack arguments are passed always: a function that takes fewer does not look. */
	return ((real_fn)c->fn->real)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
				      a[10], a[11], a[12], a[13]);
}

/* Returns the value that a refused call returns, in the function's own convention. */
static u64 refusal_value(const struct umbra_fn *fn, u32 error)
{
	return fn->refusal == UMBRA_REFUSE_NULL ? 0 : (u64) - (s64)error;
}

/*
 * Claims a frame; returns its number or -EBUSY. Preemption is off until frame_release(): (G5) of
 * vmm/gate/gate.h.
 */
static int frame_claim(void)
{
	unsigned int i;

	for_each_clear_bit(i, umbra.busy,
			   UMBRA_FRAMES) if (!test_and_set_bit_lock(i, umbra.busy)) return i;
	return -EBUSY;
}

static void frame_release(int i)
{
	clear_bit_unlock(i, umbra.busy);
}

/*
 * Copies a string of less than @max bytes in; it may lie in memory that the driver no longer owns.
 */
static void frame_put_string(struct umbra_frame *f, struct umbra_str *s, const char *from,
			     size_t max)
{
	long (*copy)(char *dst, const void *src, long count);
	char *to = f->data + f->used;
	long len;

	copy = (void *)umbra.info->syms[UMBRA_SYM_STRNCPY];
	if (f->used + max + 1 > sizeof(f->data)) {
		f->flags |= UMBRA_FRAME_TOO_LONG;
		return;
	}
	/* One byte more than allowed, or a string that just fits looks like one that was cut. */
	len = copy(to, from, max + 1);
	if (len <= 0) {
		f->flags |= UMBRA_FRAME_FAULT;
		return;
	}
	if ((size_t)len > max) {
		f->flags |= UMBRA_FRAME_TOO_LONG;
		to[max - 1] = 0;
		len = max;
	}
	s->off = f->used;
	s->len = len;
	f->used += len;
}

/* Copies a char array inside a structure, which need not end in a NUL. */
static void frame_put_array(struct umbra_frame *f, const char *from, size_t size)
{
	char *to = f->data + f->used;

	if (size >= sizeof(f->data) - f->used || copy_from_kernel_nofault(to, from, size)) {
		f->flags |= UMBRA_FRAME_FAULT;
		return;
	}
	to[size] = 0;
	f->name.off = f->used;
	f->name.len = strlen(to) + 1;
	f->used += f->name.len;
}

/* Copies the first strings of a char **, joined by blanks. */
static void frame_put_strvec(struct umbra_frame *f, u64 vec)
{
	u32 flags = f->flags;
	struct umbra_str part;
	u64 p;
	int i;

	for (i = 0; vec && i < 16; i++) {
		if (copy_from_kernel_nofault(&p, (void *)(vec + 8 * i), sizeof(p)) || !p)
			break;
		part.len = 0;
		frame_put_string(f, &part, (const char *)p, 256);
		if (!part.len)
			break;
		if (i)
			f->data[part.off - 1] = ' ';
		else
			f->strvec.off = part.off;
		f->strvec.len = f->used - f->strvec.off;
	}
	/* A fault of the vector is the real function's business. */
	f->flags = flags;
}

/* Puts the text that a printf format makes of the driver's arguments. */
static void frame_put_format(struct umbra_frame *f, const struct shim_call *c,
			     const struct umbra_regs *regs)
{
	unsigned int fixed = c->fn->nargs;
	struct {
		u32 gp_offset, fp_offset;
		const void *overflow, *save;
	} list = {
		.gp_offset = 8 * min(fixed, 6u),
		.fp_offset = 48, /* no vector registers in the kernel */
		.overflow = regs->stack + (fixed > 6 ? fixed - 6 : 0),
		.save = regs->arg,
	};
	va_list ap;
	size_t max = min_t(size_t, UMBRA_NAME_MAX, sizeof(f->data) - f->used);
	int len;

	BUILD_BUG_ON(sizeof(list) != sizeof(ap));
	memcpy(ap, &list, sizeof(list));
	len = vsnprintf(f->data + f->used, max, (const char *)c->arg[c->fn->name_arg], ap);
	if (len < 0 || (size_t)len >= max) {
		f->flags |= UMBRA_FRAME_TOO_LONG;
		len = max - 1;
	}
	f->name.off = f->used;
	f->name.len = len + 1;
	f->used += len + 1;
}

/*
 * Returns true if this call, in an interrupt, has come between another one's marshal and doorbell
 * on this CPU.
 */
static bool frame_is_nested(const struct umbra_frame *self)
{
	unsigned int i;

	if (!in_hardirq())
		return false;
	for_each_set_bit(i, umbra.busy, UMBRA_FRAMES)
	{
		const struct umbra_frame *f = &umbra.frames[i];

		if (f != self && READ_ONCE(f->marshalling) && f->cpu == raw_smp_processor_id())
			return true;
	}
	return false;
}

/*
 * Copies the members of the structure that say where the name comes from; one that cannot be read
 * is 0.
 */
static void frame_put_peeks(struct umbra_frame *f, const struct umbra_fn *fn, u64 p)
{
	unsigned int i;

	for (i = 0; i < UMBRA_PEEKS && fn->peek_off[i]; i++)
		if (copy_from_kernel_nofault(&f->peek[i], (void *)(p + fn->peek_off[i]), 8))
			f->peek[i] = 0;
}

static void frame_put_name(struct umbra_frame *f, const struct shim_call *c,
			   const struct umbra_regs *regs)
{
	const struct umbra_fn *fn = c->fn;
	u64 p = fn->name_arg < 6 ? c->arg[fn->name_arg] : 0;

	switch (fn->form) {
	case UMBRA_FORM_STRING:
		if (p)
			frame_put_string(f, &f->name, (const char *)p, UMBRA_NAME_MAX);
		break;
	case UMBRA_FORM_FIELD_PTR:
		if (copy_from_kernel_nofault(&f->old, (void *)(p + fn->field_off), 8))
			f->flags |= UMBRA_FRAME_FAULT;
		else if (f->old)
			frame_put_string(f, &f->name, (const char *)f->old, UMBRA_NAME_MAX);
		break;
	case UMBRA_FORM_FIELD_ARRAY:
		frame_put_array(f, (const char *)(p + fn->field_off), fn->field_size);
		frame_put_peeks(f, fn, p);
		break;
	case UMBRA_FORM_FORMAT:
		if (p)
			frame_put_format(f, c, regs);
		break;
	default:
		break;
	}
	if (f->name.len)
		f->flags |= UMBRA_FRAME_HAS_NAME;
}

static void frame_marshal(struct umbra_frame *f, struct shim_call *c, const struct umbra_regs *regs)
{
	const struct umbra_fn *fn = c->fn;

	memset(f, 0, offsetof(struct umbra_frame, data));
	f->cpu = raw_smp_processor_id();
	WRITE_ONCE(f->marshalling, 1);
	if (frame_is_nested(f))
		f->flags |= UMBRA_FRAME_NESTED;
	if (!c->can_sleep)
		f->flags |= UMBRA_FRAME_ATOMIC;
	memcpy(f->args, c->arg, sizeof(f->args));
	frame_put_name(f, c, regs);
	if (fn->flags & UMBRA_FN_HAS_STRVEC && fn->strvec_arg < 6)
		frame_put_strvec(f, c->arg[fn->strvec_arg]);
	shim_place_put(&c->place, f);
	c->old = f->old;
}

/* Copies the answer out of its slot. -ENOMEM: no memory for its strings. */
static int answer_take(struct answer *out, const struct umbra_answer *a)
{
	bool lent = a->flags & UMBRA_ANSWER_ARENA;
	u32 root = a->root.len, name = lent ? 0 : a->name.len;
	char *to = out->small;

	out->verdict = a->verdict;
	out->flags = a->flags;
	out->error = a->error;
	out->resolve = a->resolve;
	out->value = a->value;
	out->ticket = a->ticket;
	out->root = out->name = NULL;
	out->name_len = a->name.len;
	if (lent)
		out->name = umbra.arena + a->name.off;
	if (root + name > sizeof(out->small)) {
		to = out->big = kmalloc(root + name, GFP_ATOMIC | __GFP_NOWARN);
		if (!to)
			return -ENOMEM;
	}
	if (root)
		out->root = memcpy(to, a->data + a->root.off, root);
	if (name)
		out->name = memcpy(to + root, a->data + a->name.off, name);
	return 0;
}

/*
 * Asks once, with @cookie again. -EINVAL: the VMM knows no such caller any more; other -errno: no
 * frame was free, or no memory for the answer.
 */
static s64 call_ask_once(struct shim_call *c, const struct umbra_regs *regs, u64 *cookie,
			 struct answer *out)
{
	const struct umbra_answer *a;
	struct umbra_frame *f;
	s64 ret;
	int i;

	preempt_disable();
	i = frame_claim();
	if (i < 0) {
		preempt_enable();
		umbra.doorbell(UMBRA_OP_LOST, c->id, c->fn->refusal != UMBRA_REFUSE_NEVER, 0, 0, 0);
		return i;
	}
	f = &umbra.frames[i];
	a = &umbra.answers[i];
	frame_marshal(f, c, regs);
	ret = umbra.doorbell(*cookie ? UMBRA_OP_POLL : UMBRA_OP_CALL, i, c->id, *cookie, 0, 0);
	WRITE_ONCE(f->marshalling, 0);
	if (!ret && answer_take(out, a)) {
		/* the VMM takes the entry back that it prepared for the answer */
		if (out->flags & UMBRA_ANSWER_RESULT)
			umbra.doorbell(UMBRA_OP_RESULT, out->ticket, c->id,
				       refusal_value(c->fn, ENOMEM), 0, 0);
		ret = -ENOMEM;
	}
	*cookie = a->cookie;
	frame_release(i);
	preempt_enable();
	return ret;
}

/* Asks until the verdict is there. */
static s64 call_ask(struct shim_call *c, const struct umbra_regs *regs, struct answer *out)
{
	u64 cookie = 0;
	unsigned int ms = 1;
	s64 ret;

	for (;;) {
		ret = call_ask_once(c, regs, &cookie, out);
		if (ret || out->verdict != UMBRA_PENDING)
			return ret;
		if (!c->can_sleep)
			return -EAGAIN;
		schedule_timeout_killable(msecs_to_jiffies(ms));
		if (fatal_signal_pending(current))
			return -EINTR;
		ms = min(ms * 2, 128u);
	}
}

static int kernel_store(u64 to, const void *from, size_t len)
{
	long (*write)(void *dst, const void *src, size_t size);

	write = (void *)umbra.info->syms[UMBRA_SYM_WRITE_NOFAULT];
	return write((void *)to, from, len);
}

/*
 * Puts the answer's name in the place of the driver's. @array keeps the old content of a char
 * array. -EFAULT: that place cannot be written.
 */
static int name_put_in_place(struct shim_call *c, const struct answer *a, u64 field, char *array)
{
	static const char format[] = "%s";
	const struct umbra_fn *fn = c->fn;

	switch (a->name ? fn->form : UMBRA_FORM_NONE) {
	case UMBRA_FORM_STRING:
		c->arg[fn->name_arg] = (u64)a->name;
		return 0;
	case UMBRA_FORM_FORMAT:
		c->arg[fn->name_arg] = (u64)format;
		c->arg[fn->name_arg + 1] = (u64)a->name;
		return 0;
	case UMBRA_FORM_FIELD_PTR:
		return kernel_store(field, &a->name, sizeof(a->name)) ? -EFAULT : 0;
	case UMBRA_FORM_FIELD_ARRAY:
		if (a->name_len > fn->field_size || fn->field_size > ARRAY_NAME_MAX ||
		    copy_from_kernel_nofault(array, (void *)field, fn->field_size) ||
		    kernel_store(field, a->name, a->name_len))
			return -EFAULT;
		return 0;
	default:
		return 0;
	}
}

/* Puts the driver's own name back where it was, after a call that failed. */
static void name_take_back(const struct shim_call *c, u64 field, const char *array)
{
	if (c->fn->form == UMBRA_FORM_FIELD_PTR)
		kernel_store(field, &c->old, sizeof(c->old));
	else if (c->fn->form == UMBRA_FORM_FIELD_ARRAY)
		kernel_store(field, array, c->fn->field_size);
}

/* A program that the kernel starts; frees the name that the VMM lent for it: (G9) of gate.h. */
struct program {
	u64 ticket;
	u32 id;
};

/*
 * Called by the kernel when it has read the program's name, or will not read it; once, in process
 * context.
 */
static void program_let_go(struct subprocess_info *info)
{
	struct program *p = info->data;

	umbra.doorbell(UMBRA_OP_RESULT, p->ticket, p->id, 0, 0, 0);
	kfree(p);
}

/* Does the work of call_usermodehelper(), which would not tell when it has let go of the name. */
static u64 program_run(const struct shim_call *c, const struct answer *a)
{
	int wait = c->arg[3];
	gfp_t gfp = wait == UMH_NO_WAIT ? GFP_ATOMIC : GFP_KERNEL;
	struct subprocess_info *info = NULL;
	struct program *p;

	p = kmalloc(sizeof(*p), gfp);
	if (p) {
		*p = (struct program){ a->ticket, c->id };
		info = call_usermodehelper_setup(a->name, (char **)c->arg[1], (char **)c->arg[2],
						 gfp, NULL, program_let_go, p);
	}
	if (!info) {
		umbra.doorbell(UMBRA_OP_RESULT, a->ticket, c->id, -ENOMEM, 0, 0);
		kfree(p);
		return -ENOMEM;
	}
	return call_usermodehelper_exec(info, wait);
}

/* Calls the real function with the answer's name in place of the one asked for. */
static u64 call_carry_out(struct shim_call *c, const struct answer *a)
{
	const struct umbra_fn *fn = c->fn;
	char array[ARRAY_NAME_MAX];
	u64 field = 0, ret;

	if (a->root && fn->flags & UMBRA_FN_OPENS_PATH)
		return (u64)shim_open_in_root(a->root, a->name, c->arg[1], c->arg[2], a->resolve);
	if (a->flags & UMBRA_ANSWER_RESULT && fn->flags & UMBRA_FN_RUNS_PROGRAM)
		return program_run(c, a);
	if (fn->name_arg < 6)
		field = c->arg[fn->name_arg] + fn->field_off;
	if (name_put_in_place(c, a, field, array)) {
		ret = refusal_value(fn, EFAULT);
	} else {
		ret = call_real(c);
		if (a->name && !umbra_succeeded(fn->refusal, ret))
			name_take_back(c, field, array);
		if (a->flags & UMBRA_ANSWER_RESTORE)
			kernel_store(field, &a->value, sizeof(a->value));
	}
	if (a->flags & UMBRA_ANSWER_RESULT)
		umbra.doorbell(UMBRA_OP_RESULT, a->ticket, c->id, ret, 0, 0);
	return ret;
}

u64 umbra_gate_enter(struct umbra_regs *regs)
{
	const struct umbra_fn *fn = &umbra.info->fns[UMBRA_ID_FN(regs->id)];
	struct shim_call c = { .fn = fn, .id = regs->id };
	struct answer a;
	s64 err;
	u64 ret;

	a.big = NULL;
	c.can_sleep = !in_atomic() && !irqs_disabled();
	memcpy(c.arg, regs->arg, sizeof(regs->arg));
	/* the driver's arguments on its stack, or any bytes at the top of one: always mapped */
	if (fn->nargs > 6 || fn->flags & UMBRA_FN_VARIADIC)
		memcpy(c.arg + 6, regs->stack, sizeof(c.arg) - sizeof(regs->arg));

	/* The references are taken and given back where one may sleep. */
	if (fn->flags & UMBRA_FN_IS_PATH && c.can_sleep)
		shim_place_get(&c.place);
	err = call_ask(&c, regs, &a);
	shim_place_release(&c.place);
	/* The put of a name that the host could not lead is left out: a reference too much. */
	if (err && fn->refusal == UMBRA_REFUSE_NEVER)
		return fn->form == UMBRA_FORM_STRING ? 0 : call_real(&c);
	if (err)
		return refusal_value(fn, -err);
	switch (a.verdict) {
	case UMBRA_PASS:
	case UMBRA_REWRITE:
		ret = call_carry_out(&c, &a);
		break;
	case UMBRA_EMULATE:
		ret = a.value;
		break;
	case UMBRA_DENY:
	default:
		ret = refusal_value(fn, a.error ? a.error : EPERM);
		break;
	}
	kfree(a.big);
	return ret;
}
