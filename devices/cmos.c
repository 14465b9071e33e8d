// SPDX-License-Identifier: GPL-2.0-only
/* Implements the registers of the MC146818 clock and its memory, behind ports 0x70 and 0x71. */
#include "devices/cmos.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PORT_INDEX 0x70
#define BYTES	   128
#define INDEX_MASK 0x7f /* bit 7: NMI off, which nothing here raises */

enum {
	REG_SECONDS = 0x00,
	REG_MINUTES = 0x02,
	REG_HOURS = 0x04,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_SHUTDOWN = 0x0f,	/* tells a BIOS why only the processor was reset */
	REG_BASE_KB = 0x15,	/* two bytes */
	REG_EXTENDED_KB = 0x17, /* above 1 MiB, up to 64 MiB; two bytes, and again at 0x30 */
	REG_EXTENDED_KB2 = 0x30,
	REG_CENTURY = 0x32,
	REG_ABOVE_16M = 0x34, /* in 64 KiB; two bytes */
	REG_ABOVE_4G = 0x5b,  /* in 64 KiB; three bytes */
	REG_CPUS = 0x5f,      /* besides the first */
};

#define A_RESET	   0x26 /* the divider runs, 1024 Hz */
#define A_RATE	   0x0f
#define A_UIP	   0x80
#define B_24_HOURS 0x02
#define B_BINARY   0x04
#define B_PERIODIC 0x40
#define C_PERIODIC 0x40
#define C_IRQ	   0x80
#define D_VALID	   0x80
#define HOUR_PM	   0x80
#define BASE_NS	   1000000000ULL
#define BASE_HZ	   32768ULL

struct cmos {
	struct host *h;
	struct cmos_config c;
	pthread_mutex_t lock;
	u8 index;
	u8 regs[BYTES];
	u64 period; /* ns between ticks, as config.periodic was called last */
};

static u8 cmos_encode(const struct cmos *c, int v)
{
	if (c->regs[REG_B] & B_BINARY)
		return (u8)v;
	return (u8)((v / 10 % 10) << 4 | v % 10);
}

static u8 cmos_encode_hours(const struct cmos *c, int h)
{
	if (c->regs[REG_B] & B_24_HOURS)
		return cmos_encode(c, h);
	return (u8)(cmos_encode(c, h % 12 ? h % 12 : 12) | (h >= 12 ? HOUR_PM : 0));
}

static u8 cmos_read_register(struct cmos *c)
{
	time_t now = time(NULL);
	struct tm t = { 0 };
	u8 v;

	gmtime_r(&now, &t);
	switch (c->index) {
	case REG_SECONDS:
		return cmos_encode(c, t.tm_sec);
	case REG_MINUTES:
		return cmos_encode(c, t.tm_min);
	case REG_HOURS:
		return cmos_encode_hours(c, t.tm_hour);
	case REG_WEEKDAY:
		return cmos_encode(c, t.tm_wday + 1);
	case REG_DAY:
		return cmos_encode(c, t.tm_mday);
	case REG_MONTH:
		return cmos_encode(c, t.tm_mon + 1);
	case REG_YEAR:
		return cmos_encode(c, t.tm_year % 100);
	case REG_CENTURY:
		return cmos_encode(c, 19 + t.tm_year / 100);
	case REG_C:
		v = c->regs[REG_C];
		c->regs[REG_C] = 0;
		if (v)
			c->h->ops->irq_line(c->h, c->c.gsi, false);
		return v;
	default:
		return c->regs[c->index];
	}
}

static void cmos_update_period(struct cmos *c)
{
	unsigned rate = c->regs[REG_A] & A_RATE;
	u64 ns = 0;

	/* Rates 1 and 2 are as slow as 8 and 9: the chip has no faster tap for them. */
	if (rate && rate < 3)
		rate += 7;
	if (rate && (c->regs[REG_B] & B_PERIODIC))
		ns = BASE_NS * (1ULL << (rate - 1)) / BASE_HZ;
	if (ns == c->period)
		return;
	c->period = ns;
	c->c.periodic(c->c.arg, ns);
}

static void cmos_write_register(struct cmos *c, u8 v)
{
	switch (c->index) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case REG_CENTURY: /* the time is the host's and cannot be set */
	case REG_C:
	case REG_D:
		break;
	case REG_A:
		c->regs[REG_A] = v & (u8)~A_UIP;
		cmos_update_period(c);
		break;
	case REG_B:
		c->regs[REG_B] = v;
		cmos_update_period(c);
		break;
	default:
		c->regs[c->index] = v;
		break;
	}
}

static void cmos_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct cmos *c = arg;
	u8 *byte = data;

	(void)len;
	pthread_mutex_lock(&c->lock);
	if (offset == 0) {
		if (write)
			c->index = *byte & INDEX_MASK;
	} else if (write) {
		cmos_write_register(c, *byte);
	} else {
		*byte = cmos_read_register(c);
	}
	pthread_mutex_unlock(&c->lock);
}

/* Stores @value, or the largest that fits, in @len registers, low byte first. */
static void cmos_store_size(struct cmos *c, unsigned reg, u64 value, unsigned len)
{
	u64 max = (1ULL << (8 * len)) - 1;

	if (value > max)
		value = max;
	for (unsigned i = 0; i < len; i++)
		c->regs[reg + i] = (u8)(value >> (8 * i));
}

static void cmos_fill_registers(struct cmos *c)
{
	const u64 mib = 1ULL << 20, low = c->c.low;
	u64 extended = low > mib ? (low - mib) >> 10 : 0;

	c->regs[REG_A] = A_RESET;
	c->regs[REG_B] = B_24_HOURS;
	c->regs[REG_D] = D_VALID;
	cmos_store_size(c, REG_BASE_KB, 640, 2);
	cmos_store_size(c, REG_EXTENDED_KB, extended, 2);
	cmos_store_size(c, REG_EXTENDED_KB2, extended, 2);
	cmos_store_size(c, REG_ABOVE_16M, low > 16 * mib ? (low - 16 * mib) >> 16 : 0, 2);
	cmos_store_size(c, REG_ABOVE_4G, c->c.high >> 16, 3);
	cmos_store_size(c, REG_CPUS, c->c.cpus - 1, 1);
}

int cmos_create(struct cmos **out, struct host *h, const struct cmos_config *config)
{
	struct cmos *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	/* gmtime_r() would read /etc/localtime at its first use, when the host is confined. */
	tzset();
	c->h = h;
	c->c = *config;
	cmos_fill_registers(c);
	ret = h->ops->pio_add(h, PORT_INDEX, 2, cmos_io, c);
	if (ret) {
		cmos_destroy(c);
		return ret;
	}
	*out = c;
	return 0;
}

void cmos_reset(struct cmos *c)
{
	pthread_mutex_lock(&c->lock);
	c->index = 0;
	c->regs[REG_A] = A_RESET;
	c->regs[REG_B] = B_24_HOURS;
	if (c->regs[REG_C])
		c->h->ops->irq_line(c->h, c->c.gsi, false);
	c->regs[REG_C] = 0;
	c->regs[REG_SHUTDOWN] = 0;
	cmos_update_period(c);
	pthread_mutex_unlock(&c->lock);
}

void cmos_destroy(struct cmos *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void cmos_tick(struct cmos *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->period && !c->regs[REG_C]) {
		c->regs[REG_C] = C_PERIODIC | C_IRQ;
		c->h->ops->irq_line(c->h, c->c.gsi, true);
	}
	pthread_mutex_unlock(&c->lock);
}
