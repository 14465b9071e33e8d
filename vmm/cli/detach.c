// SPDX-License-Identifier: GPL-2.0-only
/* Forks a guest into the background, and waits until it has started or failed. */
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
#include "base/signals.h"
#include "vmm/cli/cli.h"
#include "vmm/control/ended.h"
#include "vmm/control/socket_dir.h"

struct detach {
	int null;
	int ready;	     /* pipe to the parent, for the guest's name */
	int name[2];	     /* pipe from a confined guest to its supervisor, for the same */
	struct ended *ended; /* the log, and where the exit code is kept */
	bool log;	     /* stderr is the user's file and stays */
};

/* Shows the user the log of the guest's processes up to now. */
static void detach_show_log(const struct detach *d)
{
	char buf[1024];
	off_t at = 0;
	ssize_t n;

	while (!d->log && (n = pread(ended_log(d->ended), buf, sizeof(buf), at)) > 0) {
		file_write(STDERR_FILENO, buf, (size_t)n);
		at += n;
	}
}

static void on_end_signal(int sig)
{
	(void)sig; /* ppoll() returns */
}

/*
 * Signals by which the user gives up; only ppoll() lets them through. The guest is sent the first
 * of them that is not ignored.
 */
static const int ends[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

static void block_ends(sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		sigaddset(&set, ends[i]);
	sigprocmask(SIG_BLOCK, &set, old);
}

/*
 * Installs on_end_signal() for each signal of ends[], but leaves ignored ones ignored, as nohup
 * wants it.
 */
static void catch_ends(void)
{
	const struct sigaction sa = { .sa_handler = on_end_signal };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (!signal_is_ignored(ends[i]))
			sigaction(ends[i], &sa, NULL);
}

/*
 * Returns a signal that ends the guest's process: one that was not ignored when this process
 * started, since the child ignores the same ones. (The last of ends[] if all are ignored.)
 */
static int signal_to_give_up(void)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(ends) - 1 && signal_is_ignored(ends[i]))
		i++;
	return ends[i];
}

/*
 * Ends the guest's process @child, which has a session of its own and so did not get the signal
 * that ends this process; shows its log. Returns the exit code.
 */
static int detach_give_up(const struct detach *d, pid_t child)
{
	int status = 0, sig = signal_to_give_up();

	kill(child, sig);
	waitpid(child, &status, 0);
	detach_show_log(d);
	/* If it was not killed, it has said so itself. */
	if (WIFSIGNALED(status))
		fputs("vmm: ended before the guest had started\n", stderr);
	return EXIT_CODE_SIGNAL + sig;
}

/*
 * Prints @name for the caller and returns the exit code. If stdout does not take it, the guest runs
 * on, and the exit code is that of an error.
 */
static int detach_print_name(const char *name)
{
	char line[130];
	int len = snprintf(line, sizeof(line), "%s\n", name);
	int ret = file_write(STDOUT_FILENO, line, (size_t)len);

	if (!ret)
		return EXIT_CODE_POWEROFF;
	fprintf(stderr, "vmm: the guest runs as %s, but this cannot be written to stdout: %s\n",
		name, strerror(-ret));
	return EXIT_CODE_ERROR;
}

/* Reads the guest's name, which a process of the guest has sent by send_name(). read(2)'s value. */
static ssize_t read_name(int fd, char *name, size_t size)
{
	ssize_t n = read(fd, name, size - 1);

	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return n;
}

static void send_name(int *fd, const char *name)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s\n", name);

	file_write(*fd, line, (size_t)len);
	close(*fd);
	*fd = -1;
}

/* Reads the guest's name from @ready; its length, 0: the guest has failed, -EINTR: given up. */
static ssize_t wait_for_name(int ready, char *name, size_t size, const sigset_t *mask)
{
	struct pollfd p = { .fd = ready, .events = POLLIN };
	ssize_t n;

	do {
		if (ppoll(&p, 1, NULL, mask) < 0)
			return -errno;
		n = read_name(ready, name, size);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? n : 0;
}

static int detach_wait_for_start(struct detach *d, pid_t child, int ready, const sigset_t *mask)
{
	char name[128];
	ssize_t n = wait_for_name(ready, name, sizeof(name), mask);
	int status;

	if (n == -EINTR)
		return detach_give_up(d, child);
	if (n > 0) {
		/* The guest's messages come before its name. */
		detach_show_log(d);
		/* A guest may have taken over the process that sent it: nothing else is printed. */
		if (socket_dir_name_ok(name))
			return detach_print_name(name);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		fputs("vmm: the guest's process was ended: it sent a name that is none\n", stderr);
		return EXIT_CODE_ERROR;
	}
	n = waitpid(child, &status, 0);
	detach_show_log(d);
	if (n < 0 || !WIFEXITED(status)) {
		fputs("vmm: the guest's process was killed before it had started\n", stderr);
		return EXIT_CODE_ERROR;
	}
	/* The guest has not started, whatever ended it. */
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_CODE_ERROR;
}

static void become_guest(struct detach *d)
{
	setsid();
	/* A parent that is gone is no reason to end: writing to its pipe fails then. */
	signal(SIGPIPE, SIG_IGN);
	dup2(d->null, STDIN_FILENO);
	dup2(d->null, STDOUT_FILENO);
	if (!d->log)
		dup2(ended_log(d->ended), STDERR_FILENO);
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
	int ready[2] = { -1, -1 }, ret;
	sigset_t old;
	struct stat st;
	pid_t child;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->ready = d->name[0] = d->name[1] = -1;
	d->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ret = ended_begin(&d->ended, e);
	if (ret)
		goto out;
	block_ends(&old);
	d->log = !fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode);
	if (d->null < 0 || pipe2(ready, O_CLOEXEC) || (child = fork()) < 0) {
		ret = err_set(e, -errno, "cannot run in the background: %s", strerror(errno));
		goto out;
	}
	if (!child) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		become_guest(d);
		close(ready[0]);
		d->ready = ready[1];
		*out = d;
		return 0;
	}
	close(ready[1]);
	ready[1] = -1;
	catch_ends();
	*code = detach_wait_for_start(d, child, ready[0], &old);
	ret = 1;
out:
	for (int i = 0; i < 2; i++)
		if (ready[i] >= 0)
			close(ready[i]);
	ended_free(d->ended, true);
	d->ended = NULL;
	detach_free(d);
	return ret;
}

bool detach_keeps_log(const struct detach *d)
{
	return d && !d->log;
}

/*
 * Gives log and exit code the guest's name, and tells the parent, which may be gone: naming is no
 * business of its.
 */
static void detach_set_name(struct detach *d, const char *name)
{
	struct err e = { "" };

	if (d->ready < 0)
		return;
	if (ended_set_name(d->ended, name, &e))
		cli_note(e.text);
	send_name(&d->ready, name);
}

void detach_done(struct detach *d, const char *name)
{
	if (d && d->ended)
		detach_set_name(d, name);
	else if (d && d->name[1] >= 0)
		send_name(&d->name[1], name);
}

int detach_prepare_supervisor(struct detach *d, struct err *e)
{
	if (!d)
		return 0;
	if (pipe2(d->name, O_CLOEXEC | O_NONBLOCK))
		return err_set(e, -errno, "cannot run in the background: %s", strerror(errno));
	return 0;
}

int detach_name_fd(const struct detach *d)
{
	return d ? d->name[0] : -1;
}

void detach_on_name(void *arg)
{
	struct detach *d = arg;
	char name[128];

	if (read_name(d->name[0], name, sizeof(name)) > 0)
		detach_set_name(d, name);
}

void detach_ended(struct detach *d, int code)
{
	if (d)
		ended_set_code(d->ended, code);
}

static void detach_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void detach_leave_to_supervisor(struct detach *d)
{
	if (!d)
		return;
	ended_free(d->ended, false);
	d->ended = NULL;
	detach_close(&d->null);
	detach_close(&d->ready);
	detach_close(&d->name[0]);
}

void detach_free(struct detach *d)
{
	if (!d)
		return;
	detach_close(&d->ready);
	detach_close(&d->null);
	detach_close(&d->name[0]);
	detach_close(&d->name[1]);
	/* The parent may be gone, so files without a name are removed here as well. */
	ended_free(d->ended, true);
	free(d);
}
