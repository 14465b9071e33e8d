// SPDX-License-Identifier: GPL-2.0-only
/*
 * Carries out a call that is only seen: calls the function as the driver did, then puts down its
 * arguments, what the texts among them were before the call, its result and its time: into the
 * CPU's ring (abi.h), or where the entry leads to the other way by a frame and a doorbell. A call
 * that was decided comes into the ring in the same way, when it has been carried out.
 *
 * The texts are copied before the call, since the function may free or change them; no frame and no
 * slot is held meanwhile: the call may sleep, and come back on another CPU. Without a free frame or
 * slot the call is told as lost.
 *
 * The way into the ring is short, since it is the price of each call of a hot function: what is
 * rare (texts, a ring at its limit, the clock) is in functions of its own, and no structure is
 * cleared.
 */
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/cmpxchg.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#include "shim_call.h"

#define TEXTS 4 /* that are copied of one call; on its stack */

struct seen_texts {
	u8 n, arg[TEXTS];
	char text[TEXTS][UMBRA_TEXT_MAX];
};

static void texts_take(struct seen_texts *t, const struct umbra_fn *fn, const u64 *arg)
{
	long (*copy)(char *dst, const void *src, long count);
	unsigned int i;

	copy = (void *)umbra.info->syms[UMBRA_SYM_STRNCPY];
	t->n = 0;
	for (i = 0; i < UMBRA_ARGS && t->n < TEXTS; i++) {
		if (!(fn->texts & 1 << i) || !arg[i])
			continue;
		/* cut without a word: it is for people */
		if (copy(t->text[t->n], (const void *)arg[i], UMBRA_TEXT_MAX) <= 0)
			continue;
		t->text[t->n][UMBRA_TEXT_MAX - 1] = 0;
		t->arg[t->n++] = i;
	}
}

/* --- by a frame ---------------------------------------------------------------------------- */

static void frame_put_texts(struct umbra_frame *f, const struct seen_texts *t)
{
	unsigned int i;

	for (i = 0; i < t->n; i++) {
		u32 len = strlen(t->text[i]) + 1;

		memcpy(f->data + f->used, t->text[i], len);
		f->text[t->arg[i]] = (struct umbra_str){ f->used, len };
		f->used += len;
	}
}

static void call_tell(struct shim_call *c, const struct seen_texts *t, u64 from, u64 ret)
{
	const u64 ns = ktime_get_mono_fast_ns() - from;
	struct umbra_frame *f;
	int i;

	preempt_disable();
	i = shim_frame_claim();
	if (i < 0) {
		preempt_enable();
		umbra.doorbell(UMBRA_OP_LOST, c->id, 0, 0, 0, 0);
		return;
	}
	f = &umbra.frames[i];
	shim_frame_begin(f, c);
	f->old = ns;
	f->time = from;
	frame_put_texts(f, t);
	umbra.doorbell(UMBRA_OP_SEEN, i, c->id, ret, 0, 0);
	WRITE_ONCE(f->marshalling, 0);
	shim_frame_release(i);
	preempt_enable();
}

u64 call_see(struct shim_call *c)
{
	struct seen_texts t;
	u64 from, ret;

	texts_take(&t, c->fn, c->arg);
	from = ktime_get_mono_fast_ns();
	ret = call_real(c);
	call_tell(c, &t, from, ret);
	return ret;
}

/* --- into the ring ------------------------------------------------------------------------- */

static DEFINE_PER_CPU(struct umbra_seen_ring *, umbra_seen_ring);

void shim_see_init(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) per_cpu(umbra_seen_ring, cpu) =
		&umbra.seen->rings[cpu % UMBRA_SEEN_CPUS];
}

#define RESERVED (UMBRA_CONTEXTS * UMBRA_SEEN_SLOT) /* for those who have room, and no slot yet */

/* Takes @slots from @head on, if these are the next ones; on the ring's own CPU, hence no lock. */
static __always_inline bool slots_take(struct umbra_seen_ring *ring, u64 head, unsigned int slots)
{
	bool taken;

	asm volatile("cmpxchg %[next], %[at]"
		     : "=@ccz"(taken), [at] "+m"(ring->head), "+a"(head)
		     : [next] "r"(head + slots * UMBRA_SEEN_SLOT)
		     : "memory");
	return taken;
}

static __always_inline void *slot_at(struct umbra_seen_ring *ring, u64 at)
{
	return (char *)ring->slots + at % UMBRA_SEEN_BYTES;
}

static __always_inline void slot_end(__u64 *end, u64 at)
{
	smp_store_release(end, at + UMBRA_SEEN_SLOT);
}

/* Says what the time-stamp counter is in the guest's time. */
static u64 slot_put_clock(struct umbra_seen_ring *ring, u64 at)
{
	struct umbra_seen_clock *s = slot_at(ring, at);

	s->id = UMBRA_SEEN_CLOCK;
	s->interrupt = NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET;
	s->tsc = rdtsc();
	s->ns = ktime_get_mono_fast_ns();
	s->khz = tsc_khz;
	slot_end(&s->end, at);
	return at + UMBRA_SEEN_SLOT;
}

static u64 slot_put_text(struct umbra_seen_ring *ring, u64 at, u32 id, u32 number, const char *text,
			 size_t size)
{
	struct umbra_seen_text *s = slot_at(ring, at);

	s->id = id;
	s->number = number;
	memcpy(s->text, text, size);
	slot_end(&s->end, at);
	return at + UMBRA_SEEN_SLOT;
}

/* One call that is over, as the gate page and the function have left it. */
struct seen_call {
	const u64 *arg;	 /* of the registers */
	const u64 *rest; /* id, rbp, where it returned to, arguments on the stack */
	u64 from, to;	 /* @to 0: not read yet */
	u64 ret;
	const struct umbra_fn *more;	/* NULL: it has three arguments at most */
	const struct seen_texts *texts; /* or NULL */
	u64 number;			/* of one that was decided, or 0 */
};

static __always_inline void slot_put(struct umbra_seen_ring *ring, u64 at,
				     const struct seen_call *c)
{
	struct umbra_seen *s = slot_at(ring, at);

	OPTIMIZER_HIDE_VAR(s); /* one pointer, not an index into each member's column */
	s->id = c->rest[0];
	s->context = raw_cpu_read_4(__preempt_count); /* the bit above is the scheduler's */
	s->pid = task_pid_nr(current);
	s->start = c->from;
	if (c->to)
		s->stop = c->to;
	else
		asm volatile("rdtsc\n\tmov %%eax, %[low]\n\tmov %%edx, %[high]"
			     : [low] "=m"(((u32 *)&s->stop)[0]), [high] "=m"(((u32 *)&s->stop)[1])
			     :
			     : "eax", "edx");
	s->site = c->rest[2];
	s->ret = c->ret;
	s->args[0] = c->arg[0];
	s->args[1] = c->arg[1];
	s->args[2] = c->arg[2];
	if (c->more) {
		s->args[3] = c->arg[3];
		s->args[4] = c->arg[4];
		s->args[5] = c->arg[5];
		s->args[6] = c->more->nargs > 6 ? c->rest[3] : 0;
		s->args[7] = c->more->nargs > 7 ? c->rest[4] : 0;
	}
	if (c->number)
		s->number = c->number;
	slot_end(&s->end, at);
}

static void ring_drain(void)
{
	umbra.doorbell(UMBRA_OP_DRAIN, raw_smp_processor_id(), 0, 0, 0, 0);
}

/*
 * Takes slots, looking at how many are used, and makes room for the short way; returns the first
 * one's position, or, if none are free, -1. *half: the ring is to be drained when they are filled.
 */
static u64 ring_take(struct umbra_seen_ring *ring, unsigned int slots, bool *half)
{
	const u64 most = UMBRA_SEEN_BYTES - RESERVED, middle = UMBRA_SEEN_BYTES / 2;
	const u64 bytes = slots * UMBRA_SEEN_SLOT;
	bool drained = false;
	u64 head, used;

	for (;;) {
		head = READ_ONCE(ring->head);
		used = head + bytes - READ_ONCE(ring->tail);
		if (used > most) {
			if (drained)
				return -1ULL;
			ring_drain();
			drained = true;
		} else if (slots_take(ring, head, slots)) {
			break;
		}
	}
	/* Between half and full nobody rings again: what stops the reader is not done sooner. */
	*half = used - bytes < middle && used >= middle;
	WRITE_ONCE(ring->room, used < middle ? (s64)((middle - used) / UMBRA_SEEN_SLOT) - 1
					     : (s64)((most - used) / UMBRA_SEEN_SLOT));
	return head;
}

/* Puts a call down where the short way has no room, or another task calls; or with its texts. */
static noinline void ring_put(const struct seen_call *c)
{
	unsigned int i, n = c->texts ? c->texts->n : 0;
	struct umbra_seen_ring *ring;
	bool half, clock, task;
	u64 at;

	preempt_disable_notrace();
	ring = __this_cpu_read(umbra_seen_ring);
	/* An interrupt that comes between says it too. */
	clock = READ_ONCE(ring->room) <= 0;
	task = clock || ring->task != (u64)current;
	at = ring_take(ring, n + 1 + clock + task, &half);
	if (at == -1ULL) {
		atomic_inc((atomic_t *)&umbra.seen->lost[UMBRA_ID_CALLER((u32)c->rest[0])]);
		goto out;
	}
	if (clock)
		at = slot_put_clock(ring, at);
	if (task)
		at = slot_put_text(ring, at, UMBRA_SEEN_TASK, task_pid_nr(current), current->comm,
				   TASK_COMM_LEN);
	ring->task = (u64)current;
	for (i = 0; i < n; i++)
		at = slot_put_text(ring, at, UMBRA_SEEN_TEXT, c->texts->arg[i], c->texts->text[i],
				   UMBRA_TEXT_MAX);
	slot_put(ring, at, c);
	if (half)
		ring_drain();
out:
	preempt_enable_notrace();
}

/* Apart, so that the short way needs no structure in memory. */
static noinline void ring_put_slowly(const u64 *arg, const u64 *rest, u64 from, u64 ret,
				     const struct umbra_fn *more)
{
	ring_put(&(struct seen_call){ arg, rest, from, rdtsc(), ret, more, NULL, 0 });
}

/* Takes room for one call; on the ring's own CPU. */
static __always_inline bool room_take(struct umbra_seen_ring *ring)
{
	bool none;

	asm volatile("decq %[room]" : "=@ccs"(none), [room] "+m"(ring->room));
	return !none;
}

/* The short way. */
static __always_inline void ring_put_one(const u64 *arg, const u64 *rest, u64 from, u64 ret,
					 const struct umbra_fn *more)
{
	struct umbra_seen_ring *ring;
	u64 at = UMBRA_SEEN_SLOT;

	preempt_disable_notrace();
	ring = __this_cpu_read(umbra_seen_ring);
	if (likely(ring->task == (u64)current && room_take(ring))) {
		asm volatile("xadd %[at], %[head]" : [at] "+r"(at), [head] "+m"(ring->head));
		slot_put(ring, at,
			 &(const struct seen_call){ arg, rest, from, 0, ret, more, NULL, 0 });
	} else {
		ring_put_slowly(arg, rest, from, ret, more);
	}
	preempt_enable_notrace();
}

static noinline u64 call_see_texts(const struct umbra_regs *regs, const struct umbra_fn *fn)
{
	u64 (*any)(u64, u64, u64, u64, u64, u64, u64, u64) = (void *)fn->real;
	struct seen_call c = { .arg = regs->arg, .rest = &regs->id, .more = fn };
	u64 arg[UMBRA_ARGS];
	struct seen_texts t;

	memcpy(arg, regs->arg, sizeof(regs->arg));
	arg[6] = fn->nargs > 6 ? regs->stack[0] : 0;
	arg[7] = fn->nargs > 7 ? regs->stack[1] : 0;
	texts_take(&t, fn, arg);
	c.texts = &t;
	c.from = rdtsc();
	c.ret = any(arg[0], arg[1], arg[2], arg[3], arg[4], arg[5], arg[6], arg[7]);
	c.to = rdtsc();
	ring_put(&c);
	return c.ret;
}

u64 call_see_decided(struct shim_call *c, const struct answer *a, const struct umbra_regs *regs)
{
	struct seen_call s = {
		.arg = regs->arg, .rest = &regs->id, .more = c->fn, .number = a->seen
	};
	struct seen_texts t;

	texts_take(&t, c->fn, c->arg);
	s.texts = &t;
	s.from = rdtsc();
	s.ret = call_carry_out(c, a);
	s.to = rdtsc();
	ring_put(&s);
	return s.ret;
}

u64 notrace umbra_see_enter(const struct umbra_regs *regs)
{
	const struct umbra_fn *fn = &umbra.info->fns[UMBRA_ID_FN(regs->id)];
	u64 (*any)(u64, u64, u64, u64, u64, u64, u64, u64) = (void *)fn->real;
	const u64 *a = regs->arg;
	u64 from, ret;

	if (fn->texts)
		return call_see_texts(regs, fn);
	from = rdtsc();
	ret = any(a[0], a[1], a[2], a[3], a[4], a[5], fn->nargs > 6 ? regs->stack[0] : 0,
		  fn->nargs > 7 ? regs->stack[1] : 0);
	ring_put_one(a, &regs->id, from, ret, fn);
	return ret;
}

u64 notrace umbra_see_few_enter(const struct umbra_few_regs *regs)
{
	const struct umbra_fn *fn = &umbra.info->fns[UMBRA_ID_FN(regs->id)];
	u64 (*few)(u64, u64, u64) = (void *)fn->real;
	u64 from = rdtsc(), ret;

	ret = few(regs->arg[0], regs->arg[1], regs->arg[2]);
	ring_put_one(regs->arg, &regs->id, from, ret, NULL);
	return ret;
}
