// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handles a critical call in the guest: asks the VMM in a frame, then has its answer carried out.
 *
 *   umbra_gate_enter()                 from umbra_gate_save(), in any context, also hard interrupts
 *    call_see()                        one that nobody decides (shim_see.c), or
 *    call_decided()
 *     call_ask()
 *       shim_frame_claim()     ┐
 *       frame_marshal()        │ preemption is off, nothing sleeps: a CPU can hold
 *       doorbell CALL          │ UMBRA_CONTEXTS frames, so one is always free (abi.h)
 *       answer_take()          │
 *       shim_frame_release()   ┘
 *     call_carry_out()                 with a copy of the answer; may sleep as the driver may
 *       name_put_in_place()
 *       call_real(), or what call_in_root() or program_set_up() do in its place
 *       name_take_back()               if it failed
 *       doorbell RESULT                if the answer has a ticket
 *     call_see_decided()               around that, if it is to be seen: into the CPU's ring
 *
 * Nothing is kept per CPU: a call may be interrupted by another one at any instruction.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "shim_call.h"

int shim_frame_claim(void)
{
	unsigned int i;

	for_each_clear_bit(i, umbra.busy,
			   UMBRA_FRAMES) if (!test_and_set_bit_lock(i, umbra.busy)) return i;
	return -EBUSY;
}

void shim_frame_release(int i)
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
		if (copy_from_kernel_nofault(&p, (void *)(vec + 8 * i), sizeof(p))) {
			flags |= UMBRA_FRAME_FAULT;
			break;
		}
		if (!p)
			break;
		part.len = 0;
		frame_put_string(f, &part, (const char *)p, 256);
		if (!part.len) {
			flags |= f->flags & UMBRA_FRAME_FAULT;
			break;
		}
		if (i)
			f->data[part.off - 1] = ' ';
		else
			f->strvec.off = part.off;
		f->strvec.len = f->used - f->strvec.off;
	}
	/* What is too long for the record is not for the program. */
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

/* Is @p a directory of sysfs that is nobody's own? */
static bool is_wide(u64 p)
{
	return !p || p == (u64)fs_kobj || p == (u64)kernel_kobj || p == (u64)firmware_kobj ||
	       p == (u64)mm_kobj;
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
	case UMBRA_FORM_RESULT:
		if (c->given && !IS_ERR_VALUE(c->given))
			frame_put_string(f, &f->name, (const char *)c->given, UMBRA_NAME_MAX);
		break;
	default:
		break;
	}
	if (f->name.len)
		f->flags |= UMBRA_FRAME_HAS_NAME;
	if (fn->wide && fn->wide <= 6 && is_wide(c->arg[fn->wide - 1]))
		f->flags |= UMBRA_FRAME_WIDE;
}

void shim_frame_begin(struct umbra_frame *f, const struct shim_call *c)
{
	memset(f, 0, offsetof(struct umbra_frame, data));
	f->cpu = raw_smp_processor_id();
	WRITE_ONCE(f->marshalling, 1);
	if (frame_is_nested(f))
		f->flags |= UMBRA_FRAME_NESTED;
	if (!c->can_sleep)
		f->flags |= UMBRA_FRAME_ATOMIC;
	if (in_task()) {
		f->pid = task_pid_nr(current);
		memcpy(f->command, current->comm, sizeof(f->command));
	}
	f->site = c->site;
	memcpy(f->args, c->arg, sizeof(f->args));
}

static void frame_marshal(struct umbra_frame *f, struct shim_call *c, const struct umbra_regs *regs)
{
	const struct umbra_fn *fn = c->fn;

	shim_frame_begin(f, c);
	f->time = ktime_get_mono_fast_ns();
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
	out->seen = a->seen;
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
	i = shim_frame_claim();
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
				       call_refusal(c->fn, ENOMEM), 0, 0);
		ret = -ENOMEM;
	}
	*cookie = a->cookie;
	shim_frame_release(i);
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

/* Asks about a call and carries the answer out; apart, since the answer takes stack. */
static noinline u64 call_decided(struct shim_call *c, const struct umbra_regs *regs)
{
	const struct umbra_fn *fn = c->fn;
	struct answer a SHIM_UNSET;
	s64 err;
	u64 ret;

	a.big = NULL;
	/* There is nothing to ask about before it has given a name out. */
	if (fn->how == UMBRA_HOW_GIVE_NAME)
		c->given = call_real(c);
	/* The references are taken and given back where one may sleep. */
	if (fn->flags & UMBRA_FN_IS_PATH && c->can_sleep)
		shim_place_get(&c->place);
	err = call_ask(c, regs, &a);
	if (err || !a.root)
		shim_place_release(&c->place);
	/* The put of a name that the host could not lead is left out: a reference too much. */
	if (err && fn->refusal == UMBRA_REFUSE_NEVER)
		return fn->form == UMBRA_FORM_STRING ? 0 : call_real(c);
	if (err)
		return call_refuse(c, -err);
	switch (a.verdict) {
	case UMBRA_PASS:
	case UMBRA_REWRITE:
		ret = a.seen ? call_see_decided(c, &a, regs) : call_carry_out(c, &a);
		break;
	case UMBRA_EMULATE:
		ret = a.value;
		break;
	case UMBRA_DENY:
	default:
		ret = call_refuse(c, a.error ? a.error : EPERM);
		break;
	}
	shim_place_release(&c->place);
	kfree(a.big);
	return ret;
}

u64 umbra_gate_enter(struct umbra_regs *regs)
{
	const struct umbra_fn *fn = &umbra.info->fns[UMBRA_ID_FN(regs->id)];
	struct shim_call c SHIM_UNSET;

	c.fn = fn;
	c.id = regs->id;
	c.site = regs->ret;
	c.old = 0;
	c.place.known = c.place.other_mounts = false;
	/* A frame has them; others behind are passed to functions that do not look. */
	c.arg[6] = c.arg[7] = 0;
	c.can_sleep = !in_atomic() && !irqs_disabled();
	memcpy(c.arg, regs->arg, sizeof(regs->arg));
	/* The kernel's function is another one than the catalogue's (vmm/gate/info_page.c). */
	if (!fn->real)
		return call_refuse(&c, ENOSYS);
	/* the driver's arguments on its stack, or any bytes at the top of one: always mapped */
	if (fn->nargs > 6 || fn->flags & UMBRA_FN_VARIADIC)
		memcpy(c.arg + 6, regs->stack, sizeof(c.arg) - sizeof(regs->arg));
	if (fn->how == UMBRA_HOW_WATCH)
		return call_watch(&c);
	return fn->how == UMBRA_HOW_SEE ? call_see(&c) : call_decided(&c, regs);
}
