// SPDX-License-Identifier: GPL-2.0-only
/* Sets up KVM's interrupt controllers and their routes, and makes irqfds for vectors. */
#include "vmm/machine/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/eventfd.h"
#include "vmm/machine/layout.h"

#define MAX_VECTORS 512
#define PIC_PINS    8
#define CASCADE	    2
#define MAX_ROUTES  (LAYOUT_GSI_PINS + 2 * PIC_PINS + MAX_VECTORS)

struct vector {
	bool used;
	bool routed;
	int fd; /* -1: not made yet; atomic */
	u64 addr;
	u32 data;
};

struct irqs {
	int vm;
	bool pc;
	pthread_mutex_t lock;
	struct vector vectors[MAX_VECTORS];
	struct kvm_irq_routing *table; /* scratch for MAX_ROUTES */
};

static void routing_add_line(struct kvm_irq_routing *t, u32 gsi, u32 chip, u32 pin)
{
	struct kvm_irq_routing_entry *r = &t->entries[t->nr++];

	r->gsi = gsi;
	r->type = KVM_IRQ_ROUTING_IRQCHIP;
	r->u.irqchip.irqchip = chip;
	r->u.irqchip.pin = pin;
}

static void add_pc_lines(struct kvm_irq_routing *t)
{
	for (u32 gsi = 0; gsi < LAYOUT_GSI_PINS; gsi++) {
		if (gsi == CASCADE)
			continue;
		routing_add_line(t, gsi, KVM_IRQCHIP_IOAPIC, gsi ? gsi : CASCADE);
		if (gsi < PIC_PINS)
			routing_add_line(t, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
		else if (gsi < 2 * PIC_PINS)
			routing_add_line(t, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - PIC_PINS);
	}
}

/* Gives KVM the table of routes, which it takes only as a whole. */
static int set_routes(struct irqs *q)
{
	struct kvm_irq_routing *t = q->table;

	memset(t, 0, sizeof(*t) + MAX_ROUTES * sizeof(t->entries[0]));
	if (q->pc)
		add_pc_lines(t);
	for (u32 pin = 0; pin < LAYOUT_GSI_PINS && !q->pc; pin++)
		routing_add_line(t, pin, KVM_IRQCHIP_IOAPIC, pin);
	for (u32 i = 0; i < MAX_VECTORS; i++) {
		const struct vector *v = &q->vectors[i];
		struct kvm_irq_routing_entry *r;

		if (!v->routed)
			continue;
		r = &t->entries[t->nr++];
		r->gsi = LAYOUT_GSI_PINS + i;
		r->type = KVM_IRQ_ROUTING_MSI;
		r->u.msi.address_lo = (u32)v->addr;
		r->u.msi.address_hi = (u32)(v->addr >> 32);
		r->u.msi.data = v->data;
	}
	return ioctl(q->vm, KVM_SET_GSI_ROUTING, t) ? -errno : 0;
}

int irqs_create(struct irqs **out, int vm, bool pc, struct err *e)
{
	/* With the speaker's port, because its bits tell when the timer's channel 2 has run out. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct irqs *q = calloc(1, sizeof(*q));
	int ret;

	if (!q)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&q->lock, NULL);
	q->vm = vm;
	q->pc = pc;
	for (size_t i = 0; i < MAX_VECTORS; i++)
		q->vectors[i].fd = -1;
	q->table = calloc(1, sizeof(*q->table) + MAX_ROUTES * sizeof(q->table->entries[0]));
	if (!q->table) {
		ret = err_set(e, -ENOMEM, "out of memory");
		goto fail;
	}
	if (ioctl(vm, KVM_CREATE_IRQCHIP, 0)) {
		ret = err_set(e, -errno, "KVM cannot create an interrupt controller: %s",
			      strerror(errno));
		goto fail;
	}
	ret = set_routes(q);
	if (ret) {
		err_set(e, ret, "KVM refuses the interrupt routes: %s", strerror(-ret));
		goto fail;
	}
	if (pc && ioctl(vm, KVM_CREATE_PIT2, &pit)) {
		ret = err_set(e, -errno, "KVM cannot create a timer for the firmware: %s",
			      strerror(errno));
		goto fail;
	}
	*out = q;
	return 0;
fail:
	irqs_destroy(q);
	return ret;
}

static int reset_pit(const struct irqs *q)
{
	struct kvm_pit_state2 pit = { 0 };

	/*
	 * The state of a timer that was not programmed; the gate of channel 2 belongs to the
	 * speaker's port.
	 */
	for (int i = 0; i < 3; i++) {
		pit.channels[i].mode = 0xff;
		pit.channels[i].gate = i != 2;
	}
	return ioctl(q->vm, KVM_SET_PIT2, &pit) ? -errno : 0;
}

int irqs_reset(struct irqs *q)
{
	const u64 masked = 1 << 16;

	for (u32 id = KVM_IRQCHIP_PIC_MASTER; id <= KVM_IRQCHIP_IOAPIC; id++) {
		struct kvm_irqchip chip = { .chip_id = id };

		if (ioctl(q->vm, KVM_GET_IRQCHIP, &chip))
			return -errno;
		if (id == KVM_IRQCHIP_IOAPIC) {
			chip.chip.ioapic.ioregsel = chip.chip.ioapic.id = chip.chip.ioapic.irr = 0;
			for (size_t i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
				chip.chip.ioapic.redirtbl[i].bits = masked;
		} else {
			u8 elcr_mask = chip.chip.pic.elcr_mask;

			memset(&chip.chip.pic, 0, sizeof(chip.chip.pic));
			chip.chip.pic.elcr_mask = elcr_mask;
		}
		if (ioctl(q->vm, KVM_SET_IRQCHIP, &chip))
			return -errno;
	}
	return q->pc ? reset_pit(q) : 0;
}

void irqs_destroy(struct irqs *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < MAX_VECTORS; i++)
		if (q->vectors[i].fd >= 0)
			close(q->vectors[i].fd);
	free(q->table);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int irqs_line(struct irqs *q, u32 gsi, bool level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	if (gsi >= LAYOUT_GSI_PINS)
		return -EINVAL;
	return ioctl(q->vm, KVM_IRQ_LINE, &l) ? -errno : 0;
}

int irqs_msi_alloc(struct irqs *q)
{
	int ret = -ENOSPC;

	pthread_mutex_lock(&q->lock);
	for (int i = 0; i < MAX_VECTORS && ret < 0; i++) {
		if (q->vectors[i].used)
			continue;
		q->vectors[i].used = true;
		ret = i;
	}
	pthread_mutex_unlock(&q->lock);
	return ret;
}

static int set_irqfd(const struct irqs *q, int vector, int fd, u32 flags)
{
	struct kvm_irqfd f = {
		.fd = (u32)fd,
		.gsi = (u32)(LAYOUT_GSI_PINS + vector),
		.flags = flags,
	};

	return ioctl(q->vm, KVM_IRQFD, &f) ? -errno : 0;
}

int irqs_msi_route(struct irqs *q, int vector, u64 addr, u32 data)
{
	struct vector *v;
	int ret = 0, fd;

	if (vector < 0 || vector >= MAX_VECTORS)
		return -EINVAL;
	v = &q->vectors[vector];
	pthread_mutex_lock(&q->lock);
	if (!v->used)
		ret = -EINVAL;
	if (!ret && (!v->routed || v->addr != addr || v->data != data)) {
		v->routed = true;
		v->addr = addr;
		v->data = data;
		ret = set_routes(q);
	}
	if (!ret && v->fd < 0) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ret = fd < 0 ? -errno : set_irqfd(q, vector, fd, 0);
		if (ret && fd >= 0)
			close(fd);
		else if (!ret)
			__atomic_store_n(&v->fd, fd, __ATOMIC_RELEASE);
	}
	if (ret)
		v->routed = false;
	pthread_mutex_unlock(&q->lock);
	return ret;
}

void irqs_msi_send(struct irqs *q, int vector)
{
	int fd;

	if (vector < 0 || vector >= MAX_VECTORS)
		return;
	fd = __atomic_load_n(&q->vectors[vector].fd, __ATOMIC_ACQUIRE);
	if (fd >= 0)
		eventfd_signal(fd);
}

int irqs_msi_bind(struct irqs *q, int vector, int fd, bool on)
{
	int ret = -EINVAL;

	if (vector < 0 || vector >= MAX_VECTORS)
		return ret;
	pthread_mutex_lock(&q->lock);
	if (q->vectors[vector].routed)
		ret = set_irqfd(q, vector, fd, on ? 0 : KVM_IRQFD_FLAG_DEASSIGN);
	pthread_mutex_unlock(&q->lock);
	return ret;
}

void irqs_msi_free(struct irqs *q, int vector)
{
	struct vector *v;
	int fd;

	if (vector < 0 || vector >= MAX_VECTORS)
		return;
	v = &q->vectors[vector];
	pthread_mutex_lock(&q->lock);
	fd = v->fd;
	if (fd >= 0) {
		set_irqfd(q, vector, fd, KVM_IRQFD_FLAG_DEASSIGN);
		__atomic_store_n(&v->fd, -1, __ATOMIC_RELEASE);
		close(fd);
	}
	v->used = false;
	v->routed = false;
	pthread_mutex_unlock(&q->lock);
}
