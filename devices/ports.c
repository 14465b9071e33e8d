// SPDX-License-Identifier: GPL-2.0-only
/* Answers port 0x92, SeaBIOS's log port and the PM1 blocks of ACPI. */
#include "devices/ports.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"

#define PORT_A20	0x92
#define A20_RESET	0x01
#define A20_ON		0x02
#define PORT_LOG	0x402
#define LOG_PRESENT	0xe9
#define PM1_LEN		6
#define PM1_ENABLE	2 /* offset; the status at 0 is always 0 */
#define PM1_CONTROL	4
#define CONTROL_SCI	0x0001 /* always in ACPI mode */
#define CONTROL_SLEEP	0x2000 /* reads as 0 */
#define CONTROL_TYPE(v) ((v) >> 10 & 7)

struct ports {
	struct host *h;
	struct ports_config c;
	pthread_mutex_t lock;
	u8 a20;
	u8 pm1[PM1_LEN];
};

static void a20_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct ports *p = arg;
	u8 *byte = data;
	bool reset = false;

	(void)offset;
	(void)len;
	pthread_mutex_lock(&p->lock);
	if (write) {
		reset = *byte & A20_RESET;
		p->a20 = *byte & A20_ON;
	} else {
		*byte = p->a20;
	}
	pthread_mutex_unlock(&p->lock);
	if (reset)
		p->h->ops->power(p->h, HOST_RESET, "port 0x92");
}

static void log_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct ports *p = arg;

	(void)offset;
	(void)len;
	if (!write) {
		*(u8 *)data = LOG_PRESENT;
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->c.log(p->c.arg, *(u8 *)data);
	pthread_mutex_unlock(&p->lock);
}

/*
 * Carries out an access byte by byte, since it may cover the last register of a block and the first
 * of the next.
 */
static void pm1_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct ports *p = arg;
	u8 *bytes = data;
	bool off = false;
	u16 control;

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < len && offset + i < PM1_LEN; i++) {
		if (!write)
			bytes[i] = p->pm1[offset + i];
		else if (offset + i >= PM1_ENABLE)
			p->pm1[offset + i] = bytes[i];
	}
	if (write) {
		control = load_u16(p->pm1 + PM1_CONTROL);
		off = (control & CONTROL_SLEEP) && CONTROL_TYPE(control) == p->c.sleep_type_off;
		control = (u16)((control & ~CONTROL_SLEEP) | CONTROL_SCI);
		store_u16(p->pm1 + PM1_CONTROL, control);
	}
	pthread_mutex_unlock(&p->lock);
	if (off)
		p->h->ops->power(p->h, HOST_POWEROFF, "ACPI S5");
}

static void ports_set_registers(struct ports *p)
{
	p->a20 = A20_ON;
	memset(p->pm1, 0, sizeof(p->pm1));
	p->pm1[PM1_CONTROL] = CONTROL_SCI;
}

void ports_reset(struct ports *p)
{
	pthread_mutex_lock(&p->lock);
	ports_set_registers(p);
	pthread_mutex_unlock(&p->lock);
}

int ports_create(struct ports **out, struct host *h, const struct ports_config *c)
{
	struct ports *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->h = h;
	p->c = *c;
	ports_set_registers(p);
	ret = h->ops->pio_add(h, PORT_A20, 1, a20_io, p);
	if (!ret && c->log)
		ret = h->ops->pio_add(h, PORT_LOG, 1, log_io, p);
	if (!ret)
		ret = h->ops->pio_add(h, c->pm1_port, PM1_LEN, pm1_io, p);
	if (ret) {
		ports_destroy(p);
		return ret;
	}
	*out = p;
	return 0;
}

void ports_destroy(struct ports *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}
