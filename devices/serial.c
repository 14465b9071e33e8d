// SPDX-License-Identifier: GPL-2.0-only
/* Implements the registers of a 16550A, its receive buffer and its interrupt line. */
#include "devices/serial.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER	  1024U /* a power of two */
#define IER_BITS  0x0f
#define IIR_FIFOS 0xc0
#define MCR_BITS  0x1f
#define DIVISOR	  1 /* 115200 baud */

struct serial {
	struct host *h;
	struct serial_config c;
	/*
	 * Held around output(), so that bytes leave in the order in which they were written. Only
	 * vCPUs take it, before the lock.
	 */
	pthread_mutex_t output_lock;
	pthread_mutex_t lock; /* of the members below */
	u8 ier, fcr, lcr, mcr, scr, dll, dlm;
	bool thr_event; /* "transmitter empty" was not reported yet */
	bool line;	/* level of the interrupt line */
	bool looped;	/* a byte came back in loop-back mode */
	u8 loop_byte;
	bool starved; /* serial_input() refused something */
	u8 rx[BUFFER];
	u32 head, tail; /* free-running */
};

static u32 rx_waiting(const struct serial *s)
{
	return s->head - s->tail;
}

static bool rx_data_ready(const struct serial *s)
{
	if (s->looped)
		return true;
	return rx_waiting(s) && !(s->mcr & UART_MCR_LOOP) &&
	       (s->c.polled_input || (s->ier & UART_IER_RDI));
}

static u8 serial_interrupt_id(const struct serial *s)
{
	u8 fifos = s->fcr & UART_FCR_ENABLE_FIFO ? IIR_FIFOS : 0;

	if ((s->ier & UART_IER_RDI) && rx_data_ready(s))
		return fifos | UART_IIR_RDI;
	if ((s->ier & UART_IER_THRI) && s->thr_event)
		return fifos | UART_IIR_THRI;
	return fifos | UART_IIR_NO_INT;
}

static void serial_update_line(struct serial *s)
{
	bool level = !(serial_interrupt_id(s) & UART_IIR_NO_INT);

	if (level == s->line)
		return;
	s->line = level;
	s->h->ops->irq_line(s->h, s->c.gsi, level);
}

static u8 serial_read_data(struct serial *s)
{
	if (s->looped) {
		s->looped = false;
		return s->loop_byte;
	}
	if (!rx_data_ready(s))
		return 0;
	return s->rx[s->tail++ % BUFFER];
}

static u8 serial_modem_status(const struct serial *s)
{
	u8 msr = 0;

	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	msr |= s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0;
	msr |= s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0;
	msr |= s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0;
	msr |= s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0;
	return msr;
}

static u8 serial_read_register(struct serial *s, u64 offset)
{
	bool dlab = s->lcr & UART_LCR_DLAB;
	u8 id;

	switch (offset) {
	case UART_RX:
		return dlab ? s->dll : serial_read_data(s);
	case UART_IER:
		return dlab ? s->dlm : s->ier;
	case UART_IIR:
		id = serial_interrupt_id(s);
		if ((id & UART_IIR_ID) == UART_IIR_THRI)
			s->thr_event = false;
		return id;
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE | (rx_data_ready(s) ? UART_LSR_DR : 0);
	case UART_MSR:
		return serial_modem_status(s);
	case UART_SCR:
		return s->scr;
	default:
		return 0xff;
	}
}

/*
 * The caller holds both locks. The lock is let go of meanwhile: output() may wait for a slow reader
 * of the console, and the main thread's serial_input() must not wait with it.
 */
static void serial_send(struct serial *s, u8 byte)
{
	if (s->mcr & UART_MCR_LOOP) {
		s->looped = true;
		s->loop_byte = byte;
	} else {
		pthread_mutex_unlock(&s->lock);
		s->c.output(s->c.arg, byte);
		pthread_mutex_lock(&s->lock);
	}
	s->thr_event = true;
}

static void serial_write_register(struct serial *s, u64 offset, u8 value)
{
	bool dlab = s->lcr & UART_LCR_DLAB;

	switch (offset) {
	case UART_TX:
		if (dlab)
			s->dll = value;
		else
			serial_send(s, value);
		break;
	case UART_IER:
		if (dlab) {
			s->dlm = value;
			break;
		}
		/* The transmitter is always empty, so enabling its interrupt raises it. */
		if ((value & UART_IER_THRI) && !(s->ier & UART_IER_THRI))
			s->thr_event = true;
		s->ier = value & IER_BITS;
		break;
	case UART_FCR:
		s->fcr = value;
		break;
	case UART_LCR:
		s->lcr = value;
		break;
	case UART_MCR:
		s->mcr = value & MCR_BITS;
		if (!(s->mcr & UART_MCR_LOOP))
			s->looped = false;
		break;
	case UART_SCR:
		s->scr = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

static void serial_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct serial *s = arg;
	bool may_send = write && offset == UART_TX, room;
	u8 *bytes = data;

	if (may_send)
		pthread_mutex_lock(&s->output_lock);
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < len; i++) {
		if (write)
			serial_write_register(s, offset + i, bytes[i]);
		else
			bytes[i] = serial_read_register(s, offset + i);
	}
	serial_update_line(s);
	/*
	 * room() is called when the buffer is half empty, so that the feeder is not woken for each
	 * byte.
	 */
	room = s->starved && rx_waiting(s) <= BUFFER / 2;
	if (room)
		s->starved = false;
	pthread_mutex_unlock(&s->lock);
	if (may_send)
		pthread_mutex_unlock(&s->output_lock);
	if (room)
		s->c.room(s->c.arg);
}

int serial_create(struct serial **out, struct host *h, const struct serial_config *c)
{
	struct serial *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->output_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	s->h = h;
	s->c = *c;
	s->dll = DIVISOR;
	ret = h->ops->pio_add(h, c->port, 8, serial_io, s);
	if (ret) {
		serial_destroy(s);
		return ret;
	}
	*out = s;
	return 0;
}

void serial_reset(struct serial *s)
{
	bool room;

	pthread_mutex_lock(&s->lock);
	s->ier = s->fcr = s->lcr = s->mcr = s->scr = s->dlm = 0;
	s->dll = DIVISOR;
	s->thr_event = s->looped = false;
	s->tail = s->head;
	serial_update_line(s);
	room = s->starved;
	s->starved = false;
	pthread_mutex_unlock(&s->lock);
	if (room)
		s->c.room(s->c.arg);
}

void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->output_lock);
	free(s);
}

size_t serial_input(struct serial *s, const u8 *buf, size_t len)
{
	size_t taken = 0;

	pthread_mutex_lock(&s->lock);
	while (taken < len && rx_waiting(s) < BUFFER)
		s->rx[s->head++ % BUFFER] = buf[taken++];
	s->starved = s->starved || taken < len;
	serial_update_line(s);
	pthread_mutex_unlock(&s->lock);
	return taken;
}
