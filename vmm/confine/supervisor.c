// SPDX-License-Identifier: GPL-2.0-only
/* Waits for the end of the VMM, and cleans up after it. */
#include "vmm/confine/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/signals.h"
#include "base/terminal.h"

/* The packets that the VMM has sent so far. */
struct heard {
	bool files, done; /* the first packet has come; nothing more is listened to */
	u8 start;	  /* SUPERVISOR_READY and SUPERVISOR_NOTE */
	struct supervisor_packet packet;
};

static void supervisor_hear_vmm(int guard, struct heard *h)
{
	if (!h->files && !h->done) {
		ssize_t n = read(guard, &h->packet, sizeof(h->packet));

		h->files = n == (ssize_t)sizeof(h->packet);
		h->done = n >= 0 && !h->files;
	}
	if (h->files && !h->done)
		h->done = read(guard, &h->start, sizeof(h->start)) >= 0;
}

static void remove_files(const struct heard *h)
{
	const struct supervisor_packet *p = &h->packet;
	bool started = h->start & SUPERVISOR_READY;
	size_t at = 0;
	int ret = 0;

	if (!h->files)
		return; /* the VMM ended before it could name any */
	for (u32 i = 0; i < p->n && i < SUPERVISOR_FILES; i++) {
		size_t len = strnlen(p->paths + at, sizeof(p->paths) - at);

		if (at + len == sizeof(p->paths))
			return;
		if (!(p->unused >> i & 1))
			ret = socket_file_remove(p->paths + at, &p->ids[i]);
		else if (!started || p->spare >> i & 1)
			ret = unused_file_remove(p->paths + at, &p->ids[i]);
		/*
		 * A process that keeps one directory locked holds up the end once, not for each
		 * file.
		 */
		if (ret == -ETIMEDOUT)
			return;
		at += len + 1;
	}
}

/*
 * Prints how the VMM ended, unless stderr would make this process wait with all signals blocked, as
 * a stopped terminal does, or a pipe that nobody reads.
 */
static void say_how_it_ended(int sig, const char *before, const char *behind)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&p, 1, 0) > 0 && p.revents & POLLOUT)
		fprintf(stderr, "vmm: %s by signal %d (%s)%s\n", before, sig, strsignal(sig),
			behind);
}

static void supervisor_stop_with_vmm(pid_t vmm)
{
	/* The VMM is init of its namespace, which SIGTSTP does not stop. */
	kill(vmm, SIGSTOP);
	kill(getpid(), SIGSTOP);
	kill(vmm, SIGCONT);
}

/*
 * Passes the signal on. Kills a VMM that still prepares its guest, and returns true: it reads no
 * signals, and as the init of its namespace it does not die of them, but it may wait for a file of
 * the user's for ever.
 */
static bool vmm_signal(pid_t vmm, const siginfo_t *info, int guard, struct heard *h)
{
	supervisor_hear_vmm(guard, h);
	if (!(h->start & SUPERVISOR_READY)) {
		kill(vmm, SIGKILL);
		return true;
	}
	if (info->si_code != SI_KERNEL)
		kill(vmm, info->si_signo); /* SI_KERNEL: a terminal sent it to the VMM, too */
	return false;
}

/* Has each write to the pipe send SIGIO to this process, which waits for signals alone. */
static void news_watch(const struct confine_news *news)
{
	if (!news->fn)
		return;
	fcntl(news->fd, F_SETOWN, getpid());
	fcntl(news->fd, F_SETFL, O_NONBLOCK | O_ASYNC);
	news->fn(news->arg); /* what came before */
}

/*
 * Waits for the end of @vmm, whose status is in *status then. Returns the signal that ended its
 * start; 0: none has.
 */
static int await_vmm(pid_t vmm, const sigset_t *signals, int guard, const struct confine_news *news,
		     struct heard *h, int *status)
{
	siginfo_t info;
	int early = 0;

	while (1) {
		int sig = sigwaitinfo(signals, &info);

		if (sig < 0)
			continue;
		if (sig == SIGCHLD) {
			if (waitpid(vmm, status, WNOHANG) == vmm)
				return early;
		} else if (sig == SIGIO) {
			news->fn(news->arg);
		} else if (signal_is_ignored(sig)) {
			continue;
		} else if (sig == SIGTSTP) {
			supervisor_stop_with_vmm(vmm);
		} else if (!early && vmm_signal(vmm, &info, guard, h)) {
			early = sig;
		}
	}
}

int supervise(pid_t vmm, const sigset_t *signals, int guard, const struct confine_news *news,
	      bool *note)
{
	struct heard h = { .files = false };
	int status = 0, early;

	news_watch(news);
	early = await_vmm(vmm, signals, guard, news, &h, &status);
	if (news->fn)
		news->fn(news->arg); /* its SIGIO may wait behind that of the end */
	supervisor_hear_vmm(guard, &h);
	remove_files(&h);
	*note = h.start & SUPERVISOR_NOTE;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	terminal_reset();
	if (early) {
		say_how_it_ended(early, "ended", " before the guest had started");
		return EXIT_CODE_SIGNAL + early;
	}
	say_how_it_ended(WTERMSIG(status), "the guest's process was killed", "");
	return EXIT_CODE_SIGNAL + WTERMSIG(status);
}
