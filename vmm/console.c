// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/console.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/serial.h"
#include "vmm/exit.h"
#include "vmm/layout.h"
#include "vmm/terminal.h"

#define ESCAPE	 1 /* Ctrl-a */
#define FLUSH_NS 10000000ULL

static const char help[] = "\r\n[vmm] Ctrl-a x: end the guest   Ctrl-a Ctrl-a: send Ctrl-a   "
			   "Ctrl-a h: this help\r\n";

struct console {
	struct machine *m;
	struct loop *loop;
	struct console_config config;
	struct serial *serial;

	/* Input: main thread. */
	int room_fd; /* the serial port has room again */
	bool tty, escaped, eof;
	bool watched;	 /* stdin is in the event loop */
	bool unpollable; /* stdin is a file: always ready */
	u8 in[512];
	size_t in_at, in_len;

	/* Output: any thread. */
	pthread_mutex_t lock;
	int flush_timer;
	bool flush_armed, gone;
	u8 out[1024];
	size_t out_len;
};

/* With the lock. Blocks while the reader is slow. */
static void flush_output(struct console *c)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
	size_t at = 0;

	while (at < c->out_len && !c->gone) {
		ssize_t n = write(STDOUT_FILENO, c->out + at, c->out_len - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			poll(&p, 1, 1000); /* bounded: the end of the machine must get through */
		else if (n < 0 && errno != EINTR)
			c->gone = true;
		if (n < 0 && machine_exiting(c->m) && errno == EAGAIN)
			break;
	}
	c->out_len = 0;
}

static void on_output(void *arg, u8 byte)
{
	struct console *c = arg;

	pthread_mutex_lock(&c->lock);
	c->out[c->out_len++] = byte;
	if (byte == '\n' || c->out_len == sizeof(c->out)) {
		flush_output(c);
	} else if (!c->flush_armed) {
		c->flush_armed = true;
		loop_timer_set(c->flush_timer, FLUSH_NS, 0);
	}
	pthread_mutex_unlock(&c->lock);
	if (c->config.tap)
		c->config.tap(c->config.tap_arg, byte);
}

static void on_flush(void *arg, u32 expiries)
{
	struct console *c = arg;

	(void)expiries;
	pthread_mutex_lock(&c->lock);
	c->flush_armed = false;
	flush_output(c);
	pthread_mutex_unlock(&c->lock);
}

static void on_room(void *arg)
{
	struct console *c = arg;
	u64 one = 1;

	/* A full counter wakes as well. */
	if (write(c->room_fd, &one, sizeof(one)) < 0)
		return;
}

/* Take the escape sequences out of what the user typed; returns what is left for the guest. */
static size_t filter(struct console *c, u8 *buf, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		u8 b = buf[i];

		if (!c->escaped && b == ESCAPE) {
			c->escaped = true;
			continue;
		}
		if (c->escaped && b != ESCAPE) {
			c->escaped = false;
			if (b == 'x') {
				machine_exit(c->m, VMM_EXIT_ESCAPE,
					     "ended from the console (Ctrl-a x)");
				return kept;
			}
			if (b == 'h' && write(STDERR_FILENO, help, sizeof(help) - 1) < 0)
				continue;
			continue;
		}
		c->escaped = false;
		buf[kept++] = b;
	}
	return kept;
}

/* Give the port what it takes; true: all of it. */
static bool feed(struct console *c)
{
	c->in_at += serial_input(c->serial, c->in + c->in_at, c->in_len - c->in_at);
	return c->in_at == c->in_len;
}

static void stop_watching(struct console *c)
{
	if (c->watched)
		loop_del(c->loop, STDIN_FILENO);
	c->watched = false;
}

static void on_stdin(void *arg, u32 events);

/* Read only when all before was taken: what is not read stays in the pipe, nothing is lost. */
static void want_input(struct console *c)
{
	if (c->eof || c->watched || c->unpollable)
		return;
	if (!loop_add(c->loop, STDIN_FILENO, EPOLLIN, on_stdin, c))
		c->watched = true;
}

static void read_input(struct console *c)
{
	ssize_t n = read(STDIN_FILENO, c->in, sizeof(c->in));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		c->eof = true;
		stop_watching(c);
		return;
	}
	c->in_at = 0;
	c->in_len = c->tty ? filter(c, c->in, (size_t)n) : (size_t)n;
	if (!feed(c))
		stop_watching(c); /* until there is room */
}

static void on_stdin(void *arg, u32 events)
{
	struct console *c = arg;

	(void)events;
	read_input(c);
}

static void on_room_event(void *arg, u32 events)
{
	struct console *c = arg;
	u64 n;

	(void)events;
	if (read(c->room_fd, &n, sizeof(n)) < 0)
		return;
	if (!feed(c))
		return;
	want_input(c);
	while (c->unpollable && !c->eof && c->in_at == c->in_len)
		read_input(c);
}

static int setup_input(struct console *c)
{
	int ret = loop_add(c->loop, c->room_fd, EPOLLIN, on_room_event, c);

	if (ret)
		return ret;
	c->tty = !terminal_raw(STDIN_FILENO);
	if (!c->tty && isatty(STDIN_FILENO)) {
		c->eof = true; /* a terminal that belongs to somebody else now */
		return 0;
	}
	ret = loop_add(c->loop, STDIN_FILENO, EPOLLIN, on_stdin, c);
	if (!ret) {
		c->watched = true;
	} else if (ret == -EPERM) {
		c->unpollable = true;
		on_room(c);
	} else {
		c->eof = true; /* stdin is closed */
	}
	return 0;
}

int console_create(struct console **out, struct machine *m, const struct console_config *config,
		   struct err *e)
{
	struct console *c = calloc(1, sizeof(*c));
	struct serial_config sc = {
		.port = LAYOUT_PORT_COM1,
		.gsi = LAYOUT_GSI_COM1,
		.output = on_output,
		.room = on_room,
		.polled_input = config->polled_input,
		.arg = c,
	};
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	c->m = m;
	c->loop = machine_loop(m);
	c->config = *config;
	c->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->flush_timer = loop_timer(c->loop, 0, 0, on_flush, c);
	if (c->room_fd < 0 || c->flush_timer < 0) {
		ret = err_set(e, c->room_fd < 0 ? -errno : c->flush_timer,
			      "no descriptors for the console");
		goto fail;
	}
	ret = serial_create(&c->serial, machine_host(m), &sc);
	if (!ret)
		ret = setup_input(c);
	if (ret) {
		err_set(e, ret, "cannot set up the console: %s", strerror(-ret));
		goto fail;
	}
	*out = c;
	return 0;
fail:
	console_destroy(c);
	return ret;
}

void console_destroy(struct console *c)
{
	if (!c)
		return;
	stop_watching(c);
	if (c->room_fd >= 0) {
		loop_del(c->loop, c->room_fd);
		close(c->room_fd);
	}
	if (c->flush_timer >= 0)
		loop_timer_del(c->loop, c->flush_timer);
	pthread_mutex_lock(&c->lock);
	flush_output(c);
	pthread_mutex_unlock(&c->lock);
	terminal_restore();
	serial_destroy(c->serial);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
