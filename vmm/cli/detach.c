// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/cli/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/file.h"

struct detach {
	int null;
	int ready; /* the name goes here */
	bool log;  /* stderr is the user's file and stays */
};

/* False: the other end is closed. */
static bool relay(int from, int to)
{
	char buf[1024];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n > 0)
		file_write(to, buf, (size_t)n);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void on_end(int sig)
{
	(void)sig; /* ppoll() returns */
}

/* Signals by which the user gives up; only ppoll() lets them through. */
static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static void block_ends(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaddset(&set, ends[i]);
	sigprocmask(SIG_BLOCK, &set, old);
}

/* One that is ignored stays so: nohup. */
static void catch_ends(void)
{
	const struct sigaction sa = { .sa_handler = on_end };
	struct sigaction now;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (!sigaction(ends[i], NULL, &now) && now.sa_handler != SIG_IGN)
			sigaction(ends[i], &sa, NULL);
}

/* The guest is in a session of its own and has not heard the signal that ends us. */
static int give_up(pid_t child)
{
	int status = 0;

	kill(child, SIGTERM);
	/* Else it says so itself. */
	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		fputs("vmm: ended before the guest had started\n", stderr);
	return VMM_EXIT_SIGNAL + SIGTERM;
}

/* The guest runs, whatever becomes of its name; but whoever wants to read it has to hear of a loss. */
static int print_name(const char *name, size_t len)
{
	int ret = file_write(STDOUT_FILENO, name, len);

	if (!ret)
		return VMM_EXIT_POWEROFF;
	fprintf(stderr, "vmm: the guest runs as %.*s, but this cannot be written to stdout: %s\n",
		(int)strcspn(name, "\n"), name, strerror(-ret));
	return VMM_EXIT_ERROR;
}

static int parent(pid_t child, int ready, int messages, const sigset_t *mask)
{
	struct pollfd p[2] = { { .fd = ready, .events = POLLIN },
			       { .fd = messages, .events = POLLIN } };
	char name[128];
	ssize_t n = 0;
	int status;

	for (;;) {
		if (ppoll(p, 2, NULL, mask) < 0) {
			if (errno == EINTR)
				return give_up(child);
			break;
		}
		/* What it had to say comes before what it did. */
		if (p[1].revents) {
			if (!relay(messages, STDERR_FILENO))
				p[1].fd = -1;
			p[1].revents = 0;
			continue;
		}
		if (p[0].revents) {
			n = read(ready, name, sizeof(name));
			if (n >= 0 || errno != EINTR)
				break;
		}
	}
	if (n > 0)
		return print_name(name, (size_t)n);
	while (p[1].fd >= 0 && relay(messages, STDERR_FILENO))
		;
	if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status)) {
		fputs("vmm: the guest's process was killed before it had started\n", stderr);
		return VMM_EXIT_ERROR;
	}
	/* The guest has not started, whatever ended it. */
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : VMM_EXIT_ERROR;
}

static void become_guest(struct detach *d, int messages)
{
	setsid();
	/* The parent may be gone, or go: its pipe is no reason to die. */
	signal(SIGPIPE, SIG_IGN);
	dup2(d->null, STDIN_FILENO);
	dup2(d->null, STDOUT_FILENO);
	if (!d->log)
		dup2(messages, STDERR_FILENO);
}

int detach_check(struct err *e)
{
	if (fcntl(STDOUT_FILENO, F_GETFD) >= 0)
		return 0;
	return err_set(e, -errno, "cannot write the guest's name to stdout: %s", strerror(errno));
}

int detach_fork(struct detach **out, int *code, struct err *e)
{
	struct detach *d = calloc(1, sizeof(*d));
	int ready[2] = { -1, -1 }, messages[2] = { -1, -1 }, ret = 1;
	sigset_t old;
	struct stat st;
	pid_t child;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	block_ends(&old);
	d->log = !fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode);
	if (d->null < 0 || pipe2(ready, O_CLOEXEC) || pipe2(messages, O_CLOEXEC) ||
	    (child = fork()) < 0) {
		ret = err_set(e, -errno, "cannot run in the background: %s", strerror(errno));
		goto out;
	}
	if (!child) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		become_guest(d, messages[1]);
		d->ready = ready[1];
		ready[1] = -1;
		*out = d;
		d = NULL;
		ret = 0;
		goto out;
	}
	close(ready[1]);
	close(messages[1]);
	ready[1] = messages[1] = -1;
	catch_ends();
	*code = parent(child, ready[0], messages[0], &old);
out:
	for (int i = 0; i < 2; i++) {
		if (ready[i] >= 0)
			close(ready[i]);
		if (messages[i] >= 0)
			close(messages[i]);
	}
	if (d && d->null >= 0)
		close(d->null);
	free(d);
	return ret;
}

void detach_done(struct detach *d, const char *name)
{
	char line[128];
	int len;

	if (!d)
		return;
	if (!d->log)
		dup2(d->null, STDERR_FILENO);
	len = snprintf(line, sizeof(line), "%s\n", name);
	file_write(d->ready, line, (size_t)len);
	detach_free(d);
}

void detach_free(struct detach *d)
{
	if (!d)
		return;
	close(d->ready);
	close(d->null);
	free(d);
}
