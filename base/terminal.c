// SPDX-License-Identifier: GPL-2.0-only
/* Puts the terminal into raw mode, and takes that back however the process ends. */
#include "base/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct {
	/*
	 * The terminal is raw. Atomic: the main thread changes it, any thread that puts a note asks
	 * for it, and a crash of any takes it back with the members below, which are set before.
	 */
	bool changed;
	bool looked;
	bool prepared;
	bool terminal; /* old is valid */
	bool ours;     /* we were in the foreground */
	int fd;
	int own; /* fd once more, with O_NONBLOCK; or -1 */
	struct termios old;
} saved = { .own = -1 };

/*
 * Returns true if another process group has the terminal. A process in a process namespace sees the
 * number 0 for its own group and for all others of outside; reading nothing tells them apart.
 */
static bool terminal_is_anothers(void)
{
	char none;

	return saved.own >= 0 && read(saved.own, &none, 0) < 0 && errno == EIO;
}

void terminal_restore(void)
{
	if (!__atomic_exchange_n(&saved.changed, false, __ATOMIC_ACQ_REL))
		return;
	if (!terminal_is_anothers())
		tcsetattr(saved.fd, TCSANOW, &saved.old);
}

bool terminal_is_prepared(void)
{
	return saved.prepared;
}

bool terminal_is_raw(void)
{
	return __atomic_load_n(&saved.changed, __ATOMIC_ACQUIRE);
}

void terminal_look(int fd)
{
	saved.looked = true;
	saved.fd = fd;
	saved.terminal = !tcgetattr(fd, &saved.old);
	saved.ours = saved.terminal && tcgetpgrp(fd) == getpgrp();
}

void terminal_reset(void)
{
	if (saved.ours && tcgetpgrp(saved.fd) == getpgrp())
		tcsetattr(saved.fd, TCSANOW, &saved.old);
}

/*
 * Restores the terminal and raises @sig again. SA_RESETHAND was set, so that raise() has the effect
 * that the signal would have had.
 */
static void on_crash(int sig)
{
	terminal_restore();
	raise(sig);
}

int terminal_prepare(int fd)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	struct sigaction sa = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND };

	if (!saved.looked || saved.fd != fd)
		terminal_look(fd);
	if (!saved.terminal)
		return -ENOTTY;
	if (!saved.ours)
		return -EBUSY;
	atexit(terminal_restore);
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
		sigaction(crashes[i], &sa, NULL);
	saved.prepared = true;
	return 0;
}

void terminal_add_job_signals(sigset_t *set)
{
	sigaddset(set, SIGTTIN);
	sigaddset(set, SIGTTOU);
	sigaddset(set, SIGCONT);
}

int terminal_raw(int fd, int own)
{
	int ret = saved.prepared && saved.fd == fd ? 0 : terminal_prepare(fd);
	struct termios t;

	if (ret)
		return ret;
	saved.own = own;
	if (terminal_is_anothers())
		return -EBUSY;
	t = saved.old;
	cfmakeraw(&t);
	t.c_cc[VMIN] = own >= 0;
	t.c_cc[VTIME] = 0;
	__atomic_store_n(&saved.changed, true, __ATOMIC_RELEASE);
	if (tcsetattr(fd, TCSANOW, &t)) {
		__atomic_store_n(&saved.changed, false, __ATOMIC_RELEASE);
		return -errno;
	}
	return 0;
}
