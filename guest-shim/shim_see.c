// SPDX-License-Identifier: GPL-2.0-only
/*
 * Carries out a call that is only seen: calls the function as the driver did, then tells the VMM
 * its arguments, what the texts among them were before the call, its result and its time.
 *
 * The texts are copied before the call, since the function may free or change them; no frame is
 * held meanwhile. Without a free frame the call is told as lost.
 */
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

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

static void call_tell(struct shim_call *c, const struct seen_texts *t, u64 ret, u64 ns)
{
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
	call_tell(c, &t, ret, ktime_get_mono_fast_ns() - from);
	return ret;
}
