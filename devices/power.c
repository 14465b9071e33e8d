// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers the ports by which a guest powers off, resets or reports a panic, and the power button's.
 */
#include "devices/power.h"

#include <errno.h>
#include <stdlib.h>

#define PORT_I8042    0x64
#define I8042_RESET   0xfe
#define SLEEP_ENABLE  0x20
#define SLEEP_TYPE(v) ((v) >> 2 & 7)
#define RESET_VALUE   1
#define PANICKED      1
#define GED_BUTTON    1

struct power {
	struct host *h;
	struct power_config c;
	u8 events; /* atomic */
};

static void i8042_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct power *p = arg;
	u8 *byte = data;

	(void)offset;
	(void)len;
	if (!write)
		*byte = 0; /* buffers empty: ready for the command */
	else if (*byte == I8042_RESET)
		p->h->ops->power(p->h, HOST_RESET, "keyboard controller");
}

static void sleep_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct power *p = arg;
	u8 *byte = data;

	(void)len;
	if (!write)
		*byte = 0;
	else if (offset == 0 && (*byte & SLEEP_ENABLE) && SLEEP_TYPE(*byte) == p->c.sleep_type_off)
		p->h->ops->power(p->h, HOST_POWEROFF, "ACPI S5");
}

static void reset_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct power *p = arg;
	u8 *byte = data;

	(void)offset;
	(void)len;
	if (!write)
		*byte = 0;
	else if (*byte == RESET_VALUE)
		p->h->ops->power(p->h, HOST_RESET, "ACPI reset register");
}

static void pvpanic_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct power *p = arg;
	u8 *byte = data;

	(void)offset;
	(void)len;
	if (!write)
		*byte = PANICKED; /* the events that are supported */
	else if (*byte & PANICKED)
		p->h->ops->power(p->h, HOST_PANICKED, "pvpanic");
}

static void ged_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct power *p = arg;

	(void)offset;
	(void)len;
	if (!write)
		*(u8 *)data = __atomic_exchange_n(&p->events, 0, __ATOMIC_ACQ_REL);
}

int power_create(struct power **out, struct host *h, const struct power_config *c)
{
	struct power *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	p->h = h;
	p->c = *c;
	ret = h->ops->pio_add(h, PORT_I8042, 1, i8042_io, p);
	if (!ret)
		ret = h->ops->pio_add(h, c->sleep_port, 2, sleep_io, p);
	if (!ret)
		ret = h->ops->pio_add(h, c->reset_port, 1, reset_io, p);
	if (!ret)
		ret = h->ops->pio_add(h, c->pvpanic_port, 1, pvpanic_io, p);
	if (!ret)
		ret = h->ops->pio_add(h, c->ged_port, 1, ged_io, p);
	if (ret) {
		power_destroy(p);
		return ret;
	}
	*out = p;
	return 0;
}

void power_reset(struct power *p)
{
	__atomic_store_n(&p->events, 0, __ATOMIC_RELEASE);
}

void power_destroy(struct power *p)
{
	free(p);
}

void power_button(struct power *p)
{
	__atomic_fetch_or(&p->events, GED_BUTTON, __ATOMIC_ACQ_REL);
	p->h->ops->irq_line(p->h, p->c.ged_gsi, true);
	p->h->ops->irq_line(p->h, p->c.ged_gsi, false);
}
