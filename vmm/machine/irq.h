/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Raises interrupt lines of the IO-APIC and message-signalled vectors. A vector is an eventfd that
 * KVM watches (irqfd) and a route for it; both are made when the guest first programs the vector,
 * so a start pays nothing for vectors that it does not use yet.
 */
#ifndef UMBRA_VMM_MACHINE_IRQ_H
#define UMBRA_VMM_MACHINE_IRQ_H

#include "base/err.h"
#include "base/types.h"

struct irqs;

/*
 * Creates KVM's irqchip, and its routes without the PIC. @pc: with it, and with the timer (PIT),
 * wired as on a PC: line 0 is pin 2 of the IO-APIC, and line 2 is the PICs' cascade.
 */
int irqs_create(struct irqs **out, int vm, bool pc, struct err *e);
void irqs_destroy(struct irqs *q); /* NULL allowed */
/* Resets the controllers; vectors stay, for their devices free them. No vCPU runs. -errno. */
int irqs_reset(struct irqs *q);

/* Sets the level of an input of the IO-APIC. -errno. */
int irqs_line(struct irqs *q, u32 gsi, bool level);

/* These do what msi_alloc(), msi_route() and msi_send() of struct host_ops say. */
int irqs_msi_alloc(struct irqs *q);
int irqs_msi_route(struct irqs *q, int vector, u64 addr, u32 data);
void irqs_msi_send(struct irqs *q, int vector);
/*
 * Binds the eventfd @fd to a vector that has a route, or unbinds it: while it is bound (@on), a
 * signal of @fd sends the vector.
 */
int irqs_msi_bind(struct irqs *q, int vector, int fd, bool on);
void irqs_msi_free(struct irqs *q, int vector);

#endif
