// SPDX-License-Identifier: GPL-2.0-only
/* stdin and stdout; and, as the same without input, a file. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/terminal.h"
#include "vmm/backend/endpoint_int.h"

#define ESCAPE	 1 /* Ctrl-a */
#define FLUSH_NS 10000000ULL

static const char help[] = "\r\n[vmm] Ctrl-a x: end the guest   Ctrl-a Ctrl-a: send Ctrl-a   "
			   "Ctrl-a h: this help\r\n";

struct stdio {
	struct endpoint ep; /* first */
	struct loop *loop;

	/* Input: main thread. */
	struct loop_call room; /* the guest has room again */
	bool tty, escaped, eof;
	bool watched;	 /* stdin is in the event loop */
	bool unpollable; /* stdin is a file: always ready */
	u8 in[512];
	size_t in_at, in_len;

	/* Output: any thread. */
	pthread_mutex_t lock;
	int out_fd;
	int flush_timer;
	bool flush_armed, gone;
	u8 out[1024];
	size_t out_len;
};

static struct stdio *stdio_of(struct endpoint *ep)
{
	return (struct stdio *)(void *)ep;
}

/* With the lock. Blocks while the reader is slow. */
static void flush_output(struct stdio *c)
{
	struct pollfd p = { .fd = c->out_fd, .events = POLLOUT };
	size_t at = 0;

	while (at < c->out_len && !c->gone) {
		ssize_t n = write(c->out_fd, c->out + at, c->out_len - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			poll(&p, 1, 1000); /* bounded: the end of the machine must get through */
		else if (n < 0 && errno != EINTR)
			c->gone = true;
		if (n < 0 && machine_exiting(c->ep.c.m) && errno == EAGAIN)
			break;
	}
	c->out_len = 0;
}

static size_t stdio_write(struct endpoint *ep, const u8 *buf, size_t len, bool may_refuse)
{
	struct stdio *c = stdio_of(ep);
	bool line = false;

	(void)may_refuse;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < len; i++) {
		c->out[c->out_len++] = buf[i];
		line |= buf[i] == '\n';
		if (c->out_len == sizeof(c->out))
			flush_output(c);
	}
	if (line) {
		flush_output(c);
	} else if (c->out_len && !c->flush_armed) {
		c->flush_armed = true;
		loop_timer_set(c->loop, c->flush_timer, FLUSH_NS, 0);
	}
	pthread_mutex_unlock(&c->lock);
	return len;
}

static void on_flush(void *arg, u32 expiries)
{
	struct stdio *c = arg;

	(void)expiries;
	pthread_mutex_lock(&c->lock);
	c->flush_armed = false;
	flush_output(c);
	pthread_mutex_unlock(&c->lock);
}

static void stdio_room(struct endpoint *ep)
{
	struct stdio *c = stdio_of(ep);

	loop_call(c->loop, &c->room);
}

/* Take the escape sequences out of what the user typed; returns what is left for the guest. */
static size_t filter(struct stdio *c, u8 *buf, size_t len)
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
				machine_exit(c->ep.c.m, VMM_EXIT_ESCAPE,
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

/* Give the guest what it takes; true: all of it. */
static bool feed(struct stdio *c)
{
	c->in_at += c->ep.c.input(c->ep.c.arg, c->in + c->in_at, c->in_len - c->in_at);
	return c->in_at == c->in_len;
}

static void stop_watching(struct stdio *c)
{
	if (c->watched)
		loop_del(c->loop, STDIN_FILENO);
	c->watched = false;
}

static void on_stdin(void *arg, u32 events);

/* Read only when all before was taken: what is not read stays in the pipe, nothing is lost. */
static void want_input(struct stdio *c)
{
	if (c->eof || c->watched || c->unpollable)
		return;
	if (!loop_add(c->loop, STDIN_FILENO, EPOLLIN, on_stdin, c))
		c->watched = true;
}

static void read_input(struct stdio *c)
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
	struct stdio *c = arg;

	(void)events;
	read_input(c);
}

static void on_room(void *arg)
{
	struct stdio *c = arg;

	if (!feed(c))
		return;
	want_input(c);
	while (c->unpollable && !c->eof && c->in_at == c->in_len)
		read_input(c);
}

static void setup_input(struct stdio *c)
{
	int ret;

	if (c->ep.c.what->kind == SPEC_FILE) {
		c->eof = true;
		return;
	}
	ret = terminal_raw(STDIN_FILENO);
	c->tty = !ret;
	if (ret == -EBUSY) {
		c->eof = true;
		return;
	}
	ret = loop_add(c->loop, STDIN_FILENO, EPOLLIN, on_stdin, c);
	if (!ret) {
		c->watched = true;
	} else if (ret == -EPERM) {
		c->unpollable = true;
		stdio_room(&c->ep);
	} else {
		c->eof = true; /* stdin is closed */
	}
}

static void stdio_destroy(struct endpoint *ep)
{
	struct stdio *c = stdio_of(ep);

	stop_watching(c);
	if (c->flush_timer >= 0)
		loop_timer_del(c->loop, c->flush_timer);
	pthread_mutex_lock(&c->lock);
	flush_output(c);
	pthread_mutex_unlock(&c->lock);
	if (c->ep.c.what->kind != SPEC_FILE)
		terminal_restore();
	else if (c->out_fd >= 0)
		close(c->out_fd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int open_output(struct stdio *c, struct err *e)
{
	const struct spec_endpoint *what = c->ep.c.what;

	c->out_fd = STDOUT_FILENO;
	if (what->kind != SPEC_FILE)
		return 0;
	c->out_fd = open(what->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	return c->out_fd < 0 ? err_set(e, -errno, "%s: cannot write to %s: %s", c->ep.c.name,
				       what->path, strerror(errno))
			     : 0;
}

static void stdio_describe(const struct endpoint *ep, char *buf, size_t len)
{
	snprintf(buf, len, "%s", ep->c.what->kind == SPEC_FILE ? "file" : "stdio");
}

int endpoint_stdio_create(struct endpoint **out, const struct endpoint_config *config,
			  struct err *e)
{
	static const struct endpoint_ops ops = { stdio_destroy, stdio_write, stdio_room,
						 stdio_describe };
	struct stdio *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	c->ep.ops = &ops;
	c->ep.c = *config;
	c->loop = machine_loop(config->m);
	c->room.fn = on_room;
	c->room.arg = c;
	c->flush_timer = loop_timer(c->loop, 0, 0, on_flush, c);
	ret = open_output(c, e);
	if (ret)
		goto fail;
	if (c->flush_timer < 0) {
		ret = err_set(e, c->flush_timer, "%s: out of memory", config->name);
		goto fail;
	}
	setup_input(c);
	*out = &c->ep;
	return 0;
fail:
	stdio_destroy(&c->ep);
	return ret;
}
