// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm emulator-probe: answers what libvirt asks of an emulator, in the background and without a
 * guest; started by umbra-qemu -machine none, not by people.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/exit_code.h"
#include "base/loop.h"
#include "base/signals.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/pid_file.h"
#include "vmm/control/control.h"
#include "vmm/monitor/emulator.h"

struct emulator_probe {
	const char *socket, *pid_file;
	struct loop *loop;
	struct control *control;
	int signals, pid_fd;
};

static void on_end_signal(void *arg, u32 events)
{
	const struct emulator_probe *p = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(p->signals, &info, sizeof(info)) == sizeof(info) &&
	    !signal_is_ignored((int)info.ssi_signo))
		loop_stop(p->loop);
}

/* Opens all that the answers need. The signals that end it are blocked already. */
static int probe_open(struct emulator_probe *p, const sigset_t *ends, struct err *e)
{
	int ret = loop_create(&p->loop);

	if (ret)
		return err_set(e, ret, "cannot make an event loop: %s", strerror(-ret));
	p->signals = signalfd(-1, ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signals < 0)
		return err_set(e, -errno, "cannot wait for signals: %s", strerror(errno));
	ret = loop_add(p->loop, p->signals, EPOLLIN, on_end_signal, p);
	if (ret)
		return err_set(e, ret, "cannot wait for signals: %s", strerror(-ret));
	ret = control_create(&p->control, p->loop, p->socket, e);
	if (ret)
		return ret;
	if (emulator_add_commands(p->control))
		return err_set(e, -ENOMEM, "out of memory");
	p->pid_fd = pid_file_create(p->pid_file, e);
	return p->pid_fd < 0 ? p->pid_fd : 0;
}

static void probe_close(struct emulator_probe *p)
{
	if (p->pid_fd >= 0)
		pid_file_remove(p->pid_file, p->pid_fd);
	control_destroy(p->control);
	if (p->signals >= 0)
		close(p->signals);
	loop_destroy(p->loop);
}

/* Gives up the starter's terminal or pipes: it waits for their end. */
static int leave_starter(struct err *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_set(e, -errno, "/dev/null: cannot open: %s", strerror(errno));
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	return 0;
}

/* Serves in the background; @ready is told when a client can connect. Returns the exit code. */
static int serve_probe(struct emulator_probe *p, const sigset_t *ends, int ready)
{
	struct err e = { "" };
	int ret;

	setsid();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ret = probe_open(p, ends, &e);
	if (!ret)
		ret = leave_starter(&e);
	if (ret) {
		probe_close(p);
		return cli_fail(&e);
	}
	/* The starter may be gone by now, which changes nothing. */
	if (write(ready, "", 1) != 1)
		ready = -1;
	close(ready);
	ret = loop_run(p->loop);
	probe_close(p);
	return ret ? EXIT_CODE_ERROR : 0;
}

/* Waits until the child is ready, or has ended with a line of its own. Returns the exit code. */
static int await_probe(int ready)
{
	char byte;
	ssize_t n;

	do
		n = read(ready, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : EXIT_CODE_ERROR;
}

static int fork_probe(struct emulator_probe *p)
{
	struct err e;
	sigset_t ends, old;
	int ready[2];
	pid_t child;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	if (pipe2(ready, O_CLOEXEC)) {
		err_set(&e, -errno, "cannot run in the background: %s", strerror(errno));
		return cli_fail(&e);
	}
	sigprocmask(SIG_BLOCK, &ends, &old);
	signal(SIGPIPE, SIG_IGN);
	child = fork();
	if (child < 0) {
		err_set(&e, -errno, "cannot run in the background: %s", strerror(errno));
		return cli_fail(&e);
	}
	if (!child) {
		close(ready[0]);
		return serve_probe(p, &ends, ready[1]);
	}
	close(ready[1]);
	sigprocmask(SIG_SETMASK, &old, NULL); /* this wait can be given up */
	return await_probe(ready[0]);
}

int cmd_emulator_probe(int argc, char **argv)
{
	struct emulator_probe p = { .signals = -1, .pid_fd = -1 };
	const struct cli_option options[] = {
		{ .name = "qmp", .text = &p.socket },
		{ .name = "pidfile", .text = &p.pid_file },
	};
	const struct cli_syntax syntax = {
		.command = "emulator-probe",
		.options = options,
		.n = ARRAY_SIZE(options),
		.help = "vmm emulator-probe --qmp SOCKET --pidfile FILE is started by umbra-qemu\n",
	};
	struct descriptors inherited;
	int code, first = cli_command_line(&syntax, argc, argv, &code);

	if (!first)
		return code;
	if (first < argc)
		return cli_unexpected(&syntax, argv[first]);
	if (!p.socket || !p.pid_file) {
		fputs("vmm: emulator-probe is started by umbra-qemu\n", stderr);
		return EXIT_CODE_USAGE;
	}
	descriptors_look(&inherited, false);
	return fork_probe(&p);
}
