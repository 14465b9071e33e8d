// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends commands to the guest: the mailbox is written and the line is pulsed. The TAKEN or the DONE
 * doorbell of the same sequence number frees the mailbox for the next; a command that was taken, a
 * driver's init of a minute for example, runs beside those that follow until its DONE.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/gate/gate_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"

static void mail_free(struct mail *q)
{
	if (!q)
		return;
	free((void *)(uintptr_t)q->c.payload);
	free((void *)(uintptr_t)q->c.name);
	free((void *)(uintptr_t)q->c.params);
	free(q);
}

void gate_mailbox_free_all(struct gate *g)
{
	for (size_t i = 0; i < MAIL_RUNNING_MAX; i++) {
		mail_free(g->running[i].q);
		g->running[i].q = NULL;
	}
	while (g->head) {
		struct mail *q = g->head;

		g->head = q->next;
		mail_free(q);
	}
	g->tail = &g->head;
}

bool gate_alive(const struct gate *g)
{
	return atomic_load(&g->gate_va);
}

static void mail_write(struct gate *g, const struct gate_command *c)
{
	memset(g->mailbox->name, 0, sizeof(g->mailbox->name));
	memset(g->mailbox->params, 0, sizeof(g->mailbox->params));
	g->mailbox->cmd = c->cmd;
	g->mailbox->a = c->a;
	g->mailbox->len = c->len;
	if (c->name)
		memcpy(g->mailbox->name, c->name, strlen(c->name));
	if (c->params)
		memcpy(g->mailbox->params, c->params, strlen(c->params));
	if (c->len)
		memcpy((u8 *)g->mailbox + UMBRA_MAIL_PAYLOAD, c->payload, c->len);
}

/* Places are taken and freed on the loop's thread only; the others just look for theirs. */
static struct mail_running *running_place(struct gate *g)
{
	for (size_t i = 0; i < MAIL_RUNNING_MAX; i++)
		if (!g->running[i].q)
			return &g->running[i];
	return NULL;
}

/*
 * Puts the first command that waits into the mailbox, if that is free and the guest carries out
 * less than MAIL_RUNNING_MAX.
 */
static void mail_send_next(struct gate *g)
{
	struct mail_running *place = running_place(g);
	struct mail *q = g->head;

	if (g->full || !q || !place || !gate_alive(g) || g->gone_seen)
		return;
	g->head = q->next;
	if (!g->head)
		g->tail = &g->head;
	mail_write(g, &q->c);
	g->full = true;
	if (!++g->seq) /* 0 says that there was no command yet */
		g->seq++;
	pthread_mutex_lock(&g->done_lock);
	*place = (struct mail_running){ .q = q, .seq = g->seq };
	g->taken = false;
	pthread_mutex_unlock(&g->done_lock);
	__atomic_store_n(&g->mailbox->seq, g->seq, __ATOMIC_RELEASE);
	machine_irq_pulse(g->m, LAYOUT_GSI_UMBRA);
}

int gate_command(struct gate *g, const struct gate_command *c, gate_done_fn *fn, void *arg)
{
	struct mail *q;

	if (g->gone_seen)
		return -ENOTCONN;
	if ((c->name && strlen(c->name) >= sizeof(g->mailbox->name)) ||
	    (c->params && strlen(c->params) >= sizeof(g->mailbox->params)) ||
	    c->len > UMBRA_MAIL_PAYLOAD_MAX)
		return -E2BIG;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->c = *c;
	q->c.name = c->name ? strdup(c->name) : NULL;
	q->c.params = c->params ? strdup(c->params) : NULL;
	q->c.payload = NULL;
	if (c->len) {
		void *copy = malloc(c->len);

		if (copy)
			memcpy(copy, c->payload, c->len);
		q->c.payload = copy;
	}
	if ((c->name && !q->c.name) || (c->params && !q->c.params) || (c->len && !q->c.payload)) {
		mail_free(q);
		return -ENOMEM;
	}
	q->fn = fn;
	q->arg = arg;
	*g->tail = q;
	g->tail = &q->next;
	mail_send_next(g);
	return 0;
}

static s64 mail_wake(struct gate *g)
{
	u64 one = 1;

	return write(g->event, &one, sizeof(one)) == sizeof(one) ? 0 : -EIO;
}

s64 gate_mailbox_taken(struct gate *g, u64 seq)
{
	bool now;

	pthread_mutex_lock(&g->done_lock);
	now = !g->taken && seq == __atomic_load_n(&g->mailbox->seq, __ATOMIC_ACQUIRE);
	g->taken |= now;
	pthread_mutex_unlock(&g->done_lock);
	return now ? mail_wake(g) : -EINVAL;
}

s64 gate_mailbox_done(struct gate *g, u64 seq, s64 result, u64 value)
{
	struct mail_running *r, *found = NULL;

	pthread_mutex_lock(&g->done_lock);
	for (r = g->running; r < g->running + MAIL_RUNNING_MAX; r++)
		if (r->q && r->seq == seq && !r->done)
			found = r;
	if (found) {
		found->done = true;
		found->result = result;
		found->value = value;
		g->taken |= seq == __atomic_load_n(&g->mailbox->seq, __ATOMIC_ACQUIRE);
	}
	pthread_mutex_unlock(&g->done_lock);
	return found ? mail_wake(g) : -EINVAL;
}

s64 gate_mailbox_gone(struct gate *g)
{
	pthread_mutex_lock(&g->done_lock);
	g->gone = true;
	pthread_mutex_unlock(&g->done_lock);
	return mail_wake(g);
}

static void mail_end(struct mail *q, s64 result, u64 value)
{
	if (q->fn)
		q->fn(q->arg, result, value);
	mail_free(q);
}

/* Takes out a command that is done, or with @any one in any state; .q is NULL: there is none. */
static struct mail_running running_take(struct gate *g, bool any)
{
	struct mail_running out = { .q = NULL };

	pthread_mutex_lock(&g->done_lock);
	for (size_t i = 0; i < MAIL_RUNNING_MAX && !out.q; i++) {
		if (!g->running[i].q || !(any || g->running[i].done))
			continue;
		out = g->running[i];
		g->running[i].q = NULL;
	}
	pthread_mutex_unlock(&g->done_lock);
	return out;
}

/* Fails every command, since without an agent nothing is carried out any more. */
static void mail_fail_all(struct gate *g)
{
	struct mail_running r;

	g->gone_seen = true;
	g->full = false;
	while ((r = running_take(g, true)).q)
		mail_end(r.q, -ENOTCONN, 0);
	while (g->head) {
		struct mail *q = g->head;

		g->head = q->next;
		if (!g->head)
			g->tail = &g->head;
		mail_end(q, -ENOTCONN, 0);
	}
}

void gate_mailbox_event(void *arg, u32 events)
{
	struct gate *g = arg;
	struct mail_running r;
	bool gone;
	u64 n;

	(void)events;
	if (read(g->event, &n, sizeof(n)) != sizeof(n))
		return;
	if (gate_alive(g) && !g->hello_told) {
		g->hello_told = true;
		if (g->hello)
			g->hello(g->hello_arg);
	}
	pthread_mutex_lock(&g->done_lock);
	if (g->taken)
		g->full = false;
	gone = g->gone;
	pthread_mutex_unlock(&g->done_lock);
	while ((r = running_take(g, false)).q)
		mail_end(r.q, r.result, r.value);
	if (gone)
		mail_fail_all(g);
	mail_send_next(g);
}
