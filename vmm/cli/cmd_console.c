// SPDX-License-Identifier: GPL-2.0-only
/* vmm console: shows the console of a running guest, and sends it the keys of the terminal. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "base/file.h"
#include "base/signals.h"
#include "base/terminal.h"
#include "vmm/backend/inlet.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"

#define ESCAPE	 1 /* Ctrl-a */
#define RETRY_MS 1000

static const char help[] =
	"Usage: vmm console [OPTION]... [GUEST]\n"
	"\n"
	"Attach this terminal to a guest's console, wherever else that is. A guest that was started\n"
	"with --detach or --console attach shows the last 64 KiB first, any other what comes from\n"
	"now on. Several can be attached at a time. Without GUEST, to the only one that runs.\n"
	"\n"
	"Ctrl-a d detaches, Ctrl-a Ctrl-a sends one Ctrl-a, Ctrl-a h shows help; the guest runs on\n"
	"in any case. From a pipe or a file, all of it goes to the guest; the output is shown until\n"
	"the guest ends.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit code: 0 detached, or the guest has ended.\n"
	"\n"
	"Examples:\n"
	"  vmm run --detach --name web --kernel /vmlinuz --initrd /initrd.img\n"
	"  vmm console web\n";

static const char key_help[] = "\r\n[vmm] Ctrl-a d: detach   Ctrl-a Ctrl-a: send Ctrl-a   "
			       "Ctrl-a h: this help\r\n";

struct link {
	int fd;
	bool tty, escaped, detached, eof;
	bool behind;	 /* another job has the terminal */
	s64 retry_ms;	 /* when to look whether it still has */
	int continued;	 /* a signalfd: this process goes on after a stop; or -1 */
	struct inlet in; /* stdin */
	char keys[4096];
	size_t at, len;
};

/* Acts on the escape sequences in @buf and takes them out; returns the bytes left for the guest. */
static size_t console_filter_keys(struct link *l, char *buf, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len && !l->detached; i++) {
		char b = buf[i];

		if (!l->escaped && b == ESCAPE) {
			l->escaped = true;
			continue;
		}
		if (l->escaped && b != ESCAPE) {
			l->escaped = false;
			l->detached = b == 'd';
			if (b == 'h')
				file_write(STDERR_FILENO, key_help, sizeof(key_help) - 1);
			continue;
		}
		l->escaped = false;
		buf[kept++] = b;
	}
	return kept;
}

/*
 * Sends keys to the guest. Those that it has not taken wait in l->keys, and no more are read
 * meanwhile.
 */
static void console_send_keys(struct link *l)
{
	while (l->at < l->len) {
		ssize_t n =
			send(l->fd, l->keys + l->at, l->len - l->at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* full, or the guest is gone, which reading finds out */
		l->at += (size_t)n;
	}
}

/* Notes that another job has the terminal, whose keys are not for this one. */
static void console_fall_behind(struct link *l)
{
	l->behind = true;
	l->retry_ms = now_ms() + RETRY_MS;
}

/*
 * Sets raw mode; in the background, as soon as this process is in front. A shell that takes the
 * terminal sets its own mode, and few shells set that of before when they give it back.
 */
static int console_set_raw(struct link *l)
{
	int ret;

	/* Without an open file of its own this process reads keys to learn where it is. */
	ret = l->behind && !l->in.ours ? 0 : terminal_raw(STDIN_FILENO, l->in.ours ? l->in.fd : -1);
	l->behind = false;
	if (ret == -EBUSY)
		console_fall_behind(l);
	return ret;
}

/* A job comes to the background by a stop, whose end says nothing of where it goes on. */
static void console_go_on(struct link *l)
{
	struct signalfd_siginfo info;

	if (read(l->continued, &info, sizeof(info)) == sizeof(info) && l->in.ours)
		console_set_raw(l);
}

static void console_read_keys(struct link *l, u32 events)
{
	ssize_t n = inlet_read(&l->in, l->keys, sizeof(l->keys), events);

	if (n == -EAGAIN)
		return;
	if (n == -EBUSY) {
		console_fall_behind(l);
		return;
	}
	l->eof = n <= 0; /* go on looking */
	l->at = 0;
	l->len = n <= 0 ? 0 : l->tty ? console_filter_keys(l, l->keys, (size_t)n) : (size_t)n;
	console_send_keys(l);
}

/*
 * Copies bytes both ways until the user detaches or the VMM closes the connection. Returns 0 or
 * -errno.
 */
static int console_talk(struct link *l)
{
	char buf[4096];

	while (!l->detached) {
		bool full = l->at < l->len;
		struct pollfd p[] = {
			{ .fd = l->fd, .events = full ? POLLIN | POLLOUT : POLLIN },
			{ .fd = full || l->eof || l->behind ? -1 : STDIN_FILENO, .events = POLLIN },
			{ .fd = l->continued, .events = POLLIN },
		};
		ssize_t n;

		if (poll(p, ARRAY_SIZE(p), l->behind ? RETRY_MS : -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (p[2].revents)
			console_go_on(l);
		else if (l->behind && now_ms() >= l->retry_ms)
			console_set_raw(l);
		if (p[0].revents & POLLOUT)
			console_send_keys(l);
		if (p[0].revents & ~POLLOUT) {
			n = read(l->fd, buf, sizeof(buf));
			if (n <= 0)
				return 0;
			if (file_write(STDOUT_FILENO, buf, (size_t)n))
				return -EPIPE;
		}
		if (p[1].revents)
			console_read_keys(l, (u32)p[1].revents);
	}
	return 0;
}

/* Restores the terminal, then takes the signal's default action (SA_RESETHAND). */
static void on_fatal_signal(int sig)
{
	terminal_restore();
	raise(sig);
}

static void catch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	struct sigaction sa = { .sa_handler = on_fatal_signal, .sa_flags = (int)SA_RESETHAND };

	sigemptyset(&sa.sa_mask);
	/* One that nohup or a shell's "&" has the process ignore stays ignored. */
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (!signal_is_ignored(ends[i]))
			sigaction(ends[i], &sa, NULL);
}

/* Takes part in job control as terminal_add_job_signals() has it. */
static void console_block_job_signals(struct link *l)
{
	sigset_t set;

	sigemptyset(&set);
	terminal_add_job_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	l->continued = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int console_attach_guest(struct link *l, const char *guest, char **name, struct err *e)
{
	struct client *c;
	int pair[2], ret = client_open(&c, guest, CLIENT_TIMEOUT_MS, e);

	if (ret)
		return ret;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		ret = err_set(e, -errno, "no descriptors: %s", strerror(errno));
		client_close(c);
		return ret;
	}
	ret = client_give_fd(c, "console", pair[0], e);
	if (!ret)
		ret = client_call(c, "umbra-console", json_pack("{s:s}", "fd", "console"), NULL, e);
	*name = strdup(client_name(c));
	client_close(c);
	close(pair[0]);
	if (ret) {
		close(pair[1]);
		return ret;
	}
	l->fd = pair[1];
	return 0;
}

int cmd_console(int argc, char **argv)
{
	struct cli_args a = { 0 };
	struct link l = { .fd = -1, .continued = -1 };
	int ret;
	char *name = NULL;
	struct stat st;
	struct err e;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST, help, &ret))
		return ret;
	if (console_attach_guest(&l, a.guest, &name, &e)) {
		free(name);
		return cli_fail(&e);
	}
	/* The note comes before the terminal goes raw. */
	if (isatty(STDIN_FILENO))
		fprintf(stderr, "[vmm] attached to %s; Ctrl-a d detaches\n", name ? name : "");
	catch_signals();
	l.tty = !terminal_prepare(STDIN_FILENO);
	inlet_open(&l.in, STDIN_FILENO, fstat(STDIN_FILENO, &st) ? NULL : &st, l.tty);
	if (l.tty) {
		console_block_job_signals(&l);
		ret = console_set_raw(&l);
		l.tty = !ret || ret == -EBUSY;
	}
	ret = console_talk(&l);
	close(l.fd);
	terminal_restore();
	inlet_close(&l.in);
	if (l.continued >= 0)
		close(l.continued);
	if (l.tty)
		fprintf(stderr, "\n[vmm] %s\n", l.detached ? "detached" : "the guest has ended");
	free(name);
	return ret ? EXIT_CODE_ERROR : 0;
}
