// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands to the guest, one at a time: the mailbox is written, the line is pulsed, and the DONE
 * doorbell of the same sequence number frees it for the next.
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

static void queued_free(struct queued *q)
{
	if (!q)
		return;
	free((void *)(uintptr_t)q->c.payload);
	free((void *)(uintptr_t)q->c.name);
	free((void *)(uintptr_t)q->c.params);
	free(q);
}

void gate_command_free_all(struct gate *p)
{
	while (p->head) {
		struct queued *q = p->head;

		p->head = q->next;
		queued_free(q);
	}
	p->tail = &p->head;
}

bool gate_alive(const struct gate *p)
{
	return atomic_load(&p->gate_va);
}

static void send_next(struct gate *p)
{
	const struct gate_command *c;

	if (p->sent || !p->head || !gate_alive(p) || p->gone_seen)
		return;
	c = &p->head->c;
	memset(p->mail->name, 0, sizeof(p->mail->name));
	memset(p->mail->params, 0, sizeof(p->mail->params));
	p->mail->cmd = c->cmd;
	p->mail->a = c->a;
	p->mail->len = c->len;
	if (c->name)
		memcpy(p->mail->name, c->name, strlen(c->name));
	if (c->params)
		memcpy(p->mail->params, c->params, strlen(c->params));
	if (c->len)
		memcpy((u8 *)p->mail + UMBRA_MAIL_PAYLOAD, c->payload, c->len);
	p->sent = true;
	p->seq++;
	__atomic_store_n(&p->mail->seq, p->seq, __ATOMIC_RELEASE);
	if (p->slow_timer >= 0)
		loop_timer_set(p->loop, p->slow_timer, SLOW_NS, 0);
	machine_irq_pulse(p->m, LAYOUT_GSI_UMBRA);
}

int gate_command(struct gate *p, const struct gate_command *c, gate_done_fn *fn, void *arg)
{
	struct queued *q;

	if (p->gone_seen)
		return -ENOTCONN;
	if ((c->name && strlen(c->name) >= sizeof(p->mail->name)) ||
	    (c->params && strlen(c->params) >= sizeof(p->mail->params)) ||
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
		queued_free(q);
		return -ENOMEM;
	}
	q->fn = fn;
	q->arg = arg;
	*p->tail = q;
	p->tail = &q->next;
	send_next(p);
	return 0;
}

s64 gate_command_done(struct gate *p, u64 seq, s64 result, u64 value)
{
	u64 one = 1;
	s64 ret = -EINVAL;

	pthread_mutex_lock(&p->done_lock);
	if (!p->done && seq == __atomic_load_n(&p->mail->seq, __ATOMIC_ACQUIRE)) {
		p->done = true;
		p->done_result = result;
		p->done_value = value;
		ret = 0;
	}
	pthread_mutex_unlock(&p->done_lock);
	if (!ret && write(p->event, &one, sizeof(one)) != sizeof(one))
		ret = -EIO;
	return ret;
}

s64 gate_command_gone(struct gate *p)
{
	u64 one = 1;

	pthread_mutex_lock(&p->done_lock);
	p->gone = true;
	pthread_mutex_unlock(&p->done_lock);
	return write(p->event, &one, sizeof(one)) == sizeof(one) ? 0 : -EIO;
}

/* A driver's init may take as long as it wants, but somebody should know. */
void gate_command_slow(void *arg, u32 expiries)
{
	struct gate *p = arg;

	(void)expiries;
	if (p->sent && p->head)
		fprintf(stderr, "vmm: the guest has not answered for 30 s: %s %s\n",
			p->head->c.cmd == UMBRA_CMD_LOAD     ? "loading"
			: p->head->c.cmd == UMBRA_CMD_UNLOAD ? "unloading"
							     : "a command of the shim",
			p->head->c.name ? p->head->c.name : "");
}

/* Without an agent nothing is carried out any more: whoever waits is told. */
static void fail_all(struct gate *p)
{
	p->gone_seen = true;
	p->sent = false;
	while (p->head) {
		struct queued *q = p->head;

		p->head = q->next;
		if (!p->head)
			p->tail = &p->head;
		if (q->fn)
			q->fn(q->arg, -ENOTCONN, 0);
		queued_free(q);
	}
}

/* Woken by the hello, by DONE and by GONE. */
void gate_command_event(void *arg, u32 events)
{
	struct gate *p = arg;
	struct queued *q = NULL;
	bool gone;
	s64 result = 0;
	u64 value = 0, n;

	(void)events;
	if (read(p->event, &n, sizeof(n)) != sizeof(n))
		return;
	if (gate_alive(p) && !p->hello_told) {
		p->hello_told = true;
		if (p->hello)
			p->hello(p->hello_arg);
	}
	pthread_mutex_lock(&p->done_lock);
	if (p->done && p->sent) {
		q = p->head;
		p->head = q->next;
		if (!p->head)
			p->tail = &p->head;
		p->sent = false;
		result = p->done_result;
		value = p->done_value;
	}
	p->done = false;
	gone = p->gone;
	pthread_mutex_unlock(&p->done_lock);
	if (q && q->fn)
		q->fn(q->arg, result, value);
	queued_free(q);
	if (gone)
		fail_all(p);
	send_next(p);
}
