// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends commands to the guest, one at a time: the mailbox is written, the line is pulsed, and the
 * DONE doorbell of the same sequence number frees it for the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/gate/gate_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"

#define SLOW_NS 30000000000ULL

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

static void mail_send_next(struct gate *g)
{
	const struct gate_command *c;

	if (g->sent || !g->head || !gate_alive(g) || g->gone_seen)
		return;
	c = &g->head->c;
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
	g->sent = true;
	g->seq++;
	__atomic_store_n(&g->mailbox->seq, g->seq, __ATOMIC_RELEASE);
	if (g->slow_timer >= 0)
		loop_timer_set(g->loop, g->slow_timer, SLOW_NS, 0);
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

s64 gate_mailbox_done(struct gate *g, u64 seq, s64 result, u64 value)
{
	u64 one = 1;
	s64 ret = -EINVAL;

	pthread_mutex_lock(&g->done_lock);
	if (!g->done && seq == __atomic_load_n(&g->mailbox->seq, __ATOMIC_ACQUIRE)) {
		g->done = true;
		g->done_result = result;
		g->done_value = value;
		ret = 0;
	}
	pthread_mutex_unlock(&g->done_lock);
	if (!ret && write(g->event, &one, sizeof(one)) != sizeof(one))
		ret = -EIO;
	return ret;
}

s64 gate_mailbox_gone(struct gate *g)
{
	u64 one = 1;

	pthread_mutex_lock(&g->done_lock);
	g->gone = true;
	pthread_mutex_unlock(&g->done_lock);
	return write(g->event, &one, sizeof(one)) == sizeof(one) ? 0 : -EIO;
}

/* A driver's init may take as long as it wants, but that is said. */
void gate_mailbox_slow(void *arg, u32 expiries)
{
	struct gate *g = arg;

	(void)expiries;
	if (g->sent && g->head)
		fprintf(stderr, "vmm: the guest has not answered for 30 s: %s %s\n",
			g->head->c.cmd == UMBRA_CMD_LOAD     ? "loading"
			: g->head->c.cmd == UMBRA_CMD_UNLOAD ? "unloading"
							     : "a command of the shim",
			g->head->c.name ? g->head->c.name : "");
}

/* Without an agent nothing is carried out any more: fails every command that waits. */
static void mail_fail_all(struct gate *g)
{
	g->gone_seen = true;
	g->sent = false;
	while (g->head) {
		struct mail *q = g->head;

		g->head = q->next;
		if (!g->head)
			g->tail = &g->head;
		if (q->fn)
			q->fn(q->arg, -ENOTCONN, 0);
		mail_free(q);
	}
}

void gate_mailbox_event(void *arg, u32 events)
{
	struct gate *g = arg;
	struct mail *q = NULL;
	bool gone;
	s64 result = 0;
	u64 value = 0, n;

	(void)events;
	if (read(g->event, &n, sizeof(n)) != sizeof(n))
		return;
	if (gate_alive(g) && !g->hello_told) {
		g->hello_told = true;
		if (g->hello)
			g->hello(g->hello_arg);
	}
	pthread_mutex_lock(&g->done_lock);
	if (g->done && g->sent) {
		q = g->head;
		g->head = q->next;
		if (!g->head)
			g->tail = &g->head;
		g->sent = false;
		result = g->done_result;
		value = g->done_value;
	}
	g->done = false;
	gone = g->gone;
	pthread_mutex_unlock(&g->done_lock);
	if (q && q->fn)
		q->fn(q->arg, result, value);
	mail_free(q);
	if (gone)
		mail_fail_all(g);
	mail_send_next(g);
}
