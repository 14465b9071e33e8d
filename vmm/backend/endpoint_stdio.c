// SPDX-License-Identifier: GPL-2.0-only
/* Implements the endpoint on stdin and stdout; and, as the same without input, on a file. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/reopen.h"
#include "base/terminal.h"
#include "vmm/backend/endpoint_int.h"
#include "vmm/backend/file_inlet.h"
#include "vmm/backend/inlet.h"
#include "vmm/backend/outlet.h"

#define ESCAPE	 1 /* Ctrl-a */
#define RETRY_NS 1000000000ULL

static const char help[] = "\r\n[vmm] Ctrl-a x: end the guest   Ctrl-a Ctrl-a: send Ctrl-a   "
			   "Ctrl-a h: this help\r\n";

struct stdio {
	struct endpoint ep; /* first */
	struct loop *loop;

	/* Input: main thread. */
	struct loop_call room; /* the guest has room again */
	bool tty, escaped, eof;
	bool watched;	 /* stdin is in the event loop */
	bool unpollable; /* stdin is a device that is always ready */
	struct inlet inlet;
	struct file_inlet *file_in; /* stdin is a regular file; or NULL */
	int retry;     /* a timer: stdin is a terminal that another process group has; or -1 */
	int continued; /* a signalfd: this process goes on after a stop; or -1 */
	u8 in[512];
	size_t in_at, in_len;

	struct outlet *out; /* any thread */
	int file;	    /* the output's descriptor until @out owns it, or -1 */
	char given[24];	    /* names that of the starter, in messages */
};

static bool is_file(const struct stdio *c)
{
	return c->ep.c.what->kind == SPEC_FILE || c->ep.c.what->kind == SPEC_FILE_FD;
}

static const char *file_name(const struct stdio *c)
{
	return c->ep.c.what->kind == SPEC_FILE ? c->ep.c.what->path : c->given;
}

static struct stdio *stdio_of(struct endpoint *ep)
{
	return (struct stdio *)(void *)ep;
}

static size_t stdio_write(struct endpoint *ep, const u8 *buf, size_t len, bool may_refuse)
{
	return outlet_write(stdio_of(ep)->out, buf, len, may_refuse);
}

static void on_output_room(void *arg)
{
	struct stdio *c = arg;

	if (c->ep.c.room)
		c->ep.c.room(c->ep.c.arg);
}

static void stdio_room(struct endpoint *ep)
{
	struct stdio *c = stdio_of(ep);

	loop_call(c->loop, &c->room);
}

/* Acts on the escape sequences in @buf and takes them out; returns the bytes left for the guest. */
static size_t filter_escapes(struct stdio *c, u8 *buf, size_t len)
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
			if (b == 'x') { /* (E8) of machine.h */
				machine_exit(c->ep.c.m, EXIT_CODE_ESCAPE,
					     "ended from the console (Ctrl-a x)");
				return kept;
			}
			if (b == 'h' && c->ep.c.help)
				c->ep.c.help(c->ep.c.arg, help);
			continue;
		}
		c->escaped = false;
		buf[kept++] = b;
	}
	return kept;
}

/* Hands read bytes to the guest; true: it took all of them. */
static bool feed_guest(struct stdio *c)
{
	c->in_at += c->ep.c.input(c->ep.c.arg, c->in + c->in_at, c->in_len - c->in_at);
	return c->in_at == c->in_len;
}

static void stop_watching_stdin(struct stdio *c)
{
	if (c->watched)
		loop_del(c->loop, STDIN_FILENO);
	c->watched = false;
}

static void on_stdin(void *arg, u32 events);

static int add_stdin(struct stdio *c)
{
	int ret = loop_add(c->loop, STDIN_FILENO, EPOLLIN, on_stdin, c);

	c->watched = !ret;
	return ret;
}

/*
 * Reads only when the guest has taken all before: unread bytes stay in the pipe, and none is lost.
 */
static void watch_stdin(struct stdio *c)
{
	if (!c->eof && !c->watched && !c->unpollable && !c->file_in)
		add_stdin(c);
}

/*
 * Sets raw mode; in the background, as soon as this process is in front. A shell that takes
 * the terminal sets its own mode, and few shells set that of before when they give it back.
 */
static int set_raw(struct stdio *c)
{
	int ret = terminal_raw(STDIN_FILENO, c->inlet.ours ? c->inlet.fd : -1);

	if (ret == -EBUSY)
		loop_timer_set(c->loop, c->retry, RETRY_NS, 0);
	return ret;
}

static void on_retry(void *arg, u32 expiries)
{
	struct stdio *c = arg;

	(void)expiries;
	/* Without an open file of its own this process cannot tell where it is. */
	if (c->eof || (c->inlet.ours && set_raw(c) == -EBUSY))
		return;
	if (c->in_at == c->in_len)
		watch_stdin(c);
}

/* A job comes to the background by a stop, whose end says nothing of where it goes on. */
static void on_continued(void *arg, u32 events)
{
	struct stdio *c = arg;
	struct signalfd_siginfo info;

	if (read(c->continued, &info, sizeof(info)) == sizeof(info) && terminal_is_raw())
		on_retry(c, events);
}

/* Without the timer or the signalfd there is no memory, or no descriptor, for the rest either. */
static int prepare_job_control(struct stdio *c)
{
	sigset_t set;

	c->retry = loop_timer(c->loop, 0, 0, on_retry, c);
	if (c->retry < 0)
		return c->retry;
	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	c->continued = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->continued < 0 ? -errno
				: loop_add(c->loop, c->continued, EPOLLIN, on_continued, c);
}

/* Returns true if there was something. */
static bool read_stdin(struct stdio *c, u32 events)
{
	ssize_t n = c->file_in ? file_inlet_read(c->file_in, c->in, sizeof(c->in))
			       : inlet_read(&c->inlet, c->in, sizeof(c->in), events);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		c->eof = n != -EBUSY;
		stop_watching_stdin(c);
		if (!c->eof)
			loop_timer_set(c->loop, c->retry, RETRY_NS, 0);
		return false;
	}
	c->in_at = 0;
	c->in_len = c->tty ? filter_escapes(c, c->in, (size_t)n) : (size_t)n;
	if (!feed_guest(c))
		stop_watching_stdin(c); /* until there is room */
	return true;
}

static void on_stdin(void *arg, u32 events)
{
	read_stdin(arg, events);
}

static void on_input_room(void *arg)
{
	struct stdio *c = arg;

	if (!feed_guest(c))
		return;
	watch_stdin(c);
	while ((c->unpollable || c->file_in) && !c->eof && c->in_at == c->in_len &&
	       read_stdin(c, 0))
		;
}

/* The file's thread has read something, or has come to the end. */
static void on_file_input(void *arg)
{
	struct stdio *c = arg;

	if (c->in_at == c->in_len)
		on_input_room(c);
}

static int prepare_file(struct stdio *c)
{
	const struct file_inlet_config config = {
		.host = machine_host(c->ep.c.m),
		.loop = c->loop,
		.fd = STDIN_FILENO,
		.ready = on_file_input,
		.arg = c,
	};

	return file_inlet_create(&c->file_in, &config);
}

/*
 * Looks at stdin while files can still be opened. Nothing is read before stdio_start(): the loop
 * does not run yet. /dev/null, the stdin of many guests, costs no further system call.
 */
static int prepare_stdin(struct stdio *c, struct err *e)
{
	int ret = is_file(c) ? -EBUSY : terminal_prepare(STDIN_FILENO);
	struct stat st;

	c->tty = !ret;
	c->eof = ret == -EBUSY || fstat(STDIN_FILENO, &st) ||
		 (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	if (c->eof)
		return 0;
	if (S_ISREG(st.st_mode))
		return prepare_file(c) ? err_set(e, -ENOMEM, "out of memory") : 0;
	ret = add_stdin(c);
	c->unpollable = ret == -EPERM;
	c->eof = ret && !c->unpollable;
	if (!ret)
		inlet_open(&c->inlet, STDIN_FILENO, &st, c->tty);
	ret = c->tty ? prepare_job_control(c) : 0;
	return ret ? err_set(e, ret, "the terminal cannot be watched: %s", strerror(-ret)) : 0;
}

static void stdio_start(struct endpoint *ep)
{
	struct stdio *c = stdio_of(ep);

	if (c->tty && !c->eof) {
		int ret = set_raw(c);

		c->tty = !ret || ret == -EBUSY;
	}
	if (c->unpollable)
		stdio_room(&c->ep);
	if (c->file_in)
		file_inlet_start(c->file_in);
}

static void stdio_destroy(struct endpoint *ep, s64 until_ms)
{
	struct stdio *c = stdio_of(ep);
	u64 left;

	stop_watching_stdin(c);
	file_inlet_destroy(c->file_in);
	if (c->retry >= 0)
		loop_timer_del(c->loop, c->retry);
	if (c->continued >= 0) {
		loop_del(c->loop, c->continued);
		close(c->continued);
	}
	left = outlet_destroy(c->out, until_ms);
	if (left)
		note_put(machine_notes(ep->c.m),
			 "%s: its last %llu bytes were not taken by their reader", ep->c.name,
			 (unsigned long long)left);
	if (!is_file(c))
		terminal_restore();
	inlet_close(&c->inlet); /* by which the terminal was restored */
	if (c->file >= 0)
		close(c->file);
	free(c);
}

static bool stdio_end(struct endpoint *ep)
{
	return outlet_end(stdio_of(ep)->out);
}

static s64 stdio_held(const struct endpoint *ep, const char **file)
{
	const struct stdio *c = (const struct stdio *)(const void *)ep;

	*file = is_file(c) ? file_name(c) : "stdout";
	return outlet_held_ms(c->out);
}

static int open_path(struct stdio *c, struct err *e)
{
	const struct spec_endpoint *what = c->ep.c.what;

	/* O_NONBLOCK: opening a FIFO that nobody reads would wait for a reader, deaf to signals. */
	c->file = open(what->path,
		       O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (c->file < 0)
		return err_set(e, -errno, "%s: %s: cannot open: %s", c->ep.c.name, what->path,
			       errno == ENXIO ? "a FIFO that nobody reads; start its reader first"
					      : strerror(errno));
	return 0;
}

/* Takes over a file that the starter has open: nothing of its path, if it has one, is asked. */
static int take_given(struct stdio *c, struct err *e)
{
	int fd = c->ep.c.what->fd, flags = fcntl(fd, F_GETFL), own = -1;
	struct stat st;

	snprintf(c->given, sizeof(c->given), "descriptor %d", fd);
	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_RDONLY)
		return err_set(e, -EBADF, "%s: %s: not open for writing", c->ep.c.name, c->given);
	/* O_NONBLOCK is the open file's, which others may have, too (base/reopen.h). */
	if (!fstat(fd, &st))
		own = reopen_nonblock(fd, &st, O_WRONLY);
	if (own >= 0) {
		close(fd);
		c->file = own;
		return 0;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return err_set(e, -errno, "%s: %s: %s", c->ep.c.name, c->given, strerror(errno));
	c->file = fd;
	return 0;
}

static int stdio_open_file(struct stdio *c, struct err *e)
{
	int ret = c->ep.c.what->kind == SPEC_FILE ? open_path(c, e) : take_given(c, e);
	const char *name = file_name(c);
	struct stat st;

	if (ret)
		return ret;
	if (fstat(c->file, &st))
		return err_set(e, -errno, "%s: %s: %s", c->ep.c.name, name, strerror(errno));
	if (S_ISBLK(st.st_mode))
		return err_set(
			e, -EINVAL,
			"%s: %s is a block device, whose data it would overwrite; want a file",
			c->ep.c.name, name);
	if (S_ISREG(st.st_mode) && (u64)st.st_size >= OUTLET_FILE_MAX)
		note_put(machine_notes(c->ep.c.m),
			 "%s: %s has %llu MiB; nothing is written to it until it has been "
			 "shortened",
			 c->ep.c.name, name, (unsigned long long)OUTLET_FILE_MAX >> 20);
	return 0;
}

static int open_output(struct stdio *c, struct err *e)
{
	bool file = is_file(c);
	int ret = file ? stdio_open_file(c, e) : 0;
	struct outlet_config config = {
		.loop = c->loop,
		.host = machine_host(c->ep.c.m),
		.fd = file ? c->file : STDOUT_FILENO,
		.ours = file,
		.lines = c->ep.c.text,
		.room = on_output_room,
		.arg = c,
	};

	if (ret)
		return ret;
	ret = outlet_create(&c->out, &config);
	if (ret)
		return err_set(e, ret, "%s: cannot be set up: %s", c->ep.c.name, strerror(-ret));
	c->file = -1;
	return 0;
}

static void stdio_describe(const struct endpoint *ep, char *buf, size_t len)
{
	snprintf(buf, len, "%s",
		 is_file((const struct stdio *)(const void *)ep) ? "file" : "stdio");
}

int endpoint_stdio_create(struct endpoint **out, const struct endpoint_config *config,
			  struct err *e)
{
	static const struct endpoint_ops ops = {
		.destroy = stdio_destroy,
		.write = stdio_write,
		.room = stdio_room,
		.describe = stdio_describe,
		.start = stdio_start,
		.end = stdio_end,
		.held = stdio_held,
	};
	struct stdio *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->file = c->retry = c->continued = -1;
	c->inlet.fd = STDIN_FILENO;
	c->ep.ops = &ops;
	c->ep.c = *config;
	c->loop = machine_loop(config->m);
	c->room.fn = on_input_room;
	c->room.arg = c;
	ret = open_output(c, e);
	if (!ret)
		ret = prepare_stdin(c, e);
	if (ret) {
		stdio_destroy(&c->ep, 0);
		return ret;
	}
	*out = &c->ep;
	return 0;
}
