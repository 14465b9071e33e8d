// SPDX-License-Identifier: GPL-2.0-only
/*
 * A critical call: claim a frame, copy the arguments out, ring, carry out the answer.
 *
 * Runs in whatever context the driver called in, hard interrupts included: nothing here sleeps
 * unless the function's descriptor says that its callers may, and nothing is kept per CPU.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "shim.h"

typedef u64 (*real_fn)(u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64);

/* Arguments as they will be passed: registers, then the caller's stack. */
struct call {
	const struct umbra_fn *fn;
	u64 arg[6 + UMBRA_ARGS];
};

static bool can_sleep(void)
{
	return !in_atomic() && !irqs_disabled();
}

static u64 call_real(const struct call *c)
{
	const u64 *a = c->arg;

	/* Stack arguments are passed always: a function that takes fewer does not look. */
	return ((real_fn)c->fn->real)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
				      a[10], a[11], a[12], a[13]);
}

static u64 refuse(const struct umbra_fn *fn, u32 error)
{
	return fn->refusal == UMBRA_REFUSE_NULL ? 0 : (u64) - (s64)error;
}

static int try_claim(unsigned int end)
{
	unsigned int i = find_first_zero_bit(umbra.busy, end);

	for (; i < end; i = find_next_zero_bit(umbra.busy, end, i + 1))
		if (!test_and_set_bit_lock(i, umbra.busy))
			return i;
	return -EBUSY;
}

/* May @inst have one more? Its own limit keeps one driver from stalling the others. */
static bool admit(unsigned int inst)
{
	return atomic_add_unless(&umbra.in_progress[inst], 1, UMBRA_FRAMES_INSTANCE);
}

static int claim_waiting(unsigned int inst)
{
	const unsigned int end = UMBRA_FRAMES - UMBRA_FRAMES_RESERVED;
	int i = -EBUSY;

	if (!admit(inst))
		return -EBUSY;
	i = try_claim(end);
	if (i < 0)
		atomic_dec(&umbra.in_progress[inst]);
	return i;
}

/*
 * A caller that can sleep waits for a frame. One that cannot takes from the reserve, and so does a
 * function that undoes: it must not fail, and waiting could wait for the very lock its caller holds.
 */
static int claim(const struct umbra_fn *fn, unsigned int inst)
{
	bool wait =
		fn->flags & UMBRA_FN_MAY_SLEEP && can_sleep() && fn->refusal != UMBRA_REFUSE_NEVER;
	DECLARE_SWAITQUEUE(waiter);
	int i;

	if (wait) {
		i = claim_waiting(inst);
		if (i >= 0)
			return i;
	} else {
		i = try_claim(UMBRA_FRAMES);
		if (i >= 0)
			atomic_inc(&umbra.in_progress[inst]);
		return i;
	}
	for (;;) {
		prepare_to_swait_exclusive(&umbra.frame_free, &waiter, TASK_KILLABLE);
		i = claim_waiting(inst);
		if (i >= 0 || fatal_signal_pending(current))
			break;
		/* the one that was woken may be over its own limit: look again by itself, too */
		schedule_timeout(HZ / 10);
	}
	finish_swait(&umbra.frame_free, &waiter);
	return i >= 0 ? i : -EINTR;
}

static void unclaim(int i, unsigned int inst)
{
	atomic_dec(&umbra.in_progress[inst]);
	clear_bit_unlock(i, umbra.busy);
	/* pairs with the barrier of prepare_to_swait */
	smp_mb__after_atomic();
	if (swait_active(&umbra.frame_free))
		swake_up_one(&umbra.frame_free);
}

/* Copy a string of less than @max bytes in; it may lie in memory that the driver no longer owns. */
static void put_string(struct umbra_frame *f, struct umbra_str *s, const char *from, size_t max)
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

/* The same for a char array inside a structure, which need not end in a NUL. */
static void put_array(struct umbra_frame *f, const char *from, size_t size)
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

static void put_strvec(struct umbra_frame *f, u64 vec)
{
	u32 flags = f->flags;
	struct umbra_str part;
	u64 p;
	int i;

	for (i = 0; vec && i < 16; i++) {
		if (copy_from_kernel_nofault(&p, (void *)(vec + 8 * i), sizeof(p)) || !p)
			break;
		part.len = 0;
		put_string(f, &part, (const char *)p, 256);
		if (!part.len)
			break;
		if (i)
			f->data[part.off - 1] = ' ';
		else
			f->strvec.off = part.off;
		f->strvec.len = f->used - f->strvec.off;
	}
	/* What is wrong with the vector is the real function's business. */
	f->flags = flags;
}

static void put_format(struct umbra_frame *f, const struct call *c, const struct umbra_regs *regs)
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

/* Has this call, in an interrupt, come between another one's marshal and doorbell on this CPU? */
static bool nested(const struct umbra_frame *self)
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

static void marshal(struct umbra_frame *f, const struct call *c, const struct umbra_regs *regs)
{
	const struct umbra_fn *fn = c->fn;
	u64 p = fn->name_arg < 6 ? c->arg[fn->name_arg] : 0;

	memset(f, 0, offsetof(struct umbra_frame, data));
	f->id = regs->id;
	f->cpu = raw_smp_processor_id();
	f->pid = task_pid_nr(current);
	WRITE_ONCE(f->marshalling, 1);
	if (nested(f))
		f->flags |= UMBRA_FRAME_NESTED;
	if (!can_sleep())
		f->flags |= UMBRA_FRAME_ATOMIC;
	memcpy(f->args, c->arg, sizeof(f->args));

	switch (fn->form) {
	case UMBRA_FORM_STRING:
		if (p)
			put_string(f, &f->name, (const char *)p, UMBRA_NAME_MAX);
		break;
	case UMBRA_FORM_FIELD_PTR:
		if (copy_from_kernel_nofault(&f->old, (void *)(p + fn->field_off), 8))
			f->flags |= UMBRA_FRAME_FAULT;
		else if (f->old)
			put_string(f, &f->name, (const char *)f->old, UMBRA_NAME_MAX);
		break;
	case UMBRA_FORM_FIELD_ARRAY:
		put_array(f, (const char *)(p + fn->field_off), fn->field_size);
		break;
	case UMBRA_FORM_FORMAT:
		if (p)
			put_format(f, c, regs);
		break;
	default:
		break;
	}
	if (f->name.len)
		f->flags |= UMBRA_FRAME_HAS_NAME;
	if (fn->strvec_arg < 6)
		put_strvec(f, c->arg[fn->strvec_arg]);
	if (fn->flags & UMBRA_FN_IS_PATH && !(f->flags & UMBRA_FRAME_ATOMIC))
		shim_caller_place(f);
}

static int store(u64 to, const void *from, size_t len)
{
	long (*write)(void *dst, const void *src, size_t size);

	write = (void *)umbra.info->syms[UMBRA_SYM_WRITE_NOFAULT];
	return write((void *)to, from, len);
}

/* Did a function that registers something fail? */
static bool failed(const struct umbra_fn *fn, u64 ret)
{
	switch (fn->refusal) {
	case UMBRA_REFUSE_ERRNO:
		return (s32)ret < 0;
	case UMBRA_REFUSE_ERR_PTR:
		return IS_ERR_VALUE(ret);
	case UMBRA_REFUSE_NULL:
		return !ret;
	default:
		return false;
	}
}

/*
 * Opening may take for ever (a FIFO), so it does not keep the frame: the kernel would copy the name
 * out of the answer first thing anyway.
 */
static u64 open_path(const struct call *c, const struct umbra_answer *a, int idx, unsigned int inst)
{
	u32 resolve = a->resolve;
	struct file *file;
	char *root, *name;

	root = kstrdup(a->data + a->root.off, GFP_KERNEL);
	name = kstrdup(a->data + a->name.off, GFP_KERNEL);
	unclaim(idx, inst);
	file = root && name ? shim_open_in_root(root, name, c->arg[1], c->arg[2], resolve)
			    : ERR_PTR(-ENOMEM);
	kfree(root);
	kfree(name);
	return (u64)file;
}

/* Call the real function with the answer's name in place of the one asked for; gives the frame back. */
static u64 carry_out(struct call *c, struct umbra_frame *f, const struct umbra_answer *a, int idx,
		     unsigned int inst)
{
	static const char format[] = "%s";
	const struct umbra_fn *fn = c->fn;
	const char *name = NULL;
	char old[64];
	u64 field = 0, ret;

	if (a->name.len)
		name = a->flags & UMBRA_ANSWER_ARENA ? umbra.arena + a->name.off
						     : a->data + a->name.off;
	if (fn->name_arg < 6)
		field = c->arg[fn->name_arg] + fn->field_off;

	if (a->flags & UMBRA_ANSWER_IN_ROOT && fn->flags & UMBRA_FN_OPENS_PATH)
		return open_path(c, a, idx, inst);
	if (!name && !a->flags) {
		/* nothing of it is needed any more, and the call may take for ever */
		unclaim(idx, inst);
		return call_real(c);
	}

	switch (name ? fn->form : UMBRA_FORM_NONE) {
	case UMBRA_FORM_STRING:
		c->arg[fn->name_arg] = (u64)name;
		break;
	case UMBRA_FORM_FORMAT:
		c->arg[fn->name_arg] = (u64)format;
		c->arg[fn->name_arg + 1] = (u64)name;
		break;
	case UMBRA_FORM_FIELD_PTR:
		if (store(field, &name, sizeof(name)))
			goto fault;
		break;
	case UMBRA_FORM_FIELD_ARRAY:
		if (a->name.len > fn->field_size || fn->field_size > sizeof(old) ||
		    copy_from_kernel_nofault(old, (void *)field, fn->field_size) ||
		    store(field, name, a->name.len))
			goto fault;
		break;
	default:
		break;
	}

	ret = call_real(c);

	if (name && failed(fn, ret)) {
		if (fn->form == UMBRA_FORM_FIELD_PTR)
			store(field, &f->old, sizeof(f->old));
		else if (fn->form == UMBRA_FORM_FIELD_ARRAY)
			store(field, old, fn->field_size);
	}
	if (a->flags & UMBRA_ANSWER_RESTORE)
		store(field, &a->value, sizeof(a->value));
	goto out;
fault:
	ret = refuse(fn, EFAULT);
out:
	if (a->flags & UMBRA_ANSWER_RESULT) {
		f->ret = ret;
		umbra.doorbell(UMBRA_OP_RESULT, idx, f->id, 0, 0, 0);
	}
	unclaim(idx, inst);
	return ret;
}

/* Ring until the verdict is there. */
static s64 ask(struct umbra_frame *f, const struct umbra_answer *a, int idx, u32 id)
{
	unsigned int ms = 1;
	s64 ret;

	ret = umbra.doorbell(UMBRA_OP_CALL, idx, id, 0, 0, 0);
	WRITE_ONCE(f->marshalling, 0);

	while (!ret && a->verdict == UMBRA_PENDING) {
		if (f->flags & UMBRA_FRAME_ATOMIC)
			return -EAGAIN;
		schedule_timeout_killable(msecs_to_jiffies(ms));
		if (fatal_signal_pending(current))
			return -EINTR;
		ms = min(ms * 2, 128u);
		ret = umbra.doorbell(UMBRA_OP_POLL, idx, id, a->cookie, 0, 0);
	}
	return ret;
}

u64 umbra_gate_enter(struct umbra_regs *regs)
{
	const struct umbra_fn *fn = &umbra.info->fns[UMBRA_ID_FN(regs->id)];
	unsigned int inst = UMBRA_ID_INST(regs->id) % UMBRA_INSTANCES;
	struct call c = { .fn = fn };
	const struct umbra_answer *a;
	struct umbra_frame *f;
	s64 err;
	u64 ret;
	int idx;

	memcpy(c.arg, regs->arg, sizeof(regs->arg));
	/* the caller's frame, or at the top of a stack what lies there: always mapped */
	if (fn->nargs > 6 || fn->flags & UMBRA_FN_VARIADIC)
		memcpy(c.arg + 6, regs->stack, sizeof(c.arg) - sizeof(regs->arg));

	idx = claim(fn, inst);
	if (idx < 0) {
		bool never = fn->refusal == UMBRA_REFUSE_NEVER;

		umbra.doorbell(UMBRA_OP_LOST, regs->id, !never, 0, 0, 0);
		return never ? call_real(&c) : refuse(fn, -idx);
	}
	f = &umbra.frames[idx];
	a = &umbra.answers[idx];
	marshal(f, &c, regs);
	err = ask(f, a, idx, regs->id);
	if (err < 0) {
		unclaim(idx, inst);
		return fn->refusal == UMBRA_REFUSE_NEVER ? call_real(&c) : refuse(fn, -err);
	}
	switch (a->verdict) {
	case UMBRA_PASS:
	case UMBRA_REWRITE:
		return carry_out(&c, f, a, idx, inst);
	case UMBRA_EMULATE:
		ret = a->value;
		break;
	case UMBRA_DENY:
	default:
		ret = refuse(fn, a->error ? a->error : EPERM);
		break;
	}
	unclaim(idx, inst);
	return ret;
}
